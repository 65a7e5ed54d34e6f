/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attributes are walked with libmnl's bounds-checked iterators and every value
 * is taken only after its length was checked. libnftnl's parsers are not used:
 * they allocate an object for each of 64k elements, and believe userdata.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "ctl/nft/nft_attr.h"
#include "ctl/nft/nft_parse.h"

#define MARK "spctl"
/* The kernel's own bound on keys and data (NFT_DATA_VALUE_MAXLEN). */
#define VALUE_MAX    64
#define SET_FLAGS_OK (NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_TIMEOUT | NFT_SET_EVAL)

static bool is_our_table(const struct ruleset *rs, const struct nlattr *name)
{
	const char *s = get_str(name);

	return s && !strcmp(s, rs->table);
}

/* ---- userdata: type, length, value ---- */

static const uint8_t *udata_find(const struct nlattr *a, uint8_t type, size_t *len)
{
	const uint8_t *p = a ? mnl_attr_get_payload(a) : NULL;
	size_t left = a ? mnl_attr_get_payload_len(a) : 0;

	while (left >= 2 && left - 2 >= p[1]) {
		if (p[0] == type) {
			*len = p[1];
			return p + 2;
		}
		left -= 2 + (size_t)p[1];
		p += 2 + p[1];
	}
	return NULL;
}

/* "spctl" or "spctl OWNER", with NUL. */
static void parse_mark(struct ruleset *rs, const struct nlattr *udata)
{
	const size_t m = sizeof(MARK) - 1;
	size_t n;
	const uint8_t *p = udata_find(udata, 0, &n);

	if (!p || n <= m || memcmp(p, MARK, m) || p[n - 1])
		return;
	rs->ours |= n == m + 1;
	if (p[m] != ' ' || n - m - 1 > sizeof(rs->owner))
		return;
	rs->ours = true;
	memcpy(rs->owner, p + m + 1, n - m - 1);
}

/* ---- table, chains, rules ---- */

static void note_other_table(const struct attrs *t, struct nft_tables *out)
{
	const char *name = get_str(t->v[NFTA_TABLE_NAME]);
	struct ruleset other = { 0 };

	parse_mark(&other, t->v[NFTA_TABLE_USERDATA]);
	if (!name || !other.ours || strlen(name) >= RS_NAME_MAX || out->n == NFT_TABLES_MAX)
		return;
	memcpy(out->v[out->n].name, name, strlen(name) + 1);
	memcpy(out->v[out->n++].owner, other.owner, sizeof(other.owner));
}

static void parse_table(const struct nlmsghdr *nlh, struct ruleset *rs, struct nft_answer *a)
{
	struct attrs t = attrs_of_message(nlh);

	if (!is_our_table(rs, t.v[NFTA_TABLE_NAME])) {
		note_other_table(&t, &a->others);
		return;
	}
	rs->exists = true;
	rs->foreign |= be32_or(t.v[NFTA_TABLE_FLAGS], 0) & NFT_TABLE_F_DORMANT;
	a->use = be32_or(t.v[NFTA_TABLE_USE], 0);
	parse_mark(rs, t.v[NFTA_TABLE_USERDATA]);
}

static bool name_fits(struct ruleset *rs, const char *name)
{
	if (name && strlen(name) < RS_NAME_MAX)
		return true;
	rs->foreign = true;
	return false;
}

static struct rs_hook parse_hook(const struct attrs *t, bool *foreign)
{
	struct attrs h = attrs_of_nest(t->v[NFTA_CHAIN_HOOK]);
	struct rs_hook hook = { .type = get_str(t->v[NFTA_CHAIN_TYPE]) };
	uint32_t prio = 0;

	if (!hook.type || strlen(hook.type) >= sizeof(((struct rs_chain *)0)->type) ||
	    !get_be32(h.v[NFTA_HOOK_HOOKNUM], &hook.hooknum) ||
	    !get_be32(h.v[NFTA_HOOK_PRIORITY], &prio) || h.v[NFTA_HOOK_DEV] ||
	    h.v[NFTA_HOOK_DEVS] || be32_or(t->v[NFTA_CHAIN_POLICY], NF_ACCEPT) != NF_ACCEPT)
		*foreign = true;
	hook.priority = (int32_t)prio;
	return hook;
}

