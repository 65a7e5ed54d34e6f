/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_parse: the kernel's answers, from bytes to a ruleset. No sockets here,
 * so that it can be fuzzed: any bytes are safe. Unknown attributes are skipped
 * (newer kernels send more); what we could never have written is marked
 * foreign. Attributes of other tables are ignored.
 */
#ifndef CTL_NFT_NFT_PARSE_H
#define CTL_NFT_NFT_PARSE_H

#include "ctl/nft/nft.h"

struct nlmsghdr;

/* One element of a set of counters. */
struct nft_count {
	uint8_t key[16]; /* the flow label: four words of the host */
	uint64_t packets, bytes;
};
struct nft_counts {
	struct nft_count *v; /* owned; free with nft_counts_fini() */
	size_t n, cap;
	size_t seen; /* elements, also those that are no counters */
	bool failed; /* out of memory */
};
void nft_counts_fini(struct nft_counts *c);

/* Steps over the next whole message; NULL when what is left is none. */
const struct nlmsghdr *nft_next_message(const uint8_t **p, size_t *left);
/* The number that NLMSG_ERROR and NLMSG_DONE begin with: 0 or a negative errno. */
int nft_message_code(const struct nlmsghdr *nlh);

/* Collects the answers to one request after the other. */
struct nft_answer {
	uint32_t seq;	  /* of the request: other messages are ignored */
	bool done;	  /* the answer is complete */
	bool interrupted; /* the ruleset changed under the dump (NLM_F_DUMP_INTR) */
	int error;	  /* 0 or the kernel's negative errno */
	uint32_t genid;
	uint32_t use, seen; /* objects that the table says it has; that came */
	/* Other tables with a spctl's mark. */
	struct nft_tables others;
	/* Elements with a counter are put here, not into the ruleset; NULL = not asked for. */
	struct nft_counts *counts;
};

/* Fills rs (not sealed yet) and a. bytes must be aligned to 4. */
void nft_parse_answer(const void *bytes, size_t len, struct ruleset *rs, struct nft_answer *a);

struct nft_kernel_error {
	uint32_t seq;
	int code;	 /* negative errno */
	uint32_t offset; /* of the attribute in our message, 0 = not given */
	char text[128];	 /* the kernel's own words, or "" */
};

/* Answers to a batch: the first error, and whether the one ack came. */
struct nft_batch_answer {
	bool acked, refused;
	struct nft_kernel_error first;
};

void nft_parse_batch_answer(const void *bytes, size_t len, struct nft_batch_answer *a);
/* The name of the expression that the kernel's offset points at in our message (NULL = none): the
 * list element or the name itself. NULL when it is something else. */
const char *nft_refused_expr(const struct nlmsghdr *nlh, uint32_t offset);

#endif
