/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A worker thread. What the main thread wants of it is posted to its loop, each
 * time as one small object that the worker frees; nothing is shared but what
 * struct plane says. A table is swapped by one pointer: connections keep the route they have.
 */
#include "dataplane/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/conn.h"

/* ---- posts ---- */

struct post {
	struct worker *w;
	union {
		struct listener *listener;
		struct worker_switch change;
		int access_fd;
		struct {
			int fds[2 * 32];
			unsigned n;
		} pipes;
		struct {
			uint32_t route;
			enum reason why;
		} end;
		atomic_uint *left;
	};
};

static int post(struct worker *w, void (*fn)(void *arg), const struct post *what)
{
	struct post *p = malloc(sizeof(*p));
	int rc = p ? 0 : -ENOMEM;

	if (rc)
		return rc;
	*p = *what;
	p->w = w;
	rc = loop_post(w->loop, fn, p);
	if (rc)
		free(p);
	return rc;
}

static void add_listener(void *arg)
{
	struct post *p = arg;

	p->listener->next = p->w->listeners;
	p->w->listeners = p->listener;
	free(p);
}

static struct addr bound_address(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a = { 0 };

	if (!getsockname(fd, (struct sockaddr *)&ss, &len))
		a = addr_from_sockaddr((struct sockaddr *)&ss, NULL);
	return addr_is_unspecified(&a) ? (struct addr){ 0 } : a;
}

int worker_add_listener(struct worker *w, uint32_t id, const struct addr *a, uint16_t port, int fd)
{
	struct listener *l = calloc(1, sizeof(*l));
	int rc;

	if (!l) {
		close(fd);
		return -ENOMEM;
	}
	*l = (struct listener){
		.w = w, .id = id, .fd = fd, .address = *a, .port = port, .watch.fd = -1
	};
	l->bound = bound_address(fd);
	rc = post(w, add_listener, &(struct post){ .listener = l });
	if (rc) {
		close(fd);
		free(l);
	}
	return rc;
}

static struct listener *find_listener(struct worker *w, uint32_t id)
{
	struct listener *l = w->listeners;

	while (l && (l->id != id || l->closing))
		l = l->next;
	return l;
}

void worker_check_switched(struct worker *w)
{
	void (*done)(void *arg) = w->switched;

	if (!done || w->n_closing)
		return;
	w->switched = NULL;
	done(w->switched_arg);
}

/* Who holds back its first bytes must not get by what was changed meanwhile. */
static void redecide(struct worker *w)
{
	struct conn *next;

	for (struct conn *c = w->undecided; c; c = next) {
		next = c->undecided_next;
		conn_first_redecide(c);
	}
}

/* Closing ones look at their queue with the table of before. */
static void change(void *arg)
{
	struct post *p = arg;
	struct worker_switch *s = &p->change;
	struct route_table *before = p->w->table;
	struct listener *l;

	for (unsigned i = 0; i < s->n_close; i++) {
		l = find_listener(p->w, s->close[i]);
		if (l)
			listener_close(l);
	}
	p->w->table = s->table;
	pool_keep(&p->w->pool, s->keep_buffers);
	if (p->w->access)
		access_log_set_json(p->w->access, s->table->log_json);
	for (unsigned i = 0; i < s->n_open; i++) {
		l = find_listener(p->w, s->open[i]);
		if (l && !p->w->draining)
			listener_open(l);
	}
	redecide(p->w);
	route_table_unref(before);
	p->w->switched = s->done;
	p->w->switched_arg = s->arg;
	worker_check_switched(p->w);
	free(p);
}

int worker_switch(struct worker *w, const struct worker_switch *s)
{
	int rc = post(w, change, &(struct post){ .change = *s });

	if (rc)
		route_table_unref(s->table);
	return rc;
}

static void set_names(void *arg)
{
	struct worker *w = arg;

	name_book_unref(w->names);
	w->names = atomic_exchange(&w->names_next, NULL);
}

int worker_set_names(struct worker *w, struct name_book *b)
{
	struct name_book *before = atomic_exchange(&w->names_next, b);
	int rc = before ? 0 : loop_post(w->loop, set_names, w);

	name_book_unref(before);
	if (rc)
		name_book_unref(atomic_exchange(&w->names_next, NULL));
	return rc;
}

static void add_pipes(void *arg)
{
	struct post *p = arg;

	for (unsigned i = 0; i + 1 < p->pipes.n; i += 2)
		pool_pipe_add(&p->w->pool, p->pipes.fds[i], p->pipes.fds[i + 1]);
	free(p);
}

