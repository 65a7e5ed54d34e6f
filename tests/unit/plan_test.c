/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plan: tier and reason, and how large it may be. plan_property_test.c compares the plan with a
 * slow oracle at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/plan_fixture.h"

#define CERT "certificate: {certFile: /a, keyFile: /b}"
#define AB   "targets: [{host: [10.2.0.2, 10.2.0.3], port: 80}]"

/* ---- tier and reason ---- */

static const char kernel_reason[] = "decided by port, protocol and client address alone";

static const struct {
	const char *match, *action;
	enum tier tier;
	const char *reason;
} tiers[] = {
	{ "ports: 80", FX_A, TIER_NFTABLES, kernel_reason },
	{ "ports: 80, protocol: tcp", FX_A, TIER_NFTABLES, kernel_reason },
	{ "ports: 80, clientIp: 10.0.0.0/8", FX_A, TIER_NFTABLES, kernel_reason },
	{ "ports: 80, transport: udp", FX_A, TIER_NFTABLES, kernel_reason },
	{ "ports: 80", FX_A ", forwardingEngine: nftables", TIER_NFTABLES, kernel_reason },
	{ "ports: 80", FX_A ", forwardingEngine: node", TIER_NFTABLES, kernel_reason },
	{ "ports: 80", FX_A ", tls: {mode: passthrough}", TIER_NFTABLES, kernel_reason },
	{ "ports: 80", AB ", loadBalancing: {algorithm: random}", TIER_NFTABLES, kernel_reason },
	{ "ports: 80", AB ", loadBalancing: {algorithm: ip-hash}", TIER_NFTABLES, kernel_reason },
	{ "ports: 80", AB ", loadBalancing: {algorithm: least-connections}", TIER_RELAY,
	  "least-connections balancing" },
	{ "ports: 80, domains: a.test", FX_A ", tls: {mode: passthrough}", TIER_RELAY,
	  "SNI passthrough" },
	{ "ports: 80, tlsVersion: [TLSv1.3]", FX_A, TIER_RELAY, "TLS version matching" },
	{ "ports: 80", FX_TARGET("unix:/run/a", "80"), TIER_RELAY, "unix socket target" },
	{ "ports: 80", FX_TARGET("{clientIp}", "80"), TIER_RELAY, "host template" },
	{ "ports: 80", FX_A ", sendProxyProtocol: true", TIER_RELAY,
	  "PROXY protocol to the target" },
	{ "ports: 80", FX_A ", forwardingEngine: relay", TIER_RELAY, "forwardingEngine \"relay\"" },
	{ "ports: 80", FX_A ", forwardingEngine: sockmap", TIER_RELAY,
	  "forwardingEngine \"sockmap\"" },
	{ "ports: 80", "targets: [{host: 10.2.0.2, port: 80, match: {ports: 80}}]", TIER_RELAY,
	  "targets chosen by port" },
	{ "ports: 80", "targets: [{host: 10.2.0.2, port: 80}, {host: 10.2.0.3, port: preserve}]",
	  TIER_RELAY, "targets that differ in how the port is made" },
	{ "ports: 80", "targets: [{host: 10.2.0.2, port: '+1'}, {host: 10.2.0.3, port: '+2'}]",
	  TIER_RELAY, "targets that differ in how the port is made" },
	{ "ports: 80, address: 10.1.0.1", FX_TARGET("fd02::2", "80"), TIER_RELAY,
	  "clients of one address family, targets of the other" },
	{ "ports: 80, clientIp: 'fd00::/8'", FX_A, TIER_RELAY,
	  "clients of one address family, targets of the other" },
	{ "ports: 80", FX_TARGET("::1", "8080"), TIER_RELAY,
	  "target ::1 (IPv6 has no route_localnet)" },
	{ "ports: 80, path: /x", FX_A, TIER_PROXY, "HTTP path matching" },
	{ "ports: 80, domains: a.test", FX_A, TIER_PROXY, "HTTP host matching" },
	{ "ports: 80, headers: {X-A: b}", FX_A, TIER_PROXY, "HTTP header matching" },
	{ "ports: 80, method: GET", FX_A, TIER_PROXY, "HTTP method matching" },
	{ "ports: 80, query: {a: b}", FX_A, TIER_PROXY, "HTTP query matching" },
	{ "ports: 80, protocol: http", FX_A, TIER_PROXY, "HTTP by match.protocol" },
	{ "ports: 80", FX_A ", websocket: {enabled: true}", TIER_PROXY, "WebSocket handling" },
	{ "ports: 80", FX_A ", forwardingEngine: proxy", TIER_PROXY, "forwardingEngine \"proxy\"" },
	{ "ports: 80", "targets: [{host: 10.2.0.2, port: 80, match: {path: /a}}]", TIER_PROXY,
	  "targets chosen by HTTP path" },
	{ "ports: 80", FX_TARGET("{domain}.lan", "80"), TIER_PROXY, "host template by HTTP host" },
	{ "ports: 80, domains: a.test", FX_A ", tls: {mode: terminate, " CERT "}", TIER_PROXY,
	  "TLS termination" },
	/* The highest need wins, whatever stands first. */
	{ "ports: 80", FX_A ", sendProxyProtocol: true, websocket: {enabled: true}", TIER_PROXY,
	  "WebSocket handling" },
};

