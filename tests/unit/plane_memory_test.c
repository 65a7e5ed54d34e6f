/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole dataplane with a bound of memory that is far too small for what is done to it. */
#include "tests/unit/plane_fixture.h"

#include <sys/resource.h>

#define MEMORY	1048576
#define STALLED 200
#define STREAM	(8 << 20)

static const char route[] =
	"{\"id\":1,\"name\":\"r\",\"tier\":\"relay\",%s\"targets\":[{\"tag\":7,"
	"\"kind\":\"address\",\"host\":\"127.0.0.1\",\"port\":%u,"
	"\"portKind\":\"fixed\",\"weight\":1,\"priority\":0}],\"balance\":\"round-robin\","
	"\"connectTimeout\":3000,\"initialDataTimeout\":60000,\"headTimeout\":10000,"
	"\"serverFirstAfter\":1000,\"inactivityTimeout\":0,\"maxLifetime\":0,"
	"\"keepAlive\":true,\"keepAliveDelay\":10000,\"noDelay\":true}";

struct lab {
	struct plane_fixture *f;
	uint16_t port, target_port;
	int target;
};

static void bound_is(const struct lab *l, const char *match, unsigned long memory)
{
	char text[1024];

	snprintf(text, sizeof(text), route, match, l->target_port);
	plane_load(l->f,
		   "{\"limits\":{\"memory\":%lu},\"routes\":[%s],"
		   "\"cells\":[{\"from\":%u,\"to\":%u,\"routes\":[0]}]}",
		   memory, text, l->port, l->port);
}

static struct lab lab(void **state, const char *match, unsigned long memory)
{
	struct lab l = { .f = *state };
	const struct rlimit many = { 4096, 4096 };

	setrlimit(RLIMIT_NOFILE, &many);
	l.target = tcp_listen(&l.target_port);
	l.port = plane_listen(l.f);
	bound_is(&l, match, memory);
	return l;
}

static json_int_t process(struct lab *l, const char *key)
{
	json_t *a = plane_status(l->f);
	json_int_t n = json_integer_value(json_object_get(json_object_get(a, "process"), key));

	json_decref(a);
	return n;
}

/* As much as the sockets between take; nobody reads. */
static void pour(int fd)
{
	static char bytes[65536];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (unsigned i = 0; i < 50; i++)
		while (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
			i = 0;
}

static void one_works(const struct lab *l)
{
	static char bytes[65536], got[65536];
	int client = tcp_connect(l->port), target = tcp_accept(l->target);

	put(client, "question", 8);
	expect(target, "question", 8);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	for (size_t done = 0; done < STREAM; done += sizeof(bytes)) {
		put(target, bytes, sizeof(bytes));
		assert_int_equal(recv(client, got, sizeof(got), MSG_WAITALL), sizeof(got));
		assert_memory_equal(got, bytes, sizeof(got));
	}
	close(target);
	assert_int_equal(ending_of(client), END_FIN);
	close(client);
}

static void receivers_that_stall_take_nobody_down(void **state)
{
	static int client[STALLED], target[STALLED];
	struct lab l = lab(state, "", MEMORY);
	int before = tcp_connect(l.port), its_target = tcp_accept(l.target);

	for (unsigned i = 0; i < STALLED; i++) {
		client[i] = tcp_connect(l.port);
		target[i] = tcp_accept(l.target);
		pour(client[i]);
		assert_true(process(&l, "memory") <= MEMORY);
	}
	/* Enough to fill what directions may have: the test is about something. */
	assert_true(process(&l, "memory") > MEMORY / 2);
	put(before, "still", 5);
	expect(its_target, "still", 5);
	one_works(&l);
	assert_int_equal(plane_refused(l.f, "global_limit"), 0);
	/* Half of them go on reading, and get all there is; the others leave. */
	for (unsigned i = 0; i < STALLED; i++) {
		if (i % 2) {
			reset(client[i]);
			close(target[i]);
			continue;
		}
		fcntl(client[i], F_SETFL, 0);
		shutdown(client[i], SHUT_WR);
		while (ending_of(target[i]) == END_BYTES) {
			static char trash[1 << 20];

			assert_true(recv(target[i], trash, sizeof(trash), 0) >= 0);
		}
		close(target[i]);
		assert_int_equal(ending_of(client[i]), END_FIN);
		close(client[i]);
	}
	close(before);
	close(its_target);
	eventually(process(&l, "connections") == 0);
	assert_true(process(&l, "memory") <= MEMORY / 4); /* what idles */
	close(l.target);
}

#define NEW   200
#define SMALL 65536

static unsigned gone(const int *client)
{
	struct pollfd p = { .events = POLLIN };
	unsigned n = 0;

	for (unsigned i = 0; i < NEW; i++) {
		p.fd = client[i];
		/* A reset may be there before connect() has looked. */
		n += p.fd < 0 || poll(&p, 1, 0) == 1;
	}
	return n;
}

/* Who is refused knows it, and of the others each has its first bytes: `each` of memory. */
static bool is_settled(struct lab *l, const int *client, json_int_t each)
{
	json_int_t refused = plane_refused(l->f, "global_limit");

	return process(l, "memory") == (NEW - refused) * each &&
	       process(l, "undecided") == NEW - refused && gone(client) == refused;
}

static void new_ones_are_refused_where_nothing_is_left_for_them(void **state)
{
	static int client[NEW];
	static const char begun[] = "\x16\x03\x01\x20\x00\x01\x00\x1f\xfc\x03\x03";
	static const char tls[] = "\"domains\":[\"*\"],\"passthrough\":true,";
	struct lab l = lab(state, tls, SMALL);
	json_int_t each, refused;

	client[0] = tcp_connect(l.port);
	eventually(process(&l, "undecided") == 1);
	each = process(&l, "memory");
	put(client[0], begun, sizeof(begun) - 1);
	eventually(process(&l, "memory") > each);
	each = process(&l, "memory");
	for (unsigned i = 1; i < NEW; i++) {
		client[i] = tcp_connect(l.port);
		send(client[i], begun, sizeof(begun) - 1, MSG_NOSIGNAL);
	}
	eventually(is_settled(&l, client, each));
	refused = plane_refused(l.f, "global_limit");
	assert_in_range(NEW - refused, SMALL / 2 / each, SMALL / each);
	/* The bound is the next apply's, at once. */
	bound_is(&l, tls, 1);
	close(tcp_connect(l.port));
	eventually(plane_refused(l.f, "global_limit") == refused + 1);
	bound_is(&l, tls, MEMORY);
	close(tcp_connect(l.port));
	eventually(plane_refused(l.f, "closed_before_data") == 1);
	for (unsigned i = 0; i < NEW; i++)
		close(client[i]);
	eventually(process(&l, "connections") == 0);
	assert_int_equal(process(&l, "memory"), 0);
	close(l.target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(receivers_that_stall_take_nobody_down, plane_start,
						plane_stop),
		cmocka_unit_test_setup_teardown(new_ones_are_refused_where_nothing_is_left_for_them,
						plane_start, plane_stop),
	};

	return cmocka_run_group_tests_name("plane_memory", tests, NULL, NULL);
}
