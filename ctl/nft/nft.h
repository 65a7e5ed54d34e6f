/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft: the kernel's nf_tables through libmnl and libnftnl. Only our own table
 * is ever changed. One struct nft per thread; all calls block (microseconds to
 * seconds) and return 0 or a negative errno.
 */
#ifndef CTL_NFT_NFT_H
#define CTL_NFT_NFT_H

#include "ctl/nft/ruleset.h"

struct nft;
struct nftnl_expr;

struct nft *nft_open(struct err *e); /* -EPERM without CAP_NET_ADMIN is found at the first use */
void nft_close(struct nft *n);

/* The namespace's ruleset generation: moves with every commit of anybody. */
int nft_genid(struct nft *n, uint32_t *genid, struct err *e);
/* What the counter says after one more commit (it skips 0). */
uint32_t nft_genid_next(uint32_t genid);

/* Reads our table as it is. rs->exists is false where there is none (returns 0 then). */
int nft_read(struct nft *n, const char *table, struct ruleset **out, struct err *e);
/* Without elements: table, set definitions, chains, rules, config generation. */
int nft_read_shape(struct nft *n, const char *table, struct ruleset **out, struct err *e);
/* Only existence, ownership and config generation: cheap at every size. */
int nft_read_head(struct nft *n, const char *table, struct ruleset **out, struct err *e);

/* 1 if the kernel knows the expression ("numgen", "fib" ...) in an inet table, 0 if not, or
 * -errno; tried in a check-only transaction, which loads its module. */
int nft_has_expr(struct nft *n, const char *expr, struct err *e);

/* Tables with a spctl's mark. More than these are not looked at. */
#define NFT_TABLES_MAX 64
struct nft_tables {
	struct nft_marked {
		char name[RS_NAME_MAX];
		char owner[64];
	} v[NFT_TABLES_MAX];
	unsigned n;
};

/* All tables of that owner. */
int nft_find_owned(struct nft *n, const char *owner, struct nft_tables *out, struct err *e);
/* The name of a table of another owner in which some spctl of this namespace has live routes;
 * "" = none. */
int nft_find_other(struct nft *n, const char *owner, char other[RS_NAME_MAX], struct err *e);

/* A change of one object, for plan output and for the "nothing to do" test. */
struct nft_change_stats {
	unsigned sets_added, sets_deleted, chains_added, chains_deleted, chains_changed;
	size_t elems_added, elems_deleted;
};

/* fn is called when the difference is known and before it is sent; NULL = nobody is. */
typedef void nft_sending(const struct nft_change_stats *stats, void *arg);
void nft_on_sending(struct nft *n, nft_sending *fn, void *arg);

/* These tables go in the same transaction as each nft_commit() from now on makes, apart from its
 * `have` and `want`; NULL ends that. They must be there, and stay valid. */
void nft_delete_too(struct nft *n, const struct nft_tables *tables);

/* Where a kernel refusal points to: route index (RS_NO_PLACE = none) and what the message was. */
struct nft_refusal {
	uint32_t place;
	char what[128]; /* "element tcp . 80 of map id4", "rule 3 of chain dec4" */
};

enum nft_flags {
	NFT_COMMIT = 0,
	NFT_CHECK_ONLY = 1, /* validated by the kernel, then rolled back */
	NFT_REPLACE = 2,    /* ignore `have`: delete the table if there is one and write all anew */
};

/*
 * Makes the kernel's table equal to `want`, given that it is `have` now, in
 * one transaction. want NULL = delete the table; another name in want moves
 * everything there. genid is the ruleset
 * generation at which `have` was read: somebody else's commit in between is
 * -ERESTART and nothing happened (0 = do not check). *stats may be NULL.
 * A `have` that is not ours, has another owner or foreign objects is replaced
 * whole, as with NFT_REPLACE: whether that may be is the caller's question.
 * An empty difference sends nothing. On a refusal e has the kernel's reason
 * and *refusal (may be NULL) the object.
 */
int nft_commit(struct nft *n, const struct ruleset *have, const struct ruleset *want,
	       uint32_t genid, unsigned flags, struct nft_change_stats *stats,
	       struct nft_refusal *refusal, struct err *e);
/* Is that an error of nft_commit() after which the transaction may have happened all the same? */
bool nft_answer_was_lost(int rc);

/*
 * After nft_commit(have, want): does the kernel have that now? genid is what its counter says if
 * nobody committed since. Then, and if little was changed, all rules and definitions are read and
 * of the elements those that were changed; otherwise everything. Elements of sets whose contents
 * are the kernel's own are never compared.
 * 0: it has, and *seen is the counter at that moment. -EBADE: it has not, e says what differs.
 */
int nft_verify(struct nft *n, const struct ruleset *have, const struct ruleset *want,
	       uint32_t genid, uint32_t *seen, struct err *e);

#endif
