/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access lines go where the messages go, but whoever reads them must never make
 * the dataplane wait, and O_NONBLOCK belongs to the open file, which others may
 * share: so a pipe or a terminal is opened anew by way of /proc. A regular file
 * is passed on as it is, because two open files would write over each other. A
 * socket cannot be opened; where it is the journal's, it gets a stream of its own.
 */
#include "ctl/service/service_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL "/run/systemd/journal/stdout"

/* JOURNAL_STREAM of systemd.exec(5): "device:inode" of our stderr. */
static bool is_journal(const struct stat *st)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && dev == st->st_dev &&
	       ino == st->st_ino;
}

/* Its header: identifier, unit, priority (info), and no prefix, no forwarding. */
static int open_journal(void)
{
	static const char header[] = "spctl\n\n6\n0\n0\n0\n0\n";
	const struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = JOURNAL };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && !connect(fd, (const struct sockaddr *)&a, sizeof(a)) &&
	    send(fd, header, sizeof(header) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(header) - 1)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int open_access(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) < 0)
		return -1;
	if (S_ISREG(st.st_mode))
		return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (S_ISSOCK(st.st_mode))
		return is_journal(&st) ? open_journal() : -1;
	return open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

void service_log_init(struct service_log *l)
{
	*l = (struct service_log){ .before = log_get_level(), .access_fd = open_access() };
}

void service_log_fini(struct service_log *l)
{
	if (l->access_fd >= 0)
		close(l->access_fd);
	l->access_fd = -1;
	log_set_json(false);
}

static enum log_level level_of(const json_t *log)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	const char *name = json_string_value(json_object_get(log, "level"));

	for (unsigned i = 0; name && i < 4; i++)
		if (!strcmp(name, names[i]))
			return (enum log_level)i;
	return LOG_LEVEL_INFO;
}

void service_log_follow(struct service_log *l, const json_t *load)
{
	const json_t *log = json_object_get(load, "log");
	const char *format = json_string_value(json_object_get(log, "format"));
	const bool access = json_is_true(json_object_get(log, "access"));

	if (l->before == LOG_LEVEL_INFO)
		log_set_level(level_of(log));
	log_set_json(format && !strcmp(format, "json"));
	if (access && l->access_fd < 0 && !l->warned)
		log_warn("log.access: standard error is a socket that is not the journal's: there "
			 "is nowhere to write access lines");
	l->warned = access && l->access_fd < 0;
}
