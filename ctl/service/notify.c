/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/service/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

static bool say(const char *text, int fd)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const size_t n = path ? strlen(path) : 0;
	struct iovec iov = { (void *)(unsigned long)text, strlen(text) };
	char room[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct cmsghdr *c = (struct cmsghdr *)room;
	struct msghdr m = { .msg_name = &a, .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent = -1;
	int to;

	if (n < 2 || n >= sizeof(a.sun_path) || (*path != '/' && *path != '@'))
		return false;
	memcpy(a.sun_path, path, n);
	if (*path == '@')
		a.sun_path[0] = '\0';
	m.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (fd >= 0) {
		m.msg_control = room;
		m.msg_controllen = sizeof(room);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	to = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (to >= 0)
		sent = sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (to >= 0)
		close(to);
	return sent >= 0;
}

bool notify_say(const char *text)
{
	return say(text, -1);
}

bool notify_store(int fd, const char *name)
{
	char text[300];

	/* Not FDPOLL: a listening socket is never at its end. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	return say(text, fd);
}

void notify_unstore(const char *name)
{
	char text[300];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	say(text, -1);
}

void notify_take(void (*fn)(void *arg, int fd, const char *name), void *arg)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	char *copy = names ? strdup(names) : NULL, *at = copy;

	if (pid && count && atol(pid) == (long)getpid())
		for (int i = 0; i < atoi(count); i++) {
			const char *name = at ? strsep(&at, ":") : "";

			fcntl(FIRST_FD + i, F_SETFD, FD_CLOEXEC);
			fn(arg, FIRST_FD + i, name ? name : "");
		}
	free(copy);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

unsigned notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!usec || (pid && atol(pid) != (long)getpid()))
		return 0;
	return (unsigned)(strtoull(usec, NULL, 10) / 2000);
}
