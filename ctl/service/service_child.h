/* SPDX-License-Identifier: GPL-2.0-or-later */
/* service_child: what the controller has others do. */
#ifndef CTL_SERVICE_SERVICE_CHILD_H
#define CTL_SERVICE_SERVICE_CHILD_H

#include <sys/types.h>

#include "ctl/base/err.h"

/* `spctl apply FILE` in these directories: it asks this service like any other command. The pid. */
pid_t service_child_apply(const char *file, const char *state_dir, const char *run_dir,
			  struct err *e);
/* The hidden command that makes true what the service found out; `in` is its standard input. */
#define SERVICE_FOUND_COMMAND "found"
pid_t service_child_found(int in, const char *state_dir, const char *run_dir, struct err *e);
/* Does that binary run at all? Waits for it, at most a few seconds. */
int service_child_check(const char *binary, struct err *e);

#endif
