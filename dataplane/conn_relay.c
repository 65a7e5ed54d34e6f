/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection whose target has answered. The target gets the PROXY header, then
 * what was read to choose the route, then the rest. Keep-alive probes are set up
 * only once a connection has lived for a while: short ones do not pay for them.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "dataplane/conn.h"

#define KEEP_ALIVE_AFTER_MS 5000
#define LAST_LOOK_MS	    10
#define LAST_MS		    5000 /* for the last bytes of a side that is gone, while none arrives */

/* ---- counters ---- */

static uint64_t payload_bytes(const struct relay_flow *f)
{
	return f->bytes > f->skipped ? f->bytes - f->skipped : 0;
}

static void count_mover(struct conn *c)
{
	struct route_stats *s = c->route->stats;
	bool spliced = c->relay.flow[0].spliced || c->relay.flow[1].spliced;

	if (!c->copied && (c->told[0] || c->told[1])) {
		c->copied = true;
		atomic_fetch_add_explicit(&s->moved_by_copy, 1, memory_order_relaxed);
	}
	if (spliced && !c->spliced) {
		c->spliced = true;
		atomic_fetch_add_explicit(&s->moved_by_splice, 1, memory_order_relaxed);
	}
}

void conn_count_bytes(struct conn *c)
{
	struct target_state *t = c->route->targets[c->target_index].state;
	struct route_stats *s = c->route->stats;
	uint64_t up = payload_bytes(&c->relay.flow[RELAY_CLIENT]) - c->told[0];
	uint64_t down = payload_bytes(&c->relay.flow[RELAY_TARGET]) - c->told[1];

	if (up) {
		atomic_fetch_add_explicit(&s->bytes_up, up, memory_order_relaxed);
		atomic_fetch_add_explicit(&t->bytes_up, up, memory_order_relaxed);
	}
	if (down) {
		atomic_fetch_add_explicit(&s->bytes_down, down, memory_order_relaxed);
		atomic_fetch_add_explicit(&t->bytes_down, down, memory_order_relaxed);
	}
	c->told[0] += up;
	c->told[1] += down;
	count_mover(c);
}

/* ---- what goes first ---- */

static struct addr local_of(struct conn *c)
{
	return c->announced ? c->announced_addr : *conn_local(c);
}

/* Version 0: none. */
static size_t write_header(struct conn *c, int version, uint8_t *out, size_t cap)
{
	struct proxy_header h = { .version = version,
				  .source = c->client_addr,
				  .destination = local_of(c),
				  .source_port = c->client_port,
				  .destination_port =
					  c->announced ? c->announced_port : c->listen_port };

	if (!version)
		return 0;
	if (c->name)
		strncpy(h.authority, c->name, sizeof(h.authority) - 1);
	if (version == 2 && getrandom(h.unique_id, 16, GRND_NONBLOCK) == 16)
		h.unique_id_bytes = 16;
	return proxy_header_write(&h, out, cap);
}

/* False: there is no memory for it. */
static bool prefill(struct conn *c)
{
	int version = c->route->targets[c->target_index].send_proxy;
	size_t n = c->first ? c->first->n - c->first->header_bytes : 0, header;
	uint8_t *buffer;

	if (!n && !version)
		return true;
	buffer = pool_buffer_get(&c->w->pool, BUDGET_FIRST);
	if (!buffer)
		return false;
	header = write_header(c, version, buffer, POOL_BUFFER_BYTES);
	if (n)
		memcpy(buffer + header, c->first->bytes + c->first->header_bytes, n);
	relay_prefill(&c->relay, RELAY_CLIENT, buffer, header + n, header);
	return true;
}

/* Accepted sockets have it from their listener: most routes want it. */
static void delay_client(struct conn *c)
{
	const int off = 0;

	if (!c->route->no_delay)
		setsockopt(c->client_fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof(off));
}

/* ---- deadlines ---- */

