/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ruleset_image_parse(): a file under our state directory. Checksum and
 * length are put right first, else nothing behind them would be reached. What is taken must
 * build the same bytes again.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl/nft/ruleset_image.h"

#define BOOT	"boot"
#define SUM_END (RULESET_IMAGE_SUM_OFFSET + sizeof(uint64_t))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct ruleset *rs, struct route_ids *ids, uint32_t genid)
{
	struct buf out = { 0 };
	struct ruleset *again;
	struct route_ids ids_again;
	uint32_t genid_again;

	if (ruleset_image_build(rs, ids, BOOT, genid, &out) ||
	    ruleset_image_parse(out.data, out.len, BOOT, &again, &ids_again, &genid_again) ||
	    !ruleset_equal(rs, again, NULL, 0) || genid != genid_again || ids->n != ids_again.n)
		abort();
	buf_fini(&out);
	ruleset_free(again);
	route_ids_fini(&ids_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	struct route_ids ids;
	struct ruleset *rs;
	uint32_t genid;
	uint64_t sum, length = size;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (size >= RULESET_IMAGE_LENGTH_OFFSET + sizeof(length)) {
		memcpy(copy + RULESET_IMAGE_LENGTH_OFFSET, &length, sizeof(length));
		sum = ruleset_image_checksum(copy + SUM_END, size - SUM_END);
		memcpy(copy + RULESET_IMAGE_SUM_OFFSET, &sum, sizeof(sum));
	}
	if (!ruleset_image_parse(copy, size, BOOT, &rs, &ids, &genid)) {
#ifdef FUZZ_SELFTEST
		/* The planted bug: a chain with two rules at no known hook. */
		for (size_t i = 0; i < rs->n_chains; i++) {
			if (rs->chains[i]->n == 2 && rs->chains[i]->hooknum > 4)
				abort();
		}
#endif
		check(rs, &ids, genid);
		ruleset_free(rs);
		route_ids_fini(&ids);
	}
	free(copy);
	return 0;
}
