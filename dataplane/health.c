// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One check for each target of each route that has a healthCheck, found again in
 * the next table by (route id, tag), the key of its target_state. Checks start at
 * their own points of the interval, so a thousand targets are a steady trickle; at most
 * HEALTH_RUNNING_MAX run at a time, later ones wait in line.
 *
 * A name is up when one of its addresses is: they are tried in turn, each with its share of what is
 * left of the timeout, the one that passed last time first.
 *
 * A target that is not checked any more is up: nobody would ever take it up again.
 */
#include "dataplane/health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/un.h>

#include "dataplane/health_probe.h"

#define ADDRESSES_MAX 8 /* of a name, that are tried */
#define HOST_MAX      288

struct check {
	struct health *all;
	uint32_t route_id, tag;
	const struct route *route;	   /* of the table that is followed */
	const struct route_target *target; /* likewise */
	uint16_t port;
	unsigned failures, successes; /* in a row */
	TAILQ_ENTRY(check) waiting;
	bool waits, runs;
	int64_t due_ms, deadline_ms;
	struct timer due;
	struct health_probe probe;
	char host[HOST_MAX];
	struct addr v[ADDRESSES_MAX];
	unsigned n, at, good; /* addresses; the one that is tried; index that passed last */
};

struct health {
	struct loop *loop;
	struct route_table *table;
	struct check **v; /* by route id and tag */
	unsigned n, running, running_max;
	TAILQ_HEAD(, check) waiting;
	void (*changed)(void *arg, uint32_t route, uint32_t tag, bool up, const char *why);
	unsigned (*resolve)(void *arg, const char *name, struct addr *out, unsigned cap);
	void *arg;
};

static void probe_done(struct health_probe *p, enum health_result r, const char *why);

/* ---- what is checked ---- */

/* 0: none that is known. */
static uint16_t check_port(const struct route *r, const struct route_target *t)
{
	unsigned own = t->n_ports == 1 && t->ports[0].from == t->ports[0].to ? t->ports[0].from
									     : r->health->port;
	long port = t->port;

	if (t->port_kind != TARGET_PORT_FIXED && !own)
		return 0;
	if (t->port_kind == TARGET_PORT_PRESERVE)
		port = own;
	else if (t->port_kind == TARGET_PORT_OFFSET)
		port = (long)own + t->port;
	return port > 0 && port <= 65535 ? (uint16_t)port : 0;
}

static bool can_check(const struct route *r, const struct route_target *t)
{
	if (!r->health || t->kind == TARGET_TEMPLATE)
		return false;
	return t->kind == TARGET_UNIX || check_port(r, t);
}

/* Of the Host field (RFC 9110, 7.2). */
static void host_format(struct check *c)
{
	const char *text = c->target->host;

	if (c->target->kind == TARGET_UNIX)
		snprintf(c->host, sizeof(c->host), "localhost");
	else if (strchr(text, ':'))
		snprintf(c->host, sizeof(c->host), "[%s]:%u", text, c->port);
	else
		snprintf(c->host, sizeof(c->host), "%s:%u", text, c->port);
}

static void check_point(struct check *c, const struct route *r, const struct route_target *t)
{
	c->route = r;
	c->target = t;
	c->port = check_port(r, t);
	host_format(c);
}

/* ---- a run ---- */

static socklen_t address_next(const struct check *c, struct sockaddr_storage *out)
{
	struct sockaddr_un *un = (void *)out;
	socklen_t len;

	if (c->target->kind != TARGET_UNIX) {
		*out = addr_to_sockaddr(&c->v[(c->good + c->at) % c->n], c->port, &len);
		return len;
	}
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(un->sun_path, sizeof(un->sun_path), "%s", c->target->host);
	return sizeof(*un);
}

static void addresses_get(struct check *c)
{
	c->n = 1;
	if (c->target->kind == TARGET_ADDRESS)
		c->v[0] = c->target->addr;
	else if (c->target->kind == TARGET_NAME)
		c->n = c->all->resolve(c->all->arg, c->target->host, c->v, ADDRESSES_MAX);
	c->at = 0;
	if (c->good >= c->n)
		c->good = 0;
}

static void check_try(struct check *c)
{
	int64_t left_ms = c->deadline_ms - loop_now_ms(c->all->loop);
	struct sockaddr_storage to;
	socklen_t len = address_next(c, &to);

	left_ms /= c->n - c->at;
	c->probe.send_proxy = c->target->send_proxy;
	health_probe_start(&c->probe, (void *)&to, len, c->route->health->path, c->host,
			   left_ms > 0 ? (unsigned)left_ms : 0, probe_done);
}

