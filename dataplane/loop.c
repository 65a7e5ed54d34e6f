/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A round: sleep until something is ready or due, read the clock, call what is
 * ready, then timers that are due, then the turns that were queued before the
 * round began. What a callback queues belongs to the next round, so nobody who
 * always has more to do keeps the others waiting.
 *
 * The kernel hands back pointers to watches. Who removes a watch takes its
 * pointer out of what is left of the batch (at most 256 to look at; generation
 * numbers instead would need a table that outlives the watches). An event that a
 * watch_change() in the same batch made void is masked: epoll reports again
 * whatever is asked for again.
 *
 * Other threads queue behind a mutex and ring an eventfd; the loop takes the mutex
 * only when the bell rang. loop_stop() only sets a flag and rings.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "dataplane/timer_wheel.h"

#define BATCH_EVENTS 256

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

_Static_assert(sizeof(struct post) <= LOOP_POST_BYTES, "what budgets count");

struct turn_list {
	struct turn *head, **tail;
};

struct loop {
	int epoll_fd;
	int64_t now_ms;
	unsigned watched;
	struct epoll_event batch[BATCH_EVENTS];
	int at, n; /* of the batch: the one that is called, all */
	struct turn_list queued, running;
	struct timer_wheel wheel;
	struct watch bell;
	_Atomic uint64_t rounds;
	atomic_bool stop;
	pthread_mutex_t lock; /* of what follows */
	struct post *first_post, **last_post;
};

/* ---- descriptors ---- */

static int watch_ctl(struct loop *l, int op, struct watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	return epoll_ctl(l->epoll_fd, op, w->fd, &ev) ? -errno : 0;
}

int watch_add(struct loop *l, struct watch *w, int fd, uint32_t events,
	      void (*ready)(struct watch *w, uint32_t events))
{
	int rc;

	w->fd = fd;
	w->events = events;
	w->ready = ready;
	rc = watch_ctl(l, EPOLL_CTL_ADD, w, events);
	if (rc)
		w->fd = -1;
	else
		l->watched++;
	return rc;
}

int watch_change(struct loop *l, struct watch *w, uint32_t events)
{
	int rc = watch_ctl(l, EPOLL_CTL_MOD, w, events);

	if (!rc)
		w->events = events;
	return rc;
}

/* Closing alone would not do: as long as another process holds the socket, too (pidfd_getfd(2),
 * or fdinfo that is being read), the kernel goes on reporting, to memory that is somebody else's
 * by then; and what is closed can no more be taken off. */
void watch_remove(struct loop *l, struct watch *w)
{
	if (w->fd < 0)
		return;
	watch_ctl(l, EPOLL_CTL_DEL, w, 0);
	w->fd = -1;
	l->watched--;
	for (int i = l->at + 1; i < l->n; i++) {
		if (l->batch[i].data.ptr == w)
			l->batch[i].data.ptr = NULL;
	}
}

static void batch_call(struct loop *l)
{
	for (l->at = 0; l->at < l->n; l->at++) {
		struct watch *w = l->batch[l->at].data.ptr;
		uint32_t events = l->batch[l->at].events;

		if (!w)
			continue;
		events &= w->events | EPOLLERR | EPOLLHUP;
		if (events)
			w->ready(w, events);
	}
	l->n = 0;
}

/* ---- timers and turns ---- */

void timer_set(struct loop *l, struct timer *t, int64_t at_ms, void (*fire)(struct timer *t))
{
	timer_wheel_set(&l->wheel, t, at_ms, fire);
}

void timer_cancel(struct loop *l, struct timer *t)
{
	timer_wheel_cancel(&l->wheel, t);
}

static void timers_fire(struct loop *l)
{
	struct timer *t;

	timer_wheel_advance(&l->wheel, l->now_ms);
	while ((t = timer_wheel_pop(&l->wheel)))
		t->fire(t);
}

