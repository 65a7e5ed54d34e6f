/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address lists of the table. Thousands of routes may have the one of defaults.security: equal
 * lists are found by hash and sent once. */
#include <errno.h>
#include <stdlib.h>

#include "ctl/base/text.h"
#include "ctl/control/compile_internal.h"

int compile_sets_init(struct compile_job *j)
{
	size_t most = 3 * (size_t)j->p->n_routes + 4;

	for (j->n_slots = 16; j->n_slots < 2 * most; j->n_slots *= 2)
		;
	j->by_hash = calloc(j->n_slots, sizeof(*j->by_hash));
	return j->by_hash ? 0 : -ENOMEM;
}

void compile_sets_fini(struct compile_job *j)
{
	free(j->by_hash);
}

static uint64_t set_hash(const struct addr_set *s)
{
	uint64_t h = s->n;

	for (size_t i = 0; i < s->n; i++) {
		const struct addr_range *r = &s->v[i];

		h = text_hash(&r->lo.family, 1, h);
		h = text_hash(r->lo.bytes, sizeof(r->lo.bytes), h);
		h = text_hash(r->hi.bytes, sizeof(r->hi.bytes), h);
	}
	return h;
}

static json_t *set_json(const struct addr_set *s)
{
	json_t *v = json_array();
	char text[ADDR_RANGE_TEXT];

	for (size_t i = 0; v && i < s->n; i++)
		if (json_array_append_new(v, json_string(addr_range_format(&s->v[i], text)))) {
			json_decref(v);
			return NULL;
		}
	return v;
}

json_t *compile_set(struct compile_job *j, const struct addr_set *s)
{
	uint64_t h = set_hash(s);
	size_t k = (size_t)(h ^ h >> 32) & (j->n_slots - 1);
	struct compile_set *slot;

	for (; (slot = &j->by_hash[k])->set; k = (k + 1) & (j->n_slots - 1))
		if (slot->set == s || (slot->hash == h && addr_set_equal(slot->set, s)))
			return json_integer(slot->index);
	if (json_array_append_new(j->sets, set_json(s)))
		return NULL;
	*slot = (struct compile_set){ s, h, j->n_sets++ };
	return json_integer(slot->index);
}
