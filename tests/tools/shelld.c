// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * shelld: a shell on a terminal for each TCP connection, as a remote login gives
 * one: when the client goes away the terminal hangs up (SIGHUP).
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tool.h"

/* Copies what is there; false at the end of either side. */
static int pass_on(int from, int to)
{
	char bytes[4096];
	ssize_t n = read(from, bytes, sizeof(bytes));

	for (ssize_t done = 0; n > 0 && done < n;) {
		ssize_t w = write(to, bytes + done, (size_t)(n - done));

		if (w < 0)
			return 0;
		done += w;
	}
	return n > 0;
}

static void serve(int client)
{
	struct termios plain = { 0 };
	struct pollfd p[2];
	int terminal;
	pid_t shell;

	cfmakeraw(&plain);
	plain.c_lflag |= ISIG; /* no echo: what comes back is output alone */
	shell = forkpty(&terminal, NULL, &plain, NULL);
	if (shell < 0)
		_exit(1);
	if (!shell) {
		close(client);
		execlp("bash", "bash", "--norc", "--noprofile", (char *)NULL);
		_exit(127);
	}
	p[0] = (struct pollfd){ .fd = client, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = terminal, .events = POLLIN };
	while (poll(p, 2, -1) > 0 || errno == EINTR) {
		if (p[0].revents && !pass_on(client, terminal))
			break;
		if (p[1].revents && !pass_on(terminal, client))
			break;
	}
	close(terminal); /* hangs up */
	_exit(0);
}

/* At every address of the family. */
static int listen_at(int family, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const struct sockaddr *at = family == AF_INET6 ? (void *)&v6 : (void *)&v4;
	int one = 1, fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, at, family == AF_INET6 ? sizeof(v6) : sizeof(v4)) || listen(fd, 8)) {
		perror("shelld");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	int six = argc == 3 && !strcmp(argv[1], "-6"), listener, client;

	if (argc != 2 + six)
		die_usage("usage: shelld [-6] PORT");
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	listener = listen_at(six ? AF_INET6 : AF_INET, (uint16_t)atoi(argv[1 + six]));
	puts("ready");
	fflush(stdout);
	while ((client = accept(listener, NULL, NULL)) >= 0 || errno == EINTR) {
		if (client < 0)
			continue;
		if (!fork()) {
			signal(SIGCHLD, SIG_DFL);
			close(listener);
			serve(client);
		}
		close(client);
	}
	return 1;
}
