/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A relay between two ends that the test holds: end[0] talks to side 0, end[1] to
 * side 1, over TCP on loopback or a socketpair. The relay runs only when epoll or
 * its own last result says so: an edge that it loses is a test that hangs. What
 * an end sends at place p of its stream depends on p.
 */
#ifndef TESTS_UNIT_RELAY_FIXTURE_H
#define TESTS_UNIT_RELAY_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "dataplane/relay.h"

#define PERIOD	   65521 /* a prime: bytes that come twice or not at all do not fit */
#define CHUNK_MAX  262144
#define BULK_BYTES (24u << 20)
#define PATIENCE   10000 /* ms without anything moving: an edge was lost */

struct end {
	int fd;
	uint64_t sent, got; /* got: prefilled bytes are not among them */
	bool fin_sent, fin_got;
	int error; /* of its last call */
};

struct bench {
	struct end end[2];
	int fd[2]; /* the relay's */
	int ep;
	struct relay relay;
	struct pool pool;
	enum relay_result result;
	unsigned broken_side;
	int error;
	int64_t moved_ms;
	unsigned runs;
};

static uint8_t pattern[2][PERIOD + CHUNK_MAX];

static inline void pattern_init(void)
{
	for (unsigned d = 0; d < 2; d++) {
		uint32_t x = 12345 + d;

		for (unsigned i = 0; i < PERIOD; i++) {
			x = x * 1664525 + 1013904223;
			pattern[d][i] = (uint8_t)(x >> 24);
		}
		memcpy(pattern[d] + PERIOD, pattern[d], PERIOD);
		for (unsigned i = 2 * PERIOD; i < sizeof(pattern[d]); i++)
			pattern[d][i] = pattern[d][i - PERIOD];
	}
}

static inline unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Small buffers want small segments: else each side waits for room for a whole one. */
static inline void buffers_set(int fd, int bytes)
{
	int mss = 1400;

	if (!bytes)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
}

/* v[0] has connected to v[1]; both non-blocking. buffers: of both, 0 = the system's. */
static inline void tcp_pair(int v[2], int buffers)
{
	static unsigned count;
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* Many addresses: those in TIME_WAIT must not use up the ports of one. */
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + count++ % 200);
	buffers_set(listener, buffers);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	v[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	buffers_set(v[0], buffers);
	assert_int_equal(connect(v[0], (struct sockaddr *)&a, len), 0);
	v[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(v[1] >= 0);
	fcntl(v[0], F_SETFL, O_NONBLOCK);
	close(listener);
	for (unsigned i = 0; i < 2; i++)
		setsockopt(v[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static inline void end_pair(int v[2], bool tcp, int buffers)
{
	if (tcp)
		tcp_pair(v, buffers);
	else
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
					    v),
				 0);
}

static inline void pipes_give(struct pool *p, unsigned n, int cap)
{
	for (; n; n--) {
		int fd[2];

		assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
		assert_true(fcntl(fd[1], F_SETPIPE_SZ, cap) >= 0);
		assert_int_equal(pool_pipe_add(p, fd[0], fd[1]), 0);
	}
}

static inline void bench_open(struct bench *b, bool tcp, int buffers, bool can_splice,
			      unsigned n_pipes)
{
	memset(b, 0, sizeof(*b));
	b->ep = epoll_create1(EPOLL_CLOEXEC);
	pool_init(&b->pool, 0, 2);
	pipes_give(&b->pool, n_pipes, 1 << 20);
	for (unsigned i = 0; i < 2; i++) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP |
						    EPOLLET,
					  .data.u32 = i };
		int v[2];

		end_pair(v, tcp, buffers);
		b->end[i].fd = v[0];
		b->fd[i] = v[1];
		assert_int_equal(epoll_ctl(b->ep, EPOLL_CTL_ADD, v[1], &ev), 0);
	}
	relay_init(&b->relay, b->fd[0], b->fd[1], can_splice);
	b->result = RELAY_MORE;
}

static inline void end_close(struct end *e)
{
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
}

/* A RST, whatever is queued. */
static inline void end_reset(struct end *e)
{
	struct linger now = { 1, 0 };

	setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	end_close(e);
}

