/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model while it is being filled. An object is found by name through a
 * small hash index, since a config with thousands of routes makes thousands of
 * chains; after ruleset_seal() the arrays are sorted and searched by bisection.
 * A set's elements lie in one flat array: 64k of them are one allocation of
 * 64k strides and can be sorted, compared, stored and sent without a pointer.
 */
#include <assert.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset.h"

#define FLAGS_LEN 4

struct ruleset *ruleset_new(const char *table, const char *owner, uint32_t generation)
{
	struct ruleset *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return NULL;
	snprintf(rs->table, sizeof(rs->table), "%s", table);
	snprintf(rs->owner, sizeof(rs->owner), "%s", owner ? owner : "");
	rs->exists = true;
	rs->ours = true;
	rs->generation = generation;
	return rs;
}

static void set_free(struct rs_set *s)
{
	free(s->elems);
	free(s->places);
	free(s);
}

static void chain_free(struct rs_chain *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->rules[i].rule)
			nftnl_rule_free(c->rules[i].rule);
	}
	free(c->rules);
	free(c);
}

void ruleset_free(struct ruleset *rs)
{
	if (!rs)
		return;
	for (size_t i = 0; i < rs->n_sets; i++)
		set_free(rs->sets[i]);
	for (size_t i = 0; i < rs->n_chains; i++)
		chain_free(rs->chains[i]);
	free(rs->sets);
	free(rs->chains);
	free(rs->set_index.slots);
	free(rs->chain_index.slots);
	free(rs);
}

/* Room for one more of `size` bytes; false (and failed) when out of memory. */
static bool grow(struct ruleset *rs, void **v, size_t n, size_t *cap, size_t size, size_t first)
{
	size_t want = *cap ? *cap * 2 : first;
	void *p;

	if (n < *cap)
		return true;
	p = reallocarray(*v, want, size);
	if (!p) {
		rs->failed = true;
		return false;
	}
	*v = p;
	*cap = want;
	return true;
}

/* ---- index ---- */

typedef const char *(*name_fn)(const struct ruleset *rs, size_t i);

static const char *set_name(const struct ruleset *rs, size_t i)
{
	return rs->sets[i]->def.name;
}

static const char *chain_name(const struct ruleset *rs, size_t i)
{
	return rs->chains[i]->name;
}

static size_t name_hash(const char *name)
{
	return (size_t)text_hash(name, strlen(name), 0);
}

/* Position of the object of that name, SIZE_MAX when there is none. */
static size_t index_find(const struct ruleset *rs, const struct rs_index *ix, name_fn name_of,
			 const char *name)
{
	size_t pos, k;

	if (!ix->cap)
		return SIZE_MAX;
	for (k = name_hash(name) & (ix->cap - 1); ix->slots[k]; k = (k + 1) & (ix->cap - 1)) {
		pos = ix->slots[k] - 1;
		if (!strcmp(name_of(rs, pos), name))
			return pos;
	}
	return SIZE_MAX;
}

static void index_put(struct rs_index *ix, const char *name, size_t pos)
{
	size_t k = name_hash(name) & (ix->cap - 1);

	while (ix->slots[k])
		k = (k + 1) & (ix->cap - 1);
	ix->slots[k] = (uint32_t)pos + 1;
}

/* Enters object n (the newest), keeping the table at most half full. */
static bool index_add(struct ruleset *rs, struct rs_index *ix, name_fn name_of, size_t n)
{
	size_t cap = ix->cap ? ix->cap * 2 : 64;
	uint32_t *slots;

	if (2 * (n + 1) <= ix->cap) {
		index_put(ix, name_of(rs, n), n);
		return true;
	}
	slots = calloc(cap, sizeof(*slots));
	if (!slots) {
		rs->failed = true;
		return false;
	}
	free(ix->slots);
	*ix = (struct rs_index){ slots, cap };
	for (size_t i = 0; i <= n; i++)
		index_put(ix, name_of(rs, i), i);
	return true;
}

/* ---- find ---- */

static size_t bisect(const struct ruleset *rs, size_t n, name_fn name_of, const char *name)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name_of(rs, mid), name);

		if (!c)
			return mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return SIZE_MAX;
}

