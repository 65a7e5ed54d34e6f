/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipAllowList and ipBlockList. Each list is one interval set a family, so that
 * its length does not show in the time a connection takes. Equal lists are one
 * set, whichever routes have them; it bears the number of the first of these
 * routes, and those of defaults.security bear NUMBER_OF_DEFAULTS. Not a number
 * made from what is in the list: one changed entry would then be a new set.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset_compile_internal.h"

static uint64_t list_hash(const struct addr_set *list, bool allow)
{
	return text_hash(list->v, list->n * sizeof(*list->v), allow);
}

static size_t list_slot(const struct list_index *ix, const struct shared_list *l)
{
	size_t k = (size_t)(l->hash ^ l->hash >> 32) & (ix->cap - 1);
	const struct shared_list *o;

	for (; (o = &ix->v[k])->list; k = (k + 1) & (ix->cap - 1))
		if (o->hash == l->hash && o->allow == l->allow && addr_set_equal(o->list, l->list))
			break;
	return k;
}

static int lists_grow(struct list_index *ix)
{
	struct list_index bigger = { .cap = ix->cap ? ix->cap * 2 : 64, .n = ix->n };

	if (2 * (ix->n + 1) <= ix->cap)
		return 0;
	bigger.v = calloc(bigger.cap, sizeof(*bigger.v));
	if (!bigger.v)
		return -ENOMEM;
	for (size_t i = 0; i < ix->cap; i++)
		if (ix->v[i].list)
			bigger.v[list_slot(&bigger, &ix->v[i])] = ix->v[i];
	free(ix->v);
	*ix = bigger;
	return 0;
}

uint32_t comp_list(struct compiler *c, const struct addr_set *list, bool allow, uint32_t number)
{
	const struct shared_list mine = { list, list_hash(list, allow), number, allow };
	size_t k;

	if (!list->n)
		return NO_NUMBER;
	if (lists_grow(&c->lists)) {
		comp_fail(c, -ENOMEM, "out of memory");
		return NO_NUMBER;
	}
	k = list_slot(&c->lists, &mine);
	if (!c->lists.v[k].list) {
		c->lists.v[k] = mine;
		c->lists.n++;
	}
	return c->lists.v[k].number;
}

struct rs_set *comp_address_set(struct compiler *c, const char *name, const struct addr_set *list,
				int f, uint32_t place)
{
	struct rs_set_def def = { .flags = NFT_SET_INTERVAL,
				  .key_type = f == V4 ? RS_TYPE_IP : RS_TYPE_IP6,
				  .key_len = addr_bytes(f) };
	struct rs_set *s;

	if (!addr_set_has_family(list, addr_family(f)))
		return NULL;
	s = ruleset_find_set(c->rs, name);
	if (s)
		return s;
	memcpy(def.name, name, strlen(name) + 1);
	s = ruleset_set(c->rs, &def, place);
	if (!s)
		comp_fail(c, -ENOMEM, "out of memory");
	for (size_t i = 0; i < list->n && s; i++) {
		struct addr end = list->v[i].hi;

		if (end.family != addr_family(f))
			continue;
		rs_set_add(s, c->rs, list->v[i].lo.bytes, 0, NULL, place);
		if (addr_next(&end)) /* what reaches to the last address has no end element */
			rs_set_add(s, c->rs, end.bytes, NFT_SET_ELEM_INTERVAL_END, NULL, place);
	}
	return s;
}

static struct rs_set *list_set(struct compiler *c, const struct addr_set *list, bool allow,
			       uint32_t number, int f, uint32_t place)
{
	char name[RS_NAME_MAX];

	snprintf(name, sizeof(name), "%s%u_%c", allow ? "allow" : "block", number,
		 f == V4 ? '4' : '6');
	return comp_address_set(c, name, list, f, place);
}

static void rule_in_list(struct compiler *c, struct rs_chain *chain, int f, const struct rs_set *s,
			 bool invert, uint32_t place)
{
	struct nx x = nx_new();

	comp_is_family(&x, f);
	nx_load_saddr(&x, nfproto(f), 8);
	nx_lookup_set(&x, s->def.name, NX_R(8), invert);
	comp_refuse(c, &x, REFUSED_LIST);
	comp_rule(c, chain, &x, invert ? "ipAllowList" : "ipBlockList", place);
}

bool comp_list_rules(struct compiler *c, struct rs_chain *chain, int f, const struct policy *p,
		     const struct cfg_security *s, uint32_t place)
{
	const struct rs_set *set;
	struct nx x;

	set = p->block == NO_NUMBER ? NULL : list_set(c, &s->block, false, p->block, f, place);
	if (set)
		rule_in_list(c, chain, f, set, false, place);
	set = p->allow == NO_NUMBER ? NULL : list_set(c, &s->allow, true, p->allow, f, place);
	if (set)
		rule_in_list(c, chain, f, set, true, place);
	if (set || p->allow == NO_NUMBER)
		return true;
	x = nx_new();
	comp_refuse(c, &x, REFUSED_LIST);
	comp_rule(c, chain, &x, "ipAllowList has nobody of this family", place);
	return false;
}
