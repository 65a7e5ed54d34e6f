/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cutting the port space into cells. For each listen address and protocol the
 * ports of all routes are swept from low to high; between two boundaries the
 * set of competing routes is constant. An address that some route names gets
 * cells of its own where that route listens, and the routes for all addresses
 * compete there, too: a lookup never falls back from an address to "all".
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/plan/plan_internal.h"

struct span {
	uint32_t from, to; /* ports, both included; 32 bits so that to + 1 fits */
	struct plan_route *route;
	bool own; /* the route names the address that is being swept */
};

/* One route at one of its listen addresses (ADDR_NONE: at all). */
struct listen {
	struct addr address;
	struct plan_route *route;
};

/* Cells are found by index: the array that holds them may move. */
struct cell_range {
	unsigned from, to; /* to is not included */
};

struct sweep {
	struct plan *p;
	struct diags *d;
	struct span *spans; /* sorted by from */
	size_t n, cap;
	uint32_t *bounds; /* sorted, distinct */
	size_t n_bounds;
	struct span **active;
	size_t n_active;
	size_t competitors;
	struct cell_range all[2]; /* TCP, UDP: of the routes that name no address */
};

static int add_span(struct sweep *s, uint32_t from, uint32_t to, struct plan_route *r, bool own)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct span *v = realloc(s->spans, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->spans = v;
		s->cap = cap;
	}
	s->spans[s->n++] = (struct span){ from, to, r, own };
	return 0;
}

static unsigned transport_bit(uint8_t proto)
{
	return proto == IPPROTO_TCP ? TRANSPORT_TCP : TRANSPORT_UDP;
}

