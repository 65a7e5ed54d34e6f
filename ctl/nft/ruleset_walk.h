/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ruleset_walk: the way of one new connection's first packet through a table:
 * which chains it enters, what is looked up, what is found and what is done.
 *
 * The rules that are followed are those of `want`, as they were compiled; a
 * rule of `have` counts as known when its hash says that it is the same. All
 * elements are those of `have`. So the walk is what the kernel does, also where
 * that is not what the routes say, and it ends where somebody else's rule decides.
 * Pure: what has to be asked for stands in struct walk_world.
 */
#ifndef CTL_NFT_RULESET_WALK_H
#define CTL_NFT_RULESET_WALK_H

#include "ctl/base/addr.h"
#include "ctl/nft/route_ids.h"
#include "ctl/nft/ruleset.h"

/* ADDR_NONE = not known: `address` is then one of this host, with no keys of its own. */
struct walk_packet {
	bool local; /* from this host itself */
	int family; /* ADDR_V4, ADDR_V6 */
	uint8_t proto;
	uint16_t port;
	struct addr address, client;
};

/* Any function may be NULL: not known. */
struct walk_world {
	const struct ruleset *have;  /* sealed */
	const struct ruleset *want;  /* sealed, as ruleset_compile() made it */
	const struct route_ids *ids; /* names; NULL = numbers alone */
	bool (*is_local)(const struct addr *a, void *arg);
	/* Does the way to `target` leave by the interface that `client` comes in by? */
	bool (*is_hairpin)(const struct addr *client, const struct addr *target, void *arg);
	/* Live connections, of a route (0 = of all) and a client (ADDR_NONE = of all; IPv6: of its
	 * /64); -1 = not known. */
	long (*live)(uint32_t route, const struct addr *client, void *arg);
	/* Does the dynamic set have that element? 1, 0, -1 = not known. */
	int (*has)(const char *set, const void *key, uint32_t len, void *arg);
	void *arg;
};

enum walk_what {
	WALK_ADDRESS, /* is it addressed to this host */
	WALK_LOOKUP,
	WALK_LIST,
	WALK_RATE,
	WALK_CONNECTIONS,
	WALK_LABEL,
	WALK_BALANCE,
	WALK_COUNT,
	WALK_MAX_RATE,
	WALK_DNAT,
	WALK_REDIRECT,
	WALK_MASQUERADE,
	WALK_HAIRPIN,
	WALK_REFUSE,
	WALK_DROP,
	WALK_CHANGED, /* by hand */
};
const char *walk_what_name(enum walk_what what);

struct walk_step {
	enum walk_what what;
	char chain[RS_NAME_MAX];
	char object[64];  /* "map id4" */
	char key[112];	  /* "tcp . 9000" */
	char result[200]; /* "route 3 \"web\"" */
	/* WALK_COUNT, and the targets of WALK_BALANCE: whose counter in which set ("" = none);
	 * label[3] 0 = of any target */
	char set[RS_NAME_MAX];
	uint32_t label[4];
};

struct walk_target {
	uint32_t label[4];
	unsigned share;	  /* of walk.shares */
	struct addr addr; /* ADDR_NONE: nowhere, its element is missing */
	uint16_t port;
	bool local;
};

enum walk_verdict {
	WALK_PASSES,  /* as if there were no spctl */
	WALK_LED,     /* to one of the targets */
	WALK_REFUSED, /* with reset or ICMP, and counted */
	WALK_DROPPED,
	WALK_OPEN,    /* that depends on the client, which is not known */
	WALK_UNKNOWN, /* what was changed by hand decides */
};
const char *walk_verdict_name(enum walk_verdict v);

struct walk {
	enum walk_verdict verdict;
	struct walk_step *steps; /* in their order */
	size_t n_steps, cap_steps;
	uint32_t label[4]; /* [0] 0 = no route has it; [3] 0 = several targets */
	int refusal;	   /* enum refusal_kind with WALK_REFUSED, else -1 */
	struct walk_target *targets;
	size_t n_targets, cap_targets;
	unsigned shares; /* of all slots, those without an element too */
	bool redirected, masqueraded, hairpin;
	bool forwarded;	 /* leaves this host */
	bool by_client;	 /* somewhere the client would matter, which is not known */
	bool by_address; /* the same of the address */
	bool changed;	 /* it met what was changed by hand */
	/* The kernel keeps to itself what would decide: with WALK_LED, whether the client has
	 * connected too often of late; with WALK_REFUSED, whether it counts all that live. */
	bool rate_open, count_open;
};

/* Fills *out; free with walk_fini(). 0 or -ENOMEM. */
int walk_run(const struct walk_world *world, const struct walk_packet *p, struct walk *out);
void walk_fini(struct walk *w);
/* The same route, targets and shares, refusal? */
bool walk_same_end(const struct walk *a, const struct walk *b);
/* NULL when there is none. */
const char *walk_route_name(const struct route_ids *ids, uint32_t id);

#endif
