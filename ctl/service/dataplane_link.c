/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All that a new process needs is queued at once, in order: start, pipes,
 * sockets, table. Its answers only say how far it is. Its socket for hand-over
 * has a name of its own for as long as it lives: whatever becomes of controllers,
 * the next one finds every dataplane.
 *
 * One that breaks the protocol, misses heartbeats or takes too long is killed;
 * its end is always seen as the end of a child, and nothing else starts another.
 */
#include "ctl/service/dataplane_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/base/log.h"
#include "ctl/service/dataplane_link_internal.h"

#define NAMES_MAX 65536

static struct link *of_clock(struct timer *t)
{
	return (struct link *)((char *)t - offsetof(struct link, clock));
}

static struct link *of_watch(struct watch *w)
{
	return (struct link *)((char *)w - offsetof(struct link, watch));
}

void link_init(struct link *l, struct loop *loop, const struct link_config *c,
	       const struct link_owner *owner, struct listeners *listeners)
{
	memset(l, 0, sizeof(*l));
	l->loop = loop;
	l->config = *c;
	l->owner = *owner;
	l->listeners = listeners;
	l->wire.fd = l->watch.fd = l->page_fd = -1;
	l->names = json_object();
	l->upcalls = (struct bucket){ .burst = LINK_SAYS_BURST, .per_s = LINK_SAYS_PER_S };
	words_init(&l->words, loop);
}

static void wire_end(struct link *l)
{
	if (l->wire.fd < 0)
		return;
	watch_remove(l->loop, &l->watch);
	wire_fini(&l->wire);
	close(l->wire.fd);
	l->wire.fd = -1;
}

static void page_end(struct link *l)
{
	if (l->page)
		munmap(l->page, sizeof(*l->page));
	if (l->page_fd >= 0)
		close(l->page_fd);
	l->page = NULL;
	l->page_fd = -1;
}

void link_fini(struct link *l)
{
	wire_end(l);
	page_end(l);
	words_fini(&l->words);
	timer_cancel(l->loop, &l->clock);
	json_decref(l->live);
	json_decref(l->names);
	l->live = l->names = NULL;
}

void link_set_live(struct link *l, json_t *load, uint32_t generation)
{
	const bool other = generation != l->generation;

	json_decref(l->live);
	l->live = load;
	l->generation = generation;
	/* One that is on its way gets this one instead. */
	if (load && other && l->state == LINK_COMES && l->wire.fd >= 0)
		link_load(l, load);
}

void link_kill(struct link *l, const char *why)
{
	if (!l->pid)
		return;
	snprintf(l->why, sizeof(l->why), "%s", why);
	kill(l->pid, SIGKILL);
	wire_end(l);
}

void link_renew(struct link *l, unsigned workers, unsigned pipes)
{
	l->config.workers = workers;
	l->config.pipes = pipes;
	if (!l->pid)
		return;
	l->state = LINK_DOWN;
	l->renewed = true;
	link_kill(l, "another number of workers");
}

static void beat(struct timer *t);

/* It ends, most likely; how, its parent learns in a moment. */
static void wire_lost(struct link *l)
{
	wire_end(l);
	timer_set(l->loop, &l->clock, loop_now_ms(l->loop) + LINK_PING_MS, beat);
}

/* ---- what it is told ---- */

void link_flush(struct link *l)
{
	const int rc = l->wire.fd < 0 ? 0 : wire_flush(&l->wire);
	const uint32_t events = EPOLLIN | (rc == -EAGAIN ? (uint32_t)EPOLLOUT : 0);

	if (rc && rc != -EAGAIN)
		wire_lost(l);
	else if (l->wire.fd >= 0 && l->watch.events != events)
		watch_change(l->loop, &l->watch, events);
}

int link_say_fds(struct link *l, json_t *message, const int *fds, unsigned n)
{
	const int rc = l->wire.fd < 0 ? -ENOTCONN : wire_send(&l->wire, message, fds, n, true);

	if (l->wire.fd < 0) {
		json_decref(message);
		for (unsigned i = 0; i < n; i++)
			close(fds[i]);
	}
	return rc;
}

int link_say(struct link *l, json_t *message)
{
	const int rc = link_say_fds(l, message, NULL, 0);

	link_flush(l);
	return rc;
}

uint32_t link_ask(struct link *l, json_t *query)
{
	const uint32_t seq = ++l->seq ? l->seq : ++l->seq;

	if (l->state != LINK_READY || !query) {
		json_decref(query);
		return 0;
	}
	json_object_set_new(query, "seq", json_integer(seq));
	return link_say(l, query) ? 0 : seq;
}

/* The next sockets that it lacks, as one message: their number. Copies, because ours may be closed
 * before they are sent. */
