/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a load becomes, what of it outlives it, and what is said of a wrong one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "ctl/base/buf.h"
#include "tests/unit/route_fixture.h"

#define TARGET	"{\"tag\":7,\"kind\":\"address\",\"host\":\"10.0.0.1\",\"port\":443}"
#define ROUTE_1 "\"id\":1,\"name\":\"web\",\"tier\":\"relay\""
#define CELL	"{\"from\":443,\"to\":443,\"routes\":[0]}"
/* A load with one route that has also `more`. */
#define LOAD(more)                                                                              \
	"{\"type\":\"load\",\"generation\":1,\"sets\":[[\"10.0.0.0/8\"]],\"routes\":[{" ROUTE_1 \
	",\"targets\":[" TARGET "]" more "}],\"cells\":[" CELL "]}"
#define WITH_TARGET(target) \
	"{\"generation\":1,\"routes\":[{" ROUTE_1 ",\"targets\":[" target "]}],\"cells\":[]}"
#define WITH_CELLS(cells)                                                                         \
	"{\"generation\":1,\"routes\":[{" ROUTE_1 ",\"targets\":[" TARGET "]}],\"cells\":[" cells \
	"]}"

static struct route_table *load_next(const char *text, const struct route_table *before,
				     struct route_registry *g)
{
	struct err e = { 0 };
	int route = 5;
	struct route_table *t = table_of(text, before, g, &route, &e);

	if (!t)
		fail_msg("%s", e.msg);
	assert_int_equal(route, -1);
	return t;
}

static void a_route_has_what_its_load_says(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *t = load_next(
		"{\"type\":\"load\",\"generation\":12,\"sets\":[[\"10.0.0.0/8\",\"fd00::/8\"],"
		"[\"192.0.2.1-192.0.2.9\"]],\"trusted\":1,\"limits\":{\"connections\":10000,"
		"\"undecided\":1000,\"memory\":5000000000,\"perAddress\":100,\"perMinute\":300},"
		"\"log\":{\"access\":true,\"format\":\"json\",\"level\":\"error\"},"
		"\"routes\":[{\"id\":3,\"name\":\"web\",\"tier\":\"relay\",\"clients\":0,"
		"\"domains\":[\"*.Example.test\",\"api.example.test\"],\"tlsVersions\":[\"TLSv1."
		"2\","
		"\"TLSv1.3\"],\"protocol\":\"tcp\",\"allow\":0,\"block\":1,\"maxConnections\":3,"
		"\"maxConnectionsPerIP\":4,\"connectionRate\":5,\"passthrough\":true,\"targets\":["
		"{\"tag\":1,\"kind\":\"address\",\"host\":\"10.0.0.1\",\"port\":443,\"weight\":0},"
		"{\"tag\":2,\"kind\":\"name\",\"host\":\"db.lan\",\"port\":-9,\"portKind\":"
		"\"offset\","
		"\"priority\":9,\"ports\":[[1,2],[443,500]],\"sendProxy\":0},"
		"{\"tag\":3,\"kind\":\"unix\",\"host\":\"/run/x\",\"backup\":true}],"
		"\"balance\":\"ip-hash\",\"healthCheck\":{\"interval\":1000,\"timeout\":200,"
		"\"unhealthy\":4,\"healthy\":5,\"port\":444,\"path\":\"/"
		"up\"},\"sendProxy\":2,\"acceptProxy\":true,"
		"\"connectTimeout\":1,\"initialDataTimeout\":2,\"headTimeout\":3,"
		"\"serverFirstAfter\":4,\"inactivityTimeout\":5,\"maxLifetime\":6,\"keepAlive\":"
		"false,"
		"\"keepAliveDelay\":7,\"noDelay\":false}],\"cells\":[{\"address\":\"10.0.0.1\","
		"\"from\":443,\"to\":444,\"routes\":[0]}]}",
		NULL, g);
	const struct route *r = t->routes[0];
	struct addr client = address("10.1.2.3"), blocked = address("192.0.2.5");
	struct addr other = address("11.0.0.0"), local = address("10.0.0.1");

	(void)state;
	assert_int_equal(t->generation, 12);
	assert_int_equal(t->max_connections, 10000);
	assert_int_equal(t->max_undecided, 1000);
	assert_true(t->max_memory_bytes == 5000000000u);
	assert_int_equal(t->max_per_address, 100);
	assert_int_equal(t->max_per_minute, 300);
	assert_true(t->log_access);
	assert_true(t->log_json);
	assert_true(addr_set_has(t->trusted, &blocked));
	assert_string_equal(r->name, "web");
	assert_int_equal(r->tier, ROUTE_RELAY);
	assert_string_equal(r->domains[0], "*.example.test");
	assert_int_equal(r->n_domains, 2);
	assert_int_equal(r->tls_versions[1], 0x0304);
	assert_true(r->tcp_only && r->passthrough && r->accept_proxy);
	assert_true(!r->keep_alive && !r->no_delay);
	assert_int_equal(r->max_connections, 3);
	assert_int_equal(r->max_connections_per_ip, 4);
	assert_int_equal(r->connection_rate_per_minute, 5);
	assert_int_equal(r->balance, BALANCE_IP_HASH);
	assert_int_equal(r->health->healthy_threshold, 5);
	assert_string_equal(r->health->path, "/up");
	assert_int_equal(r->health->port, 444);
	assert_int_equal(r->connect_timeout_ms, 1);
	assert_int_equal(r->max_lifetime_ms, 6);
	assert_int_equal(r->keep_alive_delay_ms, 7);
	/* By priority, then as they stand. */
	assert_string_equal(r->targets[0].host, "db.lan");
	assert_int_equal(r->targets[0].port, -9);
	assert_int_equal(r->targets[0].send_proxy, 0);
	assert_int_equal(r->targets[0].n_ports, 2);
	assert_int_equal(r->targets[1].weight, 0);
	assert_int_equal(r->targets[1].send_proxy, 2);
	assert_int_equal(r->targets[2].weight, 1);
	assert_true(r->targets[2].backup);
	assert_int_equal(t->n_names, 1);
	assert_string_equal(t->names[0], "db.lan");
	assert_true(route_lets_in(r, &client));
	assert_false(route_lets_in(r, &blocked));
	assert_false(route_lets_in(r, &other));
	assert_ptr_equal(route_table_first(t, &local, 444), r);
	assert_null(route_table_first(t, &local, 445));
	assert_null(route_table_first(t, &other, 443));
	route_table_unref(t);
	route_registry_free(g);
}

