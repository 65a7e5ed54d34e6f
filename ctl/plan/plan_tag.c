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

uint64_t plan_target_key(const struct cfg_target *t, const struct addr *a)
{
	int32_t port[3] = { (int32_t)t->port_kind, t->port, a->family };

	return text_hash(port, sizeof(port), text_hash(a->bytes, sizeof(a->bytes), 0));
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

int plan_tag_keys(const uint64_t *keys, unsigned n, uint32_t *tags)
{
	struct tagged *v = calloc(n + 1, sizeof(*v));
	uint64_t seed = 0;

	if (!v)
		return -ENOMEM;
	do {
		for (unsigned i = 0; i < n; i++) {
			tags[i] = tag_of(keys[i], seed);
			v[i] = (struct tagged){ keys[i], tags[i] };
		}
		seed++;
	} while (!tags_differ(v, n));
	free(v);
	return 0;
}

static uint64_t key_of(const struct plan_target *t)
{
	return plan_target_key(t->target, &t->addr);
}

int plan_tag_targets(struct plan_route *r)
{
	unsigned n = r->n_targets;
	uint64_t *keys;
	uint32_t *tags;
	int rc = -ENOMEM;

	if (n < 2) {
		if (n)
			r->targets[0].tag = tag_of(key_of(&r->targets[0]), 0);
		return 0;
	}
	keys = calloc(n, sizeof(*keys));
	tags = calloc(n, sizeof(*tags));
	for (unsigned i = 0; keys && i < n; i++)
		keys[i] = key_of(&r->targets[i]);
	if (keys && tags)
		rc = plan_tag_keys(keys, n, tags);
	for (unsigned i = 0; !rc && i < n; i++)
		r->targets[i].tag = tags[i];
	free(keys);
	free(tags);
	return rc;
}