static void each_key_has_its_tier_and_says_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(tiers) / sizeof(*tiers); i++) {
		char text[600], want[200];
		const struct plan_route *r;

		snprintf(text, sizeof(text),
			 "- {name: r, match: {%s}, action: {type: forward, %s}}\n", tiers[i].match,
			 tiers[i].action);
		fx_plan(text);
		r = fx_route("r");
		if (r->tier != tiers[i].tier || strcmp(r->reason, tiers[i].reason))
			fail_msg("%s: %s, \"%s\"", text, tier_name(r->tier), r->reason);
		snprintf(want, sizeof(want), "needs the %s tier: %s (not in this version)",
			 tier_name(r->tier), r->reason);
		if (r->tier == TIER_NFTABLES ? r->refusal != NULL
					     : !r->refusal || strcmp(r->refusal, want))
			fail_msg("%s: refusal \"%s\"", text, r->refusal ? r->refusal : "none");
		assert_int_equal(fx.plan->refused, r->tier != TIER_NFTABLES);
		/* The kernel serves what the plan calls its own, and nothing else. */
		assert_string_equal(fx_winner(strstr(text, "udp") ? "udp" : "tcp", "10.1.0.1", 80,
					      "10.0.0.9"),
				    r->tier == TIER_NFTABLES ? "r" : "-");
	}
}

static void a_tier_that_the_build_has_is_not_refused(void **state)
{
	(void)state;
	fx.facts.have_relay = true;
	fx_plan(FX_ROUTE("r", "ports: 80", FX_A ", forwardingEngine: relay")
			FX_ROUTE("p", "ports: 81", FX_A ", forwardingEngine: proxy"));
	assert_null(fx_route("r")->refusal);
	assert_non_null(fx_route("p")->refusal);
	fx.facts.have_proxy = true;
	fx_plan(FX_ROUTE("p", "ports: 81", FX_A ", forwardingEngine: proxy"));
	assert_int_equal(fx.plan->refused, 0);
	fx_end();
}