static void what_is_absent_is_as_the_route_language_has_it(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *t = load_next(LOAD(""), NULL, g);
	const struct route *r = t->routes[0];

	(void)state;
	assert_null(r->clients);
	assert_null(r->allow);
	assert_null(r->block);
	assert_null(r->health);
	assert_null(t->trusted);
	assert_null(t->fallback);
	assert_int_equal(r->balance, BALANCE_ROUND_ROBIN);
	assert_int_equal(r->connect_timeout_ms, 30000);
	assert_int_equal(r->initial_data_timeout_ms, 60000);
	assert_int_equal(r->head_timeout_ms, 10000);
	assert_int_equal(r->server_first_after_ms, 1000);
	assert_int_equal(r->inactivity_timeout_ms, 4 * 3600 * 1000);
	assert_int_equal(r->max_lifetime_ms, 24 * 3600 * 1000);
	assert_true(r->keep_alive && r->no_delay);
	route_table_unref(t);
	route_registry_free(g);
}

#define TWO(sets, first, second)                                                               \
	"{\"generation\":2,\"sets\":[" sets "],\"routes\":[{\"id\":2,\"name\":\"b\",\"tier\":" \
	"\"relay\"" first ",\"targets\":[" TARGET                                              \
	"]},{\"name\":\"web\",\"tier\":\"relay\",\"id\":1"                                     \
	",\"targets\":[" TARGET "]" second "}],\"cells\":[" CELL "]}"

