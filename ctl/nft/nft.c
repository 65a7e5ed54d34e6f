/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One commit: the difference as one batch, exactly one ack asked for (on the
 * table, the first message of every batch). An ack alone proves nothing, since
 * it comes also when a later message failed and all was rolled back: success
 * is the ack and no error.
 */
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "ctl/nft/nft_count.h"
#include "ctl/nft/nft_socket.h"

/* A table that is not ours, or has what no single message of ours removes, is replaced whole. */
static bool needs_replace(const struct ruleset *have, const struct ruleset *want)
{
	return have->exists && (!have->ours || have->foreign || strcmp(have->owner, want->owner));
}

static int put_replace(struct nft_batch *b, const struct ruleset *want,
		       struct nft_change_stats *stats, struct err *e)
{
	/* Add, delete, add: never fails, whether there is a table or not. */
	nft_batch_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK, NULL);
	nft_batch_table(b, NFT_MSG_DELTABLE, 0, NULL);
	if (!want)
		return 0;
	nft_batch_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, want->owner);
	return nft_diff_all(b, want, stats, e);
}

/* Another name: the old table goes in the transaction that makes the new one. */
static int put_move(struct nft_batch *b, const struct ruleset *have, const struct ruleset *want,
		    struct nft_change_stats *stats, struct err *e)
{
	b->table = have->table;
	nft_batch_table(b, NFT_MSG_DELTABLE, NLM_F_ACK, NULL);
	b->table = want->table;
	nft_batch_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, want->owner);
	return nft_diff_all(b, want, stats, e);
}

static int put_difference(struct nft_batch *b, const struct ruleset *have,
			  const struct ruleset *want, struct nft_change_stats *stats, struct err *e)
{
	if (!want) {
		nft_batch_table(b, NFT_MSG_DELTABLE, NLM_F_ACK, NULL);
		return 0;
	}
	if (!have->exists) {
		nft_batch_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
				want->owner);
		return nft_diff_all(b, want, stats, e);
	}
	nft_batch_table(b, NFT_MSG_NEWTABLE, NLM_F_ACK, NULL);
	return nft_diff(b, have, want, stats, e);
}

static int send_change(struct nft *n, struct nft_batch *b, unsigned flags,
		       struct nft_refusal *refusal, struct err *e)
{
	struct nft_batch_answer a;
	int rc;

	if (!(flags & NFT_CHECK_ONLY))
		nft_batch_end(b);
	if (nft_batch_failed(b))
		return err_set(e, -ENOMEM, "out of memory");
	rc = nft_transact(n, b, &a, e);
	if (rc || !a.refused)
		return rc;
	return nft_explain(n, b, &a, refusal, e);
}

void nft_on_sending(struct nft *n, nft_sending *fn, void *arg)
{
	n->sending = fn;
	n->sending_arg = arg;
}

void nft_delete_too(struct nft *n, const struct nft_tables *tables)
{
	n->delete_too = tables;
}

static void put_delete_too(const struct nft *n, struct nft_batch *b, const struct ruleset *have)
{
	const char *table = b->table;

	for (unsigned i = 0; n->delete_too && i < n->delete_too->n; i++) {
		const char *name = n->delete_too->v[i].name;

		if (!strcmp(name, table) || (have && have->exists && !strcmp(name, have->table)))
			continue;
		b->table = name;
		nft_batch_table(b, NFT_MSG_DELTABLE, 0, NULL);
	}
	b->table = table;
}

bool nft_answer_was_lost(int rc)
{
	return rc == -ENOBUFS || rc == -EPROTO || rc == -EREMOTEIO;
}

int nft_commit(struct nft *n, const struct ruleset *have, const struct ruleset *want,
	       uint32_t genid, unsigned flags, struct nft_change_stats *stats,
	       struct nft_refusal *refusal, struct err *e)
{
	bool move = want && have && have->exists && strcmp(have->table, want->table);
	bool replace =
		!move && ((flags & NFT_REPLACE) || (want && have && needs_replace(have, want)));
	const char *table = want ? want->table : have->table;
	size_t unchanged = 2; /* begin and the table */
	struct nft_carry carry = { 0 };
	struct nft_batch b;
	int rc;

	if (stats)
		*stats = (struct nft_change_stats){ 0 };
	if (refusal)
		*refusal = (struct nft_refusal){ .place = RS_NO_PLACE };
	if (!want && !replace && !have->exists)
		return 0;
	rc = want && have ? nft_carry_read(n, have, want, move || replace, &carry, e) : 0;
	if (rc)
		return rc;
	nft_batch_begin(&b, table, genid);
	if (move)
		rc = put_move(&b, have, want, stats, e);
	else if (replace)
		rc = put_replace(&b, want, stats, e);
	else
		rc = put_difference(&b, have, want, stats, e);
	put_delete_too(n, &b, have);
	if (rc || (want && !replace && !move && have->exists && b.n_notes == unchanged))
		goto out;
	nft_carry_put(&b, &carry);
	if (n->sending && stats)
		n->sending(stats, n->sending_arg);
	rc = send_change(n, &b, flags, refusal, e);
out:
	nft_batch_fini(&b);
	nft_carry_fini(&carry);
	return rc;
}
