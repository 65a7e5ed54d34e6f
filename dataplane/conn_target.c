/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the route to a connected target. A target that cannot be reached is
 * followed by the next one until none is left or the route's connect timeout has
 * passed; as long as there is another, one alone does not get all of that time.
 * What is this host's own fault (no descriptor, no port) is not held against a target;
 * a descriptor is waited for, and so is a place in the queue of a unix socket.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "dataplane/balance.h"
#include "dataplane/conn.h"
#include "dataplane/template.h"

#define TRY_MS	      5000 /* one target, as long as another is left */
#define TRY_PARTS     4	   /* or such a part of the time that is left */
#define SHORT_MS      100  /* until descriptors are looked for again */
#define UNWATCHED_MS  50   /* most targets have answered by then: the client need not be watched */
#define LEFT_MS	      1000 /* a client that has closed and said nothing waits no longer */
#define ADDRESSES_MAX 8	   /* of one name, for one connection */

static struct route_target *target_of(const struct conn *c)
{
	return &c->route->targets[c->target_index];
}

/* ---- counting ---- */

static void count_in(struct conn *c)
{
	struct target_state *s = target_of(c)->state;

	atomic_fetch_add_explicit(&s->active, 1, memory_order_relaxed);
}

void conn_target_count_out(struct conn *c)
{
	if (c->target_index < 0)
		return;
	atomic_fetch_sub_explicit(&target_of(c)->state->active, 1, memory_order_relaxed);
	c->target_index = -1;
}

void conn_target_close(struct conn *c, bool hard)
{
	const struct linger now = { .l_onoff = 1 };
	int fd = c->target.fd;

	if (fd < 0)
		return;
	watch_remove(c->w->loop, &c->target);
	if (hard)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	c->target.fd = -1;
}

/* ---- where to ---- */

union target_address {
	struct sockaddr sa;
	struct sockaddr_storage ss;
	struct sockaddr_un un;
};

static uint16_t port_of(const struct conn *c, const struct route_target *t)
{
	int port = t->port_kind == TARGET_PORT_FIXED ? t->port : c->listen_port;

	if (t->port_kind == TARGET_PORT_OFFSET)
		port += t->port;
	return port > 0 && port <= 65535 ? (uint16_t)port : 0;
}

/* Those of the client's family first, as the kernel tier has no others; each family in turn, from
 * where chance began. */
static struct addr nth_address(const struct conn *c, const struct name_entry *e, unsigned turn)
{
	unsigned n_native = 0, k;
	bool native;

	for (unsigned i = 0; i < e->n; i++)
		n_native += e->v[i].family == c->client_addr.family;
	native = turn < n_native;
	k = (c->address_at + turn) % (native ? n_native : e->n - n_native);
	for (unsigned i = 0; i < e->n; i++)
		if ((e->v[i].family == c->client_addr.family) == native && !k--)
			return e->v[i];
	return e->v[0];
}

static void choose_address(struct conn *c, const struct name_entry *e, struct addr *out)
{
	if (!c->address_tries)
		c->address_at = (unsigned)(worker_random(c->w) >> 33);
	*out = nth_address(c, e, c->address_tries % e->n);
	c->address_tries++;
	c->more_addresses = c->address_tries < e->n && c->address_tries < ADDRESSES_MAX;
}

static int unix_address(const char *path, union target_address *out, socklen_t *len)
{
	out->un.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(out->un.sun_path))
		return -ENAMETOOLONG;
	strcpy(out->un.sun_path, path);
	*len = sizeof(out->un);
	return 0;
}

static int fill_template(const struct conn *c, const struct route_target *t,
			 struct template_target *out)
{
	const struct template_values v = { .domain = c->name,
					   .port = c->listen_port,
					   .client = c->client_addr };

	return template_expand(t->host, &v, out);
}

/* Where the template leads, as if it stood there. -ENODATA: nowhere. */
static int template_address(struct conn *c, const struct route_target *t, union target_address *out,
			    struct addr *a, socklen_t *len)
{
	struct template_target v;
	struct name_entry e;
	int rc;

	if (fill_template(c, t, &v))
		return -ENODATA;
	if (v.kind == TEMPLATE_PATH)
		return unix_address(v.text, out, len);
	*a = v.addr;
	if (v.kind == TEMPLATE_ADDRESS)
		return 0;
	rc = conn_lookup(c, v.text, &e);
	if (!rc && !e.n)
		rc = -EHOSTUNREACH;
	if (!rc)
		choose_address(c, &e, a);
	return rc;
}

/* What the file itself says may be another port of ours: plan has seen that it does not come back.
 * What a client or a name server says may not. -ELOOP, or why nobody could say. */
