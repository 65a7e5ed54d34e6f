/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes that claim the same thing. Two routes of one class (same priority,
 * same specificity) that can meet the same connection differ by file order
 * only: that is nearly always a mistake, so it is an error.
 *
 * Comparing all pairs is the square of a port's routes. Instead the routes of a
 * class in one cell are sorted by what must be equal (plan_share.c), then by
 * domain, one entry for each; what falls together is swept over the clients.
 * Only methods and TLS versions are then left to compare, and of those few
 * differ. What makes many differ is bounded, and said.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl/plan/plan_internal.h"
#include "ctl/plan/plan_share.h"
#include "ctl/plan/plan_sweep.h"

#define MAX_STEPS (32u << 20)

/* One route under one of its domains. */
struct entry {
	unsigned share, domain;
	struct plan_route *route;
};

struct pair {
	const struct plan_route *a, *b; /* a ranks before b */
};

struct conflicts {
	struct plan *p;
	struct diags *d;
	struct share share;
	struct entry *entries; /* of one class of one cell */
	size_t n, cap;
	size_t steps;
	struct pair told[DIAGS_MAX_ERRORS];
	unsigned n_told;
};

static bool told_before(const struct conflicts *x, const struct plan_route *a,
			const struct plan_route *b)
{
	for (unsigned i = 0; i < x->n_told; i++)
		if (x->told[i].a == a && x->told[i].b == b)
			return true;
	return false;
}

static void tell(const struct conflicts *x, const struct plan_cell *cell, const struct pair *t)
{
	const struct cfg_route *a = t->a->route, *b = t->b->route;
	char path[64], ports[16];

	snprintf(path, sizeof(path), "routes[%u].match", b->index);
	if (cell->from == cell->to)
		snprintf(ports, sizeof(ports), "%u", cell->from);
	else
		snprintf(ports, sizeof(ports), "%u-%u", cell->from, cell->to);
	diags_add(x->d, DIAG_ERROR, b->match.ports_loc, path,
		  "give one of them a higher priority, or tell them apart by port, address, client "
		  "or domain",
		  "\"%s\" claims %s/%s as \"%s\" does (line %u), with the same priority and "
		  "nothing to tell them apart",
		  b->name, cell->proto == IPPROTO_TCP ? "tcp" : "udp", ports, a->name,
		  a->match.ports_loc.line);
}

static bool stops(const struct conflicts *x)
{
	return x->steps > MAX_STEPS || x->n_told == DIAGS_MAX_ERRORS;
}

/* Both are open to one client, with the same conditions and domain: what else may differ? */
static void compare(struct conflicts *x, const struct plan_route *a, const struct plan_route *b)
{
	const struct cfg_match *m = &a->route->match, *o = &b->route->match;
	struct pair t = a->rank < b->rank ? (struct pair){ a, b } : (struct pair){ b, a };

	x->steps += 1 + (size_t)m->methods.n * o->methods.n;
	if (a == b || stops(x) || !strings_share(&m->methods, &o->methods) ||
	    !strings_share(&m->tls_versions, &o->tls_versions) || told_before(x, t.a, t.b))
		return;
	x->told[x->n_told++] = t;
}

/* Each range, as it begins, against those that are still open. */
static void sweep_clients(struct conflicts *x, struct claim_heap *waiting, struct claim **open)
{
	size_t n = 0;

	while (waiting->n && !stops(x)) {
		struct claim *c = claim_begin_next(waiting);
		size_t keep = 0;

		x->steps++;
		for (size_t i = 0; i < n; i++) {
			if (open[i] == c || claim_ended(open[i], &c->open->lo))
				continue;
			compare(x, open[i]->route, c->route);
			open[keep++] = open[i];
		}
		open[keep++] = c;
		n = keep;
	}
}

/* Entries of the same conditions and domain. */
static int check_run(struct conflicts *x, const struct plan_cell *cell, const struct entry *v,
		     unsigned n)
{
	static const int families[] = { ADDR_V4, ADDR_V6 };
	struct claim *claims = calloc(n, sizeof(*claims));
	struct claim **room = calloc(2 * (size_t)n, sizeof(*room));

	for (unsigned f = 0; f < 2 && claims && room; f++) {
		struct claim_heap waiting = { room, 0, claim_begins_before };

		if (cell->address.family && cell->address.family != families[f])
			continue;
		for (unsigned i = 0; i < n; i++) {
			claims[i].route = v[i].route;
			claims[i].order = i;
			if (claim_init(&claims[i], match_clients(&v[i].route->route->match),
				       families[f]))
				claim_heap_push(&waiting, &claims[i]);
		}
		sweep_clients(x, &waiting, room + n);
	}
	free(claims);
	free(room);
	return claims && room ? 0 : -ENOMEM;
}

