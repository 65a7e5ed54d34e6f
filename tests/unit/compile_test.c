/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a plan to the routing table of the dataplane and the ports that it listens on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ctl/base/io.h"
#include "ctl/control/compile.h"
#include "tests/unit/plan_fixture.h"

#define GOLDEN "tests/data/golden/control/"
#define SNI(name, ports, domain)                                        \
	"- {name: " name ", match: {ports: " ports ", domains: " domain \
	"}, action: {type: forward, " FX_A ", tls: {mode: passthrough}}}\n"

static struct control_table table;

static int end(void **state)
{
	(void)state;
	control_table_fini(&table);
	fx_end();
	memset(&fx.facts, 0, sizeof(fx.facts));
	return 0;
}

static json_t *compile(const char *head, const char *routes)
{
	static uint32_t ids[64];
	const struct control_options o = { .generation = 12,
					   .ids = ids,
					   .default_id = 99,
					   .max_connections = 10000,
					   .max_undecided = 1000,
					   .max_memory_bytes = 1 << 30 };
	struct err e = { 0 };

	if (!fx_plan_text(head, routes))
		fail_msg("no plan: %s", fx.diags.n ? fx.diags.v[0].msg : "no message");
	for (unsigned i = 0; i < 64; i++)
		ids[i] = i + 1;
	control_table_fini(&table);
	assert_int_equal(control_compile(fx.plan, &o, &table, &e), 0);
	return table.load;
}

/* "443 10.1.0.1:8443" */
static const char *listening(void)
{
	static char out[512];
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < table.n_listeners && len < sizeof(out); i++) {
		char address[ADDR_TEXT];
		const struct control_listener *l = &table.listeners[i];
		bool all = l->address.family == ADDR_NONE;

		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s%s%u", i ? " " : "",
					all ? "" : addr_format(&l->address, address),
					all ? "" : ":", l->port);
	}
	return out;
}

/* Of the only cell with those ports, "a b" by the names of its routes. */
static const char *cell_routes(const char *address, int port)
{
	static char out[256];
	size_t i, k;
	json_t *cell, *index;

	out[0] = '\0';
	json_array_foreach (json_object_get(table.load, "cells"), i, cell) {
		const char *a = json_string_value(json_object_get(cell, "address"));

		if (strcmp(a ? a : "", address) ||
		    json_integer_value(json_object_get(cell, "from")) > port ||
		    json_integer_value(json_object_get(cell, "to")) < port)
			continue;
		json_array_foreach (json_object_get(cell, "routes"), k, index) {
			json_t *r = json_array_get(json_object_get(table.load, "routes"),
						   (size_t)json_integer_value(index));

			snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", k ? " " : "",
				 json_string_value(json_object_get(r, "name")));
		}
		return out;
	}
	return "-";
}

static json_t *route(const char *name)
{
	size_t i;
	json_t *r;

	json_array_foreach (json_object_get(table.load, "routes"), i, r)
		if (!strcmp(json_string_value(json_object_get(r, "name")), name))
			return r;
	return NULL;
}

static json_int_t number(const char *name, const char *key)
{
	return json_integer_value(json_object_get(route(name), key));
}

/* ---- golden ---- */

static const char everything[] =
	"- {name: api, match: {ports: 443, domains: ['*.a.test', b.test], tlsVersion: TLSv1.3,"
	"   clientIp: [10.0.0.0/8, 'fd00::/8']},"
	"  security: {ipAllowList: [10.0.0.0/9], ipBlockList: [10.0.0.9], maxConnections: 50,"
	"             maxConnectionsPerIP: 3, connectionRate: 60},"
	"  action: {type: forward, tls: {mode: passthrough}, sendProxyProtocol: 2,"
	"   advanced: {timeout: 5000, keepAlive: false},"
	"   loadBalancing: {algorithm: least-connections, healthCheck: {interval: 1000,"
	"     timeout: 500, path: /up}},"
	"   targets: [{host: [10.2.0.2, 'fd00::2'], port: 443, weight: 3, backup: true},"
	"     {host: db.lan, port: preserve, priority: 5, sendProxyProtocol: false},"
	"     {host: 'unix:/run/x.sock', match: {ports: 443}},"
	"     {host: '{label:1}.lan', port: '+1000'}]}}\n"
	"- {name: rest, match: {ports: 443}, action: {type: forward, " FX_A "}}\n"
	"- {name: other, match: {ports: 80}, action: {type: forward, " FX_A "}}\n";

