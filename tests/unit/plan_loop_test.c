/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Targets that lead back to where user space listens are refused; all others are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/plan_fixture.h"

#define RELAY(name, match, host, port) \
	FX_ROUTE(name, match, FX_TARGET(host, port) ", forwardingEngine: relay")
#define KERNEL(name, match, host, port) FX_ROUTE(name, match, FX_TARGET(host, port))
#define ONE_LOOP			RELAY("a", "ports: 443", "127.0.0.1", "443")
#define SAME				"leads back to port 443"

static struct fx_host host;
static struct addr here = { ADDR_V4, { 127, 0, 0, 1 } };
static struct addr there[] = { { ADDR_V4, { 10, 1, 0, 1 } }, { ADDR_V4, { 10, 2, 0, 2 } } };
static const struct resolved_name names[] = {
	{ .name = "here", .addrs = &here, .n = 1 },
	{ .name = "there", .addrs = there, .n = 2 },
};

static int begin(void **state)
{
	(void)state;
	memset(&host, 0, sizeof(host));
	fx_local(&host, "10.1.0.1");
	fx.facts.have_relay = true;
	fx.facts.names = names;
	fx.facts.n_names = 2;
	return 0;
}

static int end(void **state)
{
	(void)state;
	fx_end();
	fx_host_end(&host);
	memset(&fx.facts, 0, sizeof(fx.facts));
	return 0;
}

/* As apply and plan do. */
static struct plan *plan_new(const char *head, const char *routes)
{
	fx_plan_text(head, routes);
	plan_free(fx.plan);
	diags_fini(&fx.diags);
	memset(&fx.diags, 0, sizeof(fx.diags));
	fx.plan = fx.config ? plan_build_new(fx.config, &fx.facts, &fx.diags) : NULL;
	return fx.plan;
}

static void refused(const char *head, const char *routes, const char *words, const char *path)
{
	const struct diag *d;

	if (plan_new(head, routes))
		fail_msg("not refused:\n%s", routes);
	if (fx.diags.errors != 1)
		fail_msg("%u errors:\n%s", fx.diags.errors, routes);
	d = fx_message(DIAG_ERROR, words, NULL);
	if (!d)
		fail_msg("%s\nwithout \"%s\"", fx.diags.v[0].msg, words);
	assert_string_equal(d->path, path);
	assert_non_null(d->hint);
}

static void accepted(const char *routes)
{
	if (!plan_new("", routes))
		fail_msg("%s:\n%s", fx.diags.n ? fx.diags.v[0].msg : "no message", routes);
}

