/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conntrack_census: how many of our flows go to each target, and how many of
 * them never got an answer. One dump of the flow table, counted as it comes.
 */
#ifndef CTL_HOST_CONNTRACK_CENSUS_H
#define CTL_HOST_CONNTRACK_CENSUS_H

#include <stdint.h>

#include "ctl/base/addr.h"

struct nlmsghdr;

/* Flows of one route to one target, as one source address sees them. */
struct census_group {
	uint32_t id, instance, flags; /* label words 0, 2, 1 (ruleset_compile.h) */
	uint8_t proto;
	struct addr target, answers_to; /* who answers; where the answers go: ours or a client's */
	uint16_t target_port;
	unsigned flows, unanswered;
};

#define CENSUS_MAX_GROUPS 65536

struct census {
	struct census_group *v;
	size_t n;
	uint32_t *slots; /* hash table of position + 1 */
	size_t n_slots;
	bool truncated, failed; /* failed: out of memory */
};

/* Flows that keep the client's address are counted together, whoever the client is: flags without
 * `masqueraded` bits have answers_to ADDR_NONE. */
int census_read(struct census *c, uint32_t masqueraded, struct err *e);
void census_fini(struct census *c);
/* One message of the kernel; any bytes within h->nlmsg_len are safe. */
void census_parse(struct census *c, uint32_t masqueraded, const struct nlmsghdr *h);

#endif
