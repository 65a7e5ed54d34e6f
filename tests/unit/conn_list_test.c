/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections of both tiers in one list: each once, in one order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/cli/conn_list.h"

static struct conn_list list;

static int end(void **state)
{
	(void)state;
	conn_list_fini(&list);
	return 0;
}

static struct ct_flow flow(const char *client, unsigned port, const char *local)
{
	struct ct_flow f = { .proto = IPPROTO_TCP,
			     .client_port = (uint16_t)port,
			     .local_port = 443 };

	assert_true(addr_parse(client, &f.client) && addr_parse(local, &f.local));
	return f;
}

static json_t *relay(const char *client, int port, const char *local)
{
	return json_pack("{s:s,s:i,s:s,s:i,s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:i}", "client", client,
			 "clientPort", port, "local", local, "port", 443, "state", "relay", "mover",
			 "splice", "to", "10.2.0.2:80", "sni", "a.test", "route", 3, "bytesIn", 10,
			 "bytesOut", 20, "age", 5000, "idle", 100);
}

static void add_flow(const char *route, const char *client, unsigned port, const char *local)
{
	struct ct_flow f = flow(client, port, local);

	assert_int_equal(conn_list_add_flow(&list, &f, route, false), 0);
}

static void add_relay(const char *route, json_t *c)
{
	assert_int_equal(conn_list_add_relay(&list, c, route, false, 1000000), 0);
	json_decref(c);
}

static void what_the_service_says_is_kept(void **state)
{
	const struct conn *c;

	(void)state;
	add_relay("web", relay("10.0.0.9", 1234, "10.0.0.1"));
	assert_int_equal(list.n, 1);
	c = &list.v[0];
	assert_string_equal(c->relay->state, "splice");
	assert_true(c->relay->moves);
	assert_string_equal(c->relay->target, "10.2.0.2:80");
	assert_string_equal(c->relay->sni, "a.test");
	assert_int_equal(c->relay->idle_ms, 100);
	assert_int_equal(c->flow.bytes_in, 10);
	assert_int_equal(c->flow.bytes_out, 20);
	assert_true(c->flow.counted);
	assert_int_equal(c->flow.start_ms, 1000000 - 5000);
	assert_int_equal(c->flow.id, 3);
}

/* They are foreign bytes: root prints them. */
static void what_is_broken_is_left_out(void **state)
{
	json_t *c = relay("10.0.0.9", 1234, "10.0.0.1");

	(void)state;
	add_relay("web", relay("nonsense", 1234, "10.0.0.1"));
	add_relay("web", relay("10.0.0.9", 0, "10.0.0.1"));
	add_relay("web", relay("10.0.0.9", 70000, "10.0.0.1"));
	add_relay("web", json_object());
	assert_int_equal(list.n, 0);
	json_object_set_new(c, "to", json_string("no port"));
	json_object_set_new(c, "mover", json_string("\x1b[2J"));
	add_relay("web", c);
	assert_int_equal(list.n, 1);
	assert_null(list.v[0].relay->target);
	assert_string_equal(list.v[0].relay->state, "?");
}

static void a_connection_of_the_service_is_one_line(void **state)
{
	(void)state;
	add_flow("web", "10.0.0.9", 1234, "10.0.0.1"); /* the kernel's entry of the same */
	add_relay("web", relay("10.0.0.9", 1234, "10.0.0.1"));
	add_flow("old", "10.0.0.9", 1234, "10.0.0.1"); /* in another zone, of another route */
	add_flow("web", "10.0.0.9", 1235, "10.0.0.1");
	add_flow("web", "10.0.0.9", 1234, "10.0.0.2");
	add_flow("web", "10.0.0.8", 1234, "10.0.0.1");
	conn_list_settle(&list);
	assert_int_equal(list.n, 4);
	for (size_t i = 0; i < list.n; i++) {
		const struct ct_flow *f = &list.v[i].flow;
		struct ct_flow same = flow("10.0.0.9", 1234, "10.0.0.1");

		if (!addr_cmp(&f->client, &same.client) && f->client_port == 1234 &&
		    !addr_cmp(&f->local, &same.local))
			assert_non_null(list.v[i].relay);
		else
			assert_null(list.v[i].relay);
	}
}

static void two_of_the_kernel_stay_two(void **state)
{
	(void)state;
	add_flow("web", "10.0.0.9", 1234, "10.0.0.1");
	add_flow("web", "10.0.0.9", 1234, "10.0.0.1"); /* zones */
	conn_list_settle(&list);
	assert_int_equal(list.n, 2);
}

static void the_order_is_by_route_and_client(void **state)
{
	static const char *const want[] = { "a:1", "a:2", "b:1", "-:5" };

	(void)state;
	add_relay(NULL, relay("10.0.0.9", 5, "10.0.0.1"));
	add_flow("b", "10.0.0.9", 1, "10.0.0.1");
	add_relay("a", relay("10.0.0.9", 2, "10.0.0.1"));
	add_flow("a", "10.0.0.8", 1, "10.0.0.1");
	conn_list_settle(&list);
	for (size_t i = 0; i < 4; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%s:%u", list.v[i].route ? list.v[i].route : "-",
			 list.v[i].flow.client_port);
		assert_string_equal(text, want[i]);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_service_says_is_kept),	       TEST(what_is_broken_is_left_out),
		TEST(a_connection_of_the_service_is_one_line), TEST(two_of_the_kernel_stay_two),
		TEST(the_order_is_by_route_and_client),
	};

	return cmocka_run_group_tests_name("conn_list", tests, NULL, NULL);
}
