/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop with real descriptors: what a callback may do to the others of its
 * batch, when timers and turns run, and calls from other threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "dataplane/loop.h"

#define N_WATCHES 100
#define N_THREADS 4
#define N_POSTS	  20000

static struct loop *loop;
static struct watch *watches[N_WATCHES];
static unsigned calls;
static char order[64];

static int start(void **state)
{
	struct err e = { 0 };

	(void)state;
	calls = 0;
	memset(order, 0, sizeof(order));
	loop = loop_new(&e);
	return loop ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void note(char c)
{
	assert_true(strlen(order) + 1 < sizeof(order));
	order[strlen(order)] = c;
}

static void stop_timer(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

/* Runs until ms have passed. */
static void run_for(unsigned ms)
{
	struct timer t = { 0 };

	timer_set(loop, &t, loop_now_ms(loop) + ms, stop_timer);
	assert_int_equal(loop_run(loop), 0);
	timer_cancel(loop, &t);
}

/* ---- descriptors ---- */

static void drop_watch(unsigned i)
{
	int fd = watches[i]->fd;

	watch_remove(loop, watches[i]);
	close(fd);
	free(watches[i]); /* ASan sees who calls it again */
	watches[i] = NULL;
}

/* The first that is called frees all others, and those are ready, too. */
static void drop_the_others(struct watch *w, uint32_t events)
{
	assert_true(events & EPOLLIN);
	calls++;
	for (unsigned i = 0; i < N_WATCHES; i++) {
		if (watches[i] && watches[i] != w)
			drop_watch(i);
	}
	loop_stop(loop);
}

static void add_ready_watch(unsigned i, void (*ready)(struct watch *w, uint32_t events))
{
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	watches[i] = calloc(1, sizeof(*watches[i]));
	assert_non_null(watches[i]);
	assert_int_equal(watch_add(loop, watches[i], fd, EPOLLIN, ready), 0);
}

static void drop_all_watches(void)
{
	for (unsigned i = 0; i < N_WATCHES; i++) {
		if (watches[i])
			drop_watch(i);
	}
}

static void what_a_callback_removed_is_not_called(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_WATCHES; i++)
		add_ready_watch(i, drop_the_others);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(calls, 1);
	drop_all_watches();
}

static void fresh_ready(struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	note('f');
}

/* Frees the other watch and puts another one, not ready, in its place: same memory, same fd. */
static void replace_the_other(struct watch *w, uint32_t events)
{
	struct watch *other = watches[w == watches[0]];
	int fd = other->fd;
	uint64_t n;

	(void)events;
	calls++;
	watch_remove(loop, other);
	assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(watch_add(loop, other, fd, EPOLLIN, fresh_ready), 0);
	assert_int_equal(read(w->fd, &n, sizeof(n)), sizeof(n));
}

static void an_event_is_not_given_to_who_took_the_place(void **state)
{
	(void)state;
	add_ready_watch(0, replace_the_other);
	add_ready_watch(1, replace_the_other);
	run_for(20);
	assert_int_equal(calls, 1);
	assert_string_equal(order, "");
	drop_all_watches();
}

static void mute_the_other(struct watch *w, uint32_t events)
{
	(void)events;
	calls++;
	watch_change(loop, watches[w == watches[0]], 0);
	loop_stop(loop);
}

static void an_event_that_is_not_wanted_any_more_is_not_told(void **state)
{
	(void)state;
	add_ready_watch(0, mute_the_other);
	add_ready_watch(1, mute_the_other);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(calls, 1);
	drop_all_watches();
}

static void count_call(struct watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	calls++;
}

static void an_edge_is_told_once_and_a_level_again(void **state)
{
	(void)state;
	add_ready_watch(0, count_call);
	watch_change(loop, watches[0], EPOLLIN | EPOLLET);
	run_for(20);
	assert_int_equal(calls, 1);
	watch_change(loop, watches[0], EPOLLIN);
	run_for(20);
	assert_true(calls > 3);
	drop_all_watches();
}

static void a_watch_that_failed_is_not_watched(void **state)
{
	struct watch w = { .fd = -1 };
	int fd = dup(0);

	(void)state;
	close(fd);
	assert_int_equal(watch_add(loop, &w, fd, EPOLLIN, count_call), -EBADF);
	assert_int_equal(w.fd, -1);
	watch_remove(loop, &w);
}

/* ---- timers and turns ---- */

static struct timer again;
static int64_t again_at_ms;

static void set_again(struct timer *t)
{
	assert_true(clock_mono_ms() >= t->at_ms);
	calls++;
	timer_set(loop, t, again_at_ms, set_again);
}

static void a_timer_in_the_past_runs_once_a_round(void **state)
{
	uint64_t rounds = loop_rounds(loop);

	(void)state;
	again_at_ms = 0;
	timer_set(loop, &again, 0, set_again);
	run_for(20);
	rounds = loop_rounds(loop) - rounds;
	assert_true(rounds > 10);
	assert_in_range(calls, rounds - 1, rounds + 1);
	timer_cancel(loop, &again);
	assert_false(timer_is_set(&again));
}

static void timer_on_time(struct timer *t)
{
	int64_t late_ms = clock_mono_ms() - t->at_ms;

	assert_true(late_ms >= 0 && loop_now_ms(loop) >= t->at_ms);
	assert_true(late_ms < 1000); /* a wheel that loses one is off by a slot of some level */
	calls++;
}

static void timers_are_never_early_and_cost_no_wakeups(void **state)
{
	static const unsigned after_ms[] = { 1, 2, 3, 5, 8, 63, 64, 65, 100, 127, 128, 129, 250 };
	struct timer t[sizeof(after_ms) / sizeof(*after_ms)] = { 0 };
	uint64_t rounds = loop_rounds(loop);

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
		timer_set(loop, &t[i], loop_now_ms(loop) + after_ms[i], timer_on_time);
	run_for(260);
	assert_int_equal(calls, sizeof(t) / sizeof(*t));
	assert_true(loop_rounds(loop) - rounds < 40);
}

struct letter_turn {
	struct turn turn;
	char letter;
	unsigned left;
};

static void run_letter(struct turn *t)
{
	struct letter_turn *l = (struct letter_turn *)t;

	note(l->letter);
	if (--l->left)
		turn_queue(loop, t, run_letter);
}

static void events_come_between_turns(void **state)
{
	struct letter_turn a = { .letter = 'a', .left = 3 }, b = { .letter = 'b', .left = 2 };

	(void)state;
	add_ready_watch(0, fresh_ready);
	turn_queue(loop, &a.turn, run_letter);
	turn_queue(loop, &b.turn, run_letter);
	turn_queue(loop, &a.turn, run_letter); /* is queued: nothing happens */
	for (unsigned i = 0; i < 3; i++)
		run_for(0);
	drop_all_watches();
	assert_string_equal(order, "fabfabfa");
}

static struct letter_turn victim;

static void cancel_victim(struct turn *t)
{
	(void)t;
	note('c');
	turn_cancel(loop, &victim.turn);
}

static void a_cancelled_turn_does_not_run(void **state)
{
	struct turn first = { 0 };
	struct letter_turn last = { .letter = 'l', .left = 1 };

	(void)state;
	victim = (struct letter_turn){ .letter = 'v', .left = 1 };
	turn_queue(loop, &first, cancel_victim);
	turn_queue(loop, &victim.turn, run_letter); /* the last of those that run */
	run_for(0);
	assert_string_equal(order, "c");
	turn_queue(loop, &victim.turn, run_letter);
	turn_cancel(loop, &victim.turn);
	turn_queue(loop, &last.turn, run_letter); /* the list is whole */
	run_for(0);
	assert_string_equal(order, "cl");
}

/* ---- from other threads ---- */

static unsigned seen[N_THREADS], finished;

/* arg: thread << 32 | number */
static void posted(void *arg)
{
	uintptr_t v = (uintptr_t)arg;
	unsigned thread = (unsigned)(v >> 32), i = (unsigned)v;

	assert_int_equal(seen[thread], i);
	seen[thread]++;
	if (seen[thread] == N_POSTS && ++finished == N_THREADS)
		loop_stop(loop);
}

static void *post_many(void *arg)
{
	uintptr_t thread = (uintptr_t)arg;

	for (uintptr_t i = 0; i < N_POSTS; i++) {
		if (loop_post(loop, posted, (void *)(thread << 32 | i)))
			abort();
		if (loop_rounds(loop) > UINT64_MAX / 2)
			abort();
	}
	return NULL;
}

static void posts_run_in_the_order_of_each_thread(void **state)
{
	pthread_t threads[N_THREADS];

	(void)state;
	for (uintptr_t i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, (void *)i), 0);
	assert_int_equal(loop_run(loop), 0);
	for (unsigned i = 0; i < N_THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(seen[i], N_POSTS);
	}
}

