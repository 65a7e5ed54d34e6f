/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole dataplane whose target is a template, and a name server that never answers. */
#include "dataplane/conn.h"
#include "dataplane/lookup.h"
#include "tests/unit/plane_fixture.h"

#define CLIENTS 300

static int name_server; /* takes questions, and keeps them */

static const char route[] =
	"{\"id\":1,\"name\":\"r\",\"tier\":\"relay\",\"targets\":[{\"tag\":7,"
	"\"kind\":\"template\",\"host\":\"%s\",\"port\":%u,"
	"\"portKind\":\"fixed\",\"weight\":1,\"priority\":0}],\"balance\":\"round-robin\","
	"\"connectTimeout\":%u,\"initialDataTimeout\":60000,\"headTimeout\":10000,"
	"\"serverFirstAfter\":1000,\"inactivityTimeout\":0,\"maxLifetime\":0,"
	"\"keepAlive\":true,\"keepAliveDelay\":10000,\"noDelay\":true}";

static int start(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	char text[32];

	name_server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_return_code(bind(name_server, (struct sockaddr *)&a, len), errno);
	assert_return_code(getsockname(name_server, (struct sockaddr *)&a, &len), errno);
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(a.sin_port));
	return plane_start_dns(state, "", text);
}

static int stop(void **state)
{
	close(name_server);
	return plane_stop(state);
}

static uint16_t plane_with(struct plane_fixture *f, const char *host, uint16_t target_port,
			   unsigned timeout_ms)
{
	uint16_t port = plane_listen(f);
	char text[1024];

	snprintf(text, sizeof(text), route, host, target_port, timeout_ms);
	plane_load(f, "{\"routes\":[%s],\"cells\":[{\"from\":%u,\"to\":%u,\"routes\":[0]}]}", text,
		   port, port);
	return port;
}

static json_int_t process(struct plane_fixture *f, const char *key)
{
	json_t *a = plane_status(f);
	json_int_t n = json_integer_value(json_object_get(json_object_get(a, "process"), key));

	json_decref(a);
	return n;
}

/* From an address of its own: a name of its own. */
static int connect_from(unsigned i, uint16_t port)
{
	struct sockaddr_in from = { .sin_family = AF_INET },
			   to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 * (i / 200 + 1) + i % 200);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_return_code(bind(fd, (struct sockaddr *)&from, sizeof(from)), errno);
	assert_return_code(connect(fd, (struct sockaddr *)&to, sizeof(to)), errno);
	deadline(fd);
	return fd;
}

static void an_address_needs_no_name_server(void **state)
{
	uint16_t target_port = 0;
	int target = tcp_listen(&target_port), client, server;
	uint16_t port = plane_with(*state, "{clientIp}", target_port, 3000);

	client = tcp_connect(port);
	server = tcp_accept(target);
	put(client, "question", 8);
	expect(server, "question", 8);
	close(client);
	close(server);
	close(target);
}

static void without_a_value_there_is_no_target(void **state)
{
	uint16_t port = plane_with(*state, "{domain}.test", 443, 3000);
	int client = tcp_connect(port);

	assert_int_equal(ending_of(client), END_RESET);
	assert_int_equal(plane_refused(*state, "no_target"), 1);
	close(client);
}

static void who_waits_for_a_name_has_a_deadline(void **state)
{
	uint16_t port = plane_with(*state, "c{clientIp}.test", 443, 300);
	int64_t start_ms = clock_mono_ms();
	int client = tcp_connect(port);

	assert_int_equal(ending_of(client), END_RESET);
	assert_in_range(clock_mono_ms() - start_ms, 300, 4000);
	assert_int_equal(plane_refused(*state, "connect_timeout"), 1);
	close(client);
}

/* Clients leave while they are asked for, and the process ends while others wait: what is freed
 * twice, or never, is what sanitizers are for. */
static void who_leaves_while_it_waits_leaves_nothing(void **state)
{
	static int client[CLIENTS];
	uint16_t port = plane_with(*state, "c{clientIp}.test", 443, 60000);

	for (unsigned i = 0; i < CLIENTS; i++)
		client[i] = connect_from(i, port);
	/* Some were too many to be asked at a time, and are gone. */
	eventually(process(*state, "lookupsRefused") == CLIENTS - 256);
	eventually(process(*state, "connections") == 256);
	assert_int_equal(process(*state, "lookupsAsked"), 256);
	assert_int_equal(plane_refused(*state, "connect_failed"), CLIENTS - 256);
	for (unsigned i = 0; i < 200; i++)
		reset(client[i]);
	eventually(process(*state, "connections") == 56);
	assert_int_equal(plane_refused(*state, "closed_before_data"), 200);
	for (unsigned i = 200; i < CLIENTS; i++)
		close(client[i]);
}

static void what_is_asked_for_is_in_the_budget(void **state)
{
	enum { ASKED = 100 };
	const size_t each = sizeof(struct conn) + sizeof(struct lookup_ask);
	uint16_t port = plane_with(*state, "c{clientIp}.test", 443, 60000);
	json_int_t before = process(*state, "memory");
	int client[ASKED];

	for (unsigned i = 0; i < ASKED; i++)
		client[i] = connect_from(i, port);
	eventually(process(*state, "lookupsAsked") == ASKED);
	assert_true(process(*state, "memory") - before >= (json_int_t)(ASKED * each));
	for (unsigned i = 0; i < ASKED; i++)
		reset(client[i]);
	eventually(process(*state, "memory") == before);
}

/* A bound that is reached by connections and by what they ask for: who comes then is refused, and
 * has left nothing. */
static void where_there_is_no_memory_nobody_is_asked_for(void **state)
{
	uint16_t port = plane_with(*state, "c{clientIp}.test", 443, 60000);
	/* New connections may have 7/8 of it. */
	const size_t room = sizeof(struct conn) / 7 * 8 + 64;
	char text[1024];
	int client;

	snprintf(text, sizeof(text), route, "c{clientIp}.test", 443, 60000);
	plane_load(*state,
		   "{\"limits\":{\"memory\":%zu},\"routes\":[%s],"
		   "\"cells\":[{\"from\":%u,\"to\":%u,\"routes\":[0]}]}",
		   room, text, port, port);
	client = tcp_connect(port);
	assert_int_equal(ending_of(client), END_RESET);
	close(client);
	assert_int_equal(process(*state, "lookupsAsked"), 0);
	eventually(process(*state, "memory") == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_address_needs_no_name_server, start, stop),
		cmocka_unit_test_setup_teardown(without_a_value_there_is_no_target, start, stop),
		cmocka_unit_test_setup_teardown(who_waits_for_a_name_has_a_deadline, start, stop),
		cmocka_unit_test_setup_teardown(who_leaves_while_it_waits_leaves_nothing, start,
						stop),
		cmocka_unit_test_setup_teardown(what_is_asked_for_is_in_the_budget, start, stop),
		cmocka_unit_test_setup_teardown(where_there_is_no_memory_nobody_is_asked_for, start,
						stop),
	};

	return cmocka_run_group_tests_name("plane_templates", tests, NULL, NULL);
}