static int refuse_own(struct conn *c, const struct route_target *t, const struct addr *a,
		      uint16_t port)
{
	const bool is_written =
		t->kind == TARGET_ADDRESS || (t->kind == TARGET_NAME && addr_is_loopback(a));
	int rc = is_written && port != c->listen_port ? 0 : worker_listens(c->w, a, port);

	return rc > 0 ? -ELOOP : rc;
}

/* -EINPROGRESS: it is asked. -ENODATA: for this connection there is no such target. */
static int target_address(struct conn *c, const struct route_target *t, union target_address *out,
			  socklen_t *len)
{
	const struct name_entry *e;
	struct addr a = t->addr;
	uint16_t port = port_of(c, t);
	int rc;

	c->more_addresses = false;
	memset(out, 0, sizeof(*out));
	*len = 0;
	if (t->kind == TARGET_UNIX)
		return unix_address(t->host, out, len);
	if (t->kind == TARGET_TEMPLATE) {
		rc = template_address(c, t, out, &a, len);
		if (rc || *len)
			return rc;
	}
	if (!port)
		return -EHOSTUNREACH;
	if (t->kind == TARGET_NAME) {
		e = name_book_find(c->w->names, t->host);
		if (!e || !e->n)
			return -EHOSTUNREACH;
		choose_address(c, e, &a);
	}
	rc = refuse_own(c, t, &a, port);
	if (!rc)
		out->ss = addr_to_sockaddr(&a, port, len);
	return rc;
}

const char *conn_target_text(const struct conn *c, char out[CONN_TARGET_TEXT])
{
	const int index = c->target_index >= 0 ? c->target_index : c->last_target;
	const struct route_target *t = c->route && index >= 0 ? &c->route->targets[index] : NULL;
	struct template_target v = { .kind = TEMPLATE_NAME };
	const char *host;

	if (!t)
		return NULL;
	host = t->host;
	/* The template itself where it leads nowhere. */
	if (t->kind == TARGET_TEMPLATE && !fill_template(c, t, &v))
		host = v.text;
	if (t->kind == TARGET_UNIX || v.kind == TEMPLATE_PATH)
		snprintf(out, CONN_TARGET_TEXT, "unix:%s", host);
	else
		snprintf(out, CONN_TARGET_TEXT, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
			 port_of(c, t));
	return out;
}

/* ---- one try ---- */

static bool is_our_fault(int error)
{
	return error == EMFILE || error == ENFILE || error == EADDRNOTAVAIL || error == ENOBUFS ||
	       error == ENOMEM || error == EPERM;
}

static void try_failed(struct conn *c, int error)
{
	struct target_state *s = target_of(c)->state;

	conn_target_close(c, true);
	if (error != ENODATA) {
		c->reached = true;
		c->timed_out = error == ETIMEDOUT;
	}
	/* EAGAIN: the queue of a unix socket is full, which says nothing against who reads it. */
	c->is_short = error == EMFILE || error == ENFILE || error == EAGAIN;
	if (c->is_short && error != EAGAIN)
		atomic_fetch_add(&c->w->plane->accept_paused, 1);
	if (c->is_short || c->more_addresses) {
		conn_target_count_out(c);
		return;
	}
	c->tried |= balance_tried_bit((unsigned)c->target_index);
	conn_lookup_drop(c);
	if (error != ENODATA)
		atomic_fetch_add_explicit(&s->failed, 1, memory_order_relaxed);
	/* A template is many targets: what one of them does is not held against the others. */
	if (!is_our_fault(error) && target_of(c)->kind != TARGET_TEMPLATE)
		balance_failed(s, loop_now_ms(c->w->loop));
	conn_target_count_out(c);
	c->address_tries = 0;
}

static unsigned targets_left(const struct conn *c)
{
	unsigned left = 0;

	for (unsigned i = 0; i < c->route->n_targets; i++)
		left += !(c->tried & balance_tried_bit((int)i));
	return left + c->more_addresses;
}

static void try_expired(struct timer *t);

/* One alone does not get all of the time: the next ones are to be reached within it. */
static void set_try_deadline(struct conn *c)
{
	unsigned left = targets_left(c);
	int64_t now_ms = loop_now_ms(c->w->loop), share_ms = c->give_up_ms - now_ms;

	if (left > 1)
		share_ms /= left < TRY_PARTS ? left : TRY_PARTS;
	if (left > 1 && share_ms > TRY_MS)
		share_ms = TRY_MS;
	if (c->client.fd < 0 && share_ms > UNWATCHED_MS)
		share_ms = UNWATCHED_MS;
	timer_set(c->w->loop, &c->timer, now_ms + share_ms, try_expired);
}

