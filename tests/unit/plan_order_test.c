/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which route a connection gets: order, cells, client intervals; routes that say the same, and
 * routes that nothing reaches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/plan_fixture.h"

/* ---- which route wins ---- */

static void the_order_is_priority_then_specificity_then_file(void **state)
{
	static const struct {
		const char *a, *b; /* a must be before b, in whichever order they stand */
	} pairs[] = {
		{ FX_PRIO("5", "a", "ports: 80"),
		  FX_PRIO("4", "b", "ports: 80, path: /x, domains: x.test") },
		{ FX_PRIO("0", "a", "ports: 80"),
		  FX_PRIO("-1", "b", "ports: 80, clientIp: 10.0.0.1") },
		{ FX_PRIO("0", "a", "ports: 80, path: /longer"),
		  FX_PRIO("0", "b", "ports: 80, path: /long") },
		{ FX_PRIO("0", "a", "ports: 80, path: /x"),
		  FX_PRIO("0", "b", "ports: 80, path: '/xxxxxx/*'") },
		{ FX_PRIO("0", "a", "ports: 80, path: /x"),
		  FX_PRIO("0", "b", "ports: 80, path: '/xxx/:id'") },
		{ FX_PRIO("0", "a", "ports: 80, path: /x"),
		  FX_PRIO("0", "b", "ports: 80, path: /xxxxx/") },
		{ FX_PRIO("0", "a", "ports: 80, path: '/*'"),
		  FX_PRIO("0", "b", "ports: 80, domains: x.test") },
		{ FX_PRIO("0", "a", "ports: 80, domains: a.test"),
		  FX_PRIO("0", "b", "ports: 80, domains: '*.long.test'") },
		{ FX_PRIO("0", "a", "ports: 80, domains: '*.b.test'"),
		  FX_PRIO("0", "b", "ports: 80, domains: '*.test'") },
		{ FX_PRIO("0", "a", "ports: 80, domains: '*'"),
		  FX_PRIO("0", "b", "ports: 80, clientIp: 10.0.0.1") },
		{ FX_PRIO("0", "a", "ports: 80, clientIp: 10.0.0.1"),
		  FX_PRIO("0", "b", "ports: 80, clientIp: 10.0.0.0/31") },
		{ FX_PRIO("0", "a", "ports: 80, clientIp: 10.0.0.0/31"),
		  FX_PRIO("0", "b", "ports: 80, clientIp: [10.0.0.1, 10.0.0.8/29]") },
		/* Of IPv4's 32 bits each counts as four of IPv6's 128. */
		{ FX_PRIO("0", "a", "ports: 80, clientIp: 'fd00::/40'"),
		  FX_PRIO("0", "b", "ports: 80, clientIp: 10.0.0.0/8") },
		{ FX_PRIO("0", "a", "ports: 80, clientIp: '*'"),
		  FX_PRIO("0", "b", "ports: 80, headers: {X: y}") },
		{ FX_PRIO("0", "a", "ports: 80, headers: {X: y, Z: y}"),
		  FX_PRIO("0", "b", "ports: 80, headers: {X: y}") },
		{ FX_PRIO("0", "a", "ports: 80, method: GET"),
		  FX_PRIO("0", "b", "ports: 80, address: 10.1.0.1") },
		{ FX_PRIO("0", "a", "ports: 80, address: 10.1.0.1"),
		  FX_PRIO("0", "b", "ports: 80") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		char text[1024];

		for (int turn = 0; turn < 2; turn++) {
			snprintf(text, sizeof(text), "%s%s", turn ? pairs[i].b : pairs[i].a,
				 turn ? pairs[i].a : pairs[i].b);
			fx_plan(text);
			if (fx_route("a")->rank != 0 || fx_route("b")->rank != 1 ||
			    fx_route("a")->rank_class == fx_route("b")->rank_class)
				fail_msg("%s: not in this order", text);
		}
	}
	/* Nothing but the place in the file tells these apart. */
	fx_plan(FX_ROUTE("a", "ports: 80", FX_A) FX_ROUTE("b", "ports: 81", FX_A));
	assert_true(fx_route("a")->rank < fx_route("b")->rank);
	assert_int_equal(fx_route("a")->rank_class, fx_route("b")->rank_class);
	fx_end();
}

static void a_disabled_route_is_not_planned(void **state)
{
	(void)state;
	fx_plan("- {name: a, enabled: false, match: {ports: 80}, action: {type: forward, " FX_A
		"}}\n" FX_ROUTE("b", "ports: 80", FX_A));
	assert_int_equal(fx.plan->n_routes, 1);
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.9"), "b");
	fx_end();
}

static void overlapping_ranges_are_cut_where_they_meet(void **state)
{
	static const struct {
		unsigned port;
		const char *tcp, *udp;
	} at[] = {
		{ 79, "-", "-" },     { 80, "wide", "-" }, { 89, "wide", "-" },
		{ 90, "mid", "-" },   { 94, "mid", "-" },  { 95, "one", "one" },
		{ 96, "mid", "-" },   { 99, "mid", "-" },  { 100, "wide", "-" },
		{ 110, "wide", "-" }, { 111, "-", "-" },   { 65535, "top", "-" },
	};

	(void)state;
	fx_plan(FX_PRIO("0", "wide", "ports: 80-110")
			FX_PRIO("1", "mid", "ports: {from: 90, to: 99}")
				FX_PRIO("2", "one", "ports: 95, transport: all")
					FX_PRIO("0", "top", "ports: 65535"));
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		assert_string_equal(fx_winner("tcp", "10.1.0.1", at[i].port, "10.0.0.9"),
				    at[i].tcp);
		assert_string_equal(fx_winner("udp", "10.1.0.1", at[i].port, "10.0.0.9"),
				    at[i].udp);
	}
	/* 80-89, 90-94, 95, 96-99, 100-110, 65535 and udp 95 */
	assert_int_equal(fx.plan->n_cells, 7);
	fx_end();
}

