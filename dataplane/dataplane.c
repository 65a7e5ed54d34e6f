/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main thread: does what the controller says, and tells it what changes. It
 * moves no byte of a connection, so a large table that is being read, or a
 * question about 64000 routes, holds up nobody.
 */
#include "dataplane/dataplane.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dataplane/dataplane_internal.h"

#define TICK_MS		1000
#define DRAIN_LOOK_MS	20
#define HELLO_MAX_BYTES 16384
#define SPARE_FDS	16 /* name servers, a hand-over */
#define CHECKS_PART	8  /* of the descriptors, for health checks */

/* ---- the wire ---- */

static void wire_lost(struct dataplane *d)
{
	int fd = d->wire.fd;

	if (fd < 0)
		return;
	watch_remove(d->loop, &d->wire_watch);
	wire_fini(&d->wire);
	close(fd);
	d->wire.fd = -1;
	/* Nobody could ever reach it. */
	if (d->listen_watch.fd < 0 || !d->live)
		loop_stop(d->loop);
}

static void flush(struct dataplane *d)
{
	int rc = d->wire.fd >= 0 ? wire_flush(&d->wire) : 0;

	if (rc == -EAGAIN)
		watch_change(d->loop, &d->wire_watch, EPOLLIN | EPOLLOUT);
	else if (rc)
		wire_lost(d);
	else if (d->wire.fd >= 0 && d->wire_watch.events != EPOLLIN)
		watch_change(d->loop, &d->wire_watch, EPOLLIN);
}

void dataplane_send_fds(struct dataplane *d, json_t *message, const int *fds, unsigned n)
{
	if (d->wire.fd < 0 || !message) {
		json_decref(message);
		return;
	}
	if (wire_send(&d->wire, message, fds, n, false))
		wire_lost(d);
	else
		flush(d);
}

void dataplane_send(struct dataplane *d, json_t *message)
{
	dataplane_send_fds(d, message, NULL, 0);
}

void dataplane_notice(struct dataplane *d, const char *level, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dataplane_send(d, json_pack("{s:s,s:s,s:s}", "type", "notice", "level", level, "message",
				    text));
}

void dataplane_fail(struct dataplane *d, const char *why)
{
	dataplane_notice(d, "error", "%s", why);
	d->exit_code = 1;
	loop_stop(d->loop);
}

/* ---- start ---- */

static void drain_look(struct timer *t);

/* What happens by itself, once a second. */
static void tick(struct timer *t)
{
	struct dataplane *d = (struct dataplane *)((char *)t - offsetof(struct dataplane, tick));
	unsigned long long paused = atomic_load(&d->plane.accept_paused);

	/* Who still lacks one has said so again within a second. */
	atomic_store(&d->plane.out_of_descriptors, paused != d->paused_seen);

	if (paused != d->paused_seen && !d->paused_seen)
		dataplane_notice(d, "warning",
				 "out of descriptors: new connections wait until some are free");
	else if (paused == d->paused_seen && paused && !atomic_load(&d->plane.out_of_descriptors)) {
		dataplane_notice(d, "info", "descriptors are free again");
		atomic_store(&d->plane.accept_paused, 0);
		paused = 0;
	}
	d->paused_seen = paused;
	timer_set(d->loop, &d->tick, loop_now_ms(d->loop) + TICK_MS, tick);
}

