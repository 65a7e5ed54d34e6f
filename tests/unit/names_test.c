// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names on a loop, against a name server of the tests on loopback (tests/tools/dnsd.c, in a child):
 * what is asked, what is kept, and what ill servers do.
 */
#include "tests/unit/dnsd_fixture.h"

#include <seccomp.h>

#include "ctl/base/clock.h"
#include "dataplane/dns.h"
#include "dataplane/hosts.h"
#include "dataplane/names.h"
#include "tests/unit/loop_fixture.h"

#define PATIENCE_MS 10000

static const char could_not[] = "no name server could say (unreachable, or it failed)";

static struct loop *loop;
static struct names *names;
static struct {
	char name[64], addrs[8 * 1024];
	unsigned calls, n, ttl_s, empties;
	const char *why;
} said;

/* ---- the names ---- */

static void changed(void *arg, const char *name, const struct addr *v, unsigned n, unsigned ttl_s)
{
	char text[ADDR_TEXT];

	(void)arg;
	snprintf(said.name, sizeof(said.name), "%s", name);
	said.addrs[0] = '\0';
	said.calls++;
	said.n = n;
	said.ttl_s = ttl_s;
	for (unsigned i = 0; i < n; i++) {
		assert_true(!i || addr_cmp(&v[i - 1], &v[i]) < 0);
		strcat(said.addrs, i ? " " : "");
		strcat(said.addrs, addr_format(&v[i], text));
	}
}

static void empty(void *arg, const char *name, const char *why)
{
	(void)arg;
	assert_string_equal(name, "web.test");
	said.empties++;
	said.why = why;
}

static void names_start_with(struct names_config c)
{
	const char *servers[] = { server };
	struct err e = { 0 };

	if (!c.servers) { /* given, but with n_servers 0: none at all */
		c.servers = servers;
		c.n_servers = 1;
	}
	if (!c.timeout_ms) {
		c.timeout_ms = 100;
		c.tries = 2;
	}
	c.empty = empty;
	names = names_new(loop, &c, changed, NULL, &e);
	if (!names)
		fail_msg("%s", e.msg);
}

static void names_start(void)
{
	names_start_with((struct names_config){
		.ttl_min_ms = 20, .ttl_max_ms = 300000, .retry_min_ms = 20, .retry_max_ms = 80 });
}

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	memset(&said, 0, sizeof(said));
	unlink(log_file);
	loop = loop_new(&e);
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	names_free(names);
	names = NULL;
	loop_free(loop);
	return 0;
}

static void follow(const char *name)
{
	assert_int_equal(names_follow(names, &name, 1), 0);
}

static struct names_status look(unsigned i)
{
	struct names_status s = { 0 };

	assert_true(names_look(names, i, &s));
	return s;
}

#define eventually(claim)                                                     \
	do {                                                                  \
		int64_t until_ms = clock_mono_ms() + PATIENCE_MS;             \
		while (!(claim) && clock_mono_ms() < until_ms)                \
			loop_run_ms(loop, 5);                                 \
		if (!(claim))                                                 \
			fail_msg("never: %s (%s; %s)", #claim, said.addrs,    \
				 look(0).error ? look(0).error : "no error"); \
	} while (0)

static bool said_is(const char *addrs)
{
	return !strcmp(said.addrs, addrs);
}

static bool error_is(const char *why)
{
	const char *error = look(0).error;

	return error && !strcmp(error, why);
}

/* ---- claims ---- */

static void both_families_are_asked_and_sorted(void **state)
{
	(void)state;
	zone_is("web.test A 10.0.0.2 7\nweb.test AAAA fd00::1 9\nweb.test A 10.0.0.1 8\n"
		"web.test A 10.0.0.2 7\nweb.test A 0.0.0.0 9\nweb.test A 224.0.0.1 9\n");
	names_start_with((struct names_config){ 0 });
	follow("web.test");
	eventually(said.calls == 1);
	assert_string_equal(said.addrs, "10.0.0.1 10.0.0.2 fd00::1");
	assert_string_equal(said.name, "web.test");
	assert_int_equal(said.ttl_s, 7);
	assert_int_equal(look(0).n_addresses, 3);
	assert_null(look(0).error);
	assert_in_range(look(0).next_ms, 1, 7000);
	assert_in_range(look(0).age_ms, 0, 5000);
}

