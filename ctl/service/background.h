/* SPDX-License-Identifier: GPL-2.0-or-later */
/* background: starts the service for a command that needs it, and waits until it can be asked. */
#ifndef CTL_SERVICE_BACKGROUND_H
#define CTL_SERVICE_BACKGROUND_H

#include "ctl/control/run_files.h"
#include "ctl/control/start.h"

#define BACKGROUND_UNIT	    "spctl-run.service"
#define BACKGROUND_ENV	    "SPCTL_BACKGROUND" /* set: it ends when no route needs it */
#define BACKGROUND_UNIT_ENV "SPCTL_UNIT"       /* set by spctl.service: systemd runs this command */
#define BACKGROUND_LOG	    CONTROL_LOG	       /* its words, where systemd did not start it */

enum background_how {
	BACKGROUND_WAS_THERE,
	BACKGROUND_PROCESS, /* in a session of its own */
	BACKGROUND_SYSTEMD,
};

struct background {
	const char *state_dir, *run_dir;
	const char *user; /* may be NULL */
	unsigned workers; /* 0 = not said */
	unsigned timeout_ms;
};

/* 0: control.sock answers. Else e has what the service itself said, where it said something. Both
 * directories exist (state_open). */
int service_start_background(const struct background *b, enum background_how *how, struct err *e);
/* The same as a control_starter. */
int background_start(const struct control_start *s, struct err *e);

#endif
