/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What changes between two plans, in terms of routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ctl/cli/route_diff.h"
#include "tests/unit/plan_fixture.h"

#define R(name, port, host) FX_ROUTE(name, "ports: " port, FX_TARGET(host, "80"))

/* Both plans live at once: the fixture holds one. */
static __typeof__(fx) before;

static const struct plan *old_plan(const char *routes)
{
	if (!routes)
		return NULL;
	fx_plan(routes);
	before = fx;
	memset(&fx, 0, sizeof(fx));
	return before.plan;
}

static void both_end(void)
{
	fx_end();
	fx = before;
	memset(&before, 0, sizeof(before));
	fx_end();
}

static void expect_summary(const char *old, const char *new, const char *wanted)
{
	const struct plan *was = old_plan(old);
	struct buf b = { 0 };

	route_diff_summary(was, fx_plan(new), &b);
	assert_string_equal(b.data, wanted);
	buf_fini(&b);
	both_end();
}

static void routes_come_change_and_go(void **state)
{
	(void)state;
	expect_summary(NULL, R("a", "1", "10.2.0.2"), "+ 1 route (a)");
	expect_summary(NULL, R("b", "1", "10.2.0.2") R("a", "2", "10.2.0.2"), "+ 2 routes (a, b)");
	expect_summary(R("a", "1", "10.2.0.2"), R("a", "1", "10.2.0.3"), "~ 1 route (a)");
	expect_summary(R("a", "1", "10.2.0.2") R("old", "2", "10.2.0.2") R("same", "3", "10.2.0.2"),
		       R("same", "3", "10.2.0.2") R("dns", "4", "10.2.0.2") R("a", "1", "10.2.0.3")
			       R("web", "5", "10.2.0.2"),
		       "+ 2 routes (dns, web)  ~ 1 (a)  - 1 (old)");
	expect_summary(R("a", "1", "10.2.0.2"), R("a", "1", "10.2.0.2"), "no route changes");
	/* Another order of the file is no change where it decides nothing. */
	expect_summary(R("a", "1", "10.2.0.2") R("b", "2", "10.2.0.2"),
		       R("b", "2", "10.2.0.2") R("a", "1", "10.2.0.2"), "no route changes");
}

/* A route that stands in the plan as two halves is one route. */
static void halves_are_one_route(void **state)
{
	static const char tcp[] = FX_ROUTE("a", "ports: 1", FX_A);
	static const char udp[] = FX_ROUTE("a", "ports: 1, transport: udp", FX_A);
	static const char all[] = FX_ROUTE("a", "ports: 1, transport: all", FX_A);
	static const char halves[] =
		FX_ROUTE("a", "ports: 1, transport: all", FX_A ", forwardingEngine: relay");

	(void)state;
	expect_summary(tcp, udp, "~ 1 route (a)");
	expect_summary(tcp, all, "~ 1 route (a)");
	expect_summary(all, tcp, "~ 1 route (a)");
	expect_summary(NULL, halves, "+ 1 route (a)");
	expect_summary(halves, tcp, "~ 1 route (a)");
	expect_summary(udp, halves, "~ 1 route (a)");
	expect_summary(halves, R("b", "1", "10.2.0.2"), "+ 1 route (b)  - 1 (a)");
}

#define S(security)                                                                          \
	"- {name: a, match: {ports: 1}, action: {type: forward, targets: [{host: 10.2.0.2, " \
	"port: 80}]}, security: {" security "}}\n"
#define LONG "10.1.0.0/24, 10.2.0.0/24, 10.3.0.0/24, 10.4.0.0/24, 10.5.0.0/24"

/* Who is let in is part of what a route does, down to one address of a long list. */
static void another_policy_is_a_changed_route(void **state)
{
	static const char *const policies[] = {
		S("maxConnections: 5"),
		S("maxConnections: 6"),
		S("maxConnectionsPerIP: 5"),
		S("connectionRate: 5"),
		S("ipAllowList: [10.0.0.1]"),
		S("ipBlockList: [10.0.0.1]"),
		S("ipAllowList: [10.0.0.2]"),
		S("ipAllowList: [" LONG ", 10.9.0.0/24]"),
		S("ipAllowList: [" LONG ", 10.9.0.0/25]"),
		S("ipBlockList: [" LONG ", 10.9.0.0/25]"),
		FX_ROUTE("a", "ports: 1", FX_TARGET("10.2.0.2", "80")),
		FX_ROUTE("a", "ports: 1",
			 FX_TARGET("10.2.0.2", "80") ", nftables: {maxRate: 1mbps}, "
						     "forwardingEngine: nftables"),
	};
	const size_t n = sizeof(policies) / sizeof(*policies);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++)
			expect_summary(policies[i], policies[k],
				       i == k ? "no route changes" : "~ 1 route (a)");
}

