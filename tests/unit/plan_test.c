/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plan: tier and reason, order, cells, client intervals, conflicts, targets, what the host
 * has to turn on. plan_property_test.c compares the same with a slow oracle at random. */
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
	{ "ports: 80", FX_TARGET("::1", "80"), TIER_RELAY,
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

/* ---- which route wins ---- */

#define PRIO(p, name, match)                                                                    \
	"- {name: " name ", priority: " p ", match: {" match "}, action: {type: forward, " FX_A \
	"}}\n"

static void the_order_is_priority_then_specificity_then_file(void **state)
{
	static const struct {
		const char *a, *b; /* a must be before b, in whichever order they stand */
	} pairs[] = {
		{ PRIO("5", "a", "ports: 80"),
		  PRIO("4", "b", "ports: 80, path: /x, domains: x.test") },
		{ PRIO("0", "a", "ports: 80"), PRIO("-1", "b", "ports: 80, clientIp: 10.0.0.1") },
		{ PRIO("0", "a", "ports: 80, path: /longer"),
		  PRIO("0", "b", "ports: 80, path: /long") },
		{ PRIO("0", "a", "ports: 80, path: /x"),
		  PRIO("0", "b", "ports: 80, path: '/xxxxxx/*'") },
		{ PRIO("0", "a", "ports: 80, path: /x"),
		  PRIO("0", "b", "ports: 80, path: '/xxx/:id'") },
		{ PRIO("0", "a", "ports: 80, path: /x"),
		  PRIO("0", "b", "ports: 80, path: /xxxxx/") },
		{ PRIO("0", "a", "ports: 80, path: '/*'"),
		  PRIO("0", "b", "ports: 80, domains: x.test") },
		{ PRIO("0", "a", "ports: 80, domains: a.test"),
		  PRIO("0", "b", "ports: 80, domains: '*.long.test'") },
		{ PRIO("0", "a", "ports: 80, domains: '*.b.test'"),
		  PRIO("0", "b", "ports: 80, domains: '*.test'") },
		{ PRIO("0", "a", "ports: 80, domains: '*'"),
		  PRIO("0", "b", "ports: 80, clientIp: 10.0.0.1") },
		{ PRIO("0", "a", "ports: 80, clientIp: 10.0.0.1"),
		  PRIO("0", "b", "ports: 80, clientIp: 10.0.0.0/31") },
		{ PRIO("0", "a", "ports: 80, clientIp: 10.0.0.0/31"),
		  PRIO("0", "b", "ports: 80, clientIp: [10.0.0.1, 10.0.0.8/29]") },
		/* Of IPv4's 32 bits each counts as four of IPv6's 128. */
		{ PRIO("0", "a", "ports: 80, clientIp: 'fd00::/40'"),
		  PRIO("0", "b", "ports: 80, clientIp: 10.0.0.0/8") },
		{ PRIO("0", "a", "ports: 80, clientIp: '*'"),
		  PRIO("0", "b", "ports: 80, headers: {X: y}") },
		{ PRIO("0", "a", "ports: 80, headers: {X: y, Z: y}"),
		  PRIO("0", "b", "ports: 80, headers: {X: y}") },
		{ PRIO("0", "a", "ports: 80, method: GET"),
		  PRIO("0", "b", "ports: 80, address: 10.1.0.1") },
		{ PRIO("0", "a", "ports: 80, address: 10.1.0.1"), PRIO("0", "b", "ports: 80") },
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
	fx_plan(PRIO("0", "wide", "ports: 80-110") PRIO("1", "mid", "ports: {from: 90, to: 99}")
			PRIO("2", "one", "ports: 95, transport: all")
				PRIO("0", "top", "ports: 65535"));
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
		{ "", PRIO("1", "a", "ports: 80, domains: a.test") FX_ROUTE("b", "ports: 80", FX_A),
		  "", "" },
		{ "",
		  PRIO("1", "a", "ports: 80, clientIp: 10.0.0.1")
			  PRIO("2", "b", "ports: 80, domains: b.test"),
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
		  PRIO("1", "a", "ports: 80")
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
		PRIO("1", "a", "ports: 80, clientIp: 10.0.0.1") PRIO("0", "b", "ports: 80"),
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
		{ PRIO("1", "a", "ports: 80") PRIO("0", "b", "ports: 80"), "b" },
		{ PRIO("1", "a", "ports: 80") PRIO("0", "b", "ports: 80-81"), NULL },
		{ PRIO("1", "a", "ports: 80") PRIO("0", "b", "ports: 80, transport: all"), NULL },
		{ PRIO("1", "a", "ports: 70-90") PRIO("0", "b", "ports: [75, 80-85]"), "b" },
		{ PRIO("1", "a", "ports: 80, clientIp: ['::/0', 0.0.0.0/1]")
			  PRIO("1", "c", "ports: 80, clientIp: 128.0.0.0/1")
				  PRIO("0", "b", "ports: 80"),
		  "b" },
		{ PRIO("1", "a", "ports: 80, clientIp: 0.0.0.0/0") PRIO("0", "b", "ports: 80"),
		  NULL },
		/* A route that needs the first bytes leaves the next one a chance. */
		{ PRIO("1", "a", "ports: 80, domains: a.test") PRIO("0", "b", "ports: 80"), NULL },
		{ PRIO("1", "a", "ports: 80, address: 10.1.0.1") PRIO("0", "b", "ports: 80"),
		  NULL },
		{ PRIO("1", "a", "ports: 80") PRIO("0", "b", "ports: 80, address: 10.1.0.1"), "b" },
		/* The relay takes all of them at once. */
		{ "- {name: a, priority: 1, match: {ports: 80}, action: {type: forward, " FX_A
		  ", forwardingEngine: relay}}\n" PRIO("0", "b", "ports: 80"),
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
		{ PRIO("1", "a", "ports: 80, domains: a.test") FX_ROUTE("r", "ports: 80", FX_A),
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
		cmocka_unit_test(the_order_is_priority_then_specificity_then_file),
		cmocka_unit_test(a_disabled_route_is_not_planned),
		cmocka_unit_test(overlapping_ranges_are_cut_where_they_meet),
		cmocka_unit_test(an_address_never_falls_back_to_the_wildcard_route),
		cmocka_unit_test(clients_are_cut_into_intervals_with_gaps_for_user_space),
		cmocka_unit_test(a_conflict_names_both_routes_and_the_port),
		cmocka_unit_test(what_differs_is_no_conflict),
		cmocka_unit_test(a_pair_is_told_once_however_many_ports_it_shares),
		cmocka_unit_test(a_route_that_others_cover_is_never_reached),
		cmocka_unit_test(only_the_first_group_of_targets_takes_connections),
		cmocka_unit_test(families_follow_the_targets),
		cmocka_unit_test(offsets_must_stay_inside_the_ports),
		cmocka_unit_test(names_become_their_addresses),
		cmocka_unit_test(loopback_targets_are_redirected_where_the_listener_takes_it),
		cmocka_unit_test(what_the_host_must_turn_on_is_what_the_winners_need),
		cmocka_unit_test(sixty_four_thousand_routes_plan),
		cmocka_unit_test(a_thousand_overlapping_ranges_plan),
		cmocka_unit_test(too_many_competitors_are_an_error_not_a_long_wait),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
