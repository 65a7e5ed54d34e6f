// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Health checks on a loop against listeners of this test on the same loop: how a target fails, how
 * often it has to, and what a new table changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "dataplane/health.h"
#include "dataplane/health_answer.h"
#include "tests/unit/loop_fixture.h"

#define PATIENCE_MS 10000
#define N(v)	    (sizeof(v) / sizeof(*(v)))

/* What a table is here: one route and its targets. */
struct world {
	struct route_table table;
	struct route route, *routes[1];
	struct route_health rule;
	struct route_target *targets;
	struct target_state *states;
};

static struct loop *loop;
static struct health *health;
static struct {
	unsigned calls, ups;
	uint32_t route, tag;
	char why[128];
} said;
static struct addr resolved[4];
static unsigned n_resolved;

/* Not those of route.c: this test makes its tables itself, and wants to see the references. */
struct route_table *route_table_ref(struct route_table *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void route_table_unref(struct route_table *t)
{
	atomic_fetch_sub(&t->refs, 1);
}

/* ---- targets ---- */

struct conn {
	struct watch watch;
	struct timer timer;
	struct target *target;
	size_t at; /* of the answer */
	struct conn *next;
};

struct target {
	struct watch listener;
	const char *answer;  /* NULL: none */
	unsigned trickle_ms; /* between its bytes; 0: at once */
	bool hangs_up;
	unsigned accepted;
	char request[1024];
	size_t n_request;
	struct conn *conns;
	uint16_t port;
};

/* Those that are open: static ones, so that a test that failed can be cleaned up after. */
static struct target *targets[8];
static unsigned n_targets;

static void conn_close(struct conn *c)
{
	int fd = c->watch.fd;

	watch_remove(loop, &c->watch);
	timer_cancel(loop, &c->timer);
	if (fd >= 0)
		close(fd);
}

static void trickle(struct timer *t)
{
	struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, timer));

	if (c->target->answer[c->at] &&
	    send(c->watch.fd, c->target->answer + c->at++, 1, MSG_NOSIGNAL) == 1)
		timer_set(loop, t, loop_now_ms(loop) + c->target->trickle_ms, trickle);
	else
		conn_close(c);
}

static void conn_ready(struct watch *w, uint32_t events)
{
	struct conn *c = (struct conn *)((char *)w - offsetof(struct conn, watch));
	struct target *t = c->target;
	char bytes[1024];
	ssize_t n = recv(w->fd, bytes, sizeof(bytes), 0);

	(void)events;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	memcpy(t->request, bytes, (size_t)n);
	t->n_request = (size_t)n;
	if (t->answer && t->trickle_ms) {
		trickle(&c->timer);
	} else if (t->answer) {
		send(w->fd, t->answer, strlen(t->answer), MSG_NOSIGNAL);
		conn_close(c);
	}
}

static void target_ready(struct watch *w, uint32_t events)
{
	struct target *t = (struct target *)((char *)w - offsetof(struct target, listener));
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c;

	(void)events;
	if (fd < 0)
		return;
	t->accepted++;
	if (t->hangs_up) {
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	c->target = t;
	c->next = t->conns;
	t->conns = c;
	assert_int_equal(watch_add(loop, &c->watch, fd, EPOLLIN, conn_ready), 0);
}

/* Bound, and not listening: refuses. */
static void target_bind(struct target *t)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*t = (struct target){ .listener = { .fd = -1 } };
	targets[n_targets++] = t;
	assert_int_equal(bind(fd, (void *)&at, len), 0);
	assert_int_equal(getsockname(fd, (void *)&at, &len), 0);
	t->port = ntohs(at.sin_port);
	assert_int_equal(watch_add(loop, &t->listener, fd, 0, target_ready), 0);
}

static void target_listen(struct target *t)
{
	assert_int_equal(listen(t->listener.fd, 4096), 0);
	assert_int_equal(watch_change(loop, &t->listener, EPOLLIN), 0);
}

static void target_open(struct target *t, const char *answer)
{
	target_bind(t);
	t->answer = answer;
	target_listen(t);
}

static void target_close(struct target *t)
{
	int fd = t->listener.fd;
	struct conn *next;

	for (unsigned i = 0; i < n_targets; i++)
		if (targets[i] == t)
			targets[i--] = targets[--n_targets];
	watch_remove(loop, &t->listener);
	if (fd >= 0)
		close(fd);
	for (struct conn *c = t->conns; c; c = next) {
		next = c->next;
		conn_close(c);
		free(c);
	}
}

/* ---- tables ---- */

