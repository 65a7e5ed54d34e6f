/* SPDX-License-Identifier: GPL-2.0-or-later */
/* process: starts a program with none of the signal settings of this process, which blocks most. */
#ifndef CTL_SERVICE_PROCESS_H
#define CTL_SERVICE_PROCESS_H

#include <spawn.h>
#include <stdbool.h>
#include <sys/types.h>

/* "/proc/self/exe": this program once more. session: one of its own. env: NULL = this one's. 0, or
 * a negative errno. */
int process_start(const char *binary, const posix_spawn_file_actions_t *files, char *const argv[],
		  char *const env[], bool session, pid_t *pid);
/* Until that child ends, or is killed after so long: has it ended well (exit code 0)? */
bool process_await(pid_t pid, unsigned timeout_ms);

#endif
