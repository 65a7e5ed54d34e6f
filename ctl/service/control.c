/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RUN/control.sock: what commands ask. A client is a wire with at most one
 * question at a time; whoever neither reads nor finishes a message is dropped
 * after a while and holds up nobody meanwhile. Long answers come in parts, the
 * next one is fetched when the last is nearly gone. A client is freed in a turn
 * of its own, so whatever is being done with it can be finished.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/base/log.h"
#include "ctl/control/client.h"
#include "ctl/control/run_socket.h"
#include "ctl/service/service_internal.h"

#define CLIENTS_MAX   64
#define STALLED_MS    30000	 /* half a message, or an answer that is not read */
#define QUERY_MS      10000	 /* for one part of an answer */
#define QUEUE_ENOUGH  (1u << 20) /* bytes: the next part waits */
#define QUEUE_MAX     (64u << 20)
#define TIMEOUT_MAX_S 86400

enum query { QUERY_NONE, QUERY_STATUS, QUERY_CONNS };

struct client {
	struct client *next;
	struct service *s;
	struct wire wire;
	struct watch watch;
	struct timer stalled, late;
	struct turn end;
	enum query query;
	uint32_t seq;	  /* of the part that is asked for; 0 = none */
	json_int_t from;  /* where the next part begins */
	unsigned worker;  /* of conns */
	json_int_t route; /* of conns; 0 = all */
	bool described;	  /* the service's own part was said */
	bool waits, gone; /* for its queue to empty */
};

