/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/service/upcall.h"

static int parse(const char *text, unsigned n_fds, struct upcall *u, struct err *e)
{
	json_t *json = json_loads(text, 0, NULL);
	int rc;

	assert_non_null(json);
	rc = upcall_parse(json, n_fds, u, e);
	json_decref(json);
	return rc;
}

static void every_message_is_read(void **state)
{
	struct upcall u;

	(void)state;
	assert_int_equal(parse("{\"type\":\"started\",\"pid\":812,\"new\":1}", 0, &u, NULL), 0);
	assert_int_equal(u.type, UPCALL_STARTED);
	assert_int_equal(u.pid, 812);
	assert_int_equal(parse("{\"type\":\"failed\",\"generation\":4294967295,\"route\":2,"
			       "\"message\":\"a\\nb\"}",
			       0, &u, NULL),
			 0);
	assert_int_equal(u.generation, 4294967295u);
	assert_int_equal(u.failed_route, 2);
	assert_string_equal(u.text, "a\\x0ab");
	assert_int_equal(parse("{\"type\":\"failed\",\"generation\":1,\"message\":\"\"}", 0, &u,
			       NULL),
			 0);
	assert_int_equal(u.failed_route, -1);
	assert_int_equal(parse("{\"type\":\"target\",\"route\":1048575,\"tag\":9,\"up\":true,"
			       "\"reason\":\"\"}",
			       0, &u, NULL),
			 0);
	assert_true(u.up && u.route == 0xfffff && u.tag == 9);
	assert_int_equal(parse("{\"type\":\"name\",\"name\":\"a.b\",\"ttl\":5,\"addresses\":"
			       "[\"10.0.0.1\",\"::ffff:10.0.0.2\",\"fd00::1\"]}",
			       0, &u, NULL),
			 0);
	assert_int_equal(u.n_addresses, 3);
	assert_int_equal(u.addresses[1].family, ADDR_V4);
	assert_int_equal(parse("{\"type\":\"pong\",\"seq\":3,\"rounds\":[1,99999999999]}", 0, &u,
			       NULL),
			 0);
	assert_true(u.n_rounds == 2 && u.rounds[1] == 99999999999);
	assert_int_equal(parse("{\"type\":\"handover\",\"more\":true,\"listeners\":[{\"id\":4,"
			       "\"address\":\"*\",\"port\":443,\"worker\":1}]}",
			       1, &u, NULL),
			 0);
	assert_true(u.more && u.n_listeners == 1 && u.listeners[0].port == 443 &&
		    u.listeners[0].address.family == ADDR_NONE);
}

static void what_is_out_of_bounds_is_refused(void **state)
{
	static const char *const bad[] = {
		"{\"type\":\"started\"}",
		"{\"type\":\"started\",\"pid\":0}",
		"{\"type\":\"started\",\"pid\":-1}",
		"{\"type\":\"started\",\"pid\":\"1\"}",
		"{\"type\":\"started\",\"pid\":1.0}",
		"{\"type\":\"started\",\"pid\":4294967296}",
		"{\"type\":\"loaded\",\"generation\":0}",
		"{\"type\":\"loaded\",\"generation\":4294967296}",
		"{\"type\":\"failed\",\"generation\":1,\"route\":-2,\"message\":\"\"}",
		"{\"type\":\"failed\",\"generation\":1,\"route\":1048576,\"message\":\"\"}",
		"{\"type\":\"failed\",\"generation\":1}",
		"{\"type\":\"target\",\"route\":0,\"tag\":1,\"up\":true,\"reason\":\"\"}",
		"{\"type\":\"target\",\"route\":1,\"tag\":0,\"up\":true,\"reason\":\"\"}",
		"{\"type\":\"target\",\"route\":1,\"tag\":1,\"up\":1,\"reason\":\"\"}",
		"{\"type\":\"name\",\"name\":\"\",\"ttl\":1,\"addresses\":[\"10.0.0.1\"]}",
		"{\"type\":\"name\",\"name\":\"a b\",\"ttl\":1,\"addresses\":[\"10.0.0.1\"]}",
		"{\"type\":\"name\",\"name\":\"../x\",\"ttl\":1,\"addresses\":[\"10.0.0.1\"]}",
		"{\"type\":\"name\",\"name\":\"a\",\"ttl\":1,\"addresses\":[]}",
		"{\"type\":\"name\",\"name\":\"a\",\"ttl\":1,\"addresses\":[\"0.0.0.0\"]}",
		"{\"type\":\"name\",\"name\":\"a\",\"ttl\":1,\"addresses\":[\"224.0.0.1\"]}",
		"{\"type\":\"name\",\"name\":\"a\",\"ttl\":1,\"addresses\":[1]}",
		"{\"type\":\"name\",\"name\":\"a\",\"ttl\":86401,\"addresses\":[\"10.0.0.1\"]}",
		"{\"type\":\"notice\",\"level\":\"fatal\",\"message\":\"\"}",
		"{\"type\":\"pong\",\"seq\":1,\"rounds\":[-1]}",
		"{\"type\":\"pong\",\"seq\":1,\"rounds\":{}}",
		"{\"type\":\"answer\",\"seq\":1,\"x\":1.5}",
		"{\"type\":\"answer\",\"seq\":1,\"more\":1}",
		"{\"type\":\"answer\",\"seq\":1,\"x\":[[[[[[[[1]]]]]]]]}",
		"{\"type\":\"handover\",\"listeners\":{}}",
	};
	char why[64];
	struct upcall u;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err e = { 0 };

		assert_int_equal(parse(bad[i], 0, &u, &e), -EPROTO);
		snprintf(why, sizeof(why), "its message \"%.*s\" is broken",
			 (int)strcspn(bad[i] + 9, "\""), bad[i] + 9);
		assert_string_equal(e.msg, why);
	}
}

