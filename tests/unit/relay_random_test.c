/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random conversations through a relay: cuts, stalls, half closes and resets, over
 * TCP and socketpairs, with and without pipes. Every byte is compared, and in the
 * end nothing may be missing: no byte, buffer, pipe or descriptor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>

#include "tests/unit/relay_fixture.h"

#define N_RANDOM 4000

static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

struct talk {
	uint64_t total[2]; /* bytes of each end */
	size_t send_max[2], receive_max[2];
	bool answers[2];      /* sends its FIN only after the other one's */
	unsigned stall[2];    /* of 16 times, it does not read */
	uint64_t reset_at[2]; /* got this much: resets; UINT64_MAX: never */
};

static size_t rnd_size(unsigned max_bits)
{
	return 1 + (size_t)(rnd() & ((UINT64_C(1) << rnd() % (max_bits + 1)) - 1));
}

static void talk_make(struct talk *t)
{
	bool bulk = rnd() % 16 == 0;

	for (unsigned i = 0; i < 2; i++) {
		t->send_max[i] = bulk ? CHUNK_MAX : rnd() % 8 ? rnd_size(18) : 1;
		t->receive_max[i] = bulk ? CHUNK_MAX : rnd() % 8 ? rnd_size(18) : 1;
		t->stall[i] = rnd() % 4 ? 0 : 15;
		t->reset_at[i] = UINT64_MAX;
	}
	for (unsigned i = 0; i < 2; i++) {
		size_t step =
			t->send_max[i] < t->receive_max[!i] ? t->send_max[i] : t->receive_max[!i];

		t->total[i] = rnd() % 8 ? rnd_size(15) - 1 : 0;
		if (bulk)
			t->total[i] = rnd() % (2u << 20);
		if (t->total[i] > step * 400) /* a few hundred steps are enough */
			t->total[i] = step * 400;
	}
	t->answers[rnd() % 2] = rnd() % 2;
	if (rnd() % 8 == 0) {
		unsigned i = rnd() % 2;

		t->reset_at[i] = rnd() % (t->total[!i] + 1);
	}
}

/* True: something happened. */
static bool talk_end(struct bench *b, const struct talk *t, unsigned i)
{
	struct end *e = &b->end[i];
	size_t n = 0;

	if (e->fd < 0)
		return false;
	if (e->got >= t->reset_at[i]) {
		end_reset(e);
		return true;
	}
	if (e->sent < t->total[i]) {
		uint64_t left = t->total[i] - e->sent, most = 1 + rnd() % t->send_max[i];

		n += end_send(b, i, most < left ? most : left);
	} else if (!e->fin_sent && (!t->answers[i] || e->fin_got)) {
		end_fin(b, i);
		n++;
	}
	if (!e->fin_got && rnd() % 16 >= t->stall[i])
		n += end_receive(b, i, 1 + rnd() % t->receive_max[i]) + e->fin_got;
	return n > 0;
}

static bool end_over(const struct end *e)
{
	return e->fin_got || e->fd < 0;
}

static bool talk_over(const struct bench *b)
{
	return b->result == RELAY_BROKEN ||
	       (b->result == RELAY_ENDED && end_over(&b->end[0]) && end_over(&b->end[1]));
}

static void talk_run(struct bench *b, const struct talk *t)
{
	int64_t last_ms = clock_mono_ms();
	unsigned quiet = 0;

	while (!talk_over(b)) {
		bool moved = false;

		for (unsigned i = 0; i < 2; i++)
			moved |= rnd() % 2 && talk_end(b, t, i);
		if (rnd() % 2)
			moved |= bench_round(b, quiet > 300); /* else an end only did not want */
		if (moved)
			last_ms = clock_mono_ms();
		quiet = moved ? 0 : quiet + 1;
		assert_true(clock_mono_ms() - last_ms < PATIENCE);
	}
}

/* What one of them said before it went away is with the other. A socketpair has no queue of its
 * own that could go with it. */
static void talk_check_last(struct bench *b)
{
	for (unsigned i = 0; i < 2; i++) {
		if (b->end[!i].fd < 0)
			continue;
		while (end_receive(b, !i, CHUNK_MAX))
			;
		assert_int_equal(b->end[!i].got, b->end[i].sent);
	}
}

static void talk_check(struct bench *b, const struct talk *t, bool tcp)
{
	bool reset = b->end[0].fd < 0 || b->end[1].fd < 0;

	if (reset && !tcp)
		talk_check_last(b);
	if (reset && b->result == RELAY_ENDED)
		return; /* after the last byte: the relay was done */
	if (reset) {
		assert_int_equal(b->result, RELAY_BROKEN);
		assert_int_equal(b->broken_side, b->end[1].fd < 0);
		return;
	}
	assert_int_equal(b->result, RELAY_ENDED);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(b->end[!i].got, t->total[i]);
		assert_int_equal(b->relay.flow[i].bytes, t->total[i]);
		assert_int_equal(relay_held(&b->relay, i), 0);
	}
}

static void random_conversations_arrive_whole(void **state)
{
	unsigned before = descriptors(), spliced = 0, broken = 0;

	(void)state;
	for (unsigned k = 0; k < N_RANDOM; k++) {
		static const int buffers[] = { 0, 0, 0, 16384, 65536 };
		struct talk t = { 0 };
		struct bench b;
		bool tcp;

		talk_make(&t);
		tcp = rnd() % 3 == 0;
		bench_open(&b, tcp, buffers[rnd() % 5], rnd() % 4, rnd() % 3);
		talk_run(&b, &t);
		talk_check(&b, &t, tcp);
		spliced += b.relay.flow[0].spliced || b.relay.flow[1].spliced;
		broken += b.result == RELAY_BROKEN;
		bench_close(&b);
	}
	assert_int_equal(descriptors(), before);
	assert_true(spliced > N_RANDOM / 100);
	assert_true(broken > N_RANDOM / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_conversations_arrive_whole),
	};

	seed = 0x9e3779b97f4a7c15;
	signal(SIGPIPE, SIG_IGN);
	pattern_init();
	return cmocka_run_group_tests_name("relay_random", tests, NULL, NULL);
}
