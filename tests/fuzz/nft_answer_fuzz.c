/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dumps of our table: nft_parse_answer(), which takes tables, chains, rules, sets, elements,
 * userdata, counters and generation numbers. The input is a stream of netlink messages; whatever
 * comes out must be a ruleset that can be sealed.
 *
 * covers: ctl/nft/nft_parse.c ctl/nft/nft_attr.h
 */
#include <errno.h>

#include "ctl/nft/nft_parse.h"
#include "tests/fuzz/fuzz.h"

/* A set that is both of intervals and dynamic. */
static bool is_planted(const struct ruleset *rs)
{
	for (size_t i = 0; i < rs->n_sets; i++)
		if ((rs->sets[i]->def.flags & 0x24) == 0x24)
			return true;
	return false;
}

static uint32_t sequence_of(const void *bytes, size_t size)
{
	return size < sizeof(struct nlmsghdr) ? 0 : ((const struct nlmsghdr *)bytes)->nlmsg_seq;
}

/* Twice, as two dumps that follow each other. */
static void fuzz_dump(const void *bytes, size_t size)
{
	struct ruleset *rs = ruleset_new("t1", "", 0);
	struct nft_answer a = { .seq = sequence_of(bytes, size) };
	int rc;

	fuzz_check(rs);
	nft_parse_answer(bytes, size, rs, &a);
	nft_parse_answer(bytes, size, rs, &a);
	fuzz_check(a.error <= 0 && a.others.n <= NFT_TABLES_MAX);
	rc = ruleset_seal(rs, NULL);
	fuzz_check(!rc || rc == -EEXIST);
	fuzz_planted(is_planted(rs));
	ruleset_free(rs);
}

static void fuzz_counts(const void *bytes, size_t size)
{
	struct ruleset *rs = ruleset_new("t1", "", 0);
	struct nft_counts c = { 0 };
	struct nft_answer a = { .counts = &c, .seq = sequence_of(bytes, size) };

	fuzz_check(rs);
	nft_parse_answer(bytes, size, rs, &a);
	fuzz_check(c.n <= c.seen && !c.failed);
	nft_counts_fini(&c);
	ruleset_free(rs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *copy = fuzz_copy(data, size);

	fuzz_dump(copy, size);
	fuzz_counts(copy, size);
	free(copy);
	return 0;
}
