/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's flow table: conntrack_parse(), ours alone and all. The input is a stream of netlink
 * messages.
 *
 * covers: ctl/host/conntrack_parse.c
 */
#include <netinet/in.h>

#include "ctl/host/conntrack_parse.h"
#include "ctl/nft/nft_parse.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_flow(const struct nlmsghdr *h)
{
	struct ct_flow any, ours;

	if (!conntrack_parse(h, true, &any)) {
		fuzz_check(!conntrack_parse(h, false, &ours));
		return;
	}
	fuzz_check(conntrack_parse(h, false, &ours) == (any.id != 0));
	fuzz_check(any.proto == IPPROTO_TCP || any.proto == IPPROTO_UDP);
	fuzz_check(any.client.family == any.target.family && any.local.family == any.seen.family);
	fuzz_check(conntrack_state_name(&any));
	/* A flow of ours that is over before it was answered. */
	fuzz_planted(any.id && any.closed && !any.answered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(data, size);
	const uint8_t *p = copy;
	const struct nlmsghdr *h;

	while ((h = nft_next_message(&p, &size)))
		fuzz_flow(h);
	free(copy);
	return 0;
}
