/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits of clients, routes and the process, by a clock that the test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>

#include "dataplane/limit.h"
#include "tests/unit/route_fixture.h"

#define START 5000000

static struct limits *limits(void)
{
	struct err e = { 0 };
	struct limits *l = limits_new(&e);

	assert_non_null(l);
	return l;
}

static enum reason take(struct limits *l, struct limit_hold *h, const char *client,
			unsigned at_once, unsigned per_minute, int64_t at_ms)
{
	struct addr a = address(client);

	*h = (struct limit_hold){ 0 };
	return limits_take_client(l, h, &a, at_once, per_minute, START + at_ms);
}

static void each_client_has_its_own_number(void **state)
{
	struct limits *l = limits();
	struct limit_hold a[3], b, none;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(take(l, &a[i], "10.0.0.1", 3, 0, 0), REASON_NONE);
	assert_int_equal(take(l, &none, "10.0.0.1", 3, 0, 0), REASON_IP_LIMIT);
	assert_int_equal(take(l, &b, "10.0.0.2", 3, 0, 0), REASON_NONE);
	/* What was refused holds nothing: its end frees nothing. */
	limits_release(l, &none);
	assert_int_equal(take(l, &none, "10.0.0.1", 3, 0, 0), REASON_IP_LIMIT);
	limits_release(l, &a[1]);
	/* Ended twice is ended once. */
	limits_release(l, &a[1]);
	assert_int_equal(take(l, &a[1], "10.0.0.1", 3, 0, 0), REASON_NONE);
	assert_int_equal(take(l, &none, "10.0.0.1", 3, 0, 0), REASON_IP_LIMIT);
	limits_free(l);
}

static void a_client_of_ipv6_is_its_64(void **state)
{
	struct limits *l = limits();
	struct limit_hold h;

	(void)state;
	assert_int_equal(take(l, &h, "2001:db8:0:1::1", 1, 0, 0), REASON_NONE);
	assert_int_equal(take(l, &h, "2001:db8:0:1:ffff::9", 1, 0, 0), REASON_IP_LIMIT);
	assert_int_equal(take(l, &h, "2001:db8:0:2::1", 1, 0, 0), REASON_NONE);
	/* 32.1.13.184 has the first bytes of 2001:db8::, and is another. */
	assert_int_equal(take(l, &h, "2001:db8::", 1, 0, 0), REASON_NONE);
	assert_int_equal(take(l, &h, "32.1.13.184", 1, 0, 0), REASON_NONE);
	assert_int_equal(take(l, &h, "::ffff:32.1.13.184", 1, 0, 0), REASON_IP_LIMIT);
	limits_free(l);
}

static unsigned how_many(struct limits *l, const char *client, unsigned per_minute, int64_t at_ms)
{
	struct limit_hold h;
	unsigned n = 0;

	while (n < 100000 && take(l, &h, client, 0, per_minute, at_ms) == REASON_NONE)
		n++;
	assert_int_equal(take(l, &h, client, 0, per_minute, at_ms), REASON_RATE_LIMIT);
	return n;
}

static void a_rate_is_n_at_once_and_then_one_every_60_nth(void **state)
{
	struct limits *l = limits();

	(void)state;
	assert_int_equal(how_many(l, "10.0.0.1", 300, 0), 300);
	assert_int_equal(how_many(l, "10.0.0.1", 300, 199), 0);
	assert_int_equal(how_many(l, "10.0.0.1", 300, 200), 1);
	assert_int_equal(how_many(l, "10.0.0.1", 300, 1300), 5);
	/* What is left over of the 1300 is not lost: the next comes at 1400. */
	assert_int_equal(how_many(l, "10.0.0.1", 300, 1399), 0);
	assert_int_equal(how_many(l, "10.0.0.1", 300, 1400), 1);
	/* Never more than N, however long it waits. */
	assert_int_equal(how_many(l, "10.0.0.1", 300, 100000), 300);
	/* A rate that 60 s cannot be divided by. */
	assert_int_equal(how_many(l, "10.0.0.2", 7, 0), 7);
	for (int64_t at = 1; at <= 600000; at++) {
		struct limit_hold h;
		bool due = at * 7 / 60000 > (at - 1) * 7 / 60000;

		assert_int_equal(take(l, &h, "10.0.0.2", 0, 7, at),
				 due ? REASON_NONE : REASON_RATE_LIMIT);
	}
	/* A clock that another thread read earlier. */
	assert_int_equal(how_many(l, "10.0.0.2", 7, 0), 0);
	limits_free(l);
}

static struct route_table *route_with(struct route_registry *g, const char *more)
{
	char text[512];
	struct err e = { 0 };
	int route;
	struct route_table *t;

