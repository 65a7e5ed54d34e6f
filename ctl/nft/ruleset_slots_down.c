/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slots where a target is down. The number of slots stands in the rule, and a
 * rule that is written anew begins its sequence anew; so it stays, and the slots
 * of who is down go to the others: a few elements. For these to get shares
 * that are as exact as before, a route that is checked has its sequence several
 * times over: three targets have six slots, so that each two can share the third's.
 */
#include <string.h>

#include "ctl/nft/ruleset_compile_internal.h"

#define SPARE_SLOTS 512 /* no more than that for the sake of being exact */
#define PAIRS_OF    16	/* up to so many targets, two of them that are down */

static unsigned gcd(unsigned a, unsigned b)
{
	while (b) {
		const unsigned t = a % b;

		a = b;
		b = t;
	}
	return a;
}

/* How often the sequence has to be there for the others to share what i and k have (i == k: one is
 * down). */
static unsigned times_for(const unsigned *w, unsigned n, unsigned total, unsigned i, unsigned k)
{
	const unsigned given = i == k ? w[i] : w[i] + w[k], rest = total - given;
	unsigned common = 0;

	for (unsigned j = 0; j < n; j++)
		if (j != i && j != k)
			common = gcd(w[j], common);
	return rest ? rest / gcd(rest, (unsigned)((uint64_t)given * common % rest)) : 1;
}

static void have(unsigned *times, unsigned total, unsigned wanted)
{
	const unsigned both = *times / gcd(*times, wanted) * wanted;

	if ((uint64_t)both * total <= SPARE_SLOTS)
		*times = both;
}

static unsigned times_of(const unsigned *w, unsigned n, unsigned total)
{
	unsigned times = 1;

	for (unsigned i = 0; i < n; i++)
		have(&times, total, times_for(w, n, total, i, i));
	for (unsigned i = 0; i < n && n <= PAIRS_OF; i++)
		for (unsigned k = i + 1; k < n; k++)
			have(&times, total, times_for(w, n, total, i, k));
	return times;
}

unsigned slots_repeat(unsigned n, uint16_t slot[MAX_SLOTS], unsigned total)
{
	unsigned w[MAX_SLOTS] = { 0 }, times;

	for (unsigned s = 0; s < total; s++)
		w[slot[s]]++;
	times = total ? times_of(w, n, total) : 0;
	for (unsigned t = 1; t < times; t++)
		memcpy(slot + (size_t)t * total, slot, total * sizeof(*slot));
	return times * total;
}

void slots_give_away(const unsigned *weights, const bool *down, unsigned n,
		     uint16_t slot[MAX_SLOTS], unsigned total)
{
	int64_t current[MAX_SLOTS] = { 0 }, sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += down[i] ? 0 : weights[i];
	for (unsigned s = 0; s < total && sum; s++) {
		unsigned best = n;

		if (!down[slot[s]])
			continue;
		for (unsigned i = 0; i < n; i++) {
			if (down[i])
				continue;
			current[i] += weights[i];
			if (best == n || current[i] > current[best])
				best = i;
		}
		current[best] -= sum;
		slot[s] = (uint16_t)best;
	}
}
