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
/* The lookups by port alone, where an address's own chain has to go on with them. */
#define CHAIN_REST_V4 "rest4"
#define CHAIN_REST_V6 "rest6"

enum { V4, V6, N_FAMILIES };

struct shift { /* one offset between listen and target ports, and the ports that need it */
	int offset;
	struct rs_set *map;
	uint8_t done[65536 / 8];
};

struct compiler {
	const struct plan *p;
	const struct compile_options *o;
	struct ruleset *rs;
	struct err *e;
	uint8_t *chain_made; /* per plan route: bit V4, V6 */
	struct shift **shifts;
	size_t n_shifts;
	bool used[N_FAMILIES];	/* some key of that family exists */
	bool tcp[N_FAMILIES];	/* ... for TCP */
	bool keyed[N_FAMILIES]; /* keys by local address exist */
	bool preserves;		/* some route keeps the client's address */
	int rc;			/* first failure; every step does nothing after it */
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

/* ruleset_compile_route.c: the chain of a route in one family; returns its name. */
const char *comp_route_chain(struct compiler *c, const struct plan_route *r, int f,
			     char name[RS_NAME_MAX]);
uint32_t comp_route_id(const struct compiler *c, const struct plan_route *r);
void comp_route_label(const struct compiler *c, const struct plan_route *r, uint32_t words[4]);
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
