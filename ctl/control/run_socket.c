/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A path in a socket address has 107 bytes, and RUN may be longer: addresses go
 * through /proc/self/fd of the opened directory, which is always short. That
 * also keeps somebody who renames RUN from having us bind elsewhere.
 */
#include "ctl/control/run_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int dir_open(const char *run_dir, struct err *e)
{
	const int fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	return fd < 0 ? err_sys(e, errno, "cannot open %s", run_dir) : fd;
}

static struct sockaddr_un address_of(int dir, const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir, name);
	return a;
}

static int listen_in(int dir, const char *run_dir, const char *name, int backlog, struct err *e)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un a;
	char temporary[64];
	int rc;

	snprintf(temporary, sizeof(temporary), "%s.%d", name, (int)getpid());
	a = address_of(dir, temporary);
	unlinkat(dir, temporary, 0);
	/* The mode before the name: nobody connects in between. */
	if (fd >= 0 && !fchmod(fd, 0600) && !bind(fd, (const struct sockaddr *)&a, sizeof(a)) &&
	    !fchmodat(dir, temporary, 0600, 0) && !listen(fd, backlog) &&
	    !renameat(dir, temporary, dir, name))
		return fd;
	rc = err_sys(e, errno, "cannot make %s/%s", run_dir, name);
	unlinkat(dir, temporary, 0);
	if (fd >= 0)
		close(fd);
	return rc;
}

int run_socket_listen(const char *run_dir, const char *name, int backlog, struct err *e)
{
	const int dir = dir_open(run_dir, e);
	int fd;

	if (dir < 0)
		return dir == -ENOENT ? err_sys(e, dir, "cannot open %s", run_dir) : dir;
	fd = listen_in(dir, run_dir, name, backlog, e);
	close(dir);
	return fd;
}

int run_socket_connect(const char *run_dir, const char *name, struct err *e)
{
	const int dir = dir_open(run_dir, e);
	struct sockaddr_un a;
	int fd, rc = 0;

	if (dir < 0)
		return dir;
	a = address_of(dir, name);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		rc = -errno;
	close(dir);
	if (!rc)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc == -ENOENT || rc == -ECONNREFUSED
		       ? rc
		       : err_sys(e, rc, "cannot connect to %s/%s", run_dir, name);
}

bool run_socket_is_root(int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
	       (peer.uid == 0 || peer.uid == geteuid());
}
