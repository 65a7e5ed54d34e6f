/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolve_record_parse(): what the resolver child sends to root. First byte:
 * how many names were asked; the rest is the record. Whatever is taken must
 * format back to the same bytes.
 *
 * covers: ctl/host/resolve_record.c
 */
#include "ctl/host/resolve_record.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[RESOLVE_RECORD_LEN];
	struct resolve_record r;

	if (!size || !resolve_record_parse(data + 1, size - 1, data[0], &r))
		return 0;
	fuzz_check(r.index < data[0] && r.n <= RESOLVE_MAX_ADDRS && !r.n == !!r.why[0]);
	fuzz_check(resolve_addrs_normalize(r.addrs, r.n) == r.n);
	resolve_record_format(&r, again);
	fuzz_check(!memcmp(again, data + 1, sizeof(again)));
	/* Behind every check: an answer to a later question. */
	fuzz_planted(r.n == 1 && r.index);
	return 0;
}
