/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arena: memory that lives and dies together. Starts zeroed, ends with
 * arena_fini(). All allocations are zeroed and aligned to 8 bytes; NULL when
 * out of memory. One thread.
 */
#ifndef CTL_BASE_ARENA_H
#define CTL_BASE_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
	struct arena_block *head;
	size_t used; /* bytes handed out, for limits */
};

void arena_fini(struct arena *a);
void *arena_alloc(struct arena *a, size_t n);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
