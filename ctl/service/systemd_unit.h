/* SPDX-License-Identifier: GPL-2.0-or-later */
/* systemd_unit: the service as a unit of this host, where there is one. */
#ifndef CTL_SERVICE_SYSTEMD_UNIT_H
#define CTL_SERVICE_SYSTEMD_UNIT_H

#include <stdbool.h>

#include "ctl/base/err.h"

#define SYSTEMD_UNIT "spctl-run.service"

/* Does systemd run this host, has it our unit, and is that the instance in these directories? */
bool systemd_unit_serves(const char *state_dir, const char *run_dir);
/* Until it is ready, or has failed. */
int systemd_unit_start(struct err *e);

#endif
