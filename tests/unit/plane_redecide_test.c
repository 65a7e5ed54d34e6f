/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clients that hold back their first bytes while the table changes: what holds is the table of
 * when they speak, or of when it changes where that is enough to know. */
#include <signal.h>

#include "tests/unit/hello_client.h"
#include "tests/unit/keys_fixture.h"

#define SNI(more) "{'domains':['a.test'],'passthrough':true" more "}"
#define TO(n)                                                                                 \
	",'targets':[{'tag':" #n ",'kind':'address','host':'127.0.0.1','port':%u,'portKind':" \
	"'fixed','weight':1,'priority':0}]"
#define NOBODY	"'sets':[['127.0.0.0/8']]"
#define TRUSTED "'sets':[['127.0.0.0/8'],['10.9.9.9/32']],'trusted':0"
#define HEADER	"PROXY TCP4 10.9.9.9 10.0.0.1 1000 443\r\n"

static json_int_t undecided(struct plane_fixture *f)
{
	json_t *a = plane_status(f);
	json_int_t n =
		json_integer_value(json_object_get(json_object_get(a, "process"), "undecided"));

	json_decref(a);
	return n;
}

/* Who has connected, and said `first`, and is waited for. */
static int waiting(struct keys_lab *l, const char *first)
{
	int fd = tcp_connect(l->port);

	put(fd, first, strlen(first));
	eventually(undecided(l->f) == 1);
	return fd;
}

static bool is_in_state(struct plane_fixture *f, const char *state)
{
	bool found = false;

	for (int i = 0; i < PLANE_WORKERS; i++) {
		json_t *a, *c;
		size_t k;

		plane_send(f,
			   json_pack("{s:s,s:i,s:s,s:i}", "type", "query", "seq", 1, "what",
				     "conns", "worker", i),
			   NULL, 0);
		a = plane_wait(f, "answer");
		json_array_foreach (json_object_get(a, "conns"), k, c)
			found |= !strcmp(json_string_value(json_object_get(c, "state")), state);
		json_decref(a);
	}
	return found;
}

static void goes_to(struct keys_lab *l, int client, int target)
{
	int server;

	assert_int_equal(keys_accept(l, &server), target);
	close(client);
	close(server);
	keys_end(l);
}

static void is_blocked(struct keys_lab *l, int client)
{
	assert_int_equal(ending_of(client), END_RESET);
	assert_int_equal(plane_refused(l->f, "route_ip_blocked"), 1);
	close(client);
	keys_end(l);
}

static void a_block_list_that_came_meanwhile_holds(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client;

	keys_load(&l, "", keys_route(&l, SNI("")), NULL);
	client = waiting(&l, "");
	keys_load(&l, NOBODY, keys_route(&l, SNI(",'block':0")), NULL);
	hello_put(client, "a.test", HELLO_TLS_1_2);
	is_blocked(&l, client);
}

static void a_route_that_was_removed_is_not_taken(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client;

	keys_load(&l, "", keys_route(&l, SNI("")), NULL);
	client = waiting(&l, "");
	keys_load(&l, "", keys_route(&l, "{'domains':['b.test'],'passthrough':true}"), NULL);
	hello_put(client, "a.test", HELLO_TLS_1_2);
	expect(client, "\x15\x03\x03\0\x02\x02\x70", 7);
	assert_int_equal(ending_of(client), END_FIN);
	assert_int_equal(plane_refused(l.f, "no_route"), 1);
	close(client);
	keys_end(&l);
}

static void a_hello_that_came_in_two_tables_is_one(void **state)
{
	struct keys_lab l = keys_lab(state);
	const struct hello_bytes *hello = hello_of("a.test", HELLO_TLS_1_2);
	int client;

	keys_load(&l, "", keys_route(&l, SNI("")), NULL);
	client = tcp_connect(l.port);
	put(client, hello->v, 20);
	eventually(undecided(l.f) == 1);
	keys_load(&l, "", keys_route(&l, SNI(TO(2)), l.target_port[1]), NULL);
	put(client, hello->v + 20, hello->n - 20);
	goes_to(&l, client, 1);
}

static void who_needs_no_bytes_any_more_waits_no_more(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client;

	keys_load(&l, "", keys_route(&l, SNI("")), NULL);
	client = waiting(&l, "");
	keys_load(&l, "", keys_route(&l, "{'id':2" TO(3) "}", l.target_port[2]), NULL);
	goes_to(&l, client, 2);
}

