/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lookups in sets and maps. What the key depends on says what becomes of one
 * that is not known: of the address, the keys of single addresses are passed by;
 * of the client, a list is passed by and a map ends the walk; a slot that is
 * drawn makes all its targets the answer, each with its share.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnftnl/expr.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset_compile.h"
#include "ctl/nft/ruleset_walk_internal.h"

#define TOLD_TARGETS 8 /* of many, one step each */
#define TOLD_RANGES  3
#define PEERS	     "proxies"	  /* the set of proxyIPs begins with this */
#define LABEL_REG    NFT_REG32_00 /* where our rules load labels out of maps */
#define VALUE_MAX    64

/* ---- elements ---- */

/* Index of the last element that is not behind the key; n = none. */
static size_t last_upto(const struct rs_set *s, size_t stride, const uint8_t *key)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(rs_elem(s, stride, mid), key, s->def.key_len) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? lo - 1 : s->n;
}

/* The element with that key, or the start of the interval that has it; n = none. */
static size_t find(const struct rs_set *s, const uint8_t *key)
{
	size_t stride = rs_set_stride(&s->def), i = last_upto(s, stride, key);

	if (i == s->n)
		return i;
	if (s->def.flags & NFT_SET_INTERVAL)
		return rs_elem_flags(&s->def, rs_elem(s, stride, i)) & RS_ELEM_INTERVAL_END ? s->n
											    : i;
	return memcmp(rs_elem(s, stride, i), key, s->def.key_len) ? s->n : i;
}

static const uint8_t *data_of(const struct rs_set *s, size_t i)
{
	return rs_elem(s, rs_set_stride(&s->def), i) + s->def.key_len + sizeof(uint32_t);
}

/* ---- text ---- */

/* Values of those types, as rs_elem_format() has it. */
static const char *value_text(uint32_t type, const uint8_t *value, uint32_t len, char *out,
			      size_t cap)
{
	const struct rs_set_def def = { .key_type = type, .key_len = len };
	uint8_t elem[VALUE_MAX + sizeof(uint32_t)] = { 0 };

	memcpy(elem, value, len < VALUE_MAX ? len : VALUE_MAX);
	return rs_elem_format(&def, elem, out, cap);
}

static bool is_address(uint32_t type)
{
	return type == RS_TYPE_IP || type == RS_TYPE_IP6;
}

/* The interval that begins at element i: "10.0.0.0/8", "8001-8100". */
static const char *range_text(const struct rs_set *s, size_t i, char out[ADDR_RANGE_TEXT])
{
	size_t stride = rs_set_stride(&s->def);
	const uint8_t *lo = rs_elem(s, stride, i);
	const uint8_t *end = i + 1 < s->n ? rs_elem(s, stride, i + 1) : NULL;
	struct addr_range r = { 0 };
	unsigned from, to;

	if (!is_address(s->def.key_type)) {
		from = (unsigned)(lo[0] << 8 | lo[1]);
		to = end ? (unsigned)(end[0] << 8 | end[1]) - 1 : 65535;
		snprintf(out, ADDR_RANGE_TEXT, from == to ? "%u" : "%u-%u", from, to);
		return out;
	}
	r.lo.family = r.hi.family = s->def.key_type == RS_TYPE_IP ? ADDR_V4 : ADDR_V6;
	memcpy(r.lo.bytes, lo, s->def.key_len);
	memset(r.hi.bytes, 0xff, s->def.key_len);
	if (end) {
		memcpy(r.hi.bytes, end, s->def.key_len);
		addr_prev(&r.hi);
	}
	return addr_range_format(&r, out);
}

static struct walk_step *set_step(struct walker *w, enum walk_what what, const struct rs_set *s)
{
	char object[RS_NAME_MAX + 8];

	snprintf(object, sizeof(object), "%s %s", s->def.flags & NFT_SET_MAP ? "map" : "set",
		 s->def.name);
	return walk_step(w, what, object);
}

static void put_key(const struct walker *w, const struct rs_set *s, const uint8_t *key,
		    struct walk_step *step)
{
	uint32_t label[4];

	if (s->def.key_type == RS_TYPE_MARK) {
		snprintf(step->key, sizeof(step->key), "%s", w->slot.how);
	} else if (s->def.key_type == RS_TYPE_IP6 && !(s->def.flags & NFT_SET_INTERVAL) &&
		   !rs_set_def_is_verdict(&s->def)) {
		memcpy(label, key, sizeof(label));
		walk_label_text(w, label, step->key, sizeof(step->key));
	} else {
		value_text(s->def.key_type, key, s->def.key_len, step->key, sizeof(step->key));
	}
}