static void refusals_are_told_with_route_and_place(void **state)
{
	static const struct {
		const char *head, *route, *said;
		unsigned line, col;
	} cases[] = {
		{ "",
		  FX_ROUTE("web", "ports: 80, domains: a.test",
			   FX_A ", tls: {mode: terminate, " CERT "}"),
		  "route \"web\" needs the proxy tier: TLS termination (not in this version)", 2,
		  129 },
		{ "acceptProxyProtocol: true\nproxyIPs: [10.0.0.7]",
		  FX_ROUTE("web", "ports: 80", FX_A),
		  "route \"web\" needs the relay tier: PROXY protocol from the peers in proxyIPs "
		  "(not "
		  "in this version)",
		  1, 22 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct diag *g;

		if (!fx_plan_text(cases[i].head, cases[i].route))
			fail_msg("%zu: %s", i, fx.diags.n ? fx.diags.v[0].msg : "");
		plan_report_refusals(fx.plan, &fx.diags);
		g = fx_message(DIAG_ERROR, cases[i].said, NULL);
		if (!g || strcmp(g->msg, cases[i].said))
			fail_msg("%zu: \"%s\"", i, fx.diags.n ? fx.diags.v[0].msg : "nothing said");
		assert_string_equal(g->loc.file, "t.yaml");
		if (g->loc.line != cases[i].line || g->loc.col != cases[i].col)
			fail_msg("%zu: place %u:%u", i, g->loc.line, g->loc.col);
	}
	/* What the kernel tier enforces is not refused. */
	assert_non_null(fx_plan_text(
		"maxConnectionsPerIP: 7\nconnectionRateLimitPerMinute: 8",
		"- name: web\n  match: {ports: 80}\n"
		"  action: {type: forward, " FX_A ", nftables: {maxRate: 10mbps}}\n"
		"  security: {ipAllowList: [10.0.0.0/8], ipBlockList: [10.0.0.66], maxConnections: "
		"5, maxConnectionsPerIP: 2, connectionRate: 9}\n"));
	assert_int_equal(fx.plan->refused, 0);
	assert_int_equal(fx_route("web")->tier, TIER_NFTABLES);
	fx_end();
}

/* ---- size ---- */

static void sixty_four_thousand_routes_plan(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (unsigned port = 1; port <= 64000; port++)
		buf_printf(&b,
			   "- {name: r%u, match: {ports: %u}, action: {type: forward, targets: "
			   "[{host: "
			   "10.2.%u.%u, port: 80}]}}\n",
			   port, port, port >> 8 & 255, port & 255);
	fx_plan(b.data);
	assert_int_equal(fx.plan->n_cells, 64000);
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 1, "10.0.0.9"), "r1");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 64000, "10.0.0.9"), "r64000");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 64001, "10.0.0.9"), "-");
	buf_fini(&b);
	fx_end();
}

static void a_thousand_overlapping_ranges_plan(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		buf_printf(
			&b,
			"- {name: r%u, priority: %u, match: {ports: {from: %u, to: %u}}, action: "
			"{type: forward, " FX_A "}}\n",
			i, i, 1 + i * 20, 30001 + i * 20);
	fx_plan(b.data);
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 30000, "10.0.0.9"), "r999");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 25, "10.0.0.9"), "r1");
	assert_int_equal(fx.plan->n_cells, 1999);
	buf_fini(&b);
	fx_end();
}

static void too_many_competitors_are_an_error_not_a_long_wait(void **state)
{
	struct buf b = { 0 };

	(void)state;
	/* 4200 nested ranges: about 8400 cells with 2100 competitors each. */
	for (unsigned i = 0; i < 4200; i++)
		buf_printf(
			&b,
			"- {name: r%u, priority: %u, match: {ports: {from: %u, to: %u}}, action: "
			"{type: forward, " FX_A "}}\n",
			i, i, 1 + i * 7, 60000 - i * 7);
	assert_null(fx_plan_text("", b.data));
	assert_non_null(fx_message(DIAG_ERROR, "too many routes overlap on the same ports",
				   "8388608", NULL));
	buf_fini(&b);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_has_its_tier_and_says_why),
		cmocka_unit_test(a_tier_that_the_build_has_is_not_refused),
		cmocka_unit_test(refusals_are_told_with_route_and_place),
		cmocka_unit_test(sixty_four_thousand_routes_plan),
		cmocka_unit_test(a_thousand_overlapping_ranges_plan),
		cmocka_unit_test(too_many_competitors_are_an_error_not_a_long_wait),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
