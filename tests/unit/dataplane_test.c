/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole dataplane process: connections from accept to their end. */
#include "tests/unit/plane_fixture.h"

#define FORWARD(id, port)                                                                    \
	"{\"id\":" #id ",\"name\":\"r" #id "\",\"tier\":\"relay\",\"targets\":[{\"tag\":7,"  \
	"\"kind\":\"address\",\"host\":\"127.0.0.1\",\"port\":" port                         \
	",\"portKind\":\"fixed\",\"weight\":1,\"priority\":0}],\"balance\":\"round-robin\"," \
	"\"connectTimeout\":3000,\"initialDataTimeout\":60000,\"headTimeout\":10000,"        \
	"\"serverFirstAfter\":1000,\"inactivityTimeout\":0,\"maxLifetime\":0,"               \
	"\"keepAlive\":true,\"keepAliveDelay\":10000,\"noDelay\":true}"

struct lab {
	struct plane_fixture *f;
	uint16_t port, target_port;
	int target;
};

/* One route, one port, one target. */
static struct lab lab_simple(void **state)
{
	struct lab l = { .f = *state };

	l.target = tcp_listen(&l.target_port);
	l.port = plane_listen(l.f);
	plane_load(l.f,
		   "{\"routes\":[" FORWARD(
			   1, "%u") "],\"cells\":[{\"from\":%u,\"to\":%u,\"routes\":[0]}]}",
		   l.target_port, l.port, l.port);
	return l;
}

static void bytes_go_both_ways(void **state)
{
	struct lab l = lab_simple(state);
	int client = tcp_connect(l.port), target = tcp_accept(l.target);

	put(client, "question", 8);
	expect(target, "question", 8);
	put(target, "answer", 6);
	expect(client, "answer", 6);
	close(client);
	assert_int_equal(ending_of(target), END_FIN);
	close(target);
	eventually(plane_count(l.f, "active") == 0);
	assert_int_equal(plane_count(l.f, "total"), 1);
	assert_int_equal(plane_count(l.f, "bytesIn"), 8);
	assert_int_equal(plane_count(l.f, "bytesOut"), 6);
	close(l.target);
}

static void the_server_may_speak_first(void **state)
{
	struct lab l = lab_simple(state);
	int client = tcp_connect(l.port), target = tcp_accept(l.target);

	put(target, "220 hello\r\n", 11);
	expect(client, "220 hello\r\n", 11);
	close(client);
	close(target);
	close(l.target);
}

static void a_half_close_leaves_the_other_direction_open(void **state)
{
	struct lab l = lab_simple(state);
	int client = tcp_connect(l.port), target = tcp_accept(l.target);

	put(client, "all", 3);
	shutdown(client, SHUT_WR);
	expect(target, "all", 3);
	assert_int_equal(ending_of(target), END_FIN);
	put(target, "late", 4);
	expect(client, "late", 4);
	assert_int_equal(plane_count(l.f, "active"), 1);
	close(target);
	assert_int_equal(ending_of(client), END_FIN);
	close(client);
	eventually(plane_count(l.f, "active") == 0);
	close(l.target);
}

static void a_reset_is_passed_on_as_a_reset(void **state)
{
	struct lab l = lab_simple(state);
	int client = tcp_connect(l.port), target = tcp_accept(l.target);

	put(client, "x", 1);
	expect(target, "x", 1);
	reset(client);
	assert_int_equal(ending_of(target), END_RESET);
	close(target);
	client = tcp_connect(l.port);
	target = tcp_accept(l.target);
	put(client, "x", 1);
	expect(target, "x", 1);
	reset(target);
	assert_int_equal(ending_of(client), END_RESET);
	close(client);
	eventually(plane_count(l.f, "active") == 0);
	close(l.target);
}

static void a_refused_target_is_a_reset_and_counted(void **state)
{
	struct lab l = lab_simple(state);

	close(l.target);
	for (int i = 0; i < 20; i++) {
		int client = tcp_connect(l.port);

		assert_int_equal(ending_of(client), END_RESET);
		close(client);
	}
	assert_int_equal(plane_count(l.f, "active"), 0);
	assert_int_equal(plane_count(l.f, "total"), 20);
	assert_int_equal(plane_refused(l.f, "connect_failed"), 20);
}

static void clients_that_vanish_leave_nothing(void **state)
{
	struct lab l = lab_simple(state);
	unsigned before;

	eventually((before = plane_descriptors(l.f)) > 0);
	for (int i = 0; i < 1000; i++) {
		int client = tcp_connect(l.port);

		if (i % 2)
			close(client);
		else
			reset(client);
		if (i % 50 == 49) {
			struct pollfd p = { .fd = l.target, .events = POLLIN };

			while (poll(&p, 1, 20) == 1)
				close(accept(l.target, NULL, NULL));
		}
	}
	while (poll(&(struct pollfd){ .fd = l.target, .events = POLLIN }, 1, 100) == 1)
		close(accept(l.target, NULL, NULL));
	eventually(plane_count(l.f, "active") == 0);
	eventually(plane_descriptors(l.f) == before);
	close(l.target);
}

/* A port that somebody had when the generation went live, and gave back. */
static void a_listener_more_needs_no_other_table(void **state)
{
	struct lab l = { .f = *state };
	uint16_t later;
	int before, target;

	l.target = tcp_listen(&l.target_port);
	l.port = plane_listen(l.f);
	plane_load(l.f,
		   "{\"routes\":[" FORWARD(
			   1, "%u") "],\"cells\":[{\"from\":1,\"to\":65535,\"routes\":[0]}]}",
		   l.target_port);
	before = tcp_connect(l.port);
	target = tcp_accept(l.target);
	later = plane_listen(l.f);
	plane_switch(l.f);
	close(tcp_connect(later));
	close(tcp_accept(l.target));
	put(before, "still", 5);
	expect(target, "still", 5);
	close(before);
	close(target);
	close(l.target);
}

static void nobody_at_the_port_of_another_table(void **state)
{
	struct lab l = lab_simple(state);
	int client = tcp_connect(l.port), target = tcp_accept(l.target), late;

	plane_load(l.f, "{\"routes\":[],\"cells\":[]}");
	late = tcp_connect(l.port);
	assert_int_equal(ending_of(late), END_RESET);
	close(late);
	put(client, "still", 5);
	expect(target, "still", 5);
	close(client);
	close(target);
	close(l.target);
	assert_int_equal(plane_refused(l.f, "no_route"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bytes_go_both_ways, plane_start, plane_stop),
		cmocka_unit_test_setup_teardown(the_server_may_speak_first, plane_start,
						plane_stop),
		cmocka_unit_test_setup_teardown(a_half_close_leaves_the_other_direction_open,
						plane_start, plane_stop),
		cmocka_unit_test_setup_teardown(a_reset_is_passed_on_as_a_reset, plane_start,
						plane_stop),
		cmocka_unit_test_setup_teardown(a_refused_target_is_a_reset_and_counted,
						plane_start, plane_stop),
		cmocka_unit_test_setup_teardown(clients_that_vanish_leave_nothing, plane_start,
						plane_stop),
		cmocka_unit_test_setup_teardown(a_listener_more_needs_no_other_table, plane_start,
						plane_stop),
		cmocka_unit_test_setup_teardown(nobody_at_the_port_of_another_table, plane_start,
						plane_stop),
	};

	return cmocka_run_group_tests_name("dataplane", tests, NULL, NULL);
}