struct rs_set *ruleset_find_set(const struct ruleset *rs, const char *name)
{
	size_t i = rs->sealed ? bisect(rs, rs->n_sets, set_name, name)
			      : index_find(rs, &rs->set_index, set_name, name);

	return i == SIZE_MAX ? NULL : rs->sets[i];
}

struct rs_chain *ruleset_find_chain(const struct ruleset *rs, const char *name)
{
	size_t i = rs->sealed ? bisect(rs, rs->n_chains, chain_name, name)
			      : index_find(rs, &rs->chain_index, chain_name, name);

	return i == SIZE_MAX ? NULL : rs->chains[i];
}

bool ruleset_has_nat(const struct ruleset *rs)
{
	for (size_t i = 0; i < rs->n_chains; i++)
		if (!strcmp(rs->chains[i]->type, "nat"))
			return true;
	return false;
}

/* ---- sets ---- */

bool rs_set_def_is_verdict(const struct rs_set_def *def)
{
	return (def->flags & NFT_SET_MAP) && def->data_type == NFT_DATA_VERDICT;
}

bool rs_set_def_is_limits(const struct rs_set_def *def)
{
	return !(def->flags & NFT_SET_MAP) && def->data_type == RS_DATA_LIMIT;
}

bool rs_set_def_is_counters(const struct rs_set_def *def)
{
	return !(def->flags & NFT_SET_MAP) && def->data_type == RS_DATA_COUNTER;
}

size_t rs_set_data_len(const struct rs_set_def *def)
{
	if (rs_set_def_is_limits(def) || rs_set_def_is_counters(def))
		return def->data_len;
	if (!(def->flags & NFT_SET_MAP))
		return 0;
	return rs_set_def_is_verdict(def) ? RS_NAME_MAX : def->data_len;
}

size_t rs_set_stride(const struct rs_set_def *def)
{
	return def->key_len + FLAGS_LEN + rs_set_data_len(def);
}

uint32_t rs_elem_flags(const struct rs_set_def *def, const void *elem)
{
	uint32_t flags;

	memcpy(&flags, (const uint8_t *)elem + def->key_len, sizeof(flags));
	return flags;
}

struct rs_set *ruleset_set(struct ruleset *rs, const struct rs_set_def *def, uint32_t place)
{
	struct rs_set *s = ruleset_find_set(rs, def->name);

	assert(!rs->sealed);
	if (s)
		return s;
	if (!grow(rs, (void **)&rs->sets, rs->n_sets, &rs->cap_sets, sizeof(*rs->sets), 16))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s) {
		rs->failed = true;
		return NULL;
	}
	s->def = *def;
	s->place = place;
	s->contents_known = !(def->flags & NFT_SET_EVAL);
	rs->sets[rs->n_sets] = s;
	if (!index_add(rs, &rs->set_index, set_name, rs->n_sets)) {
		free(s);
		return NULL;
	}
	rs->n_sets++;
	return s;
}

struct rs_set *ruleset_generation_map(struct ruleset *rs)
{
	const struct rs_set_def def = {
		.name = RS_GENERATION_SET,
		.flags = NFT_SET_MAP,
		.key_type = RS_TYPE_MARK,
		.key_len = 4,
		.data_type = RS_TYPE_MARK,
		.data_len = 4,
	};

	return ruleset_set(rs, &def, RS_NO_PLACE);
}

/* Elements and places share one capacity; places exist only where somebody gives them. */
static bool set_room(struct rs_set *s, struct ruleset *rs, size_t stride)
{
	size_t cap = s->cap ? s->cap * 2 : 8;
	uint32_t *places;
	uint8_t *elems;

	if (s->n < s->cap)
		return true;
	elems = reallocarray(s->elems, cap, stride);
	if (elems)
		s->elems = elems;
	places = reallocarray(s->places, cap, sizeof(*places));
	if (places)
		s->places = places;
	if (!elems || !places) {
		rs->failed = true;
		return false;
	}
	s->cap = cap;
	return true;
}

