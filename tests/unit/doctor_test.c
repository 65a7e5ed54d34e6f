/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What doctor reads about the host, from the bytes of a real kernel (the seeds of
 * host_net_fuzz): interfaces lo, va (10.0.0.1/24, fd00::1/64), vb; routes 10.9/16 via 10.0.0.2,
 * a default of two next hops, 10.8/16 via inet6 fd00::5, an unreachable one. How flows are counted,
 * and that docs/DOCTOR.md knows every check.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/io.h"
#include "ctl/doctor/census.h"
#include "ctl/doctor/doctor.h"
#include "ctl/doctor/doctor_internal.h"
#include "ctl/host/host_net.h"
#include "ctl/nft/ruleset_compile.h"

static struct addr addr(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static void each_message(const char *path, void (*fn)(const struct nlmsghdr *h, void *arg),
			 void *arg)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	size_t at = 0;

	assert_int_equal(io_read_file(path, 1 << 20, &b, &e), 0);
	while (at + sizeof(struct nlmsghdr) <= b.len) {
		const struct nlmsghdr *h = (const void *)(b.data + at);

		fn(h, arg);
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
	buf_fini(&b);
}

static void net_message(const struct nlmsghdr *h, void *arg)
{
	host_net_parse(arg, h);
}

static int load(void **state)
{
	struct host_net *n = calloc(1, sizeof(*n));

	each_message("tests/data/fuzz/host_net/all", net_message, n);
	*state = n;
	return 0;
}

static int unload(void **state)
{
	host_net_fini(*state);
	free(*state);
	return 0;
}

static const struct host_link *link_named(const struct host_net *n, const char *name)
{
	for (size_t i = 0; i < n->n_links; i++)
		if (!strcmp(n->links[i].name, name))
			return &n->links[i];
	return NULL;
}

static void links_have_their_state_and_first_addresses(void **state)
{
	const struct host_net *n = *state;
	const struct host_link *lo = link_named(n, "lo"), *va = link_named(n, "va");
	struct addr v4 = addr("10.0.0.1"), v6 = addr("fd00::1");

	assert_non_null(lo);
	assert_non_null(va);
	assert_true(lo->loopback && lo->up);
	assert_true(va->up && va->carrier && !va->loopback);
	assert_int_equal(addr_cmp(&va->v4, &v4), 0);
	assert_int_equal(addr_cmp(&va->v6, &v6), 0);
	assert_int_equal(va->v4_prefix_len, 24);
	assert_int_equal(va->v6_prefix_len, 64);
	assert_int_equal(link_named(n, "vb")->v4.family, ADDR_NONE);
}

/* How many unicast routes cover the address, with that prefix length and gateway. */
static unsigned routes_to(const struct host_net *n, const char *to, unsigned prefix_len,
			  const char *gateway)
{
	struct addr a = addr(to), g = { 0 };
	unsigned count = 0;

	if (gateway)
		g = addr(gateway);
	for (size_t i = 0; i < n->n_routes; i++)
		count += host_route_covers(&n->routes[i], &a) &&
			 n->routes[i].prefix_len == prefix_len &&
			 !addr_cmp(&n->routes[i].gateway, &g);
	return count;
}

static void routes_have_all_next_hops(void **state)
{
	const struct host_net *n = *state;

	assert_int_equal(routes_to(n, "10.9.255.255", 16, "10.0.0.2"), 1);
	assert_int_equal(routes_to(n, "10.10.0.0", 16, "10.0.0.2"), 0);
	assert_int_equal(routes_to(n, "192.0.2.1", 0, "10.0.0.3"), 1);
	assert_int_equal(routes_to(n, "192.0.2.1", 0, "10.0.0.4"), 1);
	assert_int_equal(routes_to(n, "10.8.0.1", 16, "fd00::5"), 1); /* RTA_VIA */
	assert_int_equal(routes_to(n, "10.0.0.77", 24, NULL), 1);
	assert_int_equal(routes_to(n, "2001:db8::1", 0, "fd00::2"), 1);
	/* Routes that refuse are no ways; neither is table local. */
	assert_int_equal(routes_to(n, "10.7.0.1", 16, NULL), 0);
	assert_int_equal(routes_to(n, "127.0.0.1", 8, NULL), 0);
}

static void prefixes_cover_to_the_bit(void **state)
{
	struct host_route r = { .to = addr("10.128.0.0"), .prefix_len = 9 };
	struct addr in = addr("10.255.255.255"), out = addr("10.127.255.255"), v6 = addr("::1");

	(void)state;
	assert_true(host_route_covers(&r, &in));
	assert_false(host_route_covers(&r, &out));
	assert_false(host_route_covers(&r, &v6));
	r.prefix_len = 0;
	assert_true(host_route_covers(&r, &out));
	assert_false(host_route_covers(&r, &v6));
}

static void neighbours_are_found(void **state)
{
	const struct host_net *n = *state;
	struct addr a = addr("10.0.0.9"), b = addr("10.0.0.10");

	assert_non_null(host_neighbour_find(n, link_named(n, "va")->index, &a));
	assert_null(host_neighbour_find(n, link_named(n, "va")->index, &b));
	assert_null(host_neighbour_find(n, link_named(n, "vb")->index, &a));
}

static struct ct_flow flow(uint32_t id, uint32_t flags, const char *target, const char *seen,
			   bool answered)
{
	return (struct ct_flow){ .id = id,
				 .flags = flags,
				 .proto = IPPROTO_TCP,
				 .target = addr(target),
				 .target_port = 80,
				 .seen = addr(seen),
				 .answered = answered };
}

static void flows_are_counted_by_route_target_and_own_address(void **state)
{
	const struct ct_flow flows[] = {
		flow(1, LABEL_MASQUERADE, "10.0.0.1", "192.0.2.1", true),
		flow(1, LABEL_MASQUERADE, "10.0.0.1", "192.0.2.1", false),
		flow(1, LABEL_MASQUERADE, "10.0.0.1", "192.0.2.2", true), /* another of ours */
		flow(1, 0, "10.0.0.1", "198.51.100.1", false),		  /* clients, together */
		flow(1, 0, "10.0.0.1", "198.51.100.2", false),
		flow(1, 0, "10.0.0.2", "198.51.100.2", true),
		flow(2, 0, "10.0.0.2", "198.51.100.2", true),
	};
	static const unsigned wanted[][2] = { { 2, 1 }, { 1, 0 }, { 2, 2 }, { 1, 0 }, { 1, 0 } };
	struct census c = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(flows) / sizeof(flows[0]); i++)
		census_add(&c, &flows[i]);
	assert_int_equal(c.n, sizeof(wanted) / sizeof(wanted[0]));
	for (size_t i = 0; i < c.n; i++) {
		assert_int_equal(c.v[i].flows, wanted[i][0]);
		assert_int_equal(c.v[i].unanswered, wanted[i][1]);
	}
	census_fini(&c);
}

