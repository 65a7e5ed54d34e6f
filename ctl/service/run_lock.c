/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/service/run_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/control/client.h"

#define KEPT_ENV "SPCTL_RUN_LOCK_FD"
#define PID_NAME "run.pid"

static void path_of(const char *run_dir, const char *name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s", run_dir, name);
}

int run_lock_pid(const char *run_dir)
{
	char path[PATH_MAX], text[16] = "";

	path_of(run_dir, PID_NAME, path);
	return io_read_text(path, text, sizeof(text), NULL) ? 0 : atoi(text);
}

static bool is_still_there(int fd, const char *path)
{
	struct stat mine, there;

	return !fstat(fd, &mine) && !lstat(path, &there) && mine.st_dev == there.st_dev &&
	       mine.st_ino == there.st_ino;
}

/* The one that this process took before it became another program. */
static int take_kept(const char *path)
{
	const char *text = getenv(KEPT_ENV);
	const int fd = text ? atoi(text) : -1;

	unsetenv(KEPT_ENV);
	if (fd < 3 || !is_still_there(fd, path) || io_lock(fd))
		return -1;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

static int is_busy(const char *run_dir, struct err *e)
{
	const int pid = run_lock_pid(run_dir);

	err_set(e, -EBUSY, "the service runs already in %s (pid %d)", run_dir, pid);
	err_hint(e,
		 "spctl apply changes its routes; kill -USR2 %d has the installed binary take "
		 "over",
		 pid);
	return -EBUSY;
}

/* As often as `spctl down` removes it between open and flock. *fd is -1 where it cannot be opened.
 */
static int lock(const char *path, int *fd)
{
	for (;;) {
		int rc;

		*fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (*fd < 0)
			return -errno;
		rc = io_lock(*fd);
		if (rc || is_still_there(*fd, path))
			return rc;
		close(*fd);
	}
}

int run_lock_take(const char *run_dir, struct err *e)
{
	char path[PATH_MAX], text[16];
	int fd, rc;

	path_of(run_dir, CONTROL_LOCK, path);
	fd = take_kept(path);
	if (fd >= 0)
		return fd;
	rc = lock(path, &fd);
	if (fd < 0)
		return err_sys(e, rc, "cannot open %s", path);
	if (!rc) {
		path_of(run_dir, PID_NAME, path);
		snprintf(text, sizeof(text), "%d\n", (int)getpid());
		rc = io_write_file_fast(path, text, strlen(text), 0644, e);
	} else {
		rc = rc == -EWOULDBLOCK ? is_busy(run_dir, e)
					: err_sys(e, rc, "cannot lock %s", path);
	}
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

bool run_lock_is_kept(void)
{
	return getenv(KEPT_ENV) != NULL;
}

void run_lock_keep(int fd, bool over_exec)
{
	char text[16];

	fcntl(fd, F_SETFD, over_exec ? 0 : FD_CLOEXEC);
	snprintf(text, sizeof(text), "%d", fd);
	if (over_exec)
		setenv(KEPT_ENV, text, 1);
	else
		unsetenv(KEPT_ENV);
}

void run_lock_give(const char *run_dir, int fd)
{
	static const char *const names[] = { CONTROL_SOCKET, PID_NAME };
	char path[PATH_MAX];

	for (unsigned i = 0; i < 2; i++) {
		path_of(run_dir, names[i], path);
		unlink(path);
	}
	close(fd);
}
