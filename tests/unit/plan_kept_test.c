/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What cannot be kept where routes have landed is an error, what nobody keeps yet a warning; and
 * who serves what the kernel leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ctl/plan/plan_match.h"
#include "tests/unit/plan_fixture.h"

#define SNI(name, match)                                                                    \
	"- {name: " name ", priority: 5, match: {" match "}, action: {type: forward, " FX_A \
	", tls: {mode: passthrough}}}\n"
#define NFT(name, match, nftables) FX_ROUTE(name, match, FX_A ", nftables: {" nftables "}")
#define BEHIND			   "route \"api\" before it on tcp/443 needs the first bytes"

static void what_only_the_kernel_keeps_is_an_error_where_another_route_takes_it_away(void **state)
{
	static const struct {
		const char *routes, *part, *path;
	} cases[] = {
		{ SNI("api", "ports: 443, domains: a.test")
			  NFT("r", "ports: 443", "maxRate: 1mbps"),
		  "is now user space's", "routes[1].action.nftables.maxRate" },
		{ SNI("api", "ports: 443, domains: a.test")
			  NFT("r", "ports: [80, 443]", "maxRate: 1mbps"),
		  "is in part user space's", "routes[1].action.nftables.maxRate" },
		{ SNI("api", "ports: 443, domains: a.test")
			  NFT("r", "ports: 443", "preserveSourceIP: true"),
		  "is now user space's", "routes[1].action.nftables.preserveSourceIP" },
		{ SNI("api", "ports: 443, domains: a.test, clientIp: 10.0.0.0/8")
			  NFT("r", "ports: 443", "preserveSourceIP: true"),
		  "is in part user space's", "routes[1].action.nftables.preserveSourceIP" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct diag *d;

		assert_null(fx_plan_text("", cases[i].routes));
		assert_int_equal(fx.diags.errors, 1);
		d = fx_message(DIAG_ERROR, cases[i].part, BEHIND, NULL);
		assert_non_null(d);
		assert_string_equal(d->path, cases[i].path);
	}
}

static void it_is_none_where_the_kernel_has_all_of_the_route(void **state)
{
	(void)state;
	fx_plan(SNI("api", "ports: 443, domains: a.test")
			NFT("r", "ports: 80", "maxRate: 1mbps, preserveSourceIP: true"));
	assert_int_equal(fx.diags.warnings, 0);
}

static void the_peers_in_proxy_ips_cannot_keep_it_either(void **state)
{
	(void)state;
	assert_null(fx_plan_text("proxyIPs: [10.0.0.7]", NFT("r", "ports: 80", "maxRate: 1mbps")));
	assert_non_null(fx_message(DIAG_ERROR, "in part", "proxyIPs", NULL));
	/* Where nobody reads their header they are clients like others. */
	assert_non_null(fx_plan_text("proxyIPs: [10.0.0.7]\nacceptProxyProtocol: false",
				     NFT("r", "ports: 80", "maxRate: 1mbps")));
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.7"), "r");
}

static void the_top_levels_wish_to_keep_the_source_is_a_warning(void **state)
{
	(void)state;
	fx_plan_text("preserveSourceIP: true",
		     SNI("api", "ports: 443, domains: a.test") FX_ROUTE("rest", "ports: 443", FX_A)
			     FX_ROUTE("two", "ports: 443, clientIp: 10.0.0.0/8", FX_A));
	assert_non_null(fx.plan);
	assert_non_null(fx_message(DIAG_WARNING, "preserveSourceIP of the top level",
				   "(and 1 more)", NULL));
	/* Who tells it otherwise needs no warning. */
	fx_plan_text("preserveSourceIP: true\nsendProxyProtocol: true",
		     FX_ROUTE("r", "ports: 443", FX_A));
	assert_int_equal(fx.diags.warnings, 0);
}

static void sockmap_is_told_once(void **state)
{
	(void)state;
	fx_plan(FX_ROUTE("a", "ports: 1", FX_A ", forwardingEngine: sockmap")
			FX_ROUTE("b", "ports: 2, transport: all",
				 FX_A ", forwardingEngine: sockmap"));
	assert_int_equal(fx.diags.warnings, 1);
	assert_non_null(
		fx_message(DIAG_WARNING, "without eBPF in this version (and 1 more)", NULL));
	assert_int_equal(fx_route("a")->tier, TIER_RELAY);
}

static void what_nobody_follows_is_named(void **state)
{
	static const struct {
		const char *head, *action, *word;
	} cases[] = {
		{ "", "targets: [{host: 10.2.0.2, port: 1, loadBalancing: {algorithm: random}}]",
		  "loadBalancing of a single target is not followed" },
		{ "", "targets: [{host: 10.2.0.2, port: 1, advanced: {timeout: 5}}]",
		  "advanced of a single target is not followed" },
		{ "", "targets: [{host: 10.2.0.2, port: 1, tls: {mode: passthrough}}]",
		  "tls of a single target has no effect" },
		{ "allowSessionTicket: false", FX_A ", tls: {mode: passthrough}",
		  "allowSessionTicket false is not followed" },
		{ "socketTimeout: 5000", FX_A ", forwardingEngine: relay",
		  "socketTimeout has no effect" },
		{ "acme: {email: a@b.test}", FX_A, "acme has no effect" },
		{ "defaults: {tls: {mode: passthrough}}", FX_A, "no route ends TLS" },
		{ "admin: {listen: '127.0.0.1:9000'}", FX_A, "admin is not in this version" },
		{ "metrics: {enabled: true}", FX_A, "metrics are not in this version" },
		{ "store: {etcd: {endpoints: ['http://a:1']}}", FX_A,
		  "store is not in this version" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[400];

		snprintf(text, sizeof(text),
			 "- {name: r, match: {ports: 1}, action: {type: forward, %s}}\n",
			 cases[i].action);
		if (!fx_plan_text(cases[i].head, text))
			fail_msg("%s: %s", cases[i].word, fx.diags.v[0].msg);
		if (!fx_message(DIAG_WARNING, cases[i].word, NULL))
			fail_msg("no warning: %s", cases[i].word);
	}
}

static void limits_that_two_count_apart_are_told(void **state)
{
	static const char limited[] = "- {name: r, match: {ports: [80, 443]}, security: "
				      "{maxConnections: 5}, action: {type: "
				      "forward, " FX_A "}}\n";
	char text[1000];

	(void)state;
	snprintf(text, sizeof(text), "%s%s", SNI("api", "ports: 443, domains: a.test"), limited);
	fx_plan(text);
	assert_non_null(fx_message(DIAG_WARNING, "count what it may have apart", NULL));
	snprintf(text, sizeof(text), "%s%s", SNI("api", "ports: 8443, domains: a.test"), limited);
	fx_plan(text);
	assert_int_equal(fx.diags.warnings, 0);
}

static void a_time_that_is_multiplied_is_told(void **state)
{
	static const char relay[] = FX_ROUTE("r", "ports: 1", FX_A ", forwardingEngine: relay");

	(void)state;
	fx_plan_text("inactivityTimeout: 5000", relay);
	assert_non_null(fx_message(DIAG_NOTE, "5000 ms is multiplied by 6", NULL));
	fx_plan_text("inactivityTimeout: 5000\nkeepAliveTreatment: standard", relay);
	assert_null(fx_message(DIAG_NOTE, "multiplied", NULL));
	fx_plan_text("inactivityTimeout: 5000", FX_ROUTE("r", "ports: 1", FX_A));
	assert_null(fx_message(DIAG_NOTE, "multiplied", NULL));
}

static void routes_of_a_port_agree_on_the_header(void **state)
{
	static const char routes[] =
		FX_ROUTE("a", "ports: 80, clientIp: 10.0.0.0/8",
			 FX_A ", acceptProxyProtocol: false") FX_ROUTE("b", "ports: 80", FX_A);
	static const char apart[] = FX_ROUTE("a", "ports: 81", FX_A ", acceptProxyProtocol: false")
		FX_ROUTE("b", "ports: 80", FX_A);

	(void)state;
	assert_null(fx_plan_text("proxyIPs: [10.0.0.7]", routes));
	assert_non_null(fx_message(DIAG_ERROR, "acceptProxyProtocol of route \"b\" differs",
				   "port 80", NULL));
	assert_non_null(fx_plan_text("", routes));
	/* Each port by itself. */
	assert_non_null(fx_plan_text("proxyIPs: [10.0.0.7]", apart));
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 81, "10.0.0.7"), "a");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.7"), "-");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.8"), "b");
	assert_int_equal(fx.plan->n_listeners, 1);
	assert_int_equal(fx.plan->listeners[0].port, 80);
}

