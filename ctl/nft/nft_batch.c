/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Elements are written with libmnl straight from the set's flat array: an
 * object of libnftnl for each of 64k elements costs more than the kernel's own
 * work. Everything else goes through libnftnl, one object a message.
 *
 * An element list is one attribute with a 16-bit length, so a set's elements
 * are cut into messages of at most ELEM_LIST_MAX bytes of list.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include "ctl/nft/nft_batch.h"

#define ELEM_LIST_MAX (60 * 1024)
/* More than any message of ours: a full element list and its names. */
#define MSG_MAX (68 * 1024)
/* More than any message without an element list; a rule of ours is under 2 KiB. */
#define SMALL_MSG_MAX (16 * 1024)
/* An element with two attributes more than we write, 16-byte fields each. */
#define ELEM_MAX	  256
#define LIMIT_BURST_BYTES 65536u

bool nft_batch_failed(const struct nft_batch *b)
{
	return b->failed || b->bytes.failed;
}

void nft_batch_fini(struct nft_batch *b)
{
	buf_fini(&b->bytes);
	free(b->notes);
	free(b->elems);
	*b = (struct nft_batch){ 0 };
}

/* Room for one more entry; NULL (and failed) when out of memory. */
static void *push(struct nft_batch *b, void **v, size_t *n, size_t *cap, size_t size)
{
	if (*n == *cap) {
		size_t want = *cap ? *cap * 2 : 64;
		void *p = reallocarray(*v, want, size);

		if (!p) {
			b->failed = true;
			return NULL;
		}
		*v = p;
		*cap = want;
	}
	return (char *)*v + (*n)++ * size;
}

static struct nft_note *note(struct nft_batch *b, enum nft_note_kind kind)
{
	struct nft_note *n;

	n = push(b, (void **)&b->notes, &b->n_notes, &b->cap_notes, sizeof(*n));
	if (n)
		*n = (struct nft_note){ .kind = kind, .offset = (uint32_t)b->bytes.len };
	return n;
}

static void close_elems(struct nft_batch *b);

/* A new message with room for `room` bytes; NULL when out of memory. */
static struct nlmsghdr *message(struct nft_batch *b, enum nft_note_kind kind, uint16_t type,
				uint16_t flags, size_t room)
{
	struct nft_note *n;
	char *p;

	close_elems(b);
	p = buf_reserve(&b->bytes, room);
	n = p ? note(b, kind) : NULL;
	if (!n)
		return NULL;
	return nftnl_nlmsg_build_hdr(p, type, NFPROTO_INET, NLM_F_REQUEST | flags,
				     (uint32_t)(b->n_notes - 1));
}

static struct nft_note *last_note(struct nft_batch *b)
{
	return &b->notes[b->n_notes - 1];
}

static void finish(struct nft_batch *b, const struct nlmsghdr *nlh)
{
	b->bytes.len += NLMSG_ALIGN(nlh->nlmsg_len);
}

void nft_batch_begin(struct nft_batch *b, const char *table, uint32_t genid)
{
	struct nlmsghdr *nlh;
	char *p;

	*b = (struct nft_batch){ .table = table };
	p = buf_reserve(&b->bytes, SMALL_MSG_MAX);
	if (!p || !note(b, NFT_NOTE_BEGIN))
		return;
	nlh = nftnl_batch_begin(p, 0);
	if (genid)
		mnl_attr_put_u32(nlh, NFNL_BATCH_GENID, htonl(genid));
	finish(b, nlh);
}

void nft_batch_end(struct nft_batch *b)
{
	char *p;

	close_elems(b);
	p = buf_reserve(&b->bytes, SMALL_MSG_MAX);
	if (p && note(b, NFT_NOTE_END))
		finish(b, nftnl_batch_end(p, (uint32_t)(b->n_notes - 1)));
}

/* ---- objects ---- */

