/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spctl that leaves to the kernel what a better route of user space has, where that one is for
 * some clients only. */
#include "ctl/plan/plan_internal.h"
#include "ctl/plan/plan_sweep.h"

static bool planted_init(struct claim *c, const struct addr_set *clients, int family)
{
	if (c->route && c->route->tier != TIER_NFTABLES && c->route->route->match.has_client_ip) {
		c->route->reached = true;
		return false;
	}
	return claim_init(c, clients, family);
}

#define claim_init planted_init
#include "ctl/plan/plan_client.c" /* takes the place of the library's */