static inline void bench_close(struct bench *b)
{
	relay_fini(&b->relay, &b->pool);
	assert_int_equal(b->pool.n_free_buffers, b->pool.n_buffers);
	assert_int_equal(b->pool.n_free_pipes, b->pool.n_pipes);
	pool_fini(&b->pool);
	for (unsigned i = 0; i < 2; i++) {
		close(b->fd[i]);
		end_close(&b->end[i]);
	}
	close(b->ep);
}

/* One round of an owner: true if the relay was run. */
static inline bool bench_round(struct bench *b, int wait_ms)
{
	struct epoll_event ev[2];
	bool last = b->result == RELAY_LAST;
	int n = epoll_wait(b->ep, ev, 2, b->result == RELAY_MORE ? 0 : wait_ms);

	if (b->result == RELAY_ENDED || b->result == RELAY_BROKEN)
		return false;
	for (int i = 0; i < n; i++)
		relay_note(&b->relay, ev[i].data.u32, ev[i].events);
	if (n <= 0 && b->result != RELAY_MORE && !last)
		return false;
	b->runs++;
	b->result = relay_run(&b->relay, &b->pool, clock_mono_ms(), &b->moved_ms, &b->broken_side,
			      &b->error);
	/* As an owner's close() would: the fixture looks at the sockets first. */
	for (int i = 0; i < 2 && b->result == RELAY_ENDED; i++)
		shutdown(b->fd[i], SHUT_WR);
	return n > 0 || !last || b->result != RELAY_LAST;
}

/* At most n more bytes of end i's stream: how many it got rid of. */
static inline size_t end_send(struct bench *b, unsigned i, size_t n)
{
	struct end *e = &b->end[i];
	ssize_t done;

	n = n < CHUNK_MAX ? n : CHUNK_MAX;
	done = send(e->fd, pattern[i] + e->sent % PERIOD, n, MSG_NOSIGNAL);
	e->error = done < 0 ? errno : 0;
	if (done > 0)
		e->sent += (uint64_t)done;
	return done > 0 ? (size_t)done : 0;
}

static inline void end_fin(struct bench *b, unsigned i)
{
	assert_int_equal(shutdown(b->end[i].fd, SHUT_WR), 0);
	b->end[i].fin_sent = true;
}

/* At most n bytes, each compared with what the other end sent: how many came. */
static inline size_t end_receive(struct bench *b, unsigned i, size_t n)
{
	static uint8_t buffer[CHUNK_MAX];
	struct end *e = &b->end[i];
	ssize_t done = recv(e->fd, buffer, n < CHUNK_MAX ? n : CHUNK_MAX, MSG_DONTWAIT);

	e->error = done < 0 ? errno : 0;
	if (done > 0) {
		assert_memory_equal(buffer, pattern[!i] + e->got % PERIOD, (size_t)done);
		e->got += (uint64_t)done;
	}
	e->fin_got |= done == 0;
	return done > 0 ? (size_t)done : 0;
}

/* Rounds until end i has everything that the other one sent, and its FIN where one was sent. */
static inline void bench_deliver(struct bench *b, unsigned i)
{
	int64_t last_ms = clock_mono_ms();

	while (b->end[i].got < b->end[!i].sent || b->end[i].fin_got < b->end[!i].fin_sent) {
		if (bench_round(b, 1) + end_receive(b, i, CHUNK_MAX))
			last_ms = clock_mono_ms();
		assert_true(clock_mono_ms() - last_ms < PATIENCE);
	}
}

/* `total` bytes from end i, delivered while they are sent. */
static inline void bench_stream(struct bench *b, unsigned i, uint64_t total)
{
	uint64_t goal = b->end[i].sent + total;

	while (b->end[i].sent < goal) {
		end_send(b, i, goal - b->end[i].sent);
		bench_round(b, 0);
		end_receive(b, !i, CHUNK_MAX);
	}
	bench_deliver(b, !i);
}

/* Until the relay has an end, good or bad. */
static inline void bench_finish(struct bench *b)
{
	int64_t start_ms = clock_mono_ms();

	while (b->result != RELAY_ENDED && b->result != RELAY_BROKEN) {
		bench_round(b, 1);
		assert_true(clock_mono_ms() - start_ms < PATIENCE);
	}
}

static inline void settle(struct bench *b)
{
	while (bench_round(b, 20))
		;
	assert_int_equal(b->result, RELAY_WAIT);
}

#endif