static void world_init(struct world *w, unsigned n, const char *path)
{
	*w = (struct world){ .table = { .n_routes = 1 }, .route = { .id = 7, .n_targets = n } };
	w->rule = (struct route_health){ .interval_ms = 20,
					 .timeout_ms = 500,
					 .unhealthy_threshold = 1,
					 .healthy_threshold = 1,
					 .path = path };
	w->targets = calloc(n, sizeof(*w->targets));
	w->states = calloc(n, sizeof(*w->states));
	w->routes[0] = &w->route;
	w->table.routes = w->routes;
	w->route.targets = w->targets;
	w->route.health = &w->rule;
	for (unsigned i = 0; i < n; i++) {
		w->targets[i] = (struct route_target){ .tag = 100 + i, .state = &w->states[i] };
		w->targets[i].host = "127.0.0.1";
		assert_true(addr_parse("127.0.0.1", &w->targets[i].addr));
	}
}

static void world_fini(struct world *w)
{
	assert_int_equal(w->table.refs, 0);
	free(w->targets);
	free(w->states);
}

static void changed(void *arg, uint32_t route, uint32_t tag, bool up, const char *why)
{
	(void)arg;
	said.calls++;
	said.ups += up;
	said.route = route;
	said.tag = tag;
	snprintf(said.why, sizeof(said.why), "%s", why);
}

static unsigned resolve(void *arg, const char *name, struct addr *out, unsigned cap)
{
	(void)arg;
	assert_string_equal(name, "web.test");
	assert_true(n_resolved <= cap);
	memcpy(out, resolved, n_resolved * sizeof(*out));
	return n_resolved;
}

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	memset(&said, 0, sizeof(said));
	loop = loop_new(&e);
	health = health_new(loop, changed, resolve, NULL, &e);
	return loop && health ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	health_free(health);
	health = NULL;
	while (n_targets)
		target_close(targets[0]);
	loop_free(loop);
	return 0;
}

static void follow(struct world *w)
{
	assert_int_equal(health_follow(health, &w->table), 0);
}

static void unfollow(struct world *w)
{
	struct route_table none = { 0 };

	assert_int_equal(health_follow(health, &none), 0);
	health_free(health);
	health = NULL;
	world_fini(w);
}

