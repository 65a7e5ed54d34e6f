/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Client intervals of one cell. The competitors are walked best first over the
 * set of client addresses that nobody has taken yet. What a route takes that
 * needs the first bytes, or another tier, becomes a gap: user space decides
 * there. So a later kernel route keeps the clients that no earlier one wants.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/plan_internal.h"

static struct addr_range everyone(int family)
{
	struct addr_range r = { { .family = (uint8_t)family }, { .family = (uint8_t)family } };

	memset(r.hi.bytes, 0xff, addr_len(&r.hi));
	return r;
}

/* The open clients: sorted and disjoint, as in a sealed set. */
struct walk {
	struct addr_set open, rest;
	struct plan_interval *won;
	unsigned n_won, cap_won;
};

static int walk_win(struct walk *w, const struct addr_range *r, const struct plan_route *winner)
{
	if (w->n_won == w->cap_won) {
		unsigned cap = w->cap_won ? w->cap_won * 2 : 16;
		struct plan_interval *v = realloc(w->won, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		w->won = v;
		w->cap_won = cap;
	}
	w->won[w->n_won++] = (struct plan_interval){ *r, winner };
	return 0;
}

static const struct addr *addr_min(const struct addr *a, const struct addr *b)
{
	return addr_cmp(a, b) <= 0 ? a : b;
}

static const struct addr *addr_max(const struct addr *a, const struct addr *b)
{
	return addr_cmp(a, b) >= 0 ? a : b;
}

/* The first of the sorted ranges that does not end before a. */
static size_t first_from(const struct addr_set *s, const struct addr *a)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr_cmp(&s->v[mid].hi, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Takes `clients` out of one open range; what is left goes to w->rest. */
static int take_from(struct walk *w, struct addr_range open, const struct addr_set *clients,
		     const struct plan_route *winner)
{
	for (size_t i = first_from(clients, &open.lo); i < clients->n; i++) {
		const struct addr_range *c = &clients->v[i];
		struct addr_range hit, before;
		int rc = 0;

		if (addr_cmp(&c->lo, &open.hi) > 0)
			break;
		hit.lo = *addr_max(&c->lo, &open.lo);
		hit.hi = *addr_min(&c->hi, &open.hi);
		before = (struct addr_range){ open.lo, hit.lo };
		if (addr_cmp(&open.lo, &hit.lo) < 0 && addr_prev(&before.hi))
			rc = addr_set_add(&w->rest, &before);
		if (!rc && winner)
			rc = walk_win(w, &hit, winner);
		if (rc)
			return rc;
		open.lo = hit.hi;
		if (!addr_next(&open.lo) || addr_cmp(&open.lo, &open.hi) > 0)
			return 0;
	}
	return addr_set_add(&w->rest, &open);
}

static int walk_take(struct walk *w, const struct addr_set *clients,
		     const struct plan_route *winner)
{
	struct addr_set done;

	w->rest.n = 0;
	for (size_t i = 0; i < w->open.n; i++)
		if (take_from(w, w->open.v[i], clients, winner))
			return -ENOMEM;
	done = w->open;
	w->open = w->rest;
	w->rest = done;
	return 0;
}

static bool serves_in_kernel(const struct plan_route *r, int family)
{
	return r->decides_early && r->tier == TIER_NFTABLES && (family == ADDR_V4 ? r->v4 : r->v6);
}

static int interval_cmp(const void *a, const void *b)
{
	const struct plan_interval *x = a, *y = b;

	return addr_cmp(&x->clients.lo, &y->clients.lo);
}

/* Neighbours with one winner become one interval; a single one over everybody becomes `all`. */
static int store(struct plan *p, struct walk *w, int family, struct plan_family *out)
{
	struct addr_range all = everyone(family);
	unsigned n = 0;

	if (!w->n_won)
		return 0;
	qsort(w->won, w->n_won, sizeof(*w->won), interval_cmp);
	for (unsigned i = 1; i < w->n_won; i++) {
		struct addr after = w->won[n].clients.hi;

		if (w->won[i].winner == w->won[n].winner && addr_next(&after) &&
		    !addr_cmp(&after, &w->won[i].clients.lo))
			w->won[n].clients.hi = w->won[i].clients.hi;
		else
			w->won[++n] = w->won[i];
	}
	n++;
	if (n == 1 && !addr_cmp(&w->won[0].clients.lo, &all.lo) &&
	    !addr_cmp(&w->won[0].clients.hi, &all.hi)) {
		out->all = w->won[0].winner;
		return 0;
	}
	out->v = arena_alloc(&p->arena, n * sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	memcpy(out->v, w->won, n * sizeof(*out->v));
	out->n = n;
	return 0;
}

static int decide_family(struct plan *p, struct plan_cell *cell, int family,
			 struct plan_family *out)
{
	struct addr_range all = everyone(family);
	struct addr_set anybody = { &all, 1, 1 };
	const struct config *c = p->config;
	struct walk w = { 0 }, unclaimed = { 0 };
	int rc;

	if (cell->address.family != ADDR_NONE && cell->address.family != family)
		return 0;
	rc = addr_set_add(&w.open, &all);
	rc = rc ? rc : addr_set_add(&unclaimed.open, &all);
	/* Peers that announce others by the PROXY protocol are user space's on every TCP port. */
	if (!rc && c->accept_proxy_protocol && cell->proto == IPPROTO_TCP)
		rc = walk_take(&w, &c->proxy_ips, NULL);
	for (unsigned i = 0; i < cell->n_order && !rc && unclaimed.open.n; i++) {
		struct plan_route *r = cell->order[i];
		const struct cfg_match *m = &r->route->match;
		const struct addr_set *clients = m->has_client_ip ? &m->client_ip : &anybody;

		r->reached |= addr_set_overlaps(&unclaimed.open, clients);
		/* A route that needs the first bytes leaves the others a chance. */
		if (r->decides_early)
			rc = walk_take(&unclaimed, clients, NULL);
		if (!rc && w.open.n)
			rc = walk_take(&w, clients, serves_in_kernel(r, family) ? r : NULL);
	}
	if (!rc)
		rc = store(p, &w, family, out);
	addr_set_fini(&w.open);
	addr_set_fini(&w.rest);
	addr_set_fini(&unclaimed.open);
	addr_set_fini(&unclaimed.rest);
	free(w.won);
	return rc;
}

/* The common case, without any set: one competitor, all clients. */
static bool decide_simple(struct plan *p, struct plan_cell *cell)
{
	struct plan_route *r = cell->order[0];

	if (cell->n_order > 1 || r->route->match.has_client_ip || p->config->accept_proxy_protocol)
		return false;
	r->reached = true;
	if (serves_in_kernel(r, ADDR_V4) && cell->address.family != ADDR_V6)
		cell->v4.all = r;
	if (serves_in_kernel(r, ADDR_V6) && cell->address.family != ADDR_V4)
		cell->v6.all = r;
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
