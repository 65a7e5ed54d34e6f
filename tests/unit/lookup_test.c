// SPDX-License-Identifier: GPL-2.0-or-later
/* Names that clients choose, against a name server of the tests (tests/tools/dnsd.c, in a child).
 */
#include "tests/unit/dnsd_fixture.h"

#include "ctl/base/clock.h"
#include "dataplane/lookup.h"
#include "dataplane/names.h"
#include "tests/unit/loop_fixture.h"

#define PATIENCE_MS 10000

static struct loop *loop;
static struct lookup *lookup;
static unsigned n_answered;

/* ---- the asker ---- */

static void open_with(struct names_config c, unsigned names_max, unsigned asked_max)
{
	const char *servers[] = { server };
	struct err e = { 0 };

	c.servers = servers;
	c.n_servers = 1;
	if (!c.timeout_ms)
		c.timeout_ms = 2000;
	c.tries = 1;
	loop = loop_new(&e);
	assert_non_null(loop);
	lookup = lookup_new(loop, &c, names_max, asked_max, &e);
	assert_non_null(lookup);
	unlink(log_file);
	n_answered = 0;
}

static void close_all(void)
{
	lookup_free(lookup);
	loop_free(loop);
}

static void answered(struct lookup_ask *a)
{
	(void)a;
	n_answered++;
}

static void want(struct lookup_ask *a, const char *name)
{
	*a = (struct lookup_ask){ .answered = answered };
	snprintf(a->name, sizeof(a->name), "%s", name);
	lookup_ask(lookup, a);
}

static void turn_until(unsigned n)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	while (n_answered < n) {
		if (clock_mono_ms() > end)
			fail_msg("%u of %u answers", n_answered, n);
		loop_run_ms(loop, 5);
	}
}

static const char *text_of(const struct lookup_ask *a)
{
	static char out[512];
	char text[ADDR_TEXT];

	out[0] = '\0';
	for (unsigned i = 0; i < a->n; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i ? " " : "",
			 addr_format(&a->v[i], text));
	return out;
}

/* ---- the tests ---- */

static void a_name_is_asked_once_for_all_who_want_it(void **state)
{
	struct lookup_ask a[3];

	(void)state;
	zone_is("a.test A 10.0.0.1 60\na.test AAAA fd00::1 60\n");
	open_with((struct names_config){ 0 }, 0, 0);
	want(&a[0], "a.test");
	want(&a[1], "a.test");
	turn_until(2);
	want(&a[2], "a.test"); /* known */
	assert_int_equal(n_answered, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(a[i].n, 2);
		assert_non_null(strstr(text_of(&a[i]), "10.0.0.1"));
		assert_non_null(strstr(text_of(&a[i]), "fd00::1"));
	}
	assert_int_equal(asked("a.test A "), 1);
	assert_int_equal(asked("a.test AAAA "), 1);
	close_all();
}

static void what_is_old_is_asked_again(void **state)
{
	struct lookup_ask a;

	(void)state;
	zone_is("a.test A 10.0.0.1 60\n");
	open_with((struct names_config){ .ttl_min_ms = 50, .ttl_max_ms = 50 }, 0, 0);
	want(&a, "a.test");
	turn_until(1);
	zone_is("a.test A 10.0.0.2 60\n");
	loop_run_ms(loop, 100);
	want(&a, "a.test");
	turn_until(2);
	assert_string_equal(text_of(&a), "10.0.0.2");
	/* Nobody can say: what was known holds. */
	zone_is("a.test mode servfail\n");
	loop_run_ms(loop, 100);
	want(&a, "a.test");
	turn_until(3);
	assert_string_equal(text_of(&a), "10.0.0.2");
	close_all();
}

static void that_there_is_none_is_kept_too(void **state)
{
	struct lookup_ask a;

	(void)state;
	zone_is("b.test A 10.0.0.1 60\n");
	open_with((struct names_config){ 0 }, 0, 0);
	want(&a, "a.test");
	turn_until(1);
	assert_int_equal(a.n, 0);
	want(&a, "a.test");
	assert_int_equal(n_answered, 2);
	assert_int_equal(asked("a.test A "), 1);
	close_all();
}

static void the_table_is_bounded_and_the_oldest_goes(void **state)
{
	struct lookup_ask a;
	char lines[4096] = "", name[32];

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		snprintf(lines + strlen(lines), sizeof(lines) - strlen(lines),
			 "n%u.test A 10.0.0.%u 60\n", i, i + 1);
	zone_is(lines);
	open_with((struct names_config){ 0 }, 8, 4);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%u.test", i);
		want(&a, name);
		turn_until(2 * i + 1);
		assert_int_equal(a.n, 1);
		want(&a, "n0.test"); /* is always in use */
		turn_until(2 * i + 2);
		assert_true(lookup_counts(lookup).names <= 8);
	}
	assert_int_equal(lookup_counts(lookup).names, 8);
	assert_int_equal(asked("n0.test A "), 1);
	want(&a, "n39.test");
	assert_int_equal(n_answered, 81);
	assert_int_equal(asked("n1.test A "), 1);
	want(&a, "n1.test");
	turn_until(82);
	assert_int_equal(asked("n1.test A "), 2);
	close_all();
}

