/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sealing: everything gets its one order, so that two rulesets can be compared
 * by walking both at once, and every rule its hash. The hash covers what
 * libnftnl puts on the wire for the rule (expressions and comment) and travels
 * in the rule's userdata; so what the kernel has is compared without reading
 * its expressions back, which kernels of different ages dump differently.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/rule.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset.h"

/* Rounding of a time-out to jiffies and back, HZ = 100 being the coarsest. */
#define TIMEOUT_SLACK_MS 20

/* ---- elements as text ---- */

static int field_format(uint32_t type, const uint8_t *p, char *out, size_t cap)
{
	char addr[INET6_ADDRSTRLEN];
	uint32_t word;

	switch (type) {
	case RS_TYPE_IP:
		return snprintf(out, cap, "%s", inet_ntop(AF_INET, p, addr, sizeof(addr)));
	case RS_TYPE_IP6:
		return snprintf(out, cap, "%s", inet_ntop(AF_INET6, p, addr, sizeof(addr)));
	case RS_TYPE_PROTO:
		if (p[0] == IPPROTO_TCP || p[0] == IPPROTO_UDP)
			return snprintf(out, cap, "%s", p[0] == IPPROTO_TCP ? "tcp" : "udp");
		return snprintf(out, cap, "%u", p[0]);
	case RS_TYPE_PORT:
		return snprintf(out, cap, "%u", p[0] << 8 | p[1]);
	case RS_TYPE_IFNAME:
		return snprintf(out, cap, "%.16s", (const char *)p);
	default:
		memcpy(&word, p, sizeof(word));
		return snprintf(out, cap, "%" PRIu32, word);
	}
}

static size_t field_len(uint32_t type)
{
	switch (type) {
	case RS_TYPE_PROTO:
		return 1;
	case RS_TYPE_PORT:
		return 2;
	case RS_TYPE_IP6:
	case RS_TYPE_IFNAME:
		return 16;
	default:
		return 4;
	}
}

const char *rs_elem_format(const struct rs_set_def *def, const void *elem, char *out, size_t cap)
{
	const uint8_t *p = elem;
	uint32_t types[5], n = 0;
	size_t at = 0, left = def->key_len;
	bool end = rs_elem_flags(def, elem) & RS_ELEM_INTERVAL_END;

	for (uint32_t t = def->key_type; t && n < 5; t >>= 6)
		types[n++] = t & 0x3f;
	at = (size_t)snprintf(out, cap, "%s", end ? "end of " : "");
	while (n-- && at < cap) {
		size_t len = field_len(types[n]), step = (len + 3) & ~(size_t)3;

		if (len > left)
			break;
		at += (size_t)field_format(types[n], p, out + at, cap - at);
		if (n && at < cap)
			at += (size_t)snprintf(out + at, cap - at, " . ");
		p += step;
		left -= step < left ? step : left;
	}
	return out;
}

/* ---- order ---- */

static bool elem_is_end(const struct rs_set_def *def, const void *elem)
{
	return rs_elem_flags(def, elem) & RS_ELEM_INTERVAL_END;
}

int rs_elem_cmp(const struct rs_set_def *def, const void *a, const void *b)
{
	int c = memcmp(a, b, def->key_len);

	if (c || !(def->flags & NFT_SET_INTERVAL))
		return c;
	return (int)elem_is_end(def, b) - (int)elem_is_end(def, a);
}

static bool set_is_sorted(const struct rs_set *s, size_t stride)
{
	for (size_t i = 1; i < s->n; i++) {
		if (rs_elem_cmp(&s->def, rs_elem(s, stride, i - 1), rs_elem(s, stride, i)) > 0)
			return false;
	}
	return true;
}

/* The first bytes of the key in comparing order decide nearly always without a visit to the key. */
struct sort_item {
	uint64_t prefix;
	uint32_t pos;
};

struct sort_ctx {
	const struct rs_set *set;
	size_t stride;
};

