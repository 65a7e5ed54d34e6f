/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timer_wheel: the timers of one loop. Knows no clock: its owner says what time
 * it is, in milliseconds that never go back. One thread; nothing is allocated.
 */
#ifndef DATAPLANE_TIMER_WHEEL_H
#define DATAPLANE_TIMER_WHEEL_H

#include "dataplane/loop.h"

#define TIMER_WHEEL_BITS   6u
#define TIMER_WHEEL_SLOTS  (1u << TIMER_WHEEL_BITS)
#define TIMER_WHEEL_LEVELS 11u /* 66 bits: every int64_t has its slot */

struct timer_list {
	struct timer *head, **tail;
};

struct timer_wheel {
	int64_t now_ms;
	unsigned levels;		   /* bit k: something is in level k */
	uint64_t used[TIMER_WHEEL_LEVELS]; /* bit i: something is in slot i of the level */
	struct timer *slot[TIMER_WHEEL_LEVELS][TIMER_WHEEL_SLOTS];
	struct timer_list due;	/* to be popped, in the order of their times */
	struct timer_list late; /* were past when they were set: due at the next advance */
};

void timer_wheel_init(struct timer_wheel *w, int64_t now_ms);
/* at_ms up to now: due at the next timer_wheel_advance(), whatever time that is. */
void timer_wheel_set(struct timer_wheel *w, struct timer *t, int64_t at_ms,
		     void (*fire)(struct timer *t));
void timer_wheel_cancel(struct timer_wheel *w, struct timer *t);
/* When to advance next: never after the first timer, and before it at most once a level.
 * INT64_MAX: there is none. */
int64_t timer_wheel_next_ms(const struct timer_wheel *w);
/* Everything up to now_ms becomes due. */
void timer_wheel_advance(struct timer_wheel *w, int64_t now_ms);
/* The next that is due, not set any more; NULL: none. */
struct timer *timer_wheel_pop(struct timer_wheel *w);

#endif