/* Those of this moment, all at the low end: the next free one is their number. */
static void count_own_fds(struct dataplane *d)
{
	struct rlimit l = { 0 };
	int fd = fcntl(d->wire.fd, F_DUPFD_CLOEXEC, 3);

	if (fd < 0 || getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	close(fd);
	d->own_fds = (unsigned)fd;
	d->max_fds = l.rlim_cur < INT32_MAX ? (unsigned)l.rlim_cur : INT32_MAX;
	if (d->health)
		health_bound(d->health, d->max_fds / CHECKS_PART);
	dataplane_count_room(d);
}

void dataplane_count_room(struct dataplane *d)
{
	unsigned others = d->own_fds + 2 * (d->n_pipes + d->n_listeners) + SPARE_FDS +
			  (d->health ? health_descriptors(d->health) : 0);

	if (d->max_fds)
		atomic_store(&d->plane.max_pairs,
			     others + 2 < d->max_fds ? (d->max_fds - others) / 2 : 1);
}

static int start_workers(struct dataplane *d, unsigned n, struct err *e)
{
	int rc = 0;

	d->workers = calloc(n, sizeof(*d->workers));
	if (!d->workers)
		return err_set(e, ENOMEM, "out of memory");
	for (; !rc && d->n_workers < n; d->n_workers++)
		rc = worker_start(&d->workers[d->n_workers], &d->plane, d->n_workers, e);
	return rc;
}

static int start(struct dataplane *d, const json_t *m, struct err *e)
{
	json_int_t workers = json_integer_value(json_object_get(m, "workers"));
	json_int_t hello = json_integer_value(json_object_get(m, "helloMax"));
	int rc;

	if (d->started || workers < 1 || workers > WORKERS_MAX)
		return err_set(e, EINVAL, "bad start message");
	d->plane.hello_max_bytes = hello > 0 ? (size_t)hello : HELLO_MAX_BYTES;
	d->plane.main_loop = d->loop;
	d->plane.registry = route_registry_new();
	d->plane.limits = limits_new(e);
	if (!d->plane.registry || !d->plane.limits)
		return err_set(e, ENOMEM, "out of memory");
	rc = dataplane_start_names(d, json_object_get(m, "dns"), e);
	rc = rc ? rc : dataplane_start_health(d, e);
	rc = rc ? rc : start_workers(d, (unsigned)workers, e);
	count_own_fds(d);
	if (!rc && d->seal)
		rc = d->seal();
	if (rc && !e->code)
		err_sys(e, rc, "cannot give up what is not needed");
	d->started = !rc;
	timer_set(d->loop, &d->tick, loop_now_ms(d->loop) + TICK_MS, tick);
	return rc;
}

static void on_start(struct dataplane *d, struct wire_message *m)
{
	struct err e = { 0 };

	if (!start(d, m->json, &e)) {
		dataplane_send(d, json_pack("{s:s,s:i}", "type", "started", "pid", (int)getpid()));
		return;
	}
	dataplane_fail(d, e.msg);
}

/* ---- messages ---- */

static void on_pipes(struct dataplane *d, struct wire_message *m)
{
	for (unsigned i = 0; i + 1 < m->n_fds; i += 2) {
		worker_add_pipes(&d->workers[d->next_pipe++ % d->n_workers], &m->fds[i], 2);
		m->fds[i] = m->fds[i + 1] = -1;
		d->n_pipes++;
	}
	dataplane_count_room(d);
}

/* From here on it is ours, until the process ends. */
static void on_access(struct dataplane *d, struct wire_message *m)
{
	struct err e = { 0 };

	if (!m->n_fds || d->access_fd >= 0)
		return;
	if (access_log_check(m->fds[0], &e)) {
		dataplane_notice(d, "error", "%s", e.msg);
		return;
	}
	d->access_fd = m->fds[0];
	m->fds[0] = -1;
	for (unsigned i = 0; i < d->n_workers; i++)
		worker_set_access(&d->workers[i], d->access_fd);
}

static enum reason reason_of(const json_t *m)
{
	const char *text = json_string_value(json_object_get(m, "reason"));

	return text && !strcmp(text, reason_name(REASON_DRAINED)) ? REASON_DRAINED : REASON_KILLED;
}

static void on_end(struct dataplane *d, const json_t *m)
{
	uint32_t route = (uint32_t)json_integer_value(json_object_get(m, "route"));

	for (unsigned i = 0; i < d->n_workers; i++)
		if (worker_end(&d->workers[i], route, reason_of(m)))
			dataplane_notice(d, "error",
					 "no memory to end the connections of a worker");
}

static unsigned connections(const struct dataplane *d)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n_workers; i++)
		n += atomic_load(&d->workers[i].n_alive);
	return n;
}

static struct dataplane *of_drain_end(struct timer *t)
{
	return (struct dataplane *)((char *)t - offsetof(struct dataplane, drain_end));
}

static void drain_look(struct timer *t)
{
	struct dataplane *d = of_drain_end(t);

	/* Each has said that it accepts none: what it took before is counted. */
	if (!atomic_load(&d->drains_left) && !connections(d)) {
		dataplane_send(d, json_pack("{s:s}", "type", "drained"));
		loop_stop(d->loop);
		return;
	}
	if (d->drain_until_ms && loop_now_ms(d->loop) >= d->drain_until_ms) {
		d->drain_until_ms = 0;
		for (unsigned i = 0; i < d->n_workers; i++)
			if (worker_end(&d->workers[i], 0, REASON_DRAINED))
				loop_stop(d->loop);
	}
	timer_set(d->loop, &d->drain_end, loop_now_ms(d->loop) + DRAIN_LOOK_MS, drain_look);
}

static void on_drain(struct dataplane *d, const json_t *m)
{
	json_int_t ms = json_integer_value(json_object_get(m, "timeout"));

	d->drain_until_ms = loop_now_ms(d->loop) + (ms > 0 ? ms : 0);
	d->draining = true;
	dataplane_drop_listeners(d);
	atomic_store(&d->drains_left, d->n_workers);
	for (unsigned i = 0; i < d->n_workers; i++)
		if (worker_drain(&d->workers[i], &d->drains_left))
			dataplane_fail(d, "no memory to stop a worker from accepting");
	timer_set(d->loop, &d->drain_end, loop_now_ms(d->loop) + DRAIN_LOOK_MS, drain_look);
}

