// SPDX-License-Identifier: GPL-2.0-or-later
/* portspray: one UDP datagram from each port of a range, to make that many flows. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tool.h"

static const char usage[] = "usage: portspray ADDR:PORT -s SOURCE -p FROM-TO   (IPv4)";

/* Each socket is gone again before the next: only the flow stays. */
static int send_from(const struct sockaddr_in *to, struct sockaddr_in from, unsigned port)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ok;

	from.sin_port = htons((uint16_t)port);
	ok = fd >= 0 && !bind(fd, (struct sockaddr *)&from, sizeof(from)) &&
	     sendto(fd, "x\n", 2, 0, (const struct sockaddr *)to, sizeof(*to)) == 2;
	if (fd >= 0)
		close(fd);
	return ok;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET }, from = { .sin_family = AF_INET };
	unsigned first = 0, last = 0, sent = 0;
	char *colon = argc > 1 ? strchr(argv[1], ':') : NULL;

	for (int i = 2; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "-s"))
			inet_pton(AF_INET, argv[i + 1], &from.sin_addr);
		else if (strcmp(argv[i], "-p") != 0 ||
			 sscanf(argv[i + 1], "%u-%u", &first, &last) != 2)
			die_usage(usage);
	}
	if (!colon || !first || last > 65535)
		die_usage(usage);
	*colon = '\0';
	to.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		die_usage(usage);
	for (unsigned port = first; port <= last; port++)
		sent += (unsigned)send_from(&to, from, port);
	printf("%u sent\n", sent);
	return sent != last - first + 1;
}
