/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tier of a route among others on its ports: what one that needs the first bytes leaves to the
 * kernel, for the whole route and for one connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/plan_fixture.h"

#define CATCH FX_ROUTE("rest", "ports: 443", FX_A)
#define SNI(p, name, match)                                                                     \
	"- {name: " name ", priority: " p ", match: {" match "}, action: {type: forward, " FX_A \
	", tls: {mode: passthrough}}}\n"
#define API SNI("5", "api", "ports: 443, domains: a.test")
#define KERN(p, name, match)                                                                    \
	"- {name: " name ", priority: " p ", match: {" match "}, action: {type: forward, " FX_A \
	"}}\n"
#define HTTP	    KERN /* its match asks for the proxy */
#define KERNEL	    "decided by port, protocol and client address alone"
#define NOT_HERE    " (not in this version)"
#define BEHIND(p)   "route \"api\" before it on " p " needs the first bytes"
#define PEERS	    "PROXY protocol from the peers in proxyIPs"
#define PROXY_PEERS "acceptProxyProtocol: true\nproxyIPs: [10.0.0.7]"

static const char *behind_text(const struct plan_route *r)
{
	static char out[512];
	size_t len = 0;

	out[0] = '\0';
	for (const struct plan_behind *b = r->behind; b && len < sizeof(out); b = b->next) {
		char ports[PLAN_PORTS_TEXT];

		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s %s%s", len ? ", " : "",
					plan_ports_text(b, ports),
					b->before ? b->before->route->name : "-",
					b->partly ? " partly" : "");
	}
	return out;
}

