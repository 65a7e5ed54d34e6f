/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A listening socket of a worker. When descriptors are exhausted - for a connection
 * and its target, because one that is accepted and cannot go on is worse than one
 * that waits - it pauses: the kernel keeps the connections in its queue, and trying
 * at once again would only burn the CPU. One that closes first takes what is queued, until two
 * looks in a row, LOOK_MS apart, find nothing: the kernel may just be completing a handshake.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/conn.h"

#define ACCEPTS_PER_ROUND 64
#define FULL_BATCHES	  4
#define PAUSE_MS	  100
#define LOOK_MS		  50
#define LOOKS_MAX	  10   /* what nobody stops feeding is closed all the same */
#define SHORT_LOOKS_MAX	  40   /* likewise, where descriptors are exhausted */
#define ACCEPTS_PER_LOOK  4096 /* a whole queue */

static struct listener *of_watch(struct watch *w)
{
	return (struct listener *)((char *)w - offsetof(struct listener, watch));
}

static struct listener *of_pause(struct timer *t)
{
	return (struct listener *)((char *)t - offsetof(struct listener, pause));
}

static void accept_ready(struct watch *w, uint32_t events);

static void resume(struct timer *t)
{
	struct listener *l = of_pause(t);

	atomic_store(&l->w->plane->out_of_descriptors, false);
	watch_change(l->w->loop, &l->watch, EPOLLIN);
}

static void pause_accepting(struct listener *l)
{
	struct plane *p = l->w->plane;

	atomic_fetch_add(&p->accept_paused, 1);
	atomic_store(&p->out_of_descriptors, true);
	l->is_short = true;
	if (l->closing)
		return;
	watch_change(l->w->loop, &l->watch, 0);
	timer_set(l->w->loop, &l->pause, loop_now_ms(l->w->loop) + PAUSE_MS, resume);
}

static bool is_full(const struct plane *p)
{
	unsigned max = atomic_load_explicit(&p->max_pairs, memory_order_relaxed);

	return max && limits_connections(p->limits) >= max;
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* How many came; the queue is empty when fewer than asked for, unless descriptors are short. */
static unsigned accept_some(struct listener *l, unsigned most)
{
	unsigned n = 0;

	l->is_short = false;
	while (n < most) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd = -1;

		if (is_full(l->w->plane))
			errno = EMFILE;
		else
			fd = accept4(l->fd, (struct sockaddr *)&peer, &len,
				     SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			conn_accept(l, fd, (struct sockaddr *)&peer);
			n++;
			continue;
		}
		if (errno == EAGAIN)
			break;
		if (is_shortage(errno)) {
			pause_accepting(l);
			break;
		}
		/* Others are of the connection that was next (accept(2): treat them like EAGAIN),
		 * which is off the queue. */
		n++;
	}
	return n;
}

/* One at a time saves the call that finds nothing, as long as they come one at a time: epoll says
 * again that there are more. */
static void accept_ready(struct watch *w, uint32_t events)
{
	struct listener *l = of_watch(w);

	(void)events;
	if (accept_some(l, l->batch) < l->batch) {
		l->batch = 1;
		l->full_batches = 0;
	} else if (++l->full_batches >= FULL_BATCHES && l->batch < ACCEPTS_PER_ROUND) {
		l->batch *= 2;
		l->full_batches = 0;
	}
}

void listener_open(struct listener *l)
{
	const int on = 1;

	if (l->open)
		return;
	l->batch = 1;
	/* Accepted sockets inherit both, which saves the calls for each. */
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(l->fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	l->open = !watch_add(l->w->loop, &l->watch, l->fd, EPOLLIN, accept_ready);
}

void listener_free(struct listener *l)
{
	struct listener **p = &l->w->listeners;

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	watch_remove(l->w->loop, &l->watch);
	timer_cancel(l->w->loop, &l->pause);
	close(l->fd);
	route_table_unref(l->last_table);
	if (l->closing)
		l->w->n_closing--;
	worker_check_switched(l->w);
	free(l);
}

static void look_again(struct timer *t)
{
	struct listener *l = of_pause(t);
	unsigned n = accept_some(l, ACCEPTS_PER_LOOK);

	if (l->is_short) {
		l->short_looks++;
	} else {
		atomic_store(&l->w->plane->out_of_descriptors, false);
		l->empty_looks = n ? 0 : l->empty_looks + 1;
		l->looks++;
	}
	if (l->empty_looks >= 2 || l->looks >= LOOKS_MAX || l->short_looks >= SHORT_LOOKS_MAX)
		listener_free(l);
	else
		timer_set(l->w->loop, &l->pause, loop_now_ms(l->w->loop) + LOOK_MS, look_again);
}

void listener_close(struct listener *l)
{
	if (l->closing)
		return;
	l->closing = true;
	l->w->n_closing++;
	watch_remove(l->w->loop, &l->watch);
	l->open = false;
	if (!l->w->table) {
		listener_free(l);
		return;
	}
	l->last_table = route_table_ref(l->w->table);
	timer_set(l->w->loop, &l->pause, loop_now_ms(l->w->loop), look_again);
}