static void parse_chain(const struct nlmsghdr *nlh, struct ruleset *rs, struct nft_answer *a)
{
	struct attrs t = attrs_of_message(nlh);
	uint32_t flags = be32_or(t.v[NFTA_CHAIN_FLAGS], 0);
	const char *name = get_str(t.v[NFTA_CHAIN_NAME]);
	struct rs_hook hook = { 0 };
	struct rs_chain *c;
	bool foreign = flags & NFT_CHAIN_HW_OFFLOAD;

	if (!is_our_table(rs, t.v[NFTA_CHAIN_TABLE]))
		return;
	a->seen++;
	if (flags & NFT_CHAIN_BINDING) /* lives and dies with its rule */
		return;
	if (!name_fits(rs, name))
		return;
	if (t.v[NFTA_CHAIN_HOOK])
		hook = parse_hook(&t, &foreign);
	c = ruleset_chain(rs, name, hook.type && !foreign ? &hook : NULL, RS_NO_PLACE);
	if (c)
		c->foreign = foreign;
}

static void parse_rule(const struct nlmsghdr *nlh, struct ruleset *rs)
{
	struct attrs t = attrs_of_message(nlh);
	const char *name = get_str(t.v[NFTA_RULE_CHAIN]);
	const uint8_t *p;
	struct rs_chain *c;
	uint64_t hash = 0;
	size_t n = 0;

	if (!is_our_table(rs, t.v[NFTA_RULE_TABLE]) || !name)
		return;
	c = ruleset_find_chain(rs, name);
	if (!c)
		return;
	p = udata_find(t.v[NFTA_RULE_USERDATA], RS_UDATA_HASH, &n);
	if (p && n == sizeof(hash))
		memcpy(&hash, p, sizeof(hash));
	rs_chain_add_hash(c, rs, hash);
}

/* ---- sets ---- */

static void parse_set_def(const struct attrs *t, struct rs_set_def *def, bool *foreign)
{
	struct attrs desc = { 0 };

	if (t->v[NFTA_SET_DESC])
		desc = attrs_of_nest(t->v[NFTA_SET_DESC]);
	def->flags = be32_or(t->v[NFTA_SET_FLAGS], 0);
	def->key_type = be32_or(t->v[NFTA_SET_KEY_TYPE], 0);
	def->key_len = be32_or(t->v[NFTA_SET_KEY_LEN], 0);
	def->data_type = be32_or(t->v[NFTA_SET_DATA_TYPE], 0);
	def->data_len = be32_or(t->v[NFTA_SET_DATA_LEN], 0);
	def->size = be32_or(desc.v[NFTA_SET_DESC_SIZE], 0);
	def->timeout_ms = be64_or_0(t->v[NFTA_SET_TIMEOUT]);
	if ((def->flags & ~(uint32_t)SET_FLAGS_OK) || t->v[NFTA_SET_EXPR] ||
	    t->v[NFTA_SET_EXPRESSIONS] || desc.v[NFTA_SET_DESC_CONCAT])
		*foreign = true;
	if (!def->key_len || def->key_len > VALUE_MAX || def->data_len > VALUE_MAX) {
		*foreign = true;
		def->key_len = def->data_len = 4;
	}
}

static void parse_set(const struct nlmsghdr *nlh, struct ruleset *rs, struct nft_answer *a)
{
	struct attrs t = attrs_of_message(nlh);
	const char *name = get_str(t.v[NFTA_SET_NAME]);
	struct rs_set_def def = { 0 };
	bool foreign = false;
	struct rs_set *s;

	if (!is_our_table(rs, t.v[NFTA_SET_TABLE]))
		return;
	a->seen++;
	parse_set_def(&t, &def, &foreign);
	if (def.flags & NFT_SET_ANONYMOUS) /* lives and dies with its rule */
		return;
	if (!name_fits(rs, name))
		return;
	memcpy(def.name, name, strlen(name) + 1);
	if (!(def.flags & NFT_SET_MAP) && !strncmp(name, RS_LIMIT_SET, strlen(RS_LIMIT_SET))) {
		def.data_type = RS_DATA_LIMIT;
		def.data_len = sizeof(uint64_t);
	}
	s = ruleset_set(rs, &def, RS_NO_PLACE);
	if (!s || !foreign)
		return;
	s->foreign = true;
	s->contents_known = false;
}

/* ---- elements ---- */

struct elem {
	const uint8_t *key, *data;
	const char *chain;
	uint32_t flags;
	uint64_t limit; /* bytes a second */
	bool has_limit;
};

static const uint8_t *get_value(const struct nlattr *nest, size_t len)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested (a, nest) {
		if (mnl_attr_get_type(a) == NFTA_DATA_VALUE && mnl_attr_get_payload_len(a) == len)
			return mnl_attr_get_payload(a);
	}
	return NULL;
}

