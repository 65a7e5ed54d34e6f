/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan_sweep: the client ranges of many routes, from the lowest address up. A
 * claim is one route's walk through its own ranges: they are disjoint, so at
 * most one of them is open at a time. Only plan*.c include this.
 */
#ifndef CTL_PLAN_PLAN_SWEEP_H
#define CTL_PLAN_PLAN_SWEEP_H

#include "ctl/plan/plan.h"

struct claim {
	struct plan_route *route;
	unsigned order;			     /* smaller is tried first */
	const struct addr_range *open;	     /* the range that began last, NULL = none did */
	const struct addr_range *next, *end; /* those that have not begun */
	bool competes, unreached, is_proxy;  /* is in the heap of that name (plan_client.c) */
};

/* A binary heap over room that the caller owns: room[n] for n claims. */
struct claim_heap {
	struct claim **v;
	unsigned n;
	bool (*before)(const struct claim *a, const struct claim *b);
};

/* Every address of the family; static. */
const struct addr_range *addr_everyone(int family);

/* From the ranges of that family; false when there are none. clients NULL = everyone. */
bool claim_init(struct claim *c, const struct addr_set *clients, int family);
/* Has the range that began last ended before a? */
bool claim_ended(const struct claim *c, const struct addr *a);
const struct addr_set *match_clients(const struct cfg_match *m); /* NULL = everyone */

bool claim_begins_before(const struct claim *a, const struct claim *b);
bool claim_ranks_before(const struct claim *a, const struct claim *b);

void claim_heap_push(struct claim_heap *h, struct claim *c);
struct claim *claim_heap_pop(struct claim_heap *h);
static inline struct claim *claim_heap_top(const struct claim_heap *h)
{
	return h->n ? h->v[0] : NULL;
}
/* waiting: ordered by claim_begins_before, not empty. Opens the range that begins next. */
struct claim *claim_begin_next(struct claim_heap *waiting);

#endif
