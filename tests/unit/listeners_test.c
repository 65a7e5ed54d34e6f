/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/service/listeners.h"
#include "tests/unit/netns.h"

static struct listen_at at(const char *address, uint16_t port)
{
	struct listen_at a = { .port = port };

	if (address)
		assert_true(addr_parse(address, &a.address));
	return a;
}

static int stage(struct listeners *l, const struct listen_at *v, size_t n)
{
	return listeners_stage(l, v, n, NULL);
}

static bool accepts(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	yes = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	close(fd);
	return yes;
}

static void each_worker_has_a_socket_and_keeps_it(void **state)
{
	const struct listen_at one[] = { at(NULL, 5001), at("127.0.0.1", 5002) };
	const struct listen_at two[] = { at("127.0.0.1", 5003), at(NULL, 5001), at(NULL, 5001) };
	struct listeners l;
	uint32_t ids[2];

	(void)state;
	ns_need();
	listeners_init(&l, 2);
	assert_int_equal(stage(&l, one, 2), 0);
	assert_int_equal(l.n, 4);
	assert_true(accepts(5001) && accepts(5002));
	listeners_commit(&l, NULL);
	ids[0] = l.v[0].id;
	ids[1] = l.v[1].id;
	assert_int_equal(l.v[0].at.port, 5001);
	assert_int_equal(stage(&l, two, 3), 0);
	assert_int_equal(l.n, 6);
	listeners_commit(&l, NULL);
	listeners_close_idle(&l);
	assert_int_equal(l.n, 4);
	assert_true(l.v[0].id == ids[0] && l.v[1].id == ids[1]);
	assert_true(accepts(5001) && accepts(5003) && !accepts(5002));
	listeners_fini(&l);
	assert_false(accepts(5001));
}

static void what_was_staged_goes_without_a_trace(void **state)
{
	const struct listen_at one = at(NULL, 5001), two = at(NULL, 5002);
	struct listeners l;

	(void)state;
	ns_need();
	listeners_init(&l, 3);
	assert_int_equal(stage(&l, &one, 1), 0);
	listeners_commit(&l, NULL);
	assert_int_equal(stage(&l, &two, 1), 0);
	assert_int_equal(l.n, 6);
	listeners_unstage(&l);
	assert_int_equal(l.n, 3);
	assert_true(accepts(5001) && !accepts(5002));
	assert_true(l.v[0].live && !l.v[0].staged);
	listeners_fini(&l);
}

static int somebody(int family, const char *address, uint16_t port)
{
	const struct listen_at a = at(address, port);
	socklen_t len;
	struct sockaddr_storage sa = addr_to_sockaddr(&a.address, port, &len);
	const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	/* The worst case: bind() alone would let us share it. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void a_port_that_somebody_shares_is_not_shared(void **state)
{
	const struct listen_at v[] = { at(NULL, 5001), at(NULL, 5009) };
	struct listeners l;
	struct err e = { 0 };
	int fd;

	(void)state;
	ns_need();
	fd = somebody(AF_INET, "127.0.0.1", 5009);
	listeners_init(&l, 2);
	assert_int_equal(listeners_stage(&l, v, 2, &e), -EADDRINUSE);
	assert_int_equal(l.n, 0);
	assert_non_null(strstr(e.msg, "cannot listen on *:5009: "));
	assert_non_null(strstr(e.msg, " listens on 127.0.0.1:5009"));
	assert_false(accepts(5001));
	/* Another address of the same port is free. */
	assert_int_equal(stage(&l, (struct listen_at[]){ at("127.0.0.2", 5009) }, 1), 0);
	/* And so is what we have ourselves: all addresses, and one of them. */
	close(fd);
	listeners_commit(&l, NULL);
	assert_int_equal(stage(&l, (struct listen_at[]){ at("127.0.0.2", 5009), at(NULL, 5009) },
			       2),
			 0);
	listeners_fini(&l);
}

static void an_address_that_is_not_there_yet_is_bound(void **state)
{
	const struct listen_at one = at("192.0.2.77", 5001);
	struct listeners l;

	(void)state;
	ns_need();
	listeners_init(&l, 1);
	assert_int_equal(stage(&l, &one, 1), 0);
	listeners_fini(&l);
}