static uint64_t key_prefix(const uint8_t *key, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v = v << 8 | (i < len ? key[i] : 0);
	return v;
}

static int item_cmp(const void *va, const void *vb, void *vctx)
{
	const struct sort_item *a = va, *b = vb;
	const struct sort_ctx *ctx = vctx;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	return rs_elem_cmp(&ctx->set->def, rs_elem(ctx->set, ctx->stride, a->pos),
			   rs_elem(ctx->set, ctx->stride, b->pos));
}

/* Writes the elements (and places) in the order of items into new arrays. */
static int set_permute(struct rs_set *s, const struct sort_item *items, size_t stride)
{
	uint8_t *elems = reallocarray(NULL, s->n, stride);
	uint32_t *places = reallocarray(NULL, s->n, sizeof(*places));

	if (!elems || !places) {
		free(elems);
		free(places);
		return -ENOMEM;
	}
	for (size_t i = 0; i < s->n; i++) {
		memcpy(elems + i * stride, rs_elem(s, stride, items[i].pos), stride);
		places[i] = s->places ? s->places[items[i].pos] : RS_NO_PLACE;
	}
	free(s->elems);
	free(s->places);
	s->elems = elems;
	s->places = places;
	s->cap = s->n;
	return 0;
}

static int set_sort(struct rs_set *s, size_t stride)
{
	struct sort_ctx ctx = { s, stride };
	struct sort_item *items;
	int rc;

	if (set_is_sorted(s, stride))
		return 0;
	items = reallocarray(NULL, s->n, sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++) {
		items[i].prefix = key_prefix(rs_elem(s, stride, i), s->def.key_len);
		items[i].pos = (uint32_t)i;
	}
	qsort_r(items, s->n, sizeof(*items), item_cmp, &ctx);
	rc = set_permute(s, items, stride);
	free(items);
	return rc;
}

int rs_set_seal(struct rs_set *s, struct err *e)
{
	size_t stride = rs_set_stride(&s->def);
	char key[96];

	if (set_sort(s, stride))
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 1; i < s->n; i++) {
		const uint8_t *p = rs_elem(s, stride, i);

		if (rs_elem_cmp(&s->def, p - stride, p))
			continue;
		return err_set(e, -EEXIST, "%s %s has the key %s twice",
			       s->def.flags & NFT_SET_MAP ? "map" : "set", s->def.name,
			       rs_elem_format(&s->def, p, key, sizeof(key)));
	}
	return 0;
}

/* ---- rules ---- */

/* One rule as libnftnl writes it; nothing that we or nft can build is near this. */
#define RULE_BYTES_MAX 65536

static uint64_t rule_hash(struct nftnl_rule *rule, char *scratch)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(scratch);
	uint64_t h;

	nftnl_rule_nlmsg_build_payload(nlh, rule);
	h = text_hash(mnl_nlmsg_get_payload(nlh), mnl_nlmsg_get_payload_len(nlh), 0);
	memset(scratch, 0, nlh->nlmsg_len);
	return h ? h : 1;
}

/* Comment (if any) and hash into the userdata; names after hashing: a rule is the same elsewhere.
 */
static int rule_finish(struct nftnl_rule *rule, uint64_t hash, const char *table, const char *chain)
{
	uint8_t udata[NFT_USERDATA_MAXLEN];
	uint32_t len = 0;
	const void *have = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &len);

	if (!have || len > sizeof(udata) - 2 - sizeof(hash))
		len = 0;
	if (len)
		memcpy(udata, have, len);
	udata[len] = RS_UDATA_HASH;
	udata[len + 1] = sizeof(hash);
	memcpy(udata + len + 2, &hash, sizeof(hash));
	if (nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, udata, len + 2 + sizeof(hash)) ||
	    nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, table) ||
	    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain))
		return -ENOMEM;
	nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	return 0;
}

