/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tags of targets: 32 bits of a hash over address and port, so that a target has the
 * same one whatever else changes in its route. Should two targets of a route
 * ever meet, the whole route hashes anew with another seed.
 */
#include <errno.h>
#include <stdlib.h>

#include "ctl/base/text.h"
#include "ctl/plan/plan_internal.h"

struct tagged {
	uint64_t key; /* the target's identity */
	uint32_t tag;
};

static uint64_t identity(const struct plan_target *t)
{
	int32_t port[3] = { (int32_t)t->target->port_kind, t->target->port, t->addr.family };

	return text_hash(port, sizeof(port), text_hash(t->addr.bytes, sizeof(t->addr.bytes), 0));
}

static uint32_t tag_of(uint64_t key, uint64_t seed)
{
	uint64_t h = seed ? text_hash(&key, sizeof(key), seed) : key;
	uint32_t tag = (uint32_t)(h ^ h >> 32);

	return tag ? tag : 1;
}

static int tagged_cmp(const void *va, const void *vb)
{
	const struct tagged *a = va, *b = vb;

	return a->tag != b->tag ? (a->tag < b->tag ? -1 : 1)
				: (a->key > b->key) - (a->key < b->key);
}

/* Sorts v; false when one tag stands for two targets. */
static bool tags_differ(struct tagged *v, unsigned n)
{
	qsort(v, n, sizeof(*v), tagged_cmp);
	for (unsigned i = 1; i < n; i++)
		if (v[i].tag == v[i - 1].tag && v[i].key != v[i - 1].key)
			return false;
	return true;
}

int plan_tag_targets(struct plan_route *r)
{
	unsigned n = r->n_targets;
	struct tagged *v;
	uint64_t seed = 0;

	if (n < 2) {
		if (n)
			r->targets[0].tag = tag_of(identity(&r->targets[0]), 0);
		return 0;
	}
	v = calloc(n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	do {
		for (unsigned i = 0; i < n; i++) {
			uint64_t key = identity(&r->targets[i]);

			r->targets[i].tag = tag_of(key, seed);
			v[i] = (struct tagged){ key, r->targets[i].tag };
		}
		seed++;
	} while (!tags_differ(v, n));
	free(v);
	return 0;
}
