/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's answers about other tables: tables, chains, sets and elements
 * here, expressions in nft_foreign_expr.c. All lengths are checked before use;
 * names and values are copied.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>

#include "ctl/nft/nft_foreign_internal.h"
#include "ctl/nft/nft_parse.h"

static bool is_read_family(uint8_t family)
{
	return family == NFPROTO_IPV4 || family == NFPROTO_IPV6 || family == NFPROTO_INET ||
	       family == NFPROTO_NETDEV;
}

static uint8_t family_of(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *m = mnl_nlmsg_get_payload(nlh);

	return m->nfgen_family;
}

static bool is_foreign(const struct nft_foreign *f, uint8_t family, const char *table)
{
	return table && is_read_family(family) &&
	       !(family == NFPROTO_INET && !strcmp(table, f->own));
}

/* Room for one more in an array of pointers or objects; NULL when out of memory. */
static void *grow(struct nft_foreign *f, void *v, unsigned n, unsigned *cap, size_t size)
{
	void *w;

	if (n < *cap)
		return v;
	w = realloc(v, (*cap ? *cap * 2 : 16) * size);
	if (!w) {
		f->failed = true;
		return NULL;
	}
	*cap = *cap ? *cap * 2 : 16;
	return w;
}

char *foreign_name(struct nft_foreign *f, const struct nlattr *a)
{
	const char *s = get_str(a);
	char *copy;

	if (!s || !*s || strlen(s) >= FOREIGN_NAME_MAX)
		return NULL;
	copy = arena_strdup(&f->arena, s);
	f->failed |= !copy;
	return copy;
}

uint8_t *foreign_bytes(struct nft_foreign *f, const void *p, size_t n)
{
	uint8_t *copy = arena_alloc(&f->arena, n ? n : 1);

	if (copy && n)
		memcpy(copy, p, n);
	f->failed |= !copy;
	return copy;
}

static void parse_table(const struct nlmsghdr *nlh, struct nft_foreign *f)
{
	struct attrs t = attrs_of_message(nlh);
	uint32_t flags = be32_or(t.v[NFTA_TABLE_FLAGS], 0);
	uint8_t family = family_of(nlh);
	struct foreign_table *v;

	if (!is_foreign(f, family, get_str(t.v[NFTA_TABLE_NAME])))
		return;
	if (f->n_tables == FOREIGN_MAX_TABLES) {
		f->truncated = true;
		return;
	}
	v = grow(f, f->tables, f->n_tables, &f->cap_tables, sizeof(*v));
	if (!v)
		return;
	f->tables = v;
	v[f->n_tables] = (struct foreign_table){
		.family = family,
		.name = foreign_name(f, t.v[NFTA_TABLE_NAME]),
		.dormant = flags & NFT_TABLE_F_DORMANT,
		.owned = flags & NFT_TABLE_F_OWNER,
	};
	f->n_tables += v[f->n_tables].name != NULL;
}

/* ---- chains ---- */

static void parse_hook(struct nft_foreign *f, const struct attrs *t, struct foreign_chain *c)
{
	struct attrs h = attrs_of_nest(t->v[NFTA_CHAIN_HOOK]);
	uint32_t prio = 0;

	c->type = foreign_name(f, t->v[NFTA_CHAIN_TYPE]);
	c->is_base = c->type && get_be32(h.v[NFTA_HOOK_HOOKNUM], &c->hook) &&
		     get_be32(h.v[NFTA_HOOK_PRIORITY], &prio);
	c->priority = (int32_t)prio;
	c->policy = be32_or(t->v[NFTA_CHAIN_POLICY], NF_ACCEPT);
}

