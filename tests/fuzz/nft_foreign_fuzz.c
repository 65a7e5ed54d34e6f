/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tables of others: nft_foreign_parse(), and nft_judge() over what came out. The input is a
 * stream of netlink messages.
 *
 * covers: ctl/nft/nft_foreign_parse.c ctl/nft/nft_foreign_expr.c ctl/nft/nft_judge.c
 * covers: ctl/nft/nft_judge_match.c ctl/nft/nft_judge_xt.c
 */
#include "ctl/nft/nft_judge.h"
#include "ctl/nft/nft_parse.h"
#include "tests/fuzz/fuzz.h"

#define CHAINS_MAX 16

static const struct judge_packet packets[] = {
	{ .family = ADDR_V4,
	  .proto = 6,
	  .destination = { ADDR_V4, { 10, 20, 0, 2 } },
	  .port = 7000,
	  .translated = true,
	  .iif = "lan",
	  .oif = "srv" },
	{ .family = ADDR_V6, .proto = 17, .port = 53, .to_host = true },
	{ .family = ADDR_V4,
	  .proto = 6,
	  .source = { ADDR_V4, { 10, 20, 0, 2 } },
	  .source_port = 7000,
	  .reply = true,
	  .masqueraded = true },
};

static void judge(struct nft_foreign *f, const struct judge_packet *p)
{
	const unsigned all = JUDGE_ACCEPT | JUDGE_DROP | JUDGE_TRANSLATE;

	for (unsigned i = 0; i < f->n_chains && i < CHAINS_MAX; i++) {
		struct judge_verdict v;

		nft_judge(f, f->chains[i], p, &v);
		fuzz_check(v.possible && !(v.possible & ~all) && v.possible & (unsigned)v.usually);
		/* A chain that changes sources and drops the rest. */
		fuzz_planted(v.usually == JUDGE_DROP && v.side[EFFECT_SOURCE].rule);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *copy = fuzz_copy(data, size);
	struct nft_foreign *f = nft_foreign_new("t1");
	struct nft_answer a = { 0 };

	fuzz_check(f);
	if (size >= sizeof(struct nlmsghdr))
		a.seq = ((const struct nlmsghdr *)copy)->nlmsg_seq;
	/* Sets are described after the rules that name them: the second time finds them. */
	nft_foreign_parse(copy, size, f, &a);
	nft_foreign_parse(copy, size, f, &a);
	/* Looking up a chain may sort the list. */
	foreign_chain_find(f, 0, "", "");
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
		judge(f, &packets[i]);
	nft_foreign_free(f);
	free(copy);
	return 0;
}
