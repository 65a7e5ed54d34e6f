// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/config/config_groups.h"

#include "ctl/base/buf.h"
#include "ctl/base/io.h"
#include "ctl/config/keys.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct config *parse(const char *text, struct diags *d)
{
	return config_parse("f", text, strlen(text), NULL, d);
}

static void print_diags(const struct diags *d)
{
	for (size_t i = 0; i < d->n; i++)
		print_error("%u:%u: %s: %s\n", d->v[i].loc.line, d->v[i].loc.col,
			    d->v[i].path ? d->v[i].path : "", d->v[i].msg);
}

#define TARGET "\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"10.0.0.1\",\"port\":80}]"
#define ROUTE  "\"match\":{\"ports\":1000}," TARGET

/* "tier reason @path; ..." of the first route. */
static const char *needs_text(const struct config *c, char *out, size_t cap)
{
	size_t len = 0;

	out[0] = '\0';
	for (const struct cfg_need *n = c->routes[0].needs; n && len < cap; n = n->next)
		len += (size_t)snprintf(out + len, cap - len, "%s%s: %s @%s", len ? "; " : "",
					tier_name(n->tier), n->reason, n->path);
	return out;
}

static void keys_say_what_tier_they_need(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "{\"routes\":[{" ROUTE "}}]}", "" },
		{ "{\"routes\":[{" ROUTE ",\"tls\":{\"mode\":\"passthrough\"}}}]}", "" },
		{ "{\"routes\":[{\"match\":{\"ports\":443,\"domains\":\"a.b\"}," TARGET
		  ",\"tls\":{\"mode\":\"passthrough\"}}}]}",
		  "relay: SNI passthrough @routes[0].match.domains" },
		{ "{\"routes\":[{\"match\":{\"ports\":80,\"domains\":\"a.b\"}," TARGET "}}]}",
		  "proxy: HTTP host matching @routes[0].match.domains" },
		{ "{\"routes\":[{" ROUTE ",\"sendProxyProtocol\":2}}]}",
		  "relay: PROXY protocol to the target @routes[0].action.sendProxyProtocol" },
		{ "{\"sendProxyProtocol\":true,\"routes\":[{" ROUTE "}}]}",
		  "relay: PROXY protocol to the target @sendProxyProtocol" },
		{ "{\"sendProxyProtocol\":true,\"routes\":[{" ROUTE
		  ",\"sendProxyProtocol\":false}}]}",
		  "" },
		{ "{\"useHttpProxy\":[1000],\"routes\":[{" ROUTE "}}]}",
		  "proxy: port 1000 is in useHttpProxy @routes[0].match.ports" },
		{ "{\"routes\":[{" ROUTE ",\"forwardingEngine\":\"sockmap\"}}]}",
		  "relay: forwardingEngine \"sockmap\" @routes[0].action.forwardingEngine" },
		{ "{\"routes\":[{" ROUTE
		  ",\"loadBalancing\":{\"algorithm\":\"least-connections\"}}}]}",
		  "relay: least-connections balancing @routes[0].action.loadBalancing.algorithm" },
		{ "{\"routes\":[{" ROUTE ",\"loadBalancing\":{\"algorithm\":\"consistent-hash\","
		  "\"healthCheck\":{}}}}]}",
		  "" },
		{ "{\"routes\":[{" ROUTE "},\"security\":{\"rateLimit\":{\"enabled\":false,"
		  "\"maxRequests\":1,\"window\":1}}}]}",
		  "" },
		{ "{\"routes\":[{" ROUTE "},\"security\":{\"rateLimit\":{\"maxRequests\":1,"
		  "\"window\":1}}}]}",
		  "proxy: HTTP rate limit @routes[0].security.rateLimit" },
		{ "{\"routes\":[{" ROUTE ",\"options\":{\"rewriteHostHeader\":false}}}]}", "" },
		{ "{\"routes\":[{\"match\":{\"ports\":1},\"action\":{\"type\":\"forward\","
		  "\"targets\":[{\"host\":\"unix:/run/a\"}]}}]}",
		  "relay: unix socket target @routes[0].action.targets[0].host" },
		{ "{\"routes\":[{\"match\":{\"ports\":1},\"action\":{\"type\":\"socket-handler\","
		  "\"socketHandler\":{\"builtin\":\"echo\"}}}]}",
		  "proxy: socket handler echo @routes[0].action.socketHandler" },
	};
	char got[600];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct diags d = { 0 };
		struct config *c = parse(cases[i].text, &d);

		print_diags(&d);
		assert_non_null(c);
		assert_string_equal(needs_text(c, got, sizeof(got)), cases[i].want);
		config_free(c);
		diags_fini(&d);
	}
}

