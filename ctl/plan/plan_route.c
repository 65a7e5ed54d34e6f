/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One route: the cheapest tier that can serve it and why, and - for the kernel
 * tier - the addresses its connections go to.
 *
 * NAT cannot translate between families: a kernel route serves the families
 * of its targets. IPv6 has no route_localnet, so ::1 is reached by redirect
 * (when what listens there takes every local address) or not by the kernel;
 * then a route whose file says "::1" needs the relay, whatever else it names.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/host/host.h"
#include "ctl/plan/plan_internal.h"

static const char loopback_v6_reason[] = "target ::1 (IPv6 has no route_localnet)";

struct job {
	struct plan *p;
	struct plan_route *r;
	const struct plan_facts *f;
	struct diags *d;
	unsigned cap;
	/* ::1 was a target that the kernel cannot reach: by any way, or by its address. */
	bool dropped_loopback_v6;
	const struct cfg_host *written_loopback_v6;
};

static void need(struct plan_route *r, enum tier tier, const char *reason, struct loc loc)
{
	if (r->reason && tier <= r->tier)
		return;
	r->tier = tier;
	r->reason = reason;
	r->reason_loc = loc;
}

const struct resolved_name *plan_find_name(const struct plan_facts *f, const char *name)
{
	for (unsigned i = 0; i < f->n_names; i++)
		if (!strcmp(f->names[i].name, name))
			return &f->names[i];
	return NULL;
}

/* Does whatever listens on the target's port take connections to any local address? */
static bool listens_on_wildcard(const struct job *j, const struct cfg_target *t, int family)
{
	bool tcp = j->r->transport & TRANSPORT_TCP, udp = j->r->transport & TRANSPORT_UDP;

	/* Only a fixed port can be looked up once for all connections. */
	if (!j->f->host || t->port_kind != PORT_FIXED)
		return false;
	return (!tcp || host_listens(j->f->host, IPPROTO_TCP, family, (uint16_t)t->port)) &&
	       (!udp || host_listens(j->f->host, IPPROTO_UDP, family, (uint16_t)t->port));
}