/* The chain of a goto, the only verdict that we keep in maps. */
static const char *get_goto(const struct nlattr *nest)
{
	struct attrs data = attrs_of_nest(nest), verdict;

	if (!data.v[NFTA_DATA_VERDICT])
		return NULL;
	verdict = attrs_of_nest(data.v[NFTA_DATA_VERDICT]);
	if (be32_or(verdict.v[NFTA_VERDICT_CODE], 0) != (uint32_t)NFT_GOTO)
		return NULL;
	return get_str(verdict.v[NFTA_VERDICT_CHAIN]);
}

/* The rate of a `limit rate over N bytes/second`, the only state that we give an element. */
static bool get_limit(const struct nlattr *nest, struct elem *el)
{
	struct attrs ex = attrs_of_nest(nest), limit;
	const char *name = get_str(ex.v[NFTA_EXPR_NAME]);

	if (!name || strcmp(name, "limit") || !ex.v[NFTA_EXPR_DATA])
		return false;
	limit = attrs_of_nest(ex.v[NFTA_EXPR_DATA]);
	el->limit = be64_or_0(limit.v[NFTA_LIMIT_RATE]);
	el->has_limit = be64_or_0(limit.v[NFTA_LIMIT_UNIT]) == 1 &&
			be32_or(limit.v[NFTA_LIMIT_TYPE], 0) == NFT_LIMIT_PKT_BYTES &&
			be32_or(limit.v[NFTA_LIMIT_FLAGS], 0) == NFT_LIMIT_F_INV;
	return el->has_limit;
}

/* False for what we never write. */
static bool parse_elem(const struct nlattr *nest, const struct rs_set_def *def, bool verdict,
		       struct elem *el)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested (a, nest) {
		switch (mnl_attr_get_type(a)) {
		case NFTA_SET_ELEM_KEY:
			el->key = get_value(a, def->key_len);
			break;
		case NFTA_SET_ELEM_DATA:
			if (verdict)
				el->chain = get_goto(a);
			else
				el->data = get_value(a, def->data_len);
			break;
		case NFTA_SET_ELEM_FLAGS:
			if (!get_be32(a, &el->flags) || el->flags & ~(uint32_t)RS_ELEM_INTERVAL_END)
				return false;
			break;
		case NFTA_SET_ELEM_EXPR:
			if (!rs_set_def_is_limits(def) || !get_limit(a, el))
				return false;
			break;
		case NFTA_SET_ELEM_KEY_END:
		case NFTA_SET_ELEM_OBJREF:
		case NFTA_SET_ELEM_EXPRESSIONS:
			return false;
		default:
			break;
		}
	}
	return el->key;
}

static bool add_elem(struct ruleset *rs, struct rs_set *s, const struct nlattr *nest, bool verdict)
{
	bool is_map = s->def.flags & NFT_SET_MAP;
	struct elem el = { 0 };

	if (!parse_elem(nest, &s->def, verdict, &el))
		return false;
	if (rs_set_def_is_limits(&s->def)) {
		rs_set_add(s, rs, el.key, el.flags, &el.limit, RS_NO_PLACE);
		return el.has_limit;
	}
	if (el.flags & RS_ELEM_INTERVAL_END || !is_map) {
		rs_set_add(s, rs, el.key, el.flags, NULL, RS_NO_PLACE);
		return true;
	}
	if (verdict) {
		if (!el.chain || strlen(el.chain) >= RS_NAME_MAX)
			return false;
		rs_set_add_goto(s, rs, el.key, el.chain, RS_NO_PLACE);
		return true;
	}
	if (el.data)
		rs_set_add(s, rs, el.key, el.flags, el.data, RS_NO_PLACE);
	return el.data;
}

/* ---- counters ---- */

void nft_counts_fini(struct nft_counts *c)
{
	free(c->v);
	*c = (struct nft_counts){ 0 };
}

static void counts_add(struct nft_counts *c, const struct nft_count *one)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct nft_count *v = reallocarray(c->v, cap, sizeof(*v));

		if (!v) {
			c->failed = true;
			return;
		}
		c->v = v;
		c->cap = cap;
	}
	c->v[c->n++] = *one;
}

static bool get_counter(const struct nlattr *nest, struct nft_count *one)
{
	struct attrs ex = attrs_of_nest(nest), counter;
	const char *name = get_str(ex.v[NFTA_EXPR_NAME]);

	if (!name || strcmp(name, "counter") || !ex.v[NFTA_EXPR_DATA])
		return false;
	counter = attrs_of_nest(ex.v[NFTA_EXPR_DATA]);
	one->bytes = be64_or_0(counter.v[NFTA_COUNTER_BYTES]);
	one->packets = be64_or_0(counter.v[NFTA_COUNTER_PACKETS]);
	return true;
}

