/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tier of a route among the others. On a port, from the first route that is
 * not the kernel's, the rest belongs to user space: a route that could be the
 * kernel's by its own keys is not when one before it needs the first bytes. It
 * then has the tier of that one. Where that concerns some of its ports only, it
 * stays the kernel's, and those ports are kept in a list.
 *
 * What a route cannot run because of another is no refusal of its own: the
 * other one is told, and that is the one to change.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "ctl/plan/plan_internal.h"
#include "ctl/plan/plan_sweep.h"

static const char proxy_peers[] = "PROXY protocol from the peers in proxyIPs";

bool plan_has_tier(const struct plan *p, enum tier t)
{
	return t == TIER_NFTABLES || (t == TIER_RELAY ? p->have_relay : p->have_proxy);
}

const char *plan_ports_text(const struct plan_behind *b, char out[PLAN_PORTS_TEXT])
{
	char address[ADDR_TEXT] = "", to[8] = "";

	if (b->address.family != ADDR_NONE)
		addr_format(&b->address, address);
	if (b->to != b->from)
		snprintf(to, sizeof(to), "-%u", b->to);
	snprintf(out, PLAN_PORTS_TEXT, "%s%s%s/%u%s", address, *address ? " " : "",
		 b->proto == IPPROTO_TCP ? "tcp" : "udp", b->from, to);
	return out;
}

static struct plan_behind behind_in(const struct plan_cell *cell, const struct plan_route *before)
{
	return (struct plan_behind){ .cell = cell,
				     .address = cell->address,
				     .proto = cell->proto,
				     .from = cell->from,
				     .to = cell->to,
				     .before = before };
}

/* Before which the kernel serves nothing; NULL = the peers in proxyIPs. */
static enum tier tier_before(const struct plan_route *before)
{
	return before && before->own_tier > TIER_RELAY ? before->own_tier : TIER_RELAY;
}

/* To reach what is behind several routes, all of them must have had what they need. */
static bool is_better(const struct plan_route *a, const struct plan_route *b)
{
	if (tier_before(a) != tier_before(b))
		return tier_before(a) > tier_before(b);
	return b && (!a || a->rank < b->rank);
}

/* ---- collecting, cell by cell ---- */

/* Its cell is done: are its ports those next to the ones before, with the same cause? */
static bool joins(struct plan_behind *b)
{
	struct plan_behind *prev = b->prev;

	if (!prev || prev->proto != b->proto || prev->before != b->before ||
	    prev->partly != b->partly || prev->to + 1 != b->from ||
	    addr_cmp(&prev->address, &b->address))
		return false;
	prev->to = b->to;
	prev->cell = b->cell;
	return true;
}

static struct plan_behind *new_behind(struct plan *p, struct plan_route *r)
{
	struct plan_behind *b = arena_alloc(&p->arena, sizeof(*b));

	if (!b)
		return NULL;
	*b = (struct plan_behind){ .prev = r->behind_last };
	if (r->behind_last)
		r->behind_last->next = b;
	else
		r->behind = b;
	r->behind_last = b;
	r->n_behind++;
	return b;
}

int plan_note_behind(struct plan *p, const struct plan_cell *cell, struct plan_route *r,
		     const struct plan_route *before)
{
	struct plan_behind *b = r->behind_last, *prev;

	if (!r->front_cell || is_better(before, r->front)) {
		r->front = before;
		r->front_cell = cell;
	}
	if (b && b->cell == cell) {
		b->before = is_better(before, b->before) ? before : b->before;
		return 0;
	}
	if (!b || !joins(b)) {
		if (r->n_behind == PLAN_BEHIND_KEPT) {
			r->behind_more = true;
			return 0;
		}
		b = new_behind(p, r);
		if (!b)
			return -ENOMEM;
	}
	prev = b->prev;
	*b = behind_in(cell, before);
	b->prev = prev;
	b->partly = r->won_in == cell;
	return 0;
}

void plan_note_win(const struct plan_cell *cell, struct plan_route *r)
{
	r->in_kernel = true;
	r->won_in = cell;
	if (r->behind_last && r->behind_last->cell == cell)
		r->behind_last->partly = true;
}

void plan_note_taken(const struct plan_cell *cell, struct plan_route *r,
		     const struct plan_route *taker)
{
	if (r->taker && (r->taker->own_tier == TIER_NFTABLES || taker->own_tier != TIER_NFTABLES))
		return;
	r->taker = taker;
	r->taken_in = cell;
}

/* ---- the whole route ---- */

