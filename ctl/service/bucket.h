/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bucket: how often something may happen: `burst` times at once, then `per_s`. Pure; all zero but
 * these two is full. */
#ifndef CTL_SERVICE_BUCKET_H
#define CTL_SERVICE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	uint32_t burst, per_s;
	int64_t at_ms;
	uint64_t used_milli; /* thousandths, as of at_ms */
};

/* Once more, if it may. now_ms never goes back. */
static inline bool bucket_take(struct bucket *b, int64_t now_ms)
{
	const uint64_t back = (uint64_t)(now_ms - b->at_ms) * b->per_s;

	b->used_milli = b->used_milli > back ? b->used_milli - back : 0;
	b->at_ms = now_ms;
	if (b->used_milli + 1000 > (uint64_t)b->burst * 1000)
		return false;
	b->used_milli += 1000;
	return true;
}

#endif
