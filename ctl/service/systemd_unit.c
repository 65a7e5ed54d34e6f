/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Through systemd only where it is really the one: it runs, it has our unit, it
 * is in this network namespace, and the instance is the one that the unit names.
 * A lab, or a second instance, must not start the host's.
 */
#include "ctl/service/systemd_unit.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/state/state.h"

static bool same_namespace_as_init(void)
{
	struct stat mine, init;

	return !stat("/proc/self/ns/net", &mine) && !stat("/proc/1/ns/net", &init) &&
	       mine.st_dev == init.st_dev && mine.st_ino == init.st_ino;
}

static bool has_unit(void)
{
	static const char *const dirs[] = {
		"/etc/systemd/system",	   "/run/systemd/system", "/usr/local/lib/systemd/system",
		"/usr/lib/systemd/system", "/lib/systemd/system",
	};
	char path[PATH_MAX];

	for (unsigned i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(path, sizeof(path), "%s/" SYSTEMD_UNIT, dirs[i]);
		if (!access(path, F_OK))
			return true;
	}
	return false;
}

bool systemd_unit_serves(const char *state_dir, const char *run_dir)
{
	return !strcmp(state_dir, STATE_USUAL_DIR) && !strcmp(run_dir, STATE_USUAL_RUN_DIR) &&
	       !access("/run/systemd/system", F_OK) && same_namespace_as_init() && has_unit();
}

int systemd_unit_start(struct err *e)
{
	char name[] = "systemctl", start[] = "start", unit[] = SYSTEMD_UNIT;
	char *argv[] = { name, start, unit, NULL };
	int status, rc;
	pid_t pid;

	rc = posix_spawnp(&pid, name, NULL, NULL, argv, environ);
	if (rc)
		return err_sys(e, -rc, "cannot run systemctl");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, errno, "cannot wait for systemctl");
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	err_set(e, -EIO, "systemctl start " SYSTEMD_UNIT " failed");
	err_hint(e, "journalctl -u " SYSTEMD_UNIT " has what it said");
	return -EIO;
}