static bool table_mark(struct nftnl_table *t, const char *owner)
{
	uint8_t tlv[2 + NFTNL_UDATA_COMMENT_MAXLEN];
	int n = snprintf((char *)tlv + 2, sizeof(tlv) - 2, "spctl%s%s", *owner ? " " : "", owner);

	tlv[0] = NFTNL_UDATA_TABLE_COMMENT;
	tlv[1] = (uint8_t)(n + 1);
	return !nftnl_table_set_data(t, NFTNL_TABLE_USERDATA, tlv, (uint32_t)n + 3);
}

void nft_batch_table(struct nft_batch *b, uint16_t type, uint16_t flags, const char *owner)
{
	struct nlmsghdr *nlh = message(b, NFT_NOTE_TABLE, type, flags, SMALL_MSG_MAX);
	struct nftnl_table *t = nlh ? nftnl_table_alloc() : NULL;

	if (!t || nftnl_table_set_str(t, NFTNL_TABLE_NAME, b->table) ||
	    (owner && !table_mark(t, owner))) {
		b->failed = true;
	} else {
		nftnl_table_nlmsg_build_payload(nlh, t);
		finish(b, nlh);
	}
	if (t)
		nftnl_table_free(t);
}

/* Marks and interface names lie in host order; unless told so, nft prints them byte-swapped. */
static bool is_host_order(uint32_t type)
{
	return type == RS_TYPE_MARK || type == RS_TYPE_IFNAME;
}

static void set_udata(struct nftnl_set *ns, const struct rs_set_def *def)
{
	bool key = is_host_order(def->key_type);
	bool data = (def->flags & NFT_SET_MAP) && is_host_order(def->data_type);
	struct nftnl_udata_buf *u;
	const uint32_t host = 1;

	if (!key && !data)
		return;
	u = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
	if (!u)
		return;
	if (key)
		nftnl_udata_put_u32(u, NFTNL_UDATA_SET_KEYBYTEORDER, host);
	if (data)
		nftnl_udata_put_u32(u, NFTNL_UDATA_SET_DATABYTEORDER, host);
	nftnl_set_set_data(ns, NFTNL_SET_USERDATA, nftnl_udata_buf_data(u), nftnl_udata_buf_len(u));
	nftnl_udata_buf_free(u);
}

static void set_attrs(struct nftnl_set *ns, const struct rs_set_def *def)
{
	nftnl_set_set_u32(ns, NFTNL_SET_FLAGS, def->flags);
	nftnl_set_set_u32(ns, NFTNL_SET_KEY_TYPE, def->key_type);
	nftnl_set_set_u32(ns, NFTNL_SET_KEY_LEN, def->key_len);
	if (def->flags & NFT_SET_MAP) {
		nftnl_set_set_u32(ns, NFTNL_SET_DATA_TYPE, def->data_type);
		nftnl_set_set_u32(ns, NFTNL_SET_DATA_LEN,
				  rs_set_def_is_verdict(def) ? 0 : def->data_len);
	}
	if (def->size)
		nftnl_set_set_u32(ns, NFTNL_SET_DESC_SIZE, def->size);
	if (def->timeout_ms)
		nftnl_set_set_u64(ns, NFTNL_SET_TIMEOUT, def->timeout_ms);
	set_udata(ns, def);
}

static void put_set(struct nft_batch *b, const struct rs_set *s, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = message(b, NFT_NOTE_SET, type, flags, SMALL_MSG_MAX);
	struct nftnl_set *ns = nlh ? nftnl_set_alloc() : NULL;

	if (!ns || nftnl_set_set_str(ns, NFTNL_SET_TABLE, b->table) ||
	    nftnl_set_set_str(ns, NFTNL_SET_NAME, s->def.name)) {
		b->failed = true;
	} else {
		last_note(b)->set = s;
		if (type == NFT_MSG_NEWSET) {
			nftnl_set_set_u32(ns, NFTNL_SET_ID, ++b->set_id); /* mandatory */
			set_attrs(ns, &s->def);
		}
		nftnl_set_nlmsg_build_payload(nlh, ns);
		finish(b, nlh);
	}
	if (ns)
		nftnl_set_free(ns);
}