/* What is no counter under a 16-byte key is not ours: left out. */
static void parse_counts(const struct nlattr *list, struct nft_counts *c)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested (a, list) {
		struct attrs el = attrs_of_nest(a);
		struct nft_count one;
		const uint8_t *key;

		c->seen++;
		if (!el.v[NFTA_SET_ELEM_KEY] || !el.v[NFTA_SET_ELEM_EXPR])
			continue;
		key = get_value(el.v[NFTA_SET_ELEM_KEY], sizeof(one.key));
		if (!key || !get_counter(el.v[NFTA_SET_ELEM_EXPR], &one))
			continue;
		memcpy(one.key, key, sizeof(one.key));
		counts_add(c, &one);
	}
}

static void parse_elems(const struct nlmsghdr *nlh, struct ruleset *rs, struct nft_answer *answer)
{
	struct attrs t = attrs_of_message(nlh);
	const char *name = get_str(t.v[NFTA_SET_ELEM_LIST_SET]);
	const struct nlattr *a;
	struct rs_set *s;
	bool verdict;

	if (!is_our_table(rs, t.v[NFTA_SET_ELEM_LIST_TABLE]) || !name ||
	    !t.v[NFTA_SET_ELEM_LIST_ELEMENTS])
		return;
	if (answer->counts) {
		parse_counts(t.v[NFTA_SET_ELEM_LIST_ELEMENTS], answer->counts);
		return;
	}
	s = ruleset_find_set(rs, name);
	if (!s || s->foreign)
		return;
	verdict = rs_set_def_is_verdict(&s->def);
	mnl_attr_for_each_nested (a, t.v[NFTA_SET_ELEM_LIST_ELEMENTS]) {
		if (mnl_attr_get_type(a) == NFTA_LIST_ELEM && add_elem(rs, s, a, verdict))
			continue;
		s->foreign = true;
		s->contents_known = false;
		return;
	}
}

/* ---- messages ---- */

static void parse_gen(const struct nlmsghdr *nlh, struct nft_answer *a)
{
	struct attrs t = attrs_of_message(nlh);

	a->genid = be32_or(t.v[NFTA_GEN_ID], 0);
}

static void parse_object(const struct nlmsghdr *nlh, struct ruleset *rs, struct nft_answer *a)
{
	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return;
	switch (NFNL_MSG_TYPE(nlh->nlmsg_type)) {
	case NFT_MSG_NEWTABLE:
		parse_table(nlh, rs, a);
		break;
	case NFT_MSG_NEWCHAIN:
		parse_chain(nlh, rs, a);
		break;
	case NFT_MSG_NEWRULE:
		parse_rule(nlh, rs);
		break;
	case NFT_MSG_NEWSET:
		parse_set(nlh, rs, a);
		break;
	case NFT_MSG_NEWSETELEM:
		parse_elems(nlh, rs, a);
		break;
	case NFT_MSG_NEWGEN:
		parse_gen(nlh, a);
		break;
	default:
		break;
	}
}

/* The number that NLMSG_ERROR and NLMSG_DONE begin with: 0 or a negative errno. */
int nft_message_code(const struct nlmsghdr *nlh)
{
	int code = 0;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(code))
		memcpy(&code, mnl_nlmsg_get_payload(nlh), sizeof(code));
	return code > 0 || code < -4095 ? -EPROTO : code;
}

static void parse_one(const struct nlmsghdr *nlh, struct ruleset *rs, struct nft_answer *a)
{
	if (nlh->nlmsg_seq != a->seq)
		return;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		a->interrupted = true;
	if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE) {
		a->done = true;
		a->error = nft_message_code(nlh);
		return;
	}
	if (nlh->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nfgenmsg)))
		parse_object(nlh, rs, a);
}

/*
 * The next whole message, or NULL. libmnl's own test (1.0.4) takes a length
 * over 2 GiB for a negative number and lets it pass.
 */
const struct nlmsghdr *nft_next_message(const uint8_t **p, size_t *left)
{
	const struct nlmsghdr *nlh = (const void *)*p;
	size_t len;

	if (*left < sizeof(*nlh) || nlh->nlmsg_len < sizeof(*nlh) || nlh->nlmsg_len > *left)
		return NULL;
	len = NLMSG_ALIGN((size_t)nlh->nlmsg_len);
	if (len > *left)
		return NULL;
	*p += len;
	*left -= len;
	return nlh;
}

void nft_parse_answer(const void *bytes, size_t len, struct ruleset *rs, struct nft_answer *a)
{
	const struct nlmsghdr *nlh;
	const uint8_t *p = bytes;

	while ((nlh = nft_next_message(&p, &len)))
		parse_one(nlh, rs, a);
}
