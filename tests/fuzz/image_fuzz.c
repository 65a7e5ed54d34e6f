/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ruleset_image_parse(): the files RUN/image and STATE/former-ids. Checksum and
 * length are put right first, else nothing behind them would be reached. What is taken must
 * build the same bytes again.
 *
 * covers: ctl/nft/ruleset_image.c ctl/nft/route_ids.c
 */
#include "ctl/nft/ruleset_image.h"
#include "tests/fuzz/fuzz.h"

#define BOOT	"boot"
#define SUM_END (RULESET_IMAGE_SUM_OFFSET + sizeof(uint64_t))

static void check(struct ruleset *rs, struct route_ids *ids, uint32_t genid)
{
	struct buf out = { 0 };
	struct ruleset *again;
	struct route_ids ids_again;
	uint32_t genid_again;

	fuzz_check(!ruleset_image_build(rs, ids, BOOT, genid, &out));
	fuzz_check(!ruleset_image_parse(out.data, out.len, BOOT, &again, &ids_again, &genid_again));
	fuzz_check(ruleset_equal(rs, again, NULL, 0) && genid == genid_again);
	fuzz_check(ids->n == ids_again.n);
	for (size_t i = 0; i < ids->n; i++)
		fuzz_check(route_ids_find(ids, route_ids_name(ids, i)));
	buf_fini(&out);
	ruleset_free(again);
	route_ids_fini(&ids_again);
}

/* A chain with two rules at no known hook. */
static bool is_planted(const struct ruleset *rs)
{
	for (size_t i = 0; i < rs->n_chains; i++)
		if (rs->chains[i]->n == 2 && rs->chains[i]->hooknum > 4)
			return true;
	return false;
}

static void put_right(uint8_t *copy, uint64_t size)
{
	uint64_t sum;

	if (size < RULESET_IMAGE_LENGTH_OFFSET + sizeof(size))
		return;
	memcpy(copy + RULESET_IMAGE_LENGTH_OFFSET, &size, sizeof(size));
	sum = ruleset_image_checksum(copy + SUM_END, size - SUM_END);
	memcpy(copy + RULESET_IMAGE_SUM_OFFSET, &sum, sizeof(sum));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(data, size);
	struct route_ids ids;
	struct ruleset *rs;
	uint32_t genid;

	put_right(copy, size);
	if (!ruleset_image_parse(copy, size, BOOT, &rs, &ids, &genid)) {
		fuzz_planted(is_planted(rs));
		check(rs, &ids, genid);
		ruleset_free(rs);
		route_ids_fini(&ids);
	}
	free(copy);
	return 0;
}
