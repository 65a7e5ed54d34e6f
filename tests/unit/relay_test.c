/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay with real sockets: one claim after the other, then thousands of random conversations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>

#include "tests/unit/relay_fixture.h"

#define STALL_MAX (16u << 20)

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	pattern_init();
	return 0;
}

/* ---- ends ---- */

static void check_half_close(bool tcp, unsigned first)
{
	struct bench b;

	bench_open(&b, tcp, 0, true, 1);
	end_send(&b, first, 1000);
	end_fin(&b, first); /* with data: both are there when the relay looks */
	bench_deliver(&b, !first);
	assert_true(b.end[!first].fin_got);
	assert_int_equal(b.result, RELAY_WAIT);
	for (unsigned i = 0; i < 3; i++) /* the other direction goes on */
		bench_stream(&b, !first, 70000);
	assert_false(b.end[first].fin_got);
	end_fin(&b, !first);
	bench_deliver(&b, first);
	bench_finish(&b);
	assert_int_equal(b.result, RELAY_ENDED);
	assert_int_equal(b.relay.flow[first].bytes, 1000);
	assert_int_equal(b.relay.flow[!first].bytes, 210000);
	bench_close(&b);
}

static void a_half_close_is_passed_on_and_the_other_half_goes_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		check_half_close(i & 1, i >> 1);
}

static void a_fin_that_comes_alone_is_seen(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct bench b;

		bench_open(&b, i & 1, 0, true, 0);
		bench_stream(&b, i >> 1, 100); /* the short read said: nothing more */
		settle(&b);
		end_fin(&b, i >> 1);
		bench_deliver(&b, !(i >> 1));
		end_fin(&b, !(i >> 1));
		bench_finish(&b);
		assert_int_equal(b.result, RELAY_ENDED);
		bench_close(&b);
	}
}

/* The owner may have heard of the FIN before there was a relay. */
static void a_fin_that_epoll_told_before_is_seen(void **state)
{
	struct epoll_event ev[2];
	struct bench b;

	(void)state;
	bench_open(&b, true, 0, false, 0);
	end_send(&b, 0, 10);
	end_fin(&b, 0);
	assert_int_equal(epoll_wait(b.ep, ev, 2, 1000), 2);
	bench_deliver(&b, 1);
	end_fin(&b, 1);
	bench_finish(&b);
	assert_int_equal(b.result, RELAY_ENDED);
	bench_close(&b);
}

static void a_reset_is_reported_with_its_side(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		unsigned side = i & 1;
		struct bench b;

		bench_open(&b, true, 0, true, 1);
		bench_stream(&b, side, i & 2 ? 1000000 : 10);
		bench_stream(&b, !side, 10);
		if (i & 4) { /* its FIN was read: only epoll tells of the reset */
			end_fin(&b, side);
			bench_deliver(&b, !side);
		}
		settle(&b);
		end_reset(&b.end[side]);
		bench_finish(&b);
		assert_int_equal(b.result, RELAY_BROKEN);
		assert_int_equal(b.broken_side, side);
		assert_true(b.error == ECONNRESET || b.error == EPIPE);
		bench_close(&b);
	}
}

/* ---- what it holds ---- */

static void an_idle_relay_holds_nothing(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, true, 0, true, 2);
	for (unsigned i = 0; i < 2; i++) {
		bench_stream(&b, i, 100);
		bench_stream(&b, i, BULK_BYTES);
	}
	settle(&b);
	assert_int_equal(b.pool.n_free_buffers, b.pool.n_buffers);
	assert_int_equal(b.pool.n_free_pipes, 2);
	bench_close(&b);
}

/* Until nothing has moved for two seconds: what the sender got rid of. */
static uint64_t push_against_a_stall(struct bench *b)
{
	int64_t last_ms = clock_mono_ms();

	while (clock_mono_ms() - last_ms < 2000) {
		if (end_send(b, 0, CHUNK_MAX))
			last_ms = clock_mono_ms();
		bench_round(b, 1);
		assert_true(relay_held(&b->relay, 0) <= 1u << 20);
		assert_true(b->end[0].sent < STALL_MAX);
	}
	return b->end[0].sent;
}