static void a_route_that_stays_the_same_is_the_same_object(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *a = load_next(LOAD(",\"clients\":0"), NULL, g), *b, *c, *d;

	(void)state;
	/* At another place, with its set at another place, its keys in another order. */
	b = load_next(TWO("[\"::/0\"],[\"10.0.0.0-10.255.255.255\"]", "", ",\"clients\":1"), a, g);
	assert_ptr_equal(b->routes[1], a->routes[0]);
	/* The same text, but its set is another now. */
	c = load_next(TWO("[\"10.0.0.0/9\"]", "", ",\"clients\":0"), b, g);
	assert_ptr_not_equal(c->routes[1], b->routes[1]);
	assert_ptr_equal(c->routes[0], b->routes[0]);
	/* Another one has the same target and the same counters. */
	d = load_next(TWO("[\"10.0.0.0/9\"]", ",\"maxConnections\":1", ",\"clients\":0"), c, g);
	assert_ptr_not_equal(d->routes[0], c->routes[0]);
	assert_ptr_equal(d->routes[0]->stats, c->routes[0]->stats);
	assert_ptr_equal(d->routes[0]->targets[0].state, c->routes[0]->targets[0].state);
	assert_ptr_not_equal(d->routes[1]->targets[0].state, d->routes[0]->targets[0].state);
	route_table_unref(a);
	route_table_unref(b);
	route_table_unref(c);
	route_table_unref(d);
	route_registry_free(g);
}

static void a_route_outlives_its_table_with_its_sets(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *t = load_next(LOAD(",\"allow\":0"), NULL, g);
	struct route *r = route_ref(t->routes[0]);
	struct addr client = address("10.9.9.9");

	(void)state;
	route_table_unref(t);
	assert_true(route_lets_in(r, &client));
	route_unref(r);
	route_registry_free(g);
}

static void a_table_has_each_name_once_and_sorted(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *a, *b;

	(void)state;
	a = load_next(WITH_TARGET("{\"tag\":1,\"kind\":\"name\",\"host\":\"b\",\"port\":1},"
				  "{\"tag\":2,\"kind\":\"name\",\"host\":\"a\",\"port\":1},"
				  "{\"tag\":3,\"kind\":\"name\",\"host\":\"b\",\"port\":2}"),
		      NULL, g);
	b = load_next(WITH_TARGET("{\"tag\":2,\"kind\":\"name\",\"host\":\"b\",\"port\":1}"), a, g);
	assert_int_equal(a->n_names, 2);
	assert_string_equal(a->names[0], "a");
	assert_string_equal(a->names[1], "b");
	assert_int_equal(b->n_names, 1);
	assert_string_equal(b->names[0], "b");
	route_table_unref(a);
	route_table_unref(b);
	route_registry_free(g);
}

static void put_targets(struct buf *b, unsigned from, unsigned n)
{
	buf_puts(b, "{\"generation\":1,\"routes\":[{" ROUTE_1 ",\"targets\":[");
	for (unsigned i = from; i < from + n; i++)
		buf_printf(b,
			   "%s{\"tag\":%u,\"kind\":\"address\",\"host\":\"10.0.0.1\",\"port\":%u}",
			   i > from ? "," : "", i, i);
	buf_puts(b, "]}],\"cells\":[]}");
}

/* A file that is applied every minute with other targets must not fill the memory. */
static void targets_that_nothing_has_any_more_are_forgotten(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *t = NULL;
	struct target_state *s;

	(void)state;
	s = route_registry_target(g, 1, 1);
	s->total = 77;
	for (unsigned round = 0; round < 6; round++) {
		struct buf b = { 0 };
		struct route_table *next;

		put_targets(&b, 1 + round * 2000, 2000);
		next = load_next(b.data, NULL, g);
		route_table_unref(t);
		t = next;
		buf_fini(&b);
		if (!round)
			assert_ptr_equal(t->routes[0]->targets[0].state, s);
	}
	assert_int_equal(route_registry_target(g, 1, 1)->total, 0);
	route_table_unref(t);
	route_registry_free(g);
}

static void put_routes(struct buf *b, unsigned first, unsigned n)
{
	buf_puts(b, "{\"generation\":1,\"cells\":[],\"routes\":[");
	for (unsigned i = 0; i < n; i++)
		buf_printf(b,
			   "%s{\"id\":%u,\"name\":\"r%u\",\"tier\":\"relay\",\"targets\":[" TARGET
			   "]}",
			   i ? "," : "", first + i, first + i);
	buf_puts(b, "]}");
}

