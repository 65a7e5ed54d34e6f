/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/nft/route_ids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"

void route_ids_fini(struct route_ids *ids)
{
	buf_fini(&ids->text);
	free(ids->at);
	free(ids->ids);
	free(ids->slots);
	*ids = (struct route_ids){ 0 };
}

static int grow(struct route_ids *ids)
{
	size_t cap = ids->cap ? ids->cap * 2 : 16;
	uint32_t *at, *v;

	if (ids->n < ids->cap)
		return 0;
	at = reallocarray(ids->at, cap, sizeof(*at));
	if (at)
		ids->at = at;
	v = reallocarray(ids->ids, cap, sizeof(*v));
	if (v)
		ids->ids = v;
	if (!at || !v)
		return -ENOMEM;
	ids->cap = cap;
	return 0;
}

int route_ids_add(struct route_ids *ids, const char *name, uint32_t id)
{
	size_t at = ids->text.len;

	if (grow(ids) || at > UINT32_MAX / 2)
		return -ENOMEM;
	buf_put(&ids->text, name, strlen(name) + 1);
	if (ids->text.failed)
		return -ENOMEM;
	ids->at[ids->n] = (uint32_t)at;
	ids->ids[ids->n++] = id;
	return 0;
}

const char *route_ids_name(const struct route_ids *ids, size_t i)
{
	return ids->text.data + ids->at[i];
}

/* The slot that has the name, or the free one where it belongs. */
static size_t slot_of(const struct route_ids *ids, const char *name)
{
	uint64_t h = text_hash(name, strlen(name), 0);
	size_t k = (size_t)(h ^ h >> 32) & (ids->n_slots - 1);

	while (ids->slots[k] && strcmp(route_ids_name(ids, ids->slots[k] - 1), name))
		k = (k + 1) & (ids->n_slots - 1);
	return k;
}

int route_ids_seal(struct route_ids *ids)
{
	size_t n = 16;

	while (n < 2 * ids->n)
		n *= 2;
	free(ids->slots);
	ids->slots = calloc(n, sizeof(*ids->slots));
	ids->n_slots = ids->slots ? n : 0;
	if (!ids->slots)
		return -ENOMEM;
	for (size_t i = 0; i < ids->n; i++) {
		size_t k = slot_of(ids, route_ids_name(ids, i));

		if (!ids->slots[k])
			ids->slots[k] = (uint32_t)i + 1;
	}
	return 0;
}

uint32_t route_ids_find(const struct route_ids *ids, const char *name)
{
	uint32_t i = ids->n_slots ? ids->slots[slot_of(ids, name)] : 0;

	return i ? ids->ids[i - 1] : 0;
}