static unsigned count_ranges(const struct rs_set *s)
{
	size_t stride = rs_set_stride(&s->def);
	unsigned n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += !(rs_elem_flags(&s->def, rs_elem(s, stride, i)) & RS_ELEM_INTERVAL_END);
	return n;
}

/* ---- sets ---- */

const struct rs_set *walk_set(struct walker *w, const char *name)
{
	const struct rs_set *have = name ? ruleset_find_set(w->world->have, name) : NULL;
	const struct rs_set *want = name ? ruleset_find_set(w->world->want, name) : NULL;

	if (have && want && !have->foreign && have->def.flags == want->def.flags &&
	    have->def.key_type == want->def.key_type && have->def.key_len == want->def.key_len &&
	    have->def.key_len <= VALUE_MAX &&
	    rs_set_data_len(&have->def) == rs_set_data_len(&want->def))
		return have;
	walk_result(walk_step(w, WALK_CHANGED, name ? name : "a set"),
		    "was changed by hand: what is in it is not known");
	w->out->changed = true;
	return NULL;
}

/* ---- keys that are not known ---- */

static unsigned count_like(const struct walker *w, const struct rs_set *s, int at)
{
	size_t stride = rs_set_stride(&s->def);
	unsigned n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const uint8_t *key = rs_elem(s, stride, i);
		bool same = true;

		for (uint32_t k = 0; k < s->def.key_len && same; k++)
			same = w->dep[((uint32_t)at + k) / 4] || key[k] == w->reg[(uint32_t)at + k];
		n += same;
	}
	return n;
}

/* Does that address's own chain, which looks into port ranges of both protocols, take the port? */
static bool chain_takes_port(const struct walker *w, const char *chain)
{
	const uint16_t port_be = htons(w->p->port);
	char name[RS_NAME_MAX];
	const struct rs_set *s;

	/* a<hash>_4 looks into a<hash>t4 and a<hash>u4. */
	snprintf(name, sizeof(name), "%.*s%c%c", (int)strcspn(chain, "_"), chain,
		 w->p->proto == IPPROTO_TCP ? 't' : 'u', w->p->family == ADDR_V4 ? '4' : '6');
	s = ruleset_find_set(w->world->have, name);
	return !s || s->def.key_len != sizeof(port_be) || find(s, (const uint8_t *)&port_be) < s->n;
}

static unsigned count_addresses(const struct walker *w, const struct rs_set *s, int at)
{
	unsigned n = 0;

	if (!is_address(s->def.key_type) || !rs_set_def_is_verdict(&s->def))
		return count_like(w, s, at);
	for (size_t i = 0; i < s->n; i++)
		n += chain_takes_port(w, (const char *)data_of(s, i));
	return n;
}

/* The keys of single addresses: the question is about the others, unless it names one. */
static enum walk_go pass_addresses(struct walker *w, const struct rs_set *s, int at)
{
	unsigned n = count_addresses(w, s, at);

	if (!n)
		return GO_BREAK;
	w->out->by_address = true;
	walk_result(set_step(w, WALK_LOOKUP, s),
		    n == 1 ? "one address has a key of its own: --address asks about it"
			   : "%u addresses have keys of their own: --address asks about one",
		    n);
	return GO_BREAK;
}

static enum walk_go open_map(struct walker *w, const struct rs_set *s)
{
	struct walk_step *step = set_step(w, WALK_LOOKUP, s);
	size_t stride = rs_set_stride(&s->def);
	unsigned told = 0, n = count_ranges(s);
	char range[ADDR_RANGE_TEXT];

	snprintf(step->key, sizeof(step->key), "each client");
	walk_result(step, "depends on the client:");
	for (size_t i = 0; i < s->n && told < TOLD_RANGES; i++) {
		if (rs_elem_flags(&s->def, rs_elem(s, stride, i)) & RS_ELEM_INTERVAL_END)
			continue;
		walk_result(step, "%s %s to %.20s", told++ ? "," : "", range_text(s, i, range),
			    (const char *)data_of(s, i));
	}
	if (n > told)
		walk_result(step, " and %u more", n - told);
	return walk_end(w, WALK_OPEN);
}

