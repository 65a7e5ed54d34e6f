/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/wire.h"

struct pair {
	int a, b; /* a: raw bytes of the test; b: what `in` reads */
	struct wire out, in;
};

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static struct pair pair_new(uint32_t max_in)
{
	struct pair p;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	p.a = fds[0];
	p.b = fds[1];
	wire_init(&p.out, p.a, WIRE_MAX_UP);
	wire_init(&p.in, p.b, max_in);
	return p;
}

static void pair_free(struct pair *p)
{
	wire_fini(&p->out);
	wire_fini(&p->in);
	if (p->a >= 0)
		close(p->a);
	close(p->b);
}

static size_t frame(char *to, const char *text)
{
	const uint32_t n = htonl((uint32_t)strlen(text));

	memcpy(to, &n, 4);
	memcpy(to + 4, text, strlen(text));
	return 4 + strlen(text);
}

static void send_raw(const struct pair *p, const void *bytes, size_t n, const int *fds,
		     unsigned n_fds)
{
	char room[CMSG_SPACE(sizeof(int) * 253)] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)room;

	if (n_fds) {
		m.msg_control = room;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	assert_int_equal(sendmsg(p->a, &m, 0), n);
}

/* Which file is it? */
static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void expect_broken(struct pair *p, int code, const char *why)
{
	struct wire_message m;
	struct err e = { 0 };

	assert_int_equal(wire_receive(&p->in, &m, &e), code);
	assert_string_equal(e.msg, why);
	assert_int_equal(wire_receive(&p->in, &m, NULL), code); /* and it stays so */
	assert_int_equal(wire_send(&p->in, json_pack("{s:s}", "type", "x"), NULL, 0, false), code);
}

static void what_is_sent_arrives_with_its_descriptors(void **state)
{
	const unsigned before = open_fds();
	struct pair p = pair_new(WIRE_MAX_UP);
	struct wire_message m;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	wire_send(&p.out, json_pack("{s:s,s:i}", "type", "a", "n", 1), NULL, 0, false);
	wire_send(&p.out, json_pack("{s:s}", "type", "b"), pipes, 2, false);
	wire_send(&p.out, json_pack("{s:s}", "type", "c"), NULL, 0, false);
	wire_send(&p.out, json_pack("{s:s}", "type", "d"), pipes + 1, 1, false);
	assert_int_equal(wire_flush(&p.out), 0);
	assert_int_equal(wire_queued(&p.out), 0);

	assert_int_equal(wire_receive(&p.in, &m, NULL), 1);
	assert_string_equal(wire_message_type(&m), "a");
	assert_int_equal(json_integer_value(json_object_get(m.json, "n")), 1);
	assert_int_equal(m.n_fds, 0);
	wire_message_fini(&m);
	assert_int_equal(wire_receive(&p.in, &m, NULL), 1);
	assert_string_equal(wire_message_type(&m), "b");
	assert_int_equal(m.n_fds, 2);
	assert_int_equal(inode(m.fds[0]), inode(pipes[0]));
	assert_int_equal(fcntl(m.fds[1], F_GETFD), FD_CLOEXEC);
	wire_message_fini(&m);
	assert_int_equal(wire_receive(&p.in, &m, NULL), 1);
	assert_int_equal(m.n_fds, 0);
	wire_message_fini(&m);
	assert_int_equal(wire_receive(&p.in, &m, NULL), 1);
	assert_int_equal(m.n_fds, 1);
	wire_message_fini(&m);
	assert_int_equal(wire_receive(&p.in, &m, NULL), 0);
	close(pipes[0]);
	close(pipes[1]);
	pair_free(&p);
	assert_int_equal(open_fds(), before);
}

static void two_messages_arrive_whole_at_every_split(void **state)
{
	const char *texts[] = { "{\"type\":\"one\",\"x\":[1,2]}", "{\"type\":\"second\"}" };
	const unsigned before = open_fds();
	char bytes[256];
	size_t n = frame(bytes, texts[0]), first = n;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	n += frame(bytes + n, texts[1]);
	for (size_t a = 1; a < n; a++) {
		struct pair p = pair_new(WIRE_MAX_UP);
		struct wire_message m;
		unsigned got = 0;

		/* The second one's descriptor goes with its first byte, so it is always cut there.
		 */
		const size_t cuts[] = { 0, a < first ? a : first, a < first ? first : a, n };

		for (int i = 0; i < 3; i++) {
			if (cuts[i + 1] > cuts[i])
				send_raw(&p, bytes + cuts[i], cuts[i + 1] - cuts[i], &null,
					 cuts[i] == first);
			while (wire_receive(&p.in, &m, NULL) == 1) {
				assert_string_equal(wire_message_type(&m), got ? "second" : "one");
				assert_int_equal(m.n_fds, got);
				wire_message_fini(&m);
				got++;
			}
			assert_int_equal(p.in.broken, 0);
		}
		assert_int_equal(got, 2);
		pair_free(&p);
	}
	close(null);
	assert_int_equal(open_fds(), before);
}

