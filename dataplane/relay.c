/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A direction reads only when it holds nothing: what it took goes out first. That
 * bounds a stalled receiver to one buffer or one pipe, makes a FIN follow the last
 * byte by itself, and lets the sender's window do the rest.
 *
 * Edges. A flag of a side stays true until the kernel said EAGAIN, or as much as
 * that: a read that left room in the buffer has emptied the queue, and what comes
 * later is a new edge. So a small request is one recv() and one send(), with no
 * read in vain. It is not so where a FIN or an error stands behind the bytes, or an urgent mark
 * among them, where recv() stops: its
 * edge was told with theirs, hence `ending`, which starts true because nobody knows
 * what epoll told before. A send() that was cut has met the bound of the socket,
 * which promises an edge. A short splice() proves nothing: a pipe is full when its
 * slots are, whatever is in them.
 *
 * Copy or splice. Measured over veth on two cores that others used too, so by the
 * processor time of this process (haproxy 2.6.12 and nginx 1.22.1 in the same runs):
 *   one stream       s/GB    0.28-0.29 splice  0.50-0.58 copy  0.47-0.61 haproxy, the
 *                            same with splice-auto  0.60-0.75 nginx
 *   64 B, 32 conns   us/req  10.4-11.8  11.8-12.6 haproxy  10.9-11.7 nginx
 *   16 KiB messages  us/req  15.0 copy  15.8 splice     (both ways, 16 connections)
 *   32 KiB                   16.5       16.4
 *   64 KiB                   28.2       26.0, but fewer a second: they leave in parts
 * So a direction begins to splice after three reads of 32 KiB with none below 16
 * between, and copies again after one below 16. Pipes of 64 KiB, 256 KiB and 1 MiB: at
 * best 0.41, 0.32 and 0.28 s/GB. SO_RCVLOWAT would make reads larger
 * and delay whatever is smaller, which a relay cannot tell: not used.
 *
 * SPLICE_F_MORE and MSG_MORE are never set: a relay does not know what follows, and
 * a segment that waits for it in vain waits 200 ms. For the same reason both sockets
 * should have TCP_NODELAY.
 *
 * splice() holds the sender's pages by reference, so segments of few bytes pin more
 * memory than in_pipe says: at most a page fragment (32 KiB) for each slot of the
 * pipe (256 for 1 MiB). Such a stream is not spliced for long: 256 slots of less
 * than 64 bytes are a quiet read.
 *
 * Without a buffer (the bound of memory is reached) a direction still moves: it
 * peeks, sends, and takes from the sender what was sent. To wait for a buffer would
 * let those who hold them - receivers that have stalled - stop everybody else.
 *
 * Urgent bytes (RFC 6093) lose their mark and keep their place. recv() leaves them out unless the
 * socket has SO_OOBINLINE, which a side gets when epoll tells of one, and before a read can begin
 * at a mark that epoll has not told of: after one that filled its buffer. splice() never gets past
 * a mark, and takes it for the end where a FIN is queued behind it: hence the copy after EPOLLPRI,
 * and the recv() that has to confirm an end.
 *
 * A run gives way after 1 MiB or 32 steps a direction; with 8 MiB one stream cost the
 * same.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/relay_internal.h"

#define FULL_READ_BYTES	 32768u
#define QUIET_READ_BYTES 16384u
#define FULL_READS	 3u
#define UNSENT_BYTES	 (1 << 20)
#define HELD_BYTES	 (8 << 20)
#define HELD_LEAST	 (1 << 20)
#define BUDGET_BYTES	 (1u << 20)
#define THROUGH_BYTES	 FULL_READ_BYTES /* on the stack */
#define BUDGET_STEPS	 32u

/* What one relay_run() does for one direction. */
struct pass {
	struct relay *relay;
	struct pool *pool;
	struct relay_flow *flow, *other;
	struct relay_side *from, *to;
	size_t moved;
};

void relay_init(struct relay *r, int client_fd, int target_fd, bool can_splice)
{
	*r = (struct relay){ .can_splice = can_splice };
	r->side[RELAY_CLIENT].fd = client_fd;
	r->side[RELAY_TARGET].fd = target_fd;
	for (unsigned i = 0; i < 2; i++)
		r->side[i].readable = r->side[i].writable = r->side[i].ending = true;
}

