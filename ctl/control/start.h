/* SPDX-License-Identifier: GPL-2.0-or-later */
/* start: how a command gets a service that is not there. What starts it stands above this folder
 * (ctl/service), so it is plugged in by main(). */
#ifndef CTL_CONTROL_START_H
#define CTL_CONTROL_START_H

#include "ctl/base/err.h"

struct control_start {
	const char *state_dir, *run_dir;
	unsigned timeout_ms;
};

/* 0: RUN/control.sock answers. */
typedef int control_starter(const struct control_start *s, struct err *e);
void control_set_starter(control_starter *fn);
/* The plugged-in one; -ENOSYS where there is none. */
int control_start(const struct control_start *s, struct err *e);

#endif