const char *plan_behind_reason(const struct plan_behind *b, char *out, size_t cap)
{
	char ports[PLAN_PORTS_TEXT];

	if (b->before)
		snprintf(out, cap, "route \"%s\" before it on %s %s", b->before->route->name,
			 plan_ports_text(b, ports),
			 b->before->decides_early ? "takes its connections"
						  : "needs the first bytes");
	else
		snprintf(out, cap, "%s", proxy_peers);
	return out;
}

static void refuse(struct plan *p, struct plan_route *r, char *refusal)
{
	if (r->refusal || !refusal)
		return;
	r->refusal = refusal;
	r->refusal_follows = true;
	p->refused++;
}

/* The kernel has nothing of it. */
static int move(struct plan *p, struct plan_route *r, const struct plan_behind *b)
{
	char reason[300];

	r->reason = arena_strdup(&p->arena, plan_behind_reason(b, reason, sizeof(reason)));
	if (!r->reason)
		return -ENOMEM;
	r->tier = tier_before(b->before);
	r->reason_loc = b->before ? b->before->reason_loc : p->config->accept_proxy_protocol_loc;
	r->v4 = r->v6 = false;
	r->n_targets = 0; /* as of other routes that are not the kernel's */
	if (!plan_has_tier(p, r->tier))
		refuse(p, r,
		       arena_printf(&p->arena, "needs the %s tier: %s (not in this version)",
				    tier_name(r->tier), r->reason));
	return 0;
}

/* The kernel has some of it, b is of the rest what asks for most. */
static void share(struct plan *p, struct plan_route *r, const struct plan_behind *b)
{
	char reason[300];

	if (plan_has_tier(p, tier_before(b->before)))
		return;
	refuse(p, r,
	       arena_printf(&p->arena, "needs the %s tier in part: %s (not in this version)",
			    tier_name(tier_before(b->before)),
			    plan_behind_reason(b, reason, sizeof(reason))));
}

/* A file that demands the kernel tier does not get another one because of a neighbour. */
static void check_demand(struct plan *p, const struct plan_route *r, const struct plan_behind *b,
			 struct diags *d)
{
	const struct cfg_action *a = &r->route->action;
	char reason[300];

	if (a->engine != ENGINE_NFTABLES || !b->before)
		return;
	plan_error(p, d, r->route, a->engine_loc,
		   "give it a higher priority or a port of its own, or leave forwardingEngine out",
		   "forwardingEngine \"nftables\" cannot be had: %s (%s:%u:%u)",
		   plan_behind_reason(b, reason, sizeof(reason)), b->before->reason_loc.file,
		   b->before->reason_loc.line, b->before->reason_loc.col);
}

/* What of it asks for most: the entry, or its cell where that was not kept. */
static struct plan_behind front_of(const struct plan_route *r)
{
	for (const struct plan_behind *b = r->behind; b; b = b->next)
		if (b->before == r->front)
			return *b;
	return behind_in(r->front_cell, r->front);
}

static int settle(struct plan *p, struct plan_route *r, struct diags *d)
{
	struct plan_behind b;

	if (r->own_tier != TIER_NFTABLES)
		return 0;
	if (r->behind && joins(r->behind_last)) {
		r->behind_last = r->behind_last->prev;
		r->behind_last->next = NULL;
	}
	if (r->behind)
		b = front_of(r);
	else if (!r->reached && r->taker && r->taker->own_tier != TIER_NFTABLES)
		b = behind_in(r->taken_in, r->taker);
	else
		return 0;
	check_demand(p, r, &b, d);
	if (!r->in_kernel)
		return move(p, r, &b);
	share(p, r, &b);
	return 0;
}

int plan_settle_tiers(struct plan *p, struct diags *d)
{
	int rc = 0;

	for (unsigned i = 0; i < p->n_routes && !rc; i++)
		rc = settle(p, &p->routes[i], d);
	return rc;
}

/* ---- one connection ---- */

static bool takes_client(const struct cfg_match *m, const struct addr *client)
{
	return !m->has_client_ip ||
	       (client->family != ADDR_NONE && addr_set_has(&m->client_ip, client));
}

struct plan_border plan_find_border(const struct plan *p, const struct plan_cell *cell,
				    const struct addr *client)
{
	struct plan_border b = { 0 };

	if (plan_cell_accepts(p, cell) && client->family != ADDR_NONE &&
	    addr_set_has(&p->config->proxy_ips, client))
		return b;
	for (; b.order < cell->n_order; b.order++) {
		b.route = cell->order[b.order];
		if (b.route->own_tier != TIER_NFTABLES &&
		    takes_client(&b.route->route->match, client))
			return b;
	}
	b.route = NULL;
	return b;
}