static void try_expired(struct timer *t)
{
	struct conn *c = conn_of_timer(t);
	bool begins = c->client.fd < 0;

	/* What cannot be watched cannot be served: nothing of that is the target's fault. */
	if (begins && conn_watch_client(c)) {
		conn_refuse(c, REASON_GLOBAL_LIMIT);
		return;
	}
	if (c->target_index >= 0 && begins) {
		set_try_deadline(c);
		return;
	}
	if (c->target_index >= 0)
		try_failed(c, ETIMEDOUT);
	conn_connect(c);
}

static void wait_for_room(struct conn *c)
{
	int64_t at = loop_now_ms(c->w->loop) + SHORT_MS;

	c->more_addresses = false;
	timer_set(c->w->loop, &c->timer, at < c->give_up_ms ? at : c->give_up_ms, try_expired);
}

static void target_ready(struct watch *w, uint32_t events)
{
	struct conn *c = conn_of_target(w);
	int error = 0;
	socklen_t len = sizeof(error);

	if (c->state == CONN_RELAY) {
		conn_relay_ready(c, RELAY_TARGET, events);
		return;
	}
	if ((events & EPOLLERR) || ((events & EPOLLHUP) && !(events & EPOLLOUT))) {
		getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		try_failed(c, error ? error : ECONNREFUSED);
		conn_connect(c);
		return;
	}
	if (!(events & EPOLLOUT))
		return;
	timer_cancel(c->w->loop, &c->timer);
	conn_lookup_drop(c);
	balance_connected(target_of(c)->state);
	conn_connected(c, events);
}

static int start(struct conn *c, const union target_address *a, socklen_t len)
{
	const int on = 1;
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	if (c->route->no_delay && a->sa.sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	rc = connect(fd, &a->sa, len) < 0 && errno != EINPROGRESS ? -errno : 0;
	rc = rc ? rc : watch_add(c->w->loop, &c->target, fd, CONN_EVENTS | EPOLLOUT, target_ready);
	if (rc) {
		close(fd);
		c->target.fd = -1;
	}
	return rc;
}

/* True: it is under way. */
static bool try_target(struct conn *c)
{
	union target_address a;
	socklen_t len;
	int rc = target_address(c, target_of(c), &a, &len);

	if (rc == -EINPROGRESS)
		return true;
	rc = rc ? rc : start(c, &a, len);
	if (!rc)
		return true;
	try_failed(c, -rc);
	return false;
}

/* ---- the targets of a route, one after the other ---- */

static int choose(struct conn *c, uint64_t tried, bool *failed_open)
{
	const struct balance_ask ask = { .route = c->route,
					 .client = c->client_addr,
					 .port = c->listen_port,
					 .now_ms = loop_now_ms(c->w->loop),
					 .random = worker_random(c->w),
					 .tried = tried };

	return balance_choose(&ask, failed_open);
}

static void give_up(struct conn *c)
{
	conn_refuse(c, c->timed_out || c->is_short ? REASON_CONNECT_TIMEOUT
		       : !c->reached		   ? REASON_NO_TARGET
						   : REASON_CONNECT_FAILED);
}

void conn_connect(struct conn *c)
{
	int again = c->more_addresses ? c->last_target : -1;
	bool failed_open;

	c->state = CONN_CONNECT;
	for (;;) {
		failed_open = false;
		c->target_index = again >= 0 ? again : choose(c, c->tried, &failed_open);
		if (c->target_index < 0 || loop_now_ms(c->w->loop) >= c->give_up_ms) {
			c->target_index = -1;
			give_up(c);
			return;
		}
		if (c->last_target != c->target_index)
			c->address_tries = 0;
		c->last_target = c->target_index;
		if (failed_open)
			atomic_fetch_add_explicit(&c->route->stats->failed_open, 1,
						  memory_order_relaxed);
		count_in(c);
		if (try_target(c))
			break;
		if (c->is_short) {
			wait_for_room(c);
			return;
		}
		again = c->more_addresses ? c->last_target : -1;
	}
	set_try_deadline(c);
}

void conn_looked_up(struct conn *c)
{
	if (try_target(c))
		set_try_deadline(c);
	else
		conn_connect(c);
}

/* ---- the client meanwhile ---- */

static bool said_nothing(const struct conn *c)
{
	char byte;

	return (!c->first || c->first->n == c->first->header_bytes) &&
	       recv(c->client_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void conn_client_while_connecting(struct conn *c, uint32_t events)
{
	int64_t soon = loop_now_ms(c->w->loop) + LEFT_MS;

	if (events & (EPOLLERR | EPOLLHUP)) {
		conn_refuse(c, REASON_CLOSED_BEFORE_DATA);
		return;
	}
	c->client_events |= events;
	/* It may still want to listen (a half-close): only a target that is slow is given up. */
	if ((events & EPOLLRDHUP) && c->give_up_ms > soon && said_nothing(c)) {
		c->give_up_ms = soon;
		if (c->timer.at_ms > soon)
			timer_set(c->w->loop, &c->timer, soon, try_expired);
	}
}