static void values_land_in_their_structs(void **state)
{
	static const char text[] =
		"proxyIPs: [10.0.0.0/8]\n"
		"maxConnectionsPerIP: 0\n"
		"inactivityTimeout: 5000\n"
		"routes:\n"
		"  - match: {ports: [82, 80, 81, \"90-99\", {from: 85, to: 95}], clientIp: "
		"10.1.*,\n"
		"            headers: {X-A: /^b$/i}, domains: [\"*.B.test.\"]}\n"
		"    priority: -3\n"
		"    action:\n"
		"      type: forward\n"
		"      targets: [{host: [a.lan, 10.0.0.2], port: \"-10\", weight: 3, backup: "
		"true}]\n"
		"      advanced: {timeout: 700}\n"
		"      nftables: {maxRate: 8kbps, tableName: t}\n"
		"      forwardingEngine: node\n"
		"    enabled: false\n"
		"    security: {maxConnections: 7, connectionRate: 8, ipAllowList: []}\n";
	struct diags d = { 0 };
	struct config *c;
	const struct cfg_route *r;

	(void)state;
	c = parse(text, &d);
	assert_null(c); /* maxRate on a route that reads HTTP */
	assert_string_equal(d.v[0].path, "routes[0].action.nftables.maxRate");
	diags_fini(&d);
	{
		char copy[sizeof(text)];
		char *at;

		memcpy(copy, text, sizeof(text));
		at = strstr(copy, "maxRate: 8kbps,");
		memset(at, ' ', strlen("maxRate: 8kbps,"));
		c = parse(copy, &d);
		assert_non_null(c);
		c->text = NULL;
	}
	r = &c->routes[0];
	assert_true(c->accept_proxy_protocol);
	assert_int_equal(c->max_connections_per_ip, 0);
	assert_true(c->max_connections_per_ip_given);
	assert_int_equal(c->connection_rate_per_minute, 300);
	assert_false(c->connection_rate_given);
	assert_int_equal(c->unapplied_in_kernel.n, 1);
	assert_string_equal(c->unapplied_in_kernel.v[0], "inactivityTimeout");
	assert_int_equal(c->extra->limits->inactivity_timeout_ms, 5000);
	assert_int_equal(c->extra->limits->connection_timeout_ms, 30000);
	assert_string_equal(r->name, "tcp-80-82-*.b.test");
	assert_false(r->name_given);
	assert_int_equal(r->match.n_ports, 2);
	assert_int_equal(r->match.ports[1].from, 85);
	assert_int_equal(r->match.ports[1].to, 99);
	assert_string_equal(r->match.domains.v[0], "*.b.test");
	assert_true(r->match.has_client_ip);
	assert_true(r->match.headers.v[0].is_regex && r->match.headers.v[0].is_icase);
	assert_string_equal(r->match.headers.v[0].value, "^b$");
	assert_int_equal(r->priority, -3);
	assert_false(r->enabled);
	assert_int_equal(r->action.targets[0].n_hosts, 2);
	assert_int_equal(r->action.targets[0].hosts[0].kind, HOST_NAME);
	assert_int_equal(r->action.targets[0].hosts[1].kind, HOST_ADDR);
	assert_int_equal(r->action.targets[0].port_kind, PORT_OFFSET);
	assert_int_equal(r->action.targets[0].port, -10);
	assert_int_equal(r->action.targets[0].weight, 3);
	assert_int_equal(r->action.targets[0].weight_loc.line, 10);
	assert_int_equal(r->action.targets[0].weight_loc.col, 64);
	assert_int_equal(r->action.targets_loc.line, 10);
	assert_int_equal(r->action.targets_loc.col, 16);
	assert_true(r->action.targets[0].backup);
	assert_true(r->action.nftables->use_ip_sets);
	assert_string_equal(c->table_name, "t");
	assert_int_equal(r->action.engine, ENGINE_AUTO);
	assert_int_equal(r->unapplied_in_kernel.n, 1);
	assert_string_equal(r->unapplied_in_kernel.v[0], "action.advanced.timeout");
	assert_int_equal(r->security->max_connections, 7);
	assert_int_equal(r->security->connection_rate_per_minute, 8);
	assert_false(r->security->has_allow);
	config_free(c);
	diags_fini(&d);
}

