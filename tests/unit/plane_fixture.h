/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plane_fixture: a real dataplane in a child process, and the controller's side of its wire in
 * this one. Listeners and targets are on loopback. Nothing here waits longer than WAIT_MS.
 */
#ifndef TESTS_UNIT_PLANE_FIXTURE_H
#define TESTS_UNIT_PLANE_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/base/clock.h"
#include "dataplane/dataplane.h"
#include "dataplane/wire.h"

#define WAIT_MS	      10000
#define PLANE_WORKERS 2

struct plane_fixture {
	pid_t pid;
	struct wire wire;
	uint32_t generation, next_id;
	uint32_t open[64];
	unsigned n_open;
};

/* ---- sockets ---- */

static inline int tcp_listen(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	a.sin_port = htons(*port);
	assert_return_code(bind(fd, (struct sockaddr *)&a, sizeof(a)), errno);
	assert_return_code(listen(fd, 1024), errno);
	assert_return_code(getsockname(fd, (struct sockaddr *)&a, &len), errno);
	*port = ntohs(a.sin_port);
	return fd;
}

static inline void deadline(int fd)
{
	const struct timeval tv = { .tv_sec = WAIT_MS / 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static inline int tcp_connect(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	deadline(fd);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline int tcp_accept(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	int fd;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	deadline(fd);
	return fd;
}

static inline void reset(int fd)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static inline void put(int fd, const void *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Exactly these bytes come. */
static inline void expect(int fd, const void *bytes, size_t n)
{
	uint8_t *got = malloc(n + 1);
	size_t have = 0;

	assert_non_null(got);
	while (have < n) {
		ssize_t k = recv(fd, got + have, n - have, 0);

		if (k <= 0)
			fail_msg("%zu of %zu bytes, then %s", have, n,
				 k ? strerror(errno) : "the end");
		have += (size_t)k;
	}
	assert_memory_equal(got, bytes, n);
	free(got);
}

enum ending { END_FIN, END_RESET, END_TIMEOUT, END_BYTES };

static inline enum ending ending_of(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	if (n > 0)
		return END_BYTES;
	if (!n)
		return END_FIN;
	return errno == EAGAIN ? END_TIMEOUT : END_RESET;
}

/* ---- the wire ---- */

static inline void plane_send(struct plane_fixture *f, json_t *m, const int *fds, unsigned n)
{
	int rc;

	assert_non_null(m);
	assert_int_equal(wire_send(&f->wire, m, fds, n, false), 0);
	while ((rc = wire_flush(&f->wire)) == -EAGAIN)
		poll(&(struct pollfd){ .fd = f->wire.fd, .events = POLLOUT }, 1, WAIT_MS);
	assert_int_equal(rc, 0);
}

/* The next message of one of these types ("a|b"); others are dropped. New. */
static inline json_t *plane_wait(struct plane_fixture *f, const char *types)
{
	int64_t end = clock_mono_ms() + WAIT_MS;
	struct wire_message m;
	struct err e = { 0 };

	for (;;) {
		int rc = wire_receive(&f->wire, &m, &e);
		const char *type;

		if (rc < 0)
			fail_msg("waiting for %s: %s", types, e.msg);
		if (!rc) {
			if (clock_mono_ms() > end)
				fail_msg("no %s within %d ms", types, WAIT_MS);
			poll(&(struct pollfd){ .fd = f->wire.fd, .events = POLLIN }, 1, 100);
			continue;
		}
		type = json_string_value(json_object_get(m.json, "type"));
		if (type && strstr(types, type)) {
			json_t *j = json_incref(m.json);

			wire_message_fini(&m);
			return j;
		}
		wire_message_fini(&m);
	}
}

static inline void plane_ack(struct plane_fixture *f, const char *type)
{
	json_t *j = plane_wait(f, "started|loaded|failed|switched");
	const char *got = json_string_value(json_object_get(j, "type"));

	if (strcmp(got, type))
		fail_msg("%s instead of %s: %s", got, type,
			 json_string_value(json_object_get(j, "message")));
	json_decref(j);
}

/* A listening port of the dataplane: one socket per worker. Opened by the next plane_load(). */
static inline uint16_t plane_listen(struct plane_fixture *f)
{
	uint16_t port = 0;
	int fds[PLANE_WORKERS];
	json_t *list = json_array();

	for (int i = 0; i < PLANE_WORKERS; i++) {
		fds[i] = tcp_listen(&port);
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
		json_array_append_new(list, json_pack("{s:i,s:i,s:i}", "id", (int)++f->next_id,
						      "port", port, "worker", i));
		f->open[f->n_open++] = f->next_id;
	}
	plane_send(f, json_pack("{s:s,s:o}", "type", "listeners", "listeners", list), fds,
		   PLANE_WORKERS);
	for (int i = 0; i < PLANE_WORKERS; i++)
		close(fds[i]);
	return port;
}

/* To the last table that was loaded, with the listeners that are new. */
static inline void plane_switch(struct plane_fixture *f)
{
	json_t *open = json_array();

	for (unsigned i = 0; i < f->n_open; i++)
		json_array_append_new(open, json_integer(f->open[i]));
	plane_send(f,
		   json_pack("{s:s,s:i,s:o}", "type", "switch", "generation", (int)f->generation,
			     "open", open),
		   NULL, 0);
	plane_ack(f, "switched");
	f->n_open = 0;
}

/* m: the members of a load message besides type and generation; taken over. */
static inline void plane_load_json(struct plane_fixture *f, json_t *m)
{
	f->generation++;
	json_object_set_new(m, "type", json_string("load"));
	json_object_set_new(m, "generation", json_integer(f->generation));
	plane_send(f, m, NULL, 0);
	plane_ack(f, "loaded");
	plane_switch(f);
}

/* The same as text. */
static inline void plane_load(struct plane_fixture *f, const char *fmt, ...)
{
	char text[16384];
	json_error_t error;
	json_t *m;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	m = json_loads(text, 0, &error);
	if (!m)
		fail_msg("%s: %s", error.text, text);
	plane_load_json(f, m);
}

/* The part of the answer that begins there. New. */
static inline json_t *plane_status_from(struct plane_fixture *f, json_int_t from)
{
	plane_send(f,
		   json_pack("{s:s,s:i,s:s,s:I}", "type", "query", "seq", 1, "what", "status",
			     "from", from),
		   NULL, 0);
	return plane_wait(f, "answer");
}

/* The first part of the answer. New. */
static inline json_t *plane_status(struct plane_fixture *f)
{
	return plane_status_from(f, 0);
}

/* A number of the first route: "active", "total" … */
static inline json_int_t plane_count(struct plane_fixture *f, const char *key)
{
	json_t *a = plane_status(f);
	json_t *r = json_array_get(json_object_get(a, "routes"), 0);
	json_int_t n = json_integer_value(json_object_get(r, key));

	json_decref(a);
	return n;
}

/* A number of the process: "undecided", "connections" … */
static inline json_int_t plane_process(struct plane_fixture *f, const char *key)
{
	json_t *a = plane_status(f);
	json_int_t n = json_integer_value(json_object_get(json_object_get(a, "process"), key));

	json_decref(a);
	return n;
}

/* Refused by that reason; of who has no route too. */
static inline json_int_t plane_refused(struct plane_fixture *f, const char *reason)
{
	json_t *a = plane_status(f);
	json_t *r = json_array_get(json_object_get(a, "routes"), 0);
	json_int_t n = json_integer_value(json_object_get(json_object_get(r, "refused"), reason)) +
		       json_integer_value(json_object_get(
			       json_object_get(json_object_get(a, "process"), "refused"), reason));

	json_decref(a);
	return n;
}

#define eventually(condition)                                                \
	do {                                                                 \
		int64_t until_ = clock_mono_ms() + WAIT_MS;                  \
		while (!(condition)) {                                       \
			if (clock_mono_ms() > until_)                        \
				fail_msg("not within time: %s", #condition); \
			clock_sleep_ms(5);                                   \
		}                                                            \
	} while (0)

static inline unsigned plane_descriptors(const struct plane_fixture *f)
{
	char path[64];
	unsigned n = 0;

	for (int fd = 0; fd < 4096; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)f->pid, fd);
		n += !access(path, F_OK) || readlink(path, (char[8]){ 0 }, 7) > 0;
	}
	return n;
}

static int plane_handover_fd = -1; /* where the next one to be started listens for a controller */

/* start: the message, taken over. access_fd: see dataplane/access_log.h; -1 = none. */
static inline int plane_start_by(void **state, json_t *start, int access_fd)
{
	struct plane_fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	assert_non_null(f);
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			   errno);
	f->pid = fork();
	if (!f->pid) {
		close(pair[0]);
		_exit(dataplane_run(pair[1], plane_handover_fd, NULL));
	}
	close(pair[1]);
	wire_init(&f->wire, pair[0], WIRE_MAX_UP);
	plane_send(f, start, NULL, 0);
	if (access_fd >= 0)
		plane_send(f, json_pack("{s:s}", "type", "access"), &access_fd, 1);
	plane_ack(f, "started");
	*state = f;
	return 0;
}

static inline int plane_start_with(void **state, int access_fd)
{
	return plane_start_by(state,
			      json_pack("{s:s,s:i}", "type", "start", "workers", PLANE_WORKERS),
			      access_fd);
}

/* hosts: the text of /etc/hosts. server: of names; NULL = none. */
static inline int plane_start_dns(void **state, const char *hosts, const char *server)
{
	json_t *start = json_pack("{s:s,s:i,s:{s:s,s:[]}}", "type", "start", "workers",
				  PLANE_WORKERS, "dns", "hosts", hosts, "servers");

	if (server)
		json_array_append_new(json_object_get(json_object_get(start, "dns"), "servers"),
				      json_string(server));
	return plane_start_by(state, start, -1);
}

static inline int plane_start(void **state)
{
	return plane_start_with(state, -1);
}

/* It ends by itself when its controller is gone, and with 0: sanitizers say otherwise. */
static inline int plane_stop(void **state)
{
	struct plane_fixture *f = *state;
	int status = -1, fd = f->wire.fd;

	wire_fini(&f->wire);
	close(fd);
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	free(f);
	return status ? -1 : 0;
}

#endif
