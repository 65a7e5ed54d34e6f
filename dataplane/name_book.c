// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A register is a tree, so a name that changes costs the same among thousands; a
 * book is its leaves in order. Both hold a reference to each page: name and addresses in one
 * piece, which never changes once it is made.
 */
#include "dataplane/name_book.h"

#include <errno.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct page {
	struct name_entry entry; /* first: the tree compares entries */
	atomic_uint refs;
	struct addr v[]; /* and the name behind them */
};

struct name_book {
	atomic_uint refs;
	unsigned n;
	struct page *v[];
};

struct name_register {
	void *tree;
	unsigned n;
};

static struct page *page_new(const char *name, const struct addr *v, unsigned n)
{
	const size_t len = strlen(name) + 1;
	struct page *p = malloc(sizeof(*p) + n * sizeof(*v) + len);

	if (!p)
		return NULL;
	atomic_init(&p->refs, 1);
	memcpy(p->v, v, n * sizeof(*v));
	memcpy(&p->v[n], name, len);
	p->entry = (struct name_entry){ .name = (const char *)&p->v[n], .v = p->v, .n = n };
	return p;
}

static void page_unref(struct page *p)
{
	if (atomic_fetch_sub(&p->refs, 1) == 1)
		free(p);
}

static int entry_order(const void *a, const void *b)
{
	return strcmp(((const struct name_entry *)a)->name, ((const struct name_entry *)b)->name);
}

/* ---- books ---- */

struct name_book *name_book_ref(struct name_book *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void name_book_unref(struct name_book *b)
{
	if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < b->n; i++)
		page_unref(b->v[i]);
	free(b);
}

static int page_order(const void *name, const void *at)
{
	const struct page *const *p = at;

	return strcmp(name, (*p)->entry.name);
}

const struct name_entry *name_book_find(const struct name_book *b, const char *name)
{
	struct page *const *at =
		b ? bsearch(name, b->v, b->n, sizeof(struct page *), page_order) : NULL;

	return at ? &(*at)->entry : NULL;
}

unsigned name_book_count(const struct name_book *b)
{
	return b ? b->n : 0;
}

/* ---- the register ---- */

struct name_register *name_register_new(void)
{
	return calloc(1, sizeof(struct name_register));
}

static struct page **find(const struct name_register *r, const char *name)
{
	const struct name_entry key = { .name = name };

	return tfind(&key, &r->tree, entry_order);
}

int name_register_set(struct name_register *r, const char *name, const struct addr *v, unsigned n)
{
	struct page *new = page_new(name, v, n), **at;

	if (!new)
		return -ENOMEM;
	at = tsearch(&new->entry, &r->tree, entry_order);
	if (!at) {
		free(new);
		return -ENOMEM;
	}
	if (*at == new) {
		r->n++;
		return 0;
	}
	page_unref(*at);
	*at = new;
	return 0;
}

const struct name_entry *name_register_find(const struct name_register *r, const char *name)
{
	struct page **at = find(r, name);

	return at ? &(*at)->entry : NULL;
}

unsigned name_register_count(const struct name_register *r)
{
	return r->n;
}

static void gather(const void *node, VISIT when, void *to)
{
	struct page *const *at = node;
	struct name_book *b = to;

	if (when != postorder && when != leaf)
		return;
	atomic_fetch_add_explicit(&(*at)->refs, 1, memory_order_relaxed);
	b->v[b->n++] = *at;
}

struct name_book *name_register_book(const struct name_register *r)
{
	struct name_book *b = malloc(sizeof(*b) + r->n * sizeof(*b->v));

	if (!b)
		return NULL;
	atomic_init(&b->refs, 1);
	b->n = 0;
	twalk_r(r->tree, gather, b);
	return b;
}

static int text_order(const void *name, const void *at)
{
	return strcmp(name, *(const char *const *)at);
}

void name_register_keep(struct name_register *r, const char *const *sorted, unsigned n)
{
	struct name_book *all = name_register_book(r);

	for (unsigned i = 0; all && i < all->n; i++) {
		struct page *p = all->v[i];

		if (n && bsearch(p->entry.name, sorted, n, sizeof(*sorted), text_order))
			continue;
		tdelete(&p->entry, &r->tree, entry_order);
		page_unref(p);
		r->n--;
	}
	name_book_unref(all);
}

void name_register_free(struct name_register *r)
{
	if (!r)
		return;
	while (r->tree) {
		struct page *p = *(struct page **)r->tree;

		tdelete(&p->entry, &r->tree, entry_order);
		page_unref(p);
	}
	free(r);
}
