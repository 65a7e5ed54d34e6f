/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The expressions that the compiler writes, as the kernel computes them, for one
 * packet: TCP's first segment or a first datagram. Registers as in nft_expr.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnftnl/expr.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset_compile.h"
#include "ctl/nft/ruleset_walk_internal.h"

#define SYN		    0x02
#define ACK		    0x10
#define CT_NEW		    8u /* 1 << (IP_CT_NEW + 1) */
#define CT_STATUS_CONFIRMED 8u /* IPS_CONFIRMED */
#define LO_INDEX	    1u
#define NOT_LO		    2u

/* ---- registers ---- */

int walk_reg(uint32_t reg, uint32_t len)
{
	uint32_t at = WALK_REG_BYTES;

	if (reg >= NFT_REG_1 && reg <= NFT_REG_4)
		at = (reg - NFT_REG_1) * 16;
	else if (reg >= NFT_REG32_00 && reg < NFT_REG32_00 + WALK_REGS)
		at = (reg - NFT_REG32_00) * 4;
	return at < WALK_REG_BYTES && len <= WALK_REG_BYTES - at ? (int)at : -1;
}

/* The kernel zeroes the rest of the last register. */
void walk_store(struct walker *w, uint32_t reg, const void *data, uint32_t len, uint8_t dep)
{
	int at = walk_reg(reg, len);
	uint32_t whole = (len + 3) & ~3u;

	if (at < 0)
		return;
	memset(w->reg + at, 0, whole);
	if (data)
		memcpy(w->reg + at, data, len);
	for (uint32_t i = 0; i < whole / 4; i++) {
		w->dep[(uint32_t)at / 4 + i] = dep;
		w->of_label[(uint32_t)at / 4 + i] = false;
	}
}

uint8_t walk_dep(const struct walker *w, int at, uint32_t len)
{
	uint8_t dep = 0;

	for (uint32_t i = 0; i < (len + 3) / 4; i++)
		dep |= w->dep[(uint32_t)at / 4 + i];
	return dep;
}

uint32_t walk_get(const struct nftnl_expr *ex, uint16_t attr)
{
	return nftnl_expr_is_set(ex, attr) ? nftnl_expr_get_u32(ex, attr) : 0;
}

/* ---- loads ---- */

static enum walk_go run_meta(struct walker *w, const struct nftnl_expr *ex)
{
	uint32_t reg = walk_get(ex, NFTNL_EXPR_META_DREG), index;
	uint8_t nf = w->p->family == ADDR_V4 ? NFPROTO_IPV4 : NFPROTO_IPV6;

	switch (walk_get(ex, NFTNL_EXPR_META_KEY)) {
	case NFT_META_NFPROTO:
		walk_store(w, reg, &nf, 1, 0);
		return GO_ON;
	case NFT_META_L4PROTO:
		walk_store(w, reg, &w->p->proto, 1, 0);
		return GO_ON;
	case NFT_META_IIF:
		index = NOT_LO;
		walk_store(w, reg, &index, sizeof(index), 0);
		return GO_ON;
	case NFT_META_OIF:
		index = w->to_lo ? LO_INDEX : NOT_LO;
		walk_store(w, reg, &index, sizeof(index), 0);
		return GO_ON;
	default:
		return walk_end(w, WALK_UNKNOWN);
	}
}

/* What stands at that place of the network header, as far as our rules look at it. */
static enum walk_go load_address(struct walker *w, uint32_t reg, uint32_t off, uint32_t len)
{
	bool v4 = w->p->family == ADDR_V4;
	bool source = off == (v4 ? 12 : 8), target = off == (v4 ? 16 : 24);
	const struct addr *a = source ? &w->p->client : &w->p->address;

	if ((!source && !target) || len > (v4 ? 4u : 16u))
		return walk_end(w, WALK_UNKNOWN);
	walk_store(w, reg, a->family ? a->bytes : NULL, len,
		   a->family ? 0
		   : source  ? DEP_CLIENT
			     : DEP_ADDRESS);
	return GO_ON;
}

static enum walk_go run_payload(struct walker *w, const struct nftnl_expr *ex)
{
	uint32_t base = walk_get(ex, NFTNL_EXPR_PAYLOAD_BASE),
		 off = walk_get(ex, NFTNL_EXPR_PAYLOAD_OFFSET);
	uint32_t len = walk_get(ex, NFTNL_EXPR_PAYLOAD_LEN),
		 reg = walk_get(ex, NFTNL_EXPR_PAYLOAD_DREG);
	uint16_t port = htons(w->p->port);
	uint8_t flags = w->later ? ACK : SYN;

