/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A time is read as a number with digits of 6 bits. A timer lies at the level of
 * the highest digit in which it differs from now, in the slot of that digit. So
 * - whatever is in a level is in a slot after the one that now is in, and comes
 *   before everything in the levels above: the first slot is two ctz away;
 * - when now reaches a slot, its timers differ in a lower digit only, and move
 *   down: once for each digit that is not 0 at most;
 * - nothing lies beyond the last level, because there are levels for 63 bits.
 * Slots that count from now on instead of from 0 would need fewer moves for
 * timers across a boundary, and a second case for those that wrap around.
 *
 * A slot is a list whose first element points back into the slot: the last one
 * that goes finds its slot's bit by that, with no index in struct timer.
 */
#include <string.h>

#include "dataplane/timer_wheel.h"

static void timer_list_init(struct timer_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void timer_list_append(struct timer_list *l, struct timer *t)
{
	t->next = NULL;
	t->prev = l->tail;
	*l->tail = t;
	l->tail = &t->next;
}

void timer_wheel_init(struct timer_wheel *w, int64_t now_ms)
{
	memset(w, 0, sizeof(*w));
	w->now_ms = now_ms;
	timer_list_init(&w->due);
	timer_list_init(&w->late);
}

/* at_ms > now_ms */
static void slot_insert(struct timer_wheel *w, struct timer *t)
{
	uint64_t differs = (uint64_t)t->at_ms ^ (uint64_t)w->now_ms;
	unsigned level = (63u - (unsigned)__builtin_clzll(differs)) / TIMER_WHEEL_BITS;
	unsigned i = (uint64_t)t->at_ms >> (level * TIMER_WHEEL_BITS) & (TIMER_WHEEL_SLOTS - 1);
	struct timer **slot = &w->slot[level][i];

	t->next = *slot;
	t->prev = slot;
	if (t->next)
		t->next->prev = &t->next;
	*slot = t;
	w->used[level] |= UINT64_C(1) << i;
	w->levels |= 1u << level;
}

static void slot_emptied(struct timer_wheel *w, unsigned level, unsigned i)
{
	w->used[level] &= ~(UINT64_C(1) << i);
	if (!w->used[level])
		w->levels &= ~(1u << level);
}

void timer_wheel_cancel(struct timer_wheel *w, struct timer *t)
{
	struct timer **first = &w->slot[0][0];

	if (!t->prev)
		return;
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	else if (w->due.tail == &t->next)
		w->due.tail = t->prev;
	else if (w->late.tail == &t->next)
		w->late.tail = t->prev;
	else if (t->prev >= first && t->prev < first + TIMER_WHEEL_LEVELS * TIMER_WHEEL_SLOTS)
		slot_emptied(w, (unsigned)(t->prev - first) / TIMER_WHEEL_SLOTS,
			     (unsigned)(t->prev - first) % TIMER_WHEEL_SLOTS);
	t->prev = NULL;
}

void timer_wheel_set(struct timer_wheel *w, struct timer *t, int64_t at_ms,
		     void (*fire)(struct timer *t))
{
	timer_wheel_cancel(w, t);
	t->at_ms = at_ms;
	t->fire = fire;
	if (at_ms <= w->now_ms)
		timer_list_append(&w->late, t);
	else
		slot_insert(w, t);
}

/* When the first slot in use begins: its level and index. There must be one. */
static int64_t slot_first(const struct timer_wheel *w, unsigned *level, unsigned *i)
{
	unsigned shift;
	uint64_t above;

	*level = (unsigned)__builtin_ctz(w->levels);
	*i = (unsigned)__builtin_ctzll(w->used[*level]);
	shift = *level * TIMER_WHEEL_BITS;
	above = shift + TIMER_WHEEL_BITS < 64 ? ~UINT64_C(0) << (shift + TIMER_WHEEL_BITS) : 0;
	return (int64_t)(((uint64_t)w->now_ms & above) | (uint64_t)*i << shift);
}

int64_t timer_wheel_next_ms(const struct timer_wheel *w)
{
	unsigned level, i;

	if (w->due.head || w->late.head)
		return w->now_ms;
	return w->levels ? slot_first(w, &level, &i) : INT64_MAX;
}

/* now_ms is where the slot begins: its timers are due, or go to lower levels. */
static void slot_open(struct timer_wheel *w, unsigned level, unsigned i)
{
	struct timer *t = w->slot[level][i], *next;

	w->slot[level][i] = NULL;
	slot_emptied(w, level, i);
	for (; t; t = next) {
		next = t->next;
		if (t->at_ms <= w->now_ms)
			timer_list_append(&w->due, t);
		else
			slot_insert(w, t);
	}
}

void timer_wheel_advance(struct timer_wheel *w, int64_t now_ms)
{
	struct timer *t;
	unsigned level, i;

	while ((t = w->late.head)) {
		timer_wheel_cancel(w, t);
		timer_list_append(&w->due, t);
	}
	while (w->levels) {
		int64_t at_ms = slot_first(w, &level, &i);

		if (at_ms > now_ms)
			break;
		w->now_ms = at_ms;
		slot_open(w, level, i);
	}
	if (now_ms > w->now_ms)
		w->now_ms = now_ms;
}

struct timer *timer_wheel_pop(struct timer_wheel *w)
{
	struct timer *t = w->due.head;

	if (t)
		timer_wheel_cancel(w, t);
	return t;
}
