/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slot blocks of load-balanced routes. Round robin: one slot per unit of
 * weight, interleaved (smooth weighted round robin), so that numgen's exact
 * sequence is the distribution. Hashing: a fixed number of slots, each given
 * to the target with the highest weighted score for it (rendezvous hashing,
 * Thaler & Ravishankar 1998; weights as in Schindelhauer & Schomaker 2005).
 */
#include <math.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/ruleset_compile_internal.h"

#define HASH_SLOTS	1024 /* up to HASH_FEW targets */
#define HASH_FEW	32
#define HASH_SLOTS_MANY 4096

static unsigned gcd(unsigned a, unsigned b)
{
	while (b) {
		unsigned t = a % b;

		a = b;
		b = t;
	}
	return a;
}

unsigned slots_round_robin(const unsigned *weights, unsigned n, uint16_t slot[MAX_SLOTS])
{
	int current[MAX_SLOTS] = { 0 };
	unsigned divisor = 0, total = 0;

	for (unsigned i = 0; i < n; i++)
		divisor = gcd(weights[i], divisor);
	for (unsigned i = 0; i < n; i++)
		total += weights[i] / divisor;
	if (!n || n > MAX_SLOTS || total > MAX_SLOTS)
		return 0;
	for (unsigned s = 0; s < total; s++) {
		unsigned best = 0;

		for (unsigned i = 0; i < n; i++) {
			current[i] += (int)(weights[i] / divisor);
			if (current[i] > current[best])
				best = i;
		}
		current[best] -= (int)total;
		slot[s] = (uint16_t)best;
	}
	return total;
}

/* In (0, 1), from the 53 top bits of a well-mixed hash. */
static double unit(uint64_t key, uint32_t slot)
{
	uint64_t h = text_hash(&slot, sizeof(slot), key);

	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdull;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ull;
	h ^= h >> 33;
	return ((double)(h >> 11) + 0.5) / 9007199254740992.0;
}

unsigned slots_hash(const uint64_t *keys, const unsigned *weights, unsigned n,
		    uint16_t slot[MAX_SLOTS])
{
	unsigned total = n <= HASH_FEW ? HASH_SLOTS : HASH_SLOTS_MANY;

	for (uint32_t s = 0; s < total; s++) {
		double best = -1;

		for (unsigned i = 0; i < n; i++) {
			double score = -(double)weights[i] / log(unit(keys[i], s));

			if (score <= best)
				continue;
			best = score;
			slot[s] = (uint16_t)i;
		}
	}
	return n ? total : 0;
}
