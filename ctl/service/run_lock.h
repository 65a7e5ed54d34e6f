/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run_lock: there is one controller in a RUN. Its files there are control.sock, run.lock, run.pid.
 */
#ifndef CTL_SERVICE_RUN_LOCK_H
#define CTL_SERVICE_RUN_LOCK_H

#include <stdbool.h>

#include "ctl/base/err.h"

/* The lock's descriptor; -EBUSY with the pid of who has it. Also the one that was kept over. */
int run_lock_take(const char *run_dir, struct err *e);
/* Before it is taken: did this process hold it when it was another program? */
bool run_lock_is_kept(void);
/* Over an exec of this process, or not. */
void run_lock_keep(int fd, bool over_exec);
/* Removes what only a running controller has, then gives the lock back. */
void run_lock_give(const char *run_dir, int fd);
/* Of the controller that holds it; 0 = nobody does, or it does not say. */
int run_lock_pid(const char *run_dir);

#endif
