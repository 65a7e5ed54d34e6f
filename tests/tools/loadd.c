// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loadd: the server that load and hold talk to through a gateway, one thread and one epoll.
 * load.h says what comes and what is answered.
 */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

#define RECORD_HEAD 5

static const char usage[] = "usage: loadd ADDR:PORT [-q BYTES] [-r BYTES]\n"
			    "Prints \"ready\" when it listens. SIGTERM ends it. Exit: 2 = usage, "
			    "or cannot listen.";

struct conn {
	int fd;
	char kind;	/* 0 until the first byte came */
	size_t got;	/* of the present question */
	size_t want;	/* how long it is, as far as is known */
	uint64_t total; /* bytes of the stream */
	bool bad;
	unsigned char head[RECORD_HEAD];
};

static union sockaddr_any target;
static unsigned long question = 64, answer = 64;
static volatile sig_atomic_t stop;
static int ep;
static char *pattern, *scratch;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void watch(struct conn *c, unsigned events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev))
		die_usage("loadd: epoll_ctl: %s", strerror(errno));
}

static bool is_stream(const struct conn *c)
{
	return c->kind == 's' || c->kind == 'v' || c->kind == 'd';
}

static void conn_end(struct conn *c)
{
	close(c->fd);
	free(c);
}

/* The number of a stream, after its FIN. */
static void conn_count(struct conn *c)
{
	uint64_t n = c->bad ? UINT64_MAX : c->total - 1; /* without the first byte */
	unsigned char out[8];

	for (int i = 0; i < 8; i++)
		out[i] = (unsigned char)(n >> (56 - 8 * i));
	if (send(c->fd, out, sizeof out, MSG_NOSIGNAL) != sizeof out)
		c->bad = true;
	conn_end(c);
}

static void conn_stream(struct conn *c, const char *data, size_t n)
{
	size_t at = c->total ? 0 : 1; /* the first byte is no part of the stream */
	uint64_t place = c->total ? c->total - 1 : 0;

	if (n > at && c->kind == 'v' && memcmp(data + at, pattern + place % PERIOD, n - at) != 0)
		c->bad = true;
	c->total += (uint64_t)n;
}

/* False = it is over. */
static bool conn_answer(struct conn *c)
{
	while (c->got >= c->want) {
		ssize_t n = send(c->fd, pattern, answer, MSG_NOSIGNAL);

		/* The buffer of a socket has room for one answer: the client has read the last. */
		if (n != (ssize_t)answer)
			return false;
		c->got -= c->want;
		if (c->kind != 'k')
			return false;
	}
	return true;
}

/* A record says in its head how long it is. */
static void conn_record(struct conn *c, const char *data, size_t n)
{
	for (size_t i = 0; i < n && c->got + i < RECORD_HEAD; i++)
		c->head[c->got + i] = (unsigned char)data[i];
	c->want = c->got + n < RECORD_HEAD ? SIZE_MAX : 0;
	if (!c->want)
		c->want = RECORD_HEAD + ((size_t)c->head[3] << 8 | c->head[4]);
}

/* False = it is over, and freed. */
static bool conn_bytes(struct conn *c, const char *data, size_t n)
{
	if (!c->kind)
		c->kind = data[0];
	if (is_stream(c)) {
		conn_stream(c, data, n);
		return true;
	}
	if (c->kind == KIND_HELLO)
		conn_record(c, data, n);
	c->got += n;
	if (c->kind == 'z' ? send(c->fd, "z", 1, MSG_NOSIGNAL) == 1 : conn_answer(c))
		return true;
	conn_end(c);
	return false;
}

static void conn_read(struct conn *c, unsigned events)
{
	bool ending = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);

	while (c->kind != 'z') {
		/* TCP's MSG_TRUNC throws the bytes away without a copy: tcp(7). */
		ssize_t n = recv(c->fd, scratch, c->kind == 'd' ? INT_MAX : CHUNK,
				 c->kind == 'd' ? MSG_TRUNC : 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n == 0 && is_stream(c)) {
			conn_count(c);
			return;
		}
		if (n <= 0) {
			conn_end(c);
			return;
		}
		if (!conn_bytes(c, scratch, (size_t)n))
			return;
		/* No edge comes for what is there already: a FIN behind the bytes. */
		if (n < CHUNK && !ending && !is_stream(c))
			return;
	}
	if (ending)
		conn_end(c);
}

static void accept_all(int listener)
{
	for (int i = 0; i < 64; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct conn *c = fd < 0 ? NULL : calloc(1, sizeof *c);

		if (!c)
			return;
		no_delay(fd);
		c->fd = fd;
		c->want = question;
		watch(c, EPOLLIN | EPOLLRDHUP | EPOLLET);
	}
}

static int serve(void)
{
	int on = 1, fd = socket(target.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event ev[256];
	struct conn listener = { .fd = fd };

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd < 0 || bind(fd, &target.sa, sockaddr_len(&target)) || listen(fd, 4096))
		die_usage("loadd: cannot listen: %s", strerror(errno));
	watch(&listener, EPOLLIN);
	puts("ready");
	fflush(stdout);
	while (!stop) {
		int n = epoll_wait(ep, ev, 256, 1000);

		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (c == &listener)
				accept_all(fd);
			else
				conn_read(c, ev[i].events);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	int o;

	while ((o = getopt(argc, argv, "q:r:h")) != -1) {
		if (o == 'q')
			question = number_arg(optarg, 1, MAX_MESSAGE);
		else if (o == 'r')
			answer = number_arg(optarg, 1, MAX_MESSAGE);
		else
			other_option(o, usage);
	}
	if (argc - optind != 1)
		die_usage("%s", usage);
	endpoint_arg(argv[optind], &target);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	files_limit();
	ep = epoll_create1(EPOLL_CLOEXEC);
	pattern = pattern_new();
	scratch = malloc(CHUNK);
	if (ep < 0 || !pattern || !scratch)
		die_usage("loadd: out of memory");
	return serve();
}