static const char top[] = "proxyIPs: [192.0.2.1, 192.0.2.2]\n"
			  "connectionTimeout: 3000\ninitialDataTimeout: 4000\nheadTimeout: 6000\n"
			  "serverFirstAfter: 0\ninactivityTimeout: 7000\nmaxConnectionsPerIP: 9\n"
			  "connectionRateLimitPerMinute: 0\nkeepAliveInitialDelay: 2000\n"
			  "noDelay: false\n"
			  "defaults: {target: {host: 10.2.0.9, port: 1}, security: {ipAllowList: "
			  "[10.0.0.0/9]}}";

static void all_that_a_route_has_is_in_the_table(void **state)
{
	char *text = json_dumps(compile(top, everything), JSON_INDENT(1));
	struct buf want = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_non_null(text);
	if (getenv("GOLDEN_UPDATE")) {
		FILE *f = fopen(GOLDEN "everything.json", "w");

		assert_non_null(f);
		assert_true(fputs(text, f) >= 0 && fputc('\n', f) == '\n');
		assert_int_equal(fclose(f), 0);
	}
	assert_int_equal(io_read_file(GOLDEN "everything.json", 1 << 20, &want, &e), 0);
	assert_true(want.len == strlen(text) + 1);
	assert_memory_equal(want.data, text, strlen(text));
	buf_fini(&want);
	free(text);
}

/* ---- listeners ---- */

static void ports_of_the_kernel_get_no_listener(void **state)
{
	(void)state;
	compile("", FX_ROUTE("web", "ports: [80, 443]", FX_A)
			    FX_ROUTE("dns", "ports: 53, transport: udp", FX_A)
				    FX_ROUTE("lan", "ports: 22, clientIp: 10.0.0.0/8", FX_A));
	assert_string_equal(listening(), "");
	assert_false(control_needs_service(fx.plan));
	assert_int_equal(json_array_size(json_object_get(table.load, "routes")), 0);
	assert_int_equal(json_array_size(json_object_get(table.load, "cells")), 0);
}

static void ports_that_need_the_first_bytes_get_one(void **state)
{
	(void)state;
	compile("",
		SNI("api", "[443, 8443-8445]", "a.test") FX_ROUTE("rest", "ports: 443-444", FX_A)
			FX_ROUTE("web", "ports: 80", FX_A));
	assert_string_equal(listening(), "443 8443 8444 8445");
	assert_true(control_needs_service(fx.plan));
	assert_string_equal(cell_routes("", 443), "api rest");
	assert_string_equal(cell_routes("", 444), "-");
	assert_null(route("web"));
}

/* The kernel takes 10/8; for the rest user space decides, with the same routes. */
static void clients_that_the_kernel_leaves_get_one(void **state)
{
	(void)state;
	compile("", FX_PRIO("9", "lan", "ports: 443, clientIp: 10.0.0.0/8")
			    SNI("api", "443", "a.test"));
	assert_string_equal(listening(), "443");
	assert_string_equal(cell_routes("", 443), "lan api");
}

static void behind_a_route_that_takes_whoever_comes_there_is_nobody(void **state)
{
	(void)state;
	compile("", FX_PRIO("9", "all", "ports: 443") SNI("api", "443", "a.test"));
	assert_string_equal(listening(), "");
	/* Where its clients are other ones than those, the kernel leaves them. */
	compile("", FX_PRIO("9", "all", "ports: 443, clientIp: '*'") SNI("api", "443", "a.test"));
	assert_string_equal(listening(), "");
}

static void one_address_gets_a_listener_where_all_addresses_have_none(void **state)
{
	(void)state;
	compile("", SNI("one", "443, address: 10.1.0.1",
			"a.test") SNI("two", "8443, address: [10.1.0.1, '::1']", "a.test")
			    SNI("all", "8443", "b.test") FX_ROUTE("rest", "ports: 443", FX_A));
	assert_string_equal(listening(), "8443 10.1.0.1:443");
	assert_string_equal(cell_routes("10.1.0.1", 443), "one rest");
	assert_string_equal(cell_routes("", 443), "-");
	assert_string_equal(cell_routes("::1", 8443), "two all");
}

/* The socket for all addresses gets its connections, too. */
static void a_kernel_cell_beside_is_sent_where_a_socket_for_all_addresses_is(void **state)
{
	(void)state;
	compile("",
		SNI("all", "443", "b.test")
			FX_PRIO("9", "one", "ports: 443, address: 10.1.0.1, clientIp: 10.0.0.0/8"));
	assert_string_equal(listening(), "443");
	assert_string_equal(cell_routes("10.1.0.1", 443), "one all");
}