static void check_due(struct timer *t);
static void waiting_start(struct health *h);

/* The next run: a whole interval after this one was due, or at once where that is past. */
static void check_rest(struct check *c)
{
	struct health *h = c->all;
	int64_t now_ms = loop_now_ms(h->loop);

	c->due_ms += c->route->health->interval_ms;
	if (c->due_ms < now_ms)
		c->due_ms = now_ms;
	timer_set(h->loop, &c->due, c->due_ms, check_due);
	c->runs = false;
	h->running--;
	waiting_start(h);
}

/* True where it has changed. */
static bool check_count(struct check *c, bool ok)
{
	const struct route_health *rule = c->route->health;
	atomic_bool *down = &c->target->state->down;
	bool is_down = atomic_load(down);

	c->failures = ok ? 0 : c->failures + 1;
	c->successes = ok ? c->successes + 1 : 0;
	if (is_down ? c->successes < rule->healthy_threshold
		    : c->failures < rule->unhealthy_threshold)
		return false;
	if (is_down != ok)
		return false;
	atomic_store(down, !is_down);
	return true;
}

static void check_done(struct check *c, enum health_result r, const char *why)
{
	struct health *h = c->all;
	bool ok = r == HEALTH_GOOD, told = r != HEALTH_UNKNOWN && check_count(c, ok);
	char copy[HEALTH_WHY];

	snprintf(copy, sizeof(copy), "%s", why);
	check_rest(c);
	if (told) /* last: it may free everything */
		h->changed(h->arg, c->route_id, c->tag, ok, copy);
}

static void probe_done(struct health_probe *p, enum health_result r, const char *why)
{
	struct check *c = (struct check *)((char *)p - offsetof(struct check, probe));

	if (r == HEALTH_BAD && ++c->at < c->n) {
		check_try(c);
		return;
	}
	if (r == HEALTH_GOOD)
		c->good = (c->good + c->at) % c->n;
	check_done(c, r, why);
}

static void nowhere_to_go(struct turn *t)
{
	struct health_probe *p =
		(struct health_probe *)((char *)t - offsetof(struct health_probe, end));

	check_done((struct check *)((char *)p - offsetof(struct check, probe)), HEALTH_BAD,
		   "its name has no address");
}

static void waiting_start(struct health *h)
{
	struct check *c;

	while (h->running < h->running_max && (c = TAILQ_FIRST(&h->waiting))) {
		TAILQ_REMOVE(&h->waiting, c, waiting);
		c->waits = false;
		c->runs = true;
		h->running++;
		c->deadline_ms = loop_now_ms(h->loop) + c->route->health->timeout_ms;
		addresses_get(c);
		if (c->n)
			check_try(c);
		else
			turn_queue(h->loop, &c->probe.end, nowhere_to_go);
	}
}

static void check_due(struct timer *t)
{
	struct check *c = (struct check *)((char *)t - offsetof(struct check, due));

	TAILQ_INSERT_TAIL(&c->all->waiting, c, waiting);
	c->waits = true;
	waiting_start(c->all);
}

/* ---- the table ---- */

static int check_order(const void *a, const void *b)
{
	const struct check *x = *(const struct check *const *)a;
	const struct check *y = *(const struct check *const *)b;

	if (x->route_id != y->route_id)
		return x->route_id < y->route_id ? -1 : 1;
	return x->tag < y->tag ? -1 : x->tag > y->tag;
}

static struct check *check_find(struct check *const *v, unsigned n, const struct check *like)
{
	struct check *const *c = NULL;

	if (n)
		c = bsearch(&like, v, n, sizeof(*v), check_order);
	return c ? *c : NULL;
}

static struct check *check_new(struct health *h, uint32_t route_id, uint32_t tag)
{
	struct check *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->all = h;
	c->route_id = route_id;
	c->tag = tag;
	health_probe_init(&c->probe, h->loop);
	return c;
}

/* Leaves its target as it is. */
static void check_free(struct check *c)
{
	struct health *h = c->all;

	health_probe_stop(&c->probe);
	timer_cancel(h->loop, &c->due);
	if (c->waits)
		TAILQ_REMOVE(&h->waiting, c, waiting);
	h->running -= c->runs;
	free(c);
}

static unsigned table_count(const struct route_table *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n_routes; i++)
		for (unsigned k = 0; k < t->routes[i]->n_targets; k++)
			n += can_check(t->routes[i], &t->routes[i]->targets[k]);
	return n;
}