static void client_free(struct turn *t)
{
	struct client *c = (struct client *)((char *)t - offsetof(struct client, end));
	struct control *k = &c->s->control;

	for (struct client **p = &k->clients; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	k->n_clients--;
	free(c);
}

static void client_drop(struct client *c)
{
	struct loop *l = c->s->loop;

	if (c->gone)
		return;
	c->gone = true;
	watch_remove(l, &c->watch);
	timer_cancel(l, &c->stalled);
	timer_cancel(l, &c->late);
	wire_fini(&c->wire);
	close(c->wire.fd);
	stage_client_gone(c->s, c);
	turn_queue(l, &c->end, client_free);
}

static void is_stalled(struct timer *t)
{
	client_drop((struct client *)((char *)t - offsetof(struct client, stalled)));
}

/* Half a message either way, and no movement. */
static void watch_stall(struct client *c)
{
	struct loop *l = c->s->loop;

	if (wire_queued(&c->wire) || c->wire.in.len)
		timer_set(l, &c->stalled, loop_now_ms(l) + STALLED_MS, is_stalled);
	else
		timer_cancel(l, &c->stalled);
}

static void ask_next(struct client *c);

static void client_flush(struct client *c)
{
	const size_t before = c->gone ? 0 : wire_queued(&c->wire);
	const int rc = c->gone ? 0 : wire_flush(&c->wire);

	if (c->gone)
		return;
	if ((rc && rc != -EAGAIN) || wire_queued(&c->wire) > QUEUE_MAX) {
		client_drop(c);
		return;
	}
	watch_change(c->s->loop, &c->watch, EPOLLIN | (rc ? (uint32_t)EPOLLOUT : 0));
	if (!rc || wire_queued(&c->wire) < before)
		watch_stall(c);
	if (c->waits && wire_queued(&c->wire) < QUEUE_ENOUGH) {
		c->waits = false;
		ask_next(c);
	}
}

static void client_say(struct client *c, json_t *message)
{
	if (c->gone)
		json_decref(message);
	else if (wire_send(&c->wire, message, NULL, 0, false))
		client_drop(c);
	else
		client_flush(c);
}

/* ---- what the other parts answer ---- */

void client_prepared(struct client *c, uint32_t generation, unsigned workers)
{
	client_say(c, json_pack("{s:s,s:I,s:i,s:i}", "type", "prepared", "generation",
				(json_int_t)generation, "workers", (int)c->s->listeners.workers,
				"workersWanted", (int)workers));
}

void client_committed(struct client *c, uint32_t generation, bool late)
{
	client_say(c, json_pack("{s:s,s:I,s:b}", "type", "committed", "generation",
				(json_int_t)generation, "late", late));
}

void client_failed(struct client *c, const char *request, const struct err *e, int route)
{
	client_say(c,
		   json_pack("{s:s,s:s,s:s,s:s,s:i,s:i}", "type", "failed", "request", request,
			     "message", e->msg, "hint", e->hint, "code", e->code, "route", route));
}

/* ---- status and conns ---- */

static const char *state_text(const struct service *s)
{
	static const char *const texts[] = { "restarts", "starts", "ready", "ends" };

	return texts[s->link.state];
}

static json_t *sandbox_json(const struct link *l)
{
	if (!l->page)
		return json_null();
	return json_pack("{s:b,s:I,s:i,s:I}", "sealed", atomic_load(&l->page->sealed), "refused",
			 (json_int_t)(atomic_load(&l->page->refused) & INT64_MAX), "last",
			 atomic_load(&l->page->last), "uid",
			 (json_int_t)atomic_load(&l->page->uid));
}

/* Places, not sockets: each worker has one of its own. Of what the kernel says that listens. */
static json_t *places_json(const struct listeners *l)
{
	json_t *list = json_array();
	const struct listen_at *last = NULL;
	char text[LISTENER_NAME_MAX];

	for (size_t i = 0; i < l->n; i++) {
		const struct listen_at *at = &l->v[i].at;

		if (!l->v[i].live || (last && !listen_at_cmp(last, at)) ||
		    !listen_at_listens(l->v[i].fd))
			continue;
		json_array_append_new(list, json_string(listen_at_text(at, text)));
		last = at;
	}
	return list;
}

static json_t *service_json(const struct service *s)
{
	const struct listeners *l = &s->listeners;

	return json_pack("{s:i,s:i,s:s,s:I,s:i,s:i,s:i,s:i,s:s,s:i,s:b,s:o,s:o,s:s,s:b}", "pid",
			 (int)getpid(), "dataplane", (int)s->link.pid, "state", state_text(s),
			 "generation", (json_int_t)s->link.generation, "workers", (int)l->workers,
			 "listeners", (int)l->n, "restarts", (int)s->link.restarts, "ends",
			 (int)link_ends(&s->link), "lastEnd", s->link.last_end, "draining",
			 (int)olds_count(s), "stopping", s->stopping, "sandbox",
			 sandbox_json(&s->link), "places", places_json(l), "lacks",
			 listeners_missing(l) ? l->why : "", "unit",
			 getenv("NOTIFY_SOCKET") != NULL);
}

static const char *const query_names[] = { "", "status", "conns" };

/* Ends the answer; parts: NULL, or what the dataplane says. */
static void say_part(struct client *c, const json_t *part, bool more)
{
	json_t *m = part ? json_copy((json_t *)(uintptr_t)part) : json_object();

	json_object_set_new(m, "type", json_string(query_names[c->query]));
	json_object_set_new(m, "more", json_boolean(more));
	json_object_del(m, "seq");
	if (!c->described && c->query == QUERY_STATUS)
		json_object_set_new(m, "service", service_json(c->s));
	c->described = true;
	if (!more)
		c->query = QUERY_NONE;
	client_say(c, m);
}

static void is_late(struct timer *t)
{
	struct client *c = (struct client *)((char *)t - offsetof(struct client, late));
	struct err e = { 0 };

	err_set(&e, -ETIMEDOUT, "the dataplane did not answer within %d s", QUERY_MS / 1000);
	client_failed(c, query_names[c->query], &e, -1);
	c->query = QUERY_NONE;
	c->seq = 0;
}

static void ask_next(struct client *c)
{
	struct loop *l = c->s->loop;
	json_t *q;

	if (c->query == QUERY_STATUS)
		q = json_pack("{s:s,s:s,s:I}", "type", "query", "what", "status", "from", c->from);
	else
		q = json_pack("{s:s,s:s,s:i,s:I,s:I}", "type", "query", "what", "conns", "worker",
			      (int)c->worker, "after", c->from, "route", c->route);
	c->seq = link_ask(&c->s->link, q);
	if (c->seq)
		timer_set(l, &c->late, loop_now_ms(l) + QUERY_MS, is_late);
	else
		say_part(c, NULL, false); /* there is nobody to ask: that is all there is to say */
}

/* False: that was the last part. What does not go forwards is not asked for again. */
static bool go_on(struct client *c, const struct upcall *u)
{
	const json_int_t next = json_integer_value(json_object_get(u->answer, "next"));

	if (u->more && next > c->from) {
		c->from = next;
		return true;
	}
	if (c->query != QUERY_CONNS || c->worker + 1 >= c->s->listeners.workers)
		return false;
	c->worker++;
	c->from = 0;
	return true;
}

void control_heard(struct service *s, const struct upcall *u)
{
	for (struct client *c = s->control.clients; c; c = c->next) {
		bool more;

		if (c->gone || !c->seq || c->seq != u->seq)
			continue;
		c->seq = 0;
		timer_cancel(s->loop, &c->late);
		more = go_on(c, u);
		say_part(c, u->answer, more);
		if (more && !c->gone && wire_queued(&c->wire) >= QUEUE_ENOUGH)
			c->waits = true;
		else if (more && !c->gone)
			ask_next(c);
		return;
	}
}

void control_dataplane_ended(struct service *s)
{
	struct err e = { 0 };

	err_set(&e, -EPIPE, "the dataplane ended");
	for (struct client *c = s->control.clients; c; c = c->next) {
		if (c->gone || !c->seq)
			continue;
		c->seq = 0;
		timer_cancel(s->loop, &c->late);
		client_failed(c, query_names[c->query], &e, -1);
		c->query = QUERY_NONE;
	}
}

static void begin_query(struct client *c, enum query q, const json_t *m)
{
	struct err e = { 0 };

	if (c->query != QUERY_NONE) {
		err_set(&e, -EBUSY, "one question at a time");
		client_failed(c, query_names[q], &e, -1);
		return;
	}
	c->query = q;
	c->from = 0;
	c->worker = 0;
	c->described = false;
	c->route = json_integer_value(json_object_get(m, "route"));
	if (q == QUERY_STATUS && json_is_true(json_object_get(m, "serviceOnly")))
		say_part(c, NULL, false);
	else
		ask_next(c);
}

/* ---- requests ---- */

static void on_hello(struct client *c)
{
	const struct service *s = c->s;

	client_say(c, json_pack("{s:s,s:i,s:i,s:I,s:I,s:I,s:I,s:s,s:s}", "type", "hello",
				"protocol", CONTROL_PROTOCOL, "pid", (int)getpid(), "generation",
				(json_int_t)s->link.generation, "cookie",
				(json_int_t)s->identity.ns_cookie, "dev",
				(json_int_t)s->identity.ns_dev, "ino",
				(json_int_t)s->identity.ns_ino, "boot", s->identity.boot, "state",
				s->link.state == LINK_READY ? "ready" : "starts"));
}

static uint32_t generation_of(const json_t *m)
{
	const json_int_t n = json_integer_value(json_object_get(m, "generation"));

	return n > 0 && n <= UINT32_MAX ? (uint32_t)n : 0;
}

static void on_end(struct client *c, const json_t *m)
{
	const json_int_t route = json_integer_value(json_object_get(m, "route"));
	const char *reason = json_string_value(json_object_get(m, "reason"));
	json_t *end = json_pack("{s:s,s:s}", "type", "end", "reason", reason ? reason : "killed");

	if (route > 0)
		json_object_set_new(end, "route", json_integer(route));
	link_say(&c->s->link, end);
	client_say(c, json_pack("{s:s}", "type", "done"));
}

/* timeout: seconds; absent: as the routes say (drain), or at once (stop). */
static void on_stop(struct client *c, const json_t *m, unsigned otherwise_ms)
{
	const json_t *v = json_object_get(m, "timeout");
	const json_int_t s = json_integer_value(v);
	const bool fits = json_is_integer(v) && s >= 0 && s <= TIMEOUT_MAX_S;

	client_say(c, json_pack("{s:s}", "type", "done"));
	service_stop(c->s, fits ? (unsigned)s * 1000 : otherwise_ms);
}

static void dispatch(struct client *c, const struct wire_message *m)
{
	const char *type = wire_message_type(m);
	struct err e = { 0 };
	int rc = 0;

	if (!strcmp(type, "hello"))
		on_hello(c);
	else if (!strcmp(type, "prepare"))
		rc = stage_begin(c->s, c, m->json, &e);
	else if (!strcmp(type, "commit"))
		rc = stage_commit(c->s, c, generation_of(m->json), &e);
	else if (!strcmp(type, "abort"))
		rc = stage_abort(c->s, c, generation_of(m->json), &e);
	else if (!strcmp(type, "status"))
		begin_query(c, QUERY_STATUS, m->json);
	else if (!strcmp(type, "conns"))
		begin_query(c, QUERY_CONNS, m->json);
	else if (!strcmp(type, "end"))
		on_end(c, m->json);
	else if (!strcmp(type, "drain"))
		on_stop(c, m->json, c->s->shutdown_ms);
	else if (!strcmp(type, "stop"))
		on_stop(c, m->json, 0);
	else
		rc = err_set(&e, -ENOSYS, "this service does not know that request");
	if (rc)
		client_failed(c, type, &e, -1);
	else if (!strcmp(type, "abort"))
		client_say(c, json_pack("{s:s}", "type", "aborted"));
}

static void client_ready(struct watch *w, uint32_t events)
{
	struct client *c = (struct client *)((char *)w - offsetof(struct client, watch));
	struct wire_message m;
	int rc = 1;

	while (rc > 0 && !c->gone && (events & ~(uint32_t)EPOLLOUT)) {
		rc = wire_receive(&c->wire, &m, NULL);
		if (rc <= 0)
			break;
		dispatch(c, &m);
		wire_message_fini(&m);
	}
	if (c->gone)
		return;
	if (rc < 0)
		client_drop(c);
	else
		client_flush(c);
}

static int client_new(struct service *s, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->s = s;
	wire_init(&c->wire, fd, WIRE_MAX_DOWN);
	if (watch_add(s->loop, &c->watch, fd, EPOLLIN, client_ready)) {
		free(c);
		return -ENOMEM;
	}
	c->next = s->control.clients;
	s->control.clients = c;
	s->control.n_clients++;
	return 0;
}

/* The mode of the socket keeps others out; so does this, should somebody change it. */
static void caller(struct watch *w, uint32_t events)
{
	struct service *s = (struct service *)((char *)w - offsetof(struct service, control.watch));
	const int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (!run_socket_is_root(fd) || s->control.n_clients >= CLIENTS_MAX || client_new(s, fd))
		close(fd);
}

int control_open(struct service *s, struct err *e)
{
	int rc;

	s->control.fd = run_socket_listen(s->run_dir, CONTROL_SOCKET, CLIENTS_MAX, e);
	if (s->control.fd < 0)
		return s->control.fd;
	rc = watch_add(s->loop, &s->control.watch, s->control.fd, EPOLLIN, caller);
	return rc ? err_sys(e, rc, "cannot watch " CONTROL_SOCKET) : 0;
}

void control_close(struct service *s)
{
	if (s->control.fd >= 0) {
		watch_remove(s->loop, &s->control.watch);
		close(s->control.fd);
	}
	s->control.fd = -1;
	for (struct client *c = s->control.clients; c; c = c->next)
		client_drop(c);
	while (s->control.clients) {
		turn_cancel(s->loop, &s->control.clients->end);
		client_free(&s->control.clients->end);
	}
}