static void a_stalled_receiver_is_bounded(void **state)
{
	(void)state;
	for (unsigned splices = 0; splices < 2; splices++) {
		struct bench b;
		unsigned runs;

		bench_open(&b, true, 0, splices, 1);
		push_against_a_stall(&b);
		assert_true(relay_held(&b.relay, 0) > 0);
		assert_true(splices || relay_held(&b.relay, 0) <= POOL_BUFFER_BYTES);
		assert_true(b.pool.n_buffers - b.pool.n_free_buffers <= !splices);
		runs = b.runs;
		for (unsigned i = 0; i < 50; i++)
			bench_round(&b, 1);
		assert_int_equal(b.runs, runs); /* and costs nothing */
		bench_stream(&b, 1, 100000);	/* the other direction does not care */
		end_fin(&b, 0);
		bench_deliver(&b, 1);
		assert_int_equal(b.relay.flow[0].spliced, splices);
		bench_close(&b);
	}
}

/* ---- the buffers of fast streams ---- */

#define STREAMS 200

static int received_at_most(const struct bench *b)
{
	socklen_t len = sizeof(int);
	int n = 0;

	assert_int_equal(getsockopt(b->fd[0], SOL_SOCKET, SO_RCVBUF, &n, &len), 0);
	return n;
}

static int stream_open(struct bench *b)
{
	bench_open(b, true, 0, false, 0);
	bench_stream(b, 0, 1 << 20);
	return received_at_most(b);
}

static void many_fast_streams_leave_memory_to_tcp(void **state)
{
	static struct bench b[STREAMS];
	int first, last, n;

	(void)state;
	relay_probe();
	first = stream_open(&b[0]);
	if (first != 8 << 20) {
		print_message("net.core.rmem_max: no buffer of 8 MB here\n");
		bench_close(&b[0]);
		skip();
	}
	for (unsigned i = 1; i < STREAMS; i++) {
		last = stream_open(&b[i]);
		assert_in_range(last, 1 << 20, first);
	}
	assert_true(last < first || sysconf(_SC_PHYS_PAGES) > (150l << 30) / 4096);
	for (unsigned i = 0; i < STREAMS; i++)
		bench_close(&b[i]);
	n = stream_open(&b[0]); /* those that have ended count no more */
	assert_int_equal(n, first);
	bench_close(&b[0]);
}

/* ---- copy and splice ---- */

static void bulk_is_spliced_and_what_follows_is_not(void **state)
{
	struct pool_pipe *pipe;
	struct bench b;

	(void)state;
	bench_open(&b, true, 0, true, 1);
	bench_stream(&b, 0, 1000);
	assert_false(b.relay.flow[0].spliced);
	bench_stream(&b, 0, BULK_BYTES);
	assert_true(b.relay.flow[0].spliced);
	assert_false(b.relay.flow[1].spliced);
	bench_stream(&b, 0, 100); /* by splice, perhaps: it shows that the bulk is over */
	settle(&b);
	pipe = pool_pipe_get(&b.pool);
	assert_non_null(pipe);
	for (unsigned i = 0; i < 10; i++)
		bench_stream(&b, 0, 100);
	assert_int_equal(b.pool.no_pipe, 0); /* nobody asked */
	pool_pipe_put(&b.pool, pipe, true);
	bench_close(&b);
}

static void without_a_pipe_bulk_is_copied_and_counted(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, true, 0, true, 0);
	bench_stream(&b, 1, BULK_BYTES);
	assert_false(b.relay.flow[1].spliced);
	assert_true(b.pool.no_pipe > 0);
	bench_close(&b);
	bench_open(&b, true, 0, false, 1);
	bench_stream(&b, 1, BULK_BYTES);
	assert_false(b.relay.flow[1].spliced);
	assert_int_equal(b.pool.no_pipe, 0); /* was not to be spliced */
	bench_close(&b);
}

/* Every byte once and in order, half-closes too; and nothing is held. */
static void without_a_buffer_bytes_still_go_both_ways(void **state)
{
	struct bench b;
	uint8_t *all;

	(void)state;
	for (unsigned tcp = 0; tcp < 2; tcp++) {
		bench_open(&b, tcp, tcp ? 4096 : 0, false, 0);
		b.pool.max_buffers = 1;
		all = pool_buffer_get(&b.pool, BUDGET_STREAM);
		bench_stream(&b, 0, 10);
		bench_stream(&b, 1, 4 << 20);
		bench_stream(&b, 0, 100000);
		end_fin(&b, 0);
		bench_deliver(&b, 1);
		bench_stream(&b, 1, 1 << 20);
		end_fin(&b, 1);
		bench_deliver(&b, 0);
		bench_finish(&b);
		assert_int_equal(b.result, RELAY_ENDED);
		assert_true(b.pool.no_buffer > 0);
		assert_int_equal(relay_held(&b.relay, 0) + relay_held(&b.relay, 1), 0);
		pool_buffer_put(&b.pool, all);
		bench_close(&b);
	}
}

