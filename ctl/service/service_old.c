/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hand-over: a dataplane whose controller is gone - killed, or replaced by a new
 * binary - is found at RUN/dataplane.sock. Its listening sockets become ours, and
 * it goes on accepting from them until our own dataplane serves; then it drains
 * for as long as its connections live. Where a start was cut short there are two:
 * both are asked.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "ctl/base/log.h"
#include "ctl/base/text.h"
#include "ctl/control/run_socket.h"
#include "ctl/service/service_internal.h"

#define WAIT_MS 5000

static void old_free(struct service *s, struct old *o)
{
	for (struct old **p = &s->olds; *p; p = &(*p)->next)
		if (*p == o) {
			*p = o->next;
			break;
		}
	watch_remove(s->loop, &o->watch);
	wire_fini(&o->wire);
	close(o->wire.fd);
	free(o);
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
	old_free(s, o);
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

/* 1: more follows; 0: that was all. */
static int receive_part(struct service *s, struct wire *w, int64_t until_ms, struct err *e)
{
	struct wire_message m;
	struct upcall u;
	int rc;

	while (!(rc = wire_receive(w, &m, e))) {
		struct pollfd p = { .fd = w->fd, .events = POLLIN };
		const int64_t left = until_ms - clock_mono_ms();

		if (left <= 0 || (poll(&p, 1, (int)left) == 0))
			return err_set(e, -ETIMEDOUT, "it does not answer");
	}
	if (rc < 0)
		return rc;
	rc = upcall_parse(m.json, m.n_fds, &u, e);
	if (!rc && u.type == UPCALL_HANDOVER) {
		adopt(s, &m, &u);
		rc = u.more;
	} else if (!rc) {
		rc = 1; /* about something else: a notice */
	}
	wire_message_fini(&m);
	return rc;
}

static void take_over(struct service *s, int fd)
{
	struct old *o = calloc(1, sizeof(*o));
	const int64_t until_ms = clock_mono_ms() + WAIT_MS;
	struct err e = { 0 };
	int rc = 1;

	if (!o) {
		close(fd);
		return;
	}
	o->s = s;
	wire_init(&o->wire, fd, WIRE_MAX_UP);
	while (rc > 0)
		rc = receive_part(s, &o->wire, until_ms, &e);
	if (!rc)
		rc = watch_add(s->loop, &o->watch, fd, EPOLLIN, old_ready);
	if (rc) {
		log_warn("a former dataplane cannot be taken over from: %s", e.msg);
		wire_fini(&o->wire);
		close(fd);
		free(o);
		return;
	}
	o->next = s->olds;
	s->olds = o;
}

void olds_take_over(struct service *s)
{
	static const char *const names[] = { LINK_SOCKET, LINK_SOCKET_NEW };
	const size_t before = s->listeners.n;

	for (unsigned i = 0; i < 2; i++) {
		struct err e = { 0 };
		const int fd = run_socket_connect(s->run_dir, names[i], &e);

		if (fd >= 0)
			take_over(s, fd);
		else if (e.code)
			log_warn("%s", e.msg);
	}
	if (s->olds)
		log_info("took %zu listening socket%s over from %u former dataplane%s",
			 s->listeners.n - before, text_plural(s->listeners.n - before),
			 olds_count(s), text_plural(olds_count(s)));
}

void olds_drain(struct service *s, unsigned timeout_ms)
{
	for (struct old *o = s->olds; o; o = o->next) {
		o->drains = true;
		wire_send(&o->wire,
			  json_pack("{s:s,s:I}", "type", "drain", "timeout",
				    (json_int_t)timeout_ms),
			  NULL, 0, false);
		flush(o);
	}
}

void olds_fini(struct service *s)
{
	while (s->olds)
		old_free(s, s->olds);
}

unsigned olds_count(const struct service *s)
{
	unsigned n = 0;

	for (const struct old *o = s->olds; o; o = o->next)
		n++;
	return n;
}
