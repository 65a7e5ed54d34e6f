/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop: one thread's event loop - epoll, timers, and calls posted by other
 * threads. Everything but loop_post() and loop_stop() belongs to the thread that
 * runs it. Watches, timers and turns are embedded in what owns them; nothing is
 * allocated for them. A callback may remove, free and add anything: what was
 * removed is not called any more, not even for events of the same round.
 */
#ifndef DATAPLANE_LOOP_H
#define DATAPLANE_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

#include "ctl/base/err.h"

struct loop;

struct loop *loop_new(struct err *e); /* NULL: e says why */
void loop_free(struct loop *l);	      /* nothing may be watched any more */
/* Until loop_stop(). 0, or what epoll_wait failed with. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l); /* from any thread */
/* CLOCK_MONOTONIC, read once a round. */
int64_t loop_now_ms(const struct loop *l);
/* Rounds so far: a heartbeat that another thread may read. */
uint64_t loop_rounds(const struct loop *l);

/* ---- descriptors ---- */

struct watch {
	int fd; /* -1: not watched */
	uint32_t events;
	void (*ready)(struct watch *w, uint32_t events);
};

/* events as for epoll_ctl: level-triggered unless EPOLLET is among them. The fd stays the
 * caller's. 0 or a negative errno. */
int watch_add(struct loop *l, struct watch *w, int fd, uint32_t events,
	      void (*ready)(struct watch *w, uint32_t events));
int watch_change(struct loop *l, struct watch *w, uint32_t events);
/* Before its fd is closed. Does nothing where fd is -1. */
void watch_remove(struct loop *l, struct watch *w);

/* ---- timers: a hierarchical wheel, O(1) to set, move and cancel; 1 ms ticks, never early ---- */

struct timer {
	struct timer *next, **prev; /* prev NULL: not set */
	int64_t at_ms;
	void (*fire)(struct timer *t);
};

/* Sets or moves it; at_ms as loop_now_ms() counts, the past is the next round. */
void timer_set(struct loop *l, struct timer *t, int64_t at_ms, void (*fire)(struct timer *t));
void timer_cancel(struct loop *l, struct timer *t);
static inline bool timer_is_set(const struct timer *t)
{
	return t->prev != NULL;
}

/* ---- turns: work that gives way and goes on after the other events of a round ---- */

struct turn {
	struct turn *next, **prev; /* prev NULL: not queued */
	void (*run)(struct turn *t);
};

/* Runs once, in the next round, which does not sleep then. Queued again while it is queued: nothing
 * happens. */
void turn_queue(struct loop *l, struct turn *t, void (*run)(struct turn *t));
void turn_cancel(struct loop *l, struct turn *t);

/* ---- from other threads ---- */

#define LOOP_POST_BYTES 32 /* that a call takes until it has run */
/* fn(arg) runs in the loop's thread, in the order of the calls. -ENOMEM, or 0; what is still
 * queued when the loop is freed is not run. */
int loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

#endif
