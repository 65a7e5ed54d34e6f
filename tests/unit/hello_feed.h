/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hello_feed: what both tests of hello share: bytes given to hello_feed() in all ways that a
 * network can bring them, which must make no difference. Behind cmocka.h.
 */
#ifndef TESTS_UNIT_HELLO_FEED_H
#define TESTS_UNIT_HELLO_FEED_H

#include "dataplane/hello.h"
#include "tests/unit/hello_bytes.h"

#define BOUND 16384

/* Too large for the stack. */
static struct hello_bytes message, stream;

static const char *word(enum sniff s)
{
	static const char *const words[] = { "MORE", "YES", "NO", "BAD" };

	return words[s];
}

static inline void expect_same(const struct hello *a, const struct hello *b, enum sniff s)
{
	if (s == SNIFF_BAD) {
		assert_string_equal(a->why, b->why);
		return;
	}
	if (s != SNIFF_YES)
		return;
	assert_string_equal(a->name, b->name);
	assert_string_equal(a->alpn, b->alpn);
	assert_int_equal(a->max_version, b->max_version);
	assert_int_equal(a->has_ech, b->has_ech);
	assert_int_equal(a->has_alpn, b->has_alpn);
}

static void expect_answer(enum sniff got, enum sniff wanted, const char *where, size_t at)
{
	if (got != wanted)
		fail_msg("%s of %zu bytes: %s instead of %s", where, at, word(got), word(wanted));
}

/* Byte by byte: an answer stands for every longer prefix, and comes at the same byte as it does to
 * one who gets that prefix at once. */
static void feed_growing(const uint8_t *v, size_t n, size_t bound, enum sniff last,
			 const struct hello *whole)
{
	struct hello grown = { 0 };
	enum sniff before = SNIFF_MORE;

	for (size_t i = 0; i <= n; i++) {
		struct hello once = { 0 };
		enum sniff s = hello_feed(&grown, v, i, bound);

		expect_answer(hello_feed(&once, v, i, bound), s, "at once, a prefix", i);
		if (before != SNIFF_MORE)
			expect_answer(s, before, "taken back: a prefix", i);
		expect_same(&grown, &once, s);
		if (i >= bound)
			assert_int_not_equal(s, SNIFF_MORE);
		before = s;
	}
	expect_answer(before, last, "byte by byte", n);
	expect_same(&grown, whole, last);
}

/* The answer to these bytes, which is the same however they are cut into segments. */
static struct hello feed(const uint8_t *v, size_t n, size_t bound, enum sniff *answer)
{
	struct hello whole = { 0 };

	*answer = hello_feed(&whole, v, n, bound);
	for (size_t i = 0; i <= n; i++) {
		struct hello two = { 0 };

		hello_feed(&two, v, i, bound);
		expect_answer(hello_feed(&two, v, n, bound), *answer, "split", i);
		expect_same(&two, &whole, *answer);
	}
	feed_growing(v, n, bound, *answer, &whole);
	return whole;
}

#endif
