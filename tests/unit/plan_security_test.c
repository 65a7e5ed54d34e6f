/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What plan says of lists and limits that never take effect, or that serve nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ctl/cli/describe.h"
#include "tests/unit/plan_fixture.h"

#define LIMITED(name, port, security)                                                      \
	"- {name: " name ", match: {ports: " port "}, action: {type: forward, " FX_A "}, " \
	"security: {" security "}}\n"
#define BOTH                                                                                   \
	"- {name: r, match: {ports: 80}, action: {type: forward, targets: [{host: [10.2.0.2, " \
	"'fd02::2'], port: 80}]}, security: "

struct said {
	const char *head, *routes;
	enum diag_severity severity;
	const char *path, *msg; /* msg NULL: nothing of that kind is said */
};

static void expect_said(const struct said *c, size_t i)
{
	const struct diag *found;

	if (!fx_plan_text(c->head, c->routes))
		fail_msg("case %zu: no plan: %s", i, fx.diags.n ? fx.diags.v[0].msg : "-");
	found = fx_message(c->severity, c->msg ? c->msg : "", NULL);
	if (!c->msg && found)
		fail_msg("case %zu: %s: %s", i, found->path, found->msg);
	if (!c->msg)
		return;
	if (!found)
		fail_msg("case %zu: not said: %s", i, c->msg);
	assert_string_equal(found->path, c->path);
	assert_string_equal(found->msg, c->msg);
	assert_int_not_equal(found->loc.line, 0);
}