void relay_prefill(struct relay *r, unsigned i, uint8_t *buffer, size_t len, size_t skipped)
{
	r->flow[i].buffer = buffer;
	r->flow[i].from = 0;
	r->flow[i].to = len;
	r->flow[i].to_skip = skipped;
}

static void side_inline(struct relay_side *s)
{
	const int on = 1;

	if (!s->inlined)
		setsockopt(s->fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	s->inlined = true;
}

void relay_note(struct relay *r, unsigned i, uint32_t events)
{
	struct relay_side *s = &r->side[i];

	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		s->writable = true;
	if (events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->ending = true;
	if (events & EPOLLERR)
		s->failed = true;
	if (events & EPOLLPRI) {
		side_inline(s);
		r->flow[i].full_reads = 0;
	}
}

size_t relay_held(const struct relay *r, unsigned i)
{
	return r->flow[i].to - r->flow[i].from + r->flow[i].in_pipe;
}

/* ---- one step: true where another one may follow ---- */

/* After a write that returned -1 with errno. */
static bool send_failed(struct pass *s)
{
	if (errno == EINTR)
		return true;
	if (errno == EAGAIN) {
		s->to->writable = false;
		return false;
	}
	/* EPIPE is a side that has closed: in order, or reading it will tell. */
	if (errno != EPIPE) {
		relay_side_fail(s->relay, s->to, errno);
		s->to->no_fin = true;
	}
	s->to->readable = s->to->ending = true;
	relay_flow_cut(s->flow, s->pool);
	return true;
}

/* After a read that returned -1 with errno. */
static bool take_failed(struct pass *s)
{
	if (errno == EINTR)
		return true;
	if (errno == EAGAIN) {
		s->from->readable = s->from->ending = false;
		return false;
	}
	relay_side_fail(s->relay, s->from, errno);
	s->flow->eof = s->flow->shut = true;
	return false;
}

static void buffer_back(struct pass *s)
{
	struct relay_flow *f = s->flow;

	pool_buffer_put(s->pool, f->buffer);
	f->buffer = NULL;
	f->from = f->to = 0;
}

static void pipe_back(struct pass *s)
{
	pool_pipe_put(s->pool, s->flow->pipe, true);
	s->flow->pipe = NULL;
}

static void pass_sent(struct pass *s, size_t n)
{
	struct relay_flow *f = s->flow;
	size_t skip = n < f->to_skip ? n : f->to_skip;

	f->to_skip -= skip;
	f->skipped += skip;
	f->bytes += n;
	s->moved += n;
}

static bool send_buffer(struct pass *s)
{
	struct relay_flow *f = s->flow;
	/* The FIN that follows at once goes with these bytes. */
	const int more = f->eof ? MSG_MORE : 0;
	ssize_t n = send(s->to->fd, f->buffer + f->from, f->to - f->from,
			 MSG_DONTWAIT | MSG_NOSIGNAL | more);

	if (n < 0)
		return send_failed(s);
	pass_sent(s, (size_t)n);
	f->from += (size_t)n;
	if (f->from < f->to) {
		s->to->writable = false; /* the kernel has met the bound, and will tell */
		return false;
	}
	buffer_back(s);
	return true;
}

static bool send_pipe(struct pass *s)
{
	struct relay_flow *f = s->flow;
	ssize_t n = splice(f->pipe->fd[0], NULL, s->to->fd, NULL, f->in_pipe,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (!n)
		errno = EIO;
	if (n <= 0)
		return send_failed(s);
	pass_sent(s, (size_t)n);
	f->in_pipe -= (size_t)n;
	if (!f->in_pipe)
		pipe_back(s);
	return true;
}

static bool send_fin(struct pass *s)
{
	s->flow->shut = true;
	if (s->from->no_fin)
		return false;
	/* The last one is the owner's close(), unless that has to wait. */
	if ((!s->other->shut || s->other->cut) && shutdown(s->to->fd, SHUT_WR))
		relay_side_fail(s->relay, s->to, errno);
	return false;
}

/* Set before there are threads; 0 = nothing is bounded. TCP has a 16th of the memory before it is
 * short of it and drops what comes (tcp_mem): an eighth of that. */
static size_t held_by_all;
static _Atomic unsigned n_fixed; /* of all workers */

void relay_probe(void)
{
	int held = HELD_BYTES / 2, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(held);

	if (fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &held, sizeof(held)) &&
	    !getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &held, &len) && held >= HELD_BYTES)
		held_by_all =
			(size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) / (16 * 8);
	if (fd >= 0)
		close(fd);
}

/* The first ones get HELD_BYTES, the many that come after them less: 256 streams with 8 MB each
 * left TCP without memory, and it stopped all of them for seconds (measured). */
static int held_share(void)
{
	size_t share = held_by_all / (atomic_fetch_add(&n_fixed, 1) + 1);

	if (share > HELD_BYTES)
		return HELD_BYTES;
	return share < HELD_LEAST ? HELD_LEAST : (int)share;
}

void relay_flow_unfix(struct relay_flow *f)
{
	if (f->fixed)
		atomic_fetch_sub(&n_fixed, 1);
	f->fixed = false;
}

/* What a receiver does not take stays with its sender, not here in buffers that grew: with
 * tcp_rmem's 32 MB (Linux 6.16 and newer) a stream of many gigabits has all of them. A buffer of a
 * fixed size does not grow; net.core.rmem_max allows this one where tcp_rmem has so much. Elsewhere
 * both are less, and the kernel's own growth is the better one. Early: one that has grown is not
 * made smaller, what is on its way to it would be dropped, and the stream stops for a second
 * (measured). */
static void bound_held(struct pass *s)
{
	const int unsent = UNSENT_BYTES;
	int window, half, now = INT32_MAX;
	socklen_t len = sizeof(now);

	s->flow->bounded = true;
	setsockopt(s->to->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	if (!held_by_all || getsockopt(s->from->fd, SOL_SOCKET, SO_RCVBUF, &now, &len))
		return;
	s->flow->fixed = true;
	window = held_share();
	half = window / 2;
	if (now > half) {
		relay_flow_unfix(s->flow);
		return;
	}
	setsockopt(s->from->fd, SOL_SOCKET, SO_RCVBUF, &half, sizeof(half));
	setsockopt(s->from->fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &window, sizeof(window));
}

/* n bytes came from `from`. */
static void pass_took(struct pass *s, size_t n)
{
	struct relay_flow *f = s->flow;

	if (n < QUIET_READ_BYTES)
		f->full_reads = 0;
	else if (n >= FULL_READ_BYTES && f->full_reads < FULL_READS)
		f->full_reads++;
	f->eof = !n;
	if (f->full_reads && !f->bounded)
		bound_held(s);
}

/* Its end has been announced: is it right behind these bytes? */
static void take_rest(struct pass *s)
{
	struct relay_flow *f = s->flow;
	ssize_t n = recv(s->from->fd, f->buffer + f->to, POOL_BUFFER_BYTES - f->to, MSG_DONTWAIT);

	if (n > 0)
		f->to += (size_t)n;
	else if (!n)
		f->eof = true;
	else if (errno == EAGAIN)
		s->from->readable = s->from->ending = false;
	else if (errno != EINTR) {
		relay_side_fail(s->relay, s->from, errno);
		s->from->no_fin = true;
	}
}

static bool take_copy(struct pass *s)
{
	struct relay_flow *f = s->flow;
	ssize_t n = recv(s->from->fd, f->buffer, POOL_BUFFER_BYTES, MSG_DONTWAIT);
	bool go_on;

	if (n < 0) {
		go_on = take_failed(s);
		buffer_back(s);
		return go_on;
	}
	pass_took(s, (size_t)n);
	f->to = (size_t)n;
	if (n && n < POOL_BUFFER_BYTES && s->from->ending)
		take_rest(s);
	if (!n)
		buffer_back(s);
	else if (n == POOL_BUFFER_BYTES)
		side_inline(s->from);
	else if (!s->from->ending)
		s->from->readable = false;
	return true;
}

static bool take_splice(struct pass *s)
{
	struct relay_flow *f = s->flow;
	ssize_t n = splice(s->from->fd, NULL, f->pipe->fd[1], NULL, f->pipe->cap_bytes,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	bool go_on;

	if (n > 0) {
		pass_took(s, (size_t)n);
		f->in_pipe = (size_t)n;
		f->spliced = true;
		return true;
	}
	go_on = !n || take_failed(s);
	f->full_reads = n ? f->full_reads : 0;
	pipe_back(s);
	return go_on;
}

/* What was only looked at is taken from its sender once it is sent. */
static bool pass_drop(struct pass *s, uint8_t *bytes, size_t n)
{
	while (n) {
		ssize_t k = recv(s->from->fd, bytes, n, MSG_DONTWAIT);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) { /* they were there, and nobody else reads */
			errno = EIO;
			return take_failed(s);
		}
		n -= (size_t)k;
	}
	return true;
}

/* Nothing is left to hold bytes in: they stay with the sender's socket until the other side has
 * room. Costs a copy more, and no memory. */
static bool pass_through(struct pass *s)
{
	uint8_t bytes[THROUGH_BYTES];
	ssize_t n, sent;

	if (!s->to->writable)
		return false;
	n = recv(s->from->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	if (n <= 0) {
		if (!n) {
			pass_took(s, 0);
			return true;
		}
		return take_failed(s);
	}
	side_inline(s->from);
	sent = send(s->to->fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return send_failed(s);
	s->to->writable = sent == n;
	pass_took(s, (size_t)sent); /* who sends much gets a pipe */
	pass_sent(s, (size_t)sent);
	return pass_drop(s, bytes, (size_t)sent);
}

/* Read all the same: what lies unread when a socket is closed makes that a reset. */
static bool take_for_nobody(struct pass *s)
{
	uint8_t bytes[THROUGH_BYTES];
	ssize_t n = recv(s->from->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0)
		return take_failed(s);
	s->flow->eof = !n;
	return n > 0;
}

static bool take(struct pass *s)
{
	struct relay_flow *f = s->flow;

	if (!f->buffer && s->relay->can_splice && f->full_reads >= FULL_READS)
		f->pipe = pool_pipe_get(s->pool);
	if (f->pipe)
		return take_splice(s);
	if (!f->buffer) /* else it came with relay_prefill(), and nothing was in it */
		f->buffer = pool_buffer_get(s->pool, BUDGET_STREAM);
	return f->buffer ? take_copy(s) : pass_through(s);
}

/* ---- a run ---- */

static bool pass_step(struct pass *s)
{
	struct relay_flow *f = s->flow;

	if (f->cut)
		return !f->eof && s->from->readable && take_for_nobody(s);
	if (f->in_pipe)
		return s->to->writable && send_pipe(s);
	if (f->from < f->to)
		return s->to->writable && send_buffer(s);
	if (f->eof)
		return !f->shut && send_fin(s);
	return s->from->readable && take(s);
}

/* True: gave way before it was done. */
static bool pass_run(struct pass *s)
{
	unsigned steps = 0;

	while (pass_step(s)) {
		if (s->moved >= BUDGET_BYTES || ++steps >= BUDGET_STEPS)
			return true;
	}
	return false;
}

/* True: there is more. */
static bool flow_run(struct relay *r, unsigned i, struct pool *p, int64_t now_ms, int64_t *moved_ms)
{
	struct pass s = { .relay = r,
			  .pool = p,
			  .flow = &r->flow[i],
			  .other = &r->flow[!i],
			  .from = &r->side[i],
			  .to = &r->side[!i] };
	bool more = pass_run(&s);

	if (s.moved)
		*moved_ms = now_ms;
	return more;
}

enum relay_result relay_run(struct relay *r, struct pool *p, int64_t now_ms, int64_t *moved_ms,
			    unsigned *side, int *error)
{
	bool more = false;

	relay_cut_failed(r, p);
	for (unsigned i = 0; i < 2; i++)
		more |= flow_run(r, i, p, now_ms, moved_ms);
	relay_cut_failed(r, p);
	if (more)
		return RELAY_MORE;
	if (!r->flow[0].shut || !r->flow[1].shut)
		return r->side[0].failed || r->side[1].failed ? RELAY_LAST : RELAY_WAIT;
	if (!r->flow[0].cut && !r->flow[1].cut)
		return RELAY_ENDED;
	return relay_last(r, now_ms, moved_ms, side, error);
}

void relay_fini(struct relay *r, struct pool *p)
{
	for (unsigned i = 0; i < 2; i++)
		relay_flow_drop(&r->flow[i], p);
}
