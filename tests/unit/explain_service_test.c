/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the service would do with a connection, in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ctl/cli/explain_service.h"
#include "tests/unit/plan_fixture.h"

static void expect_text(const char *route, bool reads_first, const char *said)
{
	json_t *s = explain_service_json(fx.plan, fx_route(route));
	struct buf b = { 0 };

	assert_non_null(s);
	explain_service_text(&b, s, reads_first);
	assert_string_equal(b.data, said);
	for (const char *line = b.data; line && *line; line = strchr(line, '\n') + 1)
		assert_true(strcspn(line, "\n") <= 100);
	buf_fini(&b);
	json_decref(s);
}

static void it_says_what_the_table_says(void **state)
{
	(void)state;
	fx_plan("- {name: web, match: {ports: 443, domains: a.test}, action: {type: forward, "
		"tls: {mode: passthrough}, sendProxyProtocol: true, targets: [{host: [10.2.0.2, "
		"10.2.0.3], port: 80}], loadBalancing: {algorithm: least-connections, healthCheck: "
		"{interval: 1500, path: /up}}}}\n"
		"- {name: plain, match: {ports: 80}, action: {type: forward, forwardingEngine: "
		"relay, " FX_A "}}\n"
		"- {name: kernel, match: {ports: 81}, action: {type: forward, " FX_A "}}\n");
	expect_text("web", true,
		    "service: connects to one of 2 targets (least-connections), on failure to the "
		    "next, within 30 s\n"
		    "         tells the target who the client is: PROXY protocol v1\n"
		    "         asks each target every 1500 ms whether it is well: /up\n"
		    "         it reads the first bytes to decide, which have 1 min to come\n"
		    "         (who is silent for 1 s gets the first route that needs none)\n"
		    "         ends it when nothing moves for 24 h, at the latest after 168 h\n");
	expect_text("plain", false,
		    "service: connects to its target, within 30 s\n"
		    "         ends it when nothing moves for 24 h, at the latest after 168 h\n");
	assert_null(explain_service_json(fx.plan, fx_route("kernel")));
}

static void what_numbers_something_there_is_not_told(void **state)
{
	json_t *s;

	(void)state;
	fx_plan("- {name: plain, match: {ports: 80, clientIp: 10.0.0.0/8}, security: {ipBlockList: "
		"[10.0.0.1]}, action: {type: forward, forwardingEngine: relay, " FX_A "}}\n");
	s = explain_service_json(fx.plan, fx_route("plain"));
	assert_non_null(s);
	assert_null(json_object_get(s, "id"));
	assert_null(json_object_get(s, "clients"));
	assert_null(json_object_get(s, "block"));
	assert_int_equal(json_integer_value(json_object_get(s, "connectTimeout")), 30000);
	json_decref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_says_what_the_table_says, fx_begin_relay,
						fx_finish),
		cmocka_unit_test_setup_teardown(what_numbers_something_there_is_not_told,
						fx_begin_relay, fx_finish),
	};

	return cmocka_run_group_tests_name("explain_service", tests, NULL, NULL);
}