void nft_batch_new_set(struct nft_batch *b, const struct rs_set *s)
{
	put_set(b, s, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);
}

void nft_batch_del_set(struct nft_batch *b, const struct rs_set *s)
{
	put_set(b, s, NFT_MSG_DELSET, 0);
}

static void put_chain(struct nft_batch *b, const struct rs_chain *c, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = message(b, NFT_NOTE_CHAIN, type, flags, SMALL_MSG_MAX);
	struct nftnl_chain *nc = nlh ? nftnl_chain_alloc() : NULL;

	if (!nc || nftnl_chain_set_str(nc, NFTNL_CHAIN_TABLE, b->table) ||
	    nftnl_chain_set_str(nc, NFTNL_CHAIN_NAME, c->name)) {
		b->failed = true;
	} else {
		last_note(b)->chain = c;
		if (type == NFT_MSG_NEWCHAIN && *c->type) {
			nftnl_chain_set_str(nc, NFTNL_CHAIN_TYPE, c->type);
			nftnl_chain_set_u32(nc, NFTNL_CHAIN_HOOKNUM, c->hooknum);
			nftnl_chain_set_s32(nc, NFTNL_CHAIN_PRIO, c->priority);
			nftnl_chain_set_u32(nc, NFTNL_CHAIN_POLICY, NF_ACCEPT);
		}
		nftnl_chain_nlmsg_build_payload(nlh, nc);
		finish(b, nlh);
	}
	if (nc)
		nftnl_chain_free(nc);
}

void nft_batch_new_chain(struct nft_batch *b, const struct rs_chain *c)
{
	put_chain(b, c, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
}

void nft_batch_del_chain(struct nft_batch *b, const struct rs_chain *c)
{
	put_chain(b, c, NFT_MSG_DELCHAIN, 0);
}

void nft_batch_flush(struct nft_batch *b, const struct rs_chain *c)
{
	struct nlmsghdr *nlh = message(b, NFT_NOTE_FLUSH, NFT_MSG_DELRULE, 0, SMALL_MSG_MAX);

	if (!nlh)
		return;
	last_note(b)->chain = c;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, b->table);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, c->name);
	finish(b, nlh);
}

struct nlmsghdr *nft_batch_raw_rule(struct nft_batch *b, const struct rs_chain *c)
{
	struct nlmsghdr *nlh =
		message(b, NFT_NOTE_RULE, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, MSG_MAX);

	if (nlh)
		last_note(b)->chain = c;
	return nlh;
}

void nft_batch_rule(struct nft_batch *b, const struct rs_chain *c, size_t i)
{
	struct nlmsghdr *nlh = nft_batch_raw_rule(b, c);

	if (!nlh)
		return;
	last_note(b)->first = i;
	nftnl_rule_nlmsg_build_payload(nlh, c->rules[i].rule);
	finish(b, nlh);
}

/* ---- elements ---- */

static struct nlmsghdr *open_message(const struct nft_batch *b)
{
	return (struct nlmsghdr *)(void *)(b->bytes.data + b->open_offset);
}

static struct nlattr *open_list(const struct nft_batch *b)
{
	return (struct nlattr *)(void *)(b->bytes.data + b->open_list);
}

static void close_elems(struct nft_batch *b)
{
	struct nlmsghdr *nlh;

	if (!b->open_offset)
		return;
	nlh = open_message(b);
	mnl_attr_nest_end(nlh, open_list(b));
	b->open_offset = 0;
	finish(b, nlh);
}

static void open_elems(struct nft_batch *b, uint16_t type, const struct rs_set *s)
{
	uint16_t flags = type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct nlmsghdr *nlh = message(b, NFT_NOTE_ELEMS, type, flags, MSG_MAX);
	struct nlattr *list;

	if (!nlh)
		return;
	last_note(b)->set = s;
	last_note(b)->first = b->n_elems;
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, b->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, s->def.name);
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	b->open_offset = (uint32_t)b->bytes.len;
	b->open_list = (uint32_t)((char *)list - b->bytes.data);
	b->open_set = s;
	b->open_stride = rs_set_stride(&s->def);
	b->open_type = type;
}

