/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a dataplane lives without its controller is told by locks that they
 * hold: a connection to RUN/dataplane.N.sock would be taken for a new controller.
 */
#include "ctl/control/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "ctl/base/io.h"
#include "ctl/control/peer.h"
#include "ctl/control/run_socket.h"
#include "ctl/host/host.h"

static int lock_open(const char *run_dir, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", run_dir, name);
	return open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* Shared locks count only where `shared`: a controller that takes its own just then must not find
 * it taken by who only looks. */
static bool is_locked(const char *run_dir, const char *name, bool shared)
{
	const int fd = lock_open(run_dir, name);
	bool locked = false;

	if (fd < 0)
		return false;
	if (shared)
		locked = flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	else
		locked = io_is_locked(fd);
	close(fd);
	return locked;
}

enum control_presence control_look(const char *run_dir)
{
	if (is_locked(run_dir, CONTROL_LOCK, false))
		return CONTROL_STARTS;
	return is_locked(run_dir, CONTROL_DP_LOCK, true) ? CONTROL_ORPHAN : CONTROL_NONE;
}

int control_kill(const char *run_dir, unsigned timeout_ms, struct err *e)
{
	const int fd = lock_open(run_dir, CONTROL_LOCK);
	struct peer p;
	int rc = 0;

	if (fd < 0)
		return 0;
	if (!peer_hold_locker(&p, fd))
		rc = io_is_locked(fd)
			     ? err_set(e, -ESRCH,
				       "the process that holds %s/" CONTROL_LOCK " cannot be found",
				       run_dir)
			     : 0;
	else if (peer_kill(&p) == -EPERM)
		rc = err_set(e, -EPERM, "the service (pid %d) cannot be ended", (int)p.pid);
	else if (!peer_has_ended(&p, timeout_ms))
		rc = err_set(e, -ETIME, "the service (pid %d) does not end, not even by SIGKILL",
			     (int)p.pid);
	peer_drop(&p);
	close(fd);
	return rc;
}

/* Until the wire has a message or room; 0 or -ETIME. */
static int wait_for(const struct wire *w, short events, int64_t until_ms, struct err *e)
{
	struct pollfd p = { .fd = w->fd, .events = events };
	const int64_t left = until_ms - clock_mono_ms();

	if (left > 0 && poll(&p, 1, left > INT_MAX ? INT_MAX : (int)left) > 0)
		return 0;
	return clock_mono_ms() < until_ms
		       ? 0
		       : err_set(e, -ETIME, "the service does not answer in time");
}

static int send_all(struct wire *w, json_t *request, int64_t until_ms, struct err *e)
{
	int rc = wire_send(w, request, NULL, 0, false);

	while (!rc && (rc = wire_flush(w)) == -EAGAIN) {
		rc = wait_for(w, POLLOUT, until_ms, e);
		if (rc)
			return rc;
	}
	return rc ? err_sys(e, rc, "cannot ask the service") : 0;
}

static int receive_one(struct wire *w, struct wire_message *m, int64_t until_ms, struct err *e)
{
	int rc;

	while (!(rc = wire_receive(w, m, e))) {
		rc = wait_for(w, POLLIN, until_ms, e);
		if (rc)
			return rc;
	}
	return rc < 0 ? err_wrap(e, "the service") : 0;
}

static int says_no(const json_t *m, int *route, struct err *e)
{
	const char *message = json_string_value(json_object_get(m, "message"));
	const char *hint = json_string_value(json_object_get(m, "hint"));
	const json_int_t code = json_integer_value(json_object_get(m, "code"));

	if (route)
		*route = (int)json_integer_value(json_object_get(m, "route"));
	err_set(e, code < 0 && code > -4096 ? (int)code : -EIO, "%s", message ? message : "?");
	if (hint && *hint)
		err_hint(e, "%s", hint);
	return e && e->code ? e->code : -EIO;
}

/* The next message if it is of that type, as a new reference. */
static int receive_answer(struct control_client *c, const char *expected, int64_t until_ms,
			  json_t **out, int *route, struct err *e)
{
	struct wire_message m;
	int rc = receive_one(&c->wire, &m, until_ms, e);

	if (rc)
		return rc;
	if (!strcmp(wire_message_type(&m), "failed"))
		rc = says_no(m.json, route, e);
	else if (strcmp(wire_message_type(&m), expected))
		rc = err_set(e, -EPROTO, "the service answers something else");
	else
		*out = json_incref(m.json);
	wire_message_fini(&m);
	return rc;
}

json_t *client_ask(struct control_client *c, json_t *request, const char *expected,
		   unsigned timeout_ms, int *route, struct err *e)
{
	const int64_t until_ms = clock_mono_ms() + timeout_ms;
	json_t *answer = NULL;

	if (route)
		*route = -1;
	if (!send_all(&c->wire, request, until_ms, e))
		receive_answer(c, expected, until_ms, &answer, route, e);
	return answer;
}

int client_ask_parts(struct control_client *c, json_t *request, const char *expected,
		     unsigned timeout_ms, int (*fn)(const json_t *part, void *arg), void *arg,
		     struct err *e)
{
	int rc = send_all(&c->wire, request, clock_mono_ms() + timeout_ms, e);
	bool more = true;

	while (!rc && more) {
		json_t *part = NULL;

		/* Each part has that long. */
		rc = receive_answer(c, expected, clock_mono_ms() + timeout_ms, &part, NULL, e);
		if (rc)
			return rc;
		more = json_is_true(json_object_get(part, "more"));
		rc = fn(part, arg);
		json_decref(part);
	}
	return rc;
}

static uint64_t number(const json_t *m, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(m, key));
}

