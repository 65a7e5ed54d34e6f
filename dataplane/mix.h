/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mix: each bit of a number changes about half of the result's (the finalizer of splitmix64). One
 * to one, and known to all: where others choose the number, it takes a seed. */
#ifndef DATAPLANE_MIX_H
#define DATAPLANE_MIX_H

#include <stdint.h>

static inline uint64_t mix(uint64_t h)
{
	h ^= h >> 30;
	h *= 0xbf58476d1ce4e5b9u;
	h ^= h >> 27;
	h *= 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

#endif
