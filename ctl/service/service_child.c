/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/service/service_child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/process.h"

#define CHECK_MS 5000

static int spawn_plain(const char *binary, char *const argv[], bool silent, int in, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	int rc = -posix_spawn_file_actions_init(&files);

	if (rc)
		return rc;
	if (silent)
		rc = -posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	if (!rc && in >= 0)
		rc = -posix_spawn_file_actions_adddup2(&files, in, 0);
	rc = rc ? rc : process_start(binary, &files, argv, NULL, false, pid);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

pid_t service_child_apply(const char *file, const char *state_dir, const char *run_dir,
			  struct err *e)
{
	char name[] = "spctl", command[] = "apply", state[] = "--state-dir", run[] = "--run-dir";
	char *copy[3] = { strdup(file), strdup(state_dir), strdup(run_dir) };
	char *argv[] = { name, command, copy[0], state, copy[1], run, copy[2], NULL };
	pid_t pid = -1;
	int rc = copy[0] && copy[1] && copy[2]
			 ? spawn_plain("/proc/self/exe", argv, false, -1, &pid)
			 : -ENOMEM;

	for (int i = 0; i < 3; i++)
		free(copy[i]);
	return rc ? err_sys(e, rc, "cannot run spctl apply %s", file) : pid;
}

pid_t service_child_found(int in, const char *state_dir, const char *run_dir, struct err *e)
{
	char name[] = "spctl", command[] = SERVICE_FOUND_COMMAND, state[] = "--state-dir",
	     run[] = "--run-dir";
	char *copy[2] = { strdup(state_dir), strdup(run_dir) };
	char *argv[] = { name, command, state, copy[0], run, copy[1], NULL };
	pid_t pid = -1;
	int rc =
		copy[0] && copy[1] ? spawn_plain("/proc/self/exe", argv, false, in, &pid) : -ENOMEM;

	for (int i = 0; i < 2; i++)
		free(copy[i]);
	return rc ? err_sys(e, rc, "cannot run spctl " SERVICE_FOUND_COMMAND) : pid;
}

int service_child_check(const char *binary, struct err *e)
{
	char name[] = "spctl", command[] = "version";
	char *argv[] = { name, command, NULL };
	pid_t pid;
	int rc = spawn_plain(binary, argv, true, -1, &pid);

	if (rc)
		return err_sys(e, rc, "cannot run %s", binary);
	/* The controller's loop stands still meanwhile; nobody's connection does. */
	return process_await(pid, CHECK_MS) ? 0 : err_set(e, -ENOEXEC, "%s does not run", binary);
}