static void no_more_are_asked_at_a_time_than_the_bound(void **state)
{
	struct lookup_ask a[6];

	(void)state;
	zone_is("* mode silent\n");
	open_with((struct names_config){ .timeout_ms = 300 }, 8, 4);
	for (unsigned i = 0; i < 6; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%u.test", i);
		want(&a[i], name);
	}
	assert_int_equal(n_answered, 2);
	assert_int_equal(lookup_counts(lookup).asked, 4);
	assert_int_equal(lookup_counts(lookup).names, 4);
	assert_int_equal(lookup_counts(lookup).refused, 2);
	turn_until(6);
	assert_int_equal(lookup_counts(lookup).asked, 0);
	close_all();
}

static void who_has_left_is_not_answered(void **state)
{
	struct lookup_ask a[2], *gone = malloc(sizeof(*gone));

	(void)state;
	assert_non_null(gone);
	zone_is("a.test A 10.0.0.1 60\n");
	open_with((struct names_config){ 0 }, 0, 0);
	want(&a[0], "a.test");
	want(gone, "a.test");
	want(&a[1], "a.test");
	lookup_forget(gone);
	lookup_forget(gone);
	free(gone);
	turn_until(2);
	assert_int_equal(n_answered, 2);
	lookup_forget(&a[0]);
	want(&a[0], "b.test");
	close_all(); /* asked, and nobody to tell */
	assert_int_equal(n_answered, 2);
}

static void what_is_known_here_is_not_asked(void **state)
{
	struct lookup_ask a;

	(void)state;
	zone_is("db.lan A 10.0.0.9\n");
	open_with((struct names_config){ .hosts = "10.0.0.1 db.lan\n" }, 0, 0);
	want(&a, "db.lan");
	assert_string_equal(text_of(&a), "10.0.0.1");
	want(&a, "x.localhost");
	assert_string_equal(text_of(&a), "127.0.0.1 ::1");
	assert_int_equal(asked("db.lan"), 0);
	close_all();
}

static void what_a_name_server_says_of_this_host_is_not_believed(void **state)
{
	struct lookup_ask a;

	(void)state;
	zone_is("evil.test A 127.0.0.1\nevil.test A 127.8.8.8\nevil.test A 169.254.169.254\n"
		"evil.test A 0.0.0.7\nevil.test AAAA ::1\nevil.test AAAA ::ffff:127.0.0.1\n"
		"half.test A 127.0.0.1\nhalf.test A 10.0.0.1\nhalf.test AAAA fe80::1\n");
	open_with((struct names_config){ .hosts = "127.0.0.5 own.test\n" }, 0, 0);
	want(&a, "evil.test");
	turn_until(1);
	assert_int_equal(a.n, 0);
	want(&a, "half.test");
	turn_until(2);
	assert_string_equal(text_of(&a), "10.0.0.1");
	want(&a, "own.test"); /* what the file says is another matter */
	turn_until(3);
	assert_string_equal(text_of(&a), "127.0.0.5");
	close_all();
}

/* Who waits gets the answer of the new server; what was known holds until that says otherwise. */
static void other_servers_are_asked_for_who_waits_too(void **state)
{
	const char *servers[] = { server }, *nobody[] = { "127.0.0.1:1" };
	struct names_config c = {
		.servers = servers, .n_servers = 1, .timeout_ms = 2000, .tries = 1
	};
	struct lookup_ask a, b, known;
	struct err e = { 0 };

	(void)state;
	zone_is("slow.test mode silent\nknown.test A 10.0.0.1 300\n");
	open_with((struct names_config){ 0 }, 0, 0);
	want(&known, "known.test");
	turn_until(1);
	want(&a, "slow.test");
	want(&b, "slow.test");
	loop_run_ms(loop, 20);
	lookup_forget(&b);
	zone_is("slow.test A 10.0.0.2 300\nknown.test A 10.0.0.3 300\n");
	assert_int_equal(lookup_configure(lookup, &c, &e), 0);
	turn_until(2);
	assert_string_equal(text_of(&a), "10.0.0.2");
	want(&known, "known.test");
	turn_until(3);
	assert_string_equal(text_of(&known), "10.0.0.3");

	c.servers = nobody;
	c.hosts = "10.0.0.9 slow.test\n";
	assert_int_equal(lookup_configure(lookup, &c, &e), 0);
	want(&a, "slow.test");
	turn_until(4);
	assert_string_equal(text_of(&a), "10.0.0.9");
	c.hosts = NULL;
	assert_int_equal(lookup_configure(lookup, &c, &e), 0);
	want(&a, "slow.test"); /* nobody can say: what was good last */
	turn_until(5);
	assert_string_equal(text_of(&a), "10.0.0.9");

	servers[0] = "no server";
	c.servers = servers;
	assert_int_not_equal(lookup_configure(lookup, &c, &e), 0);
	want(&a, "slow.test");
	turn_until(6);
	assert_int_equal(lookup_counts(lookup).asked, 0);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_asked_once_for_all_who_want_it),
		cmocka_unit_test(what_is_old_is_asked_again),
		cmocka_unit_test(that_there_is_none_is_kept_too),
		cmocka_unit_test(the_table_is_bounded_and_the_oldest_goes),
		cmocka_unit_test(no_more_are_asked_at_a_time_than_the_bound),
		cmocka_unit_test(who_has_left_is_not_answered),
		cmocka_unit_test(what_is_known_here_is_not_asked),
		cmocka_unit_test(what_a_name_server_says_of_this_host_is_not_believed),
		cmocka_unit_test(other_servers_are_asked_for_who_waits_too),
	};

	return cmocka_run_group_tests_name("lookup", tests, server_start, server_stop);
}