static void without_a_buffer_a_stream_gets_a_pipe(void **state)
{
	struct bench b;
	uint8_t *all;

	(void)state;
	bench_open(&b, true, 0, true, 1);
	b.pool.max_buffers = 1;
	all = pool_buffer_get(&b.pool, BUDGET_STREAM);
	bench_stream(&b, 1, BULK_BYTES);
	assert_true(b.relay.flow[1].spliced);
	pool_buffer_put(&b.pool, all);
	bench_close(&b);
}

static void a_run_gives_way(void **state)
{
	struct bench b;

	(void)state;
	for (unsigned splices = 0; splices < 2; splices++) {
		bench_open(&b, false, 0, splices, 1);
		do { /* both ends of a socketpair are as fast as the relay: it alone would never end
		      */
			end_send(&b, 0, CHUNK_MAX);
			bench_round(&b, 0);
			end_receive(&b, 1, 1);
		} while (b.end[1].got < 100);
		bench_close(&b);
	}
	bench_open(&b, true, 8 << 20, true, 1);
	while (end_send(&b, 0, CHUNK_MAX))
		;
	assert_true(b.end[0].sent > 3u << 20);
	bench_round(&b, 0);
	assert_int_equal(b.result, RELAY_MORE);
	assert_in_range(b.relay.flow[0].bytes, 1u << 20, 2u << 20);
	bench_deliver(&b, 1);
	bench_close(&b);
}

static void what_was_read_before_goes_first(void **state)
{
	static const char head[] = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
	uint8_t got[sizeof(head)];
	struct bench b;
	uint8_t *buffer;

	(void)state;
	bench_open(&b, true, 0, true, 0);
	buffer = pool_buffer_get(&b.pool, BUDGET_STREAM);
	memcpy(buffer, head, sizeof(head));
	relay_prefill(&b.relay, RELAY_CLIENT, buffer, sizeof(head), 20);
	relay_prefill(&b.relay, RELAY_TARGET, pool_buffer_get(&b.pool, BUDGET_STREAM), 0, 0);
	assert_int_equal(relay_held(&b.relay, RELAY_CLIENT), sizeof(head));
	bench_round(&b, 0);
	assert_int_equal(recv(b.end[1].fd, got, sizeof(got), MSG_WAITALL), sizeof(head));
	assert_memory_equal(got, head, sizeof(head));
	assert_int_equal(b.relay.flow[0].bytes, sizeof(head));
	assert_int_equal(b.relay.flow[0].skipped, 20);
	bench_stream(&b, 0, 1000);
	bench_stream(&b, 1, 1000);
	assert_int_equal(b.relay.flow[0].skipped, 20);
	assert_int_equal(b.relay.flow[0].bytes, sizeof(head) + 1000);
	bench_close(&b);
}

static void only_what_moves_counts_as_activity(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, true, 0, true, 0);
	settle(&b);
	assert_int_equal(b.moved_ms, 0);
	bench_stream(&b, 1, 1);
	assert_true(b.moved_ms > 0 && b.moved_ms <= clock_mono_ms());
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_half_close_is_passed_on_and_the_other_half_goes_on),
		cmocka_unit_test(a_fin_that_comes_alone_is_seen),
		cmocka_unit_test(a_fin_that_epoll_told_before_is_seen),
		cmocka_unit_test(a_reset_is_reported_with_its_side),
		cmocka_unit_test(an_idle_relay_holds_nothing),
		cmocka_unit_test(a_stalled_receiver_is_bounded),
		cmocka_unit_test(many_fast_streams_leave_memory_to_tcp),
		cmocka_unit_test(bulk_is_spliced_and_what_follows_is_not),
		cmocka_unit_test(without_a_pipe_bulk_is_copied_and_counted),
		cmocka_unit_test(without_a_buffer_bytes_still_go_both_ways),
		cmocka_unit_test(without_a_buffer_a_stream_gets_a_pipe),
		cmocka_unit_test(a_run_gives_way),
		cmocka_unit_test(what_was_read_before_goes_first),
		cmocka_unit_test(only_what_moves_counts_as_activity),
	};

	return cmocka_run_group_tests_name("relay", tests, setup, NULL);
}
