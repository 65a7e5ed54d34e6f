/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole dataplane process with everything at once: clients of every kind, tables and listeners
 * that change every few milliseconds, names and health that change, questions, ends, a drain. Under
 * ThreadSanitizer this is where its threads meet; without it, nothing may be wrong or left over.
 */
#include "tests/unit/plane_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#define CLIENTS	   4
#define SECONDS_MS 4000
#define N_PORTS	   4 /* by address, by name, by the first bytes, and one that comes and goes */

static struct {
	atomic_bool stop, stop_targets;
	atomic_uint made, served, ended, wrong;
	uint16_t ports[N_PORTS];
	uint16_t target, flapping;
	int listener;
	struct plane_fixture *f;
	unsigned round;
} t;

/* ---- targets ---- */

/* What comes goes back, until the end. */
static void echo(int epoll, int fd)
{
	char bytes[4096];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	if (n > 0 && send(fd, bytes, (size_t)n, MSG_NOSIGNAL) == n)
		return;
	if (n < 0 && errno == EAGAIN)
		return;
	epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
	close(fd);
}

static void *run_target(void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = t.listener };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	(void)arg;
	epoll_ctl(epoll, EPOLL_CTL_ADD, t.listener, &ev);
	while (!atomic_load(&t.stop_targets)) {
		if (epoll_wait(epoll, &ev, 1, 20) < 1)
			continue;
		if (ev.data.fd != t.listener) {
			echo(epoll, ev.data.fd);
			continue;
		}
		ev.data.fd = accept4(t.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		ev.events = EPOLLIN;
		if (ev.data.fd >= 0)
			epoll_ctl(epoll, EPOLL_CTL_ADD, ev.data.fd, &ev);
	}
	close(epoll);
	return NULL;
}

/* There for a while, and gone for a while: its health changes. */
static void *run_flapping(void *arg)
{
	uint16_t port = t.flapping; /* tcp_listen() writes it */

	(void)arg;
	while (!atomic_load(&t.stop_targets)) {
		int fd = tcp_listen(&port);

		for (int i = 0; i < 10 && !atomic_load(&t.stop_targets); i++)
			if (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 20) == 1)
				close(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
		close(fd);
		clock_sleep_ms(150);
	}
	return NULL;
}

/* ---- clients: cmocka's words are for the main thread ---- */

/* Whatever comes back was sent; that it ends early is right, too. */
static void exchange(int fd, size_t n)
{
	uint8_t out[2048], in[2048];
	size_t have = 0;

	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)('0' + i % 10);
	if (send(fd, out, n, MSG_NOSIGNAL) != (ssize_t)n)
		return;
	while (have < n) {
		ssize_t k = recv(fd, in + have, n - have, 0);

		if (k <= 0) {
			/* A time-out is nobody's right. */
			atomic_fetch_add(k < 0 && errno == EAGAIN ? &t.wrong : &t.ended, 1);
			return;
		}
		have += (size_t)k;
	}
	atomic_fetch_add(memcmp(in, out, n) ? &t.wrong : &t.served, 1);
}

