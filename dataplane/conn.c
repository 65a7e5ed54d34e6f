/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a connection: accepted, routed, ended. What it is in between
 * stands in conn_first.c, conn_target.c and conn_relay.c.
 *
 * Each count goes up in one place and down in one place, conn_end(), whatever
 * happened in between: so `active` is exact, and nothing has to be cleaned up later.
 * One timer serves all deadlines, because only one state holds at a time.
 */
#include "dataplane/conn.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONTAINER(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

struct conn *conn_of_client(struct watch *w)
{
	return CONTAINER(w, struct conn, client);
}

struct conn *conn_of_target(struct watch *w)
{
	return CONTAINER(w, struct conn, target);
}

struct conn *conn_of_timer(struct timer *t)
{
	return CONTAINER(t, struct conn, timer);
}

struct conn *conn_of_turn(struct turn *t)
{
	return CONTAINER(t, struct conn, turn);
}

/* A reset instead of a FIN, and nothing of what is queued. */
static void close_hard(int fd)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void count_refusal(struct worker *w, struct route *r, enum reason why)
{
	atomic_ullong *v = r ? r->stats->refused : w->plane->refused;

	atomic_fetch_add_explicit(&v[why], 1, memory_order_relaxed);
}

/* ---- lists ---- */

static void list_add(struct conn *c)
{
	struct worker *w = c->w;

	c->prev = w->conns_end;
	*w->conns_end = c;
	w->conns_end = &c->next;
	atomic_store_explicit(&w->n_alive, ++w->n_conns, memory_order_relaxed);
}

static void list_remove(struct conn *c)
{
	struct worker *w = c->w;

	if (w->asked == c)
		w->asked = c->next;
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else
		w->conns_end = c->prev;
	atomic_store_explicit(&w->n_alive, --w->n_conns, memory_order_relaxed);
}

/* ---- the end ---- */

static void close_client(struct conn *c, bool hard)
{
	watch_remove(c->w->loop, &c->client);
	if (hard)
		close_hard(c->client_fd);
	else
		close(c->client_fd);
}

/* Of those that ended in order, and of those that left by themselves, a FIN is what there is to
 * say; everything else is a reset. */
static bool is_orderly(const struct conn *c, enum reason why)
{
	return (why == REASON_NONE && !c->broken) || why == REASON_CLOSED_BEFORE_DATA ||
	       c->state == CONN_LINGER;
}

/* Counted out before anybody can see that it has ended. */
static void count_out(struct conn *c)
{
	limits_release(c->w->plane->limits, &c->hold);
	limits_drop_connection(c->w->plane->limits);
	if (!c->route)
		return;
	conn_target_count_out(c);
	atomic_fetch_sub_explicit(&c->route->stats->active, 1, memory_order_relaxed);
}

bool conn_set_name(struct conn *c, const char *name)
{
	struct budget *b = &c->w->plane->budget;
	const size_t n = strlen(name) + 1;

	if (!budget_take(b, n, BUDGET_NEW))
		return false;
	c->name = strdup(name);
	if (!c->name)
		budget_give(b, n);
	return c->name;
}

static void drop_name(struct conn *c)
{
	if (c->name)
		budget_give(&c->w->plane->budget, strlen(c->name) + 1);
	free(c->name);
}

void conn_end(struct conn *c, enum reason why)
{
	struct worker *w = c->w;
	bool hard = !is_orderly(c, why);

	if (c->state == CONN_RELAY)
		conn_count_bytes(c);
	c->reason = c->reason ? c->reason : why;
	conn_record(c);
	timer_cancel(w->loop, &c->timer);
	turn_cancel(w->loop, &c->turn);
	if (c->state == CONN_RELAY)
		relay_fini(&c->relay, &w->pool);
	conn_first_free(c);
	conn_lookup_drop(c);
	count_out(c);
	list_remove(c);
	conn_target_close(c, hard);
	close_client(c, hard);
	if (c->route)
		route_unref(c->route);
	drop_name(c);
	free(c);
	budget_give(&w->plane->budget, sizeof(*c));
}

void conn_count_refusal(struct conn *c, enum reason why)
{
	count_refusal(c->w, c->route, why);
}

void conn_refuse(struct conn *c, enum reason why)
{
	conn_count_refusal(c, why);
	conn_end(c, why);
}

/* ---- the route is known ---- */

static enum reason take_limits(struct conn *c, struct route *r)
{
	struct limits *l = c->w->plane->limits;
	int64_t now_ms = loop_now_ms(c->w->loop);
	const struct route_table *t = c->table;
	enum reason why = REASON_NONE;

	/* Everybody else's were counted by the kernel before the connection came here. */
	if (c->trusted && t && (t->max_per_address || t->max_per_minute))
		why = limits_take_client(l, &c->hold, &c->client_addr, t->max_per_address,
					 t->max_per_minute, now_ms);
	if (!why &&
	    (r->max_connections || r->max_connections_per_ip || r->connection_rate_per_minute))
		why = limits_take_route(l, &c->hold, r, &c->client_addr, now_ms);
	return why;
}

