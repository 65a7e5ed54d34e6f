/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_count: the counters that live in dynamic sets (ruleset_compile.h: enum count_kind,
 * refusal_kind). The kernel makes their elements; here they are read, taken along when their
 * set has to be made anew, and deleted with their route.
 */
#ifndef CTL_NFT_NFT_COUNT_H
#define CTL_NFT_NFT_COUNT_H

#include "ctl/nft/nft.h"
#include "ctl/nft/nft_parse.h"

struct nft_batch;

/* All elements of that set, sorted by key; none where there is no such set. */
int nft_counts_read(struct nft *n, const char *table, const char *set, struct nft_counts *out,
		    struct err *e);

/* How many elements a dynamic set has just now, whatever they carry; 0 where there is no set. */
int nft_set_count(struct nft *n, const char *table, const char *set, size_t *count, struct err *e);

/* Deletes the elements of routes for which keep() is false, in all sets of counters of rs. What
 * a flow that still lives counts afterwards makes an element again. *commits: by how many the
 * kernel's generation moved. */
int nft_counts_prune(struct nft *n, const struct ruleset *rs,
		     bool (*keep)(uint32_t route_id, void *arg), void *arg, unsigned *commits,
		     struct err *e);

/* The counters of `have` that a commit of `want` would lose, as sets to add to its batch. */
struct nft_carry {
	struct rs_set **v; /* owned */
	size_t n;
};
/* anew: every set of want is made anew. What is counted between this and the commit is lost. */
int nft_carry_read(struct nft *n, const struct ruleset *have, const struct ruleset *want, bool anew,
		   struct nft_carry *out, struct err *e);
void nft_carry_put(struct nft_batch *b, const struct nft_carry *c);
void nft_carry_fini(struct nft_carry *c);

#endif
