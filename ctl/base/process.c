/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/base/clock.h"

#define LOOK_MS 5

static int set_attributes(posix_spawnattr_t *attr, bool session)
{
	const short flags =
		POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (session ? POSIX_SPAWN_SETSID : 0);
	sigset_t all, none;
	int rc;

	sigfillset(&all);
	sigemptyset(&none);
	rc = posix_spawnattr_setflags(attr, flags);
	rc = rc ? rc : posix_spawnattr_setsigdefault(attr, &all);
	return rc ? rc : posix_spawnattr_setsigmask(attr, &none);
}

int process_start(const char *binary, const posix_spawn_file_actions_t *files, char *const argv[],
		  char *const env[], bool session, pid_t *pid)
{
	posix_spawnattr_t attr;
	int rc = posix_spawnattr_init(&attr);

	if (rc)
		return -rc;
	rc = set_attributes(&attr, session);
	rc = rc ? rc : posix_spawn(pid, binary, files, &attr, argv, env ? env : environ);
	posix_spawnattr_destroy(&attr);
	return -rc;
}

/* fd goes first: it may be one of those that are opened next. */
static int background_files(posix_spawn_file_actions_t *files, const char *log, int fd)
{
	int rc = fd < 0 ? 0 : posix_spawn_file_actions_adddup2(files, fd, PROCESS_KEPT_FD);

	rc = rc ? rc : posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
	rc = rc ? rc
		: posix_spawn_file_actions_addopen(files, 1, log,
						   O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(files, 1, 2);
	rc = rc ? rc : posix_spawn_file_actions_addclosefrom_np(files, PROCESS_KEPT_FD + (fd >= 0));
	return rc ? rc : posix_spawn_file_actions_addchdir_np(files, "/");
}

int process_start_background(char *const argv[], const char *log, int fd, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	int rc = -posix_spawn_file_actions_init(&files);

	if (rc)
		return rc;
	rc = -background_files(&files, log, fd);
	rc = rc ? rc : process_start("/proc/self/exe", &files, argv, NULL, true, pid);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

bool process_await(pid_t pid, unsigned timeout_ms)
{
	const int64_t until_ms = clock_mono_ms() + timeout_ms;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_mono_ms() >= until_ms) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return false;
		}
		clock_sleep_ms(LOOK_MS);
	}
	return WIFEXITED(status) && !WEXITSTATUS(status);
}