static int check_hello(struct control_client *c, const char *run_dir, const json_t *m,
		       struct err *e)
{
	const char *boot = json_string_value(json_object_get(m, "boot"));
	struct host_identity here, there = {
		.ns_cookie = number(m, "cookie"),
		.ns_dev = (dev_t)number(m, "dev"),
		.ns_ino = (ino_t)number(m, "ino"),
	};
	int rc = host_identity_read(&here, e);

	if (rc)
		return rc;
	snprintf(there.boot, sizeof(there.boot), "%s", boot ? boot : "");
	c->pid = (int)number(m, "pid");
	c->generation = (uint32_t)number(m, "generation");
	if (number(m, "protocol") != CONTROL_PROTOCOL)
		return err_set(e, -EPROTO, "the service (pid %d) is another version of spctl",
			       c->pid);
	if (host_same_namespace(&here, &there))
		return 0;
	err_set(e, -EXDEV, "%s belongs to another network namespace (pid %d, spctl run)", run_dir,
		c->pid);
	err_hint(e, "give --run-dir and --state-dir");
	return -EXDEV;
}

static int greet(struct control_client *c, const char *run_dir, unsigned timeout_ms, struct err *e)
{
	json_t *m =
		client_ask(c, json_pack("{s:s}", "type", "hello"), "hello", timeout_ms, NULL, e);
	int rc = m ? check_hello(c, run_dir, m, e) : e->code;

	json_decref(m);
	return rc;
}

int client_open(struct control_client *c, const char *run_dir, unsigned timeout_ms,
		enum control_presence *p, struct err *e)
{
	struct err unheard = { 0 };
	int fd, rc;

	e = e ? e : &unheard;
	fd = run_socket_connect(run_dir, CONTROL_SOCKET, e);
	*p = CONTROL_NONE;
	if (fd == -ENOENT || fd == -ECONNREFUSED) {
		*p = control_look(run_dir);
		return err_set(e, -ENOENT, "%s",
			       *p == CONTROL_NONE     ? "no service runs"
			       : *p == CONTROL_ORPHAN ? "the service's controller is gone; its "
							"connections go on"
						      : "the service is starting");
	}
	if (fd < 0 && fd != -EAGAIN)
		return fd;
	*p = CONTROL_THERE;
	/* Nobody takes the connections that wait already. */
	if (fd < 0)
		return err_set(e, -ETIME, "the service does not answer, and many wait for it");
	wire_init(&c->wire, fd, WIRE_MAX_DOWN);
	rc = greet(c, run_dir, timeout_ms, e);
	if (rc)
		client_close(c);
	if (rc != -EPIPE && rc != -ECONNRESET)
		return rc;
	/* It was about to end, and its socket took the connection all the same. */
	*e = (struct err){ 0 };
	*p = control_look(run_dir);
	return err_set(e, -ENOENT, "the service has just ended");
}

void client_close(struct control_client *c)
{
	wire_fini(&c->wire);
	if (c->wire.fd >= 0)
		close(c->wire.fd);
	c->wire.fd = -1;
}