static void turn_list_init(struct turn_list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

void turn_queue(struct loop *l, struct turn *t, void (*run)(struct turn *t))
{
	if (t->prev)
		return;
	t->run = run;
	t->next = NULL;
	t->prev = l->queued.tail;
	*l->queued.tail = t;
	l->queued.tail = &t->next;
}

void turn_cancel(struct loop *l, struct turn *t)
{
	if (!t->prev)
		return;
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	else if (l->queued.tail == &t->next)
		l->queued.tail = t->prev;
	else
		l->running.tail = t->prev;
	t->prev = NULL;
}

/* What is queued until here has its turn in this round. */
static void turns_take(struct loop *l)
{
	if (!l->queued.head)
		return;
	l->running = l->queued;
	l->running.head->prev = &l->running.head;
	turn_list_init(&l->queued);
}

static void turns_run(struct loop *l)
{
	struct turn *t;

	while ((t = l->running.head)) {
		turn_cancel(l, t);
		t->run(t);
	}
}

/* ---- from other threads ---- */

static void bell_ring(struct loop *l)
{
	uint64_t one = 1;
	ssize_t n = write(l->bell.fd, &one, sizeof(one));

	(void)n; /* EAGAIN: it has been ringing 2^64 times */
}

int loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct post *p = malloc(sizeof(*p));
	bool first;

	if (!p)
		return -ENOMEM;
	*p = (struct post){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&l->lock);
	first = !l->first_post;
	*l->last_post = p;
	l->last_post = &p->next;
	pthread_mutex_unlock(&l->lock);
	if (first)
		bell_ring(l);
	return 0;
}

static struct post *posts_take(struct loop *l)
{
	struct post *p;

	pthread_mutex_lock(&l->lock);
	p = l->first_post;
	l->first_post = NULL;
	l->last_post = &l->first_post;
	pthread_mutex_unlock(&l->lock);
	return p;
}

static void bell_ready(struct watch *w, uint32_t events)
{
	struct loop *l = (struct loop *)((char *)w - offsetof(struct loop, bell));
	struct post *p, *next;
	uint64_t rung;
	ssize_t n = read(w->fd, &rung, sizeof(rung)); /* before the queue is taken */

	(void)n;
	(void)events;
	for (p = posts_take(l); p; p = next) {
		next = p->next;
		p->fn(p->arg);
		free(p);
	}
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stop, true);
	bell_ring(l);
}

/* ---- the loop ---- */

int64_t loop_now_ms(const struct loop *l)
{
	return l->now_ms;
}

uint64_t loop_rounds(const struct loop *l)
{
	return atomic_load_explicit(&l->rounds, memory_order_relaxed);
}

static int bell_open(struct loop *l)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int rc;

	if (fd < 0)
		return -errno;
	rc = watch_add(l, &l->bell, fd, EPOLLIN, bell_ready);
	if (rc)
		close(fd);
	return rc;
}

struct loop *loop_new(struct err *e)
{
	struct loop *l = calloc(1, sizeof(*l));
	int rc;

	if (!l) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	l->now_ms = clock_mono_ms();
	timer_wheel_init(&l->wheel, l->now_ms);
	turn_list_init(&l->queued);
	turn_list_init(&l->running);
	l->last_post = &l->first_post;
	pthread_mutex_init(&l->lock, NULL);
	l->bell.fd = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rc = l->epoll_fd < 0 ? -errno : bell_open(l);
	if (!rc)
		return l;
	err_sys(e, rc, "cannot make an event loop");
	loop_free(l);
	return NULL;
}

void loop_free(struct loop *l)
{
	struct post *p, *next;
	int bell;

	if (!l)
		return;
	bell = l->bell.fd;
	watch_remove(l, &l->bell);
	assert(!l->watched);
	if (bell >= 0)
		close(bell);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	for (p = l->first_post; p; p = next) {
		next = p->next;
		free(p);
	}
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* The clock is read again before a sleep: a round may have taken long. */
static int sleep_ms(const struct loop *l)
{
	int64_t next_ms = timer_wheel_next_ms(&l->wheel), ms;

	if (l->running.head || next_ms <= l->now_ms)
		return 0;
	if (next_ms == INT64_MAX)
		return -1;
	ms = next_ms - clock_mono_ms();
	if (ms <= 0)
		return 0;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

static int loop_round(struct loop *l)
{
	int n;

	turns_take(l);
	n = epoll_wait(l->epoll_fd, l->batch, BATCH_EVENTS, sleep_ms(l));
	if (n < 0 && errno != EINTR)
		return -errno;
	l->n = n > 0 ? n : 0;
	l->now_ms = clock_mono_ms();
	atomic_store_explicit(&l->rounds, loop_rounds(l) + 1, memory_order_relaxed);
	batch_call(l);
	timers_fire(l);
	turns_run(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int rc = 0;

	while (!rc && !atomic_exchange(&l->stop, false))
		rc = loop_round(l);
	return rc;
}
