/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Client intervals of one cell. The client addresses of a family are swept from
 * low to high; between two places where some competitor's range begins or ends,
 * the best-ranked one whose range is open wins. What a route wins that needs
 * the first bytes, or another tier, becomes a gap: user space decides there.
 *
 * Rejected: taking each route's clients out of the set of those that nobody has
 * yet. That set is walked once per route, so that routes which differ by client
 * only cost the square of their number.
 *
 * A range that ended stays in its heap until it comes to the top; when the next
 * range of that route begins meanwhile, it is simply open again.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/plan/plan_internal.h"
#include "ctl/plan/plan_sweep.h"

struct walk {
	struct plan *p;
	const struct plan_cell *cell;
	int family;
	struct claim *claims;
	struct claim **room;   /* of the five heaps, and of opened */
	struct claim **opened; /* those with a range that begins where the walk stands */
	unsigned n_opened;
	struct claim_heap waiting;   /* by where the next range begins */
	struct claim_heap early;     /* by rank: decided by port, protocol and client alone */
	struct claim_heap late;	     /* by rank: those that need the first bytes; proxyIPs */
	struct claim_heap proxy;     /* by rank: what of `late` needs the proxy tier */
	struct claim_heap unreached; /* by rank: what of `late` was not reached yet */
	struct plan_interval *won;
	unsigned n_won, cap_won;
};

static int walk_init(struct walk *w, unsigned n)
{
	w->claims = calloc(n, sizeof(*w->claims));
	w->room = calloc(6 * (size_t)n, sizeof(struct claim *));
	if (!w->claims || !w->room)
		return -ENOMEM;
	w->waiting = (struct claim_heap){ w->room, 0, claim_begins_before };
	w->early = (struct claim_heap){ w->room + n, 0, claim_ranks_before };
	w->late = (struct claim_heap){ w->room + 2 * (size_t)n, 0, claim_ranks_before };
	w->unreached = (struct claim_heap){ w->room + 3 * (size_t)n, 0, claim_ranks_before };
	w->proxy = (struct claim_heap){ w->room + 4 * (size_t)n, 0, claim_ranks_before };
	w->opened = w->room + 5 * (size_t)n;
	return 0;
}

static void walk_fini(struct walk *w)
{
	free(w->claims);
	free(w->room);
	free(w->won);
}

static void add_claim(struct walk *w, unsigned order, struct plan_route *r,
		      const struct addr_set *clients)
{
	struct claim *c = &w->claims[order];

	c->route = r;
	c->order = order;
	if (claim_init(c, clients, w->family))
		claim_heap_push(&w->waiting, c);
}

/* Order 0 is kept for the peers that announce others by the PROXY protocol: on every TCP port
 * they are user space's. */
static void add_claims(struct walk *w, const struct plan_cell *cell)
{
	if (plan_cell_accepts(w->p, cell))
		add_claim(w, 0, NULL, &w->p->config->proxy_ips);
	for (unsigned i = 0; i < cell->n_order; i++) {
		struct plan_route *r = cell->order[i];

		add_claim(w, i + 1, r, match_clients(&r->route->match));
		/* Nothing is left for those behind it. */
		if (r->decides_early && !r->route->match.has_client_ip) {
			while (++i < cell->n_order)
				plan_note_taken(cell, cell->order[i], r);
			return;
		}
	}
}

/* The next range of each claim that begins at `at`. */
static void open_ranges(struct walk *w, const struct addr *at)
{
	w->n_opened = 0;
	while (w->waiting.n && !addr_cmp(&claim_heap_top(&w->waiting)->next->lo, at)) {
		struct claim *c = claim_begin_next(&w->waiting);
		bool early = c->route && c->route->decides_early;

		w->opened[w->n_opened++] = c;
		if (!early && c->route && c->route->own_tier == TIER_PROXY && !c->is_proxy) {
			claim_heap_push(&w->proxy, c);
			c->is_proxy = true;
		}
		if (!c->competes)
			claim_heap_push(early ? &w->early : &w->late, c);
		c->competes = true;
		if (early || !c->route || c->route->reached || c->unreached)
			continue;
		claim_heap_push(&w->unreached, c);
		c->unreached = true;
	}
}

static void drop_ended(struct walk *w, const struct addr *at)
{
	while (w->early.n && claim_ended(claim_heap_top(&w->early), at))
		claim_heap_pop(&w->early)->competes = false;
	while (w->late.n && claim_ended(claim_heap_top(&w->late), at))
		claim_heap_pop(&w->late)->competes = false;
	while (w->proxy.n && claim_ended(claim_heap_top(&w->proxy), at))
		claim_heap_pop(&w->proxy)->is_proxy = false;
}

/* Who begins behind one that decides early begins in vain. */
static void note_taken(const struct walk *w)
{
	const struct claim *best = claim_heap_top(&w->early);

	for (unsigned i = 0; best && i < w->n_opened; i++)
		if (w->opened[i]->route && best->order < w->opened[i]->order)
			plan_note_taken(w->cell, w->opened[i]->route, best->route);
}

/* Reached is who has no better-ranked route before him that decides early. A route that needs
 * the first bytes leaves the others a chance; so do proxyIPs. */
static void mark_reached(struct walk *w, const struct addr *at)
{
	const struct claim *best = claim_heap_top(&w->early);

	if (best)
		best->route->reached = true;
	while (w->unreached.n) {
		struct claim *c = claim_heap_top(&w->unreached);

		if (best && best->order < c->order)
			return;
		claim_heap_pop(&w->unreached);
		c->unreached = false;
		c->route->reached |= !claim_ended(c, at);
	}
}