#define eventually(claim)                                                                   \
	do {                                                                                \
		int64_t until_ms = clock_mono_ms() + PATIENCE_MS;                           \
		while (!(claim) && clock_mono_ms() < until_ms)                              \
			loop_run_ms(loop, 2);                                               \
		if (!(claim))                                                               \
			fail_msg("never: %s (%u calls, %s)", #claim, said.calls, said.why); \
	} while (0)

/* ---- claims ---- */

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

static void how_a_target_fails_is_said(void **state)
{
	static const struct {
		const char *path, *answer;
		unsigned trickle_ms;
		bool hangs_up;
		const char *why; /* NULL: it does not fail */
	} cases[] = {
		{ NULL, NULL, 0, false, NULL },
		{ NULL, NULL, 0, true, NULL },
		{ "/x", ok, 0, false, NULL },
		{ "/x", ok, 2, false, NULL },
		{ "/x", "HTTP/1.0 302 Found\n\n", 0, false, NULL },
		{ "/x", "HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 204 x\r\n", 0, false, NULL },
		{ "/x", NULL, 0, false, "answer: timed out" },
		{ "/x", "HTTP/1.1 200 OK but it takes too long to say so\r\n", 10, false,
		  "answer: timed out" },
		{ "/x", "HTTP/1.1 500 No\r\n\r\n", 0, false, "answer: status 500" },
		{ "/x", "HTTP/1.1 404 No\r\n\r\n", 0, false, "answer: status 404" },
		{ "/x", "HTTP/1.1 200", 0, false, "answer: closed before its status" },
		{ "/x", "SSH-2.0-x\r\n", 0, false, "answer: not HTTP" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		static struct target t;
		static struct world w;

		setup(NULL);
		target_open(&t, cases[i].answer);
		t.trickle_ms = cases[i].trickle_ms;
		t.hangs_up = cases[i].hangs_up;
		world_init(&w, 1, cases[i].path);
		w.targets[0].port = t.port;
		w.rule.timeout_ms = cases[i].why ? 150 : 5000;
		follow(&w);
		if (cases[i].why) {
			eventually(said.calls);
			if (strcmp(said.why, cases[i].why))
				fail_msg("%zu: %s", i, said.why);
			assert_true(w.states[0].down);
		} else {
			eventually(t.accepted >= 4);
			if (said.calls)
				fail_msg("%zu: %s", i, said.why);
		}
		unfollow(&w);
		target_close(&t);
		teardown(NULL);
	}
}

static void who_refuses_goes_down_and_comes_back(void **state)
{
	static struct target t;
	static struct world w;

	(void)state;
	target_bind(&t);
	t.answer = ok;
	world_init(&w, 1, "/");
	w.targets[0].port = t.port;
	follow(&w);
	eventually(said.calls == 1);
	assert_string_equal(said.why, "connect: Connection refused");
	assert_int_equal(said.route, 7);
	assert_int_equal(said.tag, 100);
	assert_true(w.states[0].down);
	target_listen(&t);
	eventually(said.calls == 2);
	assert_int_equal(said.ups, 1);
	assert_string_equal(said.why, "answer: status 200");
	assert_false(w.states[0].down);
	t.answer = "HTTP/1.1 503 No\r\n";
	eventually(said.calls == 3);
	assert_true(w.states[0].down);
	unfollow(&w);
	target_close(&t);
}

static void thresholds_are_exact(void **state)
{
	static struct target t;
	static struct world w;
	unsigned before;

	(void)state;
	target_open(&t, "HTTP/1.1 500 No\r\n");
	world_init(&w, 1, "/");
	w.targets[0].port = t.port;
	w.rule.unhealthy_threshold = 3;
	w.rule.healthy_threshold = 4;
	follow(&w);
	eventually(t.accepted == 2);
	loop_run_ms(loop, 8);
	t.answer = ok; /* in between: counts start again */
	eventually(t.accepted == 3);
	loop_run_ms(loop, 8);
	assert_int_equal(said.calls, 0);
	before = t.accepted;
	t.answer = "HTTP/1.1 500 No\r\n";
	eventually(said.calls == 1);
	assert_int_equal(t.accepted, before + 3);
	before = t.accepted;
	t.answer = ok;
	eventually(said.calls == 2);
	assert_int_equal(t.accepted, before + 4);
	unfollow(&w);
	target_close(&t);
}

static void the_request_names_host_and_path(void **state)
{
	static const char v2[16] = "\r\n\r\n\0\r\nQUIT\n\x20";
	static struct target t;
	static struct world w;
	char want[128];

	(void)state;
	target_open(&t, ok);
	world_init(&w, 1, "/health?x=1");
	w.targets[0].port = t.port;
	follow(&w);
	eventually(t.n_request);
	t.request[t.n_request] = '\0';
	snprintf(want, sizeof(want), "GET /health?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n", t.port);
	assert_memory_equal(t.request, want, strlen(want));
	assert_non_null(strstr(t.request, "\r\nConnection: close\r\n"));
	assert_string_equal(t.request + t.n_request - 4, "\r\n\r\n");
	w.targets[0].send_proxy = 1;
	eventually(!memcmp(t.request, "PROXY UNKNOWN\r\nGET /", 20));
	w.targets[0].send_proxy = 2;
	eventually(!memcmp(t.request, v2, 16));
	assert_memory_equal(t.request + 16, want, strlen(want));
	assert_int_equal(said.calls, 0);
	unfollow(&w);
	target_close(&t);
}

static void unix_sockets_are_checked(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	static struct target t;
	static struct world w;

	(void)state;
	t = (struct target){ .answer = ok, .listener = { .fd = -1 } };
	targets[n_targets++] = &t;
	snprintf(at.sun_path, sizeof(at.sun_path), "/tmp/health_test.%d", getpid());
	world_init(&w, 1, "/");
	w.targets[0].kind = TARGET_UNIX;
	w.targets[0].host = at.sun_path;
	follow(&w);
	eventually(said.calls == 1);
	assert_string_equal(said.why, "connect: No such file or directory");
	assert_int_equal(bind(fd, (void *)&at, sizeof(at)), 0);
	assert_int_equal(watch_add(loop, &t.listener, fd, 0, target_ready), 0);
	target_listen(&t);
	eventually(said.ups == 1);
	unfollow(&w);
	target_close(&t);
	unlink(at.sun_path);
}

static void a_name_is_up_when_one_of_its_addresses_is(void **state)
{
	static struct target t;
	static struct world w;

	(void)state;
	target_open(&t, ok);
	world_init(&w, 1, "/");
	w.targets[0].port = t.port;
	w.targets[0].kind = TARGET_NAME;
	w.targets[0].host = "web.test";
	n_resolved = 0;
	follow(&w);
	eventually(said.calls == 1);
	assert_string_equal(said.why, "its name has no address");
	assert_true(addr_parse("127.0.0.9", &resolved[0])); /* nobody listens there */
	assert_true(addr_parse("127.0.0.8", &resolved[1]));
	assert_true(addr_parse("127.0.0.1", &resolved[2]));
	n_resolved = 3;
	eventually(said.calls == 2 && said.ups == 1);
	n_resolved = 2;
	eventually(said.calls == 3);
	assert_string_equal(said.why, "connect: Connection refused");
	unfollow(&w);
	target_close(&t);
}

static void ports_that_follow_the_client_need_one_port(void **state)
{
	static struct {
		uint16_t from, to;
	} one, range = { 1, 2 };
	static struct target t;
	static struct world w;

	(void)state;
	target_open(&t, ok);
	one.from = one.to = t.port;
	world_init(&w, 6, NULL);
	w.targets[0].port_kind = TARGET_PORT_PRESERVE; /* not known: no check */
	w.targets[1].port_kind = TARGET_PORT_OFFSET;
	w.targets[1].port = 1;
	w.targets[2].port_kind = TARGET_PORT_PRESERVE;
	w.targets[2].ports = (void *)&range;
	w.targets[2].n_ports = 1;
	w.targets[3].kind = TARGET_TEMPLATE;
	w.targets[3].port = 1;
	w.targets[4].port_kind = TARGET_PORT_PRESERVE;
	w.targets[4].ports = (void *)&one;
	w.targets[4].n_ports = 1;
	w.targets[5].port_kind = TARGET_PORT_OFFSET;
	w.targets[5].port = 0;
	w.targets[5].ports = (void *)&one;
	w.targets[5].n_ports = 1;
	follow(&w);
	eventually(t.accepted >= 10);
	assert_int_equal(said.calls, 0);
	w.rule.port = (uint16_t)(t.port - 1); /* now 0 and 2 have one, and nobody listens there */
	follow(&w);
	eventually(w.states[0].down && w.states[2].down);
	loop_run_ms(loop, 60);
	assert_false(w.states[1].down); /* one further: somebody does */
	assert_false(w.states[3].down || w.states[4].down || w.states[5].down);
	unfollow(&w);
	target_close(&t);
}

static void who_left_is_forgotten_and_who_stays_goes_on(void **state)
{
	static struct target dead, silent;
	static struct world a, b;

	(void)state;
	target_bind(&dead);
	target_open(&silent, NULL);
	world_init(&a, 2, "/");
	world_init(&b, 1, "/");
	a.rule.unhealthy_threshold = b.rule.unhealthy_threshold = 4;
	a.rule.timeout_ms = b.rule.timeout_ms = 60000;
	a.rule.interval_ms = b.rule.interval_ms = 40;
	a.targets[0].port = b.targets[0].port = dead.port;
	a.targets[1].port = silent.port;
	b.targets[0].state = &a.states[0];
	follow(&a);
	eventually(silent.accepted == 1); /* its check is in flight */
	loop_run_ms(loop, 90);
	a.states[1].down = true;
	for (unsigned i = 0; i < 20; i++) { /* an apply every 20 ms does not start anew */
		follow(i % 2 ? &a : &b);
		loop_run_ms(loop, 20);
	}
	assert_int_equal(said.calls, 1);
	assert_true(a.states[0].down);
	follow(&b);
	assert_false(a.states[1].down);
	loop_run_ms(loop, 50);
	assert_int_equal(said.calls, 1);
	follow(&a);
	unfollow(&a);
	world_fini(&b);
	target_close(&dead);
	target_close(&silent);
}

static void thousands_are_checked_and_spread(void **state)
{
	static struct target t, dead;
	static struct world w;
	unsigned first;

	(void)state;
	target_open(&t, ok);
	target_bind(&dead);
	world_init(&w, 2000, "/");
	w.rule.interval_ms = 2000;
	w.rule.timeout_ms = 5000;
	for (unsigned i = 0; i < 2000; i++)
		w.targets[i].port = i % 2 ? t.port : dead.port;
	follow(&w);
	loop_run_ms(loop, 100);
	first = t.accepted + said.calls;
	assert_in_range(first, 1, 1000); /* a twentieth of them is 100 */
	eventually(said.calls == 1000 && t.accepted >= 1000);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(w.states[i].down, i % 2 == 0);
	unfollow(&w);
	target_close(&t);
	target_close(&dead);
}

static unsigned fds_open(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void so_many_run_at_a_time(void **state)
{
	static struct target t;
	static struct world w;
	unsigned before, most = 0;

	(void)state;
	target_bind(&t);
	listen(t.listener.fd, 4096); /* the kernel accepts, nobody answers */
	world_init(&w, 1200, "/");
	w.rule.interval_ms = 1;
	w.rule.timeout_ms = 300;
	for (unsigned i = 0; i < 1200; i++)
		w.targets[i].port = t.port;
	before = fds_open();
	follow(&w);
	while (said.calls < 1200) {
		unsigned now = fds_open() - before;

		most = now > most ? now : most;
		loop_run_ms(loop, 20);
	}
	assert_in_range(most, HEALTH_RUNNING_MAX / 2, HEALTH_RUNNING_MAX);
	assert_string_equal(said.why, "answer: timed out");
	unfollow(&w);
	target_close(&t);
}

static void free_from_changed(void *arg, uint32_t route, uint32_t tag, bool up, const char *why)
{
	changed(arg, route, tag, up, why);
	health_free(health);
	health = NULL;
	loop_stop(loop);
}

static void changed_may_free_everything(void **state)
{
	static struct target t;
	static struct world w;
	struct err e = { 0 };

	(void)state;
	health_free(health);
	health = health_new(loop, free_from_changed, resolve, NULL, &e);
	target_bind(&t);
	world_init(&w, 3, NULL);
	for (unsigned i = 0; i < 3; i++)
		w.targets[i].port = t.port;
	follow(&w);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(said.calls, 1);
	world_fini(&w);
	target_close(&t);
}

static void answers_are_the_same_however_they_are_cut(void **state)
{
	static const struct {
		const char *bytes;
		int status;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\n", 200 },
		{ "HTTP/1.1 200\r\n", 200 },
		{ "HTTP/1.0 599\n", 599 },
		{ "HTTP/1.1 100 Continue\r\nA: HTTP/1.1 200\r\n\r\nHTTP/1.1 503 x\r\n", 503 },
		{ "HTTP/1.1 200 OK", 0 },
		{ "HTTP/1.1 100 x\r\n", 0 },
		{ "HTTP/1.1 2000\r\n", -EBADMSG },
		{ "HTTP/1.1 099 x\r\n", -EBADMSG },
		{ "HTTP/1.1 600 x\r\n", -EBADMSG },
		{ "HTTP/1.1 20\r\n", -EBADMSG },
		{ "HTTP/2.0 200 OK\r\n", -EBADMSG },
		{ "HTTP/1.1  200\r\n", -EBADMSG },
		{ "http/1.1 200 OK\r\n", -EBADMSG },
		{ "\r\nHTTP/1.1 200 OK\r\n", -EBADMSG },
		{ "X", -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		size_t n = strlen(cases[i].bytes);

		for (size_t cut = 0; cut <= n; cut++) {
			struct health_answer a = { 0 };
			int rc = health_answer_feed(&a, cases[i].bytes, cut);

			if (!rc)
				rc = health_answer_feed(&a, cases[i].bytes + cut, n - cut);
			if (rc != cases[i].status)
				fail_msg("%zu, cut at %zu: %d", i, cut, rc);
		}
	}
}

static void answers_without_end_are_bounded(void **state)
{
	char bytes[HEALTH_ANSWER_MAX + 1];
	struct health_answer a = { 0 };

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, "HTTP/1.1 200 ", 13);
	assert_int_equal(health_answer_feed(&a, bytes, HEALTH_ANSWER_MAX), 0);
	assert_int_equal(health_answer_feed(&a, "\n", 1), -EMSGSIZE);
	a = (struct health_answer){ 0 };
	bytes[HEALTH_ANSWER_MAX - 1] = '\n';
	assert_int_equal(health_answer_feed(&a, bytes, sizeof(bytes)), 200);
}

#define claim(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct rlimit fds = { 4096, 4096 };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(how_a_target_fails_is_said), /* sets up for each case */
		claim(who_refuses_goes_down_and_comes_back),
		claim(thresholds_are_exact),
		claim(the_request_names_host_and_path),
		claim(unix_sockets_are_checked),
		claim(a_name_is_up_when_one_of_its_addresses_is),
		claim(ports_that_follow_the_client_need_one_port),
		claim(who_left_is_forgotten_and_who_stays_goes_on),
		claim(thousands_are_checked_and_spread),
		claim(so_many_run_at_a_time),
		claim(changed_may_free_everything),
		cmocka_unit_test(answers_are_the_same_however_they_are_cut),
		cmocka_unit_test(answers_without_end_are_bounded),
	};

	setrlimit(RLIMIT_NOFILE, &fds);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