static void unknown_messages_are_named_in_printable_bytes(void **state)
{
	struct err e = { 0 };
	struct upcall u;

	(void)state;
	assert_int_equal(parse("{\"type\":\"\\u001b[2J\"}", 0, &u, &e), -EPROTO);
	assert_string_equal(e.msg, "its message \"\\x1b[2J\" is unknown");
}

static void long_texts_are_cut_and_long_answers_refused(void **state)
{
	json_t *o = json_pack("{s:s,s:i,s:s}", "type", "failed", "generation", 1, "message", "");
	char text[2000];
	struct upcall u;

	(void)state;
	memset(text, 'x', sizeof(text));
	json_object_set_new(o, "message", json_stringn(text, sizeof(text)));
	assert_int_equal(upcall_parse(o, 0, &u, NULL), 0);
	assert_true(strlen(u.text) < UPCALL_TEXT);
	json_object_set_new(o, "type", json_string("answer"));
	json_object_set_new(o, "seq", json_integer(1));
	assert_int_equal(upcall_parse(o, 0, &u, NULL), -EPROTO);
	json_decref(o);
}

static void descriptors_come_with_a_hand_over_alone(void **state)
{
	struct err e = { 0 };
	struct upcall u;

	(void)state;
	assert_int_equal(parse("{\"type\":\"drained\"}", 1, &u, &e), -EPROTO);
	assert_string_equal(e.msg, "its message \"drained\" has 1 descriptors instead of 0");
	assert_int_equal(parse("{\"type\":\"handover\",\"listeners\":[{\"id\":4,\"address\":"
			       "\"*\",\"port\":443,\"worker\":1}]}",
			       0, &u, &e),
			 -EPROTO);
}

static void more_than_the_tables_hold_is_refused(void **state)
{
	json_t *o = json_pack("{s:s,s:i,s:[]}", "type", "pong", "seq", 1, "rounds");
	struct upcall u;

	(void)state;
	for (int i = 0; i < UPCALL_WORKERS; i++)
		json_array_append_new(json_object_get(o, "rounds"), json_integer(i));
	assert_int_equal(upcall_parse(o, 0, &u, NULL), 0);
	json_array_append_new(json_object_get(o, "rounds"), json_integer(1));
	assert_int_equal(upcall_parse(o, 0, &u, NULL), -EPROTO);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_is_read),
		cmocka_unit_test(what_is_out_of_bounds_is_refused),
		cmocka_unit_test(unknown_messages_are_named_in_printable_bytes),
		cmocka_unit_test(long_texts_are_cut_and_long_answers_refused),
		cmocka_unit_test(descriptors_come_with_a_hand_over_alone),
		cmocka_unit_test(more_than_the_tables_hold_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