static void a_socket_from_before_is_taken_only_for_what_it_is(void **state)
{
	const struct listen_at here = at("127.0.0.1", 5004), there = at("127.0.0.1", 5005);
	struct listeners l;
	struct err e = { 0 };
	int fd, again;
	uint32_t id;

	(void)state;
	ns_need();
	listeners_init(&l, 2);
	fd = somebody(AF_INET, "127.0.0.1", 5004);
	assert_int_equal(listeners_adopt(&l, fcntl(fd, F_DUPFD_CLOEXEC, 3), &there, false, &e),
			 -EINVAL);
	assert_string_equal(e.msg, "no socket that listens on 127.0.0.1:5005");
	assert_int_equal(listeners_adopt(&l, open("/dev/null", O_RDWR | O_CLOEXEC), &here, false,
					 NULL),
			 -EINVAL);
	again = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	assert_int_equal(listeners_adopt(&l, fd, &here, true, NULL), 0);
	assert_int_equal(listeners_adopt(&l, again, &here, false, NULL), -EEXIST);
	assert_int_equal(l.n, 1);
	id = l.v[0].id;
	/* The second worker gets a new one, the first keeps that one. */
	assert_int_equal(stage(&l, &here, 1), 0);
	assert_int_equal(l.n, 2);
	assert_true(l.v[0].id == id && l.v[1].slot == 1);
	listeners_fini(&l);
}

/* A connection to 127.0.0.1 that is still there, or -1. */
static int client(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0,
			 EINPROGRESS);
	return fd;
}