/* In neither list; the peers in proxyIPs are not the clients that somebody asks about. */
static enum walk_go pass_client(struct walker *w, const struct rs_set *s, bool invert)
{
	struct walk_step *step;
	unsigned n;

	w->out->by_client = true;
	if (rs_set_def_is_verdict(&s->def))
		return open_map(w, s);
	if (!strncmp(s->def.name, PEERS, sizeof(PEERS) - 1))
		return invert ? GO_ON : GO_BREAK;
	step = set_step(w, WALK_LIST, s);
	snprintf(step->key, sizeof(step->key), "each client");
	n = count_ranges(s);
	walk_result(step, "depends on the client: %u range%s", n, text_plural(n));
	return GO_BREAK;
}

/* ---- slots ---- */

static struct walk_target *target_of(struct walker *w, const uint32_t label[4])
{
	struct walk_target *t;

	for (size_t i = 0; i < w->out->n_targets; i++)
		if (!memcmp(w->out->targets[i].label, label, sizeof(w->out->targets[i].label)))
			return &w->out->targets[i];
	t = walk_add_target(w);
	if (t) {
		memcpy(t->label, label, sizeof(t->label));
		t->share = 0;
	}
	return t;
}

static enum walk_go choose_slot(struct walker *w, const struct rs_set *s, uint32_t dreg)
{
	struct walk_step *step = set_step(w, WALK_BALANCE, s);
	unsigned found = 0;
	uint32_t label[4];

	snprintf(step->key, sizeof(step->key), "%s", w->slot.how);
	for (uint32_t slot = w->slot.first; slot < w->slot.first + w->slot.n; slot++) {
		size_t i = find(s, (const uint8_t *)&slot);
		struct walk_target *t;

		if (i == s->n)
			continue;
		memcpy(label, data_of(s, i), sizeof(label));
		t = target_of(w, label);
		if (!t)
			return GO_END;
		t->share++;
		found++;
	}
	w->out->shares = w->slot.n;
	if (found)
		walk_result(step, "%zu target%s", w->out->n_targets,
			    text_plural(w->out->n_targets));
	if (found < w->slot.n)
		walk_result(step, "%s%u slot%s no element", found ? "; " : "", w->slot.n - found,
			    w->slot.n - found == 1 ? " has" : "s have");
	if (!found)
		return GO_BREAK;
	label[3] = 0;
	walk_store(w, dreg, label, sizeof(label), 0);
	w->dep[walk_reg(dreg, sizeof(label)) / 4 + 3] = DEP_CHOICE;
	w->choosing = true;
	return GO_ON;
}

static void take_target(const struct walker *w, const struct rs_set *s, size_t i,
			struct walk_target *t)
{
	const uint8_t *data = data_of(s, i);
	unsigned len = w->p->family == ADDR_V4 ? 4 : 16;
	uint16_t port_be = htons(w->p->port);

	t->addr = (struct addr){ .family = (uint8_t)w->p->family };
	memcpy(t->addr.bytes, data, len);
	if (s->def.data_len > len)
		memcpy(&port_be, data + len, sizeof(port_be));
	t->port = ntohs(port_be);
}

static void target_step(struct walker *w, const struct rs_set *s, const struct walk_target *t,
			size_t i)
{
	struct walk_step *step = set_step(w, WALK_BALANCE, s);
	char text[ADDR_TEXT + 16];

	snprintf(step->key, sizeof(step->key), "%u of %u", t->share, w->out->shares);
	memcpy(step->label, t->label, sizeof(step->label));
	snprintf(step->set, sizeof(step->set), "%s", count_set_name(COUNT_NEW));
	walk_result(step, "%s",
		    i < s->n ? value_text(s->def.data_type, data_of(s, i), s->def.data_len, text,
					  sizeof(text))
			     : "no element: leads nowhere");
}

static enum walk_go choose_target(struct walker *w, const struct rs_set *s, uint32_t dreg)
{
	unsigned found = 0;

	for (size_t k = 0; k < w->out->n_targets; k++) {
		struct walk_target *t = &w->out->targets[k];
		size_t i = find(s, (const uint8_t *)t->label);

		if (i < s->n)
			take_target(w, s, i, t);
		found += i < s->n;
		if (k < TOLD_TARGETS)
			target_step(w, s, t, i);
	}
	if (w->out->n_targets > TOLD_TARGETS)
		walk_result(set_step(w, WALK_BALANCE, s), "and %zu more",
			    w->out->n_targets - TOLD_TARGETS);
	walk_store(w, dreg, NULL, s->def.data_len, DEP_CHOICE);
	return found ? GO_ON : GO_BREAK;
}

