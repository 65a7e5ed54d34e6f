// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hold: connections through a gateway that stay as they are, so that what they cost it can be
 * looked at from outside. It does what it is for, prints one line of JSON, and holds everything
 * until SIGTERM. The other side is loadd.
 */
#include <getopt.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "load.h"

#define LOST_AFTER 5000 /* ms without a byte */

static const char usage[] =
	"usage: hold idle ADDR:PORT -c CONNECTIONS [-q BYTES] [-r BYTES]\n"
	"       hold stall ADDR:PORT -d SECONDS\n"
	"idle: that many connections, each with one question and its answer, one after the other:\n"
	"      {\"held\":N,\"failed\":N}; at the end {\"alive\":N}: those that are still open.\n"
	"stall: one connection to a server that does not read, into which it pushes for SECONDS:\n"
	"       {\"sent\":BYTES,\"queued\":BYTES}; queued: of them, not taken by the peer yet.\n"
	"Exit: 0 = all were opened (and pushed into), and were open at the end, 1 = else, 2 = "
	"usage.";

static union sockaddr_any target;
static unsigned long seconds, n_conns, question = 64, answer = 64;
static volatile sig_atomic_t stop;
static char *message;
static int fds[MAX_CONNS];

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static bool send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool recv_all(int fd, size_t len)
{
	static char in[4096];

	while (len) {
		ssize_t n = recv(fd, in, len < sizeof in ? len : sizeof in, 0);

		if (n <= 0)
			return false;
		len -= (size_t)n;
	}
	return true;
}

/* One connection after its first exchange; -1 if it did not come that far. */
static int conn_open(char kind, size_t ask, size_t want)
{
	struct timeval tv = { LOST_AFTER / 1000, 0 };
	int fd = socket(target.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	no_delay(fd);
	message[0] = kind;
	if (!connect(fd, &target.sa, sockaddr_len(&target)) && send_all(fd, message, ask) &&
	    recv_all(fd, want))
		return fd;
	close(fd);
	return -1;
}

static bool conn_is_open(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/* The signal comes between the look and the sleep at times: the sleep is short. */
static void until_told(void)
{
	while (!stop)
		poll(NULL, 0, 50);
}

static int hold_idle(void)
{
	unsigned long held = 0, failed = 0, alive = 0;

	while (held + failed < n_conns && !stop) {
		int fd = conn_open('k', question, answer);

		if (fd < 0)
			failed++;
		else
			fds[held++] = fd;
		if (failed > 10)
			break; /* each may have taken seconds */
	}
	printf("{\"held\":%lu,\"failed\":%lu}\n", held, failed);
	fflush(stdout);
	until_told();
	for (unsigned long i = 0; i < held; i++)
		alive += conn_is_open(fds[i]);
	printf("{\"alive\":%lu}\n", alive);
	return held == n_conns && alive == held ? 0 : 1;
}

static uint64_t push(int fd, uint64_t until_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	uint64_t sent = 0;

	while (!stop && now_ms() < until_ms) {
		ssize_t n = send(fd, message, CHUNK, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			sent += (uint64_t)n;
		else if (errno != EAGAIN)
			break;
		else
			poll(&p, 1, 50);
	}
	return sent;
}

static int hold_stall(void)
{
	int fd = conn_open('z', 1, 1), queued = 0;
	uint64_t sent = 0;
	bool alive;

	if (fd >= 0) {
		sent = push(fd, now_ms() + seconds * 1000);
		ioctl(fd, SIOCOUTQ, &queued);
	}
	printf("{\"sent\":%llu,\"queued\":%d}\n", (unsigned long long)sent, queued);
	fflush(stdout);
	until_told();
	alive = fd >= 0 && conn_is_open(fd);
	printf("{\"alive\":%d}\n", alive);
	return alive && sent ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	bool idle, stall;
	int o;

	while ((o = getopt(argc, argv, "c:d:q:r:h")) != -1) {
		if (o == 'c')
			n_conns = number_arg(optarg, 1, MAX_CONNS);
		else if (o == 'd')
			seconds = number_arg(optarg, 1, 3600);
		else if (o == 'q')
			question = number_arg(optarg, 1, MAX_MESSAGE);
		else if (o == 'r')
			answer = number_arg(optarg, 1, MAX_MESSAGE);
		else
			other_option(o, usage);
	}
	if (argc - optind != 2)
		die_usage("%s", usage);
	endpoint_arg(argv[optind + 1], &target);
	idle = !strcmp(argv[optind], "idle");
	stall = !strcmp(argv[optind], "stall");
	if (!(idle && n_conns) && !(stall && seconds))
		die_usage("%s", usage);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	files_limit();
	message = malloc(MAX_MESSAGE);
	if (!message)
		die_usage("hold: out of memory");
	memset(message, 'q', MAX_MESSAGE);
	return idle ? hold_idle() : hold_stall();
}
