/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections as text, and the line that says what takes long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "ctl/cli/conn_text.h"
#include "ctl/cli/progress.h"

static void ends_are_cut_in_the_middle_and_keep_their_port(void **state)
{
	static const struct {
		const char *address;
		unsigned port, width;
		const char *said;
	} cases[] = {
		{ "10.0.0.2", 443, 60, "10.0.0.2:443" },
		{ "10.0.0.2", 443, 12, "10.0.0.2:443" },
		{ "192.168.100.200", 65535, 21, "192.168.100.200:65535" },
		{ "192.168.100.200", 65535, 20, "192.16..00.200:65535" },
		{ "192.168.100.200", 65535, 3, "19..00:65535" },
		{ "fd00::1", 443, 60, "[fd00::1]:443" },
		{ "fd00:1111:2222:3333:4444:5555:6666:7777", 65535, 60,
		  "[fd00:1111:2222:3333:4444:5555:6666:7777]:65535" },
		{ "fd00:1111:2222:3333:4444:5555:6666:7777", 443, 22, "[fd00:11..66:7777]:443" },
		{ "fd00:1111:2222:3333:4444:5555:6666:7777", 65535, 0, "[f..7]:65535" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char out[CONN_ENDPOINT];
		struct addr a;

		assert_true(addr_parse(cases[i].address, &a));
		conn_endpoint(&a, (uint16_t)cases[i].port, cases[i].width, out);
		if (strcmp(out, cases[i].said))
			fail_msg("%zu: %s", i, out);
	}
	for (unsigned width = 0; width < 60; width++) {
		char out[CONN_ENDPOINT];
		struct addr a;

		addr_parse("fd00:1111:2222:3333:4444:5555:6666:7777", &a);
		conn_endpoint(&a, 65535, width, out);
		assert_true(strlen(out) <= (width < 12 ? 12 : width));
		assert_non_null(strstr(out, "]:65535"));
	}
}

static void amounts_and_times_are_short(void **state)
{
	static const struct {
		uint64_t n;
		const char *said;
	} amounts[] = { { 0, "0" },	      { 999, "999" },	   { 1000, "1.0k" },
			{ 9999, "9.9k" },     { 10000, "10k" },	   { 999999, "999k" },
			{ 1000000, "1.0M" },  { 34567890, "34M" }, { 1000000000, "1.0G" },
			{ UINT64_MAX, "18E" } };
	static const struct {
		int64_t s;
		const char *said;
	} times[] = { { -5, "0s" },	{ 0, "0s" },	       { 119, "119s" },	  { 120, "2m" },
		      { 7199, "119m" }, { 7200, "2h" },	       { 172799, "47h" }, { 172800, "2d" },
		      { 432000, "5d" }, { INT64_MAX, "9999d" } };
	char out[8];

	(void)state;
	for (size_t i = 0; i < sizeof(amounts) / sizeof(*amounts); i++)
		assert_string_equal(conn_amount(amounts[i].n, out), amounts[i].said);
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		assert_string_equal(conn_seconds(times[i].s, out), times[i].said);
}

static struct ct_flow longest_flow(void)
{
	struct ct_flow f = { .proto = IPPROTO_TCP,
			     .tcp_state = 5,
			     .counted = true,
			     .bytes_in = 999999,
			     .bytes_out = 999999999,
			     .start_ms = 1,
			     .expires_s = 432000,
			     .client_port = 65535,
			     .local_port = 65535,
			     .target_port = 65535 };

	addr_parse("fd00:1111:2222:3333:4444:5555:6666:7777", &f.client);
	f.local = f.target = f.client;
	return f;
}

static void the_widest_row_fits_and_a_short_one_is_not_cut(void **state)
{
	struct conn_columns c = conn_columns_init();
	struct ct_flow f = longest_flow();
	char cells[CONN_COLUMNS][CONN_CELL];
	const char *head[CONN_COLUMNS];
	unsigned sum = 2 * 8, n;

	(void)state;
	conn_columns_measure(&c, "a-name-of-some-length-that-is-cut", &f, NULL);
	conn_columns_fit(&c, 100);
	n = conn_columns_row(&c, &f, NULL, 172800001, cells);
	assert_int_equal(n, 9); /* no name of a server */
	sum += c.width[0];
	conn_columns_head(&c, head);
	for (unsigned i = 1; i < n; i++) {
		size_t cell = strlen(cells[i]), least = strlen(head[i]);

		sum += (unsigned)(cell > least ? cell : least);
	}
	if (sum > 100)
		fail_msg("%u columns", sum);
	assert_non_null(strstr(cells[2], "..")); /* of the address */
	assert_string_equal(cells[5], "CLOSE_WAIT");
	assert_string_equal(cells[6], "5d");
	assert_string_equal(cells[7], "999k/999M");
	assert_string_equal(cells[8], "2d");

	c = conn_columns_init();
	addr_parse("10.0.0.2", &f.client);
	addr_parse("10.0.0.1", &f.local);
	addr_parse("10.20.0.2", &f.target);
	f.start_ms = 0;
	f.counted = false;
	f.tcp_state = 3;
	conn_columns_measure(&c, "web", &f, NULL);
	conn_columns_fit(&c, 100);
	n = conn_columns_row(&c, &f, NULL, 5, cells);
	assert_int_equal(n, 8);
	assert_string_equal(cells[2], "10.0.0.2:65535");
	assert_string_equal(cells[4], "10.20.0.2:65535");
	assert_string_equal(cells[5], "ESTAB");
	assert_string_equal(cells[7], "-");
}

static void a_row_of_the_service_fits_and_keeps_what_it_can(void **state)
{
	char sni[] = "a-name-of-some-host.under-a-long-domain.example.test";
	char target[] = "a-target.with-a-name-that-is-much-too-long-for-any-table.test:65535";
	const struct conn_relay r = {
		.state = "splice", .moves = true, .target = target, .sni = sni
	};
	const struct conn_relay mute = { .state = "sniff" };
	struct conn_columns c = conn_columns_init();
	struct ct_flow f = longest_flow();
	char cells[CONN_COLUMNS][CONN_CELL];
	const char *head[CONN_COLUMNS];
	unsigned sum = 2 * (CONN_COLUMNS - 1), n;

	(void)state;
	conn_columns_measure(&c, "a-name-of-some-length-that-is-cut", &f, &r);
	conn_columns_measure(&c, "web", &f, NULL);
	conn_columns_fit(&c, 100);
	n = conn_columns_row(&c, &f, &r, 172800001, cells);
	assert_int_equal(n, CONN_COLUMNS);
	assert_int_equal(conn_columns_head(&c, head), n);
	assert_string_equal(head[9], "SNI");
	sum += c.width[0];
	for (unsigned i = 1; i < n; i++) {
		size_t cell = strlen(cells[i]), least = strlen(head[i]);

		sum += (unsigned)(cell > least ? cell : least);
	}
	if (sum > 100)
		fail_msg("%u columns", sum);
	assert_string_equal(cells[3], ":65535");
	assert_non_null(strstr(cells[4], "65535"));
	assert_string_equal(cells[5], "splice");
	assert_string_equal(cells[6], "-");
	assert_non_null(strstr(cells[9], ".."));
	conn_columns_row(&c, &f, &mute, 1, cells);
	assert_string_equal(cells[4], "-");
	assert_string_equal(cells[5], "sniff");
	assert_string_equal(cells[9], "-");
}

static void a_text_is_cut_in_the_middle(void **state)
{
	char out[CONN_ENDPOINT], text[300];

	(void)state;
	assert_string_equal(conn_cut("abcdefgh", 8, out), "abcdefgh");
	assert_string_equal(conn_cut("abcdefgh", 7, out), "ab..fgh");
	assert_string_equal(conn_cut("abcdefgh", 3, out), "abc");
	assert_string_equal(conn_cut("abcdefgh", 0, out), "");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (unsigned width = 0; width < 300; width++)
		assert_int_equal(strlen(conn_cut(text, width, out)), width < 63 ? width : 63);
}

static void the_line_says_what_and_for_how_long(void **state)
{
	char out[80], small[24];

	(void)state;
	assert_string_equal(progress_text("planning", 0, out, sizeof(out)), "spctl: planning");
	assert_string_equal(progress_text("writing 64000 elements", 3, out, sizeof(out)),
			    "spctl: writing 64000 elements, 3 s");
	assert_string_equal(progress_text("a\033[2Jb\nc", 0, out, sizeof(out)), "spctl: a?[2Jb?c");
	/* Cut before the time, not in it. */
	assert_string_equal(progress_text("something that is far too long", 12, small,
					  sizeof(small)),
			    "spctl: something , 12 s");
	for (size_t cap = 1; cap < 40; cap++) {
		progress_text("something", 4000000000u, out, cap);
		assert_true(strlen(out) < cap);
	}
}

/* Under a test runner there is no terminal, or it may be one: with -q there is no line anyway. */
static void without_a_terminal_nothing_is_shown(void **state)
{
	const struct options o = { .quiet = true };

	(void)state;
	progress_start(&o);
	progress_phase("planning");
	assert_false(progress_show("planning"));
	progress_hide();
	progress_end();
	progress_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_are_cut_in_the_middle_and_keep_their_port),
		cmocka_unit_test(amounts_and_times_are_short),
		cmocka_unit_test(the_widest_row_fits_and_a_short_one_is_not_cut),
		cmocka_unit_test(a_row_of_the_service_fits_and_keeps_what_it_can),
		cmocka_unit_test(a_text_is_cut_in_the_middle),
		cmocka_unit_test(the_line_says_what_and_for_how_long),
		cmocka_unit_test(without_a_terminal_nothing_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