static void single_bytes_make_a_message(void **state)
{
	struct pair p = pair_new(WIRE_MAX_UP);
	struct wire_message m;
	char bytes[64];
	const size_t n = frame(bytes, "{\"type\":\"slow\"}");

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(wire_receive(&p.in, &m, NULL), 0);
		send_raw(&p, bytes + i, 1, NULL, 0);
	}
	assert_int_equal(wire_receive(&p.in, &m, NULL), 1);
	assert_string_equal(wire_message_type(&m), "slow");
	wire_message_fini(&m);
	pair_free(&p);
}

static void large_messages_pass_a_small_socket_in_parts(void **state)
{
	const unsigned before = open_fds();
	struct pair p = pair_new(WIRE_MAX_DOWN);
	const size_t n = 4u << 20;
	char *text = malloc(n + 1);
	struct wire_message m;
	unsigned got = 0, waits = 0;
	int pipes[2];

	(void)state;
	assert_non_null(text);
	memset(text, 'x', n);
	text[n] = '\0';
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	for (int i = 0; i < 2; i++) /* owned: each is a copy of its own */
		assert_int_equal(wire_send(&p.out, json_pack("{s:s,s:s}", "type", "big", "t", text),
					   (int[]){ fcntl(pipes[0], F_DUPFD_CLOEXEC, 0) }, 1, true),
				 0);
	for (unsigned i = 0; got < 2 && i < 10000; i++) {
		const int rc = wire_flush(&p.out);

		waits += rc == -EAGAIN;
		assert_true(rc == 0 || rc == -EAGAIN);
		while (wire_receive(&p.in, &m, NULL) == 1) {
			assert_int_equal(m.n_fds, 1);
			assert_int_equal(inode(m.fds[0]), inode(pipes[0]));
			assert_string_equal(json_string_value(json_object_get(m.json, "t")), text);
			wire_message_fini(&m);
			got++;
		}
	}
	assert_int_equal(got, 2);
	assert_true(waits > 0);
	assert_true(p.out.out.cap < 4096 && p.in.in.cap < 4096); /* not kept */
	free(text);
	close(pipes[0]);
	close(pipes[1]);
	pair_free(&p);
	assert_int_equal(open_fds(), before);
}

static void a_length_out_of_bounds_is_refused(void **state)
{
	struct pair p = pair_new(100);
	uint32_t n = htonl(101);

	(void)state;
	send_raw(&p, &n, 4, NULL, 0);
	expect_broken(&p, -EPROTO, "a message of 101 bytes; it has 1 to 100");
	pair_free(&p);
	p = pair_new(100);
	n = 0;
	send_raw(&p, &n, 4, NULL, 0);
	expect_broken(&p, -EPROTO, "a message of 0 bytes; it has 1 to 100");
	pair_free(&p);
}

static void memory_follows_the_bytes_not_the_length(void **state)
{
	struct pair p = pair_new(WIRE_MAX_DOWN);
	const uint32_t n = htonl(WIRE_MAX_DOWN);
	struct wire_message m;

	(void)state;
	send_raw(&p, &n, 4, NULL, 0);
	send_raw(&p, "{", 1, NULL, 0);
	assert_int_equal(wire_receive(&p.in, &m, NULL), 0);
	assert_true(p.in.in.cap <= 256u << 10);
	pair_free(&p);
}

static void what_is_no_message_is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "{\"type\":\"x\"", "what came is no JSON (at byte 11)" },
		{ "{\"type\":\"x\"} ]", "what came is no JSON (at byte 14)" },
		{ "{\"type\":\"x\",\"type\":\"y\"}", "what came is no JSON (at byte 18)" },
		{ "{\"type\":\"\\u0000\"}", "what came is no JSON (at byte 16)" },
		{ "[\"type\"]", "what came is no message: an object with a \"type\"" },
		{ "{\"type\":1}", "what came is no message: an object with a \"type\"" },
		{ "{}", "what came is no message: an object with a \"type\"" },
		{ "\xff\xfe", "what came is no JSON (at byte 0)" },
	};
	char bytes[128];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct pair p = pair_new(WIRE_MAX_UP);

		send_raw(&p, bytes, frame(bytes, bad[i].text), NULL, 0);
		expect_broken(&p, -EPROTO, bad[i].why);
		pair_free(&p);
	}
}

#define LOST "descriptors were lost: more than 64 in a message, or none are free here"