/* A check for every target, all of them new; sorted. 0 or -ENOMEM. */
static int table_collect(struct health *h, const struct route_table *t, struct check **v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n_routes; i++) {
		const struct route *r = t->routes[i];

		for (unsigned k = 0; k < r->n_targets; k++) {
			if (!can_check(r, &r->targets[k]))
				continue;
			v[n] = check_new(h, r->id, r->targets[k].tag);
			if (!v[n])
				goto no_memory;
			check_point(v[n++], r, &r->targets[k]);
		}
	}
	if (n)
		qsort(v, n, sizeof(*v), check_order);
	return 0;
no_memory:
	while (n--)
		check_free(v[n]);
	return -ENOMEM;
}

/* A probe under way was started with what may be gone: it starts again from the beginning. */
static void check_keep(struct check *old, const struct check *new)
{
	bool again = old->runs && old->route != new->route;
	int64_t next_ms = loop_now_ms(old->all->loop) + new->route->health->interval_ms;

	check_point(old, new->route, new->target);
	if (timer_is_set(&old->due) && old->due_ms > next_ms) { /* of a longer interval */
		old->due_ms = next_ms;
		timer_set(old->all->loop, &old->due, next_ms, check_due);
	}
	if (!again)
		return;
	health_probe_stop(&old->probe);
	old->runs = false;
	old->all->running--;
	timer_set(old->all->loop, &old->due, loop_now_ms(old->all->loop), check_due);
}

/* Those of before take the places of the new ones that are the same. Returns how many are new. */
static unsigned checks_merge(struct health *h, struct check **v, unsigned n)
{
	unsigned fresh = 0;

	for (unsigned i = 0; i < n; i++) {
		struct check *old = check_find(h->v, h->n, v[i]);

		if (!old) {
			fresh++;
			continue;
		}
		check_keep(old, v[i]);
		check_free(v[i]);
		v[i] = old;
	}
	return fresh;
}

/* New ones have no point of their own yet. */
static void checks_spread(struct health *h, struct check **v, unsigned n, unsigned fresh)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		struct check *c = v[i];

		if (check_find(h->v, h->n, c))
			continue;
		c->due_ms =
			loop_now_ms(h->loop) + (int64_t)c->route->health->interval_ms * k++ / fresh;
		timer_set(h->loop, &c->due, c->due_ms, check_due);
	}
}

static void checks_drop(struct check **old, unsigned n_old, struct check *const *v, unsigned n)
{
	for (unsigned i = 0; i < n_old; i++) {
		if (check_find(v, n, old[i]))
			continue;
		atomic_store(&old[i]->target->state->down, false);
		check_free(old[i]);
	}
}

int health_follow(struct health *h, struct route_table *t)
{
	unsigned n = table_count(t), n_old = h->n;
	struct check **v = calloc(n + 1, sizeof(*v)), **old = h->v;
	struct route_table *before = h->table;

	if (!v || table_collect(h, t, v)) {
		free(v);
		return -ENOMEM;
	}
	checks_spread(h, v, n, checks_merge(h, v, n));
	h->v = v;
	h->n = n;
	h->table = route_table_ref(t);
	checks_drop(old, n_old, v, n);
	free(old);
	if (before)
		route_table_unref(before);
	waiting_start(h);
	return 0;
}

void health_set_down(struct health *h, uint32_t route, uint32_t tag)
{
	const struct check like = { .route_id = route, .tag = tag };
	struct check *c = check_find(h->v, h->n, &like);

	if (!c)
		return;
	c->successes = 0;
	atomic_store(&c->target->state->down, true);
}

void health_bound(struct health *h, unsigned running_max)
{
	h->running_max = running_max < HEALTH_RUNNING_MAX ? running_max : HEALTH_RUNNING_MAX;
	h->running_max = h->running_max ? h->running_max : 1;
}

unsigned health_descriptors(const struct health *h)
{
	return h->n < h->running_max ? h->n : h->running_max;
}

struct health *health_new(struct loop *l,
			  void (*changed)(void *arg, uint32_t route, uint32_t tag, bool up,
					  const char *why),
			  unsigned (*resolve)(void *arg, const char *name, struct addr *out,
					      unsigned cap),
			  void *arg, struct err *e)
{
	struct health *h = calloc(1, sizeof(*h));

	if (!h) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	h->loop = l;
	h->running_max = HEALTH_RUNNING_MAX;
	h->changed = changed;
	h->resolve = resolve;
	h->arg = arg;
	TAILQ_INIT(&h->waiting);
	return h;
}

void health_free(struct health *h)
{
	if (!h)
		return;
	for (unsigned i = 0; i < h->n; i++)
		check_free(h->v[i]);
	free(h->v);
	if (h->table)
		route_table_unref(h->table);
	free(h);
}
