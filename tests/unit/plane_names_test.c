/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole dataplane with names: how many it bears, and where they may not lead. */
#include "tests/unit/hello_client.h"
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

/* ---- names that lead back ---- */

/* Refused, once: nothing has come in again. */
static void refused_at_once(struct keys_lab *l, int client)
{
	json_t *s;

	keys_refused(l, client, "connect_failed", 1);
	s = plane_status(l->f);
	assert_int_equal(json_integer_value(
				 json_object_get(json_object_get(s, "process"), "accepted")),
			 1);
	json_decref(s);
	assert_int_equal(plane_count(l->f, "active"), 0);
}

static void a_template_does_not_lead_to_its_own_port(void **state)
{
	struct keys_lab l = keys_lab(state);

	keys_load(&l, "",
		  keys_route(&l, "{'domains':['*.test'],'passthrough':true,'targets':[{'tag':1,"
				 "'kind':'template','host':'{domain}','portKind':'preserve',"
				 "'weight':1,'priority':0}]}"),
		  NULL);
	refused_at_once(&l, hello_connect(l.port, "loop.test", HELLO_TLS_1_2));
	keys_end(&l);
}

static void a_template_does_not_lead_to_another_port_of_ours(void **state)
{
	struct keys_lab l = keys_lab(state);
	uint16_t other = plane_listen(l.f);

	keys_load(&l, "",
		  keys_route(&l,
			     "{'domains':['*.test'],'passthrough':true,'targets':[{'tag':1,"
			     "'kind':'template','host':'{domain}','port':%u,'portKind':'fixed',"
			     "'weight':1,'priority':0}]}",
			     other),
		  NULL);
	refused_at_once(&l, hello_connect(l.port, "loop.test", HELLO_TLS_1_2));
	keys_end(&l);
}

static void a_template_leads_to_who_else_listens_there(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client, server;

	keys_load(&l, "",
		  keys_route(&l,
			     "{'domains':['*.test'],'passthrough':true,'targets':[{'tag':1,"
			     "'kind':'template','host':'{domain}','port':%u,'portKind':'fixed',"
			     "'weight':1,'priority':0}]}",
			     l.target_port[2]),
		  NULL);
	client = hello_connect(l.port, "loop.test", HELLO_TLS_1_2);
	server = tcp_accept(l.target[2]);
	close(client);
	close(server);
	keys_end(&l);
}

static void a_name_does_not_lead_to_its_own_port(void **state)
{
	struct keys_lab l = keys_lab(state);

	/* The second load comes when the name is known: workers hear of it before the table. */
	for (int i = 0; i < 2; i++) {
		keys_load(&l, "",
			  keys_route(&l, "{'targets':[{'tag':1,'kind':'name','host':'localhost',"
					 "'portKind':'preserve','weight':1,'priority':0}]}"),
			  NULL);
		answers_in_time(l.f);
	}
	refused_at_once(&l, tcp_connect(l.port));
	keys_end(&l);
}

static void an_address_is_not_that_of_its_own_port(void **state)
{
	struct keys_lab l = keys_lab(state);

	keys_load(&l, "",
		  keys_route(&l,
			     "{'targets':[{'tag':1,'kind':'address','host':'127.0.0.1','portKind'"
			     ":'preserve','weight':1,'priority':0}]}"),
		  NULL);
	refused_at_once(&l, tcp_connect(l.port));
	keys_end(&l);
}

static int start(void **state)
{
	return plane_start_dns(state, "127.0.0.1 loop.test\n", NULL);
}

#define claim(f) cmocka_unit_test_setup_teardown(f, start, plane_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		claim(many_names_at_once_do_not_stop_its_heart),
		claim(a_template_does_not_lead_to_its_own_port),
		claim(a_template_does_not_lead_to_another_port_of_ours),
		claim(a_template_leads_to_who_else_listens_there),
		claim(a_name_does_not_lead_to_its_own_port),
		claim(an_address_is_not_that_of_its_own_port),
	};

	return cmocka_run_group_tests_name("plane_names", tests, NULL, NULL);
}