static void a_port_without_routes_serves_nobody(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client;

	keys_load(&l, "", keys_route(&l, SNI("")), NULL);
	client = waiting(&l, "");
	plane_load(l.f, "{\"routes\":[],\"cells\":[]}");
	assert_int_equal(ending_of(client), END_RESET);
	assert_int_equal(plane_refused(l.f, "no_route"), 1);
	close(client);
	keys_end(&l);
}

static void close_port(struct plane_fixture *f)
{
	json_t *load = json_pack("{s:s,s:i,s:[],s:[]}", "type", "load", "generation",
				 (int)++f->generation, "routes", "cells");

	plane_send(f, load, NULL, 0);
	plane_send(f,
		   json_pack("{s:s,s:i,s:[],s:[i,i]}", "type", "switch", "generation",
			     (int)f->generation, "open", "close", 1, 2),
		   NULL, 0);
}

/* Those in the queue of a port that closes are served by the table they came under, but not when
 * they speak later. */
static void who_was_in_the_queue_of_a_port_does_not_outlast_it(void **state)
{
	enum { MANY = 32 };
	struct keys_lab l = keys_lab(state);
	int client[MANY];

	keys_load(&l, "", keys_route(&l, SNI("")), NULL);
	kill(l.f->pid, SIGSTOP);
	for (unsigned i = 0; i < MANY; i++)
		client[i] = tcp_connect(l.port);
	close_port(l.f);
	kill(l.f->pid, SIGCONT);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(ending_of(client[i]), END_RESET);
		close(client[i]);
	}
	assert_int_equal(plane_refused(l.f, "no_route"), MANY);
	keys_end(&l);
}

/* ---- the PROXY header ---- */

static void who_is_trusted_now_announces(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client;

	keys_load(&l, "", keys_route(&l, SNI(",'acceptProxy':true")), NULL);
	client = waiting(&l, "");
	keys_load(&l, TRUSTED, keys_route(&l, SNI(",'acceptProxy':true,'block':1")), NULL);
	put(client, HEADER, strlen(HEADER));
	hello_put(client, "a.test", HELLO_TLS_1_2);
	is_blocked(&l, client);
}

static void who_is_trusted_no_more_does_not(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client;

	keys_load(&l, TRUSTED, keys_route(&l, SNI(",'acceptProxy':true,'allow':1")), NULL);
	client = waiting(&l, HEADER);
	eventually(is_in_state(l.f, "sniff"));
	keys_load(&l, "'sets':[['10.0.0.0/8']]",
		  keys_route(&l, SNI(",'acceptProxy':true,'allow':0")), NULL);
	assert_int_equal(ending_of(client), END_RESET);
	assert_int_equal(plane_refused(l.f, "bad_proxy_header"), 1);
	close(client);
	keys_end(&l);
}

static void half_a_header_of_who_is_trusted_no_more_is_none(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client;

	keys_load(&l, TRUSTED, keys_route(&l, SNI(",'acceptProxy':true,'allow':1")), NULL);
	client = waiting(&l, "PROXY TC");
	keys_load(&l, "'sets':[['10.0.0.0/8']]",
		  keys_route(&l, SNI(",'acceptProxy':true,'allow':0")), NULL);
	assert_int_equal(ending_of(client), END_RESET);
	assert_int_equal(plane_refused(l.f, "no_route"), 1);
	close(client);
	keys_end(&l);
}

#define claim(f) cmocka_unit_test_setup_teardown(f, plane_start, plane_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		claim(a_block_list_that_came_meanwhile_holds),
		claim(a_route_that_was_removed_is_not_taken),
		claim(a_hello_that_came_in_two_tables_is_one),
		claim(who_needs_no_bytes_any_more_waits_no_more),
		claim(a_port_without_routes_serves_nobody),
		claim(who_was_in_the_queue_of_a_port_does_not_outlast_it),
		claim(who_is_trusted_now_announces),
		claim(who_is_trusted_no_more_does_not),
		claim(half_a_header_of_who_is_trusted_no_more_is_none),
	};

	return cmocka_run_group_tests_name("plane_redecide", tests, NULL, NULL);
}
