/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_socket: the netlink socket under nft.h: requests with their answers and
 * transactions with theirs. One thread per struct nft.
 */
#ifndef CTL_NFT_NFT_SOCKET_H
#define CTL_NFT_NFT_SOCKET_H

#include "ctl/nft/nft.h"
#include "ctl/nft/nft_batch.h"
#include "ctl/nft/nft_parse.h"

struct mnl_socket;
struct nlmsghdr;

struct nft {
	struct mnl_socket *socket;
	uint32_t seq; /* of the last request; apart from batches, which count from 0 */
	char *reply;  /* NFT_REPLY_MAX bytes */
	nft_sending *sending;
	void *sending_arg;
	const struct nft_tables *delete_too; /* may be NULL */
};

/* A request in `buf` (at least NFT_REQUEST_MAX bytes); attributes are the caller's. */
#define NFT_REQUEST_MAX 1024
struct nlmsghdr *nft_request_new(struct nft *n, char *buf, uint16_t type, uint16_t flags);
/*
 * Sends it and parses the whole answer into rs and a. -EINTR: the answer was
 * interrupted by a change of the ruleset, ask again. The kernel's own refusal
 * is returned as its code without a sentence in e.
 */
int nft_request(struct nft *n, const struct nlmsghdr *nlh, struct ruleset *rs, struct nft_answer *a,
		struct err *e);
/* The same for what is no ruleset: reader is given the answer piece by piece and sets a->done,
 * a->interrupted and a->error as nft_parse_answer() does. */
typedef void nft_reader(const void *bytes, size_t len, void *arg, struct nft_answer *a);
int nft_ask(struct nft *n, const struct nlmsghdr *nlh, nft_reader *reader, void *arg,
	    struct nft_answer *a, struct err *e);
/* nft_read.c: one element by its key (no interval's); rs gets it where the set `def` is in rs.
 * -ENOENT: no such table, set or element. */
int nft_request_elem(struct nft *n, struct ruleset *rs, const struct rs_set_def *def,
		     const void *key, struct nft_answer *a, struct err *e);
/* All elements of s, sorted. -EINTR: ask again. */
int nft_read_set(struct nft *n, struct ruleset *rs, struct rs_set *s, struct nft_answer *a,
		 struct err *e);
/* Sends the batch and collects every answer; an error only when that itself failed. */
int nft_transact(struct nft *n, const struct nft_batch *b, struct nft_batch_answer *a,
		 struct err *e);
/* What an errno of a request or of a whole batch means for the user; returns code. */
int nft_refused(struct err *e, int code, const char *what);
/* The sentence for a refused batch, with the object, from the first error in a. */
int nft_explain(struct nft *n, const struct nft_batch *b, const struct nft_batch_answer *a,
		struct nft_refusal *refusal, struct err *e);

#endif
