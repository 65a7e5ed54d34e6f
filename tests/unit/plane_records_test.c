/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is left of connections: after every kind of ending one line in the access
 * log, with its reason, and no count of a connection that is not there any more.
 */
#include "tests/unit/plane_fixture.h"

#define LINES_MAX 64

struct records {
	struct plane_fixture *plane; /* first: what plane_stop() takes */
	int log;		     /* reading end */
	char text[65536];
	size_t len;
};

/* The fixture's own state is what `state` points to. */
static struct records now;

static int begin(void **state)
{
	int ends[2];

	now = (struct records){ 0 };
	assert_return_code(pipe2(ends, O_CLOEXEC), errno);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	plane_start_with(state, ends[1]);
	close(ends[1]);
	now.plane = *state;
	now.log = ends[0];
	return 0;
}

static int end(void **state)
{
	close(now.log);
	return plane_stop(state);
}

/* ---- the log ---- */

static unsigned log_lines(void)
{
	ssize_t n = read(now.log, now.text + now.len, sizeof(now.text) - 1 - now.len);
	unsigned lines = 0;

	now.len += n > 0 ? (size_t)n : 0;
	now.text[now.len] = '\0';
	for (size_t i = 0; i < now.len; i++)
		lines += now.text[i] == '\n';
	return lines;
}

/* The next line, and no other. */
static const char *log_next(void)
{
	static char line[8192];
	size_t n;

	eventually(log_lines() >= 1);
	n = strcspn(now.text, "\n");
	memcpy(line, now.text, n);
	line[n] = '\0';
	now.len -= n + 1;
	memmove(now.text, now.text + n + 1, now.len + 1);
	if (now.len)
		fail_msg("one line too many after \"%s\": %s", line, now.text);
	return line;
}

static void expect_word(const char *line, const char *key, const char *value)
{
	char want[256];

	snprintf(want, sizeof(want), " %s=%s ", key, value);
	if (!strstr(line, want))
		fail_msg("%s=%s is not in \"%s\"", key, value, line);
}

/* ---- the counters ---- */

static json_int_t active_of(const json_t *o)
{
	return json_integer_value(json_object_get(o, "active"));
}

/* All that says that somebody is there. */
static json_int_t all_active(void)
{
	json_t *a = plane_status(now.plane), *process = json_object_get(a, "process"), *r, *t;
	json_int_t n = json_integer_value(json_object_get(process, "connections")) +
		       json_integer_value(json_object_get(process, "undecided"));
	size_t i, k;

	json_array_foreach (json_object_get(a, "routes"), i, r) {
		n += active_of(r);
		json_array_foreach (json_object_get(r, "targets"), k, t)
			n += active_of(t);
	}
	json_decref(a);
	return n;
}

/* ---- the lab: one port for each route ---- */

enum {
	PLAIN,
	REFUSED,
	LOST,
	IDLE,
	OLD,
	BY_NAME,
	BLOCKED,
	HEADED,
	ONE,
	N_PORTS,
};

static uint16_t ports[N_PORTS], answers, mute;
static int target, mute_fd, fillers[8];

#define TARGET(port)                                                                         \
	"\"targets\":[{\"tag\":7,\"kind\":\"address\",\"host\":\"127.0.0.1\",\"port\":" port \
	",\"portKind\":\"fixed\",\"weight\":1,\"priority\":0}],\"balance\":\"round-robin\","
#define TIMES(connect, initial, idle, life)                                        \
	"\"connectTimeout\":" #connect ",\"initialDataTimeout\":" #initial         \
	",\"headTimeout\":300,\"serverFirstAfter\":0,\"inactivityTimeout\":" #idle \
	",\"maxLifetime\":" #life ",\"keepAlive\":true,\"keepAliveDelay\":10000,\"noDelay\":true}"
#define ROUTE(id, name, port, more, times) \
	"{\"id\":" #id ",\"name\":\"" name "\",\"tier\":\"relay\"," TARGET(port) more times

/* A queue that is full: what comes then is dropped without a word. */
static void open_mute(void)
{
	mute = 0;
	mute_fd = tcp_listen(&mute);
	listen(mute_fd, 0);
	for (int i = 0; i < 8; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET,
					 .sin_port = htons(mute),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		connect(fillers[i], (struct sockaddr *)&a, sizeof(a));
	}
}

static uint16_t closed_port(void)
{
	uint16_t port = 0;

	close(tcp_listen(&port));
	return port;
}

