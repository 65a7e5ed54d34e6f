/* SPDX-License-Identifier: GPL-2.0-or-later */
/* process: starts a program with none of the signal settings of this process, which blocks most. */
#ifndef CTL_BASE_PROCESS_H
#define CTL_BASE_PROCESS_H

#include <spawn.h>
#include <stdbool.h>
#include <sys/types.h>

#define PROCESS_KEPT_FD 3

/* "/proc/self/exe": this program once more. session: one of its own. env: NULL = this one's. 0, or
 * a negative errno. */
int process_start(const char *binary, const posix_spawn_file_actions_t *files, char *const argv[],
		  char *const env[], bool session, pid_t *pid);
/* This program once more, for as long as it likes: in a session of its own and in /, with nothing
 * to read, its words in the file log (emptied first), and no other descriptor but fd, as
 * PROCESS_KEPT_FD (-1 = none). 0, or a negative errno. */
int process_start_background(char *const argv[], const char *log, int fd, pid_t *pid);
/* Until that child ends, or is killed after so long: has it ended well (exit code 0)? */
bool process_await(pid_t pid, unsigned timeout_ms);

#endif
