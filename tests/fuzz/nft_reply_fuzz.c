/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The answers of the kernel: nft_parse_answer() for dumps,
 * nft_parse_batch_answer() for transactions, and nft_foreign_parse() for the
 * tables of others. The input is a stream of netlink messages; whatever comes out
 * must be a ruleset that can be sealed, or chains that can be judged.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netlink.h>

#include "ctl/nft/nft_judge.h"
#include "ctl/nft/nft_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_batch(const void *bytes, size_t size)
{
	struct nft_batch_answer a = { 0 };

	nft_parse_batch_answer(bytes, size, &a);
	if (a.refused && (a.first.code >= 0 || !memchr(a.first.text, 0, sizeof(a.first.text))))
		abort();
}

/* Twice, as two dumps that follow each other. */
static void fuzz_dump(const void *bytes, size_t size)
{
	struct ruleset *rs = ruleset_new("t1", "", 0);
	struct nft_answer a = { 0 };
	int rc;

	if (!rs)
		return;
	if (size >= sizeof(struct nlmsghdr))
		a.seq = ((const struct nlmsghdr *)bytes)->nlmsg_seq;
	nft_parse_answer(bytes, size, rs, &a);
	nft_parse_answer(bytes, size, rs, &a);
	rc = ruleset_seal(rs, NULL);
	if (rc && rc != -EEXIST)
		abort();
#ifdef FUZZ_SELFTEST
	/* The planted bug: a set that is both of intervals and dynamic. */
	for (size_t i = 0; i < rs->n_sets; i++) {
		if ((rs->sets[i]->def.flags & 0x24) == 0x24)
			abort();
	}
#endif
	ruleset_free(rs);
}

static void fuzz_counts(const void *bytes, size_t size)
{
	struct ruleset *rs = ruleset_new("t1", "", 0);
	struct nft_counts c = { 0 };
	struct nft_answer a = { .counts = &c };

	if (!rs)
		return;
	if (size >= sizeof(struct nlmsghdr))
		a.seq = ((const struct nlmsghdr *)bytes)->nlmsg_seq;
	nft_parse_answer(bytes, size, rs, &a);
	if (c.n > c.seen)
		abort();
	nft_counts_fini(&c);
	ruleset_free(rs);
}

static void judge(struct nft_foreign *f, const struct judge_packet *p)
{
	const unsigned all = JUDGE_ACCEPT | JUDGE_DROP | JUDGE_TRANSLATE;

	/* Looking up a chain may sort the list. */
	foreign_chain_find(f, 0, "", "");
	for (unsigned i = 0; i < f->n_chains && i < 16; i++) {
		struct judge_verdict v;

		nft_judge(f, f->chains[i], p, &v);
		if (!v.possible || v.possible & ~all || !(v.possible & (unsigned)v.usually))
			abort();
	}
}

static void fuzz_foreign(const void *bytes, size_t size)
{
	static const struct judge_packet v4 = { .family = ADDR_V4,
						.proto = 6,
						.destination = { ADDR_V4, { 10, 20, 0, 2 } },
						.port = 7000,
						.translated = true,
						.iif = "lan",
						.oif = "srv" };
	static const struct judge_packet v6 = {
		.family = ADDR_V6, .proto = 17, .port = 53, .to_host = true
	};
	struct nft_foreign *f = nft_foreign_new("t1");
	struct nft_answer a = { 0 };

	if (!f)
		return;
	if (size >= sizeof(struct nlmsghdr))
		a.seq = ((const struct nlmsghdr *)bytes)->nlmsg_seq;
	/* Sets are described after the rules that name them: the second time finds them. */
	nft_foreign_parse(bytes, size, f, &a);
	nft_foreign_parse(bytes, size, f, &a);
	judge(f, &v4);
	judge(f, &v6);
	nft_foreign_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *copy = malloc(size ? size : 1); /* aligned, and its end is the end */

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	fuzz_batch(copy, size);
	fuzz_dump(copy, size);
	fuzz_counts(copy, size);
	fuzz_foreign(copy, size);
	free(copy);
	return 0;
}