static void parse_chain(const struct nlmsghdr *nlh, struct nft_foreign *f)
{
	struct attrs t = attrs_of_message(nlh);
	struct foreign_chain **v, *c;

	if (!is_foreign(f, family_of(nlh), get_str(t.v[NFTA_CHAIN_TABLE])))
		return;
	if (f->n_chains == FOREIGN_MAX_CHAINS) {
		f->truncated = true;
		return;
	}
	v = grow(f, f->chains, f->n_chains, &f->cap_chains, sizeof(*v));
	c = v ? arena_alloc(&f->arena, sizeof(*c)) : NULL;
	if (v)
		f->chains = v;
	f->failed |= !c;
	if (!c)
		return;
	c->family = family_of(nlh);
	c->table = foreign_name(f, t.v[NFTA_CHAIN_TABLE]);
	c->name = foreign_name(f, t.v[NFTA_CHAIN_NAME]);
	c->type = "";
	if (t.v[NFTA_CHAIN_HOOK])
		parse_hook(f, &t, c);
	if (!c->type)
		c->type = "";
	if (!c->table || !c->name)
		return;
	v[f->n_chains++] = c;
	f->chains_sorted = false;
}

static void parse_rule(const struct nlmsghdr *nlh, struct nft_foreign *f)
{
	struct attrs t = attrs_of_message(nlh);
	const char *table = get_str(t.v[NFTA_RULE_TABLE]), *name = get_str(t.v[NFTA_RULE_CHAIN]);
	struct foreign_chain *c;
	struct foreign_rule *r;

	if (!is_foreign(f, family_of(nlh), table) || !name)
		return;
	c = foreign_chain_find(f, family_of(nlh), table, name);
	if (!c || c->truncated)
		return;
	r = arena_alloc(&f->arena, sizeof(*r));
	if (!r || !foreign_rule_parse(f, r, c, t.v[NFTA_RULE_EXPRESSIONS])) {
		f->failed |= !r;
		c->truncated = f->truncated = true;
		return;
	}
	r->handle = be64_or_0(t.v[NFTA_RULE_HANDLE]);
	if (c->last)
		c->last->next = r;
	else
		c->rules = r;
	c->last = r;
}

/* ---- sets ---- */

static void parse_set(const struct nlmsghdr *nlh, struct nft_foreign *f)
{
	struct attrs t = attrs_of_message(nlh);
	const char *table = get_str(t.v[NFTA_SET_TABLE]), *name = get_str(t.v[NFTA_SET_NAME]);
	struct foreign_set *s;

	if (!is_foreign(f, family_of(nlh), table) || !name)
		return;
	/* Made when a lookup named it; others are of no interest. */
	s = foreign_set_find(f, family_of(nlh), table, name);
	if (!s)
		return;
	s->flags = be32_or(t.v[NFTA_SET_FLAGS], 0);
	s->key_len = be32_or(t.v[NFTA_SET_KEY_LEN], 0);
	s->data_len = be32_or(t.v[NFTA_SET_DATA_LEN], 0);
	s->n = 0;
	s->truncated = s->key_len > FOREIGN_VALUE_MAX || s->data_len > FOREIGN_VALUE_MAX;
	if (s->truncated)
		s->key_len = s->data_len = 0;
}

void foreign_want_set(struct nft_foreign *f, uint8_t family, const char *table, const char *name)
{
	struct foreign_set **v, *s;

	v = grow(f, f->sets, f->n_sets, &f->cap_sets, sizeof(*v));
	s = v ? arena_alloc(&f->arena, sizeof(*s)) : NULL;
	if (v)
		f->sets = v;
	f->failed |= !s;
	if (!s)
		return;
	s->family = family;
	s->table = table;
	s->name = name;
	s->truncated = true; /* until it is described */
	v[f->n_sets++] = s;
	f->sets_sorted = false;
}

static void parse_verdict(struct nft_foreign *f, const struct nlattr *nest, struct foreign_elem *el)
{
	struct attrs v = attrs_of_nest(nest);

	el->has_verdict = get_be32(v.v[NFTA_VERDICT_CODE], &el->verdict);
	el->chain = foreign_name(f, v.v[NFTA_VERDICT_CHAIN]);
}

const uint8_t *foreign_value(const struct nlattr *nest, size_t *len)
{
	struct attrs d;

	if (!nest)
		return NULL;
	d = attrs_of_nest(nest);
	if (!d.v[NFTA_DATA_VALUE] ||
	    mnl_attr_get_payload_len(d.v[NFTA_DATA_VALUE]) > FOREIGN_VALUE_MAX)
		return NULL;
	*len = mnl_attr_get_payload_len(d.v[NFTA_DATA_VALUE]);
	return mnl_attr_get_payload(d.v[NFTA_DATA_VALUE]);
}

