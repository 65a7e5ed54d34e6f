/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolve_record_parse(): what the resolver child sends to root. First byte:
 * how many names were asked; the rest is the record. Whatever is taken must
 * format back to the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl/host/resolve_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[RESOLVE_RECORD_LEN];
	struct resolve_record r;

	if (!size || !resolve_record_parse(data + 1, size - 1, data[0], &r))
		return 0;
	if (r.index >= data[0] || r.n > RESOLVE_MAX_ADDRS || !r.n == !r.why[0])
		abort();
	resolve_record_format(&r, again);
	if (memcmp(again, data + 1, sizeof(again)) != 0)
		abort();
#ifdef FUZZ_SELFTEST
	/* The planted bug: behind every check, one mutation away from a seed. */
	if (r.n == 1 && r.addrs[0].family == ADDR_V6)
		abort();
#endif
	return 0;
}
