/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * service: the controller of `spctl run`. One thread, one loop: it holds the
 * listening sockets, its dataplane and RUN/control.sock, and never reads a byte
 * that a network peer wrote. docs/SERVICE.md has the picture.
 */
#ifndef CTL_SERVICE_SERVICE_H
#define CTL_SERVICE_SERVICE_H

#include "ctl/base/err.h"
#include "ctl/service/upcall.h"

struct service_options {
	const char *state_dir, *run_dir;
	const char *user; /* of the dataplane; NULL = "spctl" or an unused uid */
	unsigned workers; /* 0 = as the live file says, or one a core */
	const char *file; /* applied once the service is ready; NULL = what is live goes on */
	char **argv;	  /* of this process: a new binary is run with the same */
};

/* Until it is stopped. 0, or negative: it could not start. *exit_code: that of applying `file`. */
int service_run(const struct service_options *o, int *exit_code, struct err *e);

#endif
