/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * budget: the bytes that all threads together may hold for connections: their
 * own blocks, names, questions for names, first bytes, and the buffers that are lent or idle. Taken
 * before anything is allocated. Who may take depends on how much is left:
 *
 *   BUDGET_STREAM  3/4   buffers of directions; without one they go on, slower (relay.h)
 *   BUDGET_NEW     7/8   new connections, and first bytes; else global_limit
 *   BUDGET_FIRST   all   the buffer that first bytes go to a target in, the question for its name
 *
 * So receivers that stall, however many, keep nobody new out, and new ones do not
 * take what those need whose route is known.
 */
#ifndef DATAPLANE_BUDGET_H
#define DATAPLANE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
	atomic_ullong used, max; /* max 0 = no bound; may change at any time */
};

enum budget_use { BUDGET_STREAM = 6, BUDGET_NEW = 7, BUDGET_FIRST = 8 }; /* eighths */

static inline bool budget_take(struct budget *b, size_t n, enum budget_use use)
{
	unsigned long long used, max;

	if (!b)
		return true;
	max = atomic_load_explicit(&b->max, memory_order_relaxed);
	used = atomic_load_explicit(&b->used, memory_order_relaxed);
	do {
		if (max && used + n > max / 8 * (unsigned)use)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&b->used, &used, used + n,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

static inline void budget_give(struct budget *b, size_t n)
{
	if (b)
		atomic_fetch_sub_explicit(&b->used, n, memory_order_relaxed);
}

#endif