static void lab_load(const char *log)
{
	char cells[1024] = "";

	for (int i = 0; i < N_PORTS; i++)
		snprintf(cells + strlen(cells), sizeof(cells) - strlen(cells),
			 "%s{\"from\":%u,\"to\":%u,\"routes\":[%d]}", i ? "," : "", ports[i],
			 ports[i], i);
	plane_load(now.plane,
		   "{\"sets\":[[\"127.0.0.0/8\"]],\"trusted\":0,%s\"routes\":[" ROUTE(
			   1, "plain", "%u", "",
			   TIMES(3000,
				 0, 0, 0)) "," ROUTE(2, "refused", "%u", "",
						     TIMES(3000, 0,
							   0, 0)) "," ROUTE(3, "lost", "%u", "",
									    TIMES(200, 0, 0, 0)) "," ROUTE(4, "idle", "%u", "", TIMES(3000, 0, 100, 0)) "," ROUTE(5, "old", "%u", "", TIMES(3000, 0, 0, 100)) "," ROUTE(6, "by-name", "%u", "\"domains\":[\"a.test\"],\"passthrough\":true,", TIMES(3000, 100, 0, 0)) "," ROUTE(7,
																																								"blocked",
																																								"%u",
																																								"\"block\":0,", TIMES(3000, 0, 0, 0)) "," ROUTE(8,
																																														"headed",
																																														"%u",
																																														"\"acceptProxy\":true,",
																																														TIMES(3000, 100, 0, 0)) "," ROUTE(9,
																																																		  "one",
																																																		  "%u",
																																																		  "\"maxConnections\":1,",
																																																		  TIMES(3000,
																																																			0,
																																																			0,
																																																			0)) "],\"cells\":[%s]}",
		   log, answers, closed_port(), mute, answers, answers, answers, answers, answers,
		   answers, cells);
}

static void lab_open(const char *log)
{
	answers = 0;
	target = tcp_listen(&answers);
	open_mute();
	for (int i = 0; i < N_PORTS; i++)
		ports[i] = plane_listen(now.plane);
	lab_load(log);
}

static void lab_close(void)
{
	close(target);
	close(mute_fd);
	for (int i = 0; i < 8; i++)
		close(fillers[i]);
}

/* Through a route: bytes have gone both ways. */
static int pair_open(int route, int *server)
{
	int client = tcp_connect(ports[route]);

	*server = tcp_accept(target);
	put(client, "ask", 3);
	expect(*server, "ask", 3);
	put(*server, "tell!", 5);
	expect(client, "tell!", 5);
	return client;
}

/* ---- endings ---- */

static void client_closes(void)
{
	int server, client = pair_open(PLAIN, &server);

	close(client);
	assert_int_equal(ending_of(server), END_FIN);
	close(server);
}

static void target_closes(void)
{
	int server, client = pair_open(PLAIN, &server);

	close(server);
	assert_int_equal(ending_of(client), END_FIN);
	close(client);
}

static void client_resets(void)
{
	int server, client = pair_open(PLAIN, &server);

	reset(client);
	assert_int_equal(ending_of(server), END_RESET);
	close(server);
}

static void target_resets(void)
{
	int server, client = pair_open(PLAIN, &server);

	reset(server);
	assert_int_equal(ending_of(client), END_RESET);
	close(client);
}

static void comes_to(int route)
{
	int client = tcp_connect(ports[route]);

	assert_int_equal(ending_of(client), END_RESET);
	close(client);
}

static void target_refuses(void)
{
	comes_to(REFUSED);
}

static void target_is_lost(void)
{
	comes_to(LOST);
}

static void leaves_while_connecting(void)
{
	int client = tcp_connect(ports[LOST]);

	eventually(all_active());
	reset(client);
}

static void nothing_moves(void)
{
	int server, client = pair_open(IDLE, &server);

	assert_int_equal(ending_of(client), END_RESET);
	close(client);
	close(server);
}

static void lives_too_long(void)
{
	int server, client = pair_open(OLD, &server);

	assert_int_equal(ending_of(client), END_RESET);
	close(client);
	close(server);
}

static void says_nothing(void)
{
	comes_to(BY_NAME);
}

static void leaves_before_a_word(void)
{
	close(tcp_connect(ports[BY_NAME]));
}

static void says_what_is_no_hello(void)
{
	int client = tcp_connect(ports[BY_NAME]);

	put(client, "GET / HTTP/1.1\r\n\r\n", 18);
	assert_int_equal(ending_of(client), END_RESET);
	close(client);
}