static int chain_seal(const struct ruleset *rs, struct rs_chain *c, char *scratch)
{
	for (size_t i = 0; i < c->n; i++) {
		struct rs_rule *r = &c->rules[i];

		if (!r->rule)
			continue;
		r->hash = rule_hash(r->rule, scratch);
		if (rule_finish(r->rule, r->hash, rs->table, c->name))
			return -ENOMEM;
	}
	return 0;
}

/* ---- seal ---- */

static int set_ptr_cmp(const void *a, const void *b)
{
	return strcmp((*(struct rs_set *const *)a)->def.name,
		      (*(struct rs_set *const *)b)->def.name);
}

static int chain_ptr_cmp(const void *a, const void *b)
{
	return strcmp((*(struct rs_chain *const *)a)->name, (*(struct rs_chain *const *)b)->name);
}

static void add_generation(struct ruleset *rs)
{
	const uint32_t key = RS_GENERATION_KEY;
	struct rs_set *s;

	if (!rs->generation || ruleset_find_set(rs, RS_GENERATION_SET))
		return;
	s = ruleset_generation_map(rs);
	rs_set_add(s, rs, &key, 0, &rs->generation, RS_NO_PLACE);
}

void ruleset_set_generation(struct ruleset *rs, uint32_t generation)
{
	struct rs_set *s = ruleset_find_set(rs, RS_GENERATION_SET);

	rs->generation = generation;
	if (s && s->n == 1)
		memcpy(s->elems + s->def.key_len + 4, &generation, sizeof(generation));
}

static int seal_rules(struct ruleset *rs)
{
	char *scratch = calloc(1, RULE_BYTES_MAX);
	int rc = scratch ? 0 : -ENOMEM;

	for (size_t i = 0; i < rs->n_chains && !rc; i++)
		rc = chain_seal(rs, rs->chains[i], scratch);
	free(scratch);
	return rc;
}

int ruleset_seal(struct ruleset *rs, struct err *e)
{
	add_generation(rs);
	if (rs->failed || seal_rules(rs))
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < rs->n_sets; i++) {
		int rc = rs_set_seal(rs->sets[i], e);

		if (rc)
			return rc;
	}
	if (rs->n_sets)
		qsort(rs->sets, rs->n_sets, sizeof(*rs->sets), set_ptr_cmp);
	if (rs->n_chains)
		qsort(rs->chains, rs->n_chains, sizeof(*rs->chains), chain_ptr_cmp);
	free(rs->set_index.slots);
	free(rs->chain_index.slots);
	rs->set_index = rs->chain_index = (struct rs_index){ 0 };
	rs->sealed = true;
	return 0;
}

/* ---- equality ---- */

static bool timeout_equal(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) <= TIMEOUT_SLACK_MS;
}

bool rs_set_def_equal(const struct rs_set_def *a, const struct rs_set_def *b)
{
	bool verdict = rs_set_def_is_verdict(a);

	if (strcmp(a->name, b->name) || a->flags != b->flags || a->key_type != b->key_type ||
	    a->key_len != b->key_len || a->size != b->size ||
	    !timeout_equal(a->timeout_ms, b->timeout_ms))
		return false;
	if (!(a->flags & NFT_SET_MAP))
		return true;
	return a->data_type == b->data_type && (verdict || a->data_len == b->data_len);
}

/* One printf for every difference; returns false so that it can be returned. */
static bool PRINTF_LIKE(3, 4) differs(char *what, size_t cap, const char *fmt, ...)
{
	va_list ap;

	if (!what || !cap)
		return false;
	va_start(ap, fmt);
	vsnprintf(what, cap, fmt, ap);
	va_end(ap);
	return false;
}

