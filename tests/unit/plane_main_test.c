/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the main thread of a dataplane does with workers that are late, with a caller that it has no
 * descriptor for, and with questions about many connections. Slowness and refusals are planted:
 * this program has accept4() and calloc() under their names.
 */
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "tests/unit/keys_fixture.h"

#define LATE_MS	   300
#define MANY	   300
#define CROWD	   1500
#define REFUSALS   5
#define REFUSAL_MS 100			    /* until it tries again */
#define NAMED	   "{'domains':['a.test']}" /* who says nothing has no route */

static struct {
	atomic_int accepts, late, refused, no_memory;
} * planted;
static pid_t tests_pid;

static bool is_planted(atomic_int *left)
{
	return atomic_load(left) > 0 && atomic_fetch_sub(left, 1) > 0;
}

int accept4(int fd, struct sockaddr *from, socklen_t *len, int flags)
{
	socklen_t n = sizeof(int);
	int domain = 0;

	if (planted && getpid() != tests_pid) {
		atomic_fetch_add(&planted->accepts, 1);
		getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
		if (domain == AF_UNIX && is_planted(&planted->refused)) {
			errno = EMFILE;
			return -1;
		}
		if (domain == AF_INET && is_planted(&planted->late))
			clock_sleep_ms(LATE_MS);
	}
	return (int)syscall(SYS_accept4, fd, from, len, flags);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAVE_CALLOC false
#else
#define HAVE_CALLOC true

void *__libc_calloc(size_t n, size_t size); /* the C library's */

/* Of the main thread only. */
void *calloc(size_t n, size_t size)
{
	if (planted && getpid() != tests_pid && gettid() == getpid() &&
	    is_planted(&planted->no_memory))
		return NULL;
	return __libc_calloc(n, size);
}
#endif

static int begin(void **state)
{
	tests_pid = getpid();
	planted = mmap(NULL, sizeof(*planted), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	return planted == MAP_FAILED ? -1 : plane_start(state);
}

static int end(void **state)
{
	munmap(planted, sizeof(*planted));
	planted = NULL;
	return plane_stop(state);
}

/* ---- drain ---- */

/* It was accepting when the drain began: this connection is one of those that have their time. */
static void what_a_late_worker_accepts_is_drained_too(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client, server;

	keys_load(&l, "", keys_route(&l, "{}"), NULL);
	atomic_store(&planted->late, 1);
	client = tcp_connect(l.port);
	eventually(atomic_load(&planted->accepts) > 0);
	plane_send(l.f, json_pack("{s:s,s:i}", "type", "drain", "timeout", 60000), NULL, 0);
	server = tcp_accept(l.target[0]);
	put(client, "x", 1);
	expect(server, "x", 1);
	close(client);
	close(server);
	json_decref(plane_wait(l.f, "drained"));
	keys_end(&l);
}

/* ---- another controller ---- */

static struct sockaddr_un at = { .sun_family = AF_UNIX };

static int begin_with_handover(void **state)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc;

	snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/plane_main.%d", (int)getpid());
	unlink(at.sun_path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 4))
		return -1;
	plane_handover_fd = fd;
	rc = begin(state);
	plane_handover_fd = -1;
	close(fd);
	return rc;
}

static void a_caller_without_a_descriptor_waits_and_burns_nothing(void **state)
{
	struct keys_lab l = keys_lab(state);
	int64_t since;
	int fd;

	keys_load(&l, "", keys_route(&l, "{}"), NULL);
	atomic_store(&planted->refused, REFUSALS);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	since = clock_mono_ms();
	assert_return_code(connect(fd, (struct sockaddr *)&at, sizeof(at)), errno);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	close(l.f->wire.fd);
	wire_fini(&l.f->wire);
	wire_init(&l.f->wire, fd, WIRE_MAX_UP);
	json_decref(plane_wait(l.f, "handover"));
	assert_int_equal(atomic_load(&planted->refused), 0);
	assert_true(clock_mono_ms() - since >= (REFUSALS - 1) * REFUSAL_MS);
	plane_send(l.f, json_pack("{s:s,s:i}", "type", "drain", "timeout", 1), NULL, 0);
	json_decref(plane_wait(l.f, "drained"));
	unlink(at.sun_path);
	keys_end(&l);
}

/* ---- connections ---- */

/* The part of worker w behind that serial. New. */
static json_t *ask(const struct keys_lab *l, int w, json_int_t after, int route)
{
	plane_send(l->f,
		   json_pack("{s:s,s:i,s:s,s:i,s:I,s:i}", "type", "query", "seq", 1, "what",
			     "conns", "worker", w, "after", after, "route", route),
		   NULL, 0);
	return plane_wait(l->f, "answer");
}

static void list(const json_t *part, uint8_t seen[65536])
{
	const json_t *c;
	size_t i;

	json_array_foreach (json_object_get(part, "conns"), i, c)
		seen[json_integer_value(json_object_get(c, "clientPort")) & 0xffff]++;
}

static unsigned first_port(const json_t *part)
{
	const json_t *c = json_array_get(json_object_get(part, "conns"), 0);

	return (unsigned)json_integer_value(json_object_get(c, "clientPort"));
}

/* All parts behind that one, which is given back. */
static void list_rest(const struct keys_lab *l, int w, json_t *part, uint8_t seen[65536])
{
	while (json_is_true(json_object_get(part, "more"))) {
		json_int_t next = json_integer_value(json_object_get(part, "next"));

		json_decref(part);
		part = ask(l, w, next, 0);
		list(part, seen);
	}
	json_decref(part);
}