static int say_some_listeners(struct link *l, size_t *from)
{
	json_t *list = json_array();
	int fds[WIRE_MAX_FDS], rc = 0;
	unsigned n = 0;

	for (; !rc && *from < l->listeners->n && n < WIRE_MAX_FDS; ++*from) {
		struct listener *s = &l->listeners->v[*from];
		char address[ADDR_TEXT];

		if (!s->live || s->sent)
			continue;
		fds[n] = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
		rc = fds[n] < 0 ? -errno : 0;
		n += !rc;
		s->sent = !rc;
		json_array_append_new(list,
				      json_pack("{s:I,s:s,s:i,s:i}", "id", (json_int_t)s->id,
						"address", addr_format(&s->at.address, address),
						"port", (int)s->at.port, "worker",
						(int)(s->slot % l->config.workers)));
	}
	if (!rc && n)
		return link_say_fds(l,
				    json_pack("{s:s,s:o}", "type", "listeners", "listeners", list),
				    fds, n);
	json_decref(list);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	return rc;
}

static int say_listeners(struct link *l)
{
	size_t from = 0;
	int rc = 0;

	while (!rc && from < l->listeners->n)
		rc = say_some_listeners(l, &from);
	return rc;
}

int link_load(struct link *l, json_t *load)
{
	const int rc = link_queue_load(l, load);

	link_flush(l);
	return rc;
}

void link_discard(struct link *l, uint32_t generation)
{
	link_say(l,
		 json_pack("{s:s,s:I}", "type", "discard", "generation", (json_int_t)generation));
}

int link_switch(struct link *l, uint32_t generation)
{
	json_t *open = json_array(), *shut = json_array();
	int rc;

	for (size_t i = 0; i < l->listeners->n; i++) {
		const struct listener *s = &l->listeners->v[i];

		if (s->live && !s->sent)
			json_array_append_new(open, json_integer(s->id));
		else if (!s->live && s->sent)
			json_array_append_new(shut, json_integer(s->id));
	}
	rc = say_listeners(l);
	rc = rc ? rc
		: link_say_fds(l,
			       json_pack("{s:s,s:I,s:O,s:O}", "type", "switch", "generation",
					 (json_int_t)generation, "open", open, "close", shut),
			       NULL, 0);
	json_decref(open);
	json_decref(shut);
	link_flush(l);
	return rc;
}

void link_drain(struct link *l, unsigned timeout_ms)
{
	const bool runs = l->state == LINK_READY || l->state == LINK_ENDS;

	l->state = LINK_ENDS;
	if (!l->pid)
		timer_cancel(l->loop, &l->clock);
	else if (!runs)
		link_kill(l, "it is not needed any more");
	else
		link_say(l, json_pack("{s:s,s:I}", "type", "drain", "timeout",
				      (json_int_t)timeout_ms));
}

/* ---- what it says ---- */

static void is_ready(struct link *l)
{
	l->state = LINK_READY;
	l->failures = 0;
	l->owner.ready(l->owner.arg);
}

static void comes(struct link *l, const struct upcall *u)
{
	switch (u->type) {
	case UPCALL_STARTED:
		if (u->pid != (uint32_t)l->pid)
			link_kill(l, "it says that it is another process");
		else if (!l->live)
			is_ready(l);
		break;
	case UPCALL_LOADED:
		if (l->live && u->generation == l->generation && link_switch(l, l->generation))
			link_kill(l, "it cannot be told what to serve");
		break;
	case UPCALL_SWITCHED:
		if (u->generation == l->generation)
			is_ready(l);
		break;
	case UPCALL_FAILED:
		log_err("the dataplane cannot serve generation %u: %s", u->generation, u->text);
		link_kill(l, "it cannot serve what is live");
		break;
	case UPCALL_NOTICE:
	case UPCALL_TARGET:
	case UPCALL_NAME_CHANGED:
		l->owner.said(l->owner.arg, u);
		break;
	default:
		break;
	}
}

/* Each ping makes every worker turn once more; the next answer tells whether it did. */
static void on_pong(struct link *l, const struct upcall *u)
{
	char why[64];

	if (u->seq != l->ping_seq && l->pinged)
		return;
	l->pinged = false;
	l->misses = 0;
	l->connections = u->connections;
	for (unsigned i = 0; i < u->n_rounds; i++) {
		l->worker_misses[i] = u->rounds[i] == l->rounds[i] ? l->worker_misses[i] + 1 : 0;
		l->rounds[i] = u->rounds[i];
		if (l->worker_misses[i] < LINK_MISSES)
			continue;
		snprintf(why, sizeof(why), "worker %u missed %u heartbeats", i, LINK_MISSES);
		link_kill(l, why);
		return;
	}
}

void link_remember(struct link *l, const char *name, const struct addr *v, unsigned n)
{
	json_t *list = json_array();
	char text[ADDR_TEXT];

	if (json_object_size(l->names) >= NAMES_MAX)
		json_object_clear(l->names);
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_string(addr_format(&v[i], text)));
	json_object_set_new(l->names, name, list);
}