static bool set_differs_at(const struct rs_set *a, const struct rs_set *b, char *what, size_t cap)
{
	const char *kind = a->def.flags & NFT_SET_MAP ? "map" : "set";
	size_t stride = rs_set_stride(&a->def), i = 0, n = a->n < b->n ? a->n : b->n;
	const uint8_t *pa, *pb, *p;
	char key[96];

	while (i < n && !memcmp(rs_elem(a, stride, i), rs_elem(b, stride, i), stride))
		i++;
	pa = i < a->n ? rs_elem(a, stride, i) : NULL;
	pb = i < b->n ? rs_elem(b, stride, i) : NULL;
	p = !pa ? pb : !pb ? pa : rs_elem_cmp(&a->def, pa, pb) <= 0 ? pa : pb;
	return differs(what, cap, "element %s of %s %s",
		       rs_elem_format(&a->def, p, key, sizeof(key)), kind, a->def.name);
}

static bool set_equal(const struct rs_set *a, const struct rs_set *b, char *what, size_t cap)
{
	size_t stride = rs_set_stride(&a->def);

	if (a->foreign || b->foreign || !rs_set_def_equal(&a->def, &b->def))
		return differs(what, cap, "definition of set %s", a->def.name);
	if (!a->contents_known || !b->contents_known)
		return true;
	if (a->n == b->n && (!a->n || !memcmp(a->elems, b->elems, a->n * stride)))
		return true;
	return set_differs_at(a, b, what, cap);
}

static bool chain_equal(const struct rs_chain *a, const struct rs_chain *b, char *what, size_t cap)
{
	if (a->foreign || b->foreign || strcmp(a->type, b->type) || a->hooknum != b->hooknum ||
	    a->priority != b->priority)
		return differs(what, cap, "hook of chain %s", a->name);
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		if (!a->rules[i].hash || a->rules[i].hash != b->rules[i].hash)
			return differs(what, cap, "rule %zu of chain %s", i + 1, a->name);
	}
	if (a->n != b->n)
		return differs(what, cap, "rule %zu of chain %s", (a->n < b->n ? a->n : b->n) + 1,
			       a->name);
	return true;
}

/* The name that only one of two sorted lists has: the smaller of the two that meet. */
static const char *odd_one(const char *a, const char *b)
{
	if (!a || !b)
		return a ? a : b;
	return strcmp(a, b) < 0 ? a : b;
}

static bool sets_equal(const struct ruleset *a, const struct ruleset *b, char *what, size_t cap)
{
	for (size_t i = 0; i < a->n_sets || i < b->n_sets; i++) {
		const struct rs_set *sa = i < a->n_sets ? a->sets[i] : NULL;
		const struct rs_set *sb = i < b->n_sets ? b->sets[i] : NULL;

		if (!sa || !sb || strcmp(sa->def.name, sb->def.name))
			return differs(what, cap, "set %s",
				       odd_one(sa ? sa->def.name : NULL, sb ? sb->def.name : NULL));
		if (!set_equal(sa, sb, what, cap))
			return false;
	}
	return true;
}

static bool chains_equal(const struct ruleset *a, const struct ruleset *b, char *what, size_t cap)
{
	for (size_t i = 0; i < a->n_chains || i < b->n_chains; i++) {
		const struct rs_chain *ca = i < a->n_chains ? a->chains[i] : NULL;
		const struct rs_chain *cb = i < b->n_chains ? b->chains[i] : NULL;

		if (!ca || !cb || strcmp(ca->name, cb->name))
			return differs(what, cap, "chain %s",
				       odd_one(ca ? ca->name : NULL, cb ? cb->name : NULL));
		if (!chain_equal(ca, cb, what, cap))
			return false;
	}
	return true;
}

bool ruleset_equal(const struct ruleset *a, const struct ruleset *b, char *what, size_t cap)
{
	if (a->exists != b->exists)
		return differs(what, cap, "table %s is missing", a->table);
	if (a->ours != b->ours || strcmp(a->owner, b->owner))
		return differs(what, cap, "owner of table %s", a->table);
	if (a->foreign || b->foreign)
		return differs(what, cap, "table %s has foreign objects", a->table);
	if (a->generation != b->generation)
		return differs(what, cap, "config generation");
	return sets_equal(a, b, what, cap) && chains_equal(a, b, what, cap);
}
