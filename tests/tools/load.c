// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * load: the load generator of scripts/bench, one thread and one epoll. Its server is loadd; load.h
 * says what the two say to each other.
 */
#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "hello.h"
#include "load.h"

#define HIST_US	   1000000
#define LOST_AFTER 5000 /* ms without a byte */

static const char usage[] =
	"usage: load conn|keep|bulk|check ADDR:PORT -d SECONDS [-c CONNECTIONS] [-q BYTES] [-r "
	"BYTES]\n"
	"            [-s SOURCE-ADDR] [--hello NAME] [--file]\n"
	"One line of JSON at the end: n (connections, requests; for bulk and check streams that "
	"ended\n"
	"well), failed, what failed, seconds (of streams: to the last one's end), bytes, p50us "
	"and\n"
	"p99us (conn: connect to last byte).\n"
	"--hello: conn asks with a ClientHello for NAME; its answer is -r bytes, no TLS.\n"
	"--file: bulk sends a file (sendfile) and nobody looks at it: ends that cost little.\n"
	"SIGTERM ends it early. Exit: 0 = something was done and nothing failed, 1 = else, 2 = "
	"usage.";

struct conn {
	int fd;
	bool connected, shut;
	size_t sent, got; /* of the present message */
	uint64_t total;	  /* bytes of the stream */
	uint64_t start_us, seen_ms;
};

static union sockaddr_any target, source;
static bool have_source;
static unsigned long seconds, n_conns = 1, question = 64, answer = 64;
static char kind;
static bool from_file;
static int file = -1; /* the pattern, as long as a place in it and MAX_MESSAGE bytes need */
static volatile sig_atomic_t stop;
static int ep;
static char *pattern, *scratch;
static const char *hello_name;
static struct conn *conns;
static unsigned hist[HIST_US + 1];
static unsigned long outcomes[N_OUTCOMES], n_done, wrong;
static uint64_t bytes;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* What the kernel does with our packets on our CPU is in it, as far as it is not another's. */
static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void watch(struct conn *c, unsigned events, int op)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (epoll_ctl(ep, op, c->fd, &ev))
		die_usage("load: epoll_ctl: %s", strerror(errno));
}

static void begin(struct conn *c);

static void fail(struct conn *c, enum outcome o)
{
	outcomes[o]++;
	close(c->fd);
	c->fd = -1;
	if (outcomes[o] > 1000000)
		stop = 1;
}

static void again(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	if (!stop)
		begin(c);
}

static void begin(struct conn *c)
{
	int fd = socket(target.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		die_usage("load: socket: %s", strerror(errno));
	*c = (struct conn){ .fd = fd, .start_us = now_us(), .seen_ms = now_ms() };
	no_delay(fd);
	if (have_source) {
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
		if (bind(fd, &source.sa, sockaddr_len(&source)))
			die_usage("load: bind: %s", strerror(errno));
	}
	if (connect(fd, &target.sa, sockaddr_len(&target)) && errno != EINPROGRESS) {
		fail(c, outcome_of_errno(errno));
		return;
	}
	watch(c, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, EPOLL_CTL_ADD);
}

static void sample(struct conn *c, uint64_t now)
{
	uint64_t us = now - c->start_us;

	hist[us < HIST_US ? us : HIST_US]++;
	n_done++;
	c->start_us = now;
}

/* What is still to be sent of the question. False = it failed. */
static bool ask(struct conn *c)
{
	ssize_t n;

	if (c->sent == question)
		return true;
	n = send(c->fd, scratch + c->sent, question - c->sent, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) {
		fail(c, outcome_of_errno(errno));
		return false;
	}
	c->sent += n > 0 ? (size_t)n : 0;
	return true;
}

static void talk(struct conn *c)
{
	static char in[CHUNK];

	if (!ask(c))
		return;
	for (;;) {
		ssize_t n = recv(c->fd, in, sizeof in, 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			if (n == 0 && kind == 'c' && c->got == answer)
				again(c);
			else
				fail(c, n ? outcome_of_errno(errno) : OUT_CLOSED);
			return;
		}
		c->got += (size_t)n;
		c->seen_ms = now_ms();
		if (c->got > answer) {
			wrong++;
			again(c);
			return;
		}
		if (c->got < answer)
			continue;
		sample(c, now_us());
		bytes += answer;
		if (kind == 'c')
			continue;
		c->got = c->sent = 0;
		if (stop || !ask(c))
			return;
	}
}

static void finish_stream(struct conn *c)
{
	unsigned char in[9];
	ssize_t n = recv(c->fd, in, sizeof in, 0);
	uint64_t count = 0;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n != 8) {
		fail(c, n < 0 ? outcome_of_errno(errno) : OUT_CLOSED);
		return;
	}
	for (int i = 0; i < 8; i++)
		count = count << 8 | in[i];
	if (count == c->total)
		n_done++;
	else
		wrong++;
	bytes += c->total;
	close(c->fd);
	c->fd = -1;
}