	if (base == NFT_PAYLOAD_NETWORK_HEADER)
		return load_address(w, reg, off, len);
	if (base == NFT_PAYLOAD_TRANSPORT_HEADER && off == 2 && len == 2)
		walk_store(w, reg, &port, 2, 0);
	else if (base == NFT_PAYLOAD_TRANSPORT_HEADER && off == 13 && len == 1)
		walk_store(w, reg, &flags, 1, 0);
	else
		return walk_end(w, WALK_UNKNOWN);
	return GO_ON;
}

static void label_step(struct walker *w)
{
	char text[120];

	if (w->told || !w->out->label[0])
		return;
	walk_result(walk_step(w, WALK_LABEL, "ct label"), "%s",
		    walk_label_text(w, w->out->label, text, sizeof(text)));
}

/* Labels are OR-ed in. */
static enum walk_go set_label(struct walker *w, const struct nftnl_expr *ex)
{
	int at = walk_reg(walk_get(ex, NFTNL_EXPR_CT_SREG), 16);
	uint32_t words[4];

	if (at < 0 || walk_get(ex, NFTNL_EXPR_CT_KEY) != NFT_CT_LABELS)
		return walk_end(w, WALK_UNKNOWN);
	memcpy(words, w->reg + at, sizeof(words));
	for (unsigned i = 0; i < 4; i++)
		w->out->label[i] |= words[i];
	if (words[1] & LABEL_HAIRPIN) {
		w->out->hairpin = true;
		walk_result(walk_step(w, WALK_HAIRPIN, w->comment),
			    "client and target are behind one interface");
	}
	label_step(w);
	return GO_ON;
}

static enum walk_go load_label(struct walker *w, uint32_t reg)
{
	int at = walk_reg(reg, sizeof(w->out->label)) / 4;

	if (at < 0)
		return walk_end(w, WALK_UNKNOWN);
	walk_store(w, reg, w->out->label, sizeof(w->out->label), 0);
	for (int i = at; i < at + 4; i++)
		w->of_label[i] = true;
	if (w->choosing)
		w->dep[at + 3] = DEP_CHOICE;
	return GO_ON;
}

static enum walk_go run_ct(struct walker *w, const struct nftnl_expr *ex)
{
	uint32_t reg = walk_get(ex, NFTNL_EXPR_CT_DREG), state = CT_NEW;
	const uint32_t confirmed = CT_STATUS_CONFIRMED; /* whose answer it may be */

	if (nftnl_expr_is_set(ex, NFTNL_EXPR_CT_SREG))
		return set_label(w, ex);
	switch (walk_get(ex, NFTNL_EXPR_CT_KEY)) {
	case NFT_CT_STATE:
		walk_store(w, reg, &state, sizeof(state), 0);
		return GO_ON;
	case NFT_CT_STATUS:
		walk_store(w, reg, &confirmed, sizeof(confirmed), 0);
		return GO_ON;
	case NFT_CT_DIRECTION:
		walk_store(w, reg, NULL, 1, DEP_DIRECTION);
		return GO_ON;
	case NFT_CT_LABELS:
		return load_label(w, reg);
	default:
		return walk_end(w, WALK_UNKNOWN);
	}
}

static bool address_is_local(const struct walker *w)
{
	if (!w->p->address.family || !w->world->is_local)
		return true; /* the question is about this host */
	return w->world->is_local(&w->p->address, w->world->arg);
}

/* A target that is chosen later is asked for by the first of them. */
static bool way_is_hairpin(const struct walker *w)
{
	const struct walk_target *t = w->out->targets;

	return w->out->n_targets && w->p->client.family && w->world->is_hairpin &&
	       w->world->is_hairpin(&w->p->client, &t->addr, w->world->arg);
}

static enum walk_go run_fib(struct walker *w, const struct nftnl_expr *ex)
{
	uint32_t reg = walk_get(ex, NFTNL_EXPR_FIB_DREG), type;
	char text[ADDR_TEXT];
	struct walk_step *s;