static bool fits(const struct nft_batch *b, uint16_t type, const struct rs_set *s)
{
	return b->open_offset && b->open_set == s && b->open_type == type &&
	       (size_t)((char *)mnl_nlmsg_get_payload_tail(open_message(b)) -
			(char *)open_list(b)) < ELEM_LIST_MAX - ELEM_MAX;
}

static void put_data(struct nlmsghdr *nlh, const struct rs_set_def *def, const uint8_t *data)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_DATA), *verdict;

	if (rs_set_def_is_verdict(def)) {
		verdict = mnl_attr_nest_start(nlh, NFTA_DATA_VERDICT);
		mnl_attr_put_u32(nlh, NFTA_VERDICT_CODE, htonl((uint32_t)NFT_GOTO));
		mnl_attr_put_strz(nlh, NFTA_VERDICT_CHAIN, (const char *)data);
		mnl_attr_nest_end(nlh, verdict);
	} else {
		mnl_attr_put(nlh, NFTA_DATA_VALUE, def->data_len, data);
	}
	mnl_attr_nest_end(nlh, nest);
}

/* `limit rate over N bytes/second`; the bucket holds one second and a whole GSO packet more. */
static void put_limit(struct nlmsghdr *nlh, const uint8_t *data)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_EXPR), *inner;
	uint64_t rate;

	memcpy(&rate, data, sizeof(rate));
	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, "limit");
	inner = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
	mnl_attr_put_u64(nlh, NFTA_LIMIT_RATE, htobe64(rate));
	mnl_attr_put_u64(nlh, NFTA_LIMIT_UNIT, htobe64(1));
	mnl_attr_put_u32(nlh, NFTA_LIMIT_BURST, htonl(LIMIT_BURST_BYTES));
	mnl_attr_put_u32(nlh, NFTA_LIMIT_TYPE, htonl(NFT_LIMIT_PKT_BYTES));
	mnl_attr_put_u32(nlh, NFTA_LIMIT_FLAGS, htonl(NFT_LIMIT_F_INV));
	mnl_attr_nest_end(nlh, inner);
	mnl_attr_nest_end(nlh, nest);
}

static void put_counter(struct nlmsghdr *nlh, const uint8_t *data)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_EXPR), *inner;
	uint64_t count[2];

	memcpy(count, data, sizeof(count));
	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, "counter");
	inner = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
	mnl_attr_put_u64(nlh, NFTA_COUNTER_BYTES, htobe64(count[1]));
	mnl_attr_put_u64(nlh, NFTA_COUNTER_PACKETS, htobe64(count[0]));
	mnl_attr_nest_end(nlh, inner);
	mnl_attr_nest_end(nlh, nest);
}

static void put_elem(struct nlmsghdr *nlh, const struct rs_set_def *def, const uint8_t *elem,
		     bool with_data)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM), *key;
	uint32_t flags = rs_elem_flags(def, elem);

	if (flags)
		mnl_attr_put_u32(nlh, NFTA_SET_ELEM_FLAGS, htonl(flags));
	key = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, def->key_len, elem);
	mnl_attr_nest_end(nlh, key);
	if (with_data && rs_set_def_is_limits(def))
		put_limit(nlh, elem + def->key_len + sizeof(flags));
	else if (with_data && rs_set_def_is_counters(def))
		put_counter(nlh, elem + def->key_len + sizeof(flags));
	else if (with_data)
		put_data(nlh, def, elem + def->key_len + sizeof(flags));
	mnl_attr_nest_end(nlh, nest);
}