static void on_ping(struct dataplane *d, const json_t *m)
{
	json_t *beats = json_array();

	for (unsigned i = 0; i < d->n_workers; i++) {
		json_array_append_new(beats,
				      json_integer((json_int_t)atomic_load(&d->workers[i].beats)));
		worker_beat(&d->workers[i]);
	}
	dataplane_send(d, json_pack("{s:s,s:O,s:o,s:i}", "type", "pong", "seq",
				    json_object_get(m, "seq"), "rounds", beats, "connections",
				    (int)connections(d)));
}

static void dispatch(struct dataplane *d, struct wire_message *m)
{
	const char *type = json_string_value(json_object_get(m->json, "type"));

	if (!type)
		return;
	if (!strcmp(type, "start"))
		on_start(d, m);
	else if (!d->started)
		return;
	else if (!strcmp(type, "listeners"))
		dataplane_on_listeners(d, m);
	else if (!strcmp(type, "pipes"))
		on_pipes(d, m);
	else if (!strcmp(type, "access"))
		on_access(d, m);
	else if (!strcmp(type, "load"))
		dataplane_on_load(d, m->json);
	else if (!strcmp(type, "switch"))
		dataplane_on_switch(d, m->json);
	else if (!strcmp(type, "discard"))
		dataplane_on_discard(d, m->json);
	else if (!strcmp(type, "names"))
		dataplane_on_names(d, m->json);
	else if (!strcmp(type, "dns"))
		dataplane_on_dns(d, m->json);
	else if (!strcmp(type, "down"))
		dataplane_on_down(d, m->json);
	else if (!strcmp(type, "query"))
		dataplane_on_query(d, m->json);
	else if (!strcmp(type, "end"))
		on_end(d, m->json);
	else if (!strcmp(type, "drain"))
		on_drain(d, m->json);
	else if (!strcmp(type, "ping"))
		on_ping(d, m->json);
}

static void wire_ready(struct watch *w, uint32_t events)
{
	struct dataplane *d =
		(struct dataplane *)((char *)w - offsetof(struct dataplane, wire_watch));
	struct wire_message m;
	struct err e = { 0 };
	int rc = 0;

	while (d->wire.fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		rc = wire_receive(&d->wire, &m, &e);
		if (rc <= 0)
			break;
		dispatch(d, &m);
		wire_message_fini(&m);
	}
	if (rc < 0)
		wire_lost(d);
	else
		flush(d);
}

void dataplane_set_wire(struct dataplane *d, int fd)
{
	if (d->wire.fd >= 0) {
		watch_remove(d->loop, &d->wire_watch);
		close(d->wire.fd);
		wire_fini(&d->wire);
	}
	wire_init(&d->wire, fd, WIRE_MAX_DOWN);
	d->wire.max_out = WIRE_MAX_UP;
	if (watch_add(d->loop, &d->wire_watch, fd, EPOLLIN, wire_ready) < 0)
		wire_lost(d);
}

/* ---- the process ---- */

int dataplane_run(int wire_fd, int listen_fd, int (*seal)(void))
{
	struct dataplane d = { .wire.fd = -1, .wire_watch.fd = -1, .listen_watch.fd = -1 };
	struct err e = { 0 };

	signal(SIGPIPE, SIG_IGN); /* splice(2) knows no MSG_NOSIGNAL */
	relay_probe();
	d.seal = seal;
	d.access_fd = -1;
	d.loop = loop_new(&e);
	if (!d.loop || (listen_fd >= 0 && dataplane_start_handover(&d, listen_fd)))
		return 1;
	dataplane_set_wire(&d, wire_fd);
	loop_run(d.loop);
	for (unsigned i = 0; i < d.n_workers; i++)
		worker_stop(&d.workers[i]);
	dataplane_table_fini(&d);
	if (d.wire.fd >= 0) {
		wire_flush(&d.wire);
		watch_remove(d.loop, &d.wire_watch);
		wire_fini(&d.wire);
		close(d.wire.fd);
	}
	timer_cancel(d.loop, &d.tick);
	timer_cancel(d.loop, &d.drain_end);
	timer_cancel(d.loop, &d.call_again);
	watch_remove(d.loop, &d.listen_watch);
	loop_free(d.loop);
	if (d.plane.registry)
		route_registry_free(d.plane.registry);
	limits_free(d.plane.limits);
	if (d.access_fd >= 0)
		close(d.access_fd);
	free(d.workers);
	return d.exit_code;
}
