/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a file says and the tier that a route has come to cannot keep. The
 * parser has found what a route's own keys contradict; here it is what others
 * on its ports make of it, and keys that nobody follows yet. Nothing that is
 * known is ignored without a word.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "ctl/config/config_groups.h"
#include "ctl/plan/plan_internal.h"

/* What many routes may have is told of the first. */
struct group {
	const struct cfg_route *first;
	struct loc loc;
	unsigned n;
};

static void take(struct group *g, const struct cfg_route *r, struct loc loc)
{
	if (g->n++)
		return;
	g->first = r;
	g->loc = loc;
}

static void tell(struct plan *p, struct diags *d, const struct group *g, const char *hint,
		 const char *msg)
{
	char more[64] = "";

	if (!g->n)
		return;
	if (g->n > 1)
		snprintf(more, sizeof(more), " (and %u more)", g->n - 1);
	plan_warn(p, d, DIAG_WARNING, g->first, g->loc, hint, "%s%s", msg, more);
}

/* ---- what only the kernel keeps ---- */

/* Why user space has the route, or a part of it; NULL: it has nothing of it. */
static const char *user_part(const struct plan_route *r, char *out, size_t cap)
{
	if (r->own_tier != TIER_NFTABLES)
		return NULL; /* the parser has seen that */
	if (r->tier != TIER_NFTABLES)
		return r->reason;
	return r->behind ? plan_behind_reason(r->behind, out, cap) : NULL;
}

static void check_kernel_only(struct plan *p, const struct plan_route *r, struct group *preserve,
			      struct diags *d)
{
	static const char fmt[] = "exists in the kernel tier only, but route \"%s\" is %s user "
				  "space's: %s";
	const struct cfg_nftables *n = r->route->action.nftables;
	const char *part = r->tier == TIER_NFTABLES ? "in part" : "now";
	char buf[300];
	const char *why = user_part(r, buf, sizeof(buf));

	if (!why)
		return;
	if (n && n->max_rate_bits)
		plan_error(p, d, r->route, n->max_rate_loc,
			   "give the route a higher priority, or a port of its own", fmt,
			   r->route->name, part, why);
	if (n && n->preserve_source_ip)
		plan_error(p, d, r->route, n->preserve_source_ip_loc,
			   "sendProxyProtocol tells the target the client's address", fmt,
			   r->route->name, part, why);
	else if (r->preserve_source && !r->route->action.send_proxy_protocol)
		take(preserve, r->route, r->route->loc);
}

/* ---- what nobody keeps yet ---- */

struct unkept {
	struct group preserve, apart, sockmap, balancing, advanced, tls, websocket, ticket;
};

static void check_targets(const struct plan_route *r, struct unkept *u)
{
	const struct cfg_action *a = &r->route->action;

	for (unsigned i = 0; i < a->n_targets; i++) {
		const struct cfg_extra *x = a->targets[i].extra;

		if (x && x->load_balancing)
			take(&u->balancing, r->route, x->load_balancing->loc);
		if (x && x->advanced)
			take(&u->advanced, r->route, x->advanced->loc);
		if (x && x->tls)
			take(&u->tls, r->route, x->tls->loc);
		if (x && x->websocket)
			take(&u->websocket, r->route, x->websocket->loc);
	}
}

/* A route that both have is counted by each of them for itself. */
static void check_limits(const struct plan_route *r, struct group *apart)
{
	const struct cfg_security *s = r->route->security;

	if (!s || !r->in_kernel || !r->behind)
		return;
	if (s->max_connections)
		take(apart, r->route, s->max_connections_loc);
	else if (s->max_connections_per_ip)
		take(apart, r->route, s->max_connections_per_ip_loc);
	else if (s->connection_rate_per_minute)
		take(apart, r->route, s->connection_rate_loc);
}

static void check_route(struct plan *p, const struct plan_route *r, struct unkept *u,
			struct diags *d)
{
	const struct cfg_action *a = &r->route->action;

	check_kernel_only(p, r, &u->preserve, d);
	check_limits(r, &u->apart);
	if (r > p->routes && r[-1].route == r->route)
		return; /* the other half has told the rest */
	if (a->engine == ENGINE_SOCKMAP)
		take(&u->sockmap, r->route, a->engine_loc);
	if (r->own_tier != TIER_PROXY)
		check_targets(r, u);
	if (!p->config->extra->limits->allow_session_ticket && a->tls &&
	    a->tls->mode == TLS_PASSTHROUGH)
		take(&u->ticket, r->route, a->tls->loc);
}

