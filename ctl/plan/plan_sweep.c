/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/plan/plan_sweep.h"

/* The first of the sorted ranges whose family is not below that. */
static size_t first_of(const struct addr_set *s, int family)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->v[mid].lo.family < family)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct addr_range *addr_everyone(int family)
{
	static const struct addr_range v4 = {
		{ ADDR_V4, { 0 } },
		{ ADDR_V4, { 0xff, 0xff, 0xff, 0xff } },
	};
	static const struct addr_range v6 = {
		{ ADDR_V6, { 0 } },
		{ ADDR_V6,
		  { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff } },
	};

	return family == ADDR_V4 ? &v4 : &v6;
}

bool claim_init(struct claim *c, const struct addr_set *clients, int family)
{
	c->open = NULL;
	c->next = clients ? clients->v + first_of(clients, family) : addr_everyone(family);
	c->end = clients ? clients->v + first_of(clients, family + 1) : c->next + 1;
	return c->next < c->end;
}

bool claim_ended(const struct claim *c, const struct addr *a)
{
	return addr_cmp(&c->open->hi, a) < 0;
}

const struct addr_set *match_clients(const struct cfg_match *m)
{
	return m->has_client_ip ? &m->client_ip : NULL;
}

bool claim_begins_before(const struct claim *a, const struct claim *b)
{
	int rc = addr_cmp(&a->next->lo, &b->next->lo);

	return rc ? rc < 0 : a->order < b->order;
}

bool claim_ranks_before(const struct claim *a, const struct claim *b)
{
	return a->order < b->order;
}

/* The claim at the top goes down to where it belongs. */
static void sink(struct claim_heap *h)
{
	struct claim *c = h->v[0];
	unsigned i = 0, k;

	for (k = 1; k < h->n; k = 2 * i + 1) {
		if (k + 1 < h->n && h->before(h->v[k + 1], h->v[k]))
			k++;
		if (!h->before(h->v[k], c))
			break;
		h->v[i] = h->v[k];
		i = k;
	}
	h->v[i] = c;
}

void claim_heap_push(struct claim_heap *h, struct claim *c)
{
	unsigned i = h->n++;

	for (; i && h->before(c, h->v[(i - 1) / 2]); i = (i - 1) / 2)
		h->v[i] = h->v[(i - 1) / 2];
	h->v[i] = c;
}

struct claim *claim_heap_pop(struct claim_heap *h)
{
	struct claim *top = h->v[0];

	h->v[0] = h->v[--h->n];
	if (h->n)
		sink(h);
	return top;
}

struct claim *claim_begin_next(struct claim_heap *waiting)
{
	struct claim *c = waiting->v[0];

	c->open = c->next++;
	if (c->next == c->end)
		claim_heap_pop(waiting);
	else
		sink(waiting);
	return c;
}