static void too_many_descriptors_are_refused_and_closed(void **state)
{
	const unsigned before = open_fds();
	struct pair p = pair_new(WIRE_MAX_UP);
	char bytes[64];
	const size_t n = frame(bytes, "{\"type\":\"x\"}");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fds[253];

	(void)state;
	for (int i = 0; i < 253; i++)
		fds[i] = null;
	assert_int_equal(wire_send(&p.out, json_pack("{s:s}", "type", "x"), fds, 65, false),
			 -EMSGSIZE);
	assert_int_equal(wire_queued(&p.out), 0);
	send_raw(&p, bytes, n, fds, 65);
	expect_broken(&p, -EPROTO, LOST);
	pair_free(&p);
	p = pair_new(WIRE_MAX_UP);
	send_raw(&p, bytes, n, fds, 253);
	expect_broken(&p, -EPROTO, LOST);
	pair_free(&p);
	/* The bound itself is fine. */
	p = pair_new(WIRE_MAX_UP);
	send_raw(&p, bytes, n, fds, 64);
	struct wire_message m;
	assert_int_equal(wire_receive(&p.in, &m, NULL), 1);
	assert_int_equal(m.n_fds, 64);
	wire_message_fini(&m);
	pair_free(&p);
	close(null);
	assert_int_equal(open_fds(), before);
}

static void descriptors_lost_to_a_full_table_are_told(void **state)
{
	const unsigned before = open_fds();
	struct pair p = pair_new(WIRE_MAX_UP);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), top = dup(null);
	struct rlimit old, low;
	char bytes[64];

	(void)state;
	close(top);
	send_raw(&p, bytes, frame(bytes, "{\"type\":\"x\"}"), (int[]){ null, null, null }, 3);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)top + 1; /* one is free */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	expect_broken(&p, -EPROTO, LOST);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	pair_free(&p);
	close(null);
	assert_int_equal(open_fds(), before);
}

static void descriptors_inside_a_message_are_refused(void **state)
{
	const unsigned before = open_fds();
	char bytes[64];
	const size_t n = frame(bytes, "{\"type\":\"x\"}");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct wire_message m;

	(void)state;
	for (size_t at = 1; at < n; at++) {
		struct pair p = pair_new(WIRE_MAX_UP);

		send_raw(&p, bytes, at, NULL, 0);
		assert_int_equal(wire_receive(&p.in, &m, NULL), 0);
		send_raw(&p, bytes + at, n - at, &null, 1);
		expect_broken(&p, -EPROTO, "descriptors in the middle of a message");
		pair_free(&p);
	}
	close(null);
	assert_int_equal(open_fds(), before);
}

static void descriptors_of_half_a_message_are_closed(void **state)
{
	const unsigned before = open_fds();
	struct pair p = pair_new(WIRE_MAX_UP);
	char bytes[64];
	struct wire_message m;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	frame(bytes, "{\"type\":\"x\"}");
	send_raw(&p, bytes, 7, &null, 1);
	assert_int_equal(wire_receive(&p.in, &m, NULL), 0);
	assert_int_equal(p.in.n_in_fds, 1);
	pair_free(&p);
	/* Nor do those that were never sent stay open. */
	p = pair_new(WIRE_MAX_UP);
	assert_int_equal(wire_send(&p.out, json_pack("{s:s}", "type", "x"), &null, 1, true), 0);
	pair_free(&p);
	assert_int_equal(open_fds(), before);
	/* Nor where it cannot be queued at all. */
	p = pair_new(WIRE_MAX_UP);
	p.out.max_out = 3;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(wire_send(&p.out, json_pack("{s:s}", "type", "x"), &null, 1, true),
			 -EMSGSIZE);
	assert_int_equal(wire_send(&p.out, NULL, NULL, 0, false), -ENOMEM);
	assert_int_equal(wire_queued(&p.out), 0);
	pair_free(&p);
	assert_int_equal(open_fds(), before);
}

static void the_end_of_the_other_side_is_told(void **state)
{
	struct pair p = pair_new(WIRE_MAX_UP);
	char bytes[64];

	(void)state;
	close(p.a);
	p.a = -1;
	expect_broken(&p, -EPIPE, "the other side is gone");
	pair_free(&p);
	p = pair_new(WIRE_MAX_UP);
	frame(bytes, "{\"type\":\"x\"}");
	send_raw(&p, bytes, 6, NULL, 0);
	close(p.a);
	p.a = -1;
	expect_broken(&p, -EPIPE, "the other side is gone, in the middle of a message");
	pair_free(&p);
	/* Its writer learns it, too, and not by a signal. */
	p = pair_new(WIRE_MAX_UP);
	shutdown(p.b, SHUT_RDWR);
	assert_int_equal(wire_send(&p.out, json_pack("{s:s}", "type", "x"), NULL, 0, false), 0);
	assert_int_equal(wire_flush(&p.out), -EPIPE);
	pair_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_arrives_with_its_descriptors),
		cmocka_unit_test(two_messages_arrive_whole_at_every_split),
		cmocka_unit_test(single_bytes_make_a_message),
		cmocka_unit_test(large_messages_pass_a_small_socket_in_parts),
		cmocka_unit_test(a_length_out_of_bounds_is_refused),
		cmocka_unit_test(memory_follows_the_bytes_not_the_length),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(too_many_descriptors_are_refused_and_closed),
		cmocka_unit_test(descriptors_lost_to_a_full_table_are_told),
		cmocka_unit_test(descriptors_inside_a_message_are_refused),
		cmocka_unit_test(descriptors_of_half_a_message_are_closed),
		cmocka_unit_test(the_end_of_the_other_side_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
