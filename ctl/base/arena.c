/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks grow from 4 KiB to 1 MiB; what is larger than a block gets one of its
 * own behind the current one, so that the current block's rest is not lost.
 */
#include "ctl/base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MIN 4096
#define BLOCK_MAX (1u << 20)

struct arena_block {
	struct arena_block *next;
	size_t len, cap;
	_Alignas(8) char data[];
};

void arena_fini(struct arena *a)
{
	struct arena_block *b = a->head;

	while (b) {
		struct arena_block *next = b->next;

		free(b);
		b = next;
	}
	memset(a, 0, sizeof(*a));
}

static struct arena_block *block_new(size_t cap)
{
	struct arena_block *b = malloc(sizeof(*b) + cap);

	if (!b)
		return NULL;
	b->next = NULL;
	b->len = 0;
	b->cap = cap;
	return b;
}

static struct arena_block *arena_room(struct arena *a, size_t n)
{
	struct arena_block *head = a->head, *b;
	size_t cap;

	if (head && head->cap - head->len >= n)
		return head;
	if (head && n > BLOCK_MAX / 2) {
		b = block_new(n);
		if (!b)
			return NULL;
		b->next = head->next;
		head->next = b;
		return b;
	}
	cap = head ? head->cap * 2 : BLOCK_MIN;
	cap = cap > BLOCK_MAX ? BLOCK_MAX : cap;
	b = block_new(cap < n ? n : cap);
	if (!b)
		return NULL;
	b->next = head;
	a->head = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b;
	void *p;

	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + 7) & ~(size_t)7;
	b = arena_room(a, n);
	if (!b)
		return NULL;
	p = b->data + b->len;
	b->len += n;
	a->used += n;
	return memset(p, 0, n);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n + 1);

	if (p && n)
		memcpy(p, s, n);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	p = arena_alloc(a, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}
