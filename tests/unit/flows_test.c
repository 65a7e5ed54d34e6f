/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which connections the routes would not make any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ctl/apply/flows.h"
#include "tests/unit/plan_fixture.h"

#define INSTANCE 0x12345678

static struct fx_host host;
static uint32_t ids[8];

/* The routes get the numbers 11, 12, ... in the order of the file. */
static struct flows_wanted wanted(const char *routes)
{
	fx_plan(routes);
	for (unsigned i = 0; i < fx.plan->n_routes; i++)
		ids[i] = 11 + i;
	return (struct flows_wanted){ fx.plan, ids, &host.facts.local, INSTANCE };
}

/* "tcp CLIENT LOCAL:PORT TARGET:PORT" of route id */
static struct ct_flow flow(uint32_t id, uint8_t proto, const char *client, const char *local,
			   unsigned port, const char *target, unsigned target_port)
{
	struct ct_flow f = { .id = id,
			     .instance = INSTANCE,
			     .proto = proto,
			     .client_port = 40000,
			     .local_port = (uint16_t)port,
			     .target_port = (uint16_t)target_port };

	if (!addr_parse(client, &f.client) || !addr_parse(local, &f.local) ||
	    !addr_parse(target, &f.target))
		fail_msg("no address");
	return f;
}

static bool stale(const struct flows_wanted *w, uint32_t id, const char *client, unsigned port,
		  const char *target, unsigned target_port)
{
	struct ct_flow t = flow(id, IPPROTO_TCP, client, "10.0.0.1", port, target, target_port);
	struct ct_flow u = t;
	bool tcp = flow_is_stale(w, &t);

	u.proto = IPPROTO_UDP;
	assert_int_equal(flow_is_stale(w, &u), tcp);
	return tcp;
}

static void what_the_routes_would_make_is_not_stale(void **state)
{
	struct flows_wanted w = wanted(
		"- {name: a, match: {ports: [80, 81], transport: all}, action: {type: forward, "
		"targets: [{host: [10.2.0.2, 10.2.0.3], port: 8080}]}}\n"
		"- {name: b, match: {ports: '100-110', transport: all}, action: {type: forward, "
		"targets: [{host: 10.2.0.2, port: '+1000'}]}}\n");

	(void)state;
	assert_false(stale(&w, 11, "10.9.0.1", 80, "10.2.0.2", 8080));
	assert_false(stale(&w, 11, "10.9.0.1", 81, "10.2.0.3", 8080));
	assert_false(stale(&w, 12, "10.9.0.1", 105, "10.2.0.2", 1105));
	assert_true(stale(&w, 11, "10.9.0.1", 80, "10.2.0.4", 8080));  /* a target that left */
	assert_true(stale(&w, 11, "10.9.0.1", 80, "10.2.0.2", 8081));  /* its port did */
	assert_true(stale(&w, 11, "10.9.0.1", 82, "10.2.0.2", 8080));  /* the route's port did */
	assert_true(stale(&w, 13, "10.9.0.1", 80, "10.2.0.2", 8080));  /* of another route */
	assert_true(stale(&w, 12, "10.9.0.1", 105, "10.2.0.2", 1106)); /* the wrong offset */
}

static void who_has_the_connection_now_decides(void **state)
{
	struct flows_wanted w = wanted(
		"- {name: a, match: {ports: 80, transport: all}, action: {type: forward, targets: "
		"[{host: 10.2.0.2, port: 80}]}}\n"
		"- {name: b, priority: 5, match: {ports: 80, transport: all, clientIp: "
		"[10.9.0.0/16]}, "
		"action: {type: forward, targets: [{host: 10.2.0.3, port: 80}]}}\n");

	(void)state;
	assert_false(stale(&w, 11, "10.8.0.1", 80, "10.2.0.2", 80));
	assert_true(stale(&w, 11, "10.9.0.1", 80, "10.2.0.2", 80)); /* b has that client now */
	assert_false(stale(&w, 12, "10.9.0.1", 80, "10.2.0.3", 80));
	assert_true(stale(&w, 12, "10.8.0.1", 80, "10.2.0.3", 80));
}

static void a_client_that_is_let_in_no_more_is_stale(void **state)
{
	struct flows_wanted w =
		wanted("- {name: a, match: {ports: 80, transport: all}, action: {type: forward, "
		       "targets: [{host: 10.2.0.2, port: 80}]}, security: {ipBlockList: "
		       "[10.9.0.0/16], ipAllowList: [10.0.0.0/8]}}\n");

	(void)state;
	assert_false(stale(&w, 11, "10.8.0.1", 80, "10.2.0.2", 80));
	assert_true(stale(&w, 11, "10.9.0.1", 80, "10.2.0.2", 80));
	assert_true(stale(&w, 11, "11.8.0.1", 80, "10.2.0.2", 80));
}

static void others_and_what_is_over_are_left_alone(void **state)
{
	struct flows_wanted w = wanted(FX_ROUTE("a", "ports: 80", FX_A));
	struct ct_flow f = flow(11, IPPROTO_TCP, "10.9.0.1", "10.0.0.1", 80, "10.2.0.9", 80);

	(void)state;
	assert_true(flow_is_stale(&w, &f));
	f.closed = true;
	assert_false(flow_is_stale(&w, &f));
	f.closed = false;
	f.instance++;
	assert_false(flow_is_stale(&w, &f));
	f.instance--;
	f.id = 0;
	assert_false(flow_is_stale(&w, &f));
}

