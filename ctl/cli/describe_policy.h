/* SPDX-License-Identifier: GPL-2.0-or-later */
/* describe_policy: who is let in, in words that differ when it does. For comparing plans. */
#ifndef CTL_CLI_DESCRIBE_POLICY_H
#define CTL_CLI_DESCRIBE_POLICY_H

#include "ctl/base/buf.h"
#include "ctl/plan/plan.h"

/* Fingerprints of long lists: many routes share one. Starts zeroed; lives no longer than they. */
struct policy_cache {
	struct {
		const struct addr_set *list;
		uint64_t hash;
	} v[8];
	unsigned next;
};

/* Appends ", ipAllowList 10.0.0.0/8, maxConnections 5"; a long list as its size and a fingerprint:
 * "ipBlockList 50000 ranges #3f2ab1c4". Nothing where the route says nothing. */
void describe_policy(struct buf *b, const struct plan_route *r, struct policy_cache *c);
/* "maxConnectionsPerIP 100, connectionRateLimitPerMinute 300": what all routes share. */
void describe_common_limits(struct buf *b, const struct config *c);

#endif
