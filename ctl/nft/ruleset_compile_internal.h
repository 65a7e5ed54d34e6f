/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of ruleset_compile(); only ruleset_compile*.c and ruleset_slots.c include this. */
#ifndef CTL_NFT_RULESET_COMPILE_INTERNAL_H
#define CTL_NFT_RULESET_COMPILE_INTERNAL_H

#include "ctl/nft/nft_expr.h"
#include "ctl/nft/ruleset_compile.h"

/* Ranges of at most this many ports are single elements: hash maps are cheaper to change. */
#define SMALL_RANGE 16
#define MAX_SLOTS   4096
#define NO_ID	    0
#define ROUTE_NOTED 0x80 /* what holds for all its families is done */
/* The lookups by port alone, where an address's own chain has to go on with them. */
#define CHAIN_REST_V4 "rest4"
#define CHAIN_REST_V6 "rest6"

/* pol4, pola4: where plain ports go whose route has lists or limits of its own. */
#define STEM_POLICY "pol"
/* user4, usera4: by which label a port of user space counts its refusals; and the chain it has. */
#define STEM_USER "user"

enum { V4, V6, N_FAMILIES };

/* ct state as nftables sees it: 1 << (ctinfo + 1), and bit 0 for invalid */
enum { CT_STATE_INVALID = 1, CT_STATE_NEW = 8 };

#define LO_INDEX    1u /* the loopback device has index 1 in every namespace */
#define LABEL_BYTES 16

struct shift { /* one offset between listen and target ports, and the ports that need it */
	int offset;
	struct rs_set *map;
	uint8_t done[65536 / 8];
};

/* Equal lists, and equal policies, bear one number: that of the first route which has them. */
#define NO_NUMBER	   UINT32_MAX
#define NUMBER_OF_DEFAULTS 0 /* no route has it */

struct list_index {
	struct shared_list {
		const struct addr_set *list;
		uint64_t hash;
		uint32_t number;
		bool allow;
	} * v; /* open addressing; list NULL = free */
	size_t cap, n;
};

/* What security says of a route, without padding: it is hashed and compared as bytes. */
struct policy {
	uint32_t block, allow; /* numbers of lists, or NO_NUMBER */
	uint32_t per_minute, per_client, at_once;
};

struct policy_index {
	struct numbered_policy {
		struct policy policy;
		uint32_t number;
		bool used;
	} * v; /* open addressing */
	size_t cap, n;
};

struct compiler {
	const struct plan *p;
	const struct compile_options *o;
	struct ruleset *rs;
	struct err *e;
	uint8_t *chain_made; /* per plan route: bit V4, V6; ROUTE_NOTED */
	struct shift **shifts;
	size_t n_shifts;
	bool used[N_FAMILIES];	/* some key of that family exists */
	bool tcp[N_FAMILIES];	/* ... for TCP */
	bool keyed[N_FAMILIES]; /* keys by local address exist */
	bool users[N_FAMILIES]; /* some port of user space is counted */
	bool translates;	/* some route is the kernel's; else keys lead to user space only */
	bool preserves;		/* some route keeps the client's address */
	bool refuses[N_REFUSALS];
	bool polices; /* some route has a maxRate */
	struct list_index lists;
	struct policy_index policies;
	uint32_t *policy_of; /* per plan route; NO_NUMBER = not looked up yet */
	int rc;		     /* first failure; every step does nothing after it */
};

static inline uint8_t nfproto(int f)
{
	return f == V4 ? 2 : 10; /* NFPROTO_IPV4, NFPROTO_IPV6 */
}
static inline int addr_family(int f)
{
	return f == V4 ? ADDR_V4 : ADDR_V6;
}
static inline unsigned addr_bytes(int f)
{
	return f == V4 ? 4 : 16;
}

/* ruleset_compile.c */
void comp_fail(struct compiler *c, int code, const char *what);
/* A set whose name is `stem` and the family's digit. data_len 0 = plain set. */
struct rs_set *comp_set(struct compiler *c, const char *stem, int f, uint32_t flags,
			uint32_t key_type, uint32_t key_len, uint32_t data_type, uint32_t data_len);
struct rs_chain *comp_chain(struct compiler *c, const char *name, uint32_t place);
void comp_rule(struct compiler *c, struct rs_chain *chain, struct nx *x, const char *comment,
	       uint32_t place);
/* Counts the connection and translates it: the end of every chain for plain routes. */
void comp_plain_end(struct compiler *c, struct rs_chain *chain, int f, bool keyed);
struct rs_chain *comp_base_chain(struct compiler *c, const char *name, const struct rs_hook *hook);
void comp_is_family(struct nx *x, int f);
/* The key into R8..: [daddr .] l4proto . port */
void comp_load_key(struct nx *x, int f, bool keyed);

