/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/hello_feed.h"

#define EXT(s)                   \
	{                        \
		s, sizeof(s) - 1 \
	}

static struct hello_bytes block;

struct text {
	const char *v;
	size_t n;
};

/* The extensions in `block` as a hello of one record; `why` NULL: it is a good one. */
static struct hello feed_block(unsigned version, const char *why)
{
	enum sniff s;
	struct hello h;

	message.n = stream.n = 0;
	put_message(&message, version, block.v, block.n);
	put_records(&stream, message.v, message.n, BOUND, BOUND);
	h = feed(stream.v, stream.n, BOUND, &s);
	if (why && s == SNIFF_BAD && strcmp(h.why, why))
		fail_msg("\"%s\" instead of \"%s\"", h.why, why);
	if (s != (why ? SNIFF_BAD : SNIFF_YES))
		fail_msg("%s instead of %s", word(s), why ? why : "YES");
	return h;
}

static struct hello feed_name(const char *name, size_t n, const char *why)
{
	block.n = 0;
	put_server_name(&block, name, n);
	return feed_block(0x0303, why);
}

static void names_are_lower_case_without_a_last_dot(void **state)
{
	static const struct {
		const char *sent, *name;
	} good[] = {
		{ "shop.example.test", "shop.example.test" },
		{ "SHOP.Example.TEST.", "shop.example.test" },
		{ "localhost", "localhost" },
		{ "a", "a" },
		{ "_dmarc.x-1.example", "_dmarc.x-1.example" },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
		{ "10.0.0.1.example", "10.0.0.1.example" },
		{ "1.2.3.4.5", "1.2.3.4.5" },
		{ "AZ09.az", "az09.az" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct hello h = feed_name(good[i].sent, strlen(good[i].sent), NULL);

		assert_string_equal(h.name, good[i].name);
	}
}

static void what_is_no_host_name_is_refused(void **state)
{
	static const char none[] = "the server name is no host name";
	static const char address[] = "the server name is an address";
	static const struct {
		struct text sent;
		const char *why;
	} bad[] = {
		{ EXT(""), none },
		{ EXT("."), none },
		{ EXT(".."), none },
		{ EXT("a.."), none },
		{ EXT(".a"), none },
		{ EXT("a..b"), none },
		{ EXT("a b"), none },
		{ EXT("a\0b"), none },
		{ EXT("a\0"), none },
		{ EXT("\0"), none },
		{ EXT("a.\0."), none },
		{ EXT("a/b"), none },
		{ EXT("*.example"), none },
		{ EXT("a:443"), none },
		{ EXT("b\xc3\xbc"), none },
		{ EXT("a\n"), none },
		{ EXT("[::1]"), none },
		{ EXT("fd00::1"), none },
		{ EXT("10.0.0.1"), address },
		{ EXT("10.0.0.1."), address },
	};
	char label[65], longest[257];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		feed_name(bad[i].sent.v, bad[i].sent.n, bad[i].why);
	memset(label, 'a', sizeof(label));
	feed_name(label, 63, NULL);
	feed_name(label, 64, none);
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = i % 64 == 63 ? '.' : 'x';
	feed_name(longest, 255, NULL);
	feed_name(longest, 256, "the server name is longer than 255 bytes");
}

static void broken_extensions_are_refused(void **state)
{
	static const char ext[] = "the lengths of its extensions do not add up";
	static const char sni[] = "the lengths in its server_name do not add up";
	static const char alpn[] = "the lengths in its list of protocols do not add up";
	static const char versions[] = "the lengths in its list of versions do not add up";
	static const struct {
		struct text ext;
		const char *why;
	} bad[] = {
		{ EXT("\0"), ext },
		{ EXT("\0\x15\0"), ext },
		{ EXT("\0\x15\0\x01"), ext },
		{ EXT("\0\x15\xff\xff"), ext },
		{ EXT("\0\x15\0\0\0\x16\0\0\0\x15\0\0"), "an extension is there twice" },
		{ EXT("\xff\xff\0\0\xff\xff\0\0"), "an extension is there twice" },
		{ EXT("\0\0\0\0"), sni },
		{ EXT("\0\0\0\x01\0"), sni },
		{ EXT("\0\0\0\x02\0\0"), sni },
		{ EXT("\0\0\0\x05\0\x03\0\0\x01"), sni },
		{ EXT("\0\0\0\x06\0\x05\0\0\x01"
		      "a"),
		  sni },
		{ EXT("\0\0\0\x07\0\x04\0\0\x01"
		      "ab"),
		  sni },
		{ EXT("\0\0\0\x06\0\x04\x01\0\x01"
		      "a"),
		  "a server name is of an unknown type" },
		{ EXT("\0\0\0\x0a\0\x08\0\0\x01"
		      "a\0\0\x01"
		      "b"),
		  "there are several server names" },
		{ EXT("\0\0\0\x07\0\x05\0\0\x01"
		      "ab"),
		  "there are several server names" },
		{ EXT("\0\x10\0\0"), alpn },
		{ EXT("\0\x10\0\x02\0\0"), alpn },
		{ EXT("\0\x10\0\x03\0\x01\0"), alpn },
		{ EXT("\0\x10\0\x04\0\x02\x02h"), alpn },
		{ EXT("\0\x10\0\x04\0\x01\x01h"), alpn },
		{ EXT("\0\x10\0\x05\0\x03\x01h\0"), alpn },
		{ EXT("\0\x2b\0\0"), versions },
		{ EXT("\0\x2b\0\x01\0"), versions },
		{ EXT("\0\x2b\0\x02\x01\x03"), versions },
		{ EXT("\0\x2b\0\x04\x03\x03\x04\x03"), versions },
		{ EXT("\0\x2b\0\x04\x02\x03\x04\x03"), versions },
		{ EXT("\0\x2b\0\x03\x04\x03\x04"), versions },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		block.n = 0;
		put_bytes(&block, bad[i].ext.v, bad[i].ext.n);
		feed_block(0x0303, bad[i].why);
	}
}

static void the_highest_version_is_the_one_of_the_extension(void **state)
{
	static const struct {
		unsigned legacy;
		struct text ext;
		unsigned version;
	} good[] = {
		{ 0x0303, EXT("\0\x2b\0\x07\x06\x03\x03\x03\x04\x03\x01"), 0x0304 },
		{ 0x0303, EXT("\0\x2b\0\x07\x06\x7a\x7a\x03\x03\x03\x02"), 0x0303 },
		{ 0x0303, EXT("\0\x2b\0\x05\x04\xfa\xfa\x7f\x1c"), 0 },
		{ 0x0301, EXT("\0\x2b\0\x03\x02\x03\x04"), 0x0304 },
		{ 0x0303, EXT("\0\x2b\0\x03\x02\x03\x02"), 0x0302 },
		{ 0x0303, EXT("\x1a\x1a\0\0"), 0x0303 },
		{ 0x0301, EXT(""), 0x0301 },
		{ 0x0300, EXT(""), 0x0300 },
		{ 0x0304, EXT(""), 0x0303 },
		{ 0x03ff, EXT(""), 0x0303 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		block.n = 0;
		put_bytes(&block, good[i].ext.v, good[i].ext.n);
		assert_int_equal(feed_block(good[i].legacy, NULL).max_version, good[i].version);
	}
	feed_block(0x0203, "its version is none of TLS");
	feed_block(0xfefd, "its version is none of TLS");
}

static void protocols_are_listed_as_far_as_text_can(void **state)
{
	static const struct {
		struct text ext;
		const char *alpn;
	} good[] = {
		{ EXT("\0\x10\0\x0e\0\x0c\x02h2\x08http/1.1"), "h2,http/1.1" },
		{ EXT("\0\x10\0\x09\0\x07\x02\x0a\x0a\x03"
		      "foo"),
		  "foo" },
		{ EXT("\0\x10\0\x0a\0\x08\x03"
		      "a,b\x03"
		      "foo"),
		  "foo" },
		{ EXT("\0\x10\0\x06\0\x04\x03"
		      "a b"),
		  "" },
	};
	struct hello h;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		block.n = 0;
		put_bytes(&block, good[i].ext.v, good[i].ext.n);
		h = feed_block(0x0303, NULL);
		assert_true(h.has_alpn);
		assert_string_equal(h.alpn, good[i].alpn);
	}
	/* 100 + 1 + 154 bytes fit, one more does not, and what comes later is not put in its place.
	 */
	for (size_t more = 0; more < 2; more++) {
		block.n = 0;
		put_number(&block, 16, 2);
		put_number(&block, 2 + 101 + 155 + more + 2, 2);
		put_number(&block, 101 + 155 + more + 2, 2);
		put_number(&block, 100, 1);
		for (size_t i = 0; i < 100; i++)
			put_number(&block, 'a', 1);
		put_number(&block, 154 + more, 1);
		for (size_t i = 0; i < 154 + more; i++)
			put_number(&block, 'b', 1);
		put_bytes(&block, "\x01z", 2);
		h = feed_block(0x0303, NULL);
		assert_int_equal(strlen(h.alpn), more ? 100 : 255);
	}
}

static void ech_is_seen_and_the_outer_name_is_the_name(void **state)
{
	struct hello h;

	(void)state;
	block.n = 0;
	put_bytes(&block, "\xfe\x0d\0\x02\0\x01", 6);
	put_server_name(&block, "outer.test", 10);
	h = feed_block(0x0303, NULL);
	assert_true(h.has_ech);
	assert_string_equal(h.name, "outer.test");
	h = feed_name("outer.test", 10, NULL);
	assert_false(h.has_ech || h.has_alpn);
}

static void a_hello_may_have_no_extensions(void **state)
{
	enum sniff s;
	struct hello h;

	(void)state;
	message.n = stream.n = block.n = 0;
	put_message(&message, 0x0301, NULL, 0);
	put_records(&stream, message.v, message.n, BOUND, BOUND);
	h = feed(stream.v, stream.n, BOUND, &s);
	assert_int_equal(s, SNIFF_YES);
	assert_string_equal(h.name, "");
	assert_int_equal(h.max_version, 0x0301);
	feed_block(0x0301, NULL);
}

/* Each byte of the part before the extensions, made wrong. */
static void a_broken_head_is_refused(void **state)
{
	static const char head[] = "the lengths before its extensions do not add up";
	static const struct {
		size_t at;
		uint8_t byte;
		const char *why;
	} bad[] = {
		{ 4 + 34, 33, head },	/* session id */
		{ 4 + 34, 255, head },	/* beyond the end */
		{ 4 + 36, 3, head },	/* odd ciphers */
		{ 4 + 36, 0, head },	/* none */
		{ 4 + 35, 0xff, head }, /* beyond the end */
		{ 4 + 41, 0, head },	/* no compression */
		{ 4 + 41, 99, head },
		{ 4 + 43, 0xff, "the lengths of its extensions do not add up" },
		{ 4 + 44, 1, "the lengths of its extensions do not add up" },
		{ 4, 2, "its version is none of TLS" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		enum sniff s;
		struct hello h;

		message.n = stream.n = 0;
		put_message(&message, 0x0303, "", 0);
		message.v[bad[i].at] = bad[i].byte;
		put_records(&stream, message.v, message.n, BOUND, BOUND);
		h = feed(stream.v, stream.n, BOUND, &s);
		assert_int_equal(s, SNIFF_BAD);
		assert_string_equal(h.why, bad[i].why);
	}
	/* A session id of 33 bytes, all there. */
	message.n = 0;
	put_message(&message, 0x0303, "", 0);
	memmove(message.v + 39 + 33, message.v + 39, message.n - 39);
	message.v[38] = 33;
	message.v[3] = (uint8_t)(message.v[3] + 33);
	message.n += 33;
	for (unsigned id = 33; id >= 32; id--) {
		struct hello h = { 0 };

		stream.n = 0;
		message.v[38] = (uint8_t)id;
		put_records(&stream, message.v, message.n, BOUND, BOUND);
		assert_int_equal(hello_feed(&h, stream.v, stream.n, BOUND),
				 id == 32 ? SNIFF_YES : SNIFF_BAD);
		memmove(message.v + 39, message.v + 40, message.n-- - 40);
		message.v[3]--;
	}
	/* Messages that end somewhere in it. */
	for (size_t n = 0; n < 43; n++) {
		enum sniff s;
		struct hello h;

		message.n = stream.n = 0;
		put_message(&message, 0x0303, "", 0);
		message.v[3] = (uint8_t)n;
		put_records(&stream, message.v, 4 + n, BOUND, BOUND);
		h = feed(stream.v, stream.n, BOUND, &s);
		expect_answer(s, SNIFF_BAD, "a message", n);
		assert_string_equal(h.why, head);
	}
}

/* `at`: the byte by which it is known. */
static void what_is_no_hello_is_known_by_its_first_wrong_byte(void **state)
{
	static const struct {
		struct text v;
		enum sniff answer;
		size_t at;
		const char *why;
	} cases[] = {
		{ EXT("GET / HTTP/1.1"), SNIFF_NO, 1, NULL },
		{ EXT("SSH-2.0-x"), SNIFF_NO, 1, NULL },
		{ EXT("\0"), SNIFF_NO, 1, NULL },
		{ EXT("\x80\x2e\x01\x03\x01\0\x15"), SNIFF_NO, 1, NULL }, /* SSLv2 */
		{ EXT("\x17\x03\x03\0\x10"), SNIFF_NO, 1, NULL },
		{ EXT("\x15\x03\x01\0\x02\x02\x28"), SNIFF_NO, 1, NULL },
		{ EXT("\x16\x02\x01"), SNIFF_NO, 2, NULL },
		{ EXT("\x16\xfe\xff"), SNIFF_NO, 2, NULL }, /* DTLS */
		{ EXT("\x16\x03\x01\0\x04\x02\0\0\0"), SNIFF_NO, 6, NULL },
		{ EXT("\x16\x03\x01\0\x04\0\0\0\0"), SNIFF_NO, 6, NULL },
		{ EXT("\x16\x03\x01\0\0"), SNIFF_BAD, 5, "a record is empty" },
		{ EXT("\x16\x03\x01\x40\x01\x01"), SNIFF_BAD, 5,
		  "a record is longer than 16384 bytes" },
		{ EXT("\x16\x03\x01\x40\0\x01"), SNIFF_MORE, 6, NULL },
		{ EXT("\x16\x03\x01\0\x01\x01\x15\x03\x01\0\x02\x01\0"), SNIFF_BAD, 7,
		  "a record of another type is inside of it" },
		{ EXT("\x16\x03\x01\0\x01\x01\x14\x03\x01\0\x01\x01"), SNIFF_BAD, 7,
		  "a record of another type is inside of it" },
		{ EXT("\x16\x03\x01\0\x01\x01\x16\x02"), SNIFF_BAD, 8,
		  "a record inside of it is none of TLS" },
		{ EXT("\x16\x03\x01\0\x01\x01\x16\x03\x03\0\0"), SNIFF_BAD, 11,
		  "a record is empty" },
		{ EXT("\x16\x03\x01\0\x04\x01\0\xff\xff"), SNIFF_BAD, 9,
		  "it is longer than its bound" },
		{ EXT("\x16\x03\x01\0\x04\x01\0\0\0"), SNIFF_BAD, 9,
		  "the lengths before its extensions do not add up" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const uint8_t *v = (const uint8_t *)cases[i].v.v;
		struct hello before = { 0 };
		enum sniff s;
		struct hello h = feed(v, cases[i].v.n, BOUND, &s);

		expect_answer(s, cases[i].answer, cases[i].v.v, i);
		expect_answer(hello_feed(&before, v, cases[i].at - 1, BOUND), SNIFF_MORE,
			      "one byte before", i);
		expect_answer(hello_feed(&before, v, cases[i].at, BOUND), cases[i].answer,
			      "at its byte", i);
		if (cases[i].why)
			assert_string_equal(h.why, cases[i].why);
	}
}

/* In one record and in many, a hello of exactly the bound is taken, and one byte more is not: as
 * soon as its length is known. */
static void the_bound_counts_the_record_headers(void **state)
{
	(void)state;
	for (size_t each = 1000; each <= BOUND; each += BOUND - 1000) {
		struct hello h = { 0 }, early = { 0 };
		size_t size;

		block.n = message.n = stream.n = 0;
		put_server_name(&block, "big.test", 8);
		put_padding(&block, 12000);
		put_message(&message, 0x0303, block.v, block.n);
		put_records(&stream, message.v, message.n, each, each);
		size = stream.n;
		assert_int_equal(hello_feed(&h, stream.v, size, size), SNIFF_YES);
		assert_string_equal(h.name, "big.test");
		h = (struct hello){ 0 };
		assert_int_equal(hello_feed(&h, stream.v, size, size - 1), SNIFF_BAD);
		assert_string_equal(h.why, "it is longer than its bound");
		/* The header of the last record is counted before it is there. */
		size = each == BOUND ? 9 : stream.n - 5 - message.n % each;
		assert_int_equal(hello_feed(&early, stream.v, size, stream.n - 1), SNIFF_BAD);
	}
}

static void a_hello_of_64_kib_is_refused_by_its_length(void **state)
{
	struct hello h = { 0 };

	(void)state;
	block.n = message.n = stream.n = 0;
	put_padding(&block, 65000);
	put_message(&message, 0x0303, block.v, block.n);
	put_records(&stream, message.v, message.n, BOUND, BOUND);
	assert_int_equal(hello_feed(&h, stream.v, 8, BOUND), SNIFF_MORE);
	assert_int_equal(hello_feed(&h, stream.v, 9, BOUND), SNIFF_BAD);
	assert_string_equal(h.why, "it is longer than its bound");
	h = (struct hello){ 0 };
	assert_int_equal(hello_feed(&h, stream.v, stream.n, 1 << 17), SNIFF_YES);
}

/* Many small segments of many small records must not cost the square. */
static void bytes_that_were_counted_are_not_read_again_before_the_end(void **state)
{
	static uint8_t wrong[HELLO_BYTES_MAX];
	struct hello h = { 0 };

	(void)state;
	block.n = message.n = stream.n = 0;
	put_server_name(&block, "linear.test", 11);
	put_padding(&block, 2000);
	put_message(&message, 0x0303, block.v, block.n);
	put_records(&stream, message.v, message.n, 1, 1);
	/* The length of the message is in its first 4 records; a header may have come in parts. */
	memcpy(wrong, stream.v, 24);
	for (size_t i = 1; i < stream.n; i++) {
		size_t fresh = i > 5 ? i - 5 : 0;

		if (fresh > 24)
			wrong[fresh - 1] = 0xff;
		memcpy(wrong + fresh, stream.v + fresh, i - fresh);
		expect_answer(hello_feed(&h, wrong, i, BOUND * 2), SNIFF_MORE, "prefix", i);
	}
	assert_int_equal(hello_feed(&h, stream.v, stream.n, BOUND * 2), SNIFF_YES);
	assert_string_equal(h.name, "linear.test");
}

static void what_follows_a_hello_is_not_looked_at(void **state)
{
	static const char *const behind[] = { "\x14\x03\x03", "\x17\x03\x03\0\0", "junk", "\x16" };

	(void)state;
	feed_name("a.test", 6, NULL);
	for (size_t i = 0; i < sizeof(behind) / sizeof(*behind); i++) {
		enum sniff s;

		stream.n = 0;
		put_records(&stream, message.v, message.n, 50, 50);
		put_bytes(&stream, behind[i], strlen(behind[i]));
		assert_string_equal(feed(stream.v, stream.n, BOUND, &s).name, "a.test");
		assert_int_equal(s, SNIFF_YES);
		/* In its own last record: a bound that the hello itself keeps. */
		stream.n = 0;
		put_bytes(&message, behind[i], strlen(behind[i]));
		put_records(&stream, message.v, message.n, BOUND, BOUND);
		message.n -= strlen(behind[i]);
		feed(stream.v, stream.n, 5 + message.n, &s);
		assert_int_equal(s, SNIFF_YES);
		feed(stream.v, stream.n, 4 + message.n, &s);
		assert_int_equal(s, SNIFF_BAD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_lower_case_without_a_last_dot),
		cmocka_unit_test(what_is_no_host_name_is_refused),
		cmocka_unit_test(broken_extensions_are_refused),
		cmocka_unit_test(the_highest_version_is_the_one_of_the_extension),
		cmocka_unit_test(protocols_are_listed_as_far_as_text_can),
		cmocka_unit_test(ech_is_seen_and_the_outer_name_is_the_name),
		cmocka_unit_test(a_hello_may_have_no_extensions),
		cmocka_unit_test(a_broken_head_is_refused),
		cmocka_unit_test(what_is_no_hello_is_known_by_its_first_wrong_byte),
		cmocka_unit_test(the_bound_counts_the_record_headers),
		cmocka_unit_test(a_hello_of_64_kib_is_refused_by_its_length),
		cmocka_unit_test(bytes_that_were_counted_are_not_read_again_before_the_end),
		cmocka_unit_test(what_follows_a_hello_is_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