/* Between the first part and the second every second one ends, and the one that is next. */
static void each_connection_is_listed_once_while_others_end(void **state)
{
	static uint8_t seen[65536];
	struct keys_lab l = keys_lab(state);
	int client[MANY];
	unsigned next, left = MANY;
	json_t *part;

	keys_load(&l, "", keys_route(&l, NAMED), NULL);
	for (unsigned i = 0; i < MANY; i++)
		client[i] = tcp_connect(l.port);
	eventually(plane_process(l.f, "connections") == MANY);
	part = ask(&l, 0, 0, 0);
	assert_true(json_is_true(json_object_get(part, "more")));
	next = (unsigned)json_integer_value(json_object_get(part, "next"));
	json_decref(part);
	part = ask(&l, 0, next, 0);
	next = first_port(part);
	json_decref(part);
	part = ask(&l, 0, 0, 0);
	list(part, seen);
	for (unsigned i = 0; i < MANY; i++)
		if (i % 2 || port_at(client[i], false) == next) {
			close(client[i]);
			client[i] = -1;
			left--;
		}
	eventually(plane_process(l.f, "connections") == left);
	list_rest(&l, 0, part, seen);
	part = ask(&l, 1, 0, 0);
	list(part, seen);
	list_rest(&l, 1, part, seen);
	for (unsigned i = 0; i < MANY; i++)
		if (client[i] >= 0) {
			assert_int_equal(seen[port_at(client[i], false)], 1);
			close(client[i]);
		}
	keys_end(&l);
}

static void a_part_looks_at_so_many_and_no_more(void **state)
{
	struct keys_lab l = keys_lab(state);
	static int client[CROWD];
	json_int_t next = 0;
	json_t *part;
	unsigned parts = 1;

	keys_load(&l, "", keys_route(&l, NAMED), NULL);
	for (unsigned i = 0; i < CROWD; i++)
		client[i] = tcp_connect(l.port);
	eventually(plane_process(l.f, "connections") == CROWD);
	for (int w = 0; w < PLANE_WORKERS; w++, next = 0) {
		part = ask(&l, w, 0, 99); /* a route that nobody has */
		for (; json_is_true(json_object_get(part, "more")); parts++) {
			assert_true(json_integer_value(json_object_get(part, "next")) > next);
			next = json_integer_value(json_object_get(part, "next"));
			json_decref(part);
			part = ask(&l, w, next, 99);
		}
		assert_int_equal(json_array_size(json_object_get(part, "conns")), 0);
		json_decref(part);
	}
	assert_true(parts >= 1 + PLANE_WORKERS);
	for (unsigned i = 0; i < CROWD; i++)
		close(client[i]);
	keys_end(&l);
}

/* ---- memory ---- */

static void a_switch_without_memory_fails_and_the_next_one_does_not(void **state)
{
	struct keys_lab l = keys_lab(state);
	json_t *said;

	if (!HAVE_CALLOC) {
		keys_end(&l);
		skip();
	}
	keys_load(&l, "", keys_route(&l, "{}"), NULL);
	plane_send(l.f,
		   keys_parse("{'type':'load','generation':%u,'routes':[],'cells':[]}",
			      ++l.f->generation),
		   NULL, 0);
	plane_ack(l.f, "loaded");
	atomic_store(&planted->no_memory, 1);
	plane_send(l.f,
		   json_pack("{s:s,s:i,s:[]}", "type", "switch", "generation", (int)l.f->generation,
			     "open"),
		   NULL, 0);
	said = plane_wait(l.f, "failed|switched");
	assert_string_equal(json_string_value(json_object_get(said, "message")), "out of memory");
	json_decref(said);
	plane_switch(l.f);
	keys_refused(&l, tcp_connect(l.port), "no_route", 1);
	keys_end(&l);
}

/* ---- those without a route ---- */

static void a_bound_that_was_lowered_is_reached_soon(void **state)
{
	struct keys_lab l = keys_lab(state);
	int client[140];

	keys_load(&l, "'limits':{'undecided':200}", keys_route(&l, NAMED), NULL);
	for (unsigned i = 0; i < 100; i++)
		client[i] = tcp_connect(l.port);
	eventually(plane_process(l.f, "undecided") == 100);
	keys_load(&l, "'limits':{'undecided':10}", keys_route(&l, NAMED), NULL);
	for (unsigned i = 100; i < 140; i++)
		client[i] = tcp_connect(l.port);
	eventually(plane_process(l.f, "accepted") == 140 &&
		   plane_process(l.f, "undecided") <= 10 + PLANE_WORKERS);
	for (unsigned i = 0; i < 140; i++)
		close(client[i]);
	keys_end(&l);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		T(what_a_late_worker_accepts_is_drained_too),
		cmocka_unit_test_setup_teardown(
			a_caller_without_a_descriptor_waits_and_burns_nothing, begin_with_handover,
			end),
		T(each_connection_is_listed_once_while_others_end),
		T(a_part_looks_at_so_many_and_no_more),
		T(a_switch_without_memory_fails_and_the_next_one_does_not),
		T(a_bound_that_was_lowered_is_reached_soon),
	};

	struct rlimit most;

	getrlimit(RLIMIT_NOFILE, &most);
	most.rlim_cur = most.rlim_max;
	setrlimit(RLIMIT_NOFILE, &most);
	return cmocka_run_group_tests_name("plane_main", tests, NULL, NULL);
}