/* So must not one whose routes have other names each time. */
static void routes_that_are_no_more_are_forgotten(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *t = NULL;
	struct route *kept;

	(void)state;
	for (unsigned round = 0; round < 8; round++) {
		struct buf b = { 0 };
		struct route_table *next;

		put_routes(&b, 1 + round * 2000, 2000);
		next = load_next(b.data, NULL, g);
		buf_fini(&b);
		/* A connection has one of them still. */
		if (!round)
			kept = route_ref(next->routes[1999]);
		next->routes[0]->stats->total = 5;
		kept->stats->total++;
		route_table_unref(t);
		t = next;
		/* Of a route and its target each: those of both tables, and as many more. */
		assert_true(route_registry_count(g) <= 2 * 2 * (2 * 2000 + 1));
	}
	assert_int_equal(kept->stats->id, 2000);
	assert_int_equal(kept->stats->total, 8);
	assert_ptr_equal(route_registry_stats(g, 2000), kept->stats);
	assert_int_equal(route_registry_stats(g, 1)->total, 0);
	assert_int_equal(t->routes[0]->stats->total, 5);
	route_unref(kept);
	route_table_unref(t);
	route_registry_free(g);
}

struct bad {
	const char *load, *says;
	int route;
};

static const struct bad bad_loads[] = {
	{ "[]", "must be an object, not a list", -1 },
	{ "{}", "lacks \"generation\"", -1 },
	{ "{\"generation\":-1}", "generation: must be a number from 0 to 4294967295, not -1", -1 },
	{ "{\"generation\":1.5}", "generation: must be a number from 0 to 4294967295, not 1.5",
	  -1 },
	{ "{\"generation\":1,\"cells\":[]}", "lacks \"routes\"", -1 },
	{ "{\"generation\":1,\"routes\":[]}", "lacks \"cells\"", -1 },
	{ "{\"type\":\"x\",\"generation\":1,\"routes\":[],\"cells\":[]}", "type: must be \"load\"",
	  -1 },
	{ "{\"generation\":1,\"routes\":{},\"cells\":[]}", "routes: must be a list, not an object",
	  -1 },
	{ "{\"generation\":1,\"routes\":[],\"cells\":[],\"celss\":[]}", "unknown key \"celss\"",
	  -1 },
	{ "{\"generation\":1,\"routes\":[],\"cells\":[],\"sets\":[4]}",
	  "sets[0]: must be a list of at most 1048576 addresses, not 4", -1 },
	{ "{\"generation\":1,\"routes\":[],\"cells\":[],\"sets\":[[],[\"::\",null]]}",
	  "sets[1][1]: must be an address, not null", -1 },
	{ "{\"generation\":1,\"routes\":[],\"cells\":[],\"trusted\":0}",
	  "trusted: 0 is none of the 0 sets", -1 },
	{ "{\"generation\":1,\"routes\":[],\"cells\":[],\"default\":0}",
	  "default: 0 is none of the 0 routes", -1 },
	{ "{\"generation\":1,\"routes\":[],\"cells\":[],\"limits\":{\"connections\":true}}",
	  "limits.connections: must be a number from 0 to 2147483647, not true", -1 },
	{ "{\"generation\":1,\"routes\":[],\"cells\":[],\"log\":{\"file\":\"/x\"}}",
	  "log: unknown key \"file\"", -1 },
	{ "{\"generation\":1,\"routes\":[],\"cells\":[],\"log\":{\"format\":\"xml\"}}",
	  "log.format: \"xml\" is not one of the known words", -1 },
	{ "{\"generation\":1,\"routes\":[],\"cells\":[],\"limits\":[]}",
	  "limits: must be an object, not a list", -1 },
	{ "{\"generation\":1,\"routes\":[7],\"cells\":[]}", "routes[0]: must be an object, not 7",
	  0 },
	{ "{\"generation\":1,\"routes\":[{\"id\":0}],\"cells\":[]}",
	  "routes[0].id: must be a number from 1 to 1048575, not 0", 0 },
	{ "{\"generation\":1,\"routes\":[{\"id\":1,\"name\":\"a\\u0007\"}],\"cells\":[]}",
	  "routes[0].name: must be a text of 0 to 1024 bytes without control characters, not "
	  "\"a?\"",
	  0 },
	{ "{\"generation\":1,\"routes\":[{\"id\":1,\"name\":\"a\",\"tier\":\"sky\"}],\"cells\":[]}",
	  "routes[0].tier: \"sky\" is not one of the known words", 0 },
	{ "{\"generation\":1,\"routes\":[{" ROUTE_1 "}],\"cells\":[]}",
	  "routes[0].targets: a route of the relay needs one", 0 },
	{ "{\"generation\":1,\"routes\":[{" ROUTE_1 ",\"targets\":[" TARGET "]},{" ROUTE_1
	  ",\"targets\":[" TARGET "]}],\"cells\":[]}",
	  "routes[1].id: 1 is that of routes[0], too", 1 },
	{ LOAD(",\"clients\":1"), "routes[0].clients: 1 is none of the 1 sets", 0 },
	{ LOAD(",\"allow\":-1"), "routes[0].allow: -1 is none of the 1 sets", 0 },
	{ LOAD(",\"block\":\"0\""), "routes[0].block: \"0\" is none of the 1 sets", 0 },
	{ LOAD(",\"blokc\":0"), "routes[0]: unknown key \"blokc\"", 0 },
	{ LOAD(",\"domains\":[]"), "routes[0].domains: must not be empty", 0 },
	{ LOAD(",\"domains\":[\"a\",\"b c\"]"),
	  "routes[0].domains[1]: must be a domain, not \"b c\"", 0 },
	{ LOAD(",\"domains\":[\"a.\"]"), "routes[0].domains[0]: must be a domain, not \"a.\"", 0 },
	{ LOAD(",\"domains\":[1]"), "routes[0].domains[0]: must be a domain, not 1", 0 },
	{ LOAD(",\"tlsVersions\":[\"TLSv1.2\",\"SSLv3\"]"),
	  "routes[0].tlsVersions[1]: \"SSLv3\" is no version of TLS", 0 },
	{ LOAD(",\"tlsVersions\":[]"), "routes[0].tlsVersions: must not be empty", 0 },
	{ LOAD(",\"protocol\":\"http\""), "routes[0].protocol: must be \"tcp\", not \"http\"", 0 },
	{ LOAD(",\"sendProxy\":3"), "routes[0].sendProxy: must be a number from 0 to 2, not 3", 0 },
	{ LOAD(",\"balance\":\"fair\""),
	  "routes[0].balance: \"fair\" is not one of the known words", 0 },
	{ LOAD(",\"keepAlive\":1"), "routes[0].keepAlive: must be true or false, not 1", 0 },
	{ LOAD(",\"maxLifetime\":2147483648"),
	  "routes[0].maxLifetime: must be a number from 0 to 2147483647, not 2147483648", 0 },
	{ LOAD(",\"healthCheck\":{\"interval\":0}"),
	  "routes[0].healthCheck.interval: must be a number from 1 to 2147483647, not 0", 0 },
	{ LOAD(",\"healthCheck\":{\"path\":\"/a b\"}"),
	  "routes[0].healthCheck.path: must begin with \"/\" and have no space", 0 },
	{ LOAD(",\"healthCheck\":{\"port\":65536}"),
	  "routes[0].healthCheck.port: must be a number from 0 to 65535, not 65536", 0 },
	{ LOAD(",\"healthCheck\":1"), "routes[0].healthCheck: must be an object, not 1", 0 },
	{ WITH_TARGET("{\"tag\":0}"),
	  "routes[0].targets[0].tag: must be a number from 1 to 4294967295, not 0", 0 },
	{ WITH_TARGET(TARGET ",{\"tag\":1,\"kind\":\"address\",\"host\":\"db\",\"port\":1}"),
	  "routes[0].targets[1].host: \"db\" is no address", 0 },
	{ WITH_TARGET("{\"tag\":1,\"kind\":\"name\",\"host\":\"a b\",\"port\":1}"),
	  "routes[0].targets[0].host: \"a b\" is no host name", 0 },
	{ WITH_TARGET("{\"tag\":1,\"kind\":\"unix\",\"host\":\"x\"}"),
	  "routes[0].targets[0].host: a socket's path begins with \"/\" and has at most 107 bytes",
	  0 },
	{ WITH_TARGET("{\"tag\":1,\"kind\":\"address\",\"host\":\"::1\"}"),
	  "routes[0].targets[0].port: 0 is no port: 1 to 65535", 0 },
	{ WITH_TARGET("{\"tag\":1,\"kind\":\"address\",\"host\":\"::1\",\"port\":65536}"),
	  "routes[0].targets[0].port: must be a number from -65535 to 65535, not 65536", 0 },
	{ WITH_TARGET(
		  "{\"tag\":1,\"kind\":\"address\",\"host\":\"::1\",\"port\":1,\"ports\":[[1,2],"
		  "[3,2]]}"),
	  "routes[0].targets[0].ports[1]: must be the first and the last port, from 1 to 65535",
	  0 },
	{ WITH_TARGET("{\"tag\":1,\"kind\":\"address\",\"host\":\"::1\",\"port\":1,\"weight\":-1}"),
	  "routes[0].targets[0].weight: must be a number from 0 to 1000000, not -1", 0 },
	{ WITH_CELLS("4"), "cells[0]: must be an object, not 4", -1 },
	{ WITH_CELLS(CELL ",{\"from\":1,\"to\":2,\"routes\":[0,1]}"),
	  "cells[1].routes: has 2 members: at most 1", -1 },
	{ WITH_CELLS("{\"from\":1,\"to\":2,\"routes\":[1]}"),
	  "cells[0].routes[0]: 1 is none of the 1 routes", -1 },
	{ WITH_CELLS("{\"from\":1,\"to\":2,\"routes\":[]}"), "cells[0].routes: must name a route",
	  -1 },
	{ WITH_CELLS("{\"from\":3,\"to\":2,\"routes\":[0]}"),
	  "cells[0]: 3 to 2 is no range of ports", -1 },
	{ WITH_CELLS("{\"from\":0,\"to\":2,\"routes\":[0]}"),
	  "cells[0].from: must be a number from 1 to 65535, not 0", -1 },
	{ WITH_CELLS("{\"address\":\"0.0.0.0\",\"from\":1,\"to\":2,\"routes\":[0]}"),
	  "cells[0].address: \"0.0.0.0\" is no address of a host", -1 },
	{ WITH_CELLS(CELL ",{\"from\":1,\"to\":443,\"routes\":[0]}"), "cells[0]: overlaps cells[1]",
	  -1 },
};