static const struct {
	const char *head, *routes;
	enum tier tier; /* of the route "rest" */
	const char *reason, *refusal, *behind;
} cases[] = {
	{ "", CATCH, TIER_NFTABLES, KERNEL, NULL, "" },
	/* In no cell the kernel's. */
	{ "", API CATCH, TIER_RELAY, BEHIND("tcp/443"),
	  "needs the relay tier: " BEHIND("tcp/443") NOT_HERE, "tcp/443 api" },
	/* The best one is named, and its tier counts. */
	{ "", API SNI("4", "two", "ports: 443, domains: b.test") CATCH, TIER_RELAY,
	  BEHIND("tcp/443"), "needs the relay tier: " BEHIND("tcp/443") NOT_HERE, "tcp/443 api" },
	{ "", FX_ROUTE("api", "ports: 443, domains: a.test", FX_A) CATCH, TIER_PROXY,
	  BEHIND("tcp/443"), "needs the proxy tier: " BEHIND("tcp/443") NOT_HERE, "tcp/443 api" },
	/* At one address; elsewhere it is the kernel's. */
	{ "", SNI("5", "api", "ports: 443, address: 10.1.0.1, domains: a.test") CATCH,
	  TIER_NFTABLES, KERNEL,
	  "needs the relay tier in part: " BEHIND("10.1.0.1 tcp/443") NOT_HERE,
	  "10.1.0.1 tcp/443 api" },
	/* On some ports. */
	{ "",
	  SNI("5", "api", "ports: [443, 8443], domains: a.test")
		  FX_ROUTE("rest", "ports: [80, 443-445, 8443]", FX_A),
	  TIER_NFTABLES, KERNEL, "needs the relay tier in part: " BEHIND("tcp/443") NOT_HERE,
	  "tcp/443 api, tcp/8443 api" },
	/* Neighbouring cells are one entry. */
	{ "",
	  SNI("5", "api", "ports: 400-499, domains: a.test")
		  SNI("4", "two", "ports: 450, domains: b.test")
			  FX_ROUTE("rest", "ports: 300-600", FX_A),
	  TIER_NFTABLES, KERNEL, "needs the relay tier in part: " BEHIND("tcp/400-499") NOT_HERE,
	  "tcp/400-499 api" },
	/* For some clients. */
	{ "", SNI("5", "api", "ports: 443, clientIp: 10.0.0.0/8, domains: a.test") CATCH,
	  TIER_NFTABLES, KERNEL, "needs the relay tier in part: " BEHIND("tcp/443") NOT_HERE,
	  "tcp/443 api partly" },
	/* None of its clients, and clients of a family that it does not serve. */
	{ "",
	  SNI("5", "api", "ports: 443, clientIp: 10.0.0.0/8, domains: a.test")
		  FX_ROUTE("rest", "ports: 443, clientIp: 11.0.0.0/8", FX_A),
	  TIER_NFTABLES, KERNEL, NULL, "" },
	{ "", SNI("5", "api", "ports: 443, clientIp: 'fd00::/8', domains: a.test") CATCH,
	  TIER_NFTABLES, KERNEL, NULL, "" },
	/* All of its clients, of those of the other. */
	{ "",
	  SNI("5", "api", "ports: 443, clientIp: 10.0.0.0/8, domains: a.test")
		  FX_ROUTE("rest", "ports: 443, clientIp: 10.3.0.0/16", FX_A),
	  TIER_RELAY, BEHIND("tcp/443"), "needs the relay tier: " BEHIND("tcp/443") NOT_HERE,
	  "tcp/443 api" },
	/* It ranks first: nothing is before it. */
	{ "", SNI("-1", "api", "ports: 443, domains: a.test") CATCH, TIER_NFTABLES, KERNEL, NULL,
	  "" },
	/* What takes all at once is no first bytes; what the kernel takes stays the kernel's. */
	{ "",
	  FX_ROUTE("one", "ports: 443, clientIp: 10.0.0.1", FX_A ", forwardingEngine: relay") CATCH,
	  TIER_NFTABLES, KERNEL, NULL, "" },
	{ "",
	  "- {name: all, priority: 1, match: {ports: 443}, action: {type: forward, " FX_A
	  ", forwardingEngine: relay}}\n" CATCH,
	  TIER_RELAY, "route \"all\" before it on tcp/443 takes its connections",
	  "needs the relay tier: route \"all\" before it on tcp/443 takes its connections" NOT_HERE,
	  "" },
	{ "",
	  "- {name: all, priority: 1, match: {ports: 443}, action: {type: forward, " FX_A
	  "}}\n" CATCH,
	  TIER_NFTABLES, KERNEL, NULL, "" },
	/* Its taker is the kernel's; who cannot have any of its clients is no cause. */
	{ "",
	  SNI("9", "api", "ports: 443, clientIp: 192.0.2.0/24, domains: a.test")
		  KERN("5", "kern", "ports: 443, clientIp: 10.0.0.0/8")
			  FX_ROUTE("rest", "ports: 443, clientIp: 10.1.0.0/16", FX_A),
	  TIER_NFTABLES, KERNEL, NULL, "" },
	{ "",
	  SNI("9", "api", "ports: 443, clientIp: 192.0.2.0/24, domains: a.test")
		  KERN("5", "kern", "ports: 443") CATCH,
	  TIER_NFTABLES, KERNEL, NULL, "" },
	/* Behind two it has the tier of the one that asks for more, for whichever clients. */
	{ "",
	  SNI("9", "px", "ports: 443, clientIp: 0.0.0.0/1, domains: a.test")
		  HTTP("7", "api", "ports: 443, path: /x")
			  FX_ROUTE("rest", "ports: [443, 8443]", FX_A),
	  TIER_NFTABLES, KERNEL, "needs the proxy tier in part: " BEHIND("tcp/443") NOT_HERE,
	  "tcp/443 api" },
	{ "",
	  SNI("9", "px", "ports: 443, clientIp: 10.0.0.0/8, domains: a.test")
		  HTTP("8", "api", "ports: 443, path: /x, clientIp: 20.0.0.0/8") CATCH,
	  TIER_NFTABLES, KERNEL, "needs the proxy tier in part: " BEHIND("tcp/443") NOT_HERE,
	  "tcp/443 api partly" },
	/* A reason of its own to be refused is kept, and told. */
	{ PROXY_PEERS, CATCH, TIER_NFTABLES, KERNEL, "needs the relay tier: " PEERS NOT_HERE,
	  "tcp/443 - partly" },
	{ PROXY_PEERS, FX_ROUTE("rest", "ports: 443, clientIp: 10.0.0.7", FX_A), TIER_RELAY, PEERS,
	  "needs the relay tier: " PEERS NOT_HERE, "tcp/443 -" },
	{ PROXY_PEERS, FX_ROUTE("rest", "ports: 443, transport: udp", FX_A), TIER_NFTABLES, KERNEL,
	  NULL, "" },
};

static bool same(const char *a, const char *b)
{
	return !a == !b && (!a || !strcmp(a, b));
}

static void a_route_behind_one_that_needs_the_first_bytes_is_not_the_kernels(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct plan_route *r;

		if (!fx_plan_text(cases[i].head, cases[i].routes))
			fail_msg("%zu: %s", i, fx.diags.n ? fx.diags.v[0].msg : "");
		r = fx_route("rest");
		if (r->tier != cases[i].tier || !same(r->reason, cases[i].reason))
			fail_msg("%zu: %s, \"%s\"", i, tier_name(r->tier), r->reason);
		if (!same(r->refusal, cases[i].refusal))
			fail_msg("%zu: refusal \"%s\"", i, r->refusal ? r->refusal : "none");
		if (strcmp(behind_text(r), cases[i].behind))
			fail_msg("%zu: behind \"%s\"", i, behind_text(r));
		assert_int_equal(r->own_tier, TIER_NFTABLES);
		/* What is not the kernel's has no targets of its own choice. */
		assert_true(r->tier == TIER_NFTABLES || (!r->n_targets && !r->v4 && !r->v6));
	}
	fx_end();
}