static void limits_that_another_one_forestalls_are_warnings(void **state)
{
	static const struct said cases[] = {
		{ "", LIMITED("r", "80", "maxConnectionsPerIP: 101"), DIAG_WARNING,
		  "routes[0].security.maxConnectionsPerIP",
		  "never reached: maxConnectionsPerIP is 100 (default) for all routes together" },
		{ "", LIMITED("r", "80", "maxConnectionsPerIP: 100"), DIAG_WARNING, NULL, NULL },
		{ "maxConnectionsPerIP: 5", LIMITED("r", "80", "maxConnectionsPerIP: 6"),
		  DIAG_WARNING, "routes[0].security.maxConnectionsPerIP",
		  "never reached: maxConnectionsPerIP is 5 for all routes together" },
		{ "maxConnectionsPerIP: 0", LIMITED("r", "80", "maxConnectionsPerIP: 6000"),
		  DIAG_WARNING, NULL, NULL },
		{ "", LIMITED("r", "80", "connectionRate: 301"), DIAG_WARNING,
		  "routes[0].security.connectionRate",
		  "never reached: connectionRateLimitPerMinute is 300 (default) for all routes "
		  "together" },
		{ "connectionRateLimitPerMinute: 0", LIMITED("r", "80", "connectionRate: 301"),
		  DIAG_WARNING, NULL, NULL },
		{ "", LIMITED("r", "80", "maxConnections: 3, maxConnectionsPerIP: 4"), DIAG_WARNING,
		  "routes[0].security.maxConnectionsPerIP",
		  "never reached: maxConnections of the same route is 3" },
		{ "", LIMITED("r", "80", "maxConnections: 3, maxConnectionsPerIP: 3"), DIAG_WARNING,
		  NULL, NULL },
		{ "defaults: {security: {connectionRate: 400}}", FX_ROUTE("r", "ports: 80", FX_A),
		  DIAG_WARNING, "defaults.security.connectionRate",
		  "never reached: connectionRateLimitPerMinute is 300 (default) for all routes "
		  "together" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect_said(&cases[i], i);
	fx_end();
}

static void lists_that_serve_nobody_are_warnings(void **state)
{
	static const struct said cases[] = {
		{ "",
		  LIMITED("r", "80",
			  "ipAllowList: [10.0.0.0/9, 10.200.0.1], ipBlockList: [10.0.0.0/8]"),
		  DIAG_WARNING, "routes[0].security.ipBlockList",
		  "blocks everybody whom ipAllowList allows: route \"r\" serves nobody" },
		{ "",
		  LIMITED("r", "80",
			  "ipAllowList: [10.0.0.0/8], ipBlockList: [10.0.0.0/9, "
			  "10.128.0.0-10.255.255.255]"),
		  DIAG_WARNING, "routes[0].security.ipBlockList",
		  "blocks everybody whom ipAllowList allows: route \"r\" serves nobody" },
		{ "",
		  LIMITED("r", "80",
			  "ipAllowList: [10.0.0.0/8], ipBlockList: [10.0.0.0/9, "
			  "10.128.0.0-10.255.255.254]"),
		  DIAG_WARNING, NULL, NULL },
		{ "",
		  LIMITED("r", "80",
			  "ipAllowList: [10.0.0.0/8, 'fd00::1'], ipBlockList: [10.0.0.0/8]"),
		  DIAG_WARNING, NULL, NULL },
		{ "", LIMITED("r", "80", "ipBlockList: ['*']"), DIAG_WARNING,
		  "routes[0].security.ipBlockList", "blocks everybody: route \"r\" serves nobody" },
		{ "", LIMITED("r", "80", "ipBlockList: [0.0.0.0/0]"), DIAG_WARNING, NULL, NULL },
		{ "", LIMITED("r", "80", "ipBlockList: ['::/0']"), DIAG_WARNING, NULL, NULL },
		{ "", LIMITED("r", "80", "ipAllowList: []"), DIAG_WARNING,
		  "routes[0].security.ipAllowList", "is empty: everybody is allowed" },
		/* This is how a route is taken out of the default. */
		{ "defaults: {security: {ipAllowList: [10.0.0.1]}}",
		  LIMITED("r", "80", "ipAllowList: []"), DIAG_WARNING, NULL, NULL },
		{ "defaults: {security: {ipAllowList: []}}", FX_ROUTE("r", "ports: 80", FX_A),
		  DIAG_WARNING, "defaults.security.ipAllowList", "is empty: everybody is allowed" },
		{ "", LIMITED("r", "80", "ipBlockList: []"), DIAG_WARNING, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect_said(&cases[i], i);
	fx_end();
}

static void what_many_routes_have_in_common_is_one_note(void **state)
{
	static const struct said cases[] = {
		{ "", BOTH "{ipAllowList: [10.0.0.0/8]}}\n", DIAG_NOTE,
		  "routes[0].security.ipAllowList",
		  "has no IPv6 address: route \"r\" refuses all clients of IPv6" },
		{ "", BOTH "{ipAllowList: ['fd00::/8']}}\n", DIAG_NOTE,
		  "routes[0].security.ipAllowList",
		  "has no IPv4 address: route \"r\" refuses all clients of IPv4" },
		{ "", BOTH "{ipAllowList: ['*']}}\n", DIAG_NOTE, NULL, NULL },
		{ "", LIMITED("r", "80", "ipAllowList: [10.0.0.0/8]"), DIAG_NOTE, NULL, NULL },
		{ "", LIMITED("r", "80", "maxConnections: 2000"), DIAG_NOTE, NULL, NULL },
		{ "",
		  LIMITED("r", "80", "maxConnections: 2001")
			  LIMITED("s", "81", "maxConnections: 9000"),
		  DIAG_NOTE, "routes[0].security.maxConnections",
		  "new connections take longer while thousands are open: the kernel walks the "
		  "list of those that it counts (and so on in 1 more route)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect_said(&cases[i], i);
	fx_end();
}

static void a_default_is_told_once(void **state)
{
	unsigned n = 0;

	(void)state;
	fx_plan_text("defaults: {security: {ipBlockList: ['*']}}",
		     FX_ROUTE("a", "ports: 80, transport: all", FX_A)
			     FX_ROUTE("b", "ports: 81", FX_A) FX_ROUTE("c", "ports: 82", FX_A));
	assert_non_null(fx.plan);
	for (size_t i = 0; i < fx.diags.n; i++)
		n += strstr(fx.diags.v[i].msg, "serves nobody") != NULL;
	assert_int_equal(n, 1);
	fx_end();
}

/* ---- in words ---- */

static void policies_read_differently_when_they_are(void **state)
{
	static const struct {
		const char *security, *brief, *full;
	} cases[] = {
		{ "ipAllowList: [10.0.0.0/8, 10.255.0.1, 192.168.1.*, 'fd00::/8'], ipBlockList: "
		  "[10.0.0.66], maxConnections: 5, maxConnectionsPerIP: 2, connectionRate: 40",
		  "allow 3, block 1, 5 at once, 2/client, 40/min",
		  "allow 10.0.0.0/8 192.168.1.0/24 fd00::/8, block 10.0.0.66, 5 at once, "
		  "2/client, 40/min" },
		{ "maxConnections: 0", NULL, NULL },
	};
	struct buf one = { 0 }, other = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf b = { 0 }, f = { 0 };
		char text[512];

		snprintf(text, sizeof(text),
			 "- {name: r, match: {ports: 80}, action: {type: forward, " FX_A
			 "}, security: {%s}}\n",
			 cases[i].security);
		fx_plan(text);
		describe_security(&b, fx_route("r"), NULL);
		describe_security(&f, fx_route("r"), &(struct list_prints){ 0 });
		if (cases[i].brief) {
			assert_string_equal(b.data, cases[i].brief);
			assert_string_equal(f.data, cases[i].full);
		} else {
			assert_null(b.data);
			assert_null(f.data);
		}
		buf_fini(&b);
		buf_fini(&f);
	}
	fx_plan(LIMITED("r", "80", "ipBlockList: [10.0.0.1, 10.0.0.3, 10.0.0.5, 10.0.0.7]"));
	describe_behaviour(&one, fx_route("r"), &(struct list_prints){ 0 });
	fx_plan(LIMITED("r", "80", "ipBlockList: [10.0.0.1, 10.0.0.3, 10.0.0.5, 10.0.0.9]"));
	describe_behaviour(&other, fx_route("r"), &(struct list_prints){ 0 });
	assert_string_not_equal(one.data, other.data);
	buf_fini(&one);
	buf_fini(&other);
	fx_end();
}

static void rates_read_in_the_largest_whole_unit(void **state)
{
	static const struct {
		const char *rate, *said;
	} cases[] = {
		{ "10mbps", "10 Mbit/s" },    { "8kbps", "8 kbit/s" },
		{ "1.5mbps", "1500 kbit/s" }, { "140gbps", "140 Gbit/s" },
		{ "8001bps", "8001 bit/s" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf b = { 0 };
		char text[256];

		snprintf(text, sizeof(text),
			 "- {name: r, match: {ports: 80}, action: {type: forward, " FX_A
			 ", nftables: {maxRate: %s}}}\n",
			 cases[i].rate);
		fx_plan(text);
		describe_security(&b, fx_route("r"), NULL);
		assert_string_equal(b.data, cases[i].said);
		buf_fini(&b);
	}
	assert_null(fx_plan_text("", "- {name: r, match: {ports: 80}, action: {type: forward, " FX_A
				     ", nftables: {maxRate: 141gbps}}}\n"));
	assert_non_null(fx_message(DIAG_ERROR, "140gbps", NULL));
	fx_end();
}

static void limits_of_all_routes_say_where_they_come_from(void **state)
{
	static const struct {
		const char *head, *said;
	} cases[] = {
		{ "", "100/client (default), 300/min (default)" },
		{ "maxConnectionsPerIP: 100", "100/client, 300/min (default)" },
		{ "maxConnectionsPerIP: 0", "300/min (default)" },
		{ "maxConnectionsPerIP: 0\nconnectionRateLimitPerMinute: 0", "none" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf b = { 0 };

		assert_non_null(fx_plan_text(cases[i].head, FX_ROUTE("r", "ports: 80", FX_A)));
		describe_limits(&b, fx.config);
		assert_string_equal(b.data, cases[i].said);
		buf_fini(&b);
	}
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_that_another_one_forestalls_are_warnings),
		cmocka_unit_test(lists_that_serve_nobody_are_warnings),
		cmocka_unit_test(what_many_routes_have_in_common_is_one_note),
		cmocka_unit_test(a_default_is_told_once),
		cmocka_unit_test(policies_read_differently_when_they_are),
		cmocka_unit_test(rates_read_in_the_largest_whole_unit),
		cmocka_unit_test(limits_of_all_routes_say_where_they_come_from),
	};

	return cmocka_run_group_tests_name("plan_security", tests, NULL, NULL);
}
