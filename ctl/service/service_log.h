/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * service_log: what `log` of the live file says - which messages the controller
 * writes and how - and the descriptor that the dataplane writes access lines to.
 */
#ifndef CTL_SERVICE_SERVICE_LOG_H
#define CTL_SERVICE_SERVICE_LOG_H

#include <jansson.h>

#include "ctl/base/log.h"

struct service_log {
	enum log_level before; /* of the command line: -q and -v come before the file */
	int access_fd;	       /* owned; -1: there is nowhere to write */
	bool warned;	       /* that there is not */
};

/* Where messages go, access lines go as well. */
void service_log_init(struct service_log *l);
void service_log_fini(struct service_log *l);
/* load: what is live from now on, or NULL. */
void service_log_follow(struct service_log *l, const json_t *load);

#endif
