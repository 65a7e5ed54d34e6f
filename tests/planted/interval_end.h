/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ends of intervals that come one too early, in the map elements which
 * ruleset_compile_cell.c adds; PLANTED_KEY says in maps with which kind of key.
 * An interval of one port or address stays: the kernel would not take it.
 */
#include <string.h>

#include "ctl/nft/ruleset_compile_internal.h"

static uint8_t last_start[16];

static void planted_goto(struct rs_set *s, struct ruleset *rs, const void *key, const char *chain,
			 uint32_t place)
{
	if (s->def.key_len <= sizeof(last_start))
		memcpy(last_start, key, s->def.key_len);
	rs_set_add_goto(s, rs, key, chain, place);
}

static void planted_add(struct rs_set *s, struct ruleset *rs, const void *key, uint32_t flags,
			const void *data, uint32_t place)
{
	uint8_t early[24];
	uint32_t i = s->def.key_len;

	memcpy(early, key, i);
	if (flags & NFT_SET_ELEM_INTERVAL_END && PLANTED_KEY(s->def.key_type)) {
		while (i-- && !early[i]--)
			;
		if (memcmp(early, last_start, s->def.key_len) > 0)
			key = early;
	}
	rs_set_add(s, rs, key, flags, data, place);
}

#define rs_set_add	planted_add
#define rs_set_add_goto planted_goto
