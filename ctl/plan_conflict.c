/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes that claim the same thing. Two routes of one class (same priority,
 * same specificity) that can meet the same connection differ by file order
 * only: that is nearly always a mistake, so it is an error. Work is bounded:
 * pairs are compared inside one cell and one class, and a pair is told once.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl/plan_internal.h"

#define MAX_COMPARISONS (32u << 20)

struct conflicts {
	struct diags *d;
	size_t comparisons;
	const struct plan_route *told[DIAGS_MAX_ERRORS][2];
	unsigned n_told;
};

static bool strings_share(const struct cfg_strings *a, const struct cfg_strings *b)
{
	if (!a->n || !b->n)
		return a->n == b->n;
	for (unsigned i = 0; i < a->n; i++)
		for (unsigned k = 0; k < b->n; k++)
			if (!strcasecmp(a->v[i], b->v[k]))
				return true;
	return false;
}

static bool text_equal(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool pairs_equal(const struct cfg_pairs *a, const struct cfg_pairs *b)
{
	if (a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++)
		if (strcasecmp(a->v[i].name, b->v[i].name) ||
		    !text_equal(a->v[i].value, b->v[i].value))
			return false;
	return true;
}

/* May one connection of a shared port meet both matches, with nothing to tell them apart? */
static bool matches_meet(const struct cfg_match *a, const struct cfg_match *b)
{
	if (a->has_client_ip && b->has_client_ip &&
	    !addr_set_overlaps(&a->client_ip, &b->client_ip))
		return false;
	return text_equal(a->path, b->path) && text_equal(a->protocol, b->protocol) &&
	       strings_share(&a->domains, &b->domains) && pairs_equal(&a->headers, &b->headers) &&
	       pairs_equal(&a->query, &b->query) && strings_share(&a->methods, &b->methods) &&
	       strings_share(&a->tls_versions, &b->tls_versions);
}

static bool told_before(const struct conflicts *x, const struct plan_route *a,
			const struct plan_route *b)
{
	for (unsigned i = 0; i < x->n_told; i++)
		if (x->told[i][0] == a && x->told[i][1] == b)
			return true;
	return false;
}

static void tell(struct conflicts *x, const struct plan_cell *cell, const struct plan_route *a,
		 const struct plan_route *b)
{
	char path[64], ports[16];

	if (x->n_told == DIAGS_MAX_ERRORS || told_before(x, a, b))
		return;
	x->told[x->n_told][0] = a;
	x->told[x->n_told++][1] = b;
	snprintf(path, sizeof(path), "routes[%u].match", b->route->index);
	if (cell->from == cell->to)
		snprintf(ports, sizeof(ports), "%u", cell->from);
	else
		snprintf(ports, sizeof(ports), "%u-%u", cell->from, cell->to);
	diags_add(x->d, DIAG_ERROR, b->route->match.ports_loc, path,
		  "give one of them a higher priority, or tell them apart by port, address, client "
		  "or domain",
		  "\"%s\" claims %s/%s as \"%s\" does (line %u), with the same priority and "
		  "nothing to tell them apart",
		  b->route->name, cell->proto == IPPROTO_TCP ? "tcp" : "udp", ports, a->route->name,
		  a->route->match.ports_loc.line);
}

static void check_class(struct conflicts *x, const struct plan_cell *cell, unsigned from,
			unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		for (unsigned k = i + 1; k < to; k++) {
			if (x->comparisons++ > MAX_COMPARISONS || x->n_told == DIAGS_MAX_ERRORS)
				return;
			if (matches_meet(&cell->order[i]->route->match,
					 &cell->order[k]->route->match))
				tell(x, cell, cell->order[i], cell->order[k]);
		}
	}
}

static void check_cell(struct conflicts *x, const struct plan_cell *cell)
{
	unsigned from = 0;

	for (unsigned i = 1; i <= cell->n_order; i++) {
		if (i < cell->n_order &&
		    cell->order[i]->rank_class == cell->order[from]->rank_class)
			continue;
		if (i - from > 1)
			check_class(x, cell, from, i);
		from = i;
	}
}

/* The best-ranked competitor of a route's cells: who took its connections. */
static const struct plan_route *taker_of(const struct plan *p, const struct plan_route *r)
{
	for (unsigned i = 0; i < p->n_cells; i++)
		for (unsigned k = 1; k < p->cells[i].n_order; k++)
			if (p->cells[i].order[k] == r)
				return p->cells[i].order[0];
	return NULL;
}

void plan_check_conflicts(struct plan *p, struct diags *d)
{
	struct conflicts x = { .d = d };

	for (unsigned i = 0; i < p->n_cells; i++)
		if (p->cells[i].n_order > 1)
			check_cell(&x, &p->cells[i]);
	if (x.comparisons > MAX_COMPARISONS)
		diags_add(d, DIAG_WARNING, LOC_NONE, "routes", NULL,
			  "too many routes of equal rank share ports: not all were compared for "
			  "conflicts");
	if (x.n_told)
		return;
	for (unsigned i = 0; i < p->n_routes && d->warnings < DIAGS_MAX_WARNINGS; i++) {
		const struct plan_route *r = &p->routes[i], *taker;

		taker = r->reached ? NULL : taker_of(p, r);
		if (taker)
			diags_add(d, DIAG_WARNING, r->route->loc, NULL,
				  "raise its priority or narrow the other route",
				  "route \"%s\" is never reached: better-ranked routes such as "
				  "\"%s\" (line %u) take all its connections",
				  r->route->name, taker->route->name, taker->route->loc.line);
	}
}