static void peers_that_announce_others_need_one_on_each_port(void **state)
{
	(void)state;
	compile("proxyIPs: [10.0.0.7]", FX_ROUTE("web", "ports: [80, 81]", FX_A));
	assert_string_equal(listening(), "80 81");
	assert_string_equal(cell_routes("", 80), "web");
	compile("proxyIPs: [10.0.0.7]\nacceptProxyProtocol: false",
		FX_ROUTE("web", "ports: [80, 81]", FX_A));
	assert_string_equal(listening(), "");
}

static void the_default_target_needs_one_where_somebody_is_left(void **state)
{
	static const char head[] = "defaults: {target: {host: 10.2.0.9, port: 1}}";

	(void)state;
	compile(head, FX_ROUTE("web", "ports: 80", FX_A));
	assert_string_equal(listening(), "");
	compile(head, FX_ROUTE("lan", "ports: 80, clientIp: 10.0.0.0/8", FX_A));
	assert_string_equal(listening(), "80");
	assert_int_equal(json_integer_value(json_object_get(table.load, "default")), 1);
	assert_int_equal(number("defaults.target", "id"), 99);
}

static void too_many_ports_are_an_error_that_names_the_route(void **state)
{
	const struct diag *d;

	(void)state;
	compile("", SNI("many", "1-4096", "a.test"));
	assert_int_equal(table.n_listeners, 4096);
	assert_null(fx_plan_text("", SNI("many", "1-4097", "a.test")));
	d = fx_message(DIAG_ERROR, "route \"many\" needs user space on 4097 ports",
		       "more than 4096", NULL);
	assert_non_null(d);
	assert_string_equal(d->path, "routes[0].match.ports");
}

/* ---- routes ---- */

static void kernel_routes_to_follow_are_sent_without_a_cell(void **state)
{
	static const struct resolved_name names[] = { { .name = "db.lan", .why = "" } };
	struct addr a;
	struct resolved_name name = names[0];

	(void)state;
	assert_true(addr_parse("10.2.0.5", &a));
	name.addrs = &a;
	name.n = 1;
	fx.facts.names = &name;
	fx.facts.n_names = 1;
	compile("", FX_ROUTE("db", "ports: 80, transport: all", FX_TARGET("db.lan", "80"))
			    FX_ROUTE("web", "ports: 81", FX_A));
	assert_string_equal(listening(), "");
	assert_false(control_needs_service(fx.plan));
	assert_true(control_would_use_service(fx.plan));
	assert_int_equal(json_array_size(json_object_get(table.load, "routes")), 1);
	assert_string_equal(json_string_value(json_object_get(route("db"), "tier")), "nftables");
	assert_int_equal(json_array_size(json_object_get(table.load, "cells")), 0);
}

/* The TCP half is the relay's, the UDP half the kernel's: one number, one route. */
static void the_halves_of_a_route_are_sent_once(void **state)
{
	(void)state;
	compile("", "- {name: both, match: {ports: 53, transport: all}, action: {type: forward, "
		    "forwardingEngine: relay, loadBalancing: {healthCheck: {}}, " FX_A "}}\n");
	assert_int_equal(fx.plan->n_routes, 2);
	assert_int_equal(json_array_size(json_object_get(table.load, "routes")), 1);
	assert_string_equal(json_string_value(json_object_get(route("both"), "tier")), "relay");
	assert_string_equal(listening(), "53");
}

static void a_target_has_the_tag_of_the_kernel_tier(void **state)
{
	json_int_t tag;

	(void)state;
	compile("", SNI("api", "443", "a.test"));
	tag = json_integer_value(
		json_object_get(json_array_get(json_object_get(route("api"), "targets"), 0),
				"tag"));
	compile("", FX_ROUTE("web", "ports: 80", FX_A));
	assert_int_equal(fx_route("web")->targets[0].tag, tag);
}

static void equal_lists_are_one_set(void **state)
{
	(void)state;
	compile("defaults: {security: {ipAllowList: [10.0.0.0/8]}}",
		SNI("a", "443", "a.test")
			SNI("b", "443", "b.test") "- {name: c, match: {ports: 443, domains: "
						  "c.test, clientIp: 10.0.0.0/8}, "
						  "security: {ipBlockList: [10.0.0.0/8], "
						  "ipAllowList: [10.0.0.1]}, action: "
						  "{type: forward, " FX_A
						  ", tls: {mode: passthrough}}}\n");
	assert_int_equal(json_array_size(json_object_get(table.load, "sets")), 2);
	assert_int_equal(number("a", "allow"), number("b", "allow"));
	assert_int_equal(number("c", "clients"), number("c", "block"));
	assert_int_not_equal(number("c", "clients"), number("c", "allow"));
}