static void a_redirect_answers_from_any_local_address_but_no_other(void **state)
{
	struct flows_wanted w;

	(void)state;
	fx_listen(&host, IPPROTO_TCP, "0.0.0.0", 8080);
	fx_listen(&host, IPPROTO_UDP, "0.0.0.0", 8080);
	w = wanted(FX_ROUTE("a", "ports: 80, transport: all", FX_TARGET("127.0.0.1", "8080")));
	assert_true(fx.plan->routes[0].targets[0].redirect);
	assert_false(stale(&w, 11, "10.9.0.1", 80, "10.0.0.1", 8080));
	assert_true(stale(&w, 11, "10.9.0.1", 80, "10.0.0.1", 8081));
	/* A former target elsewhere that had the same port. */
	assert_true(stale(&w, 11, "10.9.0.1", 80, "10.2.0.2", 8080));
	host.facts.n_listeners = 0;
}

static void only_udp_to_this_host_goes_past_a_route(void **state)
{
	struct flows_wanted w = wanted(FX_ROUTE("a", "ports: 80, transport: all", FX_A));
	struct ct_flow f = flow(0, IPPROTO_UDP, "10.9.0.1", "10.0.0.1", 80, "10.0.0.1", 80);
	struct ct_flow g;

	(void)state;
	f.instance = 0;
	assert_true(flow_is_bypass(&w, &f));
	g = f;
	g.proto = IPPROTO_TCP;
	assert_false(flow_is_bypass(&w, &g));
	g = f;
	g.local_port = g.target_port = 81;
	assert_false(flow_is_bypass(&w, &g)); /* no route there */
	g = f;
	g.zone = 1;
	assert_false(flow_is_bypass(&w, &g));
	g = f;
	addr_parse("10.0.0.9", &g.local);
	g.target = g.local;
	assert_false(flow_is_bypass(&w, &g)); /* passes through */
	g = f;
	addr_parse("10.2.0.9", &g.target);
	assert_false(flow_is_bypass(&w, &g)); /* somebody else's translation */
	g = f;
	g.id = 11;
	assert_false(flow_is_bypass(&w, &g));
}

static bool elder(const struct flows_wanted *w, const struct ct_flow *f)
{
	struct flow_end client, local;
	char text[2][ADDR_TEXT];

	if (!flow_is_elder(w, f, &client, &local))
		return false;
	assert_string_equal(addr_format(&client.addr, text[0]), "10.9.0.1");
	assert_int_equal(client.port, 40000);
	assert_string_equal(addr_format(&local.addr, text[1]), "10.0.0.1");
	assert_int_equal(local.port, 80);
	return true;
}

static void tcp_without_nat_on_a_port_of_a_route_is_elder_than_it(void **state)
{
	struct flows_wanted w = wanted(FX_ROUTE("a", "ports: 80", FX_A));
	struct ct_flow f = flow(0, IPPROTO_TCP, "10.9.0.1", "10.0.0.1", 80, "10.0.0.1", 80);
	struct ct_flow g;

	(void)state;
	f.instance = 0;
	f.seen = f.client;
	f.seen_port = f.client_port;
	assert_true(elder(&w, &f));
	/* The first packet that conntrack saw went to the client. */
	g = flow(0, IPPROTO_TCP, "10.0.0.1", "10.9.0.1", 40000, "10.9.0.1", 40000);
	g.seen = g.client;
	g.client_port = g.seen_port = 80;
	assert_true(elder(&w, &g));
	g.client_port = g.seen_port = 81;
	assert_false(elder(&w, &g)); /* no route there */
	g = f;
	g.proto = IPPROTO_UDP;
	assert_false(elder(&w, &g));
	g = f;
	g.zone = 1;
	assert_false(elder(&w, &g));
	g = f;
	g.id = 11;
	assert_false(elder(&w, &g));
	g = f;
	addr_parse("10.2.0.9", &g.target);
	assert_false(elder(&w, &g)); /* somebody else's translation */
	g = f;
	addr_parse("10.0.0.9", &g.local);
	g.target = g.local;
	assert_false(elder(&w, &g)); /* passes through */
}

static int start(void **state)
{
	(void)state;
	fx_local(&host, "10.0.0.1");
	fx_local(&host, "127.0.0.0/8");
	return 0;
}

static int end(void **state)
{
	(void)state;
	fx_end();
	fx_host_end(&host);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_routes_would_make_is_not_stale),
		cmocka_unit_test(who_has_the_connection_now_decides),
		cmocka_unit_test(a_client_that_is_let_in_no_more_is_stale),
		cmocka_unit_test(others_and_what_is_over_are_left_alone),
		cmocka_unit_test(a_redirect_answers_from_any_local_address_but_no_other),
		cmocka_unit_test(only_udp_to_this_host_goes_past_a_route),
		cmocka_unit_test(tcp_without_nat_on_a_port_of_a_route_is_elder_than_it),
	};

	return cmocka_run_group_tests(tests, start, end);
}
