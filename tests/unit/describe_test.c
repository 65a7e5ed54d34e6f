/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ctl/cli/describe.h"
#include "tests/unit/plan_fixture.h"

/* "host, port" of one target of a kernel route and of a relay route: the words are the same. */
static void targets_read_alike_in_every_tier(void **state)
{
	static const struct {
		const char *targets, *said;
	} cases[] = {
		{ "{host: 10.2.0.2, port: 80}", "10.2.0.2:80" },
		{ "{host: 'fd00::1', port: 80}", "[fd00::1]:80" },
		{ "{host: 'FD00:0:0::1', port: 80}", "[fd00::1]:80" },
		{ "{host: '::ffff:10.2.0.2', port: 80}", "10.2.0.2:80" },
		{ "{host: ['fd00::1', 10.2.0.2], port: 80}", "[fd00::1]:80, 10.2.0.2:80" },
		{ "{host: 'fd00::1', port: preserve}", "fd00::1 (same port)" },
		{ "{host: 'fd00::1', port: '+1000'}", "fd00::1 (port +1000)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (int relay = 0; relay < 2; relay++) {
			struct buf b = { 0 };
			char text[256];

			snprintf(text, sizeof(text),
				 "- {name: r, match: {ports: 80}, action: {type: forward, targets: "
				 "[%s]%s}}\n",
				 cases[i].targets, relay ? ", forwardingEngine: relay" : "");
			fx_plan(text);
			describe_targets(&b, fx_route("r"));
			if (!b.data || strcmp(b.data, cases[i].said))
				fail_msg("%zu, relay %d: %s", i, relay, b.data ? b.data : "-");
			buf_fini(&b);
		}
	}
	fx_end();
}

static void targets_that_only_user_space_has(void **state)
{
	static const struct {
		const char *target, *said;
	} cases[] = {
		{ FX_TARGET("::1", "8080"), "[::1]:8080" },
		{ FX_TARGET("unix:/run/a", "80"), "unix:/run/a" },
		{ FX_TARGET("{clientIp}", "80"), "{clientIp}:80" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf b = { 0 };
		char text[256];

		snprintf(text, sizeof(text),
			 "- {name: r, match: {ports: 80}, action: {type: forward, %s}}\n",
			 cases[i].target);
		fx_plan(text);
		assert_int_not_equal(fx_route("r")->tier, TIER_NFTABLES);
		describe_targets(&b, fx_route("r"));
		assert_string_equal(b.data, cases[i].said);
		buf_fini(&b);
	}
	fx_end();
}

static void user_spaces_part_is_told_by_cause(void **state)
{
	const struct plan_behind *rest;
	struct buf b = { 0 };

	(void)state;
	fx_plan("- {name: x, priority: 3, match: {ports: [443, 8443], domains: a.test}, action: "
		"{type: forward, " FX_A "}}\n"
		"- {name: y, priority: 2, match: {ports: 90, domains: a.test, clientIp: 10.0.0.1}, "
		"action: {type: forward, " FX_A
		"}}\n" FX_ROUTE("rest", "ports: [80-90, 443, 8443]", FX_A));
	rest = describe_behind(&b, fx_route("rest")->behind);
	assert_string_equal(b.data, "tcp/90 for some clients: route \"y\" before it needs the "
				    "first bytes");
	buf_fini(&b);
	assert_null(describe_behind(&b, rest));
	assert_string_equal(b.data,
			    "tcp/443, tcp/8443: route \"x\" before it needs the first bytes");
	buf_fini(&b);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_read_alike_in_every_tier),
		cmocka_unit_test(targets_that_only_user_space_has),
		cmocka_unit_test(user_spaces_part_is_told_by_cause),
	};

	return cmocka_run_group_tests_name("describe", tests, NULL, NULL);
}
