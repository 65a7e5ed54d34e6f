/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/base/buf.h"
#include "ctl/base/io.h"
#include "dataplane/proxy_header.h"

#define SIGNATURE	"\r\n\r\n\0\r\nQUIT\n"
#define TEXT(s)		s, sizeof(s) - 1
#define V4_BLOCK	"\x0a\0\0\x01\x0a\0\0\x02\x30\x39\x01\xbb"
#define V2(head, block) TEXT(SIGNATURE head block)

struct header_text {
	const char *v;
	size_t n;
};

static const char *word(enum sniff s)
{
	static const char *const words[] = { "MORE", "YES", "NO", "BAD" };

	return words[s];
}

/* "2 10.0.0.1:1 > 10.0.0.2:443 authority=a id=2", or "1 local". */
static const char *describe(const struct proxy_header *h)
{
	static char out[1024];
	char source[ADDR_TEXT], destination[ADDR_TEXT];
	int n = snprintf(out, sizeof(out), "%d ", h->version);

	if (h->local)
		n += snprintf(out + n, sizeof(out) - (size_t)n, "local");
	else
		n += snprintf(out + n, sizeof(out) - (size_t)n, "%s:%u > %s:%u",
			      addr_format(&h->source, source), h->source_port,
			      addr_format(&h->destination, destination), h->destination_port);
	if (*h->authority)
		n += snprintf(out + n, sizeof(out) - (size_t)n, " authority=%s", h->authority);
	if (h->unique_id_bytes)
		snprintf(out + n, sizeof(out) - (size_t)n, " id=%zu", h->unique_id_bytes);
	return out;
}

/* Every prefix is MORE until one is not; from there on nothing changes. Returns where. */
static size_t expect_decided(const void *bytes, size_t n, enum sniff answer, const char *text)
{
	size_t decided = n + 1;

	for (size_t i = 0; i <= n; i++) {
		struct proxy_header h;
		size_t used = 0;
		enum sniff s = proxy_header_read(&h, bytes, i, &used);

		if (s == SNIFF_MORE && decided > n)
			continue;
		decided = decided > n ? i : decided;
		if (s != answer)
			fail_msg("%zu of %zu bytes: %s", i, n, word(s));
		if (s == SNIFF_BAD)
			assert_string_equal(h.why, text);
		if (s != SNIFF_YES)
			continue;
		assert_string_equal(describe(&h), text);
		assert_int_equal(used, decided);
	}
	if (decided > n && answer != SNIFF_MORE)
		fail_msg("no answer to %zu bytes", n);
	return decided;
}

struct good {
	struct header_text v;
	const char *text;
};

/* Each of the n alone, and before the connection's own bytes, which may look like more of the
 * header. */
static void expect_good(const struct good *good, size_t n, const char *own, size_t n_own)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t more[256];
		size_t len = good[i].v.n;

		assert_int_equal(expect_decided(good[i].v.v, len, SNIFF_YES, good[i].text), len);
		memcpy(more, good[i].v.v, len);
		memcpy(more + len, own, n_own);
		assert_int_equal(expect_decided(more, len + n_own, SNIFF_YES, good[i].text), len);
	}
}

