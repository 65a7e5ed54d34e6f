/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/control/peer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ctl/base/io.h"

bool peer_hold(struct peer *p, int fd)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);

	*p = (struct peer){ .pidfd = -1 };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.pid <= 1 ||
	    cred.pid == getpid())
		return false;
	p->pid = cred.pid;
	p->pidfd = pidfd_open(cred.pid, 0);
	return p->pidfd >= 0;
}

/* 0 = nobody. */
static pid_t locker(const struct stat *file)
{
	FILE *f = fopen("/proc/locks", "re");
	char line[160];
	pid_t found = 0;

	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned major_of, minor_of;
		unsigned long inode;
		int pid;

		if (sscanf(line, "%*u: FLOCK %*s WRITE %d %x:%x:%lu", &pid, &major_of, &minor_of,
			   &inode) == 4 &&
		    inode == file->st_ino && makedev(major_of, minor_of) == file->st_dev)
			found = pid;
	}
	if (f)
		fclose(f);
	return found;
}

bool peer_hold_locker(struct peer *p, int fd)
{
	struct stat file;

	*p = (struct peer){ .pidfd = -1 };
	if (fstat(fd, &file) < 0)
		return false;
	p->pid = locker(&file);
	if (p->pid < 1 || p->pid == getpid())
		return false;
	p->pidfd = pidfd_open(p->pid, 0);
	/* It has it still: nobody else got its pid meanwhile. */
	if (p->pidfd >= 0 && locker(&file) == p->pid)
		return true;
	peer_drop(p);
	return false;
}

void peer_drop(struct peer *p)
{
	if (p->pidfd >= 0)
		close(p->pidfd);
	*p = (struct peer){ .pidfd = -1 };
}

bool peer_has_ended(const struct peer *p, unsigned timeout_ms)
{
	struct pollfd end = { .fd = p->pidfd, .events = POLLIN };

	return p->pidfd >= 0 && poll(&end, 1, (int)timeout_ms) > 0;
}

/* The name is read by pid: that it lives still is what makes it the name of the one that is held.
 */
bool peer_is_named(const struct peer *p, const char *name)
{
	char path[32], text[32] = "";

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)p->pid);
	if (p->pidfd < 0 || io_read_text(path, text, sizeof(text), NULL))
		return false;
	text[strcspn(text, "\n")] = '\0';
	return !strcmp(text, name) && !peer_has_ended(p, 0);
}

int peer_kill(const struct peer *p)
{
	return p->pidfd < 0					   ? -ESRCH
	       : pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0) < 0 ? -errno
								   : 0;
}