static void says_a_broken_hello(void)
{
	static const char hello[] = { 22, 3, 1, 0, 5, 1, 0, 0, 1, 9 };
	int client = tcp_connect(ports[BY_NAME]);

	put(client, hello, sizeof(hello));
	assert_int_equal(ending_of(client), END_BYTES); /* an alert */
	close(client);
}

static void is_blocked(void)
{
	comes_to(BLOCKED);
}

static void says_a_broken_header(void)
{
	int client = tcp_connect(ports[HEADED]);

	put(client, "PROXY TCP4 what\r\n", 17);
	assert_int_equal(ending_of(client), END_RESET);
	close(client);
}

static void is_told_to_end(void)
{
	int server, client = pair_open(PLAIN, &server);

	plane_send(now.plane,
		   json_pack("{s:s,s:i,s:s}", "type", "end", "route", 1, "reason", "killed"), NULL,
		   0);
	assert_int_equal(ending_of(client), END_RESET);
	close(client);
	close(server);
}

static const struct {
	const char *name;
	void (*happens)(void);
	const char *route, *reason;
	bool counted, served; /* as a refusal; had a target */
} endings[] = {
	{ "client_closes", client_closes, "plain", "-", false, true },
	{ "target_closes", target_closes, "plain", "-", false, true },
	{ "client_resets", client_resets, "plain", "-", false, true },
	{ "target_resets", target_resets, "plain", "-", false, true },
	{ "target_refuses", target_refuses, "refused", "connect_failed", true, false },
	{ "target_is_lost", target_is_lost, "lost", "connect_timeout", true, false },
	{ "leaves_while_connecting", leaves_while_connecting, "lost", "closed_before_data", true,
	  false },
	{ "nothing_moves", nothing_moves, "idle", "inactivity", true, true },
	{ "lives_too_long", lives_too_long, "old", "max_lifetime", true, true },
	{ "says_nothing", says_nothing, "-", "initial_timeout", true, false },
	{ "leaves_before_a_word", leaves_before_a_word, "-", "closed_before_data", true, false },
	{ "says_what_is_no_hello", says_what_is_no_hello, "-", "no_route", true, false },
	{ "says_a_broken_hello", says_a_broken_hello, "-", "bad_hello", true, false },
	{ "is_blocked", is_blocked, "blocked", "route_ip_blocked", true, false },
	{ "says_a_broken_header", says_a_broken_header, "-", "bad_proxy_header", true, false },
	{ "is_told_to_end", is_told_to_end, "plain", "killed", true, true },
};

static json_int_t refused_in(const json_t *o, const char *reason)
{
	return json_integer_value(json_object_get(json_object_get(o, "refused"), reason));
}

/* Of all routes, and of who had none. */
static json_int_t refused_by(const char *reason)
{
	json_t *a = plane_status(now.plane), *r;
	json_int_t n = refused_in(json_object_get(a, "process"), reason);
	size_t i;

	json_array_foreach (json_object_get(a, "routes"), i, r)
		n += refused_in(r, reason);
	json_decref(a);
	return n;
}

static void each_ending_is_one_line_and_leaves_no_count(void **state)
{
	(void)state;
	lab_open("\"log\":{\"access\":true},");
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		const char *line, *reason = endings[i].reason;
		json_int_t before = endings[i].counted ? refused_by(reason) : 0;

		print_message("%s\n", endings[i].name);
		endings[i].happens();
		line = log_next();
		expect_word(line, "route", endings[i].route);
		expect_word(line, "reason", reason);
		expect_word(line, "up", endings[i].served ? "3" : "0");
		expect_word(line, "down", endings[i].served ? "5" : "0");
		if (strstr(line, " mover=-") ? endings[i].served : !endings[i].served)
			fail_msg("mover: %s", line);
		eventually(all_active() == 0);
		if (endings[i].counted)
			assert_int_equal(refused_by(reason), before + 1);
	}
	assert_int_equal(log_lines(), 0);
	lab_close();
}

