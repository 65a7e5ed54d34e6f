/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes of hash sets. A set without a size grows while a transaction fills it,
 * which is slow beyond a few thousand elements (800 000 took 12 s) and makes
 * dumps unreliable for a moment afterwards. A size is a hard limit and cannot
 * be changed in place, so one that serves is kept.
 */
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "ctl/nft/ruleset.h"

#define SIZED_FROM    1024 /* elements; below that growing costs nothing */
#define SIZE_TOO_WIDE 16   /* times what is needed: then memory is given back */

static uint32_t size_for(size_t n)
{
	uint32_t size = SIZED_FROM;

	while (size < 2 * n)
		size *= 2;
	return size;
}

static bool may_have_size(const struct rs_set *s)
{
	return !(s->def.flags & NFT_SET_INTERVAL);
}

/* What a dynamic set holds is lost with it: a larger one stays. */
static void keep_dynamic(struct rs_set *s, const struct rs_set *old)
{
	if (old && old->def.size > s->def.size)
		s->def.size = old->def.size;
}

static void choose(struct rs_set *s, const struct rs_set *old)
{
	uint32_t size = s->n < SIZED_FROM ? 0 : size_for(s->n);
	uint32_t had = old ? old->def.size : 0;

	if (had && s->n <= had && had / SIZE_TOO_WIDE <= size_for(s->n))
		size = had;
	/* Growing a little is cheaper than making it anew. */
	if (old && !had && s->n < 2 * old->n)
		size = 0;
	s->def.size = size;
}

void ruleset_choose_sizes(struct ruleset *want, const struct ruleset *have)
{
	for (size_t i = 0; i < want->n_sets; i++) {
		struct rs_set *s = want->sets[i];
		const struct rs_set *old = ruleset_find_set(have, s->def.name);

		if (s->def.flags & NFT_SET_EVAL)
			keep_dynamic(s, old);
		else if (may_have_size(s))
			choose(s, old);
	}
}