	if (walk_get(ex, NFTNL_EXPR_FIB_RESULT) == NFT_FIB_RESULT_OIF) {
		uint32_t present = way_is_hairpin(w);

		walk_store(w, reg, &present, sizeof(present), 0);
		return GO_ON;
	}
	if (walk_get(ex, NFTNL_EXPR_FIB_RESULT) != NFT_FIB_RESULT_ADDRTYPE)
		return walk_end(w, WALK_UNKNOWN);
	type = address_is_local(w) ? RTN_LOCAL : RTN_UNICAST;
	walk_store(w, reg, &type, sizeof(type), 0);
	s = walk_step(w, WALK_ADDRESS, "fib daddr type");
	snprintf(s->key, sizeof(s->key), "%s",
		 w->p->address.family ? addr_format(&w->p->address, text) : "this host's address");
	walk_result(s, type == RTN_LOCAL ? "local" : "not local: not addressed to this host");
	return GO_ON;
}

/* ---- computing ---- */

static enum walk_go run_cmp(struct walker *w, const struct nftnl_expr *ex)
{
	bool equal_wanted = walk_get(ex, NFTNL_EXPR_CMP_OP) == NFT_CMP_EQ, equal;
	uint32_t len = 0;
	const uint8_t *data = nftnl_expr_get(ex, NFTNL_EXPR_CMP_DATA, &len);
	int at = walk_reg(walk_get(ex, NFTNL_EXPR_CMP_SREG), len);
	uint8_t dep;

	if (!data || at < 0 || (!equal_wanted && walk_get(ex, NFTNL_EXPR_CMP_OP) != NFT_CMP_NEQ))
		return walk_end(w, WALK_UNKNOWN);
	dep = walk_dep(w, at, len);
	if (dep & DEP_DIRECTION) { /* both directions of the flow come by here */
		w->reply = data[0];
		return GO_ON;
	}
	/* Our rules ask for loopback addresses only: one that is not known is another. */
	equal = !dep && !memcmp(w->reg + at, data, len);
	return equal == equal_wanted ? GO_ON : GO_BREAK;
}

static enum walk_go run_bitwise(struct walker *w, const struct nftnl_expr *ex)
{
	uint32_t len = walk_get(ex, NFTNL_EXPR_BITWISE_LEN), mask_len = 0, xor_len = 0;
	const uint8_t *mask = nftnl_expr_get(ex, NFTNL_EXPR_BITWISE_MASK, &mask_len);
	const uint8_t *flip = nftnl_expr_get(ex, NFTNL_EXPR_BITWISE_XOR, &xor_len);
	int from = walk_reg(walk_get(ex, NFTNL_EXPR_BITWISE_SREG), len);
	int to = walk_reg(walk_get(ex, NFTNL_EXPR_BITWISE_DREG), len);

	if (from < 0 || to < 0 || !mask || !flip || mask_len < len || xor_len < len)
		return walk_end(w, WALK_UNKNOWN);
	for (uint32_t i = 0; i < len; i++)
		w->reg[(uint32_t)to + i] = (w->reg[(uint32_t)from + i] & mask[i]) ^ flip[i];
	for (uint32_t i = 0; i < (len + 3) / 4; i++) {
		uint32_t left = len - 4 * i, in = (uint32_t)from / 4 + i,
			 out = (uint32_t)to / 4 + i;
		bool masked = !memcmp(mask + 4 * i, "\0\0\0", left < 4 ? left : 4);

		w->dep[out] = masked ? 0 : w->dep[in];
		w->of_label[out] = w->of_label[in];
	}
	return GO_ON;
}

