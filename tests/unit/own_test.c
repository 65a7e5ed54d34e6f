/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which addresses are this host's: in a network namespace of its own, so as root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/resource.h>

#include "dataplane/own.h"
#include "tests/unit/netns.h"

static void run(const char *command)
{
	if (system(command))
		fail_msg("%s", command);
}

static int is_own(const char *text)
{
	struct own_addresses nothing_kept = { 0 };
	struct addr a;

	assert_true(addr_parse(text, &a));
	return own_address(&nothing_kept, &a, 1);
}

static int begin(void **state)
{
	(void)state;
	if (!ns_is_ready)
		return 0;
	run("ip link add d0 type veth peer name d1 && ip link set d1 up && ip link set d0 up &&"
	    "ip addr add 10.7.0.1/24 dev d0 && ip addr add 10.7.0.2/24 dev d0 &&"
	    "ip addr add fd77::1/64 dev d0 nodad && ip addr add fd77::2/64 dev d0 nodad &&"
	    "ip route add local 10.8.0.0/24 dev lo && ip route add default via 10.7.0.9");
	return 0;
}

static void addresses_of_this_host(void **state)
{
	static const char *const own[] = { "127.0.0.1", "127.9.9.9", "::1",	"10.7.0.1",
					   "10.7.0.2",	"fd77::1",   "fd77::2", "10.8.0.7" };
	static const char *const other[] = { "10.7.0.3", "fd77::3", "192.0.2.1", "2001:db8::1",
					     "10.9.0.1" };

	(void)state;
	ns_need();
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (is_own(own[i]) != 1)
			fail_msg("%s is not", own[i]);
	for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++)
		if (is_own(other[i]))
			fail_msg("%s is", other[i]);
}

static void where_anything_can_be_bound_to_that_says_nothing(void **state)
{
	(void)state;
	ns_need();
	run("sysctl -qw net.ipv4.ip_nonlocal_bind=1 net.ipv6.ip_nonlocal_bind=1");
	assert_int_equal(is_own("10.7.0.3"), 0);
	assert_int_equal(is_own("2001:db8::1"), 0);
	assert_int_equal(is_own("10.7.0.1"), 1);
	assert_int_equal(is_own("fd77::1"), 1);
	run("sysctl -qw net.ipv4.ip_nonlocal_bind=0 net.ipv6.ip_nonlocal_bind=0");
}

static void an_answer_is_kept_for_a_second(void **state)
{
	struct own_addresses o = { 0 };
	struct addr a;

	(void)state;
	ns_need();
	assert_true(addr_parse("10.7.0.77", &a));
	assert_int_equal(own_address(&o, &a, 1000), 0);
	run("ip addr add 10.7.0.77/24 dev d0");
	assert_int_equal(own_address(&o, &a, 1000 + OWN_KEPT_MS - 1), 0);
	assert_int_equal(own_address(&o, &a, 1000 + OWN_KEPT_MS), 1);
	run("ip addr del 10.7.0.77/24 dev d0");
}

static void without_a_descriptor_nobody_can_say(void **state)
{
	struct rlimit before, none;

	(void)state;
	ns_need();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(is_own("10.7.0.1"), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(is_own("10.7.0.1"), 1);
}

static void ports_are_told_apart(void **state)
{
	static struct own_ports p;

	(void)state;
	own_ports_set(&p, 443, true);
	own_ports_set(&p, 65535, true);
	assert_true(own_ports_has(&p, 443));
	assert_true(own_ports_has(&p, 65535));
	assert_false(own_ports_has(&p, 442));
	own_ports_set(&p, 443, false);
	assert_false(own_ports_has(&p, 443));
	assert_true(own_ports_has(&p, 65535));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_this_host),
		cmocka_unit_test(where_anything_can_be_bound_to_that_says_nothing),
		cmocka_unit_test(an_answer_is_kept_for_a_second),
		cmocka_unit_test(without_a_descriptor_nobody_can_say),
		cmocka_unit_test(ports_are_told_apart),
	};

	int rc;

	ns_enter();
	rc = cmocka_run_group_tests_name("own", tests, begin, NULL);
	ns_leave();
	return rc;
}