/* ---- keys that are known ---- */

static enum walk_go look_into_list(struct walker *w, const struct rs_set *s, const uint8_t *key,
				   bool invert)
{
	struct walk_step *step = set_step(w, WALK_LIST, s);
	char range[ADDR_RANGE_TEXT];
	size_t i = find(s, key);

	put_key(w, s, key, step);
	if (i < s->n)
		walk_result(step, "in %s", range_text(s, i, range));
	else
		walk_result(step, "not in it");
	return (i < s->n) == invert ? GO_BREAK : GO_ON;
}

static enum walk_go look_into_limits(struct walker *w, const struct rs_set *s, const uint8_t *key)
{
	struct walk_step *step;
	uint64_t bytes;
	size_t i = find(s, key);

	if (i == s->n)
		return GO_BREAK;
	memcpy(&bytes, data_of(s, i), sizeof(bytes));
	step = set_step(w, WALK_MAX_RATE, s);
	put_key(w, s, key, step);
	walk_result(step, "%" PRIu64 " bytes/s %s; what is beyond is dropped", bytes,
		    w->reply ? "to the clients" : "from the clients");
	return GO_BREAK;
}

static enum walk_go follow(struct walker *w, const struct rs_set *s, size_t i,
			   struct walk_step *step)
{
	char range[ADDR_RANGE_TEXT];

	memcpy(w->to, data_of(s, i), sizeof(w->to));
	w->to[sizeof(w->to) - 1] = '\0';
	if (s->def.flags & NFT_SET_INTERVAL)
		walk_result(step, "%s: ", range_text(s, i, range));
	walk_result(step, "chain %s", w->to);
	w->verdict = NFT_GOTO;
	return GO_VERDICT;
}

static enum walk_go look_into_map(struct walker *w, const struct rs_set *s, const uint8_t *key,
				  uint32_t dreg)
{
	struct walk_step *step = set_step(w, WALK_LOOKUP, s);
	char text[ADDR_TEXT + 80];
	size_t i = find(s, key);
	uint32_t label[4];

	put_key(w, s, key, step);
	if (i == s->n) {
		walk_result(step, "no element");
		return GO_BREAK;
	}
	if (rs_set_def_is_verdict(&s->def))
		return follow(w, s, i, step);
	if (dreg == LABEL_REG) {
		memcpy(label, data_of(s, i), sizeof(label));
		walk_label_text(w, label, text, sizeof(text));
	} else {
		value_text(s->def.data_type, data_of(s, i), s->def.data_len, text, sizeof(text));
	}
	walk_result(step, "%s", text);
	walk_store(w, dreg, data_of(s, i), s->def.data_len, 0);
	return GO_ON;
}

enum walk_go walk_lookup(struct walker *w, const struct nftnl_expr *ex)
{
	const struct rs_set *s = walk_set(w, nftnl_expr_get_str(ex, NFTNL_EXPR_LOOKUP_SET));
	int at = s ? walk_reg(walk_get(ex, NFTNL_EXPR_LOOKUP_SREG), s->def.key_len) : -1;
	bool map = nftnl_expr_is_set(ex, NFTNL_EXPR_LOOKUP_DREG);
	bool invert = walk_get(ex, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV;
	uint32_t dreg = walk_get(ex, NFTNL_EXPR_LOOKUP_DREG);
	uint8_t dep;

	if (at < 0)
		return walk_end(w, WALK_UNKNOWN);
	dep = walk_dep(w, at, s->def.key_len);
	if (dep & DEP_CHOICE)
		return s->def.key_type == RS_TYPE_MARK ? choose_slot(w, s, dreg)
						       : choose_target(w, s, dreg);
	if (dep & DEP_ADDRESS)
		return pass_addresses(w, s, at);
	if (dep & DEP_CLIENT)
		return pass_client(w, s, invert);
	if (rs_set_def_is_limits(&s->def))
		return look_into_limits(w, s, w->reg + at);
	if (map)
		return look_into_map(w, s, w->reg + at, dreg);
	return look_into_list(w, s, w->reg + at, invert);
}