static void a_wrong_load_is_refused_with_its_place(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(bad_loads) / sizeof(bad_loads[0]); i++) {
		struct route_registry *g = route_registry_new();
		struct err e = { 0 };
		int route = 99;

		assert_null(table_of(bad_loads[i].load, NULL, g, &route, &e));
		assert_string_equal(e.msg, bad_loads[i].says);
		assert_int_equal(e.code, -EINVAL);
		assert_int_equal(route, bad_loads[i].route);
		route_registry_free(g);
	}
}

static void a_load_that_is_refused_leaves_the_former_alone(void **state)
{
	struct route_registry *g = route_registry_new();
	struct route_table *t = load_next(LOAD(",\"clients\":0"), NULL, g);
	struct err e = { 0 };
	int route;

	(void)state;
	assert_null(
		table_of(TWO("[\"10.0.0.0/8\"]", ",\"x\":1", ",\"clients\":0"), t, g, &route, &e));
	assert_int_equal(t->routes[0]->refs, 1);
	route_table_unref(t);
	route_registry_free(g);
}

static void every_reason_has_a_name_of_its_own(void **state)
{
	(void)state;
	assert_string_equal(reason_name(REASON_NONE), "");
	assert_string_equal(reason_name(REASON_KILLED), "killed");
	assert_string_equal(reason_name(REASON_ROUTE_IP_BLOCKED), "route_ip_blocked");
	for (int i = 1; i < N_REASONS; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(reason_name(i), reason_name(k));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_route_has_what_its_load_says),
		cmocka_unit_test(what_is_absent_is_as_the_route_language_has_it),
		cmocka_unit_test(a_route_that_stays_the_same_is_the_same_object),
		cmocka_unit_test(a_route_outlives_its_table_with_its_sets),
		cmocka_unit_test(a_table_has_each_name_once_and_sorted),
		cmocka_unit_test(targets_that_nothing_has_any_more_are_forgotten),
		cmocka_unit_test(routes_that_are_no_more_are_forgotten),
		cmocka_unit_test(a_wrong_load_is_refused_with_its_place),
		cmocka_unit_test(a_load_that_is_refused_leaves_the_former_alone),
		cmocka_unit_test(every_reason_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