static void an_address_never_falls_back_to_the_wildcard_route(void **state)
{
	(void)state;
	/* `at` takes one client at its own address; the others get what competes there. */
	fx_plan(FX_ROUTE("at", "ports: 80, address: 10.1.0.1, clientIp: 10.0.0.1", FX_A)
			FX_ROUTE("all", "ports: [80, 81]", FX_A));
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.1"), "at");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.2"), "all");
	assert_string_equal(fx_winner("tcp", "10.1.0.2", 80, "10.0.0.1"), "all");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 81, "10.0.0.1"), "all");
	/* User space takes everything at that address: the wildcard route does not step in. */
	fx_plan(FX_ROUTE("at", "ports: 80, address: 10.1.0.1", FX_A ", forwardingEngine: relay")
			FX_ROUTE("all", "ports: 80", FX_A));
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.1"), "-");
	assert_string_equal(fx_winner("tcp", "10.1.0.2", 80, "10.0.0.1"), "all");
	/* ... and with a name condition, the wildcard route waits for user space's answer, too. */
	fx_plan(FX_ROUTE("at", "ports: 80, address: 10.1.0.1, domains: a.test", FX_A)
			FX_ROUTE("all", "ports: 80", FX_A));
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.1"), "-");
	assert_string_equal(fx_winner("tcp", "10.1.0.2", 80, "10.0.0.1"), "all");
	fx_end();
}

static const char *intervals(const struct plan_family *f)
{
	static char out[1024];
	size_t len = 0;

	if (f->all)
		len = (size_t)snprintf(out, sizeof(out), "all=%s", f->all->route->name);
	out[len] = '\0';
	for (unsigned i = 0; i < f->n && len < sizeof(out); i++) {
		char range[ADDR_RANGE_TEXT];

		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s=%s", i ? " " : "",
					addr_range_format(&f->v[i].clients, range),
					f->v[i].winner->route->name);
	}
	return out;
}

