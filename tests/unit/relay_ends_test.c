/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of the last bytes of a side that is gone; and of urgent ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "tests/unit/relay_fixture.h"

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	pattern_init();
	return 0;
}

/* ---- ends ---- */

/* As much as the relay takes, from an end that nobody reads from on the other side. */
static void stall(struct bench *b, unsigned i)
{
	do {
		end_send(b, i, CHUNK_MAX);
	} while (bench_round(b, 50));
	assert_true(relay_held(&b->relay, i) > 0);
}

static void a_receiver_that_stalls_and_is_reset_breaks_it(void **state)
{
	(void)state;
	for (unsigned side = 0; side < 2; side++) {
		struct bench b;

		bench_open(&b, true, 0, true, 1);
		stall(&b, !side);
		end_reset(&b.end[side]);
		bench_finish(&b);
		assert_int_equal(b.result, RELAY_BROKEN);
		assert_int_equal(b.broken_side, side);
		bench_close(&b); /* nothing is lost by the pool */
	}
}

/* As an owner ends those that broke: what is queued is gone. */
static void bench_reset(struct bench *b, unsigned i)
{
	const struct linger now = { 1, 0 };

	setsockopt(b->fd[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(b->fd[i]);
	b->fd[i] = -1;
}

/* End i reads, `step` bytes at most in a round, until it has seen its end; where the relay breaks,
 * the owner resets it. */
static void bench_read_out(struct bench *b, unsigned i, size_t step)
{
	int64_t last_ms = clock_mono_ms();
	struct end *e = &b->end[i];

	while (!e->fin_got && (!e->error || e->error == EAGAIN)) {
		if (bench_round(b, 1) + end_receive(b, i, step))
			last_ms = clock_mono_ms();
		if (b->result == RELAY_BROKEN && b->fd[i] >= 0)
			bench_reset(b, i);
		assert_true(clock_mono_ms() - last_ms < PATIENCE);
	}
}

static void who_stalls_gets_all_of_a_sender_that_was_reset(void **state)
{
	(void)state;
	for (unsigned side = 0; side < 2; side++) {
		struct bench b;
		uint64_t goal;

		bench_open(&b, true, 0, true, 1);
		stall(&b, side);
		/* What is in the relay's socket: the end's own queue goes with its reset. */
		goal = b.relay.flow[side].bytes + relay_held(&b.relay, side);
		end_reset(&b.end[side]);
		for (unsigned i = 0; i < 50; i++)
			bench_round(&b, 1);
		assert_int_equal(b.result, RELAY_LAST);
		bench_read_out(&b, !side, 10000);
		assert_int_equal(b.result, RELAY_BROKEN);
		assert_int_equal(b.broken_side, side);
		assert_int_equal(b.end[!side].error, ECONNRESET);
		assert_true(b.end[!side].got >= goal);
		bench_close(&b);
	}
}

static int unsent(int fd)
{
	int n = 0;

	assert_int_equal(ioctl(fd, SIOCOUTQ, &n), 0);
	return n;
}

/* A target that answers a request which it has not read, and closes: with `unread` that is a reset.
 * The client goes on sending. */
static void check_early_answer(bool tcp, bool unread, size_t answer, int buffers)
{
	struct bench b;

	bench_open(&b, tcp, buffers, true, 1);
	settle(&b);
	if (unread) {
		end_send(&b, 0, 2);
		settle(&b);
	}
	while (b.end[1].sent < answer)
		if (!end_send(&b, 1, answer - b.end[1].sent))
			bench_round(&b, 1);
	while (buffers && unsent(b.end[1].fd)) /* its own queue goes with a reset */
		bench_round(&b, 1);
	end_close(&b.end[1]);
	end_send(&b, 0, 1000);
	bench_read_out(&b, 0, 3000);
	assert_int_equal(b.end[0].got, b.end[1].sent);
	if (unread)
		assert_int_equal(b.result, RELAY_BROKEN);
	else
		assert_true(b.end[0].fin_got);
	if (unread && tcp)
		assert_int_equal(b.end[0].error, ECONNRESET);
	bench_close(&b);
}

static void an_answer_is_delivered_though_the_request_is_not(void **state)
{
	(void)state;
	for (unsigned tcp = 0; tcp < 2; tcp++)
		for (unsigned unread = 0; unread < 2; unread++) {
			check_early_answer(tcp, unread, 5, 0);
			check_early_answer(tcp, unread, 60000, 0);
			if (tcp)
				check_early_answer(tcp, unread, 60000, 16384);
		}
}

static void a_reader_that_went_away_ends_it(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, false, 0, false, 0);
	end_close(&b.end[1]);
	end_send(&b, 0, 100);
	bench_finish(&b);
	assert_int_equal(b.result, RELAY_ENDED);
	end_receive(&b, 0, 1);
	assert_true(b.end[0].fin_got);
	bench_close(&b);
}

/* ---- urgent bytes ---- */

static void end_send_urgent(struct bench *b, unsigned i)
{
	struct end *e = &b->end[i];

	assert_int_equal(send(e->fd, pattern[i] + e->sent % PERIOD, 1, MSG_OOB), 1);
	e->sent++;
}

/* All of it is there before the relay looks: one edge. Nothing follows, but a FIN. */
static void check_urgent(struct bench *b, unsigned i, size_t before, size_t behind, bool fin)
{
	while (before)
		before -= end_send(b, i, before);
	end_send_urgent(b, i);
	while (behind)
		behind -= end_send(b, i, behind);
	if (fin)
		end_fin(b, i);
	bench_deliver(b, !i);
}

static void urgent_bytes_come_in_their_place(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 8; k++) {
		unsigned i = k & 1;
		bool fin = k & 2;
		struct bench b;

		bench_open(&b, true, 0, true, k & 4 ? 1 : 0);
		settle(&b);
		check_urgent(&b, i, 2, 2, false);
		check_urgent(&b, i, 0, 0, false);
		check_urgent(&b, i, 0, 5, false);
		check_urgent(&b, i, POOL_BUFFER_BYTES, 2, false);
		bench_stream(&b, i, BULK_BYTES);
		assert_int_equal(b.relay.flow[i].spliced, k >> 2);
		check_urgent(&b, i, 200000, 60000, fin);
		bench_stream(&b, !i, 100);
		if (!fin)
			bench_stream(&b, i, BULK_BYTES);
		bench_close(&b);
	}
}

