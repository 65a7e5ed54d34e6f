/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/base/addr.h"

/* The set that one pattern makes, as text: ranges separated by blanks. */
static const char *set_text(const char *pattern, int *rc, struct err *e)
{
	static char out[4096];
	struct addr_set s = { 0 };
	size_t len = 0;

	out[0] = '\0';
	*rc = addr_set_parse(&s, pattern, e);
	addr_set_seal(&s);
	for (size_t i = 0; i < s.n && len < sizeof(out); i++) {
		char one[ADDR_RANGE_TEXT];

		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s", i ? " " : "",
					addr_range_format(&s.v[i], one));
	}
	addr_set_fini(&s);
	return out;
}

static void patterns_become_the_ranges_they_mean(void **state)
{
	static const struct {
		const char *pattern, *set;
	} good[] = {
		{ "10.0.0.1", "10.0.0.1" },
		{ "::ffff:10.0.0.1", "10.0.0.1" },
		{ "10.1.2.3/8", "10.0.0.0/8" },
		{ "::ffff:10.0.0.0/104", "10.0.0.0/8" },
		{ "0.0.0.0/0", "0.0.0.0/0" },
		{ "::/0", "::/0" },
		{ "*", "0.0.0.0/0 ::/0" },
		{ "10.0.0.3-10.0.0.9", "10.0.0.3-10.0.0.9" },
		{ "10.0.0.0-10.0.0.255", "10.0.0.0/24" },
		{ "192.168.1.*", "192.168.1.0/24" },
		{ "192.168.*", "192.168.0.0/16" },
		{ "10.*.0.1", NULL },
		{ "192.168.1.1?", "192.168.1.10-192.168.1.19" },
		{ "192.168.1.?", "192.168.1.0-192.168.1.9" },
		{ "192.168.1.25*", "192.168.1.25 192.168.1.250-192.168.1.255" },
		{ "2001:db8::/32", "2001:db8::/32" },
		{ "2001:db8:*", "2001:db8::/32" },
		{ "1:2:3:4:5:6:7:*", "1:2:3:4:5:6:7:0/112" },
		{ "fd00::1-fd00::5", "fd00::1-fd00::5" },
		{ "255.255.255.255", "255.255.255.255" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct err e = { 0 };
		int rc;
		const char *text = set_text(good[i].pattern, &rc, &e);

		assert_int_equal(rc, 0);
		if (good[i].set)
			assert_string_equal(text, good[i].set);
	}
}

static void what_is_no_pattern_is_refused_with_a_reason(void **state)
{
	static const struct {
		const char *pattern, *part;
	} bad[] = {
		{ "", "is not an address" },
		{ "10.0.0", "is not an address" },
		{ "10.0.0.256", "is not an address" },
		{ "10.0.0.1/33", "0 to 32" },
		{ "10.0.0.1/", "no prefix length" },
		{ "10.0.0.1/-1", "no prefix length" },
		{ "10.0.0.1/8x", "no prefix length" },
		{ "fd00::/129", "0 to 128" },
		{ "::ffff:10.0.0.0/64", "shorter than /96" },
		{ "10.0.0.9-10.0.0.3", "ends before it starts" },
		{ "10.0.0.1-fd00::1", "mixes IPv4 and IPv6" },
		{ "10.0.0.1-", "after the dash" },
		{ "-10.0.0.1", "before the dash" },
		{ "10.0.0.3??", "no number from 0 to 255" },
		{ "10.0", "is not an address" },
		{ "10.?", "is not an address" },
		{ "*.*.*.5", "more than 65536 ranges" },
		{ "fd00:*:1", "whole groups and one *" },
		{ "fd00::*", "whole groups and one *" },
		{ "fe80::1%eth0", "zone" },
		{ "example.com", "is not an address" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err e = { 0 };
		int rc;

		set_text(bad[i].pattern, &rc, &e);
		assert_true(rc == -EINVAL || rc == -E2BIG);
		if (!strstr(e.msg, bad[i].part))
			fail_msg("\"%s\" gives: %s", bad[i].pattern, e.msg);
	}
}

static void glob_over_a_middle_part_has_one_range_per_value(void **state)
{
	struct addr_set s = { 0 };
	struct addr a;

	(void)state;
	assert_int_equal(addr_set_parse(&s, "10.*.0.1", NULL), 0);
	addr_set_seal(&s);
	assert_int_equal(s.n, 256);
	assert_true(addr_parse("10.77.0.1", &a) && addr_set_has(&s, &a));
	assert_true(addr_parse("10.77.0.2", &a) && !addr_set_has(&s, &a));
	addr_set_fini(&s);
}

static void sealing_merges_what_touches_and_keeps_families_apart(void **state)
{
	struct addr_set s = { 0 };
	char text[ADDR_RANGE_TEXT];

	(void)state;
	addr_set_parse(&s, "10.0.0.128/25", NULL);
	addr_set_parse(&s, "10.0.0.0/25", NULL);
	addr_set_parse(&s, "10.0.0.5", NULL);
	addr_set_parse(&s, "255.255.255.255", NULL);
	addr_set_parse(&s, "::", NULL);
	addr_set_seal(&s);
	assert_int_equal(s.n, 3);
	assert_string_equal(addr_range_format(&s.v[0], text), "10.0.0.0/24");
	addr_set_fini(&s);
}

static void bits_of_a_range_round_up(void **state)
{
	static const struct {
		const char *pattern;
		unsigned bits;
	} v[] = { { "10.0.0.1", 0 },	{ "10.0.0.0/31", 1 },	   { "10.0.0.0-10.0.0.2", 2 },
		  { "10.0.0.0/24", 8 }, { "0.0.0.0/0", 32 },	   { "::/0", 128 },
		  { "fd00::/64", 64 },	{ "10.0.0.7-10.0.0.8", 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
		struct addr_set s = { 0 };

		assert_int_equal(addr_set_parse(&s, v[i].pattern, NULL), 0);
		assert_int_equal(addr_range_bits(&s.v[0]), v[i].bits);
		addr_set_fini(&s);
	}
}

static void next_and_prev_carry_and_stop_at_the_ends(void **state)
{
	struct addr a;
	char text[ADDR_TEXT];

	(void)state;
	addr_parse("10.0.255.255", &a);
	assert_true(addr_next(&a));
	assert_string_equal(addr_format(&a, text), "10.1.0.0");
	assert_true(addr_prev(&a));
	assert_string_equal(addr_format(&a, text), "10.0.255.255");
	addr_parse("255.255.255.255", &a);
	assert_false(addr_next(&a));
	assert_string_equal(addr_format(&a, text), "255.255.255.255");
	addr_parse("::", &a);
	assert_false(addr_prev(&a));
	assert_string_equal(addr_format(&a, text), "::");
}

static void overlap_is_seen_from_both_sides(void **state)
{
	struct addr_set a = { 0 }, b = { 0 };

	(void)state;
	addr_set_parse(&a, "10.0.0.0/24", NULL);
	addr_set_parse(&a, "fd00::/64", NULL);
	addr_set_parse(&b, "10.0.1.0/24", NULL);
	addr_set_seal(&a);
	addr_set_seal(&b);
	assert_false(addr_set_overlaps(&a, &b));
	addr_set_parse(&b, "fd00::5", NULL);
	addr_set_seal(&b);
	assert_true(addr_set_overlaps(&a, &b));
	assert_true(addr_set_overlaps(&b, &a));
	addr_set_fini(&a);
	addr_set_fini(&b);
}

static void addresses_that_are_no_host_are_known(void **state)
{
	static const struct {
		const char *text;
		bool broadcast, link_local;
	} cases[] = {
		{ "255.255.255.255", true, false },  { "::ffff:255.255.255.255", true, false },
		{ "255.255.255.254", false, false }, { "ffff:ffff::", false, false },
		{ "fe80::1", false, true },	     { "febf:ffff::1", false, true },
		{ "fe7f::1", false, false },	     { "fec0::1", false, false },
		{ "254.128.0.1", false, false },     { "fd00::1", false, false },
	};
	struct addr a;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_true(addr_parse(cases[i].text, &a));
		assert_int_equal(addr_is_broadcast(&a), cases[i].broadcast);
		assert_int_equal(addr_is_link_local_v6(&a), cases[i].link_local);
	}
}

static void where_no_name_may_lead_is_known(void **state)
{
	static const char *const nowhere[] = {
		"0.0.0.0",     "0.1.2.3", "224.0.0.1", "239.255.255.255", "255.255.255.255",
		"169.254.0.1", "::",	  "fe80::1",   "ff02::1",	  "::7f00:1",
	};
	static const char *const somewhere[] = { "1.0.0.0",	"10.0.0.1",	 "127.0.0.1",
						 "169.253.0.1", "::1",		 "fd00::1",
						 "2001:db8::1", "64:ff9b::a00:1" };
	struct addr a = { .family = ADDR_V6,
			  .bytes = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1 } };

	(void)state;
	assert_true(addr_is_nowhere(&a)); /* ::ffff:10.0.0.1, as no text becomes */
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(*nowhere); i++)
		if (!addr_parse(nowhere[i], &a) || !addr_is_nowhere(&a))
			fail_msg("%s", nowhere[i]);
	for (size_t i = 0; i < sizeof(somewhere) / sizeof(*somewhere); i++)
		if (!addr_parse(somewhere[i], &a) || addr_is_nowhere(&a))
			fail_msg("%s", somewhere[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_become_the_ranges_they_mean),
		cmocka_unit_test(what_is_no_pattern_is_refused_with_a_reason),
		cmocka_unit_test(glob_over_a_middle_part_has_one_range_per_value),
		cmocka_unit_test(sealing_merges_what_touches_and_keeps_families_apart),
		cmocka_unit_test(bits_of_a_range_round_up),
		cmocka_unit_test(next_and_prev_carry_and_stop_at_the_ends),
		cmocka_unit_test(overlap_is_seen_from_both_sides),
		cmocka_unit_test(addresses_that_are_no_host_are_known),
		cmocka_unit_test(where_no_name_may_lead_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