static void ttl_has_a_floor_and_a_ceiling(void **state)
{
	static const struct {
		const char *zone;
		unsigned ttl_s;
	} cases[] = {
		{ "web.test A 10.0.0.1 0\n", 5 },
		{ "web.test A 10.0.0.1 4\n", 5 },
		{ "web.test A 10.0.0.1 6\n", 6 },
		{ "web.test A 10.0.0.1 299\n", 299 },
		{ "web.test A 10.0.0.1 301\n", 300 },
		{ "web.test A 10.0.0.1 4294967295\n", 5 }, /* RFC 2181, 8: as 0 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		zone_is(cases[i].zone);
		names_start_with((struct names_config){ 0 });
		said.calls = 0;
		follow("web.test");
		eventually(said.calls == 1);
		if (said.ttl_s != cases[i].ttl_s)
			fail_msg("%zu: %u", i, said.ttl_s);
		names_free(names);
		names = NULL;
	}
}

static void a_change_is_told_once_and_the_same_again_is_not(void **state)
{
	unsigned before;

	(void)state;
	zone_is("web.test A 10.0.0.1 0\n");
	names_start();
	follow("web.test");
	eventually(said_is("10.0.0.1"));
	before = asked("web.test A udp");
	eventually(asked("web.test A udp") > before + 3);
	assert_int_equal(said.calls, 1);
	zone_is("web.test A 10.0.0.2 0\n");
	eventually(said_is("10.0.0.2"));
	assert_int_equal(said.calls, 2);
}

static void the_last_good_answer_is_kept(void **state)
{
	static const char not_believed[] = "it has no address that may be a target";
	static const struct {
		const char *mode, *why;
	} cases[] = {
		{ "web.test mode servfail\n", could_not },
		{ "web.test mode refused\n", could_not },
		{ "web.test mode silent\n", "no name server answered" },
		{ "web.test mode garbage\n", "no name server answered" },
		{ "web.test A 10.0.0.9\nweb.test AAAA fd00::9\nweb.test mode broken\n",
		  "the answer makes no sense" },
		{ "", "no such name" },
		{ "web.test TXT nothing\n", "it has no address" },
		{ "web.test A 0.0.0.0\n", not_believed },
		{ "web.test A 127.0.0.1\nweb.test AAAA ::1\n", not_believed },
		{ "web.test A 169.254.169.254\nweb.test AAAA fe80::1\n", not_believed },
		{ "web.test A 0.1.2.3\nweb.test AAAA ::ffff:127.0.0.1\n", not_believed },
		{ "web.test CNAME web.test\n", NULL },
	};

	(void)state;
	zone_is("web.test A 10.0.0.1 0\n");
	names_start();
	follow("web.test");
	eventually(said_is("10.0.0.1"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		zone_is(cases[i].mode);
		if (cases[i].why)
			eventually(error_is(cases[i].why));
		else
			eventually(look(0).error);
		assert_int_equal(look(0).n_addresses, 1);
		assert_int_equal(said.calls, 1);
		zone_is("web.test A 10.0.0.1 0\n");
		eventually(!look(0).error);
	}
}

static void that_a_name_has_nothing_is_told_once(void **state)
{
	unsigned before;

	(void)state;
	zone_is("web.test A 127.0.0.1 0\n");
	names_start();
	follow("web.test");
	eventually(said.empties == 1);
	assert_string_equal(said.why, "it has no address that may be a target");
	before = asked("web.test A udp");
	eventually(asked("web.test A udp") > before + 3);
	assert_int_equal(said.empties, 1);
	zone_is("");
	eventually(said.empties == 2);
	assert_string_equal(said.why, "no such name");
	/* Who cannot be asked has not said so. */
	zone_is("web.test mode silent\n");
	eventually(error_is("no name server answered"));
	assert_int_equal(said.empties, 2);
	zone_is("web.test A 10.0.0.1 0\n");
	eventually(said_is("10.0.0.1"));
	zone_is("");
	eventually(said.empties == 3);
}

static void a_family_that_failed_keeps_its_addresses(void **state)
{
	(void)state;
	zone_is("web.test A 10.0.0.1 0\nweb.test AAAA fd00::1 0\n");
	names_start();
	follow("web.test");
	eventually(said_is("10.0.0.1 fd00::1"));
	zone_is("web.test A 10.0.0.2 0\nweb.test AAAA fd00::2 0\nweb.test mode6 servfail\n");
	eventually(said_is("10.0.0.2 fd00::1"));
	assert_string_equal(look(0).error, could_not);
	zone_is("web.test A 10.0.0.2 0\n");
	eventually(said_is("10.0.0.2"));
	zone_is("web.test AAAA fd00::3 0\n");
	eventually(said_is("fd00::3"));
}

static void pauses_grow_up_to_their_bound(void **state)
{
	unsigned n;

	(void)state;
	zone_is("");
	names_start_with((struct names_config){ .retry_min_ms = 50, .retry_max_ms = 400 });
	follow("web.test");
	eventually(look(0).error);
	loop_run_ms(loop, 1000); /* asked at about 0, 50, 150, 350, 750 */
	n = asked("web.test A udp");
	assert_in_range(n, 2, 5);
	assert_in_range(look(0).next_ms, 0, 400);
	assert_int_equal(said.calls, 0);
	assert_int_equal(look(0).age_ms, -1);
	eventually(asked("web.test A udp") > n); /* it never gives up */
	zone_is("web.test A 10.0.0.1\n");
	eventually(said_is("10.0.0.1"));
}

static void search_and_ndots_say_what_is_asked(void **state)
{
	static const char *const suffixes[] = { "one.test", "two.test." };

	(void)state;
	zone_is("web.two.test A 10.0.0.1\nweb A 10.0.0.9\n"
		"a.b A 10.0.0.2\na.b.one.test A 10.0.0.8\nlone A 10.0.0.3\n");
	names_start_with((struct names_config){ .search = suffixes, .n_search = 2, .ndots = 1 });
	follow("web");
	eventually(said_is("10.0.0.1"));
	assert_int_equal(asked("web.one.test A udp"), 1);
	assert_int_equal(asked("web A udp"), 0);
	follow("a.b");
	eventually(said_is("10.0.0.2"));
	assert_int_equal(asked("a.b.one.test"), 0);
	follow("lone");
	eventually(said_is("10.0.0.3"));
	assert_int_equal(asked("lone.one.test A udp"), 1);
	assert_int_equal(asked("lone.two.test A udp"), 1);
	follow("web.");
	eventually(said_is("10.0.0.9"));
	assert_int_equal(asked("web.one.test A udp"), 1);
}

static void an_ill_suffix_does_not_hand_over_to_the_next(void **state)
{
	static const char *const suffixes[] = { "one.test", "two.test" };

	(void)state;
	zone_is("web.one.test mode servfail\nweb.two.test A 10.0.0.1\n");
	names_start_with((struct names_config){ .search = suffixes, .n_search = 2, .ndots = 1 });
	follow("web");
	eventually(error_is(could_not));
	assert_int_equal(asked("web.two.test"), 0);
}

static void localhost_and_hosts_are_never_asked(void **state)
{
	(void)state;
	zone_is("localhost A 10.0.0.1\nown.test A 10.0.0.1\n");
	names_start_with((struct names_config){ .hosts = "127.0.0.1 localhost\n"
							 "10.9.9.9 a own.test # x\n"
							 "fd00::9 OWN.test" });
	follow("localhost");
	eventually(said_is("127.0.0.1"));
	follow("x.localhost.");
	eventually(said_is("127.0.0.1 ::1"));
	follow("own.test");
	eventually(said_is("10.9.9.9 fd00::9"));
	assert_int_equal(look(0).next_ms, -1);
	loop_run_ms(loop, 50);
	assert_int_equal(said.calls, 3);
	assert_int_equal(asked(""), 0);
}

static void aliases_are_followed_and_bound_the_ttl(void **state)
{
	(void)state;
	zone_is("web.test CNAME b.test 30\nb.test CNAME c.test 8\nc.test A 10.0.0.1 60\n");
	names_start_with((struct names_config){ 0 });
	follow("web.test");
	eventually(said_is("10.0.0.1"));
	assert_int_equal(said.ttl_s, 8);
	assert_null(look(0).error);
}

static void more_than_fit_come_over_tcp_and_are_cut(void **state)
{
	char zone_text[16 * 1024] = "web.test mode truncated\n", *p = zone_text;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		p += strlen(p);
		snprintf(p, 64, "web.test A 10.0.0.%u\n", 200 - i);
	}
	zone_is(zone_text);
	names_start();
	follow("web.test");
	eventually(said.calls == 1);
	assert_int_equal(said.n, NAMES_ADDRESSES_MAX);
	assert_memory_equal(said.addrs, "10.0.0.101 10.0.0.102", 21);
	assert_true(asked("web.test A udp") && asked("web.test A tcp"));
}