	snprintf(text, sizeof(text),
		 "{\"generation\":1,\"cells\":[],\"routes\":[{\"id\":1,\"name\":\"a\",\"tier\":"
		 "\"proxy\"%s},{\"id\":2,\"name\":\"b\",\"tier\":\"proxy\"%s}]}",
		 more, more);
	t = table_of(text, NULL, g, &route, &e);
	assert_non_null(t);
	return t;
}

static void a_route_has_its_number_and_its_clients_theirs(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *t = route_with(g, ",\"maxConnections\":3,\"maxConnectionsPerIP\":2");
	struct addr a = address("10.0.0.1"), b = address("10.0.0.2"), c = address("10.0.0.3");
	struct limit_hold h[6] = { 0 };
	struct limits *l = limits();

	(void)state;
	assert_int_equal(limits_take_route(l, &h[0], t->routes[0], &a, START), REASON_NONE);
	assert_int_equal(limits_take_route(l, &h[1], t->routes[0], &a, START), REASON_NONE);
	assert_int_equal(limits_take_route(l, &h[2], t->routes[0], &a, START), REASON_IP_LIMIT);
	assert_int_equal(limits_take_route(l, &h[2], t->routes[0], &b, START), REASON_NONE);
	assert_int_equal(limits_take_route(l, &h[3], t->routes[0], &b, START), REASON_ROUTE_LIMIT);
	/* The kernel has counted this one: only the route's number is asked. */
	assert_int_equal(limits_take_route(l, &h[3], t->routes[0], NULL, START),
			 REASON_ROUTE_LIMIT);
	assert_int_equal(limits_take_route(l, &h[4], t->routes[1], &a, START), REASON_NONE);
	limits_release(l, &h[0]);
	/* b's place that was refused by the route's number is not taken: it has one left. */
	assert_int_equal(limits_take_route(l, &h[3], t->routes[0], &b, START), REASON_NONE);
	assert_int_equal(limits_take_route(l, &h[5], t->routes[0], &c, START), REASON_ROUTE_LIMIT);
	for (int i = 0; i < 5; i++)
		limits_release(l, &h[i]);
	for (int i = 0; i < 2; i++)
		assert_int_equal(limits_take_route(l, &h[i], t->routes[0], &c, START), REASON_NONE);
	limits_free(l);
	route_table_unref(t);
	route_registry_free(g);
}

static void a_route_has_a_rate_for_each_client(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *t = route_with(g, ",\"connectionRate\":2");
	struct addr a = address("10.0.0.1"), b = address("10.0.0.2");
	struct limit_hold h = { 0 };
	struct limits *l = limits();

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(limits_take_route(l, &h, t->routes[0], &a, START), REASON_NONE);
	assert_int_equal(limits_take_route(l, &h, t->routes[0], &a, START), REASON_RATE_LIMIT);
	assert_int_equal(limits_take_route(l, &h, t->routes[0], &b, START), REASON_NONE);
	assert_int_equal(limits_take_route(l, &h, t->routes[1], &a, START), REASON_NONE);
	assert_int_equal(limits_take_route(l, &h, t->routes[0], &a, START + 29999),
			 REASON_RATE_LIMIT);
	assert_int_equal(limits_take_route(l, &h, t->routes[0], &a, START + 30000), REASON_NONE);
	limits_free(l);
	route_table_unref(t);
	route_registry_free(g);
}

static void nothing_is_held_where_nothing_is_limited(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *t = route_with(g, "");
	struct addr a = address("10.0.0.1");
	struct limit_hold h = { 0 };
	struct limits *l = limits();

	(void)state;
	assert_int_equal(limits_take_client(l, &h, &a, 0, 0, START), REASON_NONE);
	assert_int_equal(limits_take_route(l, &h, t->routes[0], &a, START), REASON_NONE);
	assert_false(h.per_client || h.per_route || h.per_route_client);
	limits_free(l);
	route_table_unref(t);
	route_registry_free(g);
}

static struct addr client_number(unsigned i)
{
	return (struct addr){
		ADDR_V4, { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i }
	};
}

static enum reason take_number(struct limits *l, unsigned i, unsigned at_once, unsigned per_minute,
			       int64_t at_ms, struct limit_hold *h)
{
	struct addr a = client_number(i);

	*h = (struct limit_hold){ 0 };
	return limits_take_client(l, h, &a, at_once, per_minute, START + at_ms);
}

#define FLOOD (LIMIT_CLIENTS_MAX * 2)