/* The TCP half needs user space, the UDP half does not: two lines, and only one port to listen on.
 */
static void udp_stays_the_kernels_beside_tcp_in_the_relay(void **state)
{
	(void)state;
	fx_plan(FX_ROUTE("dns", "ports: 53, transport: all", FX_A ", forwardingEngine: relay"));
	assert_int_equal(fx.plan->n_routes, 2);
	assert_int_equal(fx.plan->routes[0].tier, TIER_RELAY);
	assert_int_equal(fx.plan->routes[1].tier, TIER_NFTABLES);
	assert_int_equal(fx.plan->n_listeners, 1);
	assert_string_equal(fx_winner("udp", "10.1.0.1", 53, "10.0.0.7"), "dns");
	assert_null(fx_plan_text("", FX_ROUTE("u", "ports: 53, transport: udp",
					      FX_A ", sendProxyProtocol: true")));
	assert_non_null(fx_message(DIAG_ERROR, "UDP is served by the kernel tier only", NULL));
}

static bool is_served(const char *local, unsigned port, const char *client, enum tier *tier)
{
	struct plan_conn c = { .proto = IPPROTO_TCP, .port = (uint16_t)port };
	const struct plan_cell *cell;
	struct plan_border b;
	struct plan_service s;
	char why[160];
	unsigned i = 0;

	assert_true(addr_parse(local, &c.local) && addr_parse(client, &c.client));
	cell = plan_find_cell(fx.plan, &c);
	assert_non_null(cell);
	while (i < cell->n_order && route_matches(&cell->order[i]->route->match,
						  &(struct match_facts){ .client = c.client }, why,
						  sizeof(why)) != MATCH_YES)
		i++;
	assert_true(i < cell->n_order);
	b = plan_find_border(fx.plan, cell, &c.client);
	plan_serve(fx.plan, cell, i, &b, &c, &s);
	*tier = s.tier;
	return s.runs;
}

