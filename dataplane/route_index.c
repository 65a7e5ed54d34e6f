/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The index of a table. Cells with equal lists of routes share one "order"; in a
 * file of many ports most do. Of every domain of an order's routes there is one
 * entry, under a key that a name which it matches must contain: all of it; for a
 * wildcard its end from the first dot behind the last star on ("*.example.com",
 * "*-eu.example.com"), else its start up to the last dot before the first star
 * ("www.*"). Only patterns that have neither are tried one by one. All orders
 * share one hash table, so that a small cell costs no more than its entries.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"
#include "dataplane/route_internal.h"

struct builder {
	struct route_table *t;
	struct route_index *x;
	const struct cell_list *lists;
	uint32_t *first; /* of each order: one of its lists */
	uint32_t *slots, mask;
	uint64_t places;
	uint32_t cap_entries;
	struct err *e;
};

static int no_memory(struct builder *b)
{
	return err_set(b->e, ENOMEM, "out of memory");
}

/* ---- orders ---- */

static bool lists_equal(const struct cell_list *a, const struct cell_list *b)
{
	return a->n == b->n && !memcmp(a->routes, b->routes, a->n * sizeof(*a->routes));
}

/* The order of that list; a new one has only its number. */
static uint32_t order_of(struct builder *b, uint32_t list)
{
	const struct cell_list *l = &b->lists[list];
	uint64_t h = text_hash(l->routes, l->n * sizeof(*l->routes), 0);
	uint32_t at = (uint32_t)(h ^ h >> 32) & b->mask;

	for (; b->slots[at]; at = (at + 1) & b->mask)
		if (lists_equal(&b->lists[b->first[b->slots[at] - 1]], l))
			return b->slots[at] - 1;
	b->first[b->x->n_orders] = list;
	b->slots[at] = ++b->x->n_orders;
	b->places += l->n + 1;
	return b->x->n_orders - 1;
}

static int share_orders(struct builder *b)
{
	uint32_t cap = 16, n = b->t->n_cells;

	while (cap < 2 * n)
		cap *= 2;
	b->mask = cap - 1;
	b->slots = calloc(cap, sizeof(*b->slots));
	b->first = calloc(n + 1, sizeof(*b->first));
	if (!b->slots || !b->first)
		return no_memory(b);
	for (uint32_t i = 0; i < n; i++)
		b->t->cells[i].order = order_of(b, b->t->cells[i].order);
	if (b->places > INDEX_MAX_PLACES)
		return err_set(b->e, E2BIG, "cells: name %llu routes: at most %u",
			       (unsigned long long)b->places, INDEX_MAX_PLACES);
	b->x->orders = calloc(b->x->n_orders + 1, sizeof(*b->x->orders));
	return b->x->orders ? 0 : no_memory(b);
}

static int place_routes(struct builder *b, struct route_order *o, const struct cell_list *l)
{
	struct route *fallback = b->t->fallback;

	o->v = arena_alloc(&b->x->arena, (l->n + 1) * sizeof(struct route *));
	o->open = arena_alloc(&b->x->arena, (l->n + 1) * sizeof(*o->open));
	if (!o->v || !o->open)
		return no_memory(b);
	for (uint32_t i = 0; i < l->n; i++)
		o->v[o->n++] = b->t->routes[l->routes[i]];
	if (fallback)
		o->v[o->n++] = fallback;
	for (uint32_t i = 0; i < o->n; i++) {
		o->tls |= o->v[i]->passthrough;
		if (!o->v[i]->n_domains)
			o->open[o->n_open++] = i;
	}
	return 0;
}

static int head_cmp(const void *a, const void *b)
{
	const struct route_head *x = a, *y = b;
	uintptr_t p = (uintptr_t)x->clients, q = (uintptr_t)y->clients;

	if (p != q)
		return p < q ? -1 : 1;
	return (x->position > y->position) - (x->position < y->position);
}

static int head_position_cmp(const void *a, const void *b)
{
	const struct route_head *x = a, *y = b;

	return (x->position > y->position) - (x->position < y->position);
}

static int find_heads(struct builder *b, struct route_order *o)
{
	uint32_t n = 0;

	if (o->n == o->n_open)
		return 0;
	o->heads = calloc(o->n - o->n_open, sizeof(*o->heads));
	if (!o->heads)
		return no_memory(b);
	for (uint32_t i = 0; i < o->n; i++)
		if (o->v[i]->n_domains)
			o->heads[n++] = (struct route_head){ o->v[i]->clients, i };
	qsort(o->heads, n, sizeof(*o->heads), head_cmp);
	for (uint32_t i = 0; i < n; i++)
		if (!i || o->heads[i].clients != o->heads[o->n_heads - 1].clients)
			o->heads[o->n_heads++] = o->heads[i];
	qsort(o->heads, o->n_heads, sizeof(*o->heads), head_position_cmp);
	return 0;
}

/* ---- entries ---- */

