/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reconcile: UDP flows that a commit left behind. A UDP flow never ends by
 * itself as long as it talks, so one whose target left its route would go on
 * to the old target for ever. TCP flows are never touched.
 */
#ifndef CTL_APPLY_RECONCILE_H
#define CTL_APPLY_RECONCILE_H

#include "ctl/plan/plan.h"

/*
 * ids[i]: route id of p->routes[i]; local: the host's own addresses. Deletes the
 * conntrack entries of this instance's UDP flows which their route does not take any
 * more, or to a target that it has no more, and of UDP flows to this host that are older than the
 * route that now covers their port; *deleted counts them.
 */
int reconcile_udp(const struct plan *p, const uint32_t *ids, const struct addr_set *local,
		  uint32_t instance, unsigned *deleted, struct err *e);

#endif