/* False for a shape that is not known. */
static bool parse_elem(struct nft_foreign *f, const struct foreign_set *s,
		       const struct nlattr *nest, struct foreign_elem *el)
{
	struct attrs t = attrs_of_nest(nest), data = { 0 };
	size_t len = 0;
	const uint8_t *p;

	el->flags = be32_or(t.v[NFTA_SET_ELEM_FLAGS], 0);
	if (el->flags & NFT_SET_ELEM_CATCHALL || t.v[NFTA_SET_ELEM_KEY_END] ||
	    !t.v[NFTA_SET_ELEM_KEY])
		return false;
	p = foreign_value(t.v[NFTA_SET_ELEM_KEY], &len);
	if (!p || len != s->key_len)
		return false;
	el->key = foreign_bytes(f, p, len);
	if (t.v[NFTA_SET_ELEM_DATA])
		data = attrs_of_nest(t.v[NFTA_SET_ELEM_DATA]);
	if (data.v[NFTA_DATA_VERDICT])
		parse_verdict(f, data.v[NFTA_DATA_VERDICT], el);
	p = foreign_value(t.v[NFTA_SET_ELEM_DATA], &len);
	if (p && len == s->data_len)
		el->data = foreign_bytes(f, p, len);
	return el->key;
}

static void add_elem(struct nft_foreign *f, struct foreign_set *s, const struct nlattr *nest)
{
	struct foreign_elem el = { 0 }, *v;

	if (s->n == FOREIGN_MAX_ELEMS || !parse_elem(f, s, nest, &el)) {
		s->truncated = true;
		return;
	}
	v = grow(f, s->v, s->n, &s->cap, sizeof(*v));
	if (!v)
		return;
	s->v = v;
	v[s->n++] = el;
	s->sorted = false;
}

static void parse_elems(const struct nlmsghdr *nlh, struct nft_foreign *f)
{
	struct attrs t = attrs_of_message(nlh);
	const char *table = get_str(t.v[NFTA_SET_ELEM_LIST_TABLE]);
	const char *name = get_str(t.v[NFTA_SET_ELEM_LIST_SET]);
	const struct nlattr *a;
	struct foreign_set *s;

	if (!is_foreign(f, family_of(nlh), table) || !name || !t.v[NFTA_SET_ELEM_LIST_ELEMENTS])
		return;
	s = foreign_set_find(f, family_of(nlh), table, name);
	if (!s || s->truncated)
		return;
	mnl_attr_for_each_nested (a, t.v[NFTA_SET_ELEM_LIST_ELEMENTS])
		add_elem(f, s, a);
}

/* ---- messages ---- */

static void parse_object(const struct nlmsghdr *nlh, struct nft_foreign *f)
{
	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
		return;
	switch (NFNL_MSG_TYPE(nlh->nlmsg_type)) {
	case NFT_MSG_NEWTABLE:
		parse_table(nlh, f);
		break;
	case NFT_MSG_NEWCHAIN:
		parse_chain(nlh, f);
		break;
	case NFT_MSG_NEWRULE:
		parse_rule(nlh, f);
		break;
	case NFT_MSG_NEWSET:
		parse_set(nlh, f);
		break;
	case NFT_MSG_NEWSETELEM:
		parse_elems(nlh, f);
		break;
	default:
		break;
	}
}

void nft_foreign_parse(const void *bytes, size_t len, struct nft_foreign *f, struct nft_answer *a)
{
	const struct nlmsghdr *nlh;
	const uint8_t *p = bytes;

	while ((nlh = nft_next_message(&p, &len))) {
		if (nlh->nlmsg_seq != a->seq)
			continue;
		a->interrupted |= (nlh->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE) {
			a->done = true;
			a->error = nft_message_code(nlh);
		} else if (nlh->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nfgenmsg))) {
			parse_object(nlh, f);
		}
	}
}