static int add_target(struct job *j, const struct cfg_target *t, const struct cfg_host *h,
		      const struct addr *a)
{
	struct plan_target *pt;

	if (j->r->n_targets == j->cap) {
		unsigned cap = j->cap ? j->cap * 2 : 1;
		struct plan_target *v = arena_alloc(&j->p->arena, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		if (j->r->n_targets)
			memcpy(v, j->r->targets, j->r->n_targets * sizeof(*v));
		j->r->targets = v;
		j->cap = cap;
	}
	pt = &j->r->targets[j->r->n_targets++];
	*pt = (struct plan_target){
		.addr = *a,
		.target = t,
		.host = h,
		.weight = t->weight,
		.loopback = addr_is_loopback(a),
	};
	pt->local = pt->loopback || (j->f->host && addr_set_has(&j->f->host->local, a));
	return 0;
}

static int add_named(struct job *j, const struct cfg_target *t, const struct cfg_host *h)
{
	const struct resolved_name *name = plan_find_name(j->f, h->text);
	int rc = 0;

	/* Nobody asked (check, or plan of routes only): the tier is known all the same. */
	if (!name)
		return 0;
	if (!name->n) {
		plan_error(j->p, j->d, j->r->route, h->loc,
			   "use an address, or see that the name resolves",
			   "target \"%s\" of route \"%s\" cannot be resolved: %s", h->text,
			   j->r->route->name, name->why);
		j->d->outside++;
		return 0;
	}
	for (unsigned i = 0; i < name->n && !rc; i++)
		rc = add_target(j, t, h, &name->addrs[i]);
	return rc;
}

/* Targets without sub-match, of the highest priority, that are no backup and have a weight. */
static bool in_first_group(const struct cfg_action *a, const struct cfg_target *t)
{
	if (t->backup || !t->weight)
		return false;
	for (unsigned i = 0; i < a->n_targets; i++) {
		const struct cfg_target *o = &a->targets[i];

		if (!o->backup && o->weight && o->priority > t->priority)
			return false;
	}
	return true;
}

static int collect_targets(struct job *j)
{
	const struct cfg_action *a = &j->r->route->action;

	for (unsigned i = 0; i < a->n_targets; i++) {
		const struct cfg_target *t = &a->targets[i];

		if (!in_first_group(a, t))
			continue;
		for (unsigned k = 0; k < t->n_hosts; k++) {
			const struct cfg_host *h = &t->hosts[k];
			int rc = h->kind == HOST_NAME ? add_named(j, t, h)
						      : add_target(j, t, h, &h->addr);

			if (rc)
				return rc;
		}
	}
	return 0;
}

/* redirect is only possible where it is the family's one target: slot maps hold addresses. A name
 * that is both 127.0.0.1 and ::1 is served without the latter; who wrote ::1 gets it, or is told.
 */
static void settle_loopback(struct job *j)
{
	struct plan_route *r = j->r;
	unsigned kept = 0, v4 = plan_count_targets(r, ADDR_V4), v6 = plan_count_targets(r, ADDR_V6);

	for (unsigned i = 0; i < r->n_targets; i++) {
		struct plan_target t = r->targets[i];
		bool alone = (t.addr.family == ADDR_V4 ? v4 : v6) == 1;

		t.redirect = t.loopback && alone && listens_on_wildcard(j, t.target, t.addr.family);
		if (t.addr.family == ADDR_V6 && t.loopback && !t.redirect) {
			j->dropped_loopback_v6 = true;
			if (t.host->kind == HOST_ADDR && !j->written_loopback_v6)
				j->written_loopback_v6 = t.host;
			continue;
		}
		r->targets[kept++] = t;
	}
	r->n_targets = kept;
}

static bool clients_may_be(const struct cfg_match *m, int family)
{
	bool listens = !m->n_addresses;

	for (unsigned i = 0; i < m->n_addresses; i++)
		listens |= m->addresses[i].family == family;
	return listens && (!m->has_client_ip || addr_set_has_family(&m->client_ip, family));
}

/* Slots hold either whole addresses with ports, or addresses alone: not both in one route. */
static bool port_kinds_differ(const struct plan_route *r)
{
	for (unsigned i = 1; i < r->n_targets; i++) {
		const struct cfg_target *a = r->targets[0].target, *b = r->targets[i].target;

		if (a->port_kind != b->port_kind ||
		    (a->port_kind == PORT_OFFSET && a->port != b->port))
			return true;
	}
	return false;
}

static void check_offset(struct job *j)
{
	const struct cfg_match *m = &j->r->route->match;

	for (unsigned i = 0; i < j->r->n_targets; i++) {
		const struct cfg_target *t = j->r->targets[i].target;

		for (unsigned k = 0; k < m->n_ports && t->port_kind == PORT_OFFSET; k++) {
			int lo = m->ports[k].from + t->port, hi = m->ports[k].to + t->port;

			if (lo >= 1 && hi <= 65535)
				continue;
			plan_error(j->p, j->d, j->r->route, t->port_loc, NULL,
				   "offset %+d takes port %u of route \"%s\" to %d: target ports "
				   "are 1 to 65535",
				   t->port, lo < 1 ? m->ports[k].from : m->ports[k].to,
				   j->r->route->name, lo < 1 ? lo : hi);
			return;
		}
	}
}

static bool route_has_names(const struct cfg_route *r)
{
	for (unsigned i = 0; i < r->action.n_targets; i++)
		for (unsigned k = 0; k < r->action.targets[i].n_hosts; k++)
			if (r->action.targets[i].hosts[k].kind == HOST_NAME)
				return true;
	return false;
}

/* The weight where one alone is the cause, else the targets. */
static struct loc idle_loc(const struct cfg_action *a)
{
	if (a->n_targets == 1 && !a->targets[0].weight && a->targets[0].weight_loc.line)
		return a->targets[0].weight_loc;
	return a->targets_loc.line ? a->targets_loc : a->loc;
}

static int kernel_targets(struct job *j)
{
	struct plan_route *r = j->r;
	const struct cfg_match *m = &r->route->match;
	unsigned errors = j->d->errors;
	int rc = collect_targets(j);

	if (rc)
		return rc;
	settle_loopback(j);
	if (plan_tag_targets(r) || plan_mark_down(r, j->f))
		return -ENOMEM;
	check_offset(j);
	if (port_kinds_differ(r))
		need(r, TIER_RELAY, "targets that differ in how the port is made",
		     r->route->action.loc);
	if (j->written_loopback_v6)
		need(r, TIER_RELAY, loopback_v6_reason, j->written_loopback_v6->loc);
	r->v4 = plan_count_targets(r, ADDR_V4) && clients_may_be(m, ADDR_V4);
	r->v6 = plan_count_targets(r, ADDR_V6) && clients_may_be(m, ADDR_V6);
	if (r->v4 || r->v6 || j->d->errors > errors)
		return 0;
	if (j->dropped_loopback_v6)
		need(r, TIER_RELAY, loopback_v6_reason, r->route->action.loc);
	else if (r->n_targets)
		need(r, TIER_RELAY, "clients of one address family, targets of the other",
		     r->route->action.loc);
	else if (!route_has_names(r->route))
		plan_error(j->p, j->d, r->route, idle_loc(&r->route->action),
			   "give one target a weight above 0 and no \"backup\"",
			   "route \"%s\" has no target that takes connections", r->route->name);
	return 0;
}

/* Everything of a match besides port, protocol, local and client address needs the first bytes. */
static bool decides_early(const struct cfg_match *m)
{
	return !m->domains.n && !m->path && !m->headers.n && !m->query.n && !m->methods.n &&
	       !m->tls_versions.n && (!m->protocol || !strcmp(m->protocol, "tcp"));
}

/* What user space has to do on a port that a kernel route serves for other clients. */
static const char *shared_port_need(const struct config *c, const struct plan_route *pr,
				    struct loc *loc)
{
	const struct cfg_route *r = pr->route;

	if (c->accept_proxy_protocol && (pr->transport & TRANSPORT_TCP)) {
		*loc = c->accept_proxy_protocol_loc;
		return "PROXY protocol from the peers in proxyIPs";
	}
	if (c->default_target && r->match.has_client_ip) {
		*loc = c->default_target->loc;
		return "defaults.target for clients that no route takes";
	}
	return NULL;
}

static void set_refusal(struct plan *p, struct plan_route *r)
{
	const char *what;

	r->refusal_loc = r->reason_loc;
	if (!plan_has_tier(p, r->tier)) {
		r->refusal = arena_printf(&p->arena, "needs the %s tier: %s (not in this version)",
					  tier_name(r->tier), r->reason);
		return;
	}
	what = p->have_relay ? NULL : shared_port_need(p->config, r, &r->refusal_loc);
	if (what)
		r->refusal = arena_printf(&p->arena,
					  "needs the relay tier: %s (not in this version)", what);
}

static bool preserves_source(const struct config *c, const struct cfg_route *r)
{
	if (r->action.nftables && r->action.nftables->has_preserve_source_ip)
		return r->action.nftables->preserve_source_ip;
	return c->preserve_source_ip;
}

int plan_route_init(struct plan *p, struct plan_route *r, const struct plan_facts *f,
		    struct diags *d)
{
	struct job j = { .p = p, .r = r, .f = f, .d = d };
	int rc = 0;

	for (const struct cfg_need *n = r->route->needs; n; n = n->next)
		if (!n->tcp_only || (r->transport & TRANSPORT_TCP))
			need(r, n->tier, n->reason, n->loc);
	r->decides_early = decides_early(&r->route->match);
	r->preserve_source = preserves_source(p->config, r->route);
	if (r->tier == TIER_NFTABLES)
		rc = kernel_targets(&j);
	if (r->tier == TIER_NFTABLES) {
		r->reason = "decided by port, protocol and client address alone";
		r->reason_loc = r->route->loc;
	} else {
		r->v4 = r->v6 = false;
		r->n_targets = 0; /* others choose among all that the file names */
	}
	r->own_tier = r->tier;
	set_refusal(p, r);
	return rc;
}
