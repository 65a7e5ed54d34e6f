/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hand-over: a dataplane whose controller is gone - killed, or replaced by a new
 * binary - is found at its socket in RUN. Its listening sockets become ours, and
 * it goes on accepting from them until our own dataplane serves; then it drains
 * for as long as its connections live. There may be several: those of reloads
 * before that drain still, and one of a start that was cut short. All are asked
 * at once, and have the same time: one that hangs would keep its part of what is
 * queued in the sockets, so it is killed.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "ctl/base/log.h"
#include "ctl/base/text.h"
#include "ctl/control/run_socket.h"
#include "ctl/service/service_internal.h"
#include "ctl/service/spawn.h"

#define WAIT_MS	     5000 /* for all of them, and nobody else is served meanwhile */
#define END_MS	     1000 /* from SIGKILL on */
#define OLDS_MAX     256
#define PARTS_A_TURN 16

static void forget(struct old *o)
{
	for (struct old **p = &o->s->olds; *p; p = &(*p)->next)
		if (*p == o) {
			*p = o->next;
			break;
		}
	watch_remove(o->s->loop, &o->watch);
	wire_fini(&o->wire);
	close(o->wire.fd);
	peer_drop(&o->peer);
	free(o);
}

/* Also one that only closed its end: nobody could tell it anything any more. One that is not ours
 * to kill keeps its name, so that the next controller finds it. */
static void old_end(struct old *o)
{
	const int rc = peer_kill(&o->peer);
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", o->s->run_dir, o->name);
	if (o->wire_lost || !rc || (rc == -ESRCH && o->peer.pidfd >= 0))
		unlink(path);
	forget(o);
}

static void flush(struct old *o)
{
	const int rc = wire_flush(&o->wire);

	watch_change(o->s->loop, &o->watch, EPOLLIN | (rc == -EAGAIN ? (uint32_t)EPOLLOUT : 0));
}

static void old_ready(struct watch *w, uint32_t events)
{
	struct old *o = (struct old *)((char *)w - offsetof(struct old, watch));
	struct service *s = o->s;
	struct wire_message m;
	struct upcall u;
	int rc = 1;

	(void)events;
	for (unsigned n = 0; n < LINK_A_TURN && (rc = wire_receive(&o->wire, &m, NULL)) > 0; n++) {
		if (!upcall_parse(m.json, m.n_fds, &u, NULL) && u.type == UPCALL_NOTICE &&
		    words_may_say(&s->link.words))
			log_info("former dataplane: %s", u.text);
		wire_message_fini(&m);
	}
	if (rc >= 0)
		return flush(o);
	log_info("the former dataplane has ended");
	o->wire_lost = rc == -EPIPE;
	old_end(o);
	service_check_end(s);
}

static void adopt(struct service *s, struct wire_message *m, const struct upcall *u)
{
	for (unsigned i = 0; i < u->n_listeners; i++) {
		const struct listen_at at = { u->listeners[i].address, u->listeners[i].port };
		struct err e = { 0 };
		const int rc = listeners_adopt(&s->listeners, m->fds[i], &at, false, &e);

		m->fds[i] = -1;
		if (rc && rc != -EEXIST)
			log_warn("hand-over: %s", e.msg);
	}
}

/* 1 = more is to come, 0 = that was all, -EAGAIN = nothing is there yet. */
static int receive_part(struct old *o, struct err *e)
{
	struct wire_message m;
	struct upcall u;
	int rc = wire_receive(&o->wire, &m, e);

	if (rc <= 0)
		return rc ? rc : -EAGAIN;
	rc = upcall_parse(m.json, m.n_fds, &u, e);
	if (!rc && u.type == UPCALL_HANDOVER) {
		adopt(o->s, &m, &u);
		rc = u.more;
	} else if (!rc) {
		rc = 1; /* about something else: a notice */
	}
	wire_message_fini(&m);
	return rc;
}

/* ---- all of them ---- */

static bool old_new(struct service *s, int fd, const char *name)
{
	struct old *o = calloc(1, sizeof(*o));

	if (!o) {
		close(fd);
		return false;
	}
	o->s = s;
	o->comes = true;
	snprintf(o->name, sizeof(o->name), "%s", name);
	wire_init(&o->wire, fd, WIRE_MAX_UP);
	/* Until it has called listen() itself its controller counts as the one who did. */
	if (!peer_hold(&o->peer, fd) || !peer_is_named(&o->peer, SPAWN_NAME))
		peer_drop(&o->peer);
	o->watch.fd = -1;
	o->next = s->olds;
	s->olds = o;
	return true;
}