static void *stop_loop(void *arg)
{
	(void)arg;
	loop_stop(loop);
	return NULL;
}

static void stop_wakes_a_loop_that_sleeps(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, stop_loop, NULL), 0);
	assert_int_equal(loop_run(loop), 0); /* has no timer: would sleep for ever */
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void what_is_posted_and_not_run_is_freed(void **state)
{
	(void)state;
	assert_int_equal(loop_post(loop, posted, NULL), 0);
	assert_int_equal(loop_post(loop, posted, NULL), 0);
}

static void no_descriptors_left_is_an_error(void **state)
{
	struct rlimit old, none;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ 0, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_null(loop_new(&e));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(e.code, -EMFILE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(what_a_callback_removed_is_not_called),
		TEST(an_event_is_not_given_to_who_took_the_place),
		TEST(an_event_that_is_not_wanted_any_more_is_not_told),
		TEST(an_edge_is_told_once_and_a_level_again),
		TEST(a_watch_that_failed_is_not_watched),
		TEST(a_timer_in_the_past_runs_once_a_round),
		TEST(timers_are_never_early_and_cost_no_wakeups),
		TEST(events_come_between_turns),
		TEST(a_cancelled_turn_does_not_run),
		TEST(posts_run_in_the_order_of_each_thread),
		TEST(stop_wakes_a_loop_that_sleeps),
		TEST(what_is_posted_and_not_run_is_freed),
		TEST(no_descriptors_left_is_an_error),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