static void clients_are_cut_into_intervals_with_gaps_for_user_space(void **state)
{
	static const struct {
		const char *head, *routes, *v4, *v6;
	} cases[] = {
		{ "", FX_ROUTE("a", "ports: 80, clientIp: 10.0.0.0/8", FX_A), "10.0.0.0/8=a", "" },
		{ "",
		  FX_ROUTE("a", "ports: 80, clientIp: 10.0.0.0/8", FX_A)
			  FX_ROUTE("b", "ports: 80",
				   "targets: [{host: [10.2.0.3, 'fd02::3'], port: 80}]"),
		  "0.0.0.0-9.255.255.255=b 10.0.0.0/8=a 11.0.0.0-255.255.255.255=b", "all=b" },
		/* A gap: that client is the relay's; the kernel keeps the others. */
		{ "",
		  FX_ROUTE("a", "ports: 80, clientIp: 10.0.0.5", FX_A ", forwardingEngine: relay")
			  FX_ROUTE("b", "ports: 80, clientIp: 10.0.0.0/29", FX_A),
		  "10.0.0.0-10.0.0.4=b 10.0.0.6/31=b", "" },
		/* After a route without client condition that needs bytes nothing is left. */
		{ "",
		  FX_PRIO("1", "a", "ports: 80, domains: a.test") FX_ROUTE("b", "ports: 80", FX_A),
		  "", "" },
		{ "",
		  FX_PRIO("1", "a", "ports: 80, clientIp: 10.0.0.1")
			  FX_PRIO("2", "b", "ports: 80, domains: b.test"),
		  "", "" },
		{ "", FX_ROUTE("a", "ports: 80, clientIp: '*'", FX_A), "all=a", "" },
		{ "",
		  FX_ROUTE("a", "ports: 80, clientIp: [0.0.0.0/1, 'fd00::/8']",
			   "targets: [{host: [10.2.0.2, 'fd02::2'], port: 80}]"),
		  "0.0.0.0/1=a", "fd00::/8=a" },
		{ "",
		  FX_ROUTE("a", "ports: 80, clientIp: ['::/1', '8000::/1']",
			   FX_TARGET("fd02::2", "80")),
		  "", "all=a" },
		/* No target of a family: its clients are nobody's, not the next route's. */
		{ "",
		  FX_PRIO("1", "a", "ports: 80")
			  FX_ROUTE("b", "ports: 80", FX_TARGET("fd02::2", "80")),
		  "all=a", "" },
		/* Peers that announce others are user space's, on TCP. */
		{ "acceptProxyProtocol: true\nproxyIPs: [10.0.0.7]",
		  FX_ROUTE("a", "ports: 80", FX_A), "0.0.0.0-10.0.0.6=a 10.0.0.8-255.255.255.255=a",
		  "" },
		{ "acceptProxyProtocol: true\nproxyIPs: [10.0.0.7]",
		  FX_ROUTE("a", "ports: 80, transport: udp", FX_A), "all=a", "" },
		{ "acceptProxyProtocol: true\nproxyIPs: [10.0.0.0/8]",
		  FX_ROUTE("a", "ports: 80, clientIp: 10.1.0.0/16", FX_A), "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (!fx_plan_text(cases[i].head, cases[i].routes))
			fail_msg("%zu: %s", i, fx.diags.n ? fx.diags.v[0].msg : "");
		assert_int_equal(fx.plan->n_cells, 1);
		if (strcmp(intervals(&fx.plan->cells[0].v4), cases[i].v4))
			fail_msg("%zu: IPv4: %s", i, intervals(&fx.plan->cells[0].v4));
		if (strcmp(intervals(&fx.plan->cells[0].v6), cases[i].v6))
			fail_msg("%zu: IPv6: %s", i, intervals(&fx.plan->cells[0].v6));
	}
	fx_end();
}

/* ---- conflicts and routes that nothing reaches ---- */

static void a_conflict_names_both_routes_and_the_port(void **state)
{
	static const struct {
		const char *routes, *said, *path;
		unsigned line, col;
	} cases[] = {
		{ FX_ROUTE("one", "ports: 80", FX_A) FX_ROUTE("two", "ports: 80", FX_A),
		  "\"two\" claims tcp/80 as \"one\" does (line 2), with the same priority and "
		  "nothing to "
		  "tell them apart",
		  "routes[1].match", 3, 30 },
		{ FX_ROUTE("one", "ports: 80-99, transport: udp", FX_A)
			  FX_ROUTE("x", "ports: 8", FX_A)
				  FX_ROUTE("two", "ports: [70, 90-95], transport: all", FX_A),
		  "\"two\" claims udp/90-95 as \"one\" does (line 2), with the same priority and "
		  "nothing "
		  "to tell them apart",
		  "routes[2].match", 4, 30 },
		{ FX_ROUTE("one", "ports: 80, clientIp: 10.0.0.0/24", FX_A)
			  FX_ROUTE("two", "ports: 80, clientIp: [10.0.0.128/25, 10.9.0.0/24]",
				   FX_A),
		  "\"two\" claims tcp/80 as \"one\" does (line 2)", "routes[1].match", 3, 30 },
		{ FX_ROUTE("one", "ports: 80, domains: [a.test, c.test]", FX_A)
			  FX_ROUTE("two", "ports: 80, domains: [A.test, b.test]", FX_A),
		  "\"two\" claims tcp/80 as \"one\" does", "routes[1].match", 3, 30 },
		{ FX_ROUTE("one", "ports: 80, address: [10.1.0.1, 10.1.0.2]", FX_A)
			  FX_ROUTE("two", "ports: 80, address: 10.1.0.2", FX_A),
		  "\"two\" claims tcp/80 as \"one\" does", "routes[1].match", 3, 30 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct diag *g;

		if (fx_plan_text("", cases[i].routes))
			fail_msg("%zu: planned", i);
		assert_int_equal(fx.diags.errors, 1);
		g = fx_message(DIAG_ERROR, cases[i].said, NULL);
		if (!g)
			fail_msg("%zu: %s", i, fx.diags.v[0].msg);
		assert_string_equal(g->path, cases[i].path);
		assert_non_null(g->hint);
		if (g->loc.line != cases[i].line || g->loc.col != cases[i].col)
			fail_msg("%zu: place %u:%u", i, g->loc.line, g->loc.col);
	}
	fx_end();
}

static void what_differs_is_no_conflict(void **state)
{
	static const char *const routes[] = {
		FX_ROUTE("a", "ports: 80", FX_A) FX_ROUTE("b", "ports: 81", FX_A),
		FX_ROUTE("a", "ports: 80", FX_A) FX_ROUTE("b", "ports: 80, transport: udp", FX_A),
		FX_PRIO("1", "a", "ports: 80, clientIp: 10.0.0.1") FX_PRIO("0", "b", "ports: 80"),
		FX_ROUTE("a", "ports: 80, address: 10.1.0.1", FX_A)
			FX_ROUTE("b", "ports: 80, address: 10.1.0.2", FX_A),
		FX_ROUTE("a", "ports: 80, address: 10.1.0.1", FX_A)
			FX_ROUTE("b", "ports: 80", FX_A),
		FX_ROUTE("a", "ports: 80, clientIp: 10.0.0.0/25", FX_A)
			FX_ROUTE("b", "ports: 80, clientIp: 10.0.0.128/25", FX_A),
		FX_ROUTE("a", "ports: 80, domains: a.test", FX_A)
			FX_ROUTE("b", "ports: 80, domains: b.test", FX_A),
		FX_ROUTE("a", "ports: 80, path: /a", FX_A)
			FX_ROUTE("b", "ports: 80, path: /b", FX_A),
		FX_ROUTE("a", "ports: 80, method: GET", FX_A)
			FX_ROUTE("b", "ports: 80, method: PUT", FX_A),
		FX_ROUTE("a", "ports: 80, headers: {X: a}", FX_A)
			FX_ROUTE("b", "ports: 80, headers: {X: b}", FX_A),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		if (!fx_plan_text("", routes[i]))
			fail_msg("%zu: %s", i, fx.diags.v[0].msg);
		if (fx_message(DIAG_WARNING, "never reached", NULL))
			fail_msg("%zu: %s", i, fx.diags.v[0].msg);
	}
	fx_end();
}

static void a_pair_is_told_once_however_many_ports_it_shares(void **state)
{
	(void)state;
	assert_null(fx_plan_text("", FX_ROUTE("a", "ports: [1-9, 20, 30-39]", FX_A)
					     FX_ROUTE("b", "ports: [5, 20, 35-50]", FX_A)
						     FX_ROUTE("c", "ports: 30", FX_A)));
	assert_int_equal(fx.diags.errors, 2); /* a-b and a-c */
	fx_end();
}

static void a_route_that_others_cover_is_never_reached(void **state)
{
	static const struct {
		const char *routes, *hidden; /* NULL: all are reached */
	} cases[] = {
		{ FX_PRIO("1", "a", "ports: 80") FX_PRIO("0", "b", "ports: 80"), "b" },
		{ FX_PRIO("1", "a", "ports: 80") FX_PRIO("0", "b", "ports: 80-81"), NULL },
		{ FX_PRIO("1", "a", "ports: 80") FX_PRIO("0", "b", "ports: 80, transport: all"),
		  NULL },
		{ FX_PRIO("1", "a", "ports: 70-90") FX_PRIO("0", "b", "ports: [75, 80-85]"), "b" },
		{ FX_PRIO("1", "a", "ports: 80, clientIp: ['::/0', 0.0.0.0/1]")
			  FX_PRIO("1", "c", "ports: 80, clientIp: 128.0.0.0/1")
				  FX_PRIO("0", "b", "ports: 80"),
		  "b" },
		{ FX_PRIO("1", "a", "ports: 80, clientIp: 0.0.0.0/0")
			  FX_PRIO("0", "b", "ports: 80"),
		  NULL },
		/* A route that needs the first bytes leaves the next one a chance. */
		{ FX_PRIO("1", "a", "ports: 80, domains: a.test") FX_PRIO("0", "b", "ports: 80"),
		  NULL },
		{ FX_PRIO("1", "a", "ports: 80, address: 10.1.0.1") FX_PRIO("0", "b", "ports: 80"),
		  NULL },
		{ FX_PRIO("1", "a", "ports: 80") FX_PRIO("0", "b", "ports: 80, address: 10.1.0.1"),
		  "b" },
		/* The relay takes all of them at once. */
		{ "- {name: a, priority: 1, match: {ports: 80}, action: {type: forward, " FX_A
		  ", forwardingEngine: relay}}\n" FX_PRIO("0", "b", "ports: 80"),
		  "b" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct diag *g;

		fx_plan(cases[i].routes);
		g = fx_message(DIAG_WARNING, "is never reached", NULL);
		if (!g != !cases[i].hidden)
			fail_msg("%zu: %s", i, g ? g->msg : "no warning");
		if (!g)
			continue;
		if (!fx_message(DIAG_WARNING,
				"route \"b\" is never reached: better-ranked routes such as \"",
				") take all its connections", NULL))
			fail_msg("%zu: %s", i, g->msg);
		assert_int_equal(g->loc.line, 2 + (int)fx_route("b")->route->index);
		assert_false(fx_route("b")->reached);
	}
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_is_priority_then_specificity_then_file),
		cmocka_unit_test(a_disabled_route_is_not_planned),
		cmocka_unit_test(overlapping_ranges_are_cut_where_they_meet),
		cmocka_unit_test(an_address_never_falls_back_to_the_wildcard_route),
		cmocka_unit_test(clients_are_cut_into_intervals_with_gaps_for_user_space),
		cmocka_unit_test(a_conflict_names_both_routes_and_the_port),
		cmocka_unit_test(what_differs_is_no_conflict),
		cmocka_unit_test(a_pair_is_told_once_however_many_ports_it_shares),
		cmocka_unit_test(a_route_that_others_cover_is_never_reached),
	};

	return cmocka_run_group_tests_name("plan_order", tests, NULL, NULL);
}