/* The mark comes while the stream runs: before epoll can have told of it. */
static void urgent_bytes_of_a_stream_come_in_their_place(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 4; k++) {
		struct bench b;
		uint8_t *all;

		bench_open(&b, true, k & 2 ? 16384 : 0, true, k & 1);
		b.relay.side[0].ending =
			false; /* as an owner says who has listened from the start */
		b.pool.max_buffers = 1;
		all = k == 2 ? pool_buffer_get(&b.pool, BUDGET_STREAM) : NULL; /* or without */
		for (unsigned n = 0; n < 2000; n++) {
			end_send(&b, 0, n % 7 ? n * 37 % CHUNK_MAX : POOL_BUFFER_BYTES);
			if (send(b.end[0].fd, pattern[0] + b.end[0].sent % PERIOD, 1, MSG_OOB) > 0)
				b.end[0].sent++;
			if (n % 3)
				bench_round(&b, 0);
			end_receive(&b, 1, CHUNK_MAX);
		}
		end_fin(&b, 0);
		bench_deliver(&b, 1);
		pool_buffer_put(&b.pool, all);
		bench_close(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_receiver_that_stalls_and_is_reset_breaks_it),
		cmocka_unit_test(who_stalls_gets_all_of_a_sender_that_was_reset),
		cmocka_unit_test(an_answer_is_delivered_though_the_request_is_not),
		cmocka_unit_test(a_reader_that_went_away_ends_it),
		cmocka_unit_test(urgent_bytes_come_in_their_place),
		cmocka_unit_test(urgent_bytes_of_a_stream_come_in_their_place),
	};

	return cmocka_run_group_tests_name("relay_ends", tests, setup, NULL);
}