static uint32_t rol(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

/* Bob Jenkins' lookup3 as the kernel has it (include/linux/jhash.h). */
static uint32_t jhash(const uint8_t *k, uint32_t len, uint32_t seed)
{
	uint32_t v[3], a, b, c;
	uint8_t tail[12] = { 0 };

	a = b = c = 0xdeadbeef + len + seed;
	for (; len > 12; len -= 12, k += 12) {
		memcpy(v, k, sizeof(v));
		a += v[0], b += v[1], c += v[2];
		a -= c, a ^= rol(c, 4), c += b;
		b -= a, b ^= rol(a, 6), a += c;
		c -= b, c ^= rol(b, 8), b += a;
		a -= c, a ^= rol(c, 16), c += b;
		b -= a, b ^= rol(a, 19), a += c;
		c -= b, c ^= rol(b, 4), b += a;
	}
	memcpy(tail, k, len);
	for (unsigned i = 0; i < 3; i++)
		v[i] = (uint32_t)tail[4 * i] | (uint32_t)tail[4 * i + 1] << 8 |
		       (uint32_t)tail[4 * i + 2] << 16 | (uint32_t)tail[4 * i + 3] << 24;
	a += v[0], b += v[1], c += v[2];
	c ^= b, c -= rol(b, 14);
	a ^= c, a -= rol(c, 11);
	b ^= a, b -= rol(a, 25);
	c ^= b, c -= rol(b, 16);
	a ^= c, a -= rol(c, 4);
	b ^= a, b -= rol(a, 14);
	c ^= b, c -= rol(b, 24);
	return c;
}

static void draw(struct walker *w, uint32_t reg, uint32_t first, uint32_t n, const char *how)
{
	w->slot.first = first;
	w->slot.n = n;
	snprintf(w->slot.how, sizeof(w->slot.how), "%s, %u slot%s", how, n, text_plural(n));
	walk_store(w, reg, &first, sizeof(first), DEP_CHOICE);
}

static enum walk_go run_numgen(struct walker *w, const struct nftnl_expr *ex)
{
	bool random = walk_get(ex, NFTNL_EXPR_NG_TYPE) == NFT_NG_RANDOM;

	draw(w, walk_get(ex, NFTNL_EXPR_NG_DREG), walk_get(ex, NFTNL_EXPR_NG_OFFSET),
	     walk_get(ex, NFTNL_EXPR_NG_MODULUS), random ? "random" : "in turn");
	return GO_ON;
}

static enum walk_go run_hash(struct walker *w, const struct nftnl_expr *ex)
{
	uint32_t len = walk_get(ex, NFTNL_EXPR_HASH_LEN), n = walk_get(ex, NFTNL_EXPR_HASH_MODULUS),
		 h, slot;
	uint32_t first = walk_get(ex, NFTNL_EXPR_HASH_OFFSET),
		 reg = walk_get(ex, NFTNL_EXPR_HASH_DREG);
	int at = walk_reg(walk_get(ex, NFTNL_EXPR_HASH_SREG), len);

	if (at < 0 || walk_get(ex, NFTNL_EXPR_HASH_TYPE) != NFT_HASH_JENKINS)
		return walk_end(w, WALK_UNKNOWN);
	if (walk_dep(w, at, len)) {
		w->out->by_client = true;
		draw(w, reg, first, n, "by hash of the client");
		return GO_ON;
	}
	h = jhash(w->reg + at, len, walk_get(ex, NFTNL_EXPR_HASH_SEED));
	slot = (uint32_t)((uint64_t)h * n >> 32);
	w->slot.n = 1;
	w->slot.first = first + slot;
	snprintf(w->slot.how, sizeof(w->slot.how), "hash of the client: slot %u of %u", slot, n);
	walk_store(w, reg, &w->slot.first, sizeof(w->slot.first), 0);
	return GO_ON;
}

/* Rewriting the packet decides nothing. */
static enum walk_go run_nothing(struct walker *w, const struct nftnl_expr *ex)
{
	(void)w;
	(void)ex;
	return GO_ON;
}

enum walk_go walk_expr(struct walker *w, const struct nftnl_expr *ex)
{
	static const struct {
		const char *name;
		enum walk_go (*run)(struct walker *w, const struct nftnl_expr *ex);
	} known[] = {
		{ "meta", run_meta },
		{ "payload", run_payload },
		{ "ct", run_ct },
		{ "fib", run_fib },
		{ "cmp", run_cmp },
		{ "bitwise", run_bitwise },
		{ "lookup", walk_lookup },
		{ "numgen", run_numgen },
		{ "hash", run_hash },
		{ "immediate", walk_immediate },
		{ "dynset", walk_dynset },
		{ "connlimit", walk_connlimit },
		{ "nat", walk_nat },
		{ "redir", walk_redirect },
		{ "masq", walk_masquerade },
		{ "reject", walk_reject },
		{ "counter", run_nothing },
		{ "rt", run_nothing },
		{ "byteorder", run_nothing },
		{ "exthdr", run_nothing },
	};
	const char *name = nftnl_expr_get_str(ex, NFTNL_EXPR_NAME);

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(name, known[i].name))
			return known[i].run(w, ex);
	walk_result(walk_step(w, WALK_CHANGED, name), "is not understood here");
	return walk_end(w, WALK_UNKNOWN);
}
