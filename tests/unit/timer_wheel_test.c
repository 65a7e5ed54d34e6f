/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wheel against a list of times that is searched from end to end: random
 * times of every magnitude, moved and cancelled, also while others fire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "dataplane/timer_wheel.h"

#define N_TIMERS 64
#define N_STEPS	 200000

static struct timer_wheel wheel;
static struct timer timers[N_TIMERS];
static int64_t model[N_TIMERS]; /* when; -1: not set */
static bool was_late[N_TIMERS]; /* past when it was set: due first */
static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* 0 .. 2^k - 1 with a random k, so that every level is met. */
static int64_t rnd_span(unsigned max_bits)
{
	return (int64_t)(rnd() >> (64 - 1 - rnd() % max_bits) >> 1);
}

static void never(struct timer *t)
{
	(void)t;
	fail();
}

static void model_set(unsigned i, int64_t at_ms)
{
	timer_wheel_set(&wheel, &timers[i], at_ms, never);
	model[i] = at_ms;
	was_late[i] = at_ms <= wheel.now_ms;
}

static void model_cancel(unsigned i)
{
	timer_wheel_cancel(&wheel, &timers[i]);
	model[i] = -1;
}

static int64_t model_first(void)
{
	int64_t first = INT64_MAX;

	for (unsigned i = 0; i < N_TIMERS; i++) {
		if (model[i] >= 0 && model[i] < first)
			first = model[i];
	}
	return first;
}

static void random_change(void)
{
	unsigned i = rnd() % N_TIMERS;
	int64_t at_ms = wheel.now_ms + rnd_span(40) - (int64_t)(rnd() % 4);

	if (rnd() % 4)
		model_set(i, at_ms < 0 ? 0 : at_ms);
	else
		model_cancel(i);
}

/* Everything that the model has up to now_ms, in order, and nothing else. */
static void pop_all(int64_t now_ms)
{
	int64_t last_ms = INT64_MIN;
	struct timer *t;
	bool due[N_TIMERS];

	for (unsigned i = 0; i < N_TIMERS; i++)
		due[i] = model[i] >= 0 && model[i] <= now_ms;
	while ((t = timer_wheel_pop(&wheel))) {
		unsigned i = (unsigned)(t - timers), other = rnd() % N_TIMERS;

		assert_true(due[i]);
		assert_false(timer_is_set(t));
		assert_int_equal(t->at_ms, model[i]);
		if (!was_late[i]) {
			assert_true(t->at_ms >= last_ms);
			last_ms = t->at_ms;
		}
		due[i] = false;
		model[i] = -1;
		if (rnd() % 8 == 0) { /* what a callback may do to others, and to itself */
			due[other] = false;
			if (rnd() % 2)
				model_cancel(other);
			else
				model_set(other, now_ms + (int64_t)(rnd() % 3));
		}
	}
	for (unsigned i = 0; i < N_TIMERS; i++)
		assert_false(due[i]);
}

static void next_is_never_after_the_first(void)
{
	int64_t next_ms = timer_wheel_next_ms(&wheel), first_ms = model_first();

	if (first_ms == INT64_MAX) {
		assert_int_equal(next_ms, INT64_MAX);
		return;
	}
	assert_true(next_ms <= (first_ms > wheel.now_ms ? first_ms : wheel.now_ms));
	assert_true(first_ms <= wheel.now_ms || next_ms > wheel.now_ms);
}

static int start(void **state)
{
	(void)state;
	memset(timers, 0, sizeof(timers));
	memset(model, -1, sizeof(model));
	seed = 0x9e3779b97f4a7c15;
	timer_wheel_init(&wheel, 46912345); /* 13 hours after the boot */
	return 0;
}

static void the_wheel_does_what_a_sorted_list_would_do(void **state)
{
	(void)state;
	for (unsigned step = 0; step < N_STEPS; step++) {
		int64_t now_ms = wheel.now_ms + rnd_span(30);

		for (unsigned i = rnd() % 4; i; i--)
			random_change();
		next_is_never_after_the_first();
		if (rnd() % 4 == 0 && timer_wheel_next_ms(&wheel) != INT64_MAX)
			now_ms = timer_wheel_next_ms(&wheel);
		timer_wheel_advance(&wheel, now_ms);
		assert_int_equal(wheel.now_ms, now_ms);
		pop_all(now_ms);
	}
	assert_true(wheel.now_ms > INT64_C(1) << 40); /* many levels were crossed */
}

static void a_timer_wakes_its_loop_at_most_once_a_level(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 10000; round++) {
		int64_t at_ms = wheel.now_ms + 1 + rnd_span(44);
		unsigned wakes = 0;

		model_set(0, at_ms);
		do {
			assert_true(++wakes <= TIMER_WHEEL_LEVELS);
			timer_wheel_advance(&wheel, timer_wheel_next_ms(&wheel));
		} while (timer_is_set(&timers[0]) && wheel.now_ms < at_ms);
		assert_int_equal(wheel.now_ms, at_ms);
		assert_ptr_equal(timer_wheel_pop(&wheel), &timers[0]);
	}
}

static void a_cancelled_timer_leaves_nothing_to_wake_for(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_TIMERS; i++)
		model_set(i, wheel.now_ms + (INT64_C(1) << (i % 60)));
	for (unsigned i = 0; i < N_TIMERS; i++)
		model_cancel(i);
	assert_int_equal(timer_wheel_next_ms(&wheel), INT64_MAX);
	assert_int_equal(wheel.levels, 0);
}

static void the_last_millisecond_there_is_can_be_waited_for(void **state)
{
	(void)state;
	model_set(0, INT64_MAX);
	model_set(1, INT64_MAX - 1);
	while (wheel.now_ms < INT64_MAX - 1)
		timer_wheel_advance(&wheel, timer_wheel_next_ms(&wheel));
	assert_ptr_equal(timer_wheel_pop(&wheel), &timers[1]);
	assert_null(timer_wheel_pop(&wheel));
	timer_wheel_advance(&wheel, INT64_MAX);
	assert_ptr_equal(timer_wheel_pop(&wheel), &timers[0]);
}

static void the_past_is_due_at_the_next_advance_and_not_before(void **state)
{
	(void)state;
	model_set(0, wheel.now_ms);
	model_set(1, 0);
	assert_null(timer_wheel_pop(&wheel));
	assert_int_equal(timer_wheel_next_ms(&wheel), wheel.now_ms);
	timer_wheel_advance(&wheel, wheel.now_ms);
	assert_ptr_equal(timer_wheel_pop(&wheel), &timers[0]);
	model_set(0, wheel.now_ms); /* again, while it fires: not now */
	assert_ptr_equal(timer_wheel_pop(&wheel), &timers[1]);
	assert_null(timer_wheel_pop(&wheel));
	timer_wheel_advance(&wheel, wheel.now_ms);
	assert_ptr_equal(timer_wheel_pop(&wheel), &timers[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_wheel_does_what_a_sorted_list_would_do, start),
		cmocka_unit_test_setup(a_timer_wakes_its_loop_at_most_once_a_level, start),
		cmocka_unit_test_setup(a_cancelled_timer_leaves_nothing_to_wake_for, start),
		cmocka_unit_test_setup(the_last_millisecond_there_is_can_be_waited_for, start),
		cmocka_unit_test_setup(the_past_is_due_at_the_next_advance_and_not_before, start),
	};

	return cmocka_run_group_tests_name("timer_wheel", tests, NULL, NULL);
}