static void the_place_of_the_reason_is_the_key_of_the_other_route(void **state)
{
	(void)state;
	fx_plan(API CATCH);
	assert_int_equal(fx_route("rest")->reason_loc.line, 2);
	assert_int_equal(fx_route("rest")->reason_loc.col, fx_route("api")->reason_loc.col);
	fx_end();
}

static void apply_names_the_cause_and_not_what_follows(void **state)
{
	(void)state;
	fx_plan(API CATCH FX_ROUTE("part", "ports: 442-443, clientIp: 10.0.0.1", FX_A)
			FX_ROUTE("own", "ports: 80", FX_A ", sendProxyProtocol: true"));
	plan_report_refusals(fx.plan, &fx.diags);
	assert_int_equal(fx.diags.errors, 2);
	assert_non_null(fx_message(DIAG_ERROR, "route \"api\" needs", NULL));
	assert_non_null(fx_message(DIAG_ERROR, "route \"own\" needs", NULL));
	fx_end();
}

static void nothing_is_refused_where_user_space_is_there(void **state)
{
	(void)state;
	fx.facts.have_relay = true;
	fx_plan(API SNI("5", "at", "ports: 80, address: 10.1.0.1, domains: a.test")
			FX_ROUTE("part", "ports: 80", FX_A) CATCH);
	assert_int_equal(fx.plan->refused, 0);
	assert_int_equal(fx_route("rest")->tier, TIER_RELAY);
	assert_int_equal(fx_route("part")->tier, TIER_NFTABLES);
	assert_string_equal(behind_text(fx_route("part")), "10.1.0.1 tcp/80 at");
	fx_end();
}

static void a_demand_for_the_kernel_is_an_error_with_both_places(void **state)
{
	const struct diag *g;

	(void)state;
	assert_null(fx_plan_text("", API FX_ROUTE("rest", "ports: 443",
						  FX_A ", forwardingEngine: nftables")));
	g = fx_message(DIAG_ERROR,
		       "forwardingEngine \"nftables\" cannot be had: " BEHIND(
			       "tcp/443") " (t.yaml:",
		       NULL);
	assert_non_null(g);
	assert_string_equal(g->path, "routes[1].action.forwardingEngine");
	assert_int_equal(g->loc.line, 3);
	fx_end();
}

/* ---- one connection ---- */

/* How "rest" serves tcp/port at that address (NULL: not known) for that client (likewise). */
static const char *service(const char *local, unsigned port, const char *client)
{
	static char out[512];
	struct plan_conn c = { .proto = IPPROTO_TCP, .port = (uint16_t)port };
	const struct plan_cell *cell;
	struct plan_border border;
	struct plan_service s;
	unsigned i = 0;

	if (local)
		assert_true(addr_parse(local, &c.local));
	if (client)
		assert_true(addr_parse(client, &c.client));
	cell = plan_find_cell(fx.plan, &c);
	assert_non_null(cell);
	while (strcmp(cell->order[i]->route->name, "rest"))
		i++;
	border = plan_find_border(fx.plan, cell, &c.client);
	plan_serve(fx.plan, cell, i, &border, &c, &s);
	assert_int_equal(s.runs, s.tier == TIER_NFTABLES);
	snprintf(out, sizeof(out), "%s: %s", tier_name(s.tier), s.reason);
	return out;
}