static void lines_of_version_1_are_read_with_their_last_byte(void **state)
{
	static const struct good good[] = {
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 12345 443\r\n") },
		  "1 10.0.0.1:12345 > 10.0.0.2:443" },
		{ { TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n") },
		  "1 255.255.255.255:65535 > 255.255.255.255:0" },
		{ { TEXT("PROXY TCP6 fd00::1 2001:DB8::2 1 2\r\n") },
		  "1 fd00::1:1 > 2001:db8::2:2" },
		{ { TEXT("PROXY TCP6 ::ffff:10.0.0.1 ::ffff:10.0.0.2 1 2\r\n") },
		  "1 10.0.0.1:1 > 10.0.0.2:2" },
		{ { TEXT("PROXY TCP6 ::ffff:10.0.0.1 fd00::1 1 2\r\n") },
		  "1 10.0.0.1:1 > fd00::1:2" },
		{ { TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
			 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n") },
		  "1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535 > "
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535" },
		{ { TEXT("PROXY UNKNOWN\r\n") }, "1 local" },
		{ { TEXT("PROXY UNKNOWN \r\n") }, "1 local" },
		{ { TEXT("PROXY UNKNOWN \r what\never \0\xff\r\n") }, "1 local" },
		{ { TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
			 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n") },
		  "1 local" },
	};

	(void)state;
	expect_good(good, sizeof(good) / sizeof(*good), "\r\nPROXY \r\n", 10);
}

static void lines_of_another_form_are_refused(void **state)
{
	static const char four[] = "its line has not two addresses and two ports";
	static const char family[] = "its family is none of TCP4, TCP6, UNKNOWN";
	static const char source[] = "its source address is none of its family";
	static const char destination[] = "its destination address is none of its family";
	static const char sport[] = "its source port is no number from 0 to 65535";
	static const char dport[] = "its destination port is no number from 0 to 65535";
	static const struct {
		struct header_text v;
		const char *why;
	} bad[] = {
		{ { TEXT("PROXY \r\n") }, family },
		{ { TEXT("PROXY  TCP4 10.0.0.1 10.0.0.2 1 2\r\n") }, family },
		{ { TEXT("PROXY TCP4\r\n") }, family },
		{ { TEXT("PROXY TCP5 10.0.0.1 10.0.0.2 1 2\r\n") }, family },
		{ { TEXT("PROXY tcp4 10.0.0.1 10.0.0.2 1 2\r\n") }, family },
		{ { TEXT("PROXY UDP4 10.0.0.1 10.0.0.2 1 2\r\n") }, family },
		{ { TEXT("PROXY UNKNOWNX\r\n") }, family },
		{ { TEXT("PROXY TCP4 \r\n") }, four },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n") }, four },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 2 \r\n") }, four },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 2 3\r\n") }, four },
		{ { TEXT("PROXY TCP4  10.0.0.1 10.0.0.2 1 2\r\n") }, four },
		{ { TEXT("PROXY TCP4 10.0.0.1  10.0.0.2 1\r\n") }, destination },
		{ { TEXT("PROXY TCP4 10.0.0.1\t10.0.0.2 1 2 3\r\n") }, source },
		{ { TEXT("PROXY TCP4 fd00::1 fd00::2 1 2\r\n") }, source },
		{ { TEXT("PROXY TCP4 ::ffff:10.0.0.1 10.0.0.2 1 2\r\n") }, source },
		{ { TEXT("PROXY TCP4 10.0.0.01 10.0.0.2 1 2\r\n") }, source },
		{ { TEXT("PROXY TCP4 10.0.0.256 10.0.0.2 1 2\r\n") }, source },
		{ { TEXT("PROXY TCP4 10.0.0.1 host 1 2\r\n") }, destination },
		{ { TEXT("PROXY TCP6 10.0.0.1 fd00::2 1 2\r\n") }, source },
		{ { TEXT("PROXY TCP6 fe80::1%eth0 fd00::2 1 2\r\n") }, source },
		{ { TEXT("PROXY TCP6 fd00::1 10.0.0.1 1 2\r\n") }, destination },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 65536 2\r\n") }, sport },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 4294967297 2\r\n") }, sport },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 01 2\r\n") }, sport },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 +1 2\r\n") }, sport },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2  2\r\n") }, sport },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 \r\n") }, dport },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 00\r\n") }, dport },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\r\n") }, dport },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\n\r\n") }, dport },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 -2\r\n") }, dport },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 0x2\r\n") }, dport },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\0 3\r\n") }, "its line has a NUL" },
		{ { TEXT("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\n") }, NULL }, /* waits */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect_decided(bad[i].v.v, bad[i].v.n, bad[i].why ? SNIFF_BAD : SNIFF_MORE,
			       bad[i].why);
}

static void a_line_has_107_bytes_at_most(void **state)
{
	char line[200];

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + 105, "\r\n", 2);
	assert_int_equal(expect_decided(line, sizeof(line), SNIFF_YES, "1 local"), 107);
	memcpy(line + 105, "x\r\n", 3);
	assert_int_equal(expect_decided(line, sizeof(line), SNIFF_BAD,
					"its line does not end within 107 bytes"),
			 107);
}