static void names_are_made_unique_and_stay_the_same(void **state)
{
	static const char *const want[] = { "tcp-1000", "tcp-1000-3", "tcp-1000-2", "tcp-1000-4" };
	static const char text[] = "{\"routes\":[{" ROUTE "}},{" ROUTE
				   "}},{\"name\":\"tcp-1000-2\"," ROUTE "}},{" ROUTE "}}]}";
	struct diags d = { 0 };
	struct config *c = parse(text, &d);

	(void)state;
	assert_non_null(c);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(c->routes[i].name, want[i]);
	config_free(c);
	diags_fini(&d);
}

static void sixty_thousand_routes_parse(void **state)
{
	struct buf b = { 0 };
	struct diags d = { 0 };
	struct config *c;

	(void)state;
	buf_puts(&b, "{\"routes\":[");
	for (unsigned i = 0; i < 60000; i++)
		buf_printf(&b, "%s{%s\"match\":{\"ports\":%u}," TARGET "}}", i ? "," : "",
			   i % 2 ? "" : "\"tags\":\"t\",", i % 1000 + 1);
	buf_puts(&b, "]}");
	c = config_parse("f", b.data, b.len, NULL, &d);
	print_diags(&d);
	assert_non_null(c);
	assert_int_equal(c->n_routes, 60000);
	assert_string_equal(c->routes[59999].name, "tcp-1000-60");
	config_free(c);
	diags_fini(&d);
	buf_fini(&b);
}

/* Every file of the pattern parses, but those of whose name `bad` is a part. */
static void check_files(const char *pattern, const char *bad, size_t at_least)
{
	glob_t g = { 0 };

	assert_int_equal(glob(pattern, 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= at_least);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct buf b = { 0 };
		struct diags d = { 0 };
		struct err e = { 0 };
		struct config *c;

		assert_int_equal(io_read_file(g.gl_pathv[i], 1 << 20, &b, &e), 0);
		c = config_parse(g.gl_pathv[i], b.data, b.len, NULL, &d);
		if ((c == NULL) != (bad && strstr(g.gl_pathv[i], bad))) {
			print_diags(&d);
			fail_msg("%s", g.gl_pathv[i]);
		}
		config_free(c);
		diags_fini(&d);
		buf_fini(&b);
	}
	globfree(&g);
}

static void acceptance_configs_parse(void **state)
{
	(void)state;
	check_files("tests/data/acceptance/a*.json", "a30", 26);
}

static void examples_parse(void **state)
{
	(void)state;
	check_files("examples/*.json", NULL, 1);
	check_files("examples/*.yaml", NULL, 3);
}

/* What A30 must say: one error a cause, each with its path; the old name is only a warning. */
static void what_the_kernel_cannot_do_is_listed_with_paths(void **state)
{
	static const char *const paths[] = { "routes[0].security.allowedIps",
					     "routes[0].action.tls.certificate",
					     "routes[0].action.tls.mode", "routes[0].match.domains",
					     "routes[0].security.authentication" };
	struct buf b = { 0 };
	struct diags d = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(io_read_file("tests/data/acceptance/a30.json", 1 << 20, &b, &e), 0);
	assert_null(config_parse("a30.json", b.data, b.len, NULL, &d));
	assert_int_equal(d.errors, 4);
	assert_int_equal(d.n, 5);
	for (size_t i = 0; i < d.n; i++) {
		assert_string_equal(d.v[i].path, paths[i]);
		assert_int_equal(d.v[i].severity, i ? DIAG_ERROR : DIAG_WARNING);
	}
	assert_string_equal(d.v[3].msg, "TLS server name matching needs the proxy tier, but "
					"forwardingEngine is \"nftables\" at a30.json:1:114");
	diags_fini(&d);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_say_what_tier_they_need),
		cmocka_unit_test(values_land_in_their_structs),
		cmocka_unit_test(names_are_made_unique_and_stay_the_same),
		cmocka_unit_test(sixty_thousand_routes_parse),
		cmocka_unit_test(acceptance_configs_parse),
		cmocka_unit_test(examples_parse),
		cmocka_unit_test(what_the_kernel_cannot_do_is_listed_with_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
