/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each expression is written in the form that nft itself would write, because
 * `nft list` 1.0.6 rebuilds its syntax from the expressions and aborts on
 * forms that it does not expect (docs/KERNEL-TIER.md lists them).
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "ctl/nft/nft_expr.h"

/* nft's own numbers: TCP option kind and the place of the MSS in it. */
#define TCPOPT_MAXSEG_KIND 2
#define TCPOPT_MAXSEG_OFF  2
#define TCPOPT_MAXSEG_LEN  2
#define LABEL_WORDS	   4

struct nx nx_new(void)
{
	struct nx x = { .rule = nftnl_rule_alloc() };

	x.failed = !x.rule;
	return x;
}

struct nftnl_rule *nx_done(struct nx *x)
{
	struct nftnl_rule *rule = x->rule;

	x->rule = NULL;
	if (!x->failed)
		return rule;
	if (rule)
		nftnl_rule_free(rule);
	return NULL;
}

/* A new expression at the rule's end, NULL (and failed) when out of memory. */
static struct nftnl_expr *append(struct nx *x, const char *name)
{
	struct nftnl_expr *ex = x->failed ? NULL : nftnl_expr_alloc(name);

	if (!ex) {
		x->failed = true;
		return NULL;
	}
	nftnl_rule_add_expr(x->rule, ex);
	return ex;
}

static void put_u32(struct nftnl_expr *ex, uint16_t attr, uint32_t value)
{
	if (ex)
		nftnl_expr_set_u32(ex, attr, value);
}

/* Zero stands for "not given". */
static void put_opt(struct nftnl_expr *ex, uint16_t attr, uint32_t value)
{
	if (value)
		put_u32(ex, attr, value);
}

static void put_data(struct nx *x, struct nftnl_expr *ex, uint16_t attr, const void *data,
		     uint32_t len)
{
	if (ex && nftnl_expr_set(ex, attr, data, len))
		x->failed = true;
}

static void put_str(struct nx *x, struct nftnl_expr *ex, uint16_t attr, const char *s)
{
	if (ex && nftnl_expr_set_str(ex, attr, s))
		x->failed = true;
}

void nx_meta(struct nx *x, uint32_t key, uint32_t dreg)
{
	struct nftnl_expr *ex = append(x, "meta");

	put_u32(ex, NFTNL_EXPR_META_KEY, key);
	put_u32(ex, NFTNL_EXPR_META_DREG, dreg);
}

void nx_payload(struct nx *x, uint32_t base, uint32_t off, uint32_t len, uint32_t dreg)
{
	struct nftnl_expr *ex = append(x, "payload");

	put_u32(ex, NFTNL_EXPR_PAYLOAD_BASE, base);
	put_u32(ex, NFTNL_EXPR_PAYLOAD_OFFSET, off);
	put_u32(ex, NFTNL_EXPR_PAYLOAD_LEN, len);
	put_u32(ex, NFTNL_EXPR_PAYLOAD_DREG, dreg);
}

void nx_ct(struct nx *x, uint32_t key, uint32_t dreg)
{
	struct nftnl_expr *ex = append(x, "ct");

	put_u32(ex, NFTNL_EXPR_CT_KEY, key);
	put_u32(ex, NFTNL_EXPR_CT_DREG, dreg);
}

void nx_ct_set(struct nx *x, uint32_t key, uint32_t sreg)
{
	struct nftnl_expr *ex = append(x, "ct");

	put_u32(ex, NFTNL_EXPR_CT_KEY, key);
	put_u32(ex, NFTNL_EXPR_CT_SREG, sreg);
}

void nx_cmp(struct nx *x, uint32_t op, uint32_t sreg, const void *data, uint32_t len)
{
	struct nftnl_expr *ex = append(x, "cmp");

	put_u32(ex, NFTNL_EXPR_CMP_OP, op);
	put_u32(ex, NFTNL_EXPR_CMP_SREG, sreg);
	put_data(x, ex, NFTNL_EXPR_CMP_DATA, data, len);
}

void nx_bitwise(struct nx *x, uint32_t sreg, uint32_t dreg, uint32_t len, const void *mask,
		const void *xor_bits)
{
	struct nftnl_expr *ex = append(x, "bitwise");

	put_u32(ex, NFTNL_EXPR_BITWISE_SREG, sreg);
	put_u32(ex, NFTNL_EXPR_BITWISE_DREG, dreg);
	put_u32(ex, NFTNL_EXPR_BITWISE_LEN, len);
	put_data(x, ex, NFTNL_EXPR_BITWISE_MASK, mask, len);
	put_data(x, ex, NFTNL_EXPR_BITWISE_XOR, xor_bits, len);
}