static unsigned queued(const struct listeners *l, bool live)
{
	unsigned n = 0;
	int fd;

	for (size_t i = 0; i < l->n; i++)
		while (l->v[i].live == live &&
		       (fd = accept4(l->v[i].fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
			n++;
			close(fd);
		}
	return n;
}

static void what_is_staged_takes_nothing_from_what_is_live(void **state)
{
	const struct listen_at all = at(NULL, 5001), one = at("127.0.0.1", 5001);
	struct listeners l;
	int fds[40];

	(void)state;
	ns_need();
	listeners_init(&l, 1);
	assert_int_equal(stage(&l, &all, 1), 0);
	listeners_commit(&l, NULL);
	/* A narrower place, and a group that is about to have more members. */
	l.workers = 4;
	assert_int_equal(stage(&l, (struct listen_at[]){ all, one }, 2), 0);
	assert_int_equal(l.n, 8);
	for (unsigned i = 0; i < 40; i++)
		fds[i] = client(5001);
	assert_int_equal(queued(&l, false), 0);
	assert_int_equal(queued(&l, true), 40);
	listeners_commit(&l, NULL);
	assert_int_equal(listeners_missing(&l), 0);
	for (unsigned i = 0; i < 40; i++) {
		close(fds[i]);
		fds[i] = client(5001);
	}
	for (size_t i = 0; i < l.n; i++)
		l.v[i].live = l.v[i].at.address.family == ADDR_NONE;
	assert_int_equal(queued(&l, false), 40);
	for (unsigned i = 0; i < 40; i++)
		close(fds[i]);
	listeners_fini(&l);
}

/* Nothing of ours is there yet, but the kernel may give us the port in the next moment. */
static void where_nothing_is_live_what_is_staged_listens(void **state)
{
	const struct listen_at all = at(NULL, 5001), other = at("127.0.0.2", 5001);
	const struct listen_at one = at("127.0.0.1", 5001);
	struct listeners l;

	(void)state;
	ns_need();
	listeners_init(&l, 2);
	assert_int_equal(stage(&l, &other, 1), 0);
	listeners_commit(&l, NULL);
	assert_int_equal(stage(&l, (struct listen_at[]){ other, one }, 2), 0);
	assert_true(accepts(5001));
	assert_int_equal(stage(&l, (struct listen_at[]){ other, all }, 2), 0);
	assert_false(accepts(5001));
	listeners_fini(&l);
}

static unsigned said;
static char what[480];

static void hear(const struct err *e)
{
	said++;
	snprintf(what, sizeof(what), "%s", e->msg);
}

static void one_that_cannot_be_had_is_missing_until_it_can(void **state)
{
	const struct listen_at v[] = { at(NULL, 5009), at(NULL, 5001), at(NULL, 5002) };
	struct listeners l;
	int fd;

	(void)state;
	ns_need();
	fd = somebody(AF_INET, "127.0.0.1", 5001);
	listeners_init(&l, 2);
	said = 0;
	assert_int_equal(listeners_stage_some(&l, v, 3, hear, NULL), 0);
	listeners_commit(&l, hear);
	assert_int_equal(said, 1);
	assert_non_null(strstr(what, "cannot listen on *:5001: "));
	assert_string_equal(l.why, what);
	assert_int_equal(listeners_missing(&l), 1);
	assert_true(accepts(5002) && accepts(5009) && !listeners_serve(&l, &v[1]));
	close(fd);
	assert_int_equal(listeners_stage_some(&l, l.wanted, l.n_wanted, hear, NULL), 0);
	listeners_commit(&l, hear);
	assert_int_equal(listeners_missing(&l), 0);
	assert_int_equal(said, 1);
	assert_true(accepts(5001));
	listeners_fini(&l);
}

static int faster(const char *address, uint16_t port)
{
	const struct listen_at a = at(address, port);
	socklen_t len;
	struct sockaddr_storage sa = addr_to_sockaddr(&a.address, port, &len);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 0 }, sizeof(int));
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void who_was_faster_is_named_at_the_commit(void **state)
{
	const struct listen_at all = at("127.0.0.1", 5001), one = at(NULL, 5001);
	struct listeners l;
	int fd;

	(void)state;
	ns_need();
	listeners_init(&l, 2);
	assert_int_equal(stage(&l, &all, 1), 0);
	listeners_commit(&l, NULL);
	assert_int_equal(stage(&l, &one, 1), 0);
	fd = faster("127.0.0.3", 5001);
	said = 0;
	listeners_commit(&l, hear);
	assert_int_equal(said, 1);
	assert_non_null(strstr(what, "cannot listen on *:5001: "));
	assert_non_null(strstr(what, " listens on 127.0.0.3:5001"));
	assert_int_equal(listeners_missing(&l), 1);
	listeners_close_idle(&l);
	assert_int_equal(l.n, 0);
	close(fd);
	listeners_fini(&l);
}

static void names_of_the_store_lead_back(void **state)
{
	static const char *const bad[] = { "",		 "x",		"any",
					   "any/0/1",	 "any/65536/1", "10.0.0/1/1",
					   "any/443/1x", "any/443" };
	const struct listen_at v[] = { at(NULL, 443), at("10.0.0.1", 1), at("fd00::1:2", 65535) };
	char name[LISTENER_NAME_MAX];
	struct listen_at back;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_null(strchr(listen_at_name(&v[i], 7, name), ':'));
		assert_true(listen_at_name_parse(name, &back));
		assert_int_equal(addr_cmp(&back.address, &v[i].address), 0);
		assert_int_equal(back.port, v[i].port);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(listen_at_name_parse(bad[i], &back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_worker_has_a_socket_and_keeps_it),
		cmocka_unit_test(what_was_staged_goes_without_a_trace),
		cmocka_unit_test(a_port_that_somebody_shares_is_not_shared),
		cmocka_unit_test(an_address_that_is_not_there_yet_is_bound),
		cmocka_unit_test(a_socket_from_before_is_taken_only_for_what_it_is),
		cmocka_unit_test(what_is_staged_takes_nothing_from_what_is_live),
		cmocka_unit_test(where_nothing_is_live_what_is_staged_listens),
		cmocka_unit_test(one_that_cannot_be_had_is_missing_until_it_can),
		cmocka_unit_test(who_was_faster_is_named_at_the_commit),
		cmocka_unit_test(names_of_the_store_lead_back),
	};
	int failed;

	ns_enter();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	ns_leave();
	return failed;
}
