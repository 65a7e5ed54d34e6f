/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every error and warning of the plan names the key it is about, as the file spells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/plan_fixture.h"

#define FIRST	  FX_ROUTE("first", "ports: 1", FX_A)
#define ROUTE(s)  "- name: web\n  match: {ports: 80}\n  action: {type: forward, " FX_A "}\n  " s "\n"
#define ACTION(s) FX_ROUTE("web", "ports: 80", FX_A ", " s)
#define CERT	  "certificate: {certFile: /a, keyFile: /b}"

static struct resolved_name gone = { .name = "gone.lan", .n = 0, .why = "no such host" };

static void check(size_t i, const char *said, const char *path)
{
	const struct diag *g = fx_message(DIAG_ERROR, said, NULL);

	g = g ? g : fx_message(DIAG_WARNING, said, NULL);
	if (!g)
		fail_msg("%zu: \"%s\"", i, fx.diags.n ? fx.diags.v[0].msg : "nothing said");
	if (!g->path || strcmp(g->path, path))
		fail_msg("%zu: path %s, not %s", i, g->path ? g->path : "none", path);
	assert_int_not_equal(g->loc.line, 0);
}

static void refusals_have_the_path_of_their_key(void **state)
{
	static const struct {
		const char *head, *routes, *said, *path;
	} cases[] = {
		{ "", FIRST FX_ROUTE("web", "ports: 80, domains: a.test", FX_A), "HTTP host",
		  "routes[1].match.domains" },
		{ "", FIRST ACTION("tls: {mode: terminate, " CERT "}"), "TLS termination",
		  "routes[1].action.tls.mode" },
		{ "", FIRST ROUTE("tls: {mode: terminate, " CERT "}"), "TLS termination",
		  "routes[1].tls.mode" },
		{ "", FX_ROUTE("web", "ports: 80", FX_TARGET("::1", "81")), "target ::1",
		  "routes[0].action.targets[0].host" },
		{ "",
		  FX_ROUTE("web", "ports: 80",
			   "targets: [{host: 'fd02::2', port: 80}, {host: ['fd02::3', '::1'], "
			   "port: 81}]"),
		  "target ::1", "routes[0].action.targets[1].host[1]" },
		{ "",
		  FX_ROUTE("web", "ports: 80",
			   "targets: [{host: 10.2.0.2, port: 80}, {host: 10.2.0.3, port: "
			   "preserve}]"),
		  "targets that differ", "routes[0].action" },
		{ "acceptProxyProtocol: true\nproxyIPs: [10.0.0.7]", FIRST, "PROXY protocol from",
		  "acceptProxyProtocol" },
		{ "sendProxyProtocol: true", FIRST, "PROXY protocol to", "sendProxyProtocol" },
		{ "defaults: {target: {host: 10.2.0.9, port: 1}}",
		  FX_ROUTE("web", "ports: 80, clientIp: 10.0.0.1", FX_A), "defaults.target",
		  "defaults.target" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (!fx_plan_text(cases[i].head, cases[i].routes))
			fail_msg("%zu: %s", i, fx.diags.n ? fx.diags.v[0].msg : "");
		plan_report_refusals(fx.plan, &fx.diags);
		check(i, cases[i].said, cases[i].path);
	}
	fx_end();
}

static void errors_have_the_path_of_their_key(void **state)
{
	static const struct {
		const char *routes, *said, *path;
	} cases[] = {
		{ FIRST FX_ROUTE("web", "ports: 80", FX_TARGET("gone.lan", "80")),
		  "cannot be resolved", "routes[1].action.targets[0].host" },
		{ FIRST FX_ROUTE("web", "ports: 80",
				 "targets: [{host: [10.2.0.2, gone.lan], port: 80}]"),
		  "cannot be resolved", "routes[1].action.targets[0].host[1]" },
		{ FX_ROUTE("web", "ports: 80", "target: {host: gone.lan, port: 80}"),
		  "cannot be resolved", "routes[0].action.target.host" },
		{ FIRST FX_ROUTE("web", "ports: 65000", FX_TARGET("10.2.0.2", "'+1000'")),
		  "offset +1000", "routes[1].action.targets[0].port" },
		{ FIRST FX_ROUTE("web", "ports: 80",
				 "targets: [{host: 10.2.0.2, port: 80, weight: 0}]"),
		  "has no target", "routes[1].action.targets[0].weight" },
	};

	(void)state;
	fx.facts.names = &gone;
	fx.facts.n_names = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (fx_plan_text("", cases[i].routes))
			fail_msg("%zu: it plans", i);
		check(i, cases[i].said, cases[i].path);
	}
	fx.facts.names = NULL;
	fx.facts.n_names = 0;
	fx_end();
}

static void a_route_that_nothing_reaches_has_its_path(void **state)
{
	(void)state;
	fx_plan("- {name: a, priority: 1, match: {ports: 80}, action: {type: forward, " FX_A
		"}}\n" FX_ROUTE("b", "ports: 80", FX_A));
	check(0, "is never reached", "routes[1]");
	fx_end();
}

static void too_many_overlaps_are_told_at_the_ports(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (unsigned i = 0; i < 4200; i++)
		buf_printf(&b,
			   "- {name: r%u, priority: %u, match: {ports: {from: %u, to: %u}}, "
			   "action: {type: forward, " FX_A "}}\n",
			   i, i, 1 + i * 7, 60000 - i * 7);
	assert_null(fx_plan_text("", b.data));
	assert_int_equal(fx.diags.errors, 1);
	if (!fx.diags.v[0].path || !strstr(fx.diags.v[0].path, "].match.ports"))
		fail_msg("path %s", fx.diags.v[0].path ? fx.diags.v[0].path : "none");
	buf_fini(&b);
	fx_end();
}

/* What stands behind an alias has one place, but the path is that of the route which uses it. */
static void an_alias_has_the_path_of_the_route_that_uses_it(void **state)
{
	(void)state;
	fx_plan(FX_ROUTE("one", "ports: 80", FX_A ", tls: &ends {mode: terminate, " CERT "}")
			FX_ROUTE("two", "ports: 81", FX_A ", tls: *ends"));
	plan_report_refusals(fx.plan, &fx.diags);
	check(0, "route \"one\"", "routes[0].action.tls.mode");
	check(1, "route \"two\"", "routes[1].action.tls.mode");
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals_have_the_path_of_their_key),
		cmocka_unit_test(errors_have_the_path_of_their_key),
		cmocka_unit_test(a_route_that_nothing_reaches_has_its_path),
		cmocka_unit_test(too_many_overlaps_are_told_at_the_ports),
		cmocka_unit_test(an_alias_has_the_path_of_the_route_that_uses_it),
	};

	return cmocka_run_group_tests_name("plan_error", tests, NULL, NULL);
}
