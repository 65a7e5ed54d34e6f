/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole dataplane that the kernel refuses something for a while: descriptors, ports, watches.
 * What it lacks itself is held against no target, and it serves again when that is over. The
 * refusals are planted: this program has the system's calls under their names.
 */
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "tests/unit/hello_client.h"
#include "tests/unit/keys_fixture.h"

#define HOSTS "127.0.0.1 one.x.test\n127.0.0.2 two.x.test\n"

/* How often which call still fails, in the dataplane, and what it met; shared with it. */
static struct {
	atomic_int sockets, socket_error, watches;
	atomic_int connects, no_descriptor;
} * planted;
static pid_t tests_pid;

static bool is_dataplane(void)
{
	return planted && getpid() != tests_pid;
}

static bool is_planted(atomic_int *left)
{
	return is_dataplane() && atomic_load(left) > 0 && atomic_fetch_sub(left, 1) > 0;
}

int socket(int domain, int type, int protocol)
{
	int fd;

	if ((type & 0xf) == SOCK_STREAM && is_planted(&planted->sockets)) {
		errno = atomic_load(&planted->socket_error);
		return -1;
	}
	fd = (int)syscall(SYS_socket, domain, type, protocol);
	if (fd < 0 && errno == EMFILE && is_dataplane())
		atomic_fetch_add(&planted->no_descriptor, 1);
	return fd;
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
	if (is_dataplane())
		atomic_fetch_add(&planted->connects, 1);
	return (int)syscall(SYS_connect, fd, to, len);
}

/* Of the watches, that of a client: it asks for bytes and not for room. */
int epoll_ctl(int epoll, int op, int fd, struct epoll_event *ev)
{
	if (op == EPOLL_CTL_ADD && (ev->events & EPOLLRDHUP) && !(ev->events & EPOLLOUT) &&
	    is_planted(&planted->watches)) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll, op, fd, ev);
}

static int begin(void **state)
{
	tests_pid = getpid();
	planted = mmap(NULL, sizeof(*planted), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	return planted == MAP_FAILED ? -1 : plane_start_dns(state, HOSTS, NULL);
}

static int begin_with_few_descriptors(void **state)
{
	struct rlimit before, few;
	int rc;

	getrlimit(RLIMIT_NOFILE, &before);
	few = before;
	few.rlim_cur = 160;
	setrlimit(RLIMIT_NOFILE, &few);
	rc = begin(state);
	setrlimit(RLIMIT_NOFILE, &before);
	return rc;
}

static int end(void **state)
{
	munmap(planted, sizeof(*planted));
	planted = NULL;
	return plane_stop(state);
}

static void plant_sockets(int n, int error)
{
	atomic_store(&planted->socket_error, error);
	atomic_store(&planted->sockets, n);
}

/* ---- targets ---- */

static int listen_on_second_address(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1) };
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	assert_return_code(bind(fd, (struct sockaddr *)&a, sizeof(a)), errno);
	assert_return_code(listen(fd, 10), errno);
	return fd;
}

/* Where the dataplane says that its only connection goes. */
static char said_target(struct plane_fixture *f)
{
	char said = '?';

	for (int w = 0; w < PLANE_WORKERS; w++) {
		json_t *a;
		const char *to;

		plane_send(f,
			   json_pack("{s:s,s:i,s:s,s:i}", "type", "query", "seq", 1, "what",
				     "conns", "worker", w),
			   NULL, 0);
		a = plane_wait(f, "answer");
		to = json_string_value(
			json_object_get(json_array_get(json_object_get(a, "conns"), 0), "to"));
		said = to ? *to : said;
		json_decref(a);
	}
	return said;
}

/* The try that failed had asked for the name of one target; the next try is of the other one. */
static void each_target_has_its_own_addresses_after_a_shortage(void **state)
{
	struct keys_lab l = keys_lab(state);
	int second = listen_on_second_address(l.target_port[0]), went_to = 0;

	keys_load(&l, "",
		  keys_route(&l,
			     "{'domains':['x.test'],'targets':["
			     "{'tag':1,'kind':'template','host':'one.{domain}','port':%u,"
			     "'portKind':'fixed','weight':1,'priority':0},"
			     "{'tag':2,'kind':'template','host':'two.{domain}','port':%u,"
			     "'portKind':'fixed','weight':1,'priority':0}]}",
			     l.target_port[0], l.target_port[0]),
		  NULL);
	for (unsigned i = 0; i < 6; i++) {
		struct pollfd p[2] = { { .fd = l.target[0], .events = POLLIN },
				       { .fd = second, .events = POLLIN } };
		int client, server;

		plant_sockets(i % 3 == 0, EMFILE);
		client = hello_connect(l.port, "x.test", HELLO_TLS_1_2);
		assert_true(poll(p, 2, WAIT_MS) > 0);
		server = tcp_accept(p[0].revents ? l.target[0] : second);
		eventually(plane_count(l.f, "active") == 1);
		assert_int_equal(said_target(l.f), p[0].revents ? 'o' : 't');
		went_to |= p[0].revents ? 1 : 2;
		close(client);
		close(server);
		eventually(plane_count(l.f, "active") == 0);
	}
	assert_int_equal(went_to, 3);
	close(second);
	keys_end(&l);
}