static void without_a_server_it_says_so(void **state)
{
	static const char *const none[] = { "" };

	(void)state;
	names_start_with((struct names_config){ .servers = none, .n_servers = 0 });
	follow("web.test");
	eventually(error_is("there is no name server"));
	assert_int_equal(said.calls, 0);
	assert_int_equal(look(0).next_ms > 0, true);
}

static void a_dead_server_hands_over_to_the_next(void **state)
{
	const char *servers[] = { "127.0.0.1:1", server };

	(void)state;
	zone_is("web.test A 10.0.0.1\n");
	names_start_with((struct names_config){ .servers = servers, .n_servers = 2 });
	follow("web.test");
	eventually(said_is("10.0.0.1"));
}

static void what_was_known_before_is_kept_until_there_is_an_answer(void **state)
{
	const char *v[] = { "other.test", "web.test", "web.test" };
	struct addr a;

	(void)state;
	zone_is("*  mode silent\n");
	names_start();
	assert_int_equal(names_follow(names, v, 3), 0);
	assert_true(addr_parse("10.0.0.7", &a));
	names_remember(names, "web.test", &a, 1);
	names_remember(names, "nobody.test", &a, 1);
	eventually(look(1).error);
	assert_int_equal(look(1).n_addresses, 1);
	assert_int_equal(look(0).n_addresses, 0);
	assert_false(names_look(names, 2, &(struct names_status){ 0 }));
	follow("web.test");
	assert_int_equal(look(0).n_addresses, 1);
	assert_true(look(0).age_ms >= 0);
	zone_is("web.test A 10.0.0.8 0\n");
	eventually(said_is("10.0.0.8"));
	names_remember(names, "web.test", &a, 1);
	assert_int_equal(said.calls, 1);
	assert_int_equal(look(0).n_addresses, 1);
}

