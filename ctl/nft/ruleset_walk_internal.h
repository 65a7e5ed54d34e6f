/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of walk_run(); only ruleset_walk*.c include this. */
#ifndef CTL_NFT_RULESET_WALK_INTERNAL_H
#define CTL_NFT_RULESET_WALK_INTERNAL_H

#include "ctl/nft/ruleset_walk.h"

struct nftnl_expr;

#define WALK_REGS      16 /* of 4 bytes; a 16-byte register is four of them */
#define WALK_REG_BYTES 64

/* Why the content of a register is not known. */
enum { DEP_CLIENT = 1, DEP_ADDRESS = 2, DEP_CHOICE = 4, DEP_DIRECTION = 8 };

enum walk_go {
	GO_ON,	    /* with the next expression */
	GO_BREAK,   /* with the next rule */
	GO_VERDICT, /* walker.verdict */
	GO_END,	    /* nowhere: walk.verdict is set */
};

struct walker {
	const struct walk_world *world;
	const struct walk_packet *p;
	struct walk *out;
	int rc; /* -ENOMEM */
	/* The rule at hand */
	const char *chain;
	const char *comment;
	uint8_t reg[WALK_REG_BYTES];
	uint8_t dep[WALK_REGS];
	bool of_label[WALK_REGS]; /* a word of the flow's label */
	bool told;		  /* it has a step */
	bool reply;		  /* it is for packets to the client */
	/* A slot that is drawn, first <= slot < first + n, or known: n 1 */
	struct {
		uint32_t first, n;
		char how[64];
	} slot;
	int verdict; /* NFT_GOTO, NF_DROP ... */
	char to[RS_NAME_MAX];
	/* The packet where it is now */
	bool translated, choosing; /* choosing: out->targets are the choices */
	bool to_lo;
	bool later;   /* in chains that all packets meet: one behind the first */
	int count_as; /* enum refusal_kind of the last refusal counter; -1 */
};

/* The k-th register's bytes for NFT_REG_* and NFT_REG32_*; -1 when `len` bytes do not fit. */
int walk_reg(uint32_t reg, uint32_t len);
void walk_store(struct walker *w, uint32_t reg, const void *data, uint32_t len, uint8_t dep);
uint8_t walk_dep(const struct walker *w, int at, uint32_t len);

struct walk_step *walk_step(struct walker *w, enum walk_what what, const char *object);
void walk_result(struct walk_step *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Behind what the last step says, where this rule has one. */
void walk_add_result(struct walker *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* `route 3 "web"` */
const char *walk_label_text(const struct walker *w, const uint32_t label[4], char *out, size_t cap);
enum walk_go walk_end(struct walker *w, enum walk_verdict v);

/* ruleset_walk_expr.c */
enum walk_go walk_expr(struct walker *w, const struct nftnl_expr *ex);
uint32_t walk_get(const struct nftnl_expr *ex, uint16_t attr); /* 0 where it is not set */
/* ruleset_walk_act.c */
enum walk_go walk_immediate(struct walker *w, const struct nftnl_expr *ex);
enum walk_go walk_dynset(struct walker *w, const struct nftnl_expr *ex);
enum walk_go walk_connlimit(struct walker *w, const struct nftnl_expr *ex);
enum walk_go walk_nat(struct walker *w, const struct nftnl_expr *ex);
enum walk_go walk_redirect(struct walker *w, const struct nftnl_expr *ex);
enum walk_go walk_masquerade(struct walker *w, const struct nftnl_expr *ex);
enum walk_go walk_reject(struct walker *w, const struct nftnl_expr *ex);
/* A new one with a share of 1; NULL when out of memory. */
struct walk_target *walk_add_target(struct walker *w);
/* ruleset_walk_lookup.c */
enum walk_go walk_lookup(struct walker *w, const struct nftnl_expr *ex);
/* The set as it is, when it is as it should be. */
const struct rs_set *walk_set(struct walker *w, const char *name);

#endif