static bool serves_in_kernel(const struct plan_route *r, int family)
{
	return r->decides_early && r->tier == TIER_NFTABLES && (family == ADDR_V4 ? r->v4 : r->v6);
}

/* Targets whose names nobody resolved may be of either family. */
static bool might_serve_in_kernel(const struct plan_route *r, int family)
{
	return serves_in_kernel(r, family) || (r->tier == TIER_NFTABLES && !r->n_targets);
}

/* *out: the kernel route that wins where the walk stands; NULL is a gap. 0 or -ENOMEM. */
static int find_winner(const struct walk *w, const struct plan_route **out)
{
	const struct claim *early = claim_heap_top(&w->early), *late = claim_heap_top(&w->late);
	const struct claim *proxy = claim_heap_top(&w->proxy);

	*out = NULL;
	if (!early)
		return 0;
	if (late && late->order < early->order) {
		if (!might_serve_in_kernel(early->route, w->family))
			return 0;
		if (proxy && proxy->order < early->order)
			late = proxy;
		return plan_note_behind(w->p, w->cell, early->route, late->route);
	}
	if (!serves_in_kernel(early->route, w->family))
		return 0;
	plan_note_win(w->cell, early->route);
	*out = early->route;
	return 0;
}

/* Neighbours with one winner become one interval. */
static int win(struct walk *w, const struct addr_range *r, const struct plan_route *route)
{
	struct plan_interval *last = w->n_won ? &w->won[w->n_won - 1] : NULL;
	struct addr after;

	if (last && last->winner == route) {
		after = last->clients.hi;
		if (addr_next(&after) && !addr_cmp(&after, &r->lo)) {
			last->clients.hi = r->hi;
			return 0;
		}
	}
	if (w->n_won == w->cap_won) {
		unsigned cap = w->cap_won ? w->cap_won * 2 : 16;
		struct plan_interval *v = realloc(w->won, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		w->won = v;
		w->cap_won = cap;
	}
	w->won[w->n_won++] = (struct plan_interval){ *r, route };
	return 0;
}

/* How far from `at` the winner cannot change. */
static struct addr steady_until(const struct walk *w)
{
	const struct claim *next = claim_heap_top(&w->waiting);
	const struct claim *tops[] = { claim_heap_top(&w->early), claim_heap_top(&w->late) };
	struct addr end = addr_everyone(w->family)->hi;

	if (next) {
		end = next->next->lo;
		addr_prev(&end); /* it is above where the walk stands */
	}
	for (unsigned i = 0; i < 2; i++)
		if (tops[i] && addr_cmp(&tops[i]->open->hi, &end) < 0)
			end = tops[i]->open->hi;
	return end;
}

static int sweep(struct walk *w)
{
	struct addr_range r = *addr_everyone(w->family);
	bool more = w->waiting.n > 0;

	while (more) {
		const struct plan_route *route;
		int rc;

		open_ranges(w, &r.lo);
		drop_ended(w, &r.lo);
		mark_reached(w, &r.lo);
		note_taken(w);
		r.hi = steady_until(w);
		rc = find_winner(w, &route);
		if (!rc && route)
			rc = win(w, &r, route);
		if (rc)
			return rc;
		r.lo = r.hi;
		more = addr_next(&r.lo) && (w->waiting.n || w->early.n || w->late.n);
	}
	return 0;
}

/* A single winner over everybody becomes `all`. */
static int store(struct plan *p, const struct walk *w, struct plan_family *out)
{
	const struct addr_range *all = addr_everyone(w->family);

	if (!w->n_won)
		return 0;
	if (w->n_won == 1 && !addr_cmp(&w->won[0].clients.lo, &all->lo) &&
	    !addr_cmp(&w->won[0].clients.hi, &all->hi)) {
		out->all = w->won[0].winner;
		return 0;
	}
	out->v = arena_alloc(&p->arena, w->n_won * sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	memcpy(out->v, w->won, w->n_won * sizeof(*out->v));
	out->n = w->n_won;
	return 0;
}

static int decide_family(struct plan *p, struct plan_cell *cell, int family,
			 struct plan_family *out)
{
	struct walk w = { .p = p, .cell = cell, .family = family };
	int rc;

	if (cell->address.family != ADDR_NONE && cell->address.family != family)
		return 0;
	rc = walk_init(&w, cell->n_order + 1);
	if (!rc) {
		add_claims(&w, cell);
		rc = sweep(&w);
	}
	if (!rc)
		rc = store(p, &w, out);
	walk_fini(&w);
	return rc;
}

/* The common case, without any set: one competitor, all clients. */
static bool decide_simple(struct plan *p, struct plan_cell *cell)
{
	struct plan_route *r = cell->order[0];

	if (cell->n_order > 1 || r->route->match.has_client_ip || plan_cell_accepts(p, cell))
		return false;
	r->reached = true;
	if (serves_in_kernel(r, ADDR_V4) && cell->address.family != ADDR_V6)
		cell->v4.all = r;
	if (serves_in_kernel(r, ADDR_V6) && cell->address.family != ADDR_V4)
		cell->v6.all = r;
	r->in_kernel |= cell->v4.all || cell->v6.all;
	return true;
}

int plan_cell_decide(struct plan *p, struct plan_cell *cell)
{
	int rc;

	if (decide_simple(p, cell))
		return 0;
	rc = decide_family(p, cell, ADDR_V4, &cell->v4);
	return rc ? rc : decide_family(p, cell, ADDR_V6, &cell->v6);
}