static void names_that_leave_while_they_are_asked_are_not_told(void **state)
{
	static char text[500][32];
	const char *v[500];

	(void)state;
	zone_is("* mode silent\n");
	for (unsigned i = 0; i < 500; i++) {
		snprintf(text[i], sizeof(text[i]), "n%u.test", i);
		v[i] = text[i];
	}
	names_start();
	assert_int_equal(names_follow(names, v, 500), 0);
	loop_run_ms(loop, 30);
	zone_is("n499.test A 10.0.0.1\nn1.test A 10.0.0.1\n");
	assert_int_equal(names_follow(names, v + 499, 1), 0);
	eventually(said.calls == 1);
	loop_run_ms(loop, 300);
	assert_string_equal(said.name, "n499.test");
	assert_int_equal(said.calls, 1);
}

static void many_names_are_all_answered(void **state)
{
	static char text[400][32], zone_text[400 * 64];
	const char *v[400];
	char *p = zone_text;

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		snprintf(text[i], sizeof(text[i]), "n%u.test", i);
		p += sprintf(p, "n%u.test A 10.0.%u.1 100\n", i, i % 200);
		v[i] = text[i];
	}
	zone_is(zone_text);
	names_start_with((struct names_config){ .timeout_ms = 2000, .tries = 3 });
	assert_int_equal(names_follow(names, v, 400), 0);
	eventually(said.calls == 400);
}