void nx_imm(struct nx *x, uint32_t dreg, const void *data, uint32_t len)
{
	struct nftnl_expr *ex = append(x, "immediate");

	put_u32(ex, NFTNL_EXPR_IMM_DREG, dreg);
	put_data(x, ex, NFTNL_EXPR_IMM_DATA, data, len);
}

static struct nftnl_expr *lookup(struct nx *x, const char *set, uint32_t sreg)
{
	struct nftnl_expr *ex = append(x, "lookup");

	put_u32(ex, NFTNL_EXPR_LOOKUP_SREG, sreg);
	put_str(x, ex, NFTNL_EXPR_LOOKUP_SET, set);
	return ex;
}

void nx_lookup_set(struct nx *x, const char *set, uint32_t sreg, bool invert)
{
	struct nftnl_expr *ex = lookup(x, set, sreg);

	put_opt(ex, NFTNL_EXPR_LOOKUP_FLAGS, invert ? NFT_LOOKUP_F_INV : 0);
}

void nx_lookup_map(struct nx *x, const char *map, uint32_t sreg, uint32_t dreg)
{
	put_u32(lookup(x, map, sreg), NFTNL_EXPR_LOOKUP_DREG, dreg);
}

void nx_vmap(struct nx *x, const char *map, uint32_t sreg)
{
	put_u32(lookup(x, map, sreg), NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
}

void nx_verdict(struct nx *x, int verdict, const char *chain)
{
	struct nftnl_expr *ex = append(x, "immediate");

	put_u32(ex, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	put_u32(ex, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
	if (chain)
		put_str(x, ex, NFTNL_EXPR_IMM_CHAIN, chain);
}

void nx_counter(struct nx *x)
{
	append(x, "counter");
}

static struct nftnl_expr *connlimit_over(uint32_t count)
{
	struct nftnl_expr *ex = nftnl_expr_alloc("connlimit");

	put_u32(ex, NFTNL_EXPR_CONNLIMIT_COUNT, count);
	put_u32(ex, NFTNL_EXPR_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
	return ex;
}

void nx_connlimit_over(struct nx *x, uint32_t count)
{
	struct nftnl_expr *ex = x->failed ? NULL : connlimit_over(count);

	if (ex)
		nftnl_rule_add_expr(x->rule, ex);
	else
		x->failed = true;
}

/* Takes the state over. */
static void dynset(struct nx *x, const char *set, uint32_t op, uint32_t sreg, uint64_t timeout_ms,
		   struct nftnl_expr *state)
{
	struct nftnl_expr *ex = state ? append(x, "dynset") : NULL;

	if (!ex) {
		x->failed = true;
		if (state)
			nftnl_expr_free(state);
		return;
	}
	put_str(x, ex, NFTNL_EXPR_DYNSET_SET_NAME, set);
	put_u32(ex, NFTNL_EXPR_DYNSET_SREG_KEY, sreg);
	put_u32(ex, NFTNL_EXPR_DYNSET_OP, op);
	if (timeout_ms)
		nftnl_expr_set_u64(ex, NFTNL_EXPR_DYNSET_TIMEOUT, timeout_ms);
	nftnl_expr_add_expr(ex, NFTNL_EXPR_DYNSET_EXPR, state);
}

void nx_dynset_counter(struct nx *x, const char *set, uint32_t sreg)
{
	dynset(x, set, NFT_DYNSET_OP_ADD, sreg, 0, nftnl_expr_alloc("counter"));
}

void nx_dynset_rate_over(struct nx *x, const char *set, uint32_t sreg, uint32_t per_minute,
			 uint64_t timeout_ms)
{
	struct nftnl_expr *ex = nftnl_expr_alloc("limit");

	if (ex) {
		nftnl_expr_set_u64(ex, NFTNL_EXPR_LIMIT_RATE, per_minute);
		nftnl_expr_set_u64(ex, NFTNL_EXPR_LIMIT_UNIT, 60);
	}
	put_u32(ex, NFTNL_EXPR_LIMIT_BURST, per_minute);
	put_u32(ex, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	put_u32(ex, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV);
	dynset(x, set, NFT_DYNSET_OP_UPDATE, sreg, timeout_ms, ex);
}

void nx_dynset_connlimit_over(struct nx *x, const char *set, uint32_t sreg, uint32_t count)
{
	dynset(x, set, NFT_DYNSET_OP_ADD, sreg, 0, connlimit_over(count));
}

static void reject(struct nx *x, uint32_t type, uint8_t code)
{
	struct nftnl_expr *ex = append(x, "reject");

	put_u32(ex, NFTNL_EXPR_REJECT_TYPE, type);
	if (ex)
		nftnl_expr_set_u8(ex, NFTNL_EXPR_REJECT_CODE, code);
}

void nx_reject_tcp_reset(struct nx *x)
{
	reject(x, NFT_REJECT_TCP_RST, 0);
}

void nx_reject_port_unreach(struct nx *x)
{
	reject(x, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH);
}

void nx_dnat(struct nx *x, uint8_t nf, uint32_t areg, uint32_t pmin, uint32_t pmax)
{
	struct nftnl_expr *ex = append(x, "nat");

	put_u32(ex, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	put_u32(ex, NFTNL_EXPR_NAT_FAMILY, nf);
	put_opt(ex, NFTNL_EXPR_NAT_REG_ADDR_MIN, areg);
	put_opt(ex, NFTNL_EXPR_NAT_REG_PROTO_MIN, pmin);
	put_opt(ex, NFTNL_EXPR_NAT_REG_PROTO_MAX, pmax);
}

void nx_redirect(struct nx *x, uint32_t pmin)
{
	put_opt(append(x, "redir"), NFTNL_EXPR_REDIR_REG_PROTO_MIN, pmin);
}

void nx_masquerade(struct nx *x)
{
	append(x, "masq");
}

void nx_numgen(struct nx *x, bool random, uint32_t modulus, uint32_t offset, uint32_t dreg)
{
	struct nftnl_expr *ex = append(x, "numgen");

	put_u32(ex, NFTNL_EXPR_NG_DREG, dreg);
	put_u32(ex, NFTNL_EXPR_NG_MODULUS, modulus);
	put_u32(ex, NFTNL_EXPR_NG_TYPE, random ? NFT_NG_RANDOM : NFT_NG_INCREMENTAL);
	put_u32(ex, NFTNL_EXPR_NG_OFFSET, offset);
}

void nx_jhash(struct nx *x, uint32_t sreg, uint32_t len, uint32_t modulus, uint32_t seed,
	      uint32_t offset, uint32_t dreg)
{
	struct nftnl_expr *ex = append(x, "hash");

	put_u32(ex, NFTNL_EXPR_HASH_SREG, sreg);
	put_u32(ex, NFTNL_EXPR_HASH_DREG, dreg);
	put_u32(ex, NFTNL_EXPR_HASH_LEN, len);
	put_u32(ex, NFTNL_EXPR_HASH_MODULUS, modulus);
	put_u32(ex, NFTNL_EXPR_HASH_SEED, seed);
	put_u32(ex, NFTNL_EXPR_HASH_OFFSET, offset);
	put_u32(ex, NFTNL_EXPR_HASH_TYPE, NFT_HASH_JENKINS);
}

void nx_fib(struct nx *x, uint32_t flags, uint32_t result, uint32_t dreg)
{
	struct nftnl_expr *ex = append(x, "fib");

	put_u32(ex, NFTNL_EXPR_FIB_DREG, dreg);
	put_u32(ex, NFTNL_EXPR_FIB_RESULT, result);
	put_u32(ex, NFTNL_EXPR_FIB_FLAGS, flags);
}

/* The number in NFT_REG_1. */
static void to_network_order(struct nx *x, uint32_t len)
{
	struct nftnl_expr *ex = append(x, "byteorder");

	put_u32(ex, NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1);
	put_u32(ex, NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1);
	put_u32(ex, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
	put_u32(ex, NFTNL_EXPR_BYTEORDER_LEN, len);
	put_u32(ex, NFTNL_EXPR_BYTEORDER_SIZE, len);
}

/* The route's MSS comes in host order, the option's field is in network order. */
void nx_mss_clamp(struct nx *x)
{
	struct nftnl_expr *ex = append(x, "rt");

	put_u32(ex, NFTNL_EXPR_RT_KEY, NFT_RT_TCPMSS);
	put_u32(ex, NFTNL_EXPR_RT_DREG, NFT_REG_1);
	to_network_order(x, TCPOPT_MAXSEG_LEN);
	ex = append(x, "exthdr");
	put_u32(ex, NFTNL_EXPR_EXTHDR_SREG, NFT_REG_1);
	if (ex)
		nftnl_expr_set_u8(ex, NFTNL_EXPR_EXTHDR_TYPE, TCPOPT_MAXSEG_KIND);
	put_u32(ex, NFTNL_EXPR_EXTHDR_OFFSET, TCPOPT_MAXSEG_OFF);
	put_u32(ex, NFTNL_EXPR_EXTHDR_LEN, TCPOPT_MAXSEG_LEN);
	put_u32(ex, NFTNL_EXPR_EXTHDR_OP, NFT_EXTHDR_OP_TCPOPT);
}

static void is_byte(struct nx *x, uint32_t meta_key, uint8_t value)
{
	nx_meta(x, meta_key, NFT_REG_1);
	nx_cmp(x, NFT_CMP_EQ, NFT_REG_1, &value, 1);
}

void nx_is_v4(struct nx *x)
{
	is_byte(x, NFT_META_NFPROTO, NFPROTO_IPV4);
}

void nx_is_v6(struct nx *x)
{
	is_byte(x, NFT_META_NFPROTO, NFPROTO_IPV6);
}

void nx_is_l4proto(struct nx *x, uint8_t proto)
{
	is_byte(x, NFT_META_L4PROTO, proto);
}

void nx_tcp_flags(struct nx *x, uint8_t mask, uint32_t op, uint8_t flags)
{
	const uint8_t zero = 0;

	nx_payload(x, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, NFT_REG_1);
	nx_bitwise(x, NFT_REG_1, NFT_REG_1, 1, &mask, &zero);
	nx_cmp(x, op, NFT_REG_1, &flags, 1);
}

/* cmp compares bytes, and the length comes in host order. */
void nx_length_at_most(struct nx *x, uint32_t bytes)
{
	const uint32_t most = htonl(bytes);

	nx_meta(x, NFT_META_LEN, NFT_REG_1);
	to_network_order(x, sizeof(most));
	nx_cmp(x, NFT_CMP_LTE, NFT_REG_1, &most, sizeof(most));
}

void nx_load_proto_port(struct nx *x, unsigned r)
{
	nx_meta(x, NFT_META_L4PROTO, NX_R(r));
	nx_payload(x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NX_R(r + 1));
}

void nx_load_saddr(struct nx *x, uint8_t nf, unsigned r)
{
	if (nf == NFPROTO_IPV4)
		nx_payload(x, NFT_PAYLOAD_NETWORK_HEADER, 12, 4, NX_R(r));
	else
		nx_payload(x, NFT_PAYLOAD_NETWORK_HEADER, 8, 16, NX_R(r));
}

void nx_load_daddr(struct nx *x, uint8_t nf, unsigned r)
{
	if (nf == NFPROTO_IPV4)
		nx_payload(x, NFT_PAYLOAD_NETWORK_HEADER, 16, 4, NX_R(r));
	else
		nx_payload(x, NFT_PAYLOAD_NETWORK_HEADER, 24, 16, NX_R(r));
}

/* All 16 bytes are masked and compared: nft cannot print a part of a label. */
void nx_ct_label_test(struct nx *x, unsigned word, uint32_t mask, bool nonzero)
{
	const uint32_t zero[LABEL_WORDS] = { 0 };
	uint32_t bits[LABEL_WORDS] = { 0 };

	bits[word % LABEL_WORDS] = mask;
	nx_ct(x, NFT_CT_LABELS, NFT_REG_1);
	nx_bitwise(x, NFT_REG_1, NFT_REG_1, sizeof(bits), bits, zero);
	nx_cmp(x, nonzero ? NFT_CMP_NEQ : NFT_CMP_EQ, NFT_REG_1, zero, sizeof(zero));
}

void nx_ct_label_differs(struct nx *x, unsigned word, uint32_t value)
{
	const uint32_t zero[LABEL_WORDS] = { 0 };
	uint32_t mask[LABEL_WORDS] = { 0 }, bits[LABEL_WORDS] = { 0 };

	mask[word % LABEL_WORDS] = UINT32_MAX;
	bits[word % LABEL_WORDS] = value;
	nx_ct(x, NFT_CT_LABELS, NFT_REG_1);
	nx_bitwise(x, NFT_REG_1, NFT_REG_1, sizeof(mask), mask, zero);
	nx_cmp(x, NFT_CMP_NEQ, NFT_REG_1, bits, sizeof(bits));
}

void nx_ct_label_set(struct nx *x, const uint32_t words[4])
{
	nx_imm(x, NFT_REG_1, words, LABEL_WORDS * sizeof(words[0]));
	nx_ct_set(x, NFT_CT_LABELS, NFT_REG_1);
}

void nx_ct_direction(struct nx *x, bool reply)
{
	const uint8_t direction = reply; /* IP_CT_DIR_ORIGINAL is 0, IP_CT_DIR_REPLY 1 */

	nx_ct(x, NFT_CT_DIRECTION, NFT_REG_1);
	nx_cmp(x, NFT_CMP_EQ, NFT_REG_1, &direction, 1);
}

void nx_load_label(struct nx *x)
{
	nx_ct(x, NFT_CT_LABELS, NFT_REG_1);
}