static void heard(struct link *l, const struct upcall *u)
{
	if (u->type == UPCALL_PONG)
		on_pong(l, u);
	else if (u->type == UPCALL_HANDOVER)
		link_kill(l, "it hands over what nobody asked for");
	else if (l->state == LINK_COMES)
		comes(l, u);
	else
		l->owner.said(l->owner.arg, u);
}

/* Its answers are as many as questions; of the rest it may say so much and no more. */
static int check_upcall(struct link *l, const struct wire_message *m, struct upcall *u,
			struct err *e)
{
	const int rc = upcall_parse(m->json, m->n_fds, u, e);

	if (rc || u->type == UPCALL_ANSWER || bucket_take(&l->upcalls, loop_now_ms(l->loop)))
		return rc;
	return err_set(e, -EPROTO, "it says more than %u things a second", LINK_SAYS_PER_S);
}

/* Level-triggered, and nothing is read ahead: what is left comes in the next round. */
void link_receive(struct watch *w, uint32_t events)
{
	struct link *l = of_watch(w);
	struct wire_message m;
	struct err e = { 0 };
	struct upcall u;
	int rc = 1;

	for (unsigned n = 0;
	     n < LINK_A_TURN && rc > 0 && l->wire.fd >= 0 && (events & ~(uint32_t)EPOLLOUT); n++) {
		rc = wire_receive(&l->wire, &m, &e);
		if (rc <= 0)
			break;
		rc = check_upcall(l, &m, &u, &e);
		if (!rc)
			heard(l, &u);
		rc = rc ? rc : 1;
		wire_message_fini(&m);
	}
	if (rc == -EPIPE)
		wire_lost(l);
	else if (rc < 0)
		link_kill(l, e.msg);
	else
		link_flush(l);
}

/* ---- its life ---- */

static void pause_over(struct timer *t)
{
	link_start(of_clock(t));
}

static void again_later(struct link *l)
{
	const int64_t now = loop_now_ms(l->loop);
	unsigned pause;

	if (l->started_ms && now - l->started_ms >= LINK_STEADY_MS)
		l->pause_ms = 0;
	pause = l->pause_ms;
	l->pause_ms = !pause			      ? LINK_PAUSE_MIN_MS
		      : pause * 2 < LINK_PAUSE_MAX_MS ? pause * 2
						      : LINK_PAUSE_MAX_MS;
	l->restarts++;
	timer_set(l->loop, &l->clock, now + pause, pause_over);
}

static void beat(struct timer *t)
{
	struct link *l = of_clock(t);
	const int64_t now = loop_now_ms(l->loop);

	timer_set(l->loop, t, now + LINK_PING_MS, beat);
	if (l->wire.fd < 0) {
		link_kill(l, "it closed its end and went on");
		return;
	}
	if (l->state == LINK_COMES) {
		if (now - l->started_ms >= LINK_START_MS)
			link_kill(l, "it takes too long to start");
		return;
	}
	if (l->pinged && ++l->misses >= LINK_MISSES) {
		link_kill(l, "it missed its heartbeats");
		return;
	}
	/* Only one is on its way: a controller that was stopped does not blame its dataplane. */
	if (l->pinged)
		return;
	l->ping_seq = ++l->seq;
	l->pinged = link_say(l, json_pack("{s:s,s:I}", "type", "ping", "seq",
					  (json_int_t)l->ping_seq)) == 0;
}

void link_start(struct link *l)
{
	struct err e = { 0 };

	if (l->pid || l->state == LINK_ENDS)
		return;
	l->state = LINK_COMES;
	l->started_ms = loop_now_ms(l->loop);
	l->pinged = false;
	l->misses = 0;
	l->why[0] = '\0';
	memset(l->worker_misses, 0, sizeof(l->worker_misses));
	memset(l->rounds, 0xff, sizeof(l->rounds));
	page_end(l);
	if (!link_process_start(l, &e)) {
		timer_set(l->loop, &l->clock, l->started_ms + LINK_PING_MS, beat);
		return;
	}
	log_err("%s", e.msg);
	l->state = LINK_DOWN;
	l->failures++;
	again_later(l);
	if (l->owner.not_started)
		l->owner.not_started(l->owner.arg, e.msg);
}

bool link_child_ended(struct link *l, pid_t pid, int status)
{
	const bool was_to_end = l->state == LINK_ENDS, renewed = l->renewed;
	char why[LINK_WHY];

	if (!pid || pid != l->pid)
		return false;
	/* Its last words may still be there. */
	if (l->wire.fd >= 0)
		link_receive(&l->watch, EPOLLIN);
	words_close(&l->words);
	l->pid = 0;
	wire_end(l);
	link_socket_remove(l);
	timer_cancel(l->loop, &l->clock);
	link_say_why(l, status, why, sizeof(why));
	l->renewed = false;
	l->failures += l->state == LINK_COMES;
	if (!was_to_end && renewed) {
		link_start(l);
	} else if (!was_to_end) {
		l->state = LINK_DOWN;
		link_note_end(l, why);
		again_later(l);
	}
	l->owner.ended(l->owner.arg, renewed ? NULL : why);
	return true;
}