static json_int_t target_number(struct plane_fixture *f, const char *key)
{
	json_t *a = plane_status(f);
	json_t *r = json_array_get(json_object_get(a, "routes"), 0);
	json_t *v = json_object_get(json_array_get(json_object_get(r, "targets"), 0), key);
	json_int_t n = json_is_true(v) ? 1 : json_integer_value(v);

	json_decref(a);
	return n;
}

/* Its target has been given little time so far, because the client was to be watched after that. */
static void a_client_that_cannot_be_watched_is_refused_and_no_target_is_to_blame(void **state)
{
	struct keys_lab l = keys_lab(state);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), filler[8];

	assert_return_code(bind(full, (struct sockaddr *)&a, len), errno);
	assert_return_code(listen(full, 0), errno);
	assert_return_code(getsockname(full, (struct sockaddr *)&a, &len), errno);
	for (unsigned i = 0; i < 8; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(filler[i], (struct sockaddr *)&a, len);
	}
	keys_load(&l, "", keys_route(&l, "{'targets':[" LOCAL(1, "") "]}", ntohs(a.sin_port)),
		  NULL);
	for (unsigned i = 1; i <= 4; i++) {
		atomic_store(&planted->watches, 1);
		keys_refused(&l, tcp_connect(l.port), "global_limit", i);
	}
	assert_int_equal(target_number(l.f, "failed"), 0);
	assert_int_equal(target_number(l.f, "healthy"), 1);
	for (unsigned i = 0; i < 8; i++)
		close(filler[i]);
	close(full);
	keys_end(&l);
}

/* ---- checks ---- */

#define CHECK "'healthCheck':{'interval':50,'timeout':1000,'unhealthy':1,'healthy':1%s}"

static void what_this_host_lacks_takes_no_target_down(void **state)
{
	static const int errors[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL };
	struct keys_lab l = keys_lab(state);

	keys_load(&l, "", keys_route(&l, "{" CHECK "}", ""), NULL);
	for (unsigned i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		plant_sockets(4, errors[i]);
		eventually(atomic_load(&planted->sockets) <= 0);
		assert_int_equal(target_number(l.f, "down"), 0);
	}
	/* And what is not ours still does. */
	plant_sockets(1, ECONNREFUSED);
	json_decref(plane_wait(l.f, "target"));
	eventually(target_number(l.f, "down") == 0);
	keys_end(&l);
}

static void a_full_queue_of_a_unix_socket_takes_no_target_down(void **state)
{
	struct keys_lab l = keys_lab(state);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fillers[4], before;

	snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/plane_shortage.%d", (int)getpid());
	unlink(a.sun_path);
	assert_return_code(bind(listener, (struct sockaddr *)&a, sizeof(a)), errno);
	assert_return_code(listen(listener, 0), errno);
	for (unsigned i = 0; i < 4; i++) {
		fillers[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fillers[i], (struct sockaddr *)&a, sizeof(a));
	}
	keys_load(&l, "",
		  keys_route(&l,
			     "{'targets':[{'tag':1,'kind':'unix','host':'%s','weight':1}]," CHECK
			     "}",
			     a.sun_path, ""),
		  NULL);
	before = atomic_load(&planted->connects);
	eventually(atomic_load(&planted->connects) >= before + 5);
	assert_int_equal(target_number(l.f, "down"), 0);
	unlink(a.sun_path);
	eventually(target_number(l.f, "down") == 1);
	for (unsigned i = 0; i < 4; i++)
		close(fillers[i]);
	close(listener);
	keys_end(&l);
}

/* Checks that hang have theirs, clients that want more than there is have the rest. */
static void checks_and_connections_have_enough_descriptors_together(void **state)
{
	struct keys_lab l = keys_lab(state);
	json_t *targets = json_array(), *route;
	int client[100];

	for (int i = 1; i <= 40; i++)
		json_array_append_new(targets, keys_parse(LOCAL(1, ""), l.target_port[0]));
	for (int i = 0; i < 40; i++)
		json_object_set_new(json_array_get(targets, (size_t)i), "tag", json_integer(i + 1));
	route = keys_route(&l, "{" CHECK "}", ",'path':'/'");
	json_object_set_new(route, "targets", targets);
	keys_load(&l, "", route, NULL);
	for (unsigned i = 0; i < 100; i++)
		client[i] = tcp_connect(l.port);
	eventually(plane_count(l.f, "active") >= 20);
	eventually(target_number(l.f, "down") == 1); /* a whole timeout of checks */
	assert_int_equal(atomic_load(&planted->no_descriptor), 0);
	for (unsigned i = 0; i < 100; i++)
		close(client[i]);
	keys_end(&l);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		T(each_target_has_its_own_addresses_after_a_shortage),
		T(a_client_that_cannot_be_watched_is_refused_and_no_target_is_to_blame),
		T(what_this_host_lacks_takes_no_target_down),
		T(a_full_queue_of_a_unix_socket_takes_no_target_down),
		cmocka_unit_test_setup_teardown(
			checks_and_connections_have_enough_descriptors_together,
			begin_with_few_descriptors, end),
	};

	return cmocka_run_group_tests_name("plane_shortage", tests, NULL, NULL);
}