static void one_client(unsigned kind, uint16_t port)
{
	int fd = tcp_connect(port);
	char byte;

	if (fd < 0)
		return;
	atomic_fetch_add(&t.made, 1);
	switch (kind % 5) {
	case 0:
		close(fd);
		return;
	case 1:
		exchange(fd, 1);
		reset(fd);
		return;
	case 2: /* a client that has said all it will say */
		send(fd, "GET", 3, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		while (recv(fd, &byte, 1, 0) > 0)
			;
		break;
	default:
		for (unsigned i = 0; i < kind % 4; i++)
			exchange(fd, 1 + kind % 2000);
	}
	close(fd);
}

static void *run_client(void *arg)
{
	unsigned kind = *(unsigned *)arg;

	while (!atomic_load(&t.stop)) {
		kind = kind * 1103515245u + 12345;
		one_client(kind >> 8, t.ports[(kind >> 4) % N_PORTS]);
	}
	return NULL;
}

/* ---- the controller ---- */

#define TIMES                                                                          \
	"\"connectTimeout\":2000,\"initialDataTimeout\":300,\"headTimeout\":300,"      \
	"\"serverFirstAfter\":20,\"maxLifetime\":0,\"keepAlive\":true,"                \
	"\"keepAliveDelay\":10000,\"noDelay\":true,\"balance\":\"least-connections\"," \
	"\"tier\":\"relay\""
#define CHECK "\"healthCheck\":{\"interval\":30,\"timeout\":200,\"unhealthy\":1,\"healthy\":1}"

/* Route 1 is another one each time, 2 has another name, 3 stays the same; the last port is
 * the one's, then the other's. */
static void load(void)
{
	unsigned n = t.round++;

	plane_load(t.f,
		   "{\"limits\":{\"connections\":5000,\"undecided\":20},\"routes\":["
		   "{\"id\":1,\"name\":\"a\",\"inactivityTimeout\":%u," TIMES "," CHECK
		   ",\"maxConnectionsPerIP\":50,\"targets\":["
		   "{\"tag\":1,\"kind\":\"address\",\"host\":\"127.0.0.1\",\"port\":%u},"
		   "{\"tag\":2,\"kind\":\"address\",\"host\":\"127.0.0.1\",\"port\":%u}]},"
		   "{\"id\":2,\"name\":\"b\",\"inactivityTimeout\":5000," TIMES ",\"targets\":["
		   "{\"tag\":3,\"kind\":\"name\",\"host\":\"n%u.test\",\"port\":%u}]},"
		   "{\"id\":3,\"name\":\"c\",\"inactivityTimeout\":5000," TIMES
		   ",\"domains\":[\"c.test\"],\"passthrough\":true,\"targets\":["
		   "{\"tag\":4,\"kind\":\"address\",\"host\":\"127.0.0.1\",\"port\":%u}]}],"
		   "\"cells\":[{\"from\":%u,\"to\":%u,\"routes\":[0]},{\"from\":%u,\"to\":%u,"
		   "\"routes\":[1]},{\"from\":%u,\"to\":%u,\"routes\":[2,0]},"
		   "{\"from\":%u,\"to\":%u,\"routes\":[%s]}]}",
		   4000 + n, t.target, t.flapping, n % 5, t.target, t.target, t.ports[0],
		   t.ports[0], t.ports[1], t.ports[1], t.ports[2], t.ports[2], t.ports[3],
		   t.ports[3], n % 2 ? "1" : "0");
}

static void say_names(void)
{
	char name[32];

	snprintf(name, sizeof(name), "n%u.test", t.round % 5);
	plane_send(t.f,
		   json_pack("{s:s,s:[{s:s,s:[s]}]}", "type", "names", "names", "name", name,
			     "addresses", "127.0.0.1"),
		   NULL, 0);
}

static void ask_conns(void)
{
	for (int worker = 0; worker < PLANE_WORKERS; worker++) {
		plane_send(t.f,
			   json_pack("{s:s,s:i,s:s,s:i}", "type", "query", "seq", 2, "what",
				     "conns", "worker", worker),
			   NULL, 0);
		json_decref(plane_wait(t.f, "answer"));
	}
}

static void end(unsigned route)
{
	json_t *m = json_pack("{s:s,s:s}", "type", "end", "reason", "killed");

	if (route)
		json_object_set_new(m, "route", json_integer(route));
	plane_send(t.f, m, NULL, 0);
}

static void ping(void)
{
	plane_send(t.f, json_pack("{s:s,s:i}", "type", "ping", "seq", 1), NULL, 0);
	json_decref(plane_wait(t.f, "pong"));
}

static void give_pipe(void)
{
	int fds[2];

	assert_return_code(pipe2(fds, O_NONBLOCK | O_CLOEXEC), errno);
	plane_send(t.f, json_pack("{s:s}", "type", "pipes"), fds, 2);
	close(fds[0]);
	close(fds[1]);
}

/* The last port by other sockets. */
static void move_listeners(void)
{
	uint32_t old[PLANE_WORKERS];
	json_t *m, *close_list = json_array(), *open = json_array();
	uint16_t port = t.ports[3];
	int fds[PLANE_WORKERS];
	json_t *list = json_array();

	for (int i = 0; i < PLANE_WORKERS; i++) {
		old[i] = t.f->next_id - PLANE_WORKERS + 1 + (uint32_t)i;
		fds[i] = tcp_listen(&port);
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
	}
	for (int i = 0; i < PLANE_WORKERS; i++) {
		json_array_append_new(list, json_pack("{s:i,s:i,s:i}", "id", (int)++t.f->next_id,
						      "port", port, "worker", i));
		json_array_append_new(open, json_integer(t.f->next_id));
		json_array_append_new(close_list, json_integer(old[i]));
	}
	plane_send(t.f, json_pack("{s:s,s:o}", "type", "listeners", "listeners", list), fds,
		   PLANE_WORKERS);
	for (int i = 0; i < PLANE_WORKERS; i++)
		close(fds[i]);
	m = json_loads("{\"type\":\"load\",\"routes\":[],\"cells\":[]}", 0, NULL);
	json_object_set_new(m, "generation", json_integer(++t.f->generation));
	plane_send(t.f, m, NULL, 0);
	plane_ack(t.f, "loaded");
	plane_send(t.f,
		   json_pack("{s:s,s:i,s:o,s:o}", "type", "switch", "generation",
			     (int)t.f->generation, "open", open, "close", close_list),
		   NULL, 0);
	plane_ack(t.f, "switched");
}

static void all_at_once(void)
{
	int64_t until_ms = clock_mono_ms() + SECONDS_MS;

	for (unsigned n = 0; clock_mono_ms() < until_ms; n++) {
		load();
		say_names();
		json_decref(plane_status(t.f));
		ask_conns();
		if (n % 4 == 1)
			end(n % 8 == 1 ? 2 : 0);
		if (n % 8 == 3)
			ping();
		if (n < 8)
			give_pipe();
		if (n % 16 == 9)
			move_listeners();
	}
}

static json_int_t active_of_all(void)
{
	json_t *a = plane_status(t.f), *r;
	json_int_t n =
		json_integer_value(json_object_get(json_object_get(a, "process"), "connections"));
	size_t i;

	json_array_foreach (json_object_get(a, "routes"), i, r)
		n += json_integer_value(json_object_get(r, "active"));
	json_decref(a);
	return n;
}

/* ---- the test ---- */

static void begin(void **state)
{
	t.f = *state;
	t.listener = tcp_listen(&t.target);
	close(tcp_listen(&t.flapping));
	for (unsigned i = 0; i < N_PORTS; i++)
		t.ports[i] = plane_listen(t.f);
	load();
}

static void everything_at_once_is_right_and_leaves_nothing(void **state)
{
	unsigned seeds[CLIENTS] = { 11, 222, 3333, 44444 };
	pthread_t clients[CLIENTS], target, flapping;

	begin(state);
	assert_int_equal(pthread_create(&target, NULL, run_target, NULL), 0);
	assert_int_equal(pthread_create(&flapping, NULL, run_flapping, NULL), 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&clients[i], NULL, run_client, &seeds[i]), 0);
	all_at_once();
	atomic_store(&t.stop, true);
	for (unsigned i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	eventually(active_of_all() == 0);
	atomic_store(&t.stop_targets, true);
	pthread_join(target, NULL);
	pthread_join(flapping, NULL);
	print_message("%u tables; %u connections: %u exchanges whole, %u ended\n", t.round,
		      atomic_load(&t.made), atomic_load(&t.served), atomic_load(&t.ended));
	assert_int_equal(atomic_load(&t.wrong), 0);
	assert_true(atomic_load(&t.served) > 100);
	assert_true(t.round > 20);
	close(t.listener);
}

static void a_drain_among_clients_ends_them_all(void **state)
{
	unsigned seeds[CLIENTS] = { 5, 66, 777, 8888 };
	pthread_t clients[CLIENTS], target;

	atomic_store(&t.stop, false);
	atomic_store(&t.stop_targets, false);
	begin(state);
	assert_int_equal(pthread_create(&target, NULL, run_target, NULL), 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&clients[i], NULL, run_client, &seeds[i]), 0);
	eventually(active_of_all() > 0);
	plane_send(t.f, json_pack("{s:s,s:i}", "type", "drain", "timeout", 300), NULL, 0);
	json_decref(plane_wait(t.f, "drained"));
	atomic_store(&t.stop, true);
	for (unsigned i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	atomic_store(&t.stop_targets, true);
	pthread_join(target, NULL);
	close(t.listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_at_once_is_right_and_leaves_nothing,
						plane_start, plane_stop),
		cmocka_unit_test_setup_teardown(a_drain_among_clients_ends_them_all, plane_start,
						plane_stop),
	};

	return cmocka_run_group_tests_name("dataplane_threads", tests, NULL, NULL);
}
