/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has the controller's lock is the only one that makes these files, so they are
 * removed under it. Who opened that file before it went finds out after locking it
 * (run_lock.c).
 */
#include "ctl/control/run_files.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/control/client.h"

void run_files_remove(const char *run_dir)
{
	static const char *const names[] = { CONTROL_DP_LOCK, CONTROL_LOG, CONTROL_LOCK };
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/" CONTROL_LOCK, run_dir);
	fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	for (unsigned i = 0, mine = !io_lock(fd); mine && i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", run_dir, names[i]);
		unlink(path);
	}
	close(fd);
}