static bool is_stream(void)
{
	return kind == 's' || kind == 'v' || kind == 'd';
}

static ssize_t send_some(struct conn *c)
{
	off_t at = (off_t)(c->total % PERIOD);

	if (from_file)
		return sendfile(c->fd, file, &at, CHUNK);
	return send(c->fd, pattern + at, CHUNK, MSG_NOSIGNAL);
}

static void stream(struct conn *c)
{
	if (!c->sent) { /* the first byte */
		if (send(c->fd, &kind, 1, MSG_NOSIGNAL) != 1) {
			fail(c, outcome_of_errno(errno));
			return;
		}
		c->sent = 1;
	}
	/* Not for ever: the others have their turn, and the clock is looked at. */
	for (int i = 0; i < 64 && !stop; i++) {
		ssize_t n = send_some(c);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			fail(c, outcome_of_errno(errno));
			return;
		}
		c->total += (uint64_t)n;
		c->seen_ms = now_ms();
	}
}

static void client_event(struct conn *c, unsigned events)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (c->fd < 0)
		return;
	if (!c->connected) {
		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
			fail(c, outcome_of_errno(error ? error : errno));
			return;
		}
		if (!(events & EPOLLOUT))
			return;
		c->connected = true;
	}
	if (is_stream()) {
		if (c->shut || events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			finish_stream(c);
		else
			stream(c);
	} else {
		talk(c);
	}
}

static void wait_events(int timeout_ms)
{
	struct epoll_event ev[256];
	int n = epoll_wait(ep, ev, 256, timeout_ms);

	for (int i = 0; i < n; i++)
		client_event(ev[i].data.ptr, ev[i].events);
}

/* Edges come once: a stream that stopped in the middle of its turn is called again. */
static void push_streams(void)
{
	for (unsigned long i = 0; i < n_conns; i++)
		if (conns[i].fd >= 0 && conns[i].connected && !conns[i].shut)
			stream(&conns[i]);
}

static void find_lost(void)
{
	uint64_t now = now_ms();

	for (unsigned long i = 0; i < n_conns; i++)
		if (conns[i].fd >= 0 && now - conns[i].seen_ms > LOST_AFTER)
			fail(&conns[i], OUT_TIMEOUT);
}

static unsigned long percentile(unsigned percent)
{
	unsigned long all = 0, seen = 0;

	for (size_t i = 0; i <= HIST_US; i++)
		all += hist[i];
	for (size_t i = 0; i <= HIST_US; i++) {
		seen += hist[i];
		if (all && seen * 100 >= all * percent)
			return i;
	}
	return 0;
}

static void end_streams(void)
{
	uint64_t until = now_ms() + LOST_AFTER;
	bool open = true;

	for (unsigned long i = 0; i < n_conns; i++) {
		if (conns[i].fd < 0)
			continue;
		conns[i].shut = true;
		shutdown(conns[i].fd, SHUT_WR);
	}
	while (open && now_ms() < until) {
		wait_events(100);
		open = false;
		for (unsigned long i = 0; i < n_conns; i++)
			open |= conns[i].fd >= 0;
	}
	for (unsigned long i = 0; i < n_conns; i++)
		if (conns[i].fd >= 0)
			fail(&conns[i], OUT_TIMEOUT);
}