static bool clients_overlap(const struct cfg_match *a, const struct cfg_match *b)
{
	return !a->has_client_ip || !b->has_client_ip ||
	       addr_set_overlaps(&a->client_ip, &b->client_ip);
}

static bool peers_are_clients(const struct plan *p, const struct plan_cell *cell,
			      const struct cfg_match *m)
{
	return plan_cell_accepts(p, cell) &&
	       (!m->has_client_ip || addr_set_overlaps(&p->config->proxy_ips, &m->client_ip));
}

/* What some clients of competitor number i must pass before it; false = nothing. */
static bool find_before(const struct plan *p, const struct plan_cell *cell, unsigned i,
			const struct plan_route **before)
{
	const struct cfg_match *m = &cell->order[i]->route->match;
	bool found = peers_are_clients(p, cell, m);

	*before = NULL;
	for (unsigned k = 0; k < i; k++) {
		const struct plan_route *r = cell->order[k];

		if (r->decides_early || !clients_overlap(&r->route->match, m))
			continue;
		*before = !found || is_better(r, *before) ? r : *before;
		found = true;
	}
	return found;
}

static bool wins_in(const struct plan_cell *cell, const struct plan_route *r)
{
	const struct plan_family *const families[] = { &cell->v4, &cell->v6 };

	for (unsigned f = 0; f < 2; f++) {
		if (families[f]->all == r)
			return true;
		for (unsigned i = 0; i < families[f]->n; i++)
			if (families[f]->v[i].winner == r)
				return true;
	}
	return false;
}

static void say(struct plan_service *s, enum tier tier, const char *reason)
{
	s->tier = tier;
	snprintf(s->reason, sizeof(s->reason), "%s", reason);
}

/* Which client asks is not known: some may be the kernel's and others not. */
static void serve_anybody(const struct plan *p, const struct plan_cell *cell, unsigned i,
			  struct plan_service *out)
{
	const struct plan_route *r = cell->order[i], *before;
	struct plan_behind b;
	char reason[300];

	say(out, r->tier, r->reason);
	if (!find_before(p, cell, i, &before))
		return;
	b = behind_in(cell, before);
	plan_behind_reason(&b, reason, sizeof(reason));
	if (!wins_in(cell, r))
		say(out, tier_before(before), reason);
	else
		snprintf(out->reason, sizeof(out->reason), "%s; for some clients not: %s",
			 r->reason, reason);
}

static bool lacks_family(const struct plan_route *r, const struct plan_conn *c)
{
	int family = c->client.family ? c->client.family : c->local.family;

	return r->tier == TIER_NFTABLES && r->n_targets &&
	       ((family == ADDR_V4 && !r->v4) || (family == ADDR_V6 && !r->v6));
}

/* From this host itself: nobody else can address it. */
static bool to_loopback_v6(const struct plan_conn *c)
{
	return c->local.family == ADDR_V6 && addr_is_loopback(&c->local);
}

void plan_serve(const struct plan *p, const struct plan_cell *cell, unsigned i,
		const struct plan_border *b, const struct plan_conn *c, struct plan_service *out)
{
	const struct plan_route *r = cell->order[i];
	struct plan_behind behind = behind_in(cell, b->route);
	char reason[300];

	for (unsigned k = b->order; k < i; k++)
		if (cell->order[k]->own_tier != TIER_NFTABLES &&
		    takes_client(&cell->order[k]->route->match, &c->client) &&
		    is_better(cell->order[k], behind.before))
			behind.before = cell->order[k];
	if (r->own_tier != TIER_NFTABLES)
		say(out, r->tier, r->reason);
	else if (i >= b->order)
		say(out, tier_before(behind.before),
		    plan_behind_reason(&behind, reason, sizeof(reason)));
	else if (to_loopback_v6(c))
		say(out, TIER_RELAY, "addressed to ::1 (IPv6 has no route_localnet)");
	else if (lacks_family(r, c))
		say(out, TIER_RELAY, "no target of the client's address family");
	else if (c->client.family == ADDR_NONE)
		serve_anybody(p, cell, i, out);
	else
		say(out, r->tier, r->reason);
	/* What the kernel leaves of a route of its own is served where user space listens. */
	out->runs = plan_has_tier(p, out->tier) && (out->tier != TIER_RELAY || cell->user);
}
