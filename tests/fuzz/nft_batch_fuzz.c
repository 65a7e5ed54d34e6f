/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers to a transaction: nft_parse_batch_answer(), and what the numbers in them lead to in the
 * batch that was sent: a message, its description, the expression at an offset.
 *
 * covers: ctl/nft/nft_parse_batch.c
 */
#include <linux/netfilter/nf_tables.h>

#include <libmnl/libmnl.h>

#include "ctl/nft/nft_batch.h"
#include "ctl/nft/nft_parse.h"
#include "tests/fuzz/fuzz.h"

static struct rs_rule rule = { .place = 3 };
static const struct rs_chain chain = { .name = "dec4", .rules = &rule, .n = 1 };

static void put_expr(struct nlmsghdr *nlh, const char *name)
{
	struct nlattr *elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM), *data;

	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, name);
	data = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, elem);
}

/* begin, table, chain, a rule of two expressions, end */
static void batch_init(struct nft_batch *b)
{
	struct nlmsghdr *nlh;
	struct nlattr *list;

	nft_batch_begin(b, "spctl", 7);
	nft_batch_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, "me");
	nft_batch_new_chain(b, &chain);
	nlh = nft_batch_raw_rule(b, &chain);
	fuzz_check(nlh);
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, "spctl");
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain.name);
	list = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
	put_expr(nlh, "fib");
	put_expr(nlh, "numgen");
	mnl_attr_nest_end(nlh, list);
	b->bytes.len += NLMSG_ALIGN(nlh->nlmsg_len);
	nft_batch_end(b);
	fuzz_check(!nft_batch_failed(b));
}

static void check_refusal(const struct nft_batch *b, const struct nft_kernel_error *k)
{
	const struct nlmsghdr *nlh = nft_batch_message(b, k->seq);
	const char *expr = nft_refused_expr(nlh, k->offset);
	char what[96];

	fuzz_check(k->code < 0 && memchr(k->text, 0, sizeof(k->text)));
	fuzz_check(nlh ? k->seq < b->n_notes : !expr);
	nft_batch_describe(b, k->seq, what, sizeof(what));
	fuzz_check(memchr(what, 0, sizeof(what)));
	if (expr)
		fuzz_check((const char *)nlh < expr && expr < (const char *)nlh + nlh->nlmsg_len);
	/* What the kernel points at is the second expression of the rule. */
	fuzz_planted(expr && !strcmp(expr, "numgen"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nft_batch_answer a = { 0 };
	static struct nft_batch batch;
	void *copy = fuzz_copy(data, size);

	if (!batch.n_notes)
		batch_init(&batch);
	nft_parse_batch_answer(copy, size, &a);
	if (a.refused)
		check_refusal(&batch, &a.first);
	free(copy);
	return 0;
}
