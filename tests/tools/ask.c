/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ask SOCKET: each line of stdin is sent as one message of dataplane/wire.h, and what is answered
 * is printed as a line; an answer with "more":true is followed by the next part. Ends with stdin
 * (closing the connection), or says "closed" when the other side does.
 *
 * ask --half SOCKET: sends half a message and stays. ask --stall SOCKET: asks, and never reads.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fd;

static void say(const char *line, size_t n)
{
	const uint32_t length = htonl((uint32_t)n);

	if (write(fd, &length, 4) != 4 || write(fd, line, n) != (ssize_t)n) {
		puts("closed");
		exit(0);
	}
}

static void read_all(void *to, size_t n)
{
	for (size_t at = 0; at < n;) {
		const ssize_t got = read(fd, (char *)to + at, n - at);

		if (got <= 0) {
			puts("closed");
			exit(0);
		}
		at += (size_t)got;
	}
}

/* Whether another part follows. */
static int hear(void)
{
	uint32_t length;
	char *text;
	int more;

	read_all(&length, 4);
	length = ntohl(length);
	text = malloc(length + 1);
	if (!text)
		exit(2);
	read_all(text, length);
	text[length] = '\0';
	puts(text);
	fflush(stdout);
	more = strstr(text, "\"more\":true") != NULL;
	free(text);
	return more;
}

static void stall(void)
{
	const char *hello = "{\"type\":\"hello\"}";

	for (;;)
		say(hello, strlen(hello));
}

int main(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = argv[argc - 1];
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	signal(SIGPIPE, SIG_IGN);
	if (argc < 2 || strlen(path) >= sizeof(a.sun_path))
		return 2;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		perror("connect");
		return 1;
	}
	if (argc == 3 && !strcmp(argv[1], "--half")) {
		if (write(fd, "\0\0\0\100{", 5) == 5)
			pause();
		return 1;
	}
	if (argc == 3 && !strcmp(argv[1], "--stall"))
		stall();
	while ((n = getline(&line, &cap, stdin)) > 0) {
		say(line, (size_t)(n - (line[n - 1] == '\n')));
		while (hear())
			;
	}
	return 0;
}
