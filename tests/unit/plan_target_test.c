/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Targets of a route, and what the host has to turn on for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/plan_fixture.h"

/* ---- targets ---- */

static const char *targets_of(const struct plan_route *r)
{
	static char out[512];
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < r->n_targets; i++) {
		char text[ADDR_TEXT];

		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s*%u%s%s", i ? " " : "",
					addr_format(&r->targets[i].addr, text),
					r->targets[i].weight, r->targets[i].local ? " local" : "",
					r->targets[i].redirect ? " redirect" : "");
	}
	return out;
}

#define T(host, rest) "{host: '" host "', port: 80" rest "}"

static void only_the_first_group_of_targets_takes_connections(void **state)
{
	static const struct {
		const char *targets, *used;
	} cases[] = {
		{ T("10.2.0.2", ""), "10.2.0.2*1" },
		{ T("10.2.0.2", ", weight: 7") "," T("10.2.0.3", ", weight: 3"),
		  "10.2.0.2*7 10.2.0.3*3" },
		{ T("10.2.0.2", ", weight: 0") "," T("10.2.0.3", ""), "10.2.0.3*1" },
		{ T("10.2.0.2", ", backup: true") "," T("10.2.0.3", ""), "10.2.0.3*1" },
		{ T("10.2.0.2", "") "," T("10.2.0.3", ", priority: 5"), "10.2.0.3*1" },
		{ T("10.2.0.2", "") "," T("10.2.0.3", ", priority: 5, weight: 0"), "10.2.0.2*1" },
		{ T("10.2.0.2", "") "," T("10.2.0.3", ", priority: 5, backup: true"),
		  "10.2.0.2*1" },
		{ T("10.2.0.2", ", priority: -3"), "10.2.0.2*1" },
		{ "{host: [10.2.0.2, 'fd02::2'], port: 80, weight: 4}", "10.2.0.2*4 fd02::2*4" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[512];

		snprintf(
			text, sizeof(text),
			"- {name: r, match: {ports: 80}, action: {type: forward, targets: [%s]}}\n",
			cases[i].targets);
		fx_plan(text);
		assert_string_equal(targets_of(fx_route("r")), cases[i].used);
	}
	/* Nobody is left. */
	assert_null(fx_plan_text("", FX_ROUTE("r", "ports: 80",
					      "targets: [" T("10.2.0.2", ", weight: 0") "]")));
	assert_non_null(
		fx_message(DIAG_ERROR, "route \"r\" has no target that takes connections", NULL));
	fx_end();
}

static void families_follow_the_targets(void **state)
{
	(void)state;
	fx_plan(FX_ROUTE("four", "ports: 4", FX_A)
			FX_ROUTE("six", "ports: 6", FX_TARGET("fd02::2", "80"))
				FX_ROUTE("both", "ports: 10",
					 "targets: [{host: [10.2.0.2, 'fd02::2'], port: 80}]")
					FX_ROUTE("mapped", "ports: 11",
						 FX_TARGET("::ffff:10.2.0.2", "80")));
	assert_true(fx_route("four")->v4 && !fx_route("four")->v6);
	assert_true(!fx_route("six")->v4 && fx_route("six")->v6);
	assert_true(fx_route("both")->v4 && fx_route("both")->v6);
	assert_true(fx_route("mapped")->v4 && !fx_route("mapped")->v6);
	assert_string_equal(fx_winner("tcp", "fd01::1", 4, "fd00::9"), "-");
	assert_string_equal(fx_winner("tcp", "fd01::1", 6, "fd00::9"), "six");
	assert_string_equal(fx_winner("tcp", "fd01::1", 10, "fd00::9"), "both");
	assert_int_equal(plan_count_targets(fx_route("both"), ADDR_V6), 1);
	fx_end();
}

static void offsets_must_stay_inside_the_ports(void **state)
{
	static const struct {
		const char *ports, *offset, *said; /* NULL: it plans */
	} cases[] = {
		{ "64535", "+1000", NULL },
		{ "64536", "+1000",
		  "offset +1000 takes port 64536 of route \"r\" to 65536: target ports are 1 to "
		  "65535" },
		{ "1001-2000", "-1000", NULL },
		{ "1000-2000", "-1000",
		  "offset -1000 takes port 1000 of route \"r\" to 0: target ports are 1 to 65535" },
		{ "[5, 60000-60001]", "+5535",
		  "offset +5535 takes port 60001 of route \"r\" to 65536" },
		{ "[5, 60000]", "+5535", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "- {name: r, match: {ports: %s}, action: {type: forward, targets: [{host: "
			 "10.2.0.2, port: '%s'}]}}\n",
			 cases[i].ports, cases[i].offset);
		if (!fx_plan_text("", text) != (cases[i].said != NULL))
			fail_msg("%s: %s", text, fx.diags.n ? fx.diags.v[0].msg : "planned");
		if (cases[i].said && !fx_message(DIAG_ERROR, cases[i].said, NULL))
			fail_msg("%s: %s", text, fx.diags.v[0].msg);
	}
	fx_plan(FX_ROUTE("up", "ports: 100", FX_TARGET("10.2.0.2", "'+1000'"))
			FX_ROUTE("same", "ports: 101", FX_TARGET("10.2.0.2", "preserve"))
				FX_ROUTE("fixed", "ports: 102", FX_A));
	assert_int_equal(plan_target_port(&fx_route("up")->targets[0], 100), 1100);
	assert_int_equal(plan_target_port(&fx_route("up")->targets[0], 65000), 0);
	assert_int_equal(plan_target_port(&fx_route("same")->targets[0], 101), 101);
	assert_int_equal(plan_target_port(&fx_route("fixed")->targets[0], 102), 80);
	fx_end();
}

static void names_become_their_addresses(void **state)
{
	struct addr v[3];
	struct resolved_name names[] = {
		{ .name = "db.lan", .addrs = v, .n = 3 },
		{ .name = "gone.lan", .n = 0, .why = "no such host" },
	};
	const struct diag *g;

	(void)state;
	addr_parse("10.2.0.2", &v[0]);
	addr_parse("10.2.0.3", &v[1]);
	addr_parse("fd02::2", &v[2]);
	fx.facts.names = names;
	fx.facts.n_names = 2;
	fx_plan(FX_ROUTE("r", "ports: 80", "targets: [{host: db.lan, port: 80, weight: 2}]"));
	assert_string_equal(targets_of(fx_route("r")), "10.2.0.2*2 10.2.0.3*2 fd02::2*2");
	assert_int_equal(fx_route("r")->tier, TIER_NFTABLES);

	assert_null(fx_plan_text("", FX_ROUTE("r", "ports: 80", FX_TARGET("gone.lan", "80"))));
	g = fx_message(DIAG_ERROR,
		       "target \"gone.lan\" of route \"r\" cannot be resolved: no such host", NULL);
	assert_non_null(g);
	assert_int_equal(g->loc.line, 2);
	assert_int_equal(g->loc.col, 74);

	/* Nobody asked: the tier is known all the same, and it is no error. */
	fx.facts.names = NULL;
	fx.facts.n_names = 0;
	fx_plan(FX_ROUTE("r", "ports: 80", FX_TARGET("gone.lan", "80")));
	assert_int_equal(fx_route("r")->tier, TIER_NFTABLES);
	assert_int_equal(fx_route("r")->n_targets, 0);
	fx_end();
}

/* ---- the host ---- */

static void loopback_targets_are_redirected_where_the_listener_takes_it(void **state)
{
	static const struct {
		const char *listens, *targets, *transport; /* NULL = nothing listens */
		enum tier tier;
		const char *used;
	} cases[] = {
		{ NULL, T("127.0.0.1", ""), "tcp", TIER_NFTABLES, "127.0.0.1*1 local" },
		{ "127.0.0.1", T("127.0.0.1", ""), "tcp", TIER_NFTABLES, "127.0.0.1*1 local" },
		{ "0.0.0.0", T("127.0.0.1", ""), "tcp", TIER_NFTABLES,
		  "127.0.0.1*1 local redirect" },
		/* A wildcard v6 socket takes IPv4 as well. */
		{ "::", T("127.0.0.1", ""), "tcp", TIER_NFTABLES, "127.0.0.1*1 local redirect" },
		{ "::", T("::1", ""), "tcp", TIER_NFTABLES, "::1*1 local redirect" },
		{ "0.0.0.0", T("::1", ""), "tcp", TIER_RELAY, "" },
		{ NULL, T("::1", ""), "tcp", TIER_RELAY, "" },
		/* TCP listens, UDP does not. */
		{ "0.0.0.0", T("127.0.0.1", ""), "all", TIER_NFTABLES, "127.0.0.1*1 local" },
		/* Not alone: slots hold addresses, so no redirect. */
		{ "0.0.0.0", T("127.0.0.1", "") "," T("10.2.0.2", ""), "tcp", TIER_NFTABLES,
		  "127.0.0.1*1 local 10.2.0.2*1" },
		/* Who wrote ::1 wants it, whatever else there is. */
		{ NULL, T("::1", "") "," T("fd02::2", ""), "tcp", TIER_RELAY, "" },
		{ NULL, T("10.1.0.1", ""), "tcp", TIER_NFTABLES, "10.1.0.1*1 local" },
		{ NULL, T("localhost", ""), "tcp", TIER_NFTABLES, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fx_host h = { 0 };
		char text[512];

		fx_local(&h, "10.1.0.1");
		if (cases[i].listens)
			fx_listen(&h, IPPROTO_TCP, cases[i].listens, 80);
		snprintf(text, sizeof(text),
			 "- {name: r, match: {ports: 9000, transport: %s}, action: {type: forward, "
			 "targets: [%s]}}\n",
			 cases[i].transport, cases[i].targets);
		fx_plan(text);
		if (fx_route("r")->tier != cases[i].tier ||
		    (cases[i].tier == TIER_NFTABLES &&
		     strcmp(targets_of(fx_route("r")), cases[i].used)))
			fail_msg("%zu: %s: %s", i, tier_name(fx_route("r")->tier),
				 targets_of(fx_route("r")));
		fx_host_end(&h);
	}
	fx_end();
}

static void what_the_host_must_turn_on_is_what_the_winners_need(void **state)
{
	static const struct {
		const char *routes;
		bool v4, v6, localnet;
	} cases[] = {
		/* Off the host; 127.0.0.1:80 is one of "all addresses". */
		{ FX_ROUTE("r", "ports: 80", FX_A), true, false, true },
		{ FX_ROUTE("r", "ports: 80, address: 10.1.0.1", FX_A), true, false, false },
		{ FX_ROUTE("r", "ports: 80, address: 127.0.0.1", FX_A), true, false, true },
		{ FX_ROUTE("r", "ports: 80", FX_TARGET("fd02::2", "80")), false, true, false },
		{ FX_ROUTE("r", "ports: 80", FX_TARGET("127.0.0.1", "8000")), false, false, true },
		{ FX_ROUTE("r", "ports: 80, address: 10.1.0.1", FX_TARGET("127.0.0.1", "8000")),
		  false, false, true },
		{ FX_ROUTE("r", "ports: 80", FX_TARGET("127.0.0.1", "8080")), false, false,
		  false }, /* redirect */
		{ FX_ROUTE("r", "ports: 80", FX_TARGET("10.1.0.1", "8000")), false, false, false },
		{ FX_ROUTE("r", "ports: 80, clientIp: 10.0.0.1", FX_A), true, false, true },
		/* A route that never wins anything needs nothing. */
		{ FX_ROUTE("r", "ports: 80", FX_A ", forwardingEngine: relay"), false, false,
		  false },
		{ FX_PRIO("1", "a", "ports: 80, domains: a.test") FX_ROUTE("r", "ports: 80", FX_A),
		  false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fx_host h = { 0 };

		fx_local(&h, "10.1.0.1");
		fx_listen(&h, IPPROTO_TCP, "0.0.0.0", 8080);
		fx_plan(cases[i].routes);
		if (fx.plan->needs_forward_v4 != cases[i].v4 ||
		    fx.plan->needs_forward_v6 != cases[i].v6 ||
		    fx.plan->needs_route_localnet != cases[i].localnet)
			fail_msg("%zu: v4 %d, v6 %d, route_localnet %d", i,
				 fx.plan->needs_forward_v4, fx.plan->needs_forward_v6,
				 fx.plan->needs_route_localnet);
		fx_host_end(&h);
	}
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_first_group_of_targets_takes_connections),
		cmocka_unit_test(families_follow_the_targets),
		cmocka_unit_test(offsets_must_stay_inside_the_ports),
		cmocka_unit_test(names_become_their_addresses),
		cmocka_unit_test(loopback_targets_are_redirected_where_the_listener_takes_it),
		cmocka_unit_test(what_the_host_must_turn_on_is_what_the_winners_need),
	};

	return cmocka_run_group_tests_name("plan_target", tests, NULL, NULL);
}