static void connect_to(struct service *s, const char *name)
{
	struct err e = { 0 };
	char path[PATH_MAX];
	const int fd = run_socket_connect(s->run_dir, name, &e);

	if (fd >= 0 && old_new(s, fd, name))
		return;
	if (fd != -ECONNREFUSED) {
		log_warn("a former dataplane cannot be taken over from: %s",
			 e.code ? e.msg : "out of memory");
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", s->run_dir, name);
	unlink(path);
}

static void connect_all(struct service *s)
{
	DIR *dir = opendir(s->run_dir);
	unsigned number, n = 0;

	for (struct dirent *d; dir && (d = readdir(dir)) && n < OLDS_MAX;) {
		if (!link_socket_number(d->d_name, &number))
			continue;
		connect_to(s, d->d_name);
		n++;
	}
	if (dir)
		closedir(dir);
}

/* What it has said by now; one that never stops gets its turns like the others. */
static void hear(struct old *o)
{
	struct err e = { 0 };
	int rc = 1;

	for (unsigned i = 0; rc == 1 && i < PARTS_A_TURN; i++)
		rc = receive_part(o, &e);
	if (rc == 1 || rc == -EAGAIN)
		return;
	o->comes = false;
	if (!rc)
		rc = watch_add(o->s->loop, &o->watch, o->wire.fd, EPOLLIN, old_ready);
	if (!rc)
		return;
	log_warn("a former dataplane (pid %d) cannot be taken over from: %s", (int)o->peer.pid,
		 e.msg);
	o->wire_lost = rc == -EPIPE;
	old_end(o);
}

static void hear_all(struct service *s)
{
	for (struct old *o = s->olds, *next; o; o = next) {
		next = o->next;
		if (o->comes)
			hear(o);
	}
}

/* False: there is nobody to wait for. */
static bool await_some(const struct service *s, int64_t until_ms)
{
	const int64_t left_ms = until_ms - clock_mono_ms();
	struct pollfd v[OLDS_MAX];
	nfds_t n = 0;

	for (const struct old *o = s->olds; o; o = o->next)
		if (o->comes)
			v[n++] = (struct pollfd){ .fd = o->wire.fd, .events = POLLIN };
	if (n && left_ms > 0)
		poll(v, n, (int)left_ms);
	return n && left_ms > 0;
}

static void kill_late_ones(struct service *s)
{
	for (struct old *o = s->olds; o; o = o->next)
		if (o->comes)
			log_warn("a former dataplane (pid %d) does not hand over within %d s: %s",
				 (int)o->peer.pid, WAIT_MS / 1000,
				 peer_kill(&o->peer) ? "it is left alone" : "it is killed");
}

/* What they listened on is free when they are gone. */
static void forget_late_ones(struct service *s)
{
	for (struct old *o = s->olds, *next; o; o = next) {
		next = o->next;
		if (!o->comes)
			continue;
		if (o->peer.pidfd >= 0 && !peer_has_ended(&o->peer, END_MS))
			log_warn("it (pid %d) does not end either", (int)o->peer.pid);
		old_end(o);
	}
}

void olds_take_over(struct service *s)
{
	const int64_t until_ms = clock_mono_ms() + WAIT_MS;
	const size_t before = s->listeners.n;

	connect_all(s);
	do
		hear_all(s);
	while (await_some(s, until_ms));
	kill_late_ones(s);
	forget_late_ones(s);
	if (s->olds)
		log_info("took %zu listening socket%s over from %u former dataplane%s",
			 s->listeners.n - before, text_plural(s->listeners.n - before),
			 olds_count(s), text_plural(olds_count(s)));
}

/* ---- afterwards ---- */

void olds_drain(struct service *s, unsigned timeout_ms)
{
	for (struct old *o = s->olds; o; o = o->next) {
		wire_send(&o->wire,
			  json_pack("{s:s,s:I}", "type", "drain", "timeout",
				    (json_int_t)timeout_ms),
			  NULL, 0, false);
		flush(o);
	}
}

void olds_kill(struct service *s)
{
	while (s->olds)
		old_end(s->olds);
}

void olds_fini(struct service *s)
{
	while (s->olds)
		forget(s->olds);
}

unsigned olds_count(const struct service *s)
{
	unsigned n = 0;

	for (const struct old *o = s->olds; o; o = o->next)
		n++;
	return n;
}