/* No listener for that alone; but where there is one, it serves them. */
static void clients_of_another_family_are_served_where_somebody_listens(void **state)
{
	enum tier tier;

	(void)state;
	fx_plan(FX_ROUTE("web", "ports: 80", FX_A));
	assert_false(is_served("fd01::1", 80, "fd00::1", &tier));
	assert_int_equal(tier, TIER_RELAY);
	assert_true(is_served("10.1.0.1", 80, "10.0.0.1", &tier));
	assert_int_equal(tier, TIER_NFTABLES);
	fx_plan_text("proxyIPs: [10.0.0.7]", FX_ROUTE("web", "ports: 80", FX_A));
	assert_true(is_served("fd01::1", 80, "fd00::1", &tier));
	assert_int_equal(tier, TIER_RELAY);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fx_begin_relay, fx_finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_only_the_kernel_keeps_is_an_error_where_another_route_takes_it_away),
		T(it_is_none_where_the_kernel_has_all_of_the_route),
		T(the_peers_in_proxy_ips_cannot_keep_it_either),
		T(the_top_levels_wish_to_keep_the_source_is_a_warning),
		T(sockmap_is_told_once),
		T(what_nobody_follows_is_named),
		T(limits_that_two_count_apart_are_told),
		T(a_time_that_is_multiplied_is_told),
		T(routes_of_a_port_agree_on_the_header),
		T(udp_stays_the_kernels_beside_tcp_in_the_relay),
		T(clients_of_another_family_are_served_where_somebody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