static void free_from_changed(void *arg, const char *name, const struct addr *v, unsigned n,
			      unsigned ttl_s)
{
	changed(arg, name, v, n, ttl_s);
	names_free(names);
	names = NULL;
	loop_stop(loop);
}

static void changed_may_free_everything(void **state)
{
	const char *servers[] = { server }, *v[] = { "a.test", "b.test" };
	const struct names_config c = { .servers = servers, .n_servers = 1 };
	struct err e = { 0 };

	(void)state;
	zone_is("a.test A 10.0.0.1\nb.test A 10.0.0.1\n");
	names = names_new(loop, &c, free_from_changed, NULL, &e);
	assert_int_equal(names_follow(names, v, 2), 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(said.calls, 1);
}

/* In a child that may not open files any more: as after the dataplane's own filter. */
static int resolve_sealed(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	names_start_with((struct names_config){ .timeout_ms = 1000, .tries = 2 });
	seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(openat), 0);
	seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(open), 0);
	if (seccomp_load(filter) || names_follow(names, (const char *[]){ "web.test" }, 1))
		return 2;
	for (unsigned i = 0; i < 1000 && !said.calls; i++)
		loop_run_ms(loop, 5);
	return !said_is("10.0.0.1");
}

static void no_file_is_opened_once_it_runs(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	zone_is("web.test mode truncated\nweb.test A 10.0.0.1\n");
	pid = fork();
	if (!pid)
		_exit(resolve_sealed());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void servers_that_are_none_are_named(void **state)
{
	static const char *const bad[] = {
		"",	    "x",	  "10.0.0.1:",	   "10.0.0.1:0",   "10.0.0.1:65536",
		"[fd00::1", "[fd00::1]x", "[10.0.0.1]:53", "fe80::1%eth0", "10.0.0.1:5 3"
	};
	static const char *const good[] = { "10.0.0.1", "10.0.0.1:5353", "fd00::1", "[fd00::1]",
					    "[fd00::1]:5353" };
	char said_text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct names_config c = { .servers = &bad[i], .n_servers = 1 };
		struct err e = { 0 };

		assert_null(names_new(loop, &c, changed, NULL, &e));
		snprintf(said_text, sizeof(said_text), "\"%s\" is no address of a name server",
			 bad[i]);
		assert_string_equal(e.msg, said_text);
		assert_int_equal(e.code, -EINVAL);
	}
	names_start_with((struct names_config){ .servers = good, .n_servers = 5 });
}

static void hosts_lines_that_are_none_are_skipped(void **state)
{
	static const char text[] = "# web 10.0.0.1\n10.0.0.1\n\n10.0.0.2 webx\nweb 10.0.0.3\n"
				   "10.0.0.300 web\n#10.0.0.4 web\n10.0.0.5 x # web\n"
				   "\t10.0.0.6\tx\tWEB\r\n10.0.0.7 web\n fe80::1%eth0 web\n::1 web";
	struct hosts *h = hosts_new(text), *none = hosts_new(NULL);
	struct addr v[2];
	char out[ADDR_TEXT];

	(void)state;
	assert_int_equal(hosts_find(h, "web", v, 2), 2);
	assert_string_equal(addr_format(&v[0], out), "10.0.0.6");
	assert_string_equal(addr_format(&v[1], out), "10.0.0.7");
	assert_int_equal(hosts_find(h, "Web.", v, 1), 1);
	assert_int_equal(hosts_find(h, "we", v, 2), 0);
	assert_int_equal(hosts_find(h, "webs", v, 2), 0);
	assert_int_equal(hosts_find(h, "", v, 2), 0);
	assert_int_equal(hosts_find(none, "web", v, 2), 0);
	hosts_free(h);
	hosts_free(none);
}