/* ruleset_compile_packet.c: what every packet of a flow meets. */
extern const struct rs_hook comp_hook_forward, comp_hook_raw;
void comp_guard_chain(struct compiler *c, const char *name);
void comp_loopback_guard(struct compiler *c);
void comp_packet_chains(struct compiler *c);
/* The sets of the counters, and the rule that counts a connection which is let in. */
void comp_count_sets(struct compiler *c);
void comp_count_connection(struct compiler *c, struct rs_chain *chain, uint32_t place);
/* maxRate */
void comp_police(struct compiler *c, const struct plan_route *r);

/* ruleset_compile_policy.c: who is let in. */
/* To be called first: what defaults.security says has a number of its own. */
void comp_default_policy(struct compiler *c);
/* Whoever may not use the route leaves the chain here. The flow's label must be set. */
void comp_jump_policy(struct compiler *c, struct rs_chain *chain, int f,
		      const struct plan_route *r);
/* The chain that a plain route goes to from `plain4` because of its policy; false: it has none. */
bool comp_plain_policy(struct compiler *c, const struct plan_route *r, int f, bool keyed,
		       char name[RS_NAME_MAX]);
/* Ends a rule: counts, and answers with a reset. */
void comp_refuse(struct compiler *c, struct nx *x, enum refusal_kind k);
/* The chains that refuse, as far as somebody goes there. */
void comp_refusals(struct compiler *c);

/* ruleset_compile_list.c: addresses. */
/* The number of that list, which is `number` if no equal one was met before; NO_NUMBER: empty. */
uint32_t comp_list(struct compiler *c, const struct addr_set *list, bool allow, uint32_t number);
/* The addresses of one family as an interval set of that name; NULL when there are none. */
struct rs_set *comp_address_set(struct compiler *c, const char *name, const struct addr_set *list,
				int f, uint32_t place);
/* False when nobody of that family passes. */
bool comp_list_rules(struct compiler *c, struct rs_chain *chain, int f, const struct policy *p,
		     const struct cfg_security *s, uint32_t place);

/* ruleset_compile_limit.c: how many. */
/* What a client may do over all routes. */
void comp_shared_limits(struct compiler *c, struct rs_chain *chain, int f, uint32_t place);
/* The same for ports of user space: where it leads on, and what it refuses by. */
void comp_user_limits(struct compiler *c, int f);
/* The route's own. */
void comp_route_limits(struct compiler *c, struct rs_chain *chain, int f, const struct policy *p,
		       uint32_t place);

/* ruleset_compile_route.c: the chain of a route in one family; returns its name. */
const char *comp_route_chain(struct compiler *c, const struct plan_route *r, int f,
			     char name[RS_NAME_MAX]);
uint32_t comp_route_id(const struct compiler *c, const struct plan_route *r);
/* t NULL: no target is chosen yet. */
void comp_route_label(const struct compiler *c, const struct plan_route *r,
		      const struct plan_target *t, uint32_t words[4]);
/* Makes sure that the ports from..to can be shifted, where the route asks for it. */
void comp_route_ports(struct compiler *c, const struct plan_route *r, uint32_t from, uint32_t to);
const struct plan_target *comp_only_target(const struct plan_route *r, int f);

/* ruleset_compile_cell.c */
void comp_cell(struct compiler *c, const struct plan_cell *cell);

/*
 * ruleset_slots.c: which target each slot holds. targets: those of one family.
 * Returns the number of slots (<= MAX_SLOTS), slot[i] = index into targets.
 */
unsigned slots_round_robin(const unsigned *weights, unsigned n, uint16_t slot[MAX_SLOTS]);
/* Rendezvous hashing: a target that comes or goes moves only its own share, but for three steps
 * (33, 65, 129 targets) at which the slots are cut finer. keys[i] identifies target i across
 * applies; equal ones are one target, with the sum of the weights. 0 when some target with a
 * weight would get no slot. */
unsigned slots_hash(const uint64_t *keys, const unsigned *weights, unsigned n,
		    uint16_t slot[MAX_SLOTS]);

/* ruleset_slots_down.c, of a route that is checked: the sequence so often that one or two targets
 * that are down can be shared exactly, where that is not too much. Returns the new total. */
unsigned slots_repeat(unsigned n, uint16_t slot[MAX_SLOTS], unsigned total);
/* The slots of those that are down to the others, by weight; where all are, all keep theirs. */
void slots_give_away(const unsigned *weights, const bool *down, unsigned n,
		     uint16_t slot[MAX_SLOTS], unsigned total);

#endif
