/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/service/process.h"

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