/* Where each name were sought line by line, this would take a minute. */
static void each_of_many_hosts_is_found(void **state)
{
	enum { MANY = 50000 };
	char *text = malloc(MANY * 32), name[32], out[ADDR_TEXT], expected[ADDR_TEXT];
	struct addr a;
	struct hosts *h;
	size_t at = 0;

	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i < MANY; i++)
		at += (size_t)sprintf(text + at, "10.1.%u.%u h%u\n", i >> 8, i & 255, i);
	h = hosts_new(text);
	free(text);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "h%u", i);
		snprintf(expected, sizeof(expected), "10.1.%u.%u", i >> 8, i & 255);
		assert_int_equal(hosts_find(h, name, &a, 1), 1);
		assert_string_equal(addr_format(&a, out), expected);
	}
	hosts_free(h);
}

/* In whatever state a name is: asked, between two questions, and said by this host itself. */
static void other_sources_are_looked_at_anew(void **state)
{
	const char *servers[] = { server };
	struct names_config c = {
		.servers = servers, .n_servers = 1, .timeout_ms = 100, .tries = 2
	};
	struct err e = { 0 };

	(void)state;
	zone_is("web.test mode silent\n");
	names_start();
	follow("web.test");
	loop_run_ms(loop, 20);
	zone_is("web.test A 10.0.0.1 300\n");
	assert_int_equal(names_configure(names, &c, &e), 0);
	eventually(said_is("10.0.0.1"));
	zone_is("web.test A 10.0.0.2 300\n");
	assert_int_equal(names_configure(names, &c, &e), 0);
	eventually(said_is("10.0.0.2"));

	c.hosts = "10.0.0.9 web.test\n";
	assert_int_equal(names_configure(names, &c, &e), 0);
	eventually(said_is("10.0.0.9"));
	assert_int_equal(look(0).next_ms, -1);
	/* The same again is still not asked. */
	assert_int_equal(names_configure(names, &c, &e), 0);
	loop_run_ms(loop, 20);
	assert_int_equal(look(0).next_ms, -1);
	assert_string_equal(said.addrs, "10.0.0.9");

	/* Neither: what was good last holds. */
	zone_is("");
	c.hosts = NULL;
	assert_int_equal(names_configure(names, &c, &e), 0);
	eventually(look(0).error);
	assert_int_equal(look(0).n_addresses, 1);
	servers[0] = "no server";
	assert_int_not_equal(names_configure(names, &c, &e), 0);
	servers[0] = server;
	zone_is("web.test A 10.0.0.3 300\n");
	eventually(said_is("10.0.0.3"));
}

#define claim(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		claim(both_families_are_asked_and_sorted),
		claim(ttl_has_a_floor_and_a_ceiling),
		claim(a_change_is_told_once_and_the_same_again_is_not),
		claim(the_last_good_answer_is_kept),
		claim(that_a_name_has_nothing_is_told_once),
		claim(a_family_that_failed_keeps_its_addresses),
		claim(pauses_grow_up_to_their_bound),
		claim(search_and_ndots_say_what_is_asked),
		claim(an_ill_suffix_does_not_hand_over_to_the_next),
		claim(localhost_and_hosts_are_never_asked),
		claim(aliases_are_followed_and_bound_the_ttl),
		claim(more_than_fit_come_over_tcp_and_are_cut),
		claim(without_a_server_it_says_so),
		claim(a_dead_server_hands_over_to_the_next),
		claim(what_was_known_before_is_kept_until_there_is_an_answer),
		claim(names_that_leave_while_they_are_asked_are_not_told),
		claim(many_names_are_all_answered),
		claim(changed_may_free_everything),
		claim(no_file_is_opened_once_it_runs),
		claim(servers_that_are_none_are_named),
		claim(other_sources_are_looked_at_anew),
		claim(hosts_lines_that_are_none_are_skipped),
		cmocka_unit_test(each_of_many_hosts_is_found),
	};

	return cmocka_run_group_tests(tests, server_start, server_stop);
}
