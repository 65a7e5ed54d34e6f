/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The answers of the kernel: nft_parse_answer() for dumps, and
 * nft_parse_batch_answer() for transactions. The input is a stream of netlink
 * messages; whatever comes out must be a ruleset that can be sealed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netlink.h>

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *copy = malloc(size ? size : 1); /* aligned, and its end is the end */

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	fuzz_batch(copy, size);
	fuzz_dump(copy, size);
	fuzz_counts(copy, size);
	free(copy);
	return 0;
}