int worker_add_pipes(struct worker *w, const int *fds, unsigned n)
{
	struct post p = { .pipes.n = n };
	int rc = n <= sizeof(p.pipes.fds) / sizeof(*p.pipes.fds) ? 0 : -E2BIG;

	if (!rc) {
		memcpy(p.pipes.fds, fds, n * sizeof(*fds));
		rc = post(w, add_pipes, &p);
	}
	for (unsigned i = 0; rc && i < n; i++)
		close(fds[i]);
	return rc;
}

static void end_some(struct worker *w, uint32_t route, enum reason why)
{
	struct conn *next;

	for (struct conn *c = w->conns; c; c = next) {
		next = c->next;
		/* Who lingers was counted when it was told why. */
		if (!route && c->state == CONN_LINGER)
			conn_end(c, why);
		else if (!route || (c->route && c->route->id == route))
			conn_refuse(c, why);
	}
}

static void end(void *arg)
{
	struct post *p = arg;

	end_some(p->w, p->end.route, p->end.why);
	free(p);
}

int worker_end(struct worker *w, uint32_t route, enum reason why)
{
	return post(w, end, &(struct post){ .end = { route, why } });
}

static void set_access(void *arg)
{
	struct post *p = arg;

	if (!p->w->access)
		p->w->access = access_log_new(p->w->loop, p->access_fd, false, NULL);
	free(p);
}

int worker_set_access(struct worker *w, int fd)
{
	return post(w, set_access, &(struct post){ .access_fd = fd });
}

static void drain(void *arg)
{
	struct post *p = arg;
	struct worker *w = p->w;
	struct listener *next;

	w->draining = true;
	for (struct listener *l = w->listeners; l; l = next) {
		next = l->next;
		if (!l->closing)
			listener_free(l);
	}
	atomic_fetch_sub(p->left, 1);
	free(p);
}

int worker_drain(struct worker *w, atomic_uint *left)
{
	return post(w, drain, &(struct post){ .left = left });
}

static void beat(void *arg)
{
	struct worker *w = arg;

	atomic_fetch_add_explicit(&w->beats, 1, memory_order_relaxed);
}

int worker_beat(struct worker *w)
{
	return loop_post(w->loop, beat, w);
}

/* ---- the thread ---- */

/* xorshift64*: to spread, not to keep secrets. */
uint64_t worker_random(struct worker *w)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return w->random * 0x2545f4914f6cdd1dull;
}

int worker_listens(struct worker *w, const struct addr *a, uint16_t port)
{
	int rc = own_ports_has(&w->plane->ports, port)
			 ? own_address(&w->own, a, loop_now_ms(w->loop))
			 : 0;

	if (rc <= 0)
		return rc;
	for (const struct listener *l = w->listeners; l; l = l->next)
		if (l->port == port && (l->bound.family == ADDR_NONE || !addr_cmp(&l->bound, a)))
			return 1;
	return 0;
}

static void empty(struct worker *w)
{
	end_some(w, 0, REASON_KILLED);
	while (w->listeners)
		listener_free(w->listeners);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	loop_run(w->loop);
	empty(w);
	return NULL;
}

int worker_start(struct worker *w, struct plane *p, unsigned index, struct err *e)
{
	sigset_t all, old;
	int rc;

	*w = (struct worker){ .plane = p, .index = index };
	w->conns_end = &w->conns;
	w->undecided_end = &w->undecided;
	if (getrandom(&w->random, sizeof(w->random), 0) != sizeof(w->random) || !w->random)
		w->random = 0x9e3779b97f4a7c15ull + index;
	pool_init(&w->pool, 0, WORKER_KEEP_BUFFERS);
	w->pool.budget = &p->budget;
	w->loop = loop_new(e);
	if (!w->loop)
		return e->code ? e->code : -ENOMEM;
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->started = !rc;
	return rc ? err_sys(e, rc, "cannot start a worker thread") : 0;
}

void worker_stop(struct worker *w)
{
	if (w->started) {
		loop_stop(w->loop);
		pthread_join(w->thread, NULL);
	}
	if (!w->loop)
		return;
	conn_lookups_free(w);
	access_log_free(w->access);
	route_table_unref(w->table);
	name_book_unref(w->names);
	name_book_unref(w->names_next);
	pool_fini(&w->pool);
	loop_free(w->loop);
	*w = (struct worker){ 0 };
}
