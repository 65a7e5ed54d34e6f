/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_batch: one nf_tables transaction as bytes. Each message has a sequence
 * number (its position) and a note of what it stands for, so that a refusal,
 * which names only the number, leads back to a rule or element and its place
 * in the config. Sets, chains and rules are borrowed until nft_batch_fini().
 * Out of memory is remembered and found by nft_batch_failed().
 */
#ifndef CTL_NFT_NFT_BATCH_H
#define CTL_NFT_NFT_BATCH_H

#include "ctl/base/buf.h"
#include "ctl/nft/ruleset.h"

struct nlmsghdr;

enum nft_note_kind {
	NFT_NOTE_BEGIN,
	NFT_NOTE_TABLE,
	NFT_NOTE_SET,
	NFT_NOTE_CHAIN,
	NFT_NOTE_RULE,
	NFT_NOTE_FLUSH,
	NFT_NOTE_ELEMS,
	NFT_NOTE_END,
};

struct nft_note {
	enum nft_note_kind kind;
	uint32_t offset; /* of the message in the batch */
	union {
		const struct rs_set *set;     /* SET, ELEMS */
		const struct rs_chain *chain; /* CHAIN, RULE, FLUSH */
	};
	size_t first, n; /* RULE: its index; ELEMS: range in batch.elems */
};

struct nft_batch {
	const char *table;
	struct buf bytes;
	struct nft_note *notes; /* index = sequence number */
	size_t n_notes, cap_notes;
	uint32_t *elems; /* element indices of all element messages, in order */
	size_t n_elems, cap_elems;
	uint32_t set_id;
	/* the element message that is being filled; offset 0 = none */
	uint32_t open_offset, open_list;
	const struct rs_set *open_set;
	size_t open_stride;
	uint16_t open_type;
	bool failed;
};

/* Starts a batch; genid 0 = no check of the ruleset generation. */
void nft_batch_begin(struct nft_batch *b, const char *table, uint32_t genid);
void nft_batch_fini(struct nft_batch *b);
bool nft_batch_failed(const struct nft_batch *b);
/* Without an end the kernel validates everything and rolls it back. */
void nft_batch_end(struct nft_batch *b);

/* flags: NLM_F_*; owner NULL = without userdata. */
void nft_batch_table(struct nft_batch *b, uint16_t type, uint16_t flags, const char *owner);
void nft_batch_new_set(struct nft_batch *b, const struct rs_set *s);
void nft_batch_del_set(struct nft_batch *b, const struct rs_set *s);
void nft_batch_new_chain(struct nft_batch *b, const struct rs_chain *c);
void nft_batch_del_chain(struct nft_batch *b, const struct rs_chain *c);
/* Deletes all rules of a chain. */
void nft_batch_flush(struct nft_batch *b, const struct rs_chain *c);
void nft_batch_rule(struct nft_batch *b, const struct rs_chain *c, size_t i);
/* A rule whose attributes (table and chain first) the caller writes before the next call; the
 * caller adds its aligned length to bytes.len. NULL when out of memory. */
struct nlmsghdr *nft_batch_raw_rule(struct nft_batch *b, const struct rs_chain *c);
/* Element i of s is added / deleted; neighbours of one set and type share messages. */
void nft_batch_elem(struct nft_batch *b, uint16_t type, const struct rs_set *s, uint32_t i);

/*
 * Rewrites the element message `seq` as one message an element and drops what
 * follows it: a check-only batch whose refusal names the element. The new
 * messages have the numbers seq, seq + 1 ...
 */
void nft_batch_split(struct nft_batch *out, const struct nft_batch *b, uint32_t seq);

/* The message of that number; NULL when there is none. */
const struct nlmsghdr *nft_batch_message(const struct nft_batch *b, uint32_t seq);
/* "rule 3 of chain dec4" ... into what; the place in the config or RS_NO_PLACE. */
uint32_t nft_batch_describe(const struct nft_batch *b, uint32_t seq, char *what, size_t cap);

/* nft_diff.c: what turns have into want; adds no message where both are the same. */
struct nft_change_stats;
int nft_diff(struct nft_batch *b, const struct ruleset *have, const struct ruleset *want,
	     struct nft_change_stats *stats, struct err *e);
/* The whole of want as new objects. */
int nft_diff_all(struct nft_batch *b, const struct ruleset *want, struct nft_change_stats *stats,
		 struct err *e);

#endif
