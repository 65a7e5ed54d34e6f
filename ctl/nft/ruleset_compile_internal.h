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

/* Equal address lists share a set, which bears the number of the first route that has it. */
struct list_index {
	struct shared_list {
		const struct addr_set *list;
		uint64_t hash;
		uint32_t id;
		bool allow;
	} * v; /* open addressing; list NULL = free */
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
	bool preserves;		/* some route keeps the client's address */
	bool refuses[N_REFUSALS];
	bool polices; /* some route has a maxRate */
	struct list_index lists;
	int rc; /* first failure; every step does nothing after it */
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

struct rs_chain *comp_base_chain(struct compiler *c, const char *name, const struct rs_hook *hook);
void comp_is_family(struct nx *x, int f);

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
bool comp_has_policy(const struct plan_route *r);
/* The route's lists and limits, and between them the limits of all routes; a refused connection
 * leaves the chain. The flow's label must be set. False when nobody gets past them. */
bool comp_policy_rules(struct compiler *c, const struct plan_route *r, int f,
		       struct rs_chain *chain);
/* The limits of all routes alone. */
void comp_jump_limits(struct compiler *c, struct rs_chain *chain, int f, uint32_t place);
/* The chains that refuse, as far as somebody goes there. */
void comp_refusals(struct compiler *c);

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
 * applies. 0 when some target with a weight would get no slot. */
unsigned slots_hash(const uint64_t *keys, const unsigned *weights, unsigned n,
		    uint16_t slot[MAX_SLOTS]);

#endif