static void headers_of_version_2_are_read_with_their_last_byte(void **state)
{
	static const struct good good[] = {
		{ { V2("\x21\x11", "\0\x0c" V4_BLOCK) }, "2 10.0.0.1:12345 > 10.0.0.2:443" },
		{ { V2("\x21\x12", "\0\x0c" V4_BLOCK) }, "2 10.0.0.1:12345 > 10.0.0.2:443" },
		{ { V2("\x21\x21",
		       "\0\x24\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a"
		       "\0\0\x02\0\x01\0\x02") },
		  "2 fd00::1:1 > 10.0.0.2:2" },
		{ { V2("\x20\0", "\0\0") }, "2 local" },
		{ { V2("\x20\x11", "\0\x01x") }, "2 local" },
		{ { V2("\x20\xff", "\0\x03\x03\xff\xff") }, "2 local" },
		{ { V2("\x21\0", "\0\0") }, "2 local" },
		{ { V2("\x21\x01", "\0\x02xx") }, "2 local" },
		{ { V2("\x21\x10", "\0\x02xx") }, "2 local" },
		{ { V2("\x21\x11", "\0\x0f" V4_BLOCK "\x04\0\0") },
		  "2 10.0.0.1:12345 > 10.0.0.2:443" },
		{ { V2("\x21\x11", "\0\x16" V4_BLOCK "\x04\0\x02xy\x30\0\x02ns") },
		  "2 10.0.0.1:12345 > 10.0.0.2:443" },
		{ { V2("\x21\x11", "\0\x17" V4_BLOCK "\x02\0\x03"
				   "a.b\x05\0\x02\0\xff") },
		  "2 10.0.0.1:12345 > 10.0.0.2:443 authority=a.b id=2" },
		{ { V2("\x21\x11", "\0\x12" V4_BLOCK "\x02\0\0\x05\0\0") },
		  "2 10.0.0.1:12345 > 10.0.0.2:443" },
		{ { V2("\x21\x11", "\0\x10" V4_BLOCK "\xee\0\x01x") },
		  "2 10.0.0.1:12345 > 10.0.0.2:443" },
	};

	(void)state;
	expect_good(good, sizeof(good) / sizeof(*good), SIGNATURE, 12);
}