void nft_batch_elem(struct nft_batch *b, uint16_t type, const struct rs_set *s, uint32_t i)
{
	const uint8_t *elem;
	uint32_t *slot;
	bool with_data;

	if (!fits(b, type, s))
		open_elems(b, type, s);
	slot = push(b, (void **)&b->elems, &b->n_elems, &b->cap_elems, sizeof(*slot));
	if (!slot || !b->open_offset) {
		b->failed = true;
		return;
	}
	*slot = i;
	last_note(b)->n++;
	elem = rs_elem(s, b->open_stride, i);
	with_data = type == NFT_MSG_NEWSETELEM && rs_set_data_len(&s->def) &&
		    !(rs_elem_flags(&s->def, elem) & RS_ELEM_INTERVAL_END);
	put_elem(open_message(b), &s->def, elem, with_data);
}

/* ---- after a refusal ---- */

const struct nlmsghdr *nft_batch_message(const struct nft_batch *b, uint32_t seq)
{
	if (seq >= b->n_notes)
		return NULL;
	return (const void *)(b->bytes.data + b->notes[seq].offset);
}

static void split_elems(struct nft_batch *out, const struct nft_batch *b, const struct nft_note *n,
			uint16_t type)
{
	for (size_t i = 0; i < n->n; i++) {
		nft_batch_elem(out, type, n->set, b->elems[n->first + i]);
		close_elems(out);
	}
}

void nft_batch_split(struct nft_batch *out, const struct nft_batch *b, uint32_t seq)
{
	const struct nlmsghdr *nlh = nft_batch_message(b, seq);
	const struct nft_note *n = &b->notes[seq];

	*out = (struct nft_batch){ .table = b->table };
	buf_put(&out->bytes, b->bytes.data, n->offset);
	out->notes = reallocarray(NULL, b->n_notes, sizeof(*out->notes));
	if (!out->notes || out->bytes.failed) {
		out->failed = true;
		return;
	}
	memcpy(out->notes, b->notes, seq * sizeof(*out->notes));
	out->n_notes = seq;
	out->cap_notes = b->n_notes;
	split_elems(out, b, n, nlh->nlmsg_type & 0xff);
}

static uint32_t describe_elems(const struct nft_batch *b, const struct nft_note *n, char *what,
			       size_t cap)
{
	const struct rs_set *s = n->set;
	const char *kind = s->def.flags & NFT_SET_MAP ? "map" : "set";
	uint32_t first = b->elems ? b->elems[n->first] : 0;
	char key[96];

	if (n->n != 1) {
		snprintf(what, cap, "%zu elements of %s %s", n->n, kind, s->def.name);
		return s->place;
	}
	snprintf(what, cap, "element %s of %s %s",
		 rs_elem_format(&s->def, rs_elem(s, rs_set_stride(&s->def), first), key,
				sizeof(key)),
		 kind, s->def.name);
	return s->places ? s->places[first] : s->place;
}

uint32_t nft_batch_describe(const struct nft_batch *b, uint32_t seq, char *what, size_t cap)
{
	const struct nft_note *n = seq < b->n_notes ? &b->notes[seq] : NULL;

	if (!n) {
		snprintf(what, cap, "message %" PRIu32, seq);
		return RS_NO_PLACE;
	}
	switch (n->kind) {
	case NFT_NOTE_SET:
		snprintf(what, cap, "%s %s", n->set->def.flags & NFT_SET_MAP ? "map" : "set",
			 n->set->def.name);
		return n->set->place;
	case NFT_NOTE_CHAIN:
		snprintf(what, cap, "chain %s", n->chain->name);
		return n->chain->place;
	case NFT_NOTE_FLUSH:
		snprintf(what, cap, "the old rules of chain %s", n->chain->name);
		return n->chain->place;
	case NFT_NOTE_RULE:
		snprintf(what, cap, "rule %zu of chain %s", n->first + 1, n->chain->name);
		return n->chain->rules[n->first].place;
	case NFT_NOTE_ELEMS:
		return describe_elems(b, n, what, cap);
	case NFT_NOTE_TABLE:
		snprintf(what, cap, "table %s", b->table);
		return RS_NO_PLACE;
	default:
		snprintf(what, cap, "the transaction");
		return RS_NO_PLACE;
	}
}