static void many_of_each_ending_leave_no_count(void **state)
{
	/* Not the last: an "end" reaches the other worker when its turn comes. */
	static const size_t quick[] = { 0, 1, 2, 3, 4, 10, 11, 13, 14 };
	unsigned lines = 0, before;

	(void)state;
	lab_open("\"log\":{\"access\":true},");
	eventually((before = plane_descriptors(now.plane)) > 0);
	for (int round = 0; round < 20; round++)
		for (size_t i = 0; i < sizeof(quick) / sizeof(*quick); i++)
			endings[quick[i]].happens();
	eventually(all_active() == 0);
	eventually((lines = log_lines()) >= 180);
	assert_int_equal(lines, 180);
	eventually(plane_descriptors(now.plane) == before);
	lab_close();
}

static void a_limit_is_free_again_after_the_end(void **state)
{
	(void)state;
	lab_open("\"log\":{\"access\":true},");
	for (int i = 0; i < 3; i++) {
		int server, client = pair_open(ONE, &server);
		const char *line;

		comes_to(ONE);
		line = log_next();
		expect_word(line, "reason", "route_limit");
		expect_word(line, "route", "one");
		close(client);
		close(server);
		expect_word(log_next(), "reason", "-");
	}
	eventually(all_active() == 0);
	lab_close();
}

/* ---- what the log's keys do ---- */

static void a_line_names_both_ends_and_the_target(void **state)
{
	char text[64], peer[64];
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int server, client;
	const char *line;

	(void)state;
	lab_open("\"log\":{\"access\":true},");
	client = pair_open(PLAIN, &server);
	assert_return_code(getsockname(client, (struct sockaddr *)&a, &len), errno);
	snprintf(peer, sizeof(peer), "127.0.0.1:%u", ntohs(a.sin_port));
	close(client);
	close(server);
	line = log_next();
	expect_word(line, "client", peer);
	snprintf(text, sizeof(text), "127.0.0.1:%u", ports[PLAIN]);
	expect_word(line, "local", text);
	snprintf(text, sizeof(text), "127.0.0.1:%u", answers);
	expect_word(line, "target", text);
	/* That of a target which was tried in vain is told, too. */
	target_refuses();
	line = log_next();
	assert_non_null(strstr(line, " target=127.0.0.1:"));
	lab_close();
}

static void the_name_of_who_has_no_route_is_told(void **state)
{
	/* server_name: b.test */
	static const unsigned char hello[] = {
		22, 3, 1, 0, 62, 1, 0, 0, 58, 3, 3,   0,   0,	 0,   0,   0,	0,
		0,  0, 0, 0, 0,	 0, 0, 0, 0,  0, 0,   0,   0,	 0,   0,   0,	0,
		0,  0, 0, 0, 0,	 0, 0, 0, 0,  0, 0,   2,   0x13, 1,   1,   0,	0,
		15, 0, 0, 0, 11, 0, 9, 0, 0,  6, 'b', '.', 't',	 'e', 's', 't',
	};
	int client;

	(void)state;
	lab_open("\"log\":{\"access\":true},");
	client = tcp_connect(ports[BY_NAME]);
	put(client, hello, sizeof(hello));
	assert_int_equal(ending_of(client), END_BYTES); /* unrecognized_name */
	close(client);
	expect_word(log_next(), "sni", "b.test");
	lab_close();
}

static void json_is_json_and_off_is_off(void **state)
{
	json_t *line;

	(void)state;
	lab_open("\"log\":{\"access\":true,\"format\":\"json\"},");
	client_closes();
	line = json_loads(log_next(), 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "route")), "plain");
	assert_int_equal(json_integer_value(json_object_get(line, "down")), 5);
	json_decref(line);
	/* Switched off and on again by loads: a connection follows what is live when it ends. */
	lab_load("\"log\":{\"access\":false,\"format\":\"json\"},");
	client_closes();
	lab_load("");
	client_closes();
	eventually(all_active() == 0);
	lab_load("\"log\":{\"access\":true,\"format\":\"text\"},");
	target_refuses();
	expect_word(log_next(), "route", "refused");
	lab_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_ending_is_one_line_and_leaves_no_count, begin,
						end),
		cmocka_unit_test_setup_teardown(many_of_each_ending_leave_no_count, begin, end),
		cmocka_unit_test_setup_teardown(a_limit_is_free_again_after_the_end, begin, end),
		cmocka_unit_test_setup_teardown(a_line_names_both_ends_and_the_target, begin, end),
		cmocka_unit_test_setup_teardown(the_name_of_who_has_no_route_is_told, begin, end),
		cmocka_unit_test_setup_teardown(json_is_json_and_off_is_off, begin, end),
	};

	return cmocka_run_group_tests_name("plane_records", tests, NULL, NULL);
}
