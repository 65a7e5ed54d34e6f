/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last bytes of a side that is gone, and urgent ones, through a whole dataplane. It is stopped
 * while the ends do what it has to see at once.
 */
#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include "tests/unit/keys_fixture.h"

static const char bulk[120000];

static const char *socket_path(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/plane_ends.%d", (int)getpid());
	return path;
}

static int unix_listen(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", socket_path());
	unlink(a.sun_path);
	assert_return_code(bind(fd, (struct sockaddr *)&a, sizeof(a)), errno);
	assert_return_code(listen(fd, 10), errno);
	return fd;
}

static void stop(const struct keys_lab *l)
{
	int status;

	assert_int_equal(kill(l->f->pid, SIGSTOP), 0);
	assert_int_equal(waitpid(l->f->pid, &status, WUNTRACED), l->f->pid);
}

static void go_on(const struct keys_lab *l)
{
	assert_int_equal(kill(l->f->pid, SIGCONT), 0);
}

static int unsent(int fd)
{
	int n = 0;

	assert_int_equal(ioctl(fd, SIOCOUTQ, &n), 0);
	return n;
}

static void a_unix_target_that_answers_and_closes_is_heard(void **state)
{
	struct keys_lab l = keys_lab(state);
	int listener = unix_listen(), client, server;
	char rest;

	keys_load(&l, "",
		  keys_route(&l, "{'targets':[{'tag':1,'kind':'unix','host':'%s','weight':1}]}",
			     socket_path()),
		  NULL);
	for (unsigned i = 0; i < 20; i++) {
		client = tcp_connect(l.port);
		server = tcp_accept(listener);
		eventually(plane_count(l.f, "active") == 1);
		stop(&l);
		put(client, "more", 4); /* is heard of first */
		put(server, "answer", 6);
		close(server);
		go_on(&l);
		expect(client, "answer", 6);
		assert_int_equal(ending_of(client), END_FIN);
		eventually(plane_count(l.f, "active") == 0);
		assert_int_equal(recv(client, &rest, 1, 0), 0); /* and that is all */
		close(client);
	}
	close(listener);
	unlink(socket_path());
	keys_end(&l);
}

/* Its kernel resets the connection for what it has not read: by then the answer is on its way. */
static void an_answer_comes_before_the_reset(void **state)
{
	static const char answer[60000];
	struct keys_lab l = keys_lab(state);

	keys_load(&l, "", keys_route(&l, "{}"), NULL);
	for (unsigned i = 0; i < 20; i++) {
		int client = tcp_connect(l.port), server = tcp_accept(l.target[0]);

		put(client, "xx", 2);
		eventually(plane_count(l.f, "active") == 1);
		eventually(recv(server, (char[2]){ 0 }, 2, MSG_PEEK | MSG_DONTWAIT) == 2);
		stop(&l);
		put(server, answer, sizeof(answer));
		eventually(!unsent(server));
		close(server);
		put(client, "more", 4);
		go_on(&l);
		expect(client, answer, sizeof(answer));
		assert_int_equal(ending_of(client), END_RESET);
		close(client);
	}
	keys_end(&l);
}

static int connect_with_little_room(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int room = 8192, mss = 1400;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
	deadline(fd);
	assert_return_code(connect(fd, (struct sockaddr *)&a, sizeof(a)), errno);
	return fd;
}

/* A client with little room, whose target has closed with its first bytes unread: it is to get
 * all of `bulk`, most of which are in the dataplane's sockets, and the reset. */
static int client_of_one_that_is_gone(struct keys_lab *l)
{
	int client, server;

	keys_load(l, "", keys_route(l, "{}"), NULL);
	client = connect_with_little_room(l->port);
	server = tcp_accept(l->target[0]);
	put(client, "xx", 2);
	eventually(recv(server, (char[2]){ 0 }, 2, MSG_PEEK | MSG_DONTWAIT) == 2);
	put(server, bulk, sizeof(bulk));
	eventually(!unsent(server));
	close(server);
	return client;
}

static void a_slow_client_gets_all_before_the_reset(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client = client_of_one_that_is_gone(&l);

	clock_sleep_ms(300);
	expect(client, bulk, sizeof(bulk));
	assert_int_equal(ending_of(client), END_RESET);
	close(client);
	eventually(plane_count(l.f, "active") == 0);
	keys_end(&l);
}

/* A client that takes nothing does not keep what its target has left behind. */
static void who_takes_nothing_of_the_last_bytes_is_ended(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client = client_of_one_that_is_gone(&l);

	eventually(plane_count(l.f, "active") == 0);
	close(client);
	keys_end(&l);
}

/* ---- urgent bytes ---- */

static void put_urgent(int from, const char *before, const char *urgent, const char *behind)
{
	put(from, before, strlen(before));
	assert_int_equal(send(from, urgent, 1, MSG_OOB), 1);
	put(from, behind, strlen(behind));
}

static void urgent_bytes_are_passed_on_in_their_place(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client, server;

	keys_load(&l, "", keys_route(&l, "{}"), NULL);
	stop(&l);
	client = tcp_connect(l.port);
	put_urgent(client, "ab", "!", "cd"); /* before it is accepted */
	go_on(&l);
	server = tcp_accept(l.target[0]);
	expect(server, "ab!cd", 5);
	for (unsigned i = 0; i < 4; i++) {
		int from = i & 1 ? server : client, to = i & 1 ? client : server;

		stop(&l);
		put_urgent(from, i & 2 ? "" : "ab", "!", "cd");
		go_on(&l);
		expect(to, i & 2 ? "!cd" : "ab!cd", i & 2 ? 3 : 5);
	}
	close(client);
	close(server);
	keys_end(&l);
}

/* What chooses the route may stand behind the mark. */
static void urgent_bytes_among_the_first_are_passed_on(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client, server;

	keys_load(&l, "", keys_route(&l, "{'protocol':'tcp'}"), NULL);
	client = tcp_connect(l.port);
	put(client, "GE", 2);
	eventually(plane_process(l.f, "undecided") == 1);
	stop(&l);
	put_urgent(client, "T", "!", "\1\2");
	go_on(&l);
	server = tcp_accept(l.target[0]);
	expect(server, "GET!\1\2", 6);
	close(client);
	close(server);
	keys_end(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define PLANE_TEST(name) cmocka_unit_test_setup_teardown(name, plane_start, plane_stop)
		PLANE_TEST(a_unix_target_that_answers_and_closes_is_heard),
		PLANE_TEST(an_answer_comes_before_the_reset),
		PLANE_TEST(a_slow_client_gets_all_before_the_reset),
		PLANE_TEST(who_takes_nothing_of_the_last_bytes_is_ended),
		PLANE_TEST(urgent_bytes_are_passed_on_in_their_place),
		PLANE_TEST(urgent_bytes_among_the_first_are_passed_on),
	};

	return cmocka_run_group_tests_name("plane_ends", tests, NULL, NULL);
}