void conn_route(struct conn *c, struct route *r)
{
	enum reason why;

	timer_cancel(c->w->loop, &c->timer);
	why = route_lets_in(r, &c->client_addr) ? take_limits(c, r) : REASON_ROUTE_IP_BLOCKED;
	if (why) {
		count_refusal(c->w, r, why);
		c->denied_by = r;
		conn_end(c, why);
		return;
	}
	c->route = route_ref(r);
	atomic_fetch_add_explicit(&r->stats->active, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&r->stats->total, 1, memory_order_relaxed);
	conn_first_decided(c);
	c->table = NULL;
	c->give_up_ms = loop_now_ms(c->w->loop) + r->connect_timeout_ms;
	conn_connect(c);
}

/* ---- accept ---- */

bool conn_adopt(struct conn *c, const struct route_table *t)
{
	const struct route *first = NULL;

	c->table = t;
	c->trusted = t->trusted && addr_set_has(t->trusted, &c->peer_addr);
	if (t->by_address)
		conn_local(c);
	if (c->trusted)
		first = route_table_first(t, &c->local_addr, c->listen_port);
	return first && first->accept_proxy;
}

/* The route of a connection that needs no byte for it, or what to do instead. */
static void begin(struct conn *c, struct route_table *t)
{
	const bool header_first = conn_adopt(c, t);
	struct match_facts f = { .local = c->local_addr,
				 .client = c->client_addr,
				 .port = c->listen_port };
	struct match m;

	if (header_first) {
		conn_first_start(c, t, CONN_HEADER);
		return;
	}
	m = route_table_match(t, &f);
	if (m.answer == MATCH_YES)
		conn_route(c, m.route);
	else if (m.answer == MATCH_NO)
		conn_refuse(c, REASON_NO_ROUTE);
	else
		conn_first_start(c, t, CONN_SNIFF);
}

const struct addr *conn_local(struct conn *c)
{
	struct sockaddr_storage local;
	socklen_t len = sizeof(local);

	if (c->local_addr.family == ADDR_NONE &&
	    !getsockname(c->client_fd, (struct sockaddr *)&local, &len))
		c->local_addr = addr_from_sockaddr((struct sockaddr *)&local, NULL);
	return &c->local_addr;
}

static void set_addresses(struct conn *c, struct listener *l, const struct sockaddr *peer)
{
	c->peer_addr = addr_from_sockaddr(peer, &c->client_port);
	c->client_addr = c->peer_addr;
	c->listen_port = l->port;
	c->local_addr = l->address;
}

static void refuse_at_once(struct listener *l, int fd, const struct sockaddr *peer, enum reason why)
{
	count_refusal(l->w, NULL, why);
	conn_record_refused(l->w, peer, l, why);
	close_hard(fd);
}

static void client_ready(struct watch *watch, uint32_t events)
{
	struct conn *c = conn_of_client(watch);

	switch (c->state) {
	case CONN_HEADER:
	case CONN_SNIFF:
		conn_first_ready(c, events);
		return;
	case CONN_CONNECT:
		conn_client_while_connecting(c, events);
		return;
	case CONN_RELAY:
		conn_relay_ready(c, RELAY_CLIENT, events);
		return;
	case CONN_LINGER:
		conn_linger_ready(c, events);
		return;
	}
}

int conn_watch_client(struct conn *c)
{
	return watch_add(c->w->loop, &c->client, c->client_fd, CONN_EVENTS, client_ready);
}

static struct conn *conn_new(struct worker *w)
{
	struct conn *c;

	if (!budget_take(&w->plane->budget, sizeof(*c), BUDGET_NEW))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		budget_give(&w->plane->budget, sizeof(*c));
	return c;
}

void conn_accept(struct listener *l, int fd, const struct sockaddr *peer)
{
	struct worker *w = l->w;
	struct route_table *t = l->last_table ? l->last_table : w->table;
	struct conn *c;

	atomic_fetch_add_explicit(&w->plane->accepted, 1, memory_order_relaxed);
	if (!limits_take_connection(w->plane->limits, t->max_connections)) {
		refuse_at_once(l, fd, peer, REASON_GLOBAL_LIMIT);
		return;
	}
	c = conn_new(w);
	if (!c) {
		limits_drop_connection(w->plane->limits);
		refuse_at_once(l, fd, peer, REASON_GLOBAL_LIMIT);
		return;
	}
	c->w = w;
	c->serial = ++w->serial;
	c->target.fd = -1;
	c->target_index = c->last_target = -1;
	c->client_fd = fd;
	c->client.fd = -1;
	c->accepted_ms = c->moved_ms = loop_now_ms(w->loop);
	set_addresses(c, l, peer);
	list_add(c);
	begin(c, t);
}