static int entry_cmp(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->share != y->share)
		return x->share < y->share ? -1 : 1;
	if (x->domain != y->domain)
		return x->domain < y->domain ? -1 : 1;
	return x->route->rank < y->route->rank ? -1 : x->route->rank > y->route->rank;
}

static int add_entry(struct conflicts *x, struct plan_route *r, unsigned domain)
{
	if (x->n == x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 64;
		struct entry *v = realloc(x->entries, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		x->entries = v;
		x->cap = cap;
	}
	x->entries[x->n++] = (struct entry){ share_conditions(&x->share, r),
					     share_domain(&x->share, r, domain), r };
	return 0;
}

static int collect_entries(struct conflicts *x, struct plan_route **v, unsigned n)
{
	int rc = 0;

	x->n = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned domains = v[i]->route->match.domains.n;

		for (unsigned k = 0; k < (domains ? domains : 1) && !rc; k++)
			rc = add_entry(x, v[i], k);
	}
	x->steps += x->n;
	if (!rc && !stops(x))
		qsort(x->entries, x->n, sizeof(*x->entries), entry_cmp);
	return rc;
}

static int pair_cmp(const void *pa, const void *pb)
{
	const struct pair *a = pa, *b = pb;

	if (a->a != b->a)
		return a->a->rank < b->a->rank ? -1 : 1;
	return a->b->rank < b->b->rank ? -1 : a->b->rank > b->b->rank;
}

/* Routes of one class. */
static int check_class(struct conflicts *x, const struct plan_cell *cell, struct plan_route **v,
		       unsigned n)
{
	unsigned known = x->n_told;
	size_t from = 0;
	int rc = share_init(&x->share, x->p);

	rc = rc ? rc : collect_entries(x, v, n);
	for (size_t i = 1; i <= x->n && !rc && !stops(x); i++) {
		if (i < x->n && x->entries[i].share == x->entries[from].share &&
		    x->entries[i].domain == x->entries[from].domain)
			continue;
		if (i - from > 1)
			rc = check_run(x, cell, &x->entries[from], (unsigned)(i - from));
		from = i;
	}
	qsort(x->told + known, x->n_told - known, sizeof(*x->told), pair_cmp);
	for (unsigned i = known; i < x->n_told; i++)
		tell(x, cell, &x->told[i]);
	return rc;
}

static int check_cell(struct conflicts *x, const struct plan_cell *cell)
{
	unsigned from = 0;
	int rc = 0;

	for (unsigned i = 1; i <= cell->n_order && !rc && !stops(x); i++) {
		if (i < cell->n_order &&
		    cell->order[i]->rank_class == cell->order[from]->rank_class)
			continue;
		if (i - from > 1)
			rc = check_class(x, cell, cell->order + from, i - from);
		from = i;
	}
	return rc;
}

/* Ports that the same routes list one by one have the same competitors: one look is enough. */
static bool same_competitors(const struct plan_cell *a, const struct plan_cell *b)
{
	return a->n_order == b->n_order && a->address.family == b->address.family &&
	       !memcmp(a->order, b->order, a->n_order * sizeof(*a->order));
}

static void tell_unreached(struct diags *d, const struct plan_route *r,
			   const struct plan_route *taker)
{
	char path[32];

	snprintf(path, sizeof(path), "routes[%u]", r->route->index);
	diags_add(d, DIAG_WARNING, r->route->loc, path,
		  "raise its priority or narrow the other route",
		  "route \"%s\" is never reached: better-ranked routes such as \"%s\" (line %u) "
		  "take all its connections",
		  r->route->name, taker->route->name, taker->route->loc.line);
}

static void check_reached(const struct plan *p, struct diags *d)
{
	for (unsigned i = 0; i < p->n_routes && d->warnings < DIAGS_MAX_WARNINGS; i++) {
		const struct plan_route *r = &p->routes[i];

		if (!r->reached && r->taker)
			tell_unreached(d, r, r->taker);
	}
}

int plan_check_conflicts(struct plan *p, struct diags *d)
{
	struct conflicts x = { .p = p, .d = d };
	int rc = 0;

	for (unsigned i = 0; i < p->n_cells && !rc && !stops(&x); i++)
		if (p->cells[i].n_order > 1 &&
		    (!i || !same_competitors(&p->cells[i - 1], &p->cells[i])))
			rc = check_cell(&x, &p->cells[i]);
	if (x.steps > MAX_STEPS)
		diags_add(d, DIAG_WARNING, LOC_NONE, "routes", NULL,
			  "too many routes of equal rank share ports: not all were compared for "
			  "conflicts");
	if (!rc && !x.n_told)
		check_reached(p, d);
	share_fini(&x.share);
	free(x.entries);
	return rc;
}
