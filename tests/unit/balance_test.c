/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which target a connection goes to: groups, exactness, shares, stability, ejection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>

#include "ctl/base/buf.h"
#include "dataplane/balance.h"
#include "tests/unit/route_fixture.h"

#define NOW 1000000

struct fixture {
	struct route_registry *g;
	struct route_table *t;
	const struct route *r;
	uint64_t seed;
};

/* targets: the members of each beside its tag, kind, host and port. */
static struct fixture setup_at(const char *balance, const char *const *hosts,
			       const char *const *targets, unsigned n)
{
	struct fixture x = { .g = route_registry_new(), .seed = 1 };
	struct buf b = { 0 };
	struct err e = { 0 };
	int route;

	buf_puts(&b, "{\"generation\":1,\"cells\":[],\"routes\":[{\"id\":1,\"name\":\"r\","
		     "\"tier\":\"relay\",\"targets\":[");
	for (unsigned i = 0; i < n; i++)
		buf_printf(&b, "%s{\"tag\":%u,\"kind\":\"address\",\"host\":\"%s\",\"port\":%u%s}",
			   i ? "," : "", i + 1, hosts ? hosts[i] : "10.0.0.1", i + 1,
			   targets ? targets[i] : "");
	buf_printf(&b, "],\"balance\":\"%s\"}]}", balance);
	x.t = table_of(b.data, NULL, x.g, &route, &e);
	if (!x.t)
		fail_msg("%s", e.msg);
	x.r = x.t->routes[0];
	buf_fini(&b);
	return x;
}

static struct fixture setup(const char *balance, const char *const *targets, unsigned n)
{
	return setup_at(balance, NULL, targets, n);
}

static void teardown(struct fixture *x)
{
	route_table_unref(x->t);
	route_registry_free(x->g);
}