static void a_full_table_lets_in_and_counts_it(void **state)
{
	struct limits *l = limits();
	struct limit_hold first, h;
	unsigned held = 0;

	(void)state;
	assert_int_equal(take_number(l, 1, 1, 0, 0, &first), REASON_NONE);
	for (unsigned i = 2; i < FLOOD; i++) {
		assert_int_equal(take_number(l, i, 1, 0, 0, &h), REASON_NONE);
		held += h.per_client;
	}
	assert_int_equal(held + 1, LIMIT_CLIENTS_MAX);
	assert_int_equal(limits_overflowed(l), FLOOD - 1 - LIMIT_CLIENTS_MAX);
	/* Who was in it is limited as ever. */
	assert_int_equal(take_number(l, 1, 1, 0, 0, &h), REASON_IP_LIMIT);
	/* Whoever leaves makes room. */
	for (unsigned i = 2; i < FLOOD; i++) {
		struct addr a = client_number(i);
		struct limit_hold one = { .client = a, .per_client = true };

		limits_release(l, &one);
	}
	assert_int_equal(take_number(l, FLOOD + 1, 1, 0, 0, &h), REASON_NONE);
	assert_true(h.per_client);
	limits_free(l);
}

static void who_has_used_his_tokens_is_not_forgotten_for_them(void **state)
{
	struct limits *l = limits();
	struct limit_hold h;

	(void)state;
	assert_int_equal(take_number(l, 1, 0, 1, 0, &h), REASON_NONE);
	for (unsigned i = 2; i < FLOOD; i++)
		assert_int_equal(take_number(l, i, 0, 60, 1000, &h), REASON_NONE);
	assert_true(limits_overflowed(l) > 0);
	assert_int_equal(take_number(l, 1, 0, 1, 59999, &h), REASON_RATE_LIMIT);
	/* Those of the flood have theirs back after a second: another flood finds room. */
	assert_int_equal(take_number(l, FLOOD + 1, 0, 1, 3000, &h), REASON_NONE);
	assert_int_equal(take_number(l, FLOOD + 1, 0, 1, 3000, &h), REASON_RATE_LIMIT);
	limits_free(l);
}

#define THREADS 4

struct worker {
	struct limits *l;
	const struct route *r;
	unsigned id, too_many;
	atomic_uint *now;
};

/* Of 8 clients and one route, by all threads at once; never more than 5 of the route. */
static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < 40000; i++) {
		struct addr a = client_number(i % 8);
		struct limit_hold h = { 0 };

		if (limits_take_client(w->l, &h, &a, 3, 0, START) == REASON_NONE &&
		    limits_take_route(w->l, &h, w->r, &a, START) == REASON_NONE) {
			w->too_many += atomic_fetch_add(w->now, 1) >= 2;
			atomic_fetch_sub(w->now, 1);
		}
		limits_release(w->l, &h);
	}
	return NULL;
}

static void threads_count_exactly(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *t = route_with(g, ",\"maxConnections\":2,\"maxConnectionsPerIP\":2");
	struct limits *l = limits();
	struct limit_hold h[8] = { 0 };
	pthread_t threads[THREADS];
	struct worker w[THREADS];
	atomic_uint now = 0;

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ l, t->routes[0], i, 0, &now };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(w[i].too_many, 0);
	}
	/* Nothing is left behind: all places are free again. */
	for (unsigned i = 0; i < 2; i++) {
		struct addr a = client_number(i);

		assert_int_equal(limits_take_route(l, &h[i], t->routes[0], &a, START), REASON_NONE);
	}
	for (unsigned i = 0; i < 8; i++)
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(take_number(l, i, 3, 0, 0, &h[7]), REASON_NONE);
	limits_free(l);
	route_table_unref(t);
	route_registry_free(g);
}

static void the_process_has_a_bound(void **state)
{
	struct limits *l = limits();

	(void)state;
	assert_true(limits_take_connection(l, 2) && limits_take_connection(l, 2));
	assert_false(limits_take_connection(l, 2));
	assert_true(limits_take_connection(l, 0));
	assert_int_equal(limits_connections(l), 3);
	limits_drop_connection(l);
	assert_false(limits_take_connection(l, 2));
	limits_drop_connection(l);
	assert_true(limits_take_connection(l, 2));
	limits_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_client_has_its_own_number),
		cmocka_unit_test(a_client_of_ipv6_is_its_64),
		cmocka_unit_test(a_rate_is_n_at_once_and_then_one_every_60_nth),
		cmocka_unit_test(a_route_has_its_number_and_its_clients_theirs),
		cmocka_unit_test(a_route_has_a_rate_for_each_client),
		cmocka_unit_test(nothing_is_held_where_nothing_is_limited),
		cmocka_unit_test(a_full_table_lets_in_and_counts_it),
		cmocka_unit_test(who_has_used_his_tokens_is_not_forgotten_for_them),
		cmocka_unit_test(threads_count_exactly),
		cmocka_unit_test(the_process_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
