/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keys_fixture: one port of a real dataplane, three targets, and routes written as the few keys in
 * which they differ from one that has no limit of time and asks for nothing ('x' stands for "x").
 */
#ifndef TESTS_UNIT_KEYS_FIXTURE_H
#define TESTS_UNIT_KEYS_FIXTURE_H

#include <netinet/tcp.h>
#include <sys/syscall.h>

#include "tests/unit/plane_fixture.h"

#define KEYS_TARGETS 3
#define LOCAL(tag, more)                                                                   \
	"{'tag':" #tag ",'kind':'address','host':'127.0.0.1','port':%u,'portKind':'fixed'" \
	",'weight':1,'priority':0" more "}"

struct keys_lab {
	struct plane_fixture *f;
	uint16_t port, target_port[KEYS_TARGETS];
	int target[KEYS_TARGETS];
};

static inline struct keys_lab keys_lab(void **state)
{
	struct keys_lab l = { .f = *state };

	for (unsigned i = 0; i < KEYS_TARGETS; i++)
		l.target[i] = tcp_listen(&l.target_port[i]);
	l.port = plane_listen(l.f);
	return l;
}

static inline void keys_end(struct keys_lab *l)
{
	for (unsigned i = 0; i < KEYS_TARGETS; i++)
		close(l->target[i]);
}

static inline json_t *keys_json(const char *fmt, va_list ap)
{
	char text[4096];
	json_error_t error;
	json_t *v;

	vsnprintf(text, sizeof(text), fmt, ap);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	v = json_loads(text, 0, &error);
	if (!v)
		fail_msg("%s: %s", error.text, text);
	return v;
}

static inline json_t *keys_parse(const char *fmt, ...)
{
	va_list ap;
	json_t *v;

	va_start(ap, fmt);
	v = keys_json(fmt, ap);
	va_end(ap);
	return v;
}

/* The members in which it differs; its target is the first. New. */
static inline json_t *keys_route(const struct keys_lab *l, const char *fmt, ...)
{
	json_t *r = keys_parse("{'id':1,'name':'r','tier':'relay','targets':[" LOCAL(
				       1, "") "],'connectTimeout':60000,"
					      "'initialDataTimeout':60000,'headTimeout':60000,"
					      "'serverFirstAfter':0,'inactivityTimeout':0,"
					      "'maxLifetime':0,'keepAlive':false}",
			       l->target_port[0]),
	       *differs;
	va_list ap;

	va_start(ap, fmt);
	differs = keys_json(fmt, ap);
	va_end(ap);
	json_object_update(r, differs);
	json_decref(differs);
	return r;
}

/* Takes the routes over: the second may be NULL. top: more members of the load. */
static inline void keys_load(struct keys_lab *l, const char *top, json_t *first, json_t *second)
{
	json_t *load = keys_parse("{'routes':[],'cells':[{'from':%u,'to':%u,'routes':[0]}]%s%s}",
				  l->port, l->port, *top ? "," : "", top);
	json_t *routes = json_object_get(load, "routes");

	json_array_append_new(routes, first);
	if (second) {
		json_t *cell = json_array_get(json_object_get(load, "cells"), 0);

		json_array_append_new(routes, second);
		if (!json_object_get(load, "default"))
			json_array_append_new(json_object_get(cell, "routes"), json_integer(1));
	}
	plane_load_json(l->f, load);
}

/* Which target a connection came to, and the server's end of it. */
static inline int keys_accept(const struct keys_lab *l, int *fd)
{
	struct pollfd p[KEYS_TARGETS];

	*fd = -1;
	for (unsigned i = 0; i < KEYS_TARGETS; i++)
		p[i] = (struct pollfd){ .fd = l->target[i], .events = POLLIN };
	assert_true(poll(p, KEYS_TARGETS, WAIT_MS) >= 1);
	for (int i = 0; i < KEYS_TARGETS; i++)
		if (p[i].revents) {
			*fd = tcp_accept(l->target[i]);
			return i;
		}
	return -1;
}

/* "A", "B", "C": where one short connection goes. */
static inline char keys_goes_to(const struct keys_lab *l, int client)
{
	int server, i;

	assert_true(client >= 0);
	i = keys_accept(l, &server);
	close(client);
	close(server);
	eventually(plane_count(l->f, "active") == 0);
	return (char)('A' + i);
}

/* n of them, one after the other. */
static inline const char *keys_go_to(const struct keys_lab *l, unsigned n)
{
	static char out[65];

	for (unsigned i = 0; i < n; i++)
		out[i] = keys_goes_to(l, tcp_connect(l->port));
	out[n] = '\0';
	return out;
}

static inline int keys_connect_from(const struct keys_lab *l, const char *source)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(inet_pton(AF_INET, source, &a.sin_addr), 1);
	assert_return_code(bind(fd, (struct sockaddr *)&a, sizeof(a)), errno);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(l->port);
	deadline(fd);
	assert_return_code(connect(fd, (struct sockaddr *)&a, sizeof(a)), errno);
	return fd;
}

static inline void keys_refused(struct keys_lab *l, int client, const char *reason, unsigned n)
{
	assert_int_equal(ending_of(client), END_RESET);
	close(client);
	assert_int_equal(plane_refused(l->f, reason), n);
}

/* It is ended for that reason, and not before. */
static inline void keys_ends_after(struct keys_lab *l, int client, int64_t since_ms, unsigned ms,
				   const char *reason)
{
	int64_t took_ms;

	assert_int_equal(ending_of(client), END_RESET);
	took_ms = clock_mono_ms() - since_ms;
	close(client);
	assert_int_equal(plane_refused(l->f, reason), 1);
	if (took_ms + 2 < (int64_t)ms)
		fail_msg("%s after %lld ms instead of %u", reason, (long long)took_ms, ms);
}

static inline uint16_t port_at(int fd, bool peer)
{
	struct sockaddr_in a = { 0 };
	socklen_t len = sizeof(a);

	if (peer)
		getpeername(fd, (struct sockaddr *)&a, &len);
	else
		getsockname(fd, (struct sockaddr *)&a, &len);
	return ntohs(a.sin_port);
}

/* The dataplane's own descriptor of a connection, to read its options. */
static inline int keys_socket(const struct plane_fixture *f, uint16_t local, uint16_t peer)
{
	const int process = (int)syscall(SYS_pidfd_open, f->pid, 0);
	int found = -1;

	assert_true(process >= 0);
	for (int fd = 0; fd < 1024 && found < 0; fd++) {
		found = (int)syscall(SYS_pidfd_getfd, process, fd, 0);
		if (found < 0 || (port_at(found, false) == local && port_at(found, true) == peer))
			continue;
		close(found);
		found = -1;
	}
	close(process);
	if (found < 0)
		fail_msg("the dataplane has no socket %u to %u", local, peer);
	return found;
}

#endif
