/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * census: how many of our flows go to each target, and how many of them never
 * got an answer. One dump of the connection table, counted by group.
 */
#ifndef CTL_DOCTOR_CENSUS_H
#define CTL_DOCTOR_CENSUS_H

#include "ctl/host/conntrack.h"

/* Flows of one route to one port of one target, as one source address sees them. */
struct census_group {
	uint32_t id, instance, flags; /* label words 0, 2, 1 (ruleset_compile.h) */
	uint8_t proto;
	struct addr target, seen; /* seen: our address where it is masqueraded, else ADDR_NONE */
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

int census_read(struct census *c, struct err *e);
void census_add(struct census *c, const struct ct_flow *f);
void census_fini(struct census *c);

#endif