static void set_key(struct index_entry *x, enum index_kind kind, size_t at, size_t len)
{
	uint64_t h = KEY_HASH_START;

	x->kind = (uint8_t)kind;
	x->key_at = (uint8_t)at;
	x->key_len = (uint8_t)len;
	for (size_t i = 0; i < len; i++)
		h = key_hash_byte(h, x->pattern[kind == INDEX_SUFFIX ? at + len - 1 - i : at + i]);
	x->hash = key_hash_end(h, x->order, kind);
}

static void classify(struct index_entry *x)
{
	const char *p = x->pattern, *star = strchr(p, '*'), *last = strrchr(p, '*'), *dot;
	size_t n = strlen(p);

	x->pattern_len = (uint8_t)n;
	if (!star) {
		set_key(x, INDEX_EXACT, 0, n);
		return;
	}
	dot = strchr(last, '.');
	if (dot) {
		set_key(x, INDEX_SUFFIX, (size_t)(dot - p), n - (size_t)(dot - p));
		return;
	}
	dot = memrchr(p, '.', (size_t)(star - p));
	if (dot)
		set_key(x, INDEX_PREFIX, 0, (size_t)(dot - p) + 1);
	else
		set_key(x, INDEX_FREE, 0, 0);
}

static int add_entries(struct builder *b, uint32_t order)
{
	struct route_order *o = &b->x->orders[order];

	for (uint32_t i = 0; i < o->n; i++)
		for (unsigned k = 0; k < o->v[i]->n_domains; k++) {
			struct index_entry *x = &b->x->entries[b->x->n_entries++];

			x->pattern = o->v[i]->domains[k];
			x->order = order;
			x->position = i;
			classify(x);
			o->kinds |= (uint8_t)(1u << x->kind);
		}
	return 0;
}

static int entry_cmp(const void *a, const void *b)
{
	const struct index_entry *x = a, *y = b;
	int rc;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->key_len != y->key_len)
		return x->key_len < y->key_len ? -1 : 1;
	rc = memcmp(x->pattern + x->key_at, y->pattern + y->key_at, x->key_len);
	if (rc)
		return rc;
	return (x->position > y->position) - (x->position < y->position);
}

static bool same_key(const struct index_entry *x, const struct index_entry *y)
{
	return x->hash == y->hash && x->order == y->order && x->kind == y->kind &&
	       x->key_len == y->key_len &&
	       !memcmp(x->pattern + x->key_at, y->pattern + y->key_at, x->key_len);
}

static int hash_entries(struct builder *b)
{
	struct route_index *x = b->x;
	uint32_t cap = 16;

	qsort(x->entries, x->n_entries, sizeof(*x->entries), entry_cmp);
	while (cap < 2 * x->n_entries)
		cap *= 2;
	x->mask = cap - 1;
	x->slots = calloc(cap, sizeof(*x->slots));
	if (!x->slots)
		return no_memory(b);
	for (uint32_t i = 0; i < x->n_entries; i++) {
		uint32_t at = (uint32_t)x->entries[i].hash & x->mask;

		if (i && same_key(&x->entries[i - 1], &x->entries[i]))
			continue;
		while (x->slots[at])
			at = (at + 1) & x->mask;
		x->slots[at] = i + 1;
	}
	return 0;
}

static int build_entries(struct builder *b)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < b->x->n_orders; i++)
		for (uint32_t k = 0; k < b->x->orders[i].n; k++)
			n += b->x->orders[i].v[k]->n_domains;
	if (n > INDEX_MAX_PATTERNS)
		return err_set(b->e, E2BIG, "cells: name routes with %llu domains: at most %u",
			       (unsigned long long)n, INDEX_MAX_PATTERNS);
	b->x->entries = calloc(n + 1, sizeof(*b->x->entries));
	if (!b->x->entries)
		return no_memory(b);
	for (uint32_t i = 0; i < b->x->n_orders; i++)
		add_entries(b, i);
	return hash_entries(b);
}

/* ---- all of it ---- */

static int build(struct builder *b)
{
	int rc = share_orders(b);

	for (uint32_t i = 0; i < b->x->n_orders && !rc; i++) {
		rc = place_routes(b, &b->x->orders[i], &b->lists[b->first[i]]);
		if (!rc)
			rc = find_heads(b, &b->x->orders[i]);
	}
	return rc ? rc : build_entries(b);
}

int route_index_build(struct route_table *t, const struct cell_list *lists, struct err *e)
{
	struct builder b = { .t = t, .lists = lists, .e = e };
	int rc;

	t->index = b.x = calloc(1, sizeof(*b.x));
	if (!b.x)
		return no_memory(&b);
	rc = build(&b);
	free(b.slots);
	free(b.first);
	return rc;
}

void route_index_free(struct route_index *x)
{
	if (!x)
		return;
	for (uint32_t i = 0; x->orders && i < x->n_orders; i++)
		free(x->orders[i].heads);
	arena_fini(&x->arena);
	free(x->orders);
	free(x->entries);
	free(x->slots);
	free(x);
}
