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

static bool names_address(const struct cfg_match *m, const struct addr *address)
{
	for (unsigned i = 0; i < m->n_addresses; i++)
		if (!addr_cmp(&m->addresses[i], address))
			return true;
	return false;
}

static unsigned transport_bit(uint8_t proto)
{
	return proto == IPPROTO_TCP ? TRANSPORT_TCP : TRANSPORT_UDP;
}

/* All ports of the routes that listen at `address` (ADDR_NONE: of those that name none). */
static int collect_spans(struct sweep *s, const struct addr *address, uint8_t proto)
{
	bool all = address->family == ADDR_NONE;

	s->n = 0;
	for (unsigned i = 0; i < s->p->n_routes; i++) {
		struct plan_route *r = &s->p->routes[i];
		const struct cfg_match *m = &r->route->match;
		bool own = all ? !m->n_addresses : names_address(m, address);

		if (!(r->transport & transport_bit(proto)) || (!own && (all || m->n_addresses)))
			continue;
		for (unsigned k = 0; k < m->n_ports; k++)
			if (add_span(s, m->ports[k].from, m->ports[k].to, r, own))
				return -ENOMEM;
	}
	return 0;
}

static int span_cmp(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
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
		diags_add(s->d, DIAG_ERROR, s->active[0]->route->route->match.ports_loc, NULL,
			  "use fewer overlapping port ranges, or fewer listen addresses: routes "
			  "without an address compete again at every address that another names",
			  "too many routes overlap on the same ports: more than %u pairs of route "
			  "and port range, counted anew at each listen address",
			  PLAN_MAX_COMPETITORS);
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

static int address_cmp(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

/* Every address that some route names, sorted, after "all addresses". */
static int collect_addresses(const struct plan *p, struct addr **out, size_t *n_out)
{
	size_t n = 1, k = 1, m = 0;
	struct addr *v;

	for (unsigned i = 0; i < p->n_routes; i++)
		n += p->routes[i].route->match.n_addresses;
	v = calloc(n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < p->n_routes; i++)
		for (unsigned a = 0; a < p->routes[i].route->match.n_addresses; a++)
			v[k++] = p->routes[i].route->match.addresses[a];
	qsort(v, n, sizeof(*v), address_cmp);
	for (size_t i = 1; i < n; i++)
		if (addr_cmp(&v[m], &v[i]))
			v[++m] = v[i];
	*out = v;
	*n_out = m + 1;
	return 0;
}

int plan_build_cells(struct plan *p, struct diags *d)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct sweep s = { .p = p, .d = d };
	struct addr *addresses = NULL;
	size_t n = 0;
	int rc = collect_addresses(p, &addresses, &n);

	for (size_t i = 0; i < n && !rc; i++) {
		for (unsigned k = 0; k < 2 && !rc; k++) {
			rc = collect_spans(&s, &addresses[i], protos[k]);
			if (!rc)
				rc = sweep_ports(&s, &addresses[i], protos[k]);
		}
	}
	free(addresses);
	free(s.spans);
	free(s.bounds);
	free(s.active);
	return rc;
}