static void keep_alive(struct conn *c)
{
	const int on = 1, idle_s = (int)((c->route->keep_alive_delay_ms + 999) / 1000);
	const int fds[2] = { c->client_fd, c->target.fd };

	c->keeps_alive = true;
	for (int i = 0; i < 2; i++) {
		setsockopt(fds[i], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		if (idle_s)
			setsockopt(fds[i], IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	}
}

static int64_t keep_alive_at(const struct conn *c)
{
	const unsigned delay_ms = c->route->keep_alive_delay_ms;

	return c->connected_ms + (delay_ms < KEEP_ALIVE_AFTER_MS ? delay_ms : KEEP_ALIVE_AFTER_MS);
}

static void expired(struct timer *t);

static void set_deadline(struct conn *c)
{
	const struct route *r = c->route;
	int64_t at = c->last_ms ? loop_now_ms(c->w->loop) + LAST_LOOK_MS : INT64_MAX;

	if (!c->keeps_alive && c->route->keep_alive && keep_alive_at(c) < at)
		at = keep_alive_at(c);
	if (r->inactivity_timeout_ms && c->moved_ms + r->inactivity_timeout_ms < at)
		at = c->moved_ms + r->inactivity_timeout_ms;
	if (r->max_lifetime_ms && c->accepted_ms + r->max_lifetime_ms < at)
		at = c->accepted_ms + r->max_lifetime_ms;
	if (at != INT64_MAX)
		timer_set(c->w->loop, &c->timer, at, expired);
}

static bool run(struct conn *c);

/* Bytes that moved did not move the timer: it looks when it fires. */
static void expired(struct timer *t)
{
	struct conn *c = conn_of_timer(t);
	const struct route *r = c->route;
	int64_t now_ms = loop_now_ms(c->w->loop);

	if (r->max_lifetime_ms && now_ms >= c->accepted_ms + r->max_lifetime_ms) {
		conn_refuse(c, REASON_MAX_LIFETIME);
		return;
	}
	if (r->inactivity_timeout_ms && now_ms >= c->moved_ms + r->inactivity_timeout_ms) {
		conn_refuse(c, REASON_INACTIVITY);
		return;
	}
	if (!c->keeps_alive && c->route->keep_alive && now_ms >= keep_alive_at(c))
		keep_alive(c);
	if (!c->last_ms || run(c))
		set_deadline(c);
}

/* ---- moving ---- */

static void run_again(struct turn *t);

/* Room is asked about only where there was none: else epoll would wake for it at once. */
static void ask_for_room(struct conn *c)
{
	struct watch *const w[2] = { &c->client, &c->target };

	for (unsigned i = 0; i < 2; i++)
		if (!c->relay.side[i].writable && w[i]->fd >= 0 && !(w[i]->events & EPOLLOUT))
			watch_change(c->w->loop, w[i], CONN_EVENTS | EPOLLOUT);
}

/* A side is gone; the other one is told when it has the last bytes, or takes none. False: the
 * connection is gone. */
static bool run_last(struct conn *c)
{
	const int64_t now_ms = loop_now_ms(c->w->loop);

	if (!c->last_ms) {
		c->last_ms = now_ms;
		set_deadline(c);
	}
	if (now_ms < c->last_ms + LAST_MS || now_ms < c->moved_ms + LAST_MS) {
		ask_for_room(c);
		return true;
	}
	c->broken = c->relay.side[0].failed || c->relay.side[1].failed;
	conn_end(c, REASON_NONE);
	return false;
}

/* False: the connection is gone. */
static bool run(struct conn *c)
{
	unsigned side;
	int error;

	switch (relay_run(&c->relay, &c->w->pool, loop_now_ms(c->w->loop), &c->moved_ms, &side,
			  &error)) {
	case RELAY_WAIT:
		ask_for_room(c);
		break;
	case RELAY_MORE:
		turn_queue(c->w->loop, &c->turn, run_again);
		break;
	case RELAY_LAST:
		if (!run_last(c))
			return false;
		break;
	case RELAY_BROKEN:
		c->broken = true;
		conn_end(c, REASON_NONE);
		return false;
	case RELAY_ENDED:
		conn_end(c, REASON_NONE);
		return false;
	}
	conn_count_bytes(c);
	return true;
}

static void run_again(struct turn *t)
{
	run(conn_of_turn(t));
}

void conn_relay_ready(struct conn *c, unsigned side, uint32_t events)
{
	relay_note(&c->relay, side, events);
	run(c);
}

/* What epoll has said so far is known, so nothing is tried in vain. A client that was not watched
 * has most likely sent its request by now. */
static void note_all(struct conn *c, uint32_t target_events)
{
	for (unsigned i = 0; i < 2; i++)
		c->relay.side[i].readable = c->relay.side[i].ending = false;
	relay_note(&c->relay, RELAY_CLIENT,
		   c->client.fd < 0 && !c->first ? EPOLLIN : c->client_events);
	relay_note(&c->relay, RELAY_TARGET, target_events);
}

void conn_connected(struct conn *c, uint32_t target_events)
{
	struct target_state *t = c->route->targets[c->target_index].state;

	atomic_fetch_add_explicit(&t->total, 1, memory_order_relaxed);
	c->state = CONN_RELAY;
	c->connected_ms = c->moved_ms = loop_now_ms(c->w->loop);
	delay_client(c);
	relay_init(&c->relay, c->client_fd, c->target.fd, true);
	if (!prefill(c)) {
		conn_refuse(c, REASON_GLOBAL_LIMIT);
		return;
	}
	note_all(c, target_events);
	conn_first_free(c);
	set_deadline(c);
	/* What comes between the read and this is an event at once. */
	if (!run(c))
		return;
	if (c->client.fd < 0 && conn_watch_client(c)) {
		conn_refuse(c, REASON_GLOBAL_LIMIT);
		return;
	}
	ask_for_room(c);
}