static int span_cmp(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* The first of those cells that reaches up to that port or beyond. */
static unsigned first_cell(const struct sweep *s, struct cell_range all, uint32_t port)
{
	unsigned lo = all.from, hi = all.to;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (s->p->cells[mid].to < port)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Where the spans so far, sorted, meet routes without address, those compete, too. */
static int add_competitors(struct sweep *s, struct cell_range all)
{
	size_t n_own = s->n;
	unsigned next = all.from;

	for (size_t i = 0; i < n_own; i++) {
		uint32_t to = s->spans[i].to;
		unsigned c = first_cell(s, all, s->spans[i].from);

		for (c = c > next ? c : next; c < all.to && s->p->cells[c].from <= to; c++) {
			const struct plan_cell *cell = &s->p->cells[c];

			for (unsigned k = 0; k < cell->n_order; k++)
				if (add_span(s, cell->from, cell->to, cell->order[k], false))
					return -ENOMEM;
			next = c + 1;
		}
	}
	return 0;
}

/* All ports of the routes that compete at one address: l[0..n) name it. */
static int collect_spans(struct sweep *s, const struct listen *l, size_t n, uint8_t proto)
{
	s->n = 0;
	for (size_t i = 0; i < n; i++) {
		const struct cfg_match *m = &l[i].route->route->match;

		if (!(l[i].route->transport & transport_bit(proto)))
			continue;
		for (unsigned k = 0; k < m->n_ports; k++)
			if (add_span(s, m->ports[k].from, m->ports[k].to, l[i].route, true))
				return -ENOMEM;
	}
	if (s->n)
		qsort(s->spans, s->n, sizeof(*s->spans), span_cmp);
	return add_competitors(s, s->all[proto == IPPROTO_UDP]);
}

static int u32_cmp(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int sort_bounds(struct sweep *s)
{
	size_t n = 0;

	free(s->bounds);
	free(s->active);
	s->n_bounds = 0;
	s->bounds = calloc(s->n * 2 + 1, sizeof(*s->bounds));
	s->active = calloc(s->n + 1, sizeof(struct span *));
	if (!s->bounds || !s->active)
		return -ENOMEM;
	if (!s->n)
		return 0;
	qsort(s->spans, s->n, sizeof(*s->spans), span_cmp);
	for (size_t i = 0; i < s->n; i++) {
		s->bounds[2 * i] = s->spans[i].from;
		s->bounds[2 * i + 1] = s->spans[i].to + 1;
	}
	qsort(s->bounds, s->n * 2, sizeof(*s->bounds), u32_cmp);
	for (size_t i = 0; i < s->n * 2; i++)
		if (!i || s->bounds[i] != s->bounds[n - 1])
			s->bounds[n++] = s->bounds[i];
	s->n_bounds = n;
	return 0;
}

static int rank_cmp(const void *a, const void *b)
{
	const struct plan_route *const *x = a, *const *y = b;

	return (*x)->rank < (*y)->rank ? -1 : (*x)->rank > (*y)->rank;
}

static struct plan_cell *new_cell(struct plan *p)
{
	if (p->n_cells == p->cap_cells) {
		unsigned cap = p->cap_cells ? p->cap_cells * 2 : 64;
		struct plan_cell *v = realloc(p->cells, cap * sizeof(*v));

		if (!v)
			return NULL;
		p->cells = v;
		p->cap_cells = cap;
	}
	memset(&p->cells[p->n_cells], 0, sizeof(*p->cells));
	return &p->cells[p->n_cells++];
}

static void refuse_overlap(struct sweep *s, const struct cfg_route *r)
{
	plan_error(
		s->p, s->d, r, r->match.ports_loc,
		"use fewer overlapping port ranges, or fewer listen addresses: routes without an "
		"address compete again at every address that another names",
		"too many routes overlap on the same ports: more than %u pairs of route and port "
		"range, counted anew at each listen address",
		PLAN_MAX_COMPETITORS);
}

static int add_cell(struct sweep *s, const struct addr *address, uint8_t proto, uint32_t from,
		    uint32_t to)
{
	struct plan_cell *cell;
	bool own = false;

	for (size_t i = 0; i < s->n_active; i++)
		own |= s->active[i]->own;
	if (!own)
		return 0;
	s->competitors += s->n_active;
	if (s->competitors > PLAN_MAX_COMPETITORS) {
		refuse_overlap(s, s->active[0]->route->route);
		return -E2BIG;
	}
	cell = new_cell(s->p);
	if (!cell)
		return -ENOMEM;
	cell->address = *address;
	cell->proto = proto;
	cell->from = (uint16_t)from;
	cell->to = (uint16_t)to;
	cell->order = arena_alloc(&s->p->arena, s->n_active * sizeof(struct plan_route *));
	if (!cell->order)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_active; i++)
		cell->order[i] = s->active[i]->route;
	cell->n_order = (unsigned)s->n_active;
	if (cell->n_order > 1)
		qsort(cell->order, cell->n_order, sizeof(struct plan_route *), rank_cmp);
	return 0;
}

static int sweep_ports(struct sweep *s, const struct addr *address, uint8_t proto)
{
	size_t next = 0;

	if (sort_bounds(s))
		return -ENOMEM;
	s->n_active = 0;
	for (size_t i = 0; i + 1 < s->n_bounds; i++) {
		uint32_t at = s->bounds[i];
		size_t keep = 0;
		int rc;

		for (size_t k = 0; k < s->n_active; k++)
			if (s->active[k]->to >= at)
				s->active[keep++] = s->active[k];
		s->n_active = keep;
		while (next < s->n && s->spans[next].from == at)
			s->active[s->n_active++] = &s->spans[next++];
		rc = s->n_active ? add_cell(s, address, proto, at, s->bounds[i + 1] - 1) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

static int listen_cmp(const void *a, const void *b)
{
	const struct listen *x = a, *y = b;
	int rc = addr_cmp(&x->address, &y->address);

	return rc ? rc : rank_cmp(&x->route, &y->route);
}

/* Every route at each address that it names, sorted: those that name none come first. */
static int collect_listens(const struct plan *p, struct listen **out, size_t *n_out)
{
	size_t n = p->n_routes, k = 0, m = 0;
	struct listen *v;

	for (unsigned i = 0; i < p->n_routes; i++)
		n += p->routes[i].route->match.n_addresses;
	v = calloc(n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < p->n_routes; i++) {
		const struct cfg_match *match = &p->routes[i].route->match;

		if (!match->n_addresses)
			v[k++].route = &p->routes[i];
		for (unsigned a = 0; a < match->n_addresses; a++)
			v[k++] = (struct listen){ match->addresses[a], &p->routes[i] };
	}
	qsort(v, k, sizeof(*v), listen_cmp);
	for (size_t i = 0; i < k; i++)
		if (!i || listen_cmp(&v[m - 1], &v[i]))
			v[m++] = v[i];
	*out = v;
	*n_out = m;
	return 0;
}

/* l[0..n) listen at the same address. */
static int sweep_address(struct sweep *s, const struct listen *l, size_t n)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };

	for (unsigned i = 0; i < 2; i++) {
		unsigned from = s->p->n_cells;
		int rc = collect_spans(s, l, n, protos[i]);

		if (!rc)
			rc = sweep_ports(s, &l->address, protos[i]);
		if (rc)
			return rc;
		if (l->address.family == ADDR_NONE)
			s->all[i] = (struct cell_range){ from, s->p->n_cells };
	}
	return 0;
}

int plan_build_cells(struct plan *p, struct diags *d)
{
	struct sweep s = { .p = p, .d = d };
	struct listen *l = NULL;
	size_t n = 0;
	int rc = collect_listens(p, &l, &n);

	for (size_t i = 0, end; i < n && !rc; i = end) {
		for (end = i + 1; end < n && !addr_cmp(&l[end].address, &l[i].address); end++)
			;
		rc = sweep_address(&s, l + i, end - i);
	}
	free(l);
	free(s.spans);
	free(s.bounds);
	free(s.active);
	return rc;
}