/* decided: by which byte. */
static void headers_that_do_not_add_up_are_refused(void **state)
{
	static const char family[] = "its family or transport is unknown";
	static const char tlvs[] = "the lengths of its TLVs do not add up";
	static const char twice[] = "it has two authorities, checksums or unique ids";
	static const char authority[] = "its authority has a control character or a blank";
	static const struct {
		struct header_text v;
		size_t decided;
		const char *why;
	} bad[] = {
		{ { V2("\x11\x11", "\0\x0c") }, 13, "its version is not 2" },
		{ { V2("\x31\x11", "\0\x0c") }, 13, "its version is not 2" },
		{ { V2("\0\x11", "\0\x0c") }, 13, "its version is not 2" },
		{ { V2("\x22\x11", "\0\x0c") }, 13, "its command is neither LOCAL nor PROXY" },
		{ { V2("\x2f\x11", "\0\x0c") }, 13, "its command is neither LOCAL nor PROXY" },
		{ { V2("\x21\x11", "\x0f\xf1") }, 16, "it is longer than 4096 bytes" },
		{ { V2("\x20\0", "\xff\xff") }, 16, "it is longer than 4096 bytes" },
		{ { V2("\x21\x41", "\0\x0c" V4_BLOCK) }, 28, family },
		{ { V2("\x21\x13", "\0\x0c" V4_BLOCK) }, 28, family },
		{ { V2("\x21\xf0", "\0\0") }, 16, family },
		{ { V2("\x21\x0f", "\0\0") }, 16, family },
		{ { V2("\x21\x11", "\0\x0b\x0a\0\0\x01\x0a\0\0\x02\0\x01\0") },
		  27,
		  "it is too short for its addresses" },
		{ { V2("\x21\x21", "\0\x0c" V4_BLOCK) }, 28, "it is too short for its addresses" },
		{ { V2("\x21\x31", "\0\x0c" V4_BLOCK) }, 28, "it is too short for its addresses" },
		{ { V2("\x21\x11", "\0\x0d" V4_BLOCK "\x04") }, 29, tlvs },
		{ { V2("\x21\x11", "\0\x0e" V4_BLOCK "\x04\0") }, 30, tlvs },
		{ { V2("\x21\x11", "\0\x0f" V4_BLOCK "\x04\0\x01") }, 31, tlvs },
		{ { V2("\x21\x11", "\0\x10" V4_BLOCK "\x04\0\x02x") }, 32, tlvs },
		{ { V2("\x21\x11", "\0\x10" V4_BLOCK "\x04\0\0x") }, 32, tlvs },
		{ { V2("\x21\x11", "\0\x10" V4_BLOCK "\x04\xff\xffx") }, 32, tlvs },
		{ { V2("\x21\x11", "\0\x12" V4_BLOCK "\x02\0\0\x02\0\0") }, 34, twice },
		{ { V2("\x21\x11", "\0\x12" V4_BLOCK "\x05\0\0\x05\0\0") }, 34, twice },
		{ { V2("\x21\x11", "\0\x10" V4_BLOCK "\x02\0\x01\0") }, 32, authority },
		{ { V2("\x21\x11", "\0\x10" V4_BLOCK "\x02\0\x01\n") }, 32, authority },
		{ { V2("\x21\x11", "\0\x10" V4_BLOCK "\x02\0\x01 ") }, 32, authority },
		{ { V2("\x21\x11", "\0\x10" V4_BLOCK "\x02\0\x01\x7f") }, 32, authority },
		{ { V2("\x21\x11", "\0\x12" V4_BLOCK "\x03\0\x03\0\0\0") },
		  34,
		  "its checksum has not 4 bytes" },
		{ { V2("\x21\x11", "\0\x13" V4_BLOCK "\x03\0\x04\0\0\0\0") },
		  35,
		  "its checksum is wrong" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(expect_decided(bad[i].v.v, bad[i].v.n, SNIFF_BAD, bad[i].why),
				 bad[i].decided);
}

/* A header of 4096 bytes, of AF_UNIX, authorities and ids at their bounds. */
static void bounds_of_version_2_are_exact(void **state)
{
	static uint8_t v[PROXY_V2_MAX] = SIGNATURE "\x21\x11\x0f\xf0" V4_BLOCK "\x04\x0f\xe1";
	uint8_t unix_sockets[16 + 216 + 5] = SIGNATURE "\x21\x31\0\xdd";

	(void)state;
	assert_int_equal(expect_decided(v, sizeof(v), SNIFF_YES, "2 10.0.0.1:12345 > 10.0.0.2:443"),
			 PROXY_V2_MAX);
	memcpy(unix_sockets + 16 + 216, "\x02\0\x02hi", 5);
	expect_decided(unix_sockets, sizeof(unix_sockets), SNIFF_YES, "2 local authority=hi");
	for (size_t more = 0; more < 2; more++) {
		struct proxy_header h;
		size_t used, n = 31 + 255 + more;

		memset(v + 31, 'a', 300);
		v[14] = (uint8_t)((n - 16) >> 8);
		v[15] = (uint8_t)(n - 16);
		v[28] = 2;
		v[29] = (uint8_t)((255 + more) >> 8);
		v[30] = (uint8_t)(255 + more);
		assert_int_equal(proxy_header_read(&h, v, n, &used), more ? SNIFF_BAD : SNIFF_YES);
		assert_int_equal(strlen(h.authority), more ? 0 : 255);
		if (more)
			assert_string_equal(h.why, "its authority is longer than 255 bytes");
		n = 31 + 128 + more;
		v[14] = 0;
		v[15] = (uint8_t)(n - 16);
		v[28] = 5;
		v[29] = 0;
		v[30] = (uint8_t)(128 + more);
		assert_int_equal(proxy_header_read(&h, v, n, &used), more ? SNIFF_BAD : SNIFF_YES);
		assert_int_equal(h.unique_id_bytes, more ? 0 : 128);
		if (more)
			assert_string_equal(h.why, "its unique id is longer than 128 bytes");
	}
}

static void what_is_no_header_is_known_by_its_first_wrong_byte(void **state)
{
	static const struct {
		struct header_text v;
		size_t decided;
	} cases[] = {
		{ { TEXT("GET / HTTP/1.1") }, 1 },     { { TEXT("P") }, 2 },
		{ { TEXT("POST / HTTP/1.1") }, 2 },    { { TEXT("PROPFIND /") }, 4 },
		{ { TEXT("PROXY\r\n") }, 6 },	       { { TEXT("PROXYTCP4") }, 6 },
		{ { TEXT("proxy TCP4") }, 1 },	       { { TEXT("\0") }, 1 },
		{ { TEXT("\r\n\r\n\r\n") }, 5 },       { { TEXT("\r\n\r\n\0\r\nQUIT ") }, 12 },
		{ { TEXT("\r\n\r\n\0\r\nquit") }, 8 }, { { TEXT("\x16\x03\x01") }, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool waits = cases[i].decided > cases[i].v.n;

		assert_int_equal(expect_decided(cases[i].v.v, cases[i].v.n,
						waits ? SNIFF_MORE : SNIFF_NO, NULL),
				 cases[i].decided);
	}
}

static void headers_that_haproxy_sent_are_read(void **state)
{
	static const struct {
		const char *file, *text;
		size_t used;
	} captures[] = {
		{ "v1-tcp4", "1 127.0.0.1:36188 > 127.0.0.1:18501", 44 },
		{ "v1-tcp6", "1 ::1:37140 > ::1:18504", 32 },
		{ "v2-inet", "2 127.0.0.1:55038 > 127.0.0.1:18502", 28 },
		{ "v2-inet6", "2 ::1:33594 > ::1:18505", 52 },
		{ "v2-local", "2 local", 16 },
		{ "v2-tlvs",
		  "2 127.0.0.1:42952 > 127.0.0.1:18503 authority=shop.example.test id=22", 98 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(captures) / sizeof(*captures); i++) {
		struct buf b = { 0 };
		struct err e = { 0 };
		char path[128];

		snprintf(path, sizeof(path), "tests/data/proxy_header/%s.bin", captures[i].file);
		assert_int_equal(io_read_file(path, 4096, &b, &e), 0);
		assert_int_equal(expect_decided(b.data, b.len, SNIFF_YES, captures[i].text),
				 captures[i].used);
		buf_fini(&b);
	}
}

/* HAProxy's checksum covers each bit but those of the signature, which make it another protocol. */
static void a_checksum_sees_every_flipped_bit(void **state)
{
	struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(io_read_file("tests/data/proxy_header/v2-tlvs.bin", 4096, &b, &e), 0);
	for (size_t i = 16; i < b.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			struct proxy_header h;
			size_t used;

			/* Not when the TLV itself becomes another. */
			if (i == 28)
				continue;
			b.data[i] = (char)(b.data[i] ^ 1 << bit);
			assert_int_equal(proxy_header_read(&h, (uint8_t *)b.data, b.len, &used),
					 SNIFF_BAD);
			b.data[i] = (char)(b.data[i] ^ 1 << bit);
		}
	buf_fini(&b);
}

/* ---- writing ---- */

static struct proxy_header header(int version, const char *source, const char *destination)
{
	struct proxy_header h = { .version = version,
				  .source_port = 65535,
				  .destination_port = 443 };

	assert_true(addr_parse(source, &h.source) && addr_parse(destination, &h.destination));
	return h;
}

static void version_1_is_written_as_the_specification_has_it(void **state)
{
	static const struct {
		const char *source, *destination, *line;
	} cases[] = {
		{ "10.0.0.1", "10.0.0.2", "PROXY TCP4 10.0.0.1 10.0.0.2 65535 443\r\n" },
		{ "fd00::1", "fd00::2", "PROXY TCP6 fd00::1 fd00::2 65535 443\r\n" },
		{ "10.0.0.1", "fd00::2", "PROXY TCP6 ::ffff:10.0.0.1 fd00::2 65535 443\r\n" },
		{ "fd00::1", "10.0.0.2", "PROXY TCP6 fd00::1 ::ffff:10.0.0.2 65535 443\r\n" },
	};
	uint8_t out[PROXY_V1_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct proxy_header h = header(1, cases[i].source, cases[i].destination);
		size_t n = strlen(cases[i].line);

		assert_int_equal(proxy_header_write(&h, out, n), n);
		assert_memory_equal(out, cases[i].line, n);
		assert_int_equal(proxy_header_write(&h, out, n - 1), 0);
		h.local = true;
		assert_int_equal(proxy_header_write(&h, out, sizeof(out)), 15);
		assert_memory_equal(out, "PROXY UNKNOWN\r\n", 15);
	}
}

static void expect_bytes(const struct proxy_header *h, const char *wanted, size_t n)
{
	uint8_t out[PROXY_WRITE_MAX];

	assert_int_equal(proxy_header_write(h, out, n), n);
	assert_memory_equal(out, wanted, n);
	assert_int_equal(proxy_header_write(h, out, n - 1), 0);
}

static void version_2_is_written_as_the_specification_has_it(void **state)
{
	struct proxy_header h = header(2, "10.0.0.1", "10.0.0.2");

	(void)state;
	expect_bytes(&h, V2("\x21\x11", "\0\x0c\x0a\0\0\x01\x0a\0\0\x02\xff\xff\x01\xbb"));
	strcpy(h.authority, "a.b");
	memcpy(h.unique_id, "\0\xff", 2);
	h.unique_id_bytes = 2;
	expect_bytes(&h, V2("\x21\x11", "\0\x17\x0a\0\0\x01\x0a\0\0\x02\xff\xff\x01\xbb\x02\0\x03"
					"a.b\x05\0\x02\0\xff"));
	h = header(2, "10.0.0.1", "fd00::2");
	expect_bytes(&h, V2("\x21\x21",
			    "\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01\xfd\0\0\0\0\0\0\0\0"
			    "\0\0\0\0\0\0\x02\xff\xff\x01\xbb"));
	h.local = true;
	expect_bytes(&h, V2("\x20\0", "\0\0"));
	h = (struct proxy_header){ .version = 2 };
	expect_bytes(&h, V2("\x20\0", "\0\0"));
}

static void what_is_written_is_read_again(void **state)
{
	static const char *const addrs[] = { "0.0.0.0", "255.255.255.255",
					     "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
					     "fd00::1" };
	enum { N = sizeof(addrs) / sizeof(*addrs) };

	(void)state;
	for (int i = 0; i < 2 * N * N; i++) {
		struct proxy_header h = header(1 + i % 2, addrs[i / 2 % N], addrs[i / 2 / N]);
		uint8_t out[PROXY_WRITE_MAX];
		char text[1024];
		size_t n;

		if (h.version == 2) {
			memset(h.authority, 'x', sizeof(h.authority) - 1);
			memset(h.unique_id, 0, sizeof(h.unique_id));
			h.unique_id_bytes = sizeof(h.unique_id);
		}
		n = proxy_header_write(&h, out, sizeof(out));
		assert_true(n && (h.version == 2 || n <= PROXY_V1_MAX));
		snprintf(text, sizeof(text), "%s", describe(&h));
		assert_int_equal(expect_decided(out, n, SNIFF_YES, text), n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_version_1_are_read_with_their_last_byte),
		cmocka_unit_test(lines_of_another_form_are_refused),
		cmocka_unit_test(a_line_has_107_bytes_at_most),
		cmocka_unit_test(headers_of_version_2_are_read_with_their_last_byte),
		cmocka_unit_test(headers_that_do_not_add_up_are_refused),
		cmocka_unit_test(bounds_of_version_2_are_exact),
		cmocka_unit_test(what_is_no_header_is_known_by_its_first_wrong_byte),
		cmocka_unit_test(headers_that_haproxy_sent_are_read),
		cmocka_unit_test(a_checksum_sees_every_flipped_bit),
		cmocka_unit_test(version_1_is_written_as_the_specification_has_it),
		cmocka_unit_test(version_2_is_written_as_the_specification_has_it),
		cmocka_unit_test(what_is_written_is_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
