/* SPDX-License-Identifier: GPL-2.0-or-later */
/* taken_ports: programs of this host whose ports kernel routes take. */
#ifndef CTL_APPLY_TAKEN_PORTS_H
#define CTL_APPLY_TAKEN_PORTS_H

#include "ctl/host/host.h"
#include "ctl/plan/plan.h"

/* One warning for each service that will not be reached any more; none for a route's own target. */
void taken_ports_warn(const struct host_facts *h, const struct plan *p, struct diags *d);

#endif