static int run(void)
{
	uint64_t start, end, last_look = now_ms();
	unsigned long failed = wrong;
	double took;

	conns = calloc(n_conns, sizeof *conns);
	if (!conns)
		die_usage("load: out of memory");
	start = now_us();
	end = start + seconds * 1000000;
	for (unsigned long i = 0; i < n_conns; i++)
		begin(&conns[i]);
	while (!stop && now_us() < end) {
		wait_events(is_stream() ? 1 : 100);
		if (is_stream())
			push_streams();
		if (now_ms() - last_look > 1000) {
			last_look = now_ms();
			find_lost();
			/* A slot whose connection failed is used again, a second later. */
			for (unsigned long i = 0; i < n_conns && (kind == 'c' || kind == 'k'); i++)
				if (conns[i].fd < 0)
					begin(&conns[i]);
		}
	}
	stop = 1;
	/* What was sent is not there yet: many streams have as much on the way as they moved. */
	if (is_stream())
		end_streams();
	took = (double)(now_us() - start) / 1e6;
	failed = wrong;
	for (int i = 1; i < N_OUTCOMES; i++)
		failed += outcomes[i];
	printf("{\"n\":%lu,\"failed\":%lu,\"refused\":%lu,\"reset\":%lu,\"timeout\":%lu,"
	       "\"wrong\":%lu,\"seconds\":%.3f,\"cpu\":%.6f,\"bytes\":%llu,\"p50us\":%lu,\"p99us\":"
	       "%lu}\n",
	       n_done, failed, outcomes[OUT_REFUSED], outcomes[OUT_RESET], outcomes[OUT_TIMEOUT],
	       wrong, took, cpu_seconds(), (unsigned long long)bytes, percentile(50),
	       percentile(99));
	return n_done && !failed ? 0 : 1;
}

static char kind_of(const char *word)
{
	static const char *const words[] = { "conn", "keep", "bulk", "check" };

	for (int i = 0; i < 4; i++)
		if (!strcmp(words[i], word))
			return "cksv"[i];
	die_usage("%s", usage);
}

static void parse_args(int argc, char **argv)
{
	static const struct option longs[] = { { "hello", required_argument, NULL, 'n' },
					       { "file", no_argument, NULL, 'f' },
					       { NULL, 0, NULL, 0 } };
	int o;

	while ((o = getopt_long(argc, argv, "d:c:q:r:s:h", longs, NULL)) != -1) {
		switch (o) {
		case 'd':
			seconds = number_arg(optarg, 1, 3600);
			break;
		case 'c':
			n_conns = number_arg(optarg, 1, MAX_CONNS);
			break;
		case 'q':
			question = number_arg(optarg, 1, MAX_MESSAGE);
			break;
		case 'r':
			answer = number_arg(optarg, 1, MAX_MESSAGE);
			break;
		case 's':
			ip_arg(optarg, &source);
			have_source = true;
			break;
		case 'n':
			hello_name = optarg;
			break;
		case 'f':
			from_file = true;
			break;
		default:
			other_option(o, usage);
		}
	}
	if (argc - optind != 2)
		die_usage("%s", usage);
	endpoint_arg(argv[optind + 1], &target);
	kind = kind_of(argv[optind]);
	if (!seconds || (hello_name && kind != 'c') || (from_file && kind != 's'))
		die_usage("%s", usage);
	if (from_file)
		kind = 'd';
}

static void question_make(void)
{
	struct hello hello;

	memset(scratch, 'q', MAX_MESSAGE);
	scratch[0] = kind;
	if (!hello_name)
		return;
	hello_make(&hello, hello_name);
	memcpy(scratch, hello.bytes, hello.len);
	question = hello.len;
}

static void file_make(void)
{
	file = memfd_create("load", MFD_CLOEXEC);
	if (file < 0 || write(file, pattern, PERIOD + MAX_MESSAGE) != PERIOD + MAX_MESSAGE)
		die_usage("load: memfd: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };

	parse_args(argc, argv);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN); /* sendfile has no MSG_NOSIGNAL */
	files_limit();
	ep = epoll_create1(EPOLL_CLOEXEC);
	pattern = pattern_new();
	scratch = malloc(MAX_MESSAGE);
	if (ep < 0 || !pattern || !scratch)
		die_usage("load: out of memory");
	question_make();
	if (from_file)
		file_make();
	return run();
}