void rs_set_add(struct rs_set *s, struct ruleset *rs, const void *key, uint32_t flags,
		const void *data, uint32_t place)
{
	size_t data_len, stride;
	uint8_t *p;

	if (!s)
		return;
	data_len = rs_set_data_len(&s->def);
	stride = s->def.key_len + FLAGS_LEN + data_len;
	if (!set_room(s, rs, stride))
		return;
	p = rs_elem(s, stride, s->n);
	memcpy(p, key, s->def.key_len);
	memcpy(p + s->def.key_len, &flags, FLAGS_LEN);
	if (data)
		memcpy(p + s->def.key_len + FLAGS_LEN, data, data_len);
	else
		memset(p + s->def.key_len + FLAGS_LEN, 0, data_len);
	s->places[s->n++] = place;
}

void rs_set_add_goto(struct rs_set *s, struct ruleset *rs, const void *key, const char *chain,
		     uint32_t place)
{
	char name[RS_NAME_MAX] = "";
	size_t n = strlen(chain);

	assert(n < sizeof(name));
	memcpy(name, chain, n);
	rs_set_add(s, rs, key, 0, name, place);
}

/* ---- chains ---- */

struct rs_chain *ruleset_chain(struct ruleset *rs, const char *name, const struct rs_hook *hook,
			       uint32_t place)
{
	struct rs_chain *c = ruleset_find_chain(rs, name);

	assert(!rs->sealed && strlen(name) < RS_NAME_MAX);
	if (c)
		return c;
	if (!grow(rs, (void **)&rs->chains, rs->n_chains, &rs->cap_chains, sizeof(*rs->chains), 16))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c) {
		rs->failed = true;
		return NULL;
	}
	snprintf(c->name, sizeof(c->name), "%s", name);
	if (hook && hook->type) {
		snprintf(c->type, sizeof(c->type), "%s", hook->type);
		c->hooknum = hook->hooknum;
		c->priority = hook->priority;
	}
	c->place = place;
	rs->chains[rs->n_chains] = c;
	if (!index_add(rs, &rs->chain_index, chain_name, rs->n_chains)) {
		free(c);
		return NULL;
	}
	rs->n_chains++;
	return c;
}

/* Cut at a character's start, and without what would end nft's quotes. */
static size_t comment_clean(const char *comment, char out[NFTNL_UDATA_COMMENT_MAXLEN])
{
	size_t n = strlen(comment);

	if (n > NFTNL_UDATA_COMMENT_MAXLEN - 1) {
		n = NFTNL_UDATA_COMMENT_MAXLEN - 1;
		while (n && ((unsigned char)comment[n] & 0xc0) == 0x80)
			n--;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned char ch = (unsigned char)comment[i];

		out[i] = (ch < ' ' || ch == 0x7f || ch == '\\') ? '?' : ch == '"' ? '\'' : (char)ch;
	}
	out[n] = '\0';
	return n + 1;
}

static bool rule_comment(struct nftnl_rule *rule, const char *comment)
{
	uint8_t tlv[2 + NFTNL_UDATA_COMMENT_MAXLEN];
	size_t n = comment_clean(comment, (char *)tlv + 2);

	tlv[0] = RS_UDATA_COMMENT;
	tlv[1] = (uint8_t)n;
	return !nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, tlv, (uint32_t)n + 2);
}

static bool chain_push(struct rs_chain *c, struct ruleset *rs, struct rs_rule r)
{
	if (!grow(rs, (void **)&c->rules, c->n, &c->cap, sizeof(*c->rules), 4))
		return false;
	c->rules[c->n++] = r;
	return true;
}

void rs_chain_add(struct rs_chain *c, struct ruleset *rs, struct nftnl_rule *rule,
		  const char *comment, uint32_t place)
{
	if (!c || !rule)
		goto fail;
	if (comment && *comment && !rule_comment(rule, comment))
		goto fail;
	if (chain_push(c, rs, (struct rs_rule){ .rule = rule, .place = place }))
		return;
fail:
	if (rule)
		nftnl_rule_free(rule);
	rs->failed = true;
}

void rs_chain_add_hash(struct rs_chain *c, struct ruleset *rs, uint64_t hash)
{
	chain_push(c, rs, (struct rs_rule){ .hash = hash, .place = RS_NO_PLACE });
}
