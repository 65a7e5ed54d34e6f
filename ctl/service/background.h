/* SPDX-License-Identifier: GPL-2.0-or-later */
/* background: a service that a command starts and leaves running - through systemd where its unit
 * is installed and systemd runs this host, else as a process of its own. */
#ifndef CTL_SERVICE_BACKGROUND_H
#define CTL_SERVICE_BACKGROUND_H

#include "ctl/control/start.h"

#define BACKGROUND_LOG "service.log" /* in RUN: what it says once it is ready */

/* A control_starter. What a service that cannot start says is the error. */
int service_start_background(const struct control_start *s, struct err *e);

#endif