static void tell_all(struct plan *p, const struct unkept *u, struct diags *d)
{
	tell(p, d, &u->preserve, "use sendProxyProtocol there",
	     "preserveSourceIP of the top level does not hold for a route, or the part of one, "
	     "that "
	     "is user space's");
	tell(p, d, &u->apart, "forwardingEngine \"relay\" counts them together",
	     "the kernel and user space each have a part of the route, and count what it may have "
	     "apart");
	tell(p, d, &u->sockmap, NULL,
	     "\"sockmap\" is served by the relay without eBPF in this version");
	tell(p, d, &u->balancing, "write it in action.loadBalancing",
	     "loadBalancing of a single target is not followed: the route's holds");
	tell(p, d, &u->advanced, "write it in action.advanced",
	     "advanced of a single target is not followed: the route's holds");
	tell(p, d, &u->tls, NULL, "tls of a single target has no effect: TLS is not ended here");
	tell(p, d, &u->websocket, NULL,
	     "websocket of a single target has no effect: HTTP is not read here");
	tell(p, d, &u->ticket, NULL,
	     "allowSessionTicket false is not followed in this version: TLS resumption without a "
	     "server name is let through");
}

static bool is_written(const struct cfg_strings *keys, const char *key)
{
	for (unsigned i = 0; i < keys->n; i++)
		if (!strcmp(keys->v[i], key))
			return true;
	return false;
}

/* Who writes a time wants to know that another one holds. */
static void tell_multiplied(struct plan *p, struct diags *d)
{
	const struct cfg_limits *l = p->config->extra->limits;
	const struct cfg_strings *written = &p->config->unapplied_in_kernel;

	if (!p->n_listeners || !l->keep_alive || l->keep_alive_treatment != KEEP_ALIVE_EXTENDED ||
	    !is_written(written, "inactivityTimeout") || is_written(written, "keepAliveTreatment"))
		return;
	plan_warn(p, d, DIAG_NOTE, NULL, LOC_NONE,
		  "keepAliveTreatment \"standard\" takes it as it is",
		  "inactivityTimeout %u ms is multiplied by %u: keepAliveTreatment is \"extended\" "
		  "by default",
		  l->inactivity_timeout_ms, l->keep_alive_inactivity_multiplier);
}

static bool ends_tls(const struct config *c)
{
	for (unsigned i = 0; i < c->n_routes; i++)
		if (c->routes[i].action.tls && c->routes[i].action.tls->mode != TLS_PASSTHROUGH)
			return true;
	return false;
}

static void tell_top(struct plan *p, struct diags *d)
{
	const struct cfg_extra *x = p->config->extra;

	tell_multiplied(p, d);
	if (p->n_listeners && is_written(&p->config->unapplied_in_kernel, "socketTimeout"))
		plan_warn(p, d, DIAG_WARNING, NULL, LOC_NONE,
			  "inactivityTimeout is for connections of every kind",
			  "socketTimeout has no effect: it is for HTTP between requests, and HTTP is "
			  "not read in this version");
	if (x->acme && !ends_tls(p->config))
		plan_warn(p, d, DIAG_WARNING, NULL, x->acme->loc, NULL,
			  "acme has no effect: no route ends TLS, so no certificate is asked for");
	if (x->admin)
		plan_warn(p, d, DIAG_WARNING, NULL, x->admin->loc, NULL,
			  "admin is not in this version");
	if (x->metrics && x->metrics->enabled)
		plan_warn(p, d, DIAG_WARNING, NULL, x->metrics->loc, NULL,
			  "metrics are not in this version; spctl status has the totals");
	if (x->store)
		plan_warn(p, d, DIAG_WARNING, NULL, x->store->loc, NULL,
			  "store is not in this version");
}

void plan_check_kept(struct plan *p, struct diags *d)
{
	struct unkept u = { 0 };

	for (unsigned i = 0; i < p->n_routes; i++)
		check_route(p, &p->routes[i], &u, d);
	tell_all(p, &u, d);
	tell_top(p, d);
}

/* ---- the PROXY protocol ---- */

/* The header comes before everything that could tell the routes of a port apart. */
static bool check_accept(struct plan *p, const struct plan_cell *cell, struct diags *d)
{
	const struct cfg_route *first = cell->order[0]->route;

	for (unsigned i = 1; i < cell->n_order; i++) {
		const struct cfg_route *r = cell->order[i]->route;

		if (r->action.accept_proxy_protocol == first->action.accept_proxy_protocol)
			continue;
		plan_error(p, d, r, r->match.ports_loc,
			   "say the same in all routes of a port, or leave it to the top level",
			   "acceptProxyProtocol of route \"%s\" differs from that of route \"%s\" "
			   "on port %u: the header is read before a route is chosen",
			   r->name, first->name, cell->from);
		return false;
	}
	return true;
}

void plan_check_accepting(struct plan *p, struct diags *d)
{
	if (!p->config->proxy_ips.n)
		return;
	for (unsigned i = 0; i < p->n_cells; i++)
		if (p->cells[i].proto == IPPROTO_TCP && !check_accept(p, &p->cells[i], d))
			return;
}

bool plan_cell_accepts(const struct plan *p, const struct plan_cell *cell)
{
	return cell->proto == IPPROTO_TCP && p->config->proxy_ips.n &&
	       cell->order[0]->route->action.accept_proxy_protocol;
}