static void every_check_is_in_the_documentation(void **state)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	unsigned n = 0;

	(void)state;
	assert_int_equal(io_read_file("docs/DOCTOR.md", 1 << 20, &b, &e), 0);
	buf_putc(&b, '\0');
	for (; doctor_check_name(n); n++) {
		char row[64];

		snprintf(row, sizeof(row), "\n| `%s` |", doctor_check_name(n));
		assert_non_null(strstr(b.data, row));
		assert_non_null(doctor_check_help(n));
		for (unsigned k = 0; k < n; k++)
			assert_string_not_equal(doctor_check_name(k), doctor_check_name(n));
	}
	assert_true(n >= 15);
	assert_null(doctor_check_help(n));
	buf_fini(&b);
}

/* Whatever is missing - routes, session, privileges - each check says something. */
static void every_check_reports_without_anything_to_look_at(void **state)
{
	const struct err none = { 0 };
	const struct doctor_input in = { .state_dir = "/nonexistent",
					 .options = "",
					 .table = "spctl",
					 .session_error = &none,
					 .now_ms = 0 };
	struct doctor_report r;
	struct err e = { 0 };
	unsigned n = 0, i = 0;

	(void)state;
	assert_int_equal(doctor_run(&in, &r, &e), 0);
	for (; doctor_check_name(n); n++) {
		assert_true(i < r.n);
		assert_string_equal(r.v[i].check, doctor_check_name(n));
		for (; i < r.n && !strcmp(r.v[i].check, doctor_check_name(n)); i++) {
			/* Without routes there are no problems, not even with the clock of 1970. */
			assert_int_not_equal(r.v[i].level, FINDING_PROBLEM);
			assert_int_equal(r.v[i].n_routes, 0);
			if (!strcmp(r.v[i].check, "clock"))
				assert_non_null(strstr(r.v[i].message, "1970-01-01"));
		}
	}
	assert_int_equal(i, r.n);
	assert_int_equal(r.affected, 0);
	doctor_report_fini(&r);
}

static void a_list_of_ports_has_ports_and_ranges(void **state)
{
	(void)state;
	assert_false(doctor_ports_have("", 80));
	assert_true(doctor_ports_have("80", 80));
	assert_true(doctor_ports_have("22,8000-8010,9000", 8000));
	assert_true(doctor_ports_have("22,8000-8010,9000", 8010));
	assert_true(doctor_ports_have("22,8000-8010,9000", 9000));
	assert_false(doctor_ports_have("22,8000-8010,9000", 8011));
	assert_false(doctor_ports_have("22,8000-8010,9000", 23));
	assert_false(doctor_ports_have("junk", 80));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_of_ports_has_ports_and_ranges),
		cmocka_unit_test(links_have_their_state_and_first_addresses),
		cmocka_unit_test(routes_have_all_next_hops),
		cmocka_unit_test(prefixes_cover_to_the_bit),
		cmocka_unit_test(neighbours_are_found),
		cmocka_unit_test(flows_are_counted_by_route_target_and_own_address),
		cmocka_unit_test(every_check_is_in_the_documentation),
		cmocka_unit_test(every_check_reports_without_anything_to_look_at),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
