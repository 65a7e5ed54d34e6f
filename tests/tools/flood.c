// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * flood: opens TCP connections in a loop, a line and its answer each, and
 * counts how they end. For "no connection is lost while X happens" tests: a
 * test starts it, does X, and compares the last line with "... 0 failed".
 */
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "tool.h"

static const char usage[] =
	"usage: flood ADDR:PORT -d SECONDS [-c THREADS] [-s SOURCE] [-m PAYLOAD] [-w TIMEOUT-MS]\n"
	"Prints \"started\" after the first answer, at the end (or on SIGTERM)\n"
	"\"N ok, N failed\" and, if any failed, \"N ok, N refused, ...\".\n"
	"Exit: 0 = some answered and none failed, 1 = else, 2 = usage.";

static union sockaddr_any target, source;
static bool have_source;
static unsigned long seconds, threads = 1, timeout_ms = 2000;
static const char *payload = "hi";
static volatile sig_atomic_t stop;
static uint64_t end_ms;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long outcomes[N_OUTCOMES];

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static enum outcome one_connection(void)
{
	struct timeval tv = { (time_t)(timeout_ms / 1000),
			      (suseconds_t)(timeout_ms % 1000) * 1000 };
	int on = 1;
	int fd = socket(target.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	enum outcome o = OUT_OK;
	char buf[4096];
	ssize_t n;

	if (fd < 0)
		return OUT_ERROR;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	n = snprintf(buf, sizeof buf, "%s\n", payload);
	if (have_source && bind(fd, &source.sa, sockaddr_len(&source)))
		o = outcome_of_errno(errno);
	else if (connect(fd, &target.sa, sockaddr_len(&target)))
		o = errno == EINPROGRESS ? OUT_TIMEOUT : outcome_of_errno(errno);
	else if (send(fd, buf, (size_t)n, MSG_NOSIGNAL) < 0)
		o = outcome_of_errno(errno);
	else {
		n = recv(fd, buf, sizeof buf, 0);
		if (n <= 0)
			o = n == 0 ? OUT_CLOSED : outcome_of_errno(errno);
	}
	close(fd);
	return o;
}

static void *loop(void *arg)
{
	while (!stop && now_ms() < end_ms) {
		enum outcome o = one_connection();

		pthread_mutex_lock(&lock);
		if (o == OUT_OK && !outcomes[OUT_OK]) {
			puts("started");
			fflush(stdout);
		}
		outcomes[o]++;
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void parse_args(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "d:c:s:m:w:h")) != -1) {
		switch (o) {
		case 'd':
			seconds = number_arg(optarg, 1, 3600);
			break;
		case 'c':
			threads = number_arg(optarg, 1, 256);
			break;
		case 's':
			ip_arg(optarg, &source);
			have_source = true;
			break;
		case 'm':
			if (strlen(optarg) > 4000)
				die_usage("flood: the payload is too long");
			payload = optarg;
			break;
		case 'w':
			timeout_ms = number_arg(optarg, 1, 600000);
			break;
		default:
			other_option(o, usage);
		}
	}
	if (argc - optind != 1 || !seconds)
		die_usage("%s", usage);
	endpoint_arg(argv[optind], &target);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	unsigned long failed = 0;
	pthread_t t[256];

	parse_args(argc, argv);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	end_ms = now_ms() + seconds * 1000;
	for (unsigned long i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, loop, NULL))
			die_usage("flood: cannot make a thread");
	for (unsigned long i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	for (int i = 1; i < N_OUTCOMES; i++)
		failed += outcomes[i];
	printf("%lu ok, %lu failed\n", outcomes[OUT_OK], failed);
	if (failed)
		outcome_print(stdout, outcomes);
	return outcomes[OUT_OK] && !failed ? 0 : 1;
}
