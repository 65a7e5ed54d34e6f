// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end is always told in a turn: a connect on this machine fails or succeeds at
 * once, and the owner starts the next probe from the end of this one - a stack
 * frame for each of a thousand targets otherwise.
 *
 * A connect says only that the kernel of the other side has a listener with room
 * in its queue; a program that hangs is found by the GET alone. Its answer counts once its
 * status line is whole; the rest is not read. One deadline for all of it: bytes that trickle in
 * do not move it.
 */
#include "dataplane/health_probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_MAX 4096
#define READ_BYTES  2048

#define PROBE_OF(member_ptr, member) \
	((struct health_probe *)((char *)(member_ptr)-offsetof(struct health_probe, member)))

static void probe_close(struct health_probe *p)
{
	watch_remove(p->loop, &p->watch);
	timer_cancel(p->loop, &p->deadline);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static void tell(struct turn *t)
{
	struct health_probe *p = PROBE_OF(t, end);

	p->done(p, p->result, p->why);
}

__attribute__((format(printf, 3, 4))) static void probe_end(struct health_probe *p,
							    enum health_result r, const char *fmt,
							    ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	p->result = r;
	probe_close(p);
	turn_queue(p->loop, &p->end, tell);
}

/* No descriptor, port or memory here, or (EAGAIN) no place in the queue of a unix socket, which
 * clients fill. A flood of them must not take targets down. */
static bool is_our_lack(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
	       error == EADDRNOTAVAIL || error == ENOSPC || error == EAGAIN;
}

static void probe_failed(struct health_probe *p, int error)
{
	probe_end(p, is_our_lack(error) ? HEALTH_UNKNOWN : HEALTH_BAD, "%s: %s", p->doing,
		  strerror(error));
}

static void deadline_over(struct timer *t)
{
	struct health_probe *p = PROBE_OF(t, deadline);

	probe_end(p, HEALTH_BAD, "%s: timed out", p->doing);
}

/* ---- the GET ---- */

static void answer_ready(struct watch *w, uint32_t events);
static void request_ready(struct watch *w, uint32_t events);

static void probe_judge(struct health_probe *p, int status)
{
	if (status == -EBADMSG)
		probe_end(p, HEALTH_BAD, "answer: not HTTP");
	else if (status < 0)
		probe_end(p, HEALTH_BAD, "answer: no status within %d bytes", HEALTH_ANSWER_MAX);
	else
		probe_end(p, status >= 200 && status < 400 ? HEALTH_GOOD : HEALTH_BAD,
			  "answer: status %d", status);
}

static void answer_ready(struct watch *w, uint32_t events)
{
	struct health_probe *p = PROBE_OF(w, watch);
	char bytes[READ_BYTES];
	ssize_t n = recv(p->fd, bytes, sizeof(bytes), 0);
	int status;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		probe_failed(p, errno);
		return;
	}
	if (!n) {
		probe_end(p, HEALTH_BAD, "answer: closed before its status");
		return;
	}
	status = health_answer_feed(&p->answer, bytes, (size_t)n);
	if (status)
		probe_judge(p, status);
}

static void probe_wait(struct health_probe *p, uint32_t events,
		       void (*ready)(struct watch *w, uint32_t events))
{
	int rc;

	watch_remove(p->loop, &p->watch);
	rc = watch_add(p->loop, &p->watch, p->fd, events, ready);
	if (rc)
		probe_failed(p, -rc);
}

/* The header of a connection that is nobody's but our own (PROXY protocol, 2.1 and 2.2). */
static size_t preface_put(const struct health_probe *p, char *out)
{
	static const char v1[] = "PROXY UNKNOWN\r\n";
	static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0"; /* and the NUL at its end */
	const char *from = p->send_proxy == 2 ? v2 : v1;
	size_t n = p->send_proxy == 2 ? sizeof(v2) : p->send_proxy == 1 ? sizeof(v1) - 1 : 0;

	memcpy(out, from, n);
	return n;
}

/* 0: it is too long. */
static size_t request_format(const struct health_probe *p, char out[REQUEST_MAX])
{
	size_t at = preface_put(p, out);
	int n = snprintf(out + at, REQUEST_MAX - at,
			 "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: spctl\r\n"
			 "Accept: */*\r\nConnection: close\r\n\r\n",
			 p->path, p->host);

	return at + (size_t)n < REQUEST_MAX ? at + (size_t)n : 0;
}

static void request_send(struct health_probe *p)
{
	char text[REQUEST_MAX];
	size_t len = request_format(p, text);
	ssize_t n;

	if (!len) {
		probe_end(p, HEALTH_BAD, "request: its path is too long");
		return;
	}
	n = send(p->fd, text + p->sent, len - p->sent, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		probe_failed(p, errno);
		return;
	}
	p->sent += n > 0 ? (size_t)n : 0;
	if (p->sent < len) {
		probe_wait(p, EPOLLOUT, request_ready);
		return;
	}
	p->doing = "answer";
	probe_wait(p, EPOLLIN, answer_ready);
}

static void request_ready(struct watch *w, uint32_t events)
{
	(void)events;
	request_send(PROBE_OF(w, watch));
}

/* ---- the connect ---- */

static void probe_connected(struct health_probe *p)
{
	if (!p->path) {
		probe_end(p, HEALTH_GOOD, "connect: accepted");
		return;
	}
	p->doing = "request";
	request_send(p);
}

static void connect_ready(struct watch *w, uint32_t events)
{
	struct health_probe *p = PROBE_OF(w, watch);
	socklen_t len = sizeof(int);
	int error = 0;

	(void)events;
	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	if (error)
		probe_failed(p, error);
	else
		probe_connected(p);
}

void health_probe_init(struct health_probe *p, struct loop *l)
{
	memset(p, 0, sizeof(*p));
	p->loop = l;
	p->fd = -1;
	p->watch.fd = -1;
}

void health_probe_start(struct health_probe *p, const struct sockaddr *to, socklen_t len,
			const char *path, const char *host, unsigned timeout_ms,
			void (*done)(struct health_probe *p, enum health_result r, const char *why))
{
	p->path = path;
	p->host = host;
	p->sent = 0;
	p->answer = (struct health_answer){ 0 };
	p->done = done;
	p->doing = "connect";
	p->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0) {
		probe_failed(p, errno);
		return;
	}
	timer_set(p->loop, &p->deadline, loop_now_ms(p->loop) + timeout_ms, deadline_over);
	if (!connect(p->fd, to, len))
		probe_connected(p);
	else if (errno == EINPROGRESS)
		probe_wait(p, EPOLLOUT, connect_ready);
	else
		probe_failed(p, errno);
}

void health_probe_stop(struct health_probe *p)
{
	probe_close(p);
	turn_cancel(p->loop, &p->end);
}
