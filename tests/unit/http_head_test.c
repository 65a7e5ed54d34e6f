/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/http_head.h"

#define METHOD_32 "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"

/* `decided`: with how many bytes. Every prefix below is MORE, every one from there on the answer.
 */
static void expect_decided(const char *text, size_t n, enum sniff answer, size_t decided)
{
	for (size_t i = 0; i <= n; i++) {
		enum sniff s = http_head_sniff((const uint8_t *)text, i);

		if (s != (i < decided ? SNIFF_MORE : answer))
			fail_msg("%zu bytes of \"%s\": %d", i, text, s);
	}
}

static void what_begins_like_http_is_known_by_the_start_of_its_target(void **state)
{
	static const struct {
		const char *text;
		size_t decided;
	} cases[] = {
		{ "GET / HTTP/1.1\r\n", 5 },
		{ "get /index", 5 },
		{ "PROPFIND /dav HTTP/1.1", 10 },
		{ "A /", 3 },
		{ "!#$%&'*+-.^_`|~09azAZ /", 23 },
		{ METHOD_32 " /", 34 },
		{ "OPTIONS * HTTP/1.1", 9 },
		{ "OPTIONS /x HTTP/1.1", 9 },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 5 },
		{ "CONNECT host:443 HTTP/1.1", 9 },
		{ "CONNECT 10.0.0.1:443", 9 },
		{ "CONNECT [fd00::1]:443", 9 },
		{ "GET http://a.test/ HTTP/1.1", 11 },
		{ "GET HTTPS://a.test/ HTTP/1.1", 12 },
		{ "GET hTTp://a", 11 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect_decided(cases[i].text, strlen(cases[i].text), SNIFF_YES, cases[i].decided);
}

static void other_protocols_are_not_taken_for_http(void **state)
{
	static const struct {
		const char *text;
		size_t decided;
	} cases[] = {
		{ "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", 23 },
		{ "EHLO example.test\r\n", 6 },
		{ "USER anonymous\r\n", 6 },
		{ "NICK http\r\n", 10 },
		{ "NICK httpd\r\n", 10 },
		{ "NICK https:/x\r\n", 13 },
		{ "NICK https\r\n", 11 },
		{ "GET HTTP:\x0f/", 10 },
		{ "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", 7 },
		{ "RFB 003.008\n", 5 },
		{ "GET * HTTP/1.1", 5 },
		{ "M-SEARCH * HTTP/1.1", 10 },
		{ "OPTION * HTTP/1.1", 8 },
		{ "CONNECT *", 9 },
		{ "CONNECT :443", 9 },
		{ "GET  / HTTP/1.1", 5 },
		{ "GET\t/ HTTP/1.1", 4 },
		{ "GET\r\n", 4 },
		{ " / HTTP/1.1", 1 },
		{ "\r\nGET / HTTP/1.1", 1 },
		{ "{\"id\":1}", 1 },
		{ "*1\r\n$4\r\nPING\r\n", 3 },
		{ METHOD_32 "6 /", 33 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect_decided(cases[i].text, strlen(cases[i].text), SNIFF_NO, cases[i].decided);
	expect_decided("\0 /", 3, SNIFF_NO, 1);
	expect_decided("\x16\x03\x01", 3, SNIFF_NO, 1);
	expect_decided("GE\0 /", 5, SNIFF_NO, 3);
	expect_decided("G\xc3\x89T /", 6, SNIFF_NO, 2);
}

static void tokens_are_those_of_rfc_9110(void **state)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz";

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		const uint8_t text[] = { (uint8_t)c, ' ', '/' };
		bool is = c && strchr(token, (int)c);

		assert_int_equal(http_head_sniff(text, 3), is ? SNIFF_YES : SNIFF_NO);
	}
}

static void a_long_token_ends_the_wait(void **state)
{
	static char text[1 << 16];

	(void)state;
	memset(text, 'A', sizeof(text));
	expect_decided(text, sizeof(text), SNIFF_NO, 33);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_begins_like_http_is_known_by_the_start_of_its_target),
		cmocka_unit_test(other_protocols_are_not_taken_for_http),
		cmocka_unit_test(tokens_are_those_of_rfc_9110),
		cmocka_unit_test(a_long_token_ends_the_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
