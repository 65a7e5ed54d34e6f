/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ruleset_compile: from a plan to the nftables table that serves its kernel
 * routes. Pure: no kernel calls. docs/KERNEL-TIER.md explains the layout.
 *
 * A flow of ours carries a ct label from its first packet on:
 *   word 0  route id (never 0)
 *   word 1  flags, LABEL_*
 *   word 2  which spctl instance: several may share a network namespace
 *   word 3  which target (struct plan_target: tag); 0 while none is chosen
 * All four together are the key of the counters, so what is counted belongs to a
 * route and a target for as long as the flow lives, whatever is applied meanwhile.
 */
#ifndef CTL_NFT_RULESET_COMPILE_H
#define CTL_NFT_RULESET_COMPILE_H

#include "ctl/nft/ruleset.h"
#include "ctl/plan/plan.h"

enum { LABEL_MASQUERADE = 1, LABEL_HAIRPIN = 2 };

/* The label's word 2 of an instance (struct state: instance). */
uint32_t label_instance(const char *instance);

/* Counted by label, in dynamic sets: the kernel makes an element when the first packet comes. */
enum count_kind {
	COUNT_NEW,  /* connections that were let in */
	COUNT_UP,   /* packets and bytes from the client */
	COUNT_DOWN, /* ... to the client */
	N_COUNTS,
};
/* Why a connection was refused. */
enum refusal_kind {
	REFUSED_LIST,  /* ipBlockList, ipAllowList */
	REFUSED_RATE,  /* connections a minute */
	REFUSED_IP,    /* connections at once of one client */
	REFUSED_ROUTE, /* connections at once of the route */
	N_REFUSALS,
};
const char *count_set_name(enum count_kind k);	   /* "new", "up", "down" */
const char *refusal_set_name(enum refusal_kind k); /* "refused_list" ... */
const char *refusal_reason(enum refusal_kind k);   /* "route_ip_blocked" ...: the closed list */

#define ROUTE_ID_MAX 0xfffffu /* slots are numbered id << 12 | index */

struct compile_options {
	const char *table, *owner;
	uint32_t generation;
	const uint32_t *ids; /* route id of p->routes[i] */
	/* spctl itself turned forwarding on: drop forwarded traffic that is not ours. */
	bool guard_v4, guard_v6;
	/* It turned route_localnet on, or is about to: nobody outside may talk to 127.0.0.0/8. */
	bool guard_loopback;
	/* No flow of ours is left: a plan without kernel routes has to keep none alive, and what
	 * passes through this host is not tracked for our sake. */
	bool no_flows;
};

/* Does this table keep flows alive whose routes are gone? */
bool ruleset_keeps_flows(const struct ruleset *rs);

/* The sealed ruleset, or NULL (e says why). A plan without kernel routes gives the table
 * that only lets established flows end. */
struct ruleset *ruleset_compile(const struct plan *p, const struct compile_options *o,
				struct err *e);

/* Does some element of such a table lead UDP somewhere? */
bool ruleset_leads_udp(const struct ruleset *rs);

/*
 * What must stand before forwarding is turned on: the table with nothing but
 * base chains that drop forwarded traffic which is not ours, and, where
 * guard_loopback says so, what the network sends to 127.0.0.0/8. Later rulesets
 * have the first in their forward chain. ruleset_without_guard() is the other
 * side of that difference: of `have`, the chains that ruleset_guard() writes.
 */
struct ruleset *ruleset_guard(const struct compile_options *o, struct err *e);
struct ruleset *ruleset_without_guard(const struct compile_options *o, const struct ruleset *have,
				      struct err *e);

#endif