static void common_limits_are_told_apart(void **state)
{
	struct buf b = { 0 };
	json_t *list;

	(void)state;
	assert_non_null(fx_plan_text("maxConnectionsPerIP: 7", R("a", "1", "10.2.0.2")));
	before = fx;
	memset(&fx, 0, sizeof(fx));
	fx_plan(R("a", "1", "10.2.0.2"));
	route_diff_summary(before.plan, fx.plan, &b);
	assert_string_equal(b.data, "~ limits of all routes");
	buf_fini(&b);
	list = route_diff_json(before.plan, fx.plan);
	assert_int_equal(json_array_size(list), 1);
	assert_true(json_is_null(json_object_get(json_array_get(list, 0), "route")));
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "old")),
			    "7/client, 300/min (default)");
	json_decref(list);
	both_end();
}

static unsigned columns_of_ascii(const char *s)
{
	return (unsigned)strlen(s);
}

static void a_summary_fits_a_line_whatever_the_names_are(void **state)
{
	static char olds[40000], news[40000];
	struct buf b = { 0 };
	const struct plan *was;
	size_t o = 0, n = 0;

	(void)state;
	for (int i = 0; i < 60; i++) {
		const char *form = "- {name: 'a-rather-long-name-of-a-route-%d', match: {ports: "
				   "%d}, action: {type: forward, targets: [{host: 10.2.0.%d, "
				   "port: 80}]}}\n";

		if (i < 40)
			o += (size_t)snprintf(olds + o, sizeof(olds) - o, form, i, 100 + i, 2);
		if (i >= 20)
			n += (size_t)snprintf(news + n, sizeof(news) - n, form, i, 100 + i, 3);
	}
	was = old_plan(olds);
	route_diff_summary(was, fx_plan(news), &b);
	if (columns_of_ascii(b.data) > 100)
		fail_msg("%u columns: %s", columns_of_ascii(b.data), b.data);
	assert_non_null(strstr(b.data, "+ 20 routes (a-rather"));
	assert_non_null(strstr(b.data, "~ 20 (a-rather"));
	assert_non_null(strstr(b.data, "- 20 (a-rather"));
	assert_non_null(strstr(b.data, ", ...)"));
	buf_fini(&b);
	both_end();
}

static void the_list_has_what_was_and_what_is(void **state)
{
	const struct plan *was = old_plan(R("a", "1", "10.2.0.2") R("b", "2", "10.2.0.2"));
	json_t *list =
		route_diff_json(was, fx_plan(R("a", "1", "10.2.0.3") R("c", "3", "10.2.0.2")));
	const char *op, *route, *old, *new;

	(void)state;
	assert_int_equal(json_array_size(list), 3);
	assert_int_equal(json_unpack(json_array_get(list, 0), "{s:s,s:s,s:s,s:s}", "op", &op,
				     "route", &route, "old", &old, "new", &new),
			 0);
	assert_true(!strcmp(op, "~") && !strcmp(route, "a"));
	assert_true(strstr(old, "10.2.0.2") && strstr(new, "10.2.0.3"));
	assert_int_equal(json_unpack(json_array_get(list, 1), "{s:s,s:s,s:s,s:n}", "op", &op,
				     "route", &route, "old", &old, "new"),
			 0);
	assert_true(!strcmp(op, "-") && !strcmp(route, "b"));
	assert_int_equal(json_unpack(json_array_get(list, 2), "{s:s,s:s,s:n,s:s}", "op", &op,
				     "route", &route, "old", "new", &new),
			 0);
	assert_true(!strcmp(op, "+") && !strcmp(route, "c"));
	json_decref(list);
	both_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_come_change_and_go),
		cmocka_unit_test(halves_are_one_route),
		cmocka_unit_test(another_policy_is_a_changed_route),
		cmocka_unit_test(common_limits_are_told_apart),
		cmocka_unit_test(a_summary_fits_a_line_whatever_the_names_are),
		cmocka_unit_test(the_list_has_what_was_and_what_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