static uint64_t draw(struct fixture *x)
{
	uint64_t h = x->seed += 0x9e3779b97f4a7c15u;

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

static struct addr client_number(unsigned i)
{
	return (struct addr){ ADDR_V4, { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
}

/* One connection to `port`; what has been tried already. */
static int choose(struct fixture *x, uint16_t port, uint64_t tried, unsigned client, bool *open)
{
	const struct balance_ask a = { .route = x->r,
				       .client = client_number(client),
				       .port = port,
				       .now_ms = NOW,
				       .random = draw(x),
				       .tried = tried };

	return balance_choose(&a, open);
}

static int choose_at(struct fixture *x, uint16_t port)
{
	bool open = true;
	int i = choose(x, port, 0, 1, &open);

	assert_false(open);
	return i;
}

static void set_down(struct fixture *x, unsigned i, bool down)
{
	x->r->targets[i].state->down = down;
}

static void round_robin_takes_turns(void **state)
{
	struct fixture x = setup("round-robin", NULL, 3);

	(void)state;
	for (int i = 0; i < 9; i++)
		assert_int_equal(choose_at(&x, 80), i % 3);
	teardown(&x);
}

static void weights_are_exact_wherever_one_begins(void **state)
{
	static const char *const targets[] = { ",\"weight\":6", ",\"weight\":2", ",\"weight\":4",
					       ",\"weight\":0", ",\"weight\":10" };
	static const unsigned weights[] = { 3, 1, 2, 0, 5 };
	struct fixture x = setup("round-robin", targets, 5);
	int seen[11 * 40];

	(void)state;
	for (unsigned i = 0; i < 11 * 40; i++)
		seen[i] = choose_at(&x, 80);
	for (unsigned from = 0; from + 11 <= 11 * 40; from++) {
		unsigned count[5] = { 0 };

		for (unsigned i = from; i < from + 11; i++)
			count[seen[i]]++;
		assert_memory_equal(count, weights, sizeof(count));
	}
	teardown(&x);
}

/* 1 of 9 shall not have to wait behind nine in a row of another. */
static void heavy_targets_are_spread(void **state)
{
	static const char *const targets[] = { ",\"weight\":50", ",\"weight\":50",
					       ",\"weight\":1" };
	struct fixture x = setup("round-robin", targets, 3);
	int last = -1;
	unsigned row = 0, longest = 0;

	(void)state;
	for (int i = 0; i < 404; i++) {
		int now = choose_at(&x, 80);

		row = now == last ? row + 1 : 1;
		longest = row > longest ? row : longest;
		last = now;
	}
	assert_true(longest <= 3);
	teardown(&x);
}

struct worker {
	struct fixture *x;
	unsigned count[3];
};

static void *work(void *arg)
{
	struct worker *w = arg;
	const struct balance_ask a = { .route = w->x->r, .port = 80, .now_ms = NOW };
	bool open;

	for (int i = 0; i < 60000; i++)
		w->count[balance_choose(&a, &open)]++;
	return NULL;
}

static void threads_together_are_exact(void **state)
{
	static const char *const targets[] = { ",\"weight\":3", ",\"weight\":2", ",\"weight\":1" };
	struct fixture x = setup("round-robin", targets, 3);
	struct worker w[4];
	pthread_t threads[4];
	unsigned sum[3] = { 0 };
	static const unsigned right[] = { 120000, 80000, 40000 };

	(void)state;
	for (int i = 0; i < 4; i++) {
		w[i] = (struct worker){ .x = &x };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		for (int k = 0; k < 3; k++)
			sum[k] += w[i].count[k];
	}
	assert_memory_equal(sum, right, sizeof(sum));
	teardown(&x);
}

static void two_ports_of_a_route_do_not_take_each_others_turns(void **state)
{
	static const char *const targets[] = { ",\"ports\":[[80,80]]", ",\"ports\":[[80,80]]",
					       ",\"ports\":[[443,443]]", ",\"ports\":[[443,443]]" };
	struct fixture x = setup("round-robin", targets, 4);

	(void)state;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(choose_at(&x, 80), i % 2);
		assert_int_equal(choose_at(&x, 443), 2 + i % 2);
	}
	teardown(&x);
}

static void another_try_does_not_shift_the_turns(void **state)
{
	struct fixture x = setup("round-robin", NULL, 3);
	bool open;

	(void)state;
	for (int i = 0; i < 9; i++) {
		int first = choose_at(&x, 80);

		assert_int_equal(first, i % 3);
		assert_int_not_equal(choose(&x, 80, balance_tried_bit(first), 1, &open), first);
	}
	teardown(&x);
}

static void groups_come_one_after_the_other(void **state)
{
	/* As loaded: by priority, high first. */
	static const char *const targets[] = {
		",\"priority\":9,\"backup\":true",	 /* 0: a backup, whatever its priority */
		",\"priority\":8",			 /* 1 */
		",\"priority\":7,\"ports\":[[1,99]]",	 /* 2 */
		",\"priority\":6,\"ports\":[[80,80]]",	 /* 3 */
		",\"priority\":6,\"weight\":0",		 /* 4: never */
		",\"priority\":5,\"ports\":[[443,443]]", /* 5: of another port */
		"",					 /* 6 */
	};
	static const int right[] = { 2, 3, 1, 6, 0 };
	struct fixture x = setup("round-robin", targets, 7);
	uint64_t tried = 0;
	bool open;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(choose(&x, 80, tried, 1, &open), right[i]);
		assert_false(open);
		tried |= balance_tried_bit(right[i]);
	}
	assert_int_equal(choose(&x, 80, tried, 1, &open), -1);
	/* What is down is as if it were not there, too. */
	for (int i = 0; i < 4; i++) {
		assert_int_equal(choose_at(&x, 80), right[i]);
		set_down(&x, (unsigned)right[i], true);
	}
	assert_int_equal(choose_at(&x, 80), 0);
	set_down(&x, 0, true);
	/* All are: the first group again, counted. */
	assert_int_equal(choose(&x, 80, 0, 1, &open), 2);
	assert_true(open);
	assert_int_equal(choose(&x, 80, balance_tried_bit(2), 1, &open), 3);
	assert_true(open);
	teardown(&x);
}

static void random_follows_the_weights(void **state)
{
	static const char *const targets[] = { ",\"weight\":1", ",\"weight\":2", ",\"weight\":7" };
	struct fixture x = setup("random", targets, 3);
	unsigned count[3] = { 0 };

	(void)state;
	for (int i = 0; i < 100000; i++)
		count[choose_at(&x, 80)]++;
	/* Six times the deviation that chance has. */
	assert_in_range(count[0], 9400, 10600);
	assert_in_range(count[1], 19200, 20800);
	assert_in_range(count[2], 69100, 70900);
	teardown(&x);
}

static void least_connections_counts_by_weight(void **state)
{
	static const char *const targets[] = { ",\"weight\":1", ",\"weight\":3", "" };
	struct fixture x = setup("least-connections", targets, 3);

	(void)state;
	x.r->targets[0].state->active = 2;
	x.r->targets[1].state->active = 5;
	x.r->targets[2].state->active = 3;
	assert_int_equal(choose_at(&x, 80), 1);
	x.r->targets[1].state->active = 7;
	assert_int_equal(choose_at(&x, 80), 0);
	/* Each connection where it is emptiest: in the end each has its share. */
	for (int i = 0; i < 488; i++)
		x.r->targets[choose_at(&x, 80)].state->active++;
	assert_in_range(x.r->targets[0].state->active, 99, 101);
	assert_in_range(x.r->targets[1].state->active, 299, 301);
	assert_in_range(x.r->targets[2].state->active, 99, 101);
	teardown(&x);
}

static void idle_targets_share_by_weight(void **state)
{
	static const char *const targets[] = { ",\"weight\":1", ",\"weight\":3" };
	struct fixture x = setup("least-connections", targets, 2);
	unsigned count[2] = { 0 };

	(void)state;
	for (int i = 0; i < 40000; i++)
		count[choose_at(&x, 80)]++;
	assert_in_range(count[0], 9400, 10600);
	teardown(&x);
}

static void hash_of_clients(const char *balance)
{
	static const char *const targets[] = { ",\"weight\":1", ",\"weight\":1", ",\"weight\":2" };
	struct fixture x = setup(balance, targets, 3);
	unsigned count[3] = { 0 }, moved = 0;
	static int first[40000];
	bool open;

	for (unsigned i = 0; i < 40000; i++) {
		first[i] = choose(&x, 80, 0, i, &open);
		count[first[i]]++;
		assert_int_equal(choose(&x, 443, 0, i, &open), first[i]);
	}
	assert_in_range(count[0], 9400, 10600);
	assert_in_range(count[1], 9400, 10600);
	/* Only the clients of one that goes move; when it comes back, they come back. */
	set_down(&x, 1, true);
	for (unsigned i = 0; i < 40000; i++) {
		int now = choose(&x, 80, 0, i, &open);

		assert_int_not_equal(now, 1);
		moved += now != first[i];
	}
	assert_int_equal(moved, count[1]);
	set_down(&x, 1, false);
	for (unsigned i = 0; i < 40000; i++)
		assert_int_equal(choose(&x, 80, 0, i, &open), first[i]);
	teardown(&x);
}

static void a_client_stays_with_its_target(void **state)
{
	(void)state;
	hash_of_clients("ip-hash");
	hash_of_clients("consistent-hash");
}

static void many_targets_are_tried_a_bounded_number_of_times(void **state)
{
	struct fixture x = setup("random", NULL, 200);
	uint64_t tried = 0;
	unsigned n = 0;
	bool open;

	(void)state;
	for (int i; (i = choose(&x, 80, tried, 1, &open)) >= 0; n++)
		tried |= balance_tried_bit(i);
	assert_int_equal(n, BALANCE_TRIED_MAX);
	teardown(&x);
}

static void one_that_fails_is_left_out_for_longer_each_time(void **state)
{
	static const int64_t pauses[] = { 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
	struct target_state s = { 0 };
	int64_t now = NOW;

	(void)state;
	for (int i = 0; i < EJECT_FAILURES - 1; i++)
		balance_failed(&s, now);
	assert_true(target_is_up(&s, now));
	for (unsigned i = 0; i < 7; i++) {
		balance_failed(&s, now);
		/* Others that were on their way change nothing. */
		balance_failed(&s, now);
		balance_failed(&s, now + pauses[i] - 1);
		assert_false(target_is_up(&s, now + pauses[i] - 1));
		now += pauses[i];
		assert_true(target_is_up(&s, now));
	}
	balance_connected(&s);
	balance_failed(&s, now);
	balance_failed(&s, now);
	assert_true(target_is_up(&s, now));
	balance_failed(&s, now);
	assert_false(target_is_up(&s, now + 1999));
	assert_true(target_is_up(&s, now + 2000));
	/* A success while it is out (all were down) lets it in at once. */
	balance_failed(&s, now + 2000);
	assert_false(target_is_up(&s, now + 2001));
	balance_connected(&s);
	assert_true(target_is_up(&s, now + 2001));
}

/* ---- families ---- */

static int choose_for(struct fixture *x, const char *client, uint64_t tried)
{
	const struct balance_ask a = { .route = x->r,
				       .client = address(client),
				       .port = 80,
				       .now_ms = NOW,
				       .random = draw(x),
				       .tried = tried };
	bool open;

	return balance_choose(&a, &open);
}

/* As the kernel tier does it: each family has its own turns. */
static void a_client_gets_targets_of_its_own_family(void **state)
{
	static const char *const hosts[] = { "10.0.0.1", "fd00::1", "10.0.0.2", "fd00::2" };
	static const char *const balances[] = { "random", "least-connections", "ip-hash" };
	struct fixture x = setup_at("round-robin", hosts, NULL, 4);

	(void)state;
	for (int i = 0; i < 8; i++) {
		assert_int_equal(choose_for(&x, "10.9.9.9", 0), i % 2 ? 2 : 0);
		assert_int_equal(choose_for(&x, "fd09::9", 0), i % 2 ? 3 : 1);
	}
	teardown(&x);
	for (unsigned k = 0; k < 3; k++) {
		x = setup_at(balances[k], hosts, NULL, 4);
		for (int i = 0; i < 50; i++) {
			assert_int_equal(choose_for(&x, "10.9.9.9", 0) % 2, 0);
			assert_int_equal(choose_for(&x, "fd09::9", 0) % 2, 1);
		}
		teardown(&x);
	}
}

static void the_other_family_is_for_whom_there_is_none(void **state)
{
	static const char *const hosts[] = { "10.0.0.1", "10.0.0.2", "fd00::1" };
	static const char *const targets[] = { "", "", ",\"priority\":-1" };
	struct fixture x = setup_at("round-robin", hosts, targets, 3);

	(void)state;
	/* The group comes first: it has none of that family. */
	assert_int_equal(choose_for(&x, "fd09::9", 0), 0);
	assert_int_equal(choose_for(&x, "fd09::9", 0), 1);
	teardown(&x);
	x = setup_at("round-robin", hosts, NULL, 3);
	assert_int_equal(choose_for(&x, "fd09::9", 0), 2);
	/* It does not take this connection: better another family than none. */
	assert_int_not_equal(choose_for(&x, "fd09::9", balance_tried_bit(2)), 2);
	set_down(&x, 2, true);
	assert_int_not_equal(choose_for(&x, "fd09::9", 0), 2);
	set_down(&x, 2, false);
	teardown(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_robin_takes_turns),
		cmocka_unit_test(weights_are_exact_wherever_one_begins),
		cmocka_unit_test(heavy_targets_are_spread),
		cmocka_unit_test(threads_together_are_exact),
		cmocka_unit_test(two_ports_of_a_route_do_not_take_each_others_turns),
		cmocka_unit_test(another_try_does_not_shift_the_turns),
		cmocka_unit_test(groups_come_one_after_the_other),
		cmocka_unit_test(random_follows_the_weights),
		cmocka_unit_test(least_connections_counts_by_weight),
		cmocka_unit_test(idle_targets_share_by_weight),
		cmocka_unit_test(a_client_stays_with_its_target),
		cmocka_unit_test(many_targets_are_tried_a_bounded_number_of_times),
		cmocka_unit_test(one_that_fails_is_left_out_for_longer_each_time),
		cmocka_unit_test(a_client_gets_targets_of_its_own_family),
		cmocka_unit_test(the_other_family_is_for_whom_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