static void one_connection_has_the_tier_of_its_cell_and_client(void **state)
{
	(void)state;
	fx_plan(SNI("5", "api", "ports: [443, 8443], domains: a.test")
			SNI("4", "some", "ports: 90, clientIp: 10.0.0.0/8, domains: a.test")
				FX_ROUTE("rest", "ports: [80, 90, 443, 8443]", FX_A));
	assert_string_equal(service(NULL, 80, NULL), "nftables: " KERNEL);
	assert_string_equal(service("10.1.0.1", 80, "10.0.0.1"), "nftables: " KERNEL);
	/* Each port has its own reason, not that of the first. */
	assert_string_equal(service(NULL, 443, NULL), "relay: " BEHIND("tcp/443"));
	assert_string_equal(service("10.1.0.1", 8443, "10.0.0.1"), "relay: " BEHIND("tcp/8443"));
	/* Each client, too. */
	assert_string_equal(service("10.1.0.1", 90, "10.0.0.1"),
			    "relay: route \"some\" before it on tcp/90 needs the first bytes");
	assert_string_equal(service("10.1.0.1", 90, "11.0.0.1"), "nftables: " KERNEL);
	assert_string_equal(service(NULL, 90, NULL),
			    "nftables: " KERNEL "; for some clients not: route \"some\" before it "
			    "on tcp/90 needs the first bytes");
	assert_string_equal(service("fd01::1", 80, "fd00::1"),
			    "relay: no target of the client's address family");
	fx_end();
	/* The kernel leaves [::1] alone, whatever the targets. */
	fx_plan(FX_ROUTE("rest", "ports: 80",
			 "targets: [{host: [10.2.0.2, 'fd02::2'], port: 80}]"));
	assert_string_equal(service("::1", 80, "::1"),
			    "relay: addressed to ::1 (IPv6 has no route_localnet)");
	assert_string_equal(service("fd01::1", 80, "fd01::1"), "nftables: " KERNEL);
	assert_string_equal(service("127.0.0.1", 80, "127.0.0.1"), "nftables: " KERNEL);
	fx_end();
}

static void clients_that_are_all_named_leave_nothing_to_the_kernel(void **state)
{
	(void)state;
	fx_plan(SNI("5", "api", "ports: 443, clientIp: '*', domains: a.test") CATCH);
	assert_string_equal(service(NULL, 443, NULL), "relay: " BEHIND("tcp/443"));
	assert_string_equal(service("10.1.0.1", 443, "10.0.0.1"), "relay: " BEHIND("tcp/443"));
	fx_end();
}

/* To be behind both, what both need was read. */
static void a_connection_behind_two_has_the_higher_tier(void **state)
{
	(void)state;
	fx_plan(SNI("9", "px", "ports: 443, clientIp: 10.0.0.0/8, domains: a.test")
			HTTP("7", "api", "ports: 443, path: /x") CATCH);
	assert_string_equal(service("10.1.0.1", 443, "10.0.0.9"), "proxy: " BEHIND("tcp/443"));
	assert_string_equal(service("10.1.0.1", 443, "200.0.0.1"), "proxy: " BEHIND("tcp/443"));
	assert_string_equal(service(NULL, 443, NULL), "proxy: " BEHIND("tcp/443"));
	fx_end();
}

/* Wide routes over many single ports: what is kept of them is bounded. */
static void only_so_many_ports_are_kept(void **state)
{
	struct buf text = { 0 };
	const struct plan_route *r;

	(void)state;
	for (unsigned i = 0; i < 3 * PLAN_BEHIND_KEPT; i++)
		buf_printf(&text, SNI("5", "s%u", "ports: %u, domains: a.test"), i, 1000 + 2 * i);
	buf_puts(&text, FX_ROUTE("rest", "ports: 1-65535", FX_A));
	fx_plan(text.data);
	r = fx_route("rest");
	assert_int_equal(r->n_behind, PLAN_BEHIND_KEPT);
	assert_true(r->behind_more);
	assert_true(r->refusal_follows);
	fx_end();
	buf_fini(&text);
}

static void peers_that_announce_others_are_user_spaces(void **state)
{
	(void)state;
	assert_non_null(fx_plan_text(PROXY_PEERS, CATCH));
	assert_string_equal(service("10.1.0.1", 443, "10.0.0.7"), "relay: " PEERS);
	assert_string_equal(service("10.1.0.1", 443, "10.0.0.8"), "nftables: " KERNEL);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_route_behind_one_that_needs_the_first_bytes_is_not_the_kernels),
		cmocka_unit_test(the_place_of_the_reason_is_the_key_of_the_other_route),
		cmocka_unit_test(apply_names_the_cause_and_not_what_follows),
		cmocka_unit_test(nothing_is_refused_where_user_space_is_there),
		cmocka_unit_test(a_demand_for_the_kernel_is_an_error_with_both_places),
		cmocka_unit_test(one_connection_has_the_tier_of_its_cell_and_client),
		cmocka_unit_test(clients_that_are_all_named_leave_nothing_to_the_kernel),
		cmocka_unit_test(a_connection_behind_two_has_the_higher_tier),
		cmocka_unit_test(only_so_many_ports_are_kept),
		cmocka_unit_test(peers_that_announce_others_are_user_spaces),
	};

	return cmocka_run_group_tests_name("plan_tier", tests, NULL, NULL);
}