static void keep_alive_treatment_multiplies_and_lifts(void **state)
{
	static const struct {
		const char *head, *advanced;
		json_int_t inactivity, lifetime;
	} cases[] = {
		{ "inactivityTimeout: 1000", "{}", 6000, 604800000 },
		{ "inactivityTimeout: 1000\nkeepAliveInactivityMultiplier: 2", "{}", 2000,
		  604800000 },
		{ "inactivityTimeout: 1000\nkeepAliveTreatment: standard", "{}", 1000, 86400000 },
		{ "inactivityTimeout: 1000\nkeepAliveTreatment: immortal", "{}", 0, 0 },
		{ "inactivityTimeout: 1000\nkeepAlive: false", "{}", 1000, 86400000 },
		{ "inactivityTimeout: 1000", "{keepAlive: false}", 1000, 86400000 },
		{ "inactivityTimeout: 1000\nkeepAlive: false", "{keepAlive: true}", 6000,
		  604800000 },
		{ "inactivityTimeout: 1000", "{timeout: 1500}", 1500, 604800000 },
		{ "keepAliveTreatment: immortal", "{timeout: 1500}", 1500, 0 },
		{ "disableInactivityCheck: true", "{}", 0, 604800000 },
		{ "inactivityTimeout: 2147483647", "{}", 2147483647, 604800000 },
		{ "maxConnectionLifetime: 5000", "{}", 86400000, 5000 },
		{ "maxConnectionLifetime: 5000\nextendedKeepAliveLifetime: 9000", "{}", 86400000,
		  9000 },
		{ "maxConnectionLifetime: 5000\nkeepAliveTreatment: immortal", "{}", 0, 5000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[400];

		snprintf(text, sizeof(text),
			 "- {name: r, match: {ports: 1}, action: {type: forward, forwardingEngine: "
			 "relay, advanced: %s, " FX_A "}}\n",
			 cases[i].advanced);
		compile(cases[i].head, text);
		if (number("r", "inactivityTimeout") != cases[i].inactivity ||
		    number("r", "maxLifetime") != cases[i].lifetime)
			fail_msg("%s, %s: %lld, %lld", cases[i].head, cases[i].advanced,
				 number("r", "inactivityTimeout"), number("r", "maxLifetime"));
	}
}

/* An unchanged route is the same object to the dataplane: its text must not change. */
static void a_route_has_the_same_text_beside_others(void **state)
{
	char *before, *after;

	(void)state;
	compile("", SNI("api", "443", "a.test"));
	before = json_dumps(route("api"), 0);
	compile("", SNI("api", "443", "a.test") SNI("zz", "443", "z.test"));
	after = json_dumps(route("api"), 0);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fx_begin_relay, end)

static void the_log_is_as_the_file_says(void **state)
{
	static const char routes[] = "- {name: a, match: {ports: 443}, action: {type: forward, "
				     "forwardingEngine: relay, " FX_A "}}\n";
	json_t *log;

	(void)state;
	assert_null(json_object_get(compile("", routes), "log"));
	log = json_object_get(compile("log: {}", routes), "log");
	assert_true(json_is_false(json_object_get(log, "access")));
	assert_string_equal(json_string_value(json_object_get(log, "format")), "text");
	assert_string_equal(json_string_value(json_object_get(log, "level")), "info");
	log = json_object_get(compile("log: {access: true, format: json, level: warn}", routes),
			      "log");
	assert_true(json_is_true(json_object_get(log, "access")));
	assert_string_equal(json_string_value(json_object_get(log, "format")), "json");
	assert_string_equal(json_string_value(json_object_get(log, "level")), "warn");
	log = json_object_get(compile("log: {level: debug}", routes), "log");
	assert_string_equal(json_string_value(json_object_get(log, "level")), "debug");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_that_a_route_has_is_in_the_table),
		T(ports_of_the_kernel_get_no_listener),
		T(ports_that_need_the_first_bytes_get_one),
		T(clients_that_the_kernel_leaves_get_one),
		T(behind_a_route_that_takes_whoever_comes_there_is_nobody),
		T(one_address_gets_a_listener_where_all_addresses_have_none),
		T(a_kernel_cell_beside_is_sent_where_a_socket_for_all_addresses_is),
		T(peers_that_announce_others_need_one_on_each_port),
		T(the_default_target_needs_one_where_somebody_is_left),
		T(too_many_ports_are_an_error_that_names_the_route),
		T(kernel_routes_to_follow_are_sent_without_a_cell),
		T(the_halves_of_a_route_are_sent_once),
		T(a_target_has_the_tag_of_the_kernel_tier),
		T(equal_lists_are_one_set),
		T(keep_alive_treatment_multiplies_and_lifts),
		T(a_route_has_the_same_text_beside_others),
		T(the_log_is_as_the_file_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
