/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole dataplane with names: how many it bears, and where they may not lead. */
#include "tests/unit/keys_fixture.h"

#define MANY 40000 /* with a book for each of them it would take minutes */

static void answers_in_time(struct plane_fixture *f)
{
	plane_send(f, json_pack("{s:s,s:i}", "type", "ping", "seq", 1), NULL, 0);
	json_decref(plane_wait(f, "pong"));
}

static void many_names_at_once_do_not_stop_its_heart(void **state)
{
	struct keys_lab l = keys_lab(state);
	json_t *list = json_array();
	char name[32];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "h%u.test", i);
		json_array_append_new(list, json_pack("{s:s,s:[s]}", "name", name, "addresses",
						      "127.0.0.1"));
	}
	plane_send(l.f, json_pack("{s:s,s:o}", "type", "names", "names", list), NULL, 0);
	answers_in_time(l.f);
	/* And the last of them is known to the workers. */
	keys_load(&l, "",
		  keys_route(&l,
			     "{'targets':[{'tag':1,'kind':'name','host':'h39999.test','port':%u,"
			     "'portKind':'fixed','weight':1,'priority':0}]}",
			     l.target_port[1]),
		  NULL);
	assert_string_equal(keys_go_to(&l, 2), "BB");
	keys_end(&l);
}

static int start(void **state)
{
	return plane_start_dns(state, "", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(many_names_at_once_do_not_stop_its_heart, start,
						plane_stop),
	};

	return cmocka_run_group_tests_name("plane_names", tests, NULL, NULL);
}