static void a_route_does_not_go_to_its_own_port(void **state)
{
	static const char first[] = "routes[0].action.targets[0].host";
	static const char *const loops[] = {
		ONE_LOOP,
		RELAY("a", "ports: 443", "127.0.0.1", "preserve"),
		RELAY("a", "ports: 443", "::1", "443"),
		RELAY("a", "ports: 443", "127.3.0.1", "443"),
		RELAY("a", "ports: 443", "10.1.0.1", "443"),
		RELAY("a", "ports: 443", "here", "443"),
		RELAY("a", "ports: 443", "there", "443"),
		RELAY("a", "ports: 443, address: 10.1.0.1", "10.1.0.1", "443"),
		FX_ROUTE("a", "ports: 443, domains: a.test",
			 FX_TARGET("127.0.0.1", "443") ", tls: {mode: passthrough}"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(loops) / sizeof(*loops); i++)
		refused("", loops[i], SAME, first);
	/* Once for all ports. */
	refused("", RELAY("a", "ports: {from: 400, to: 500}", "127.0.0.1", "preserve"),
		"leads back to port 400", first);
}

static void who_else_listens_on_this_host_is_no_loop(void **state)
{
	(void)state;
	accepted(RELAY("a", "ports: 443", "127.0.0.1", "8443"));
	accepted(RELAY("a", "ports: 443", "10.2.0.2", "443"));
	/* Only the other address is ours. */
	accepted(RELAY("a", "ports: 443, address: 10.1.0.1", "127.0.0.1", "443"));
	/* The kernel leaves 127.0.0.1:443 to the service there. */
	accepted(KERNEL("a", "ports: 443", "127.0.0.1", "443"));
	/* What gets no connections leads nowhere. */
	accepted(
		"- {name: a, match: {ports: 443}, action: {type: forward, forwardingEngine: relay, "
		"targets: [{host: 10.2.0.2, port: 80}, {host: 127.0.0.1, port: 443, weight: "
		"0}]}}\n");
	accepted("- {name: a, match: {ports: [80, 443]}, action: {type: forward, "
		 "forwardingEngine: relay, targets: [{host: 10.2.0.2, port: 80}, {host: 127.0.0.1, "
		 "port: 8080, match: {ports: 80}}]}}\n");
}

static void ports_that_lead_to_each_other_are_refused(void **state)
{
	(void)state;
	refused("",
		RELAY("a", "ports: 443", "127.0.0.1", "8443")
			RELAY("b", "ports: 8443", "127.0.0.1", "443"),
		"target \"127.0.0.1\" of route \"b\" closes a circle of ports (443 -> 8443 -> 443)",
		"routes[1].action.targets[0].host");
	refused("",
		RELAY("a", "ports: 443", "127.0.0.1", "1000")
			RELAY("b", "ports: 1000", "10.1.0.1", "2000")
				RELAY("c", "ports: 2000", "127.0.0.1", "1000"),
		"circle of ports (1000 -> 2000 -> 1000)", "routes[2].action.targets[0].host");
	/* By way of a port that the kernel has. */
	refused("",
		RELAY("a", "ports: 443", "127.0.0.1", "80")
			KERNEL("b", "ports: 80", "127.0.0.1", "443"),
		"circle of ports (443 -> 80 -> 443)", "routes[1].action.targets[0].host");
}

static void a_chain_that_ends_is_none(void **state)
{
	(void)state;
	accepted(RELAY("a", "ports: 443", "127.0.0.1", "8443")
			 RELAY("b", "ports: 8443", "10.2.0.2", "443"));
	accepted(RELAY("a", "ports: 443", "127.0.0.1", "1000")
			 RELAY("b", "ports: 444", "127.0.0.1", "1000")
				 RELAY("c", "ports: 1000", "127.0.0.1", "2000")
					 RELAY("d", "ports: 2000", "127.0.0.1", "8080"));
	accepted(RELAY("a", "ports: {from: 1000, to: 4000}", "127.0.0.1", "'+1'"));
	/* DNAT to a port of this host is not sent on by the kernel once more. */
	accepted(RELAY("a", "ports: 443", "127.0.0.1", "80")
			 KERNEL("b", "ports: 80", "127.0.0.1", "81")
				 KERNEL("c", "ports: 81", "127.0.0.1", "443"));
}

static void the_target_of_who_has_no_route_is_followed_too(void **state)
{
	(void)state;
	refused("defaults: {target: {host: 127.0.0.1, port: 443}}",
		RELAY("a", "ports: 443, clientIp: 10.0.0.0/8", "10.2.0.2", "80"),
		"defaults.target leads back to port 443", "defaults.target.host");
}

/* Addresses come and go: what is live is read all the same, and the relay refuses. */
static void an_address_that_came_later_does_not_make_a_live_file_unreadable(void **state)
{
	static const char loops[] = RELAY("a", "ports: 443", "10.1.0.1", "443");

	(void)state;
	assert_non_null(fx_plan_text("", loops));
	assert_null(plan_new("", loops));
	/* That of a file alone is one wherever it is read. */
	assert_null(fx_plan_text("", ONE_LOOP));
	assert_non_null(fx_message(DIAG_ERROR, SAME, NULL));
	assert_int_equal(fx.diags.v[0].loc.line, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_route_does_not_go_to_its_own_port, begin, end),
		cmocka_unit_test_setup_teardown(who_else_listens_on_this_host_is_no_loop, begin,
						end),
		cmocka_unit_test_setup_teardown(ports_that_lead_to_each_other_are_refused, begin,
						end),
		cmocka_unit_test_setup_teardown(a_chain_that_ends_is_none, begin, end),
		cmocka_unit_test_setup_teardown(the_target_of_who_has_no_route_is_followed_too,
						begin, end),
		cmocka_unit_test_setup_teardown(
			an_address_that_came_later_does_not_make_a_live_file_unreadable, begin,
			end),
	};

	return cmocka_run_group_tests_name("plan_loop", tests, NULL, NULL);
}
