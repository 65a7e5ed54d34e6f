/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_forms: one example of every form of rule that the compiler writes, with
 * the sets and maps that they look into. For nft_list_test.c alone.
 */
#ifndef TESTS_UNIT_NFT_FORMS_H
#define TESTS_UNIT_NFT_FORMS_H

#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include "ctl/nft/nft_expr.h"
#include "ctl/nft/ruleset.h"

#define PP   RS_CONCAT(RS_TYPE_PROTO, RS_TYPE_PORT)
#define APP  RS_CONCAT(RS_CONCAT(RS_TYPE_IP, RS_TYPE_PROTO), RS_TYPE_PORT)
#define A6PP RS_CONCAT(RS_CONCAT(RS_TYPE_IP6, RS_TYPE_PROTO), RS_TYPE_PORT)
#define AP   RS_CONCAT(RS_TYPE_IP, RS_TYPE_PORT)
#define A6P  RS_CONCAT(RS_TYPE_IP6, RS_TYPE_PORT)
#define MAP  NFT_SET_MAP
#define IMAP (NFT_SET_MAP | NFT_SET_INTERVAL)
#define V4   NFPROTO_IPV4
#define V6   NFPROTO_IPV6

static const struct rs_set_def set_defs[] = {
	{ "id4", MAP, PP, 8, RS_TYPE_IP6, 16, 0, 0 },
	{ "to4", MAP, PP, 8, AP, 8, 0, 0 },
	{ "id6", MAP, PP, 8, RS_TYPE_IP6, 16, 0, 0 },
	{ "to6", MAP, PP, 8, A6P, 20, 0, 0 },
	{ "ida4", MAP, APP, 12, RS_TYPE_IP6, 16, 0, 0 },
	{ "toa4", MAP, APP, 12, AP, 8, 0, 0 },
	{ "ida6", MAP, A6PP, 24, RS_TYPE_IP6, 16, 0, 0 },
	{ "toa6", MAP, A6PP, 24, A6P, 20, 0, 0 },
	{ "svc4", MAP, PP, 8, NFT_DATA_VERDICT, 0, 0, 0 },
	{ "svca4", MAP, APP, 12, NFT_DATA_VERDICT, 0, 0, 0 },
	{ "svca6", MAP, A6PP, 24, NFT_DATA_VERDICT, 0, 0, 0 },
	{ "rng", IMAP, RS_TYPE_PORT, 2, NFT_DATA_VERDICT, 0, 0, 0 },
	{ "cl4", IMAP, RS_TYPE_IP, 4, NFT_DATA_VERDICT, 0, 0, 0 },
	{ "cl6", IMAP, RS_TYPE_IP6, 16, NFT_DATA_VERDICT, 0, 0, 0 },
	{ "lb4", MAP, RS_TYPE_MARK, 4, AP, 8, 0, 0 },
	{ "lb6", MAP, RS_TYPE_MARK, 4, A6P, 20, 0, 0 },
	{ "lba4", MAP, RS_TYPE_MARK, 4, RS_TYPE_IP, 4, 0, 0 },
	{ "lba6", MAP, RS_TYPE_MARK, 4, RS_TYPE_IP6, 16, 0, 0 },
	{ "pp", MAP, RS_TYPE_PORT, 2, RS_TYPE_PORT, 2, 0, 0 },
	{ "b4", NFT_SET_INTERVAL, RS_TYPE_IP, 4, 0, 0, 0, 0 },
	{ "b6", NFT_SET_INTERVAL, RS_TYPE_IP6, 16, 0, 0, 0, 0 },
	{ "local4", 0, RS_TYPE_IP, 4, 0, 0, 0, 0 },
	{ "ifs", 0, RS_TYPE_IFNAME, 16, 0, 0, 0, 0 },
	{ "rpm", NFT_SET_EVAL | NFT_SET_TIMEOUT, RS_TYPE_IP, 4, 0, 0, 4096, 120000 },
	{ "rrpm6", NFT_SET_EVAL | NFT_SET_TIMEOUT, RS_CONCAT(RS_TYPE_IP6, RS_TYPE_IP6), 32, 0, 0,
	  4096, 120000 },
	{ "rconn4", NFT_SET_EVAL, RS_CONCAT(RS_TYPE_IP, RS_TYPE_IP6), 20, 0, 0, 4096, 0 },
	{ "rmax", NFT_SET_EVAL, RS_TYPE_IP6, 16, 0, 0, 4096, 0 },
	{ "counts", NFT_SET_EVAL, RS_TYPE_IP6, 16, 0, 0, 4096, 0 },
};

static void fill_field(uint8_t *key, uint32_t type, unsigned len)
{
	memset(key, 0, len);
	if (type == RS_TYPE_IFNAME)
		memcpy(key, "eth0", 4);
	else
		key[0] = type == RS_TYPE_PORT ? 0 : type == RS_TYPE_MARK ? 7 : 6;
	if (type == RS_TYPE_PORT)
		key[1] = 80;
	if (type == RS_TYPE_IP || type == RS_TYPE_IP6)
		key[0] = 0x2a;
}

static void fill_value(uint8_t *value, uint32_t types, unsigned len)
{
	unsigned at = 0;

	memset(value, 0, len);
	for (int shift = 12; shift >= 0; shift -= 6) {
		uint32_t t = types >> shift & 0x3f;
		unsigned n = t == RS_TYPE_IP6 || t == RS_TYPE_IFNAME ? 16 : 4;

		if (!t)
			continue;
		fill_field(value + at, t, len - at < n ? len - at : n);
		at += n;
	}
}

static void add_sets(struct ruleset *rs)
{
	for (size_t i = 0; i < sizeof(set_defs) / sizeof(set_defs[0]); i++) {
		const struct rs_set_def *d = &set_defs[i];
		struct rs_set *s = ruleset_set(rs, d, RS_NO_PLACE);
		uint8_t key[64], data[64];

		if (d->flags & NFT_SET_EVAL)
			continue;
		fill_value(key, d->key_type, d->key_len);
		fill_value(data, d->data_type, d->data_len);
		if (rs_set_def_is_verdict(d))
			rs_set_add_goto(s, rs, key, "target", RS_NO_PLACE);
		else
			rs_set_add(s, rs, key, 0, d->flags & NFT_SET_MAP ? data : NULL,
				   RS_NO_PLACE);
		if (!(d->flags & NFT_SET_INTERVAL))
			continue;
		key[d->key_len - 1]++;
		rs_set_add(s, rs, key, RS_ELEM_INTERVAL_END, NULL, RS_NO_PLACE);
	}
}

/* ---- forms ---- */

static const uint32_t label[4] = { 7, 1, 0, 0 };
static const uint8_t target4[4] = { 10, 0, 0, 1 };
static const uint8_t target6[16] = { 0xfd, 1, [15] = 1 };
static const uint16_t port80 = 80 << 8;

static void is_family(struct nx *x, uint8_t nf)
{
	if (nf == V4)
		nx_is_v4(x);
	else
		nx_is_v6(x);
}

static void plain(struct nx *x, uint8_t nf)
{
	is_family(x, nf);
	nx_load_proto_port(x, 8);
	nx_lookup_map(x, nf == V4 ? "id4" : "id6", NX_R(8), NX_R(0));
	nx_ct_set(x, NFT_CT_LABELS, NX_R(0));
	nx_load_proto_port(x, 8);
	nx_lookup_map(x, nf == V4 ? "to4" : "to6", NX_R(8), NX_R(4));
	nx_dnat(x, nf, NX_R(4), NX_R(nf == V4 ? 5 : 8), 0);
}

static void plain4(struct nx *x)
{
	plain(x, V4);
}

static void plain6(struct nx *x)
{
	plain(x, V6);
}

/* The key takes 3 registers (v4) or 6 (v6) from 8 on. */
static void addr_key(struct nx *x, uint8_t nf)
{
	nx_load_daddr(x, nf, 8);
	nx_load_proto_port(x, nf == V4 ? 9 : 12);
}

static void by_addr(struct nx *x, uint8_t nf)
{
	is_family(x, nf);
	addr_key(x, nf);
	nx_lookup_map(x, nf == V4 ? "ida4" : "ida6", NX_R(8), NX_R(0));
	nx_ct_set(x, NFT_CT_LABELS, NX_R(0));
	addr_key(x, nf);
	nx_lookup_map(x, nf == V4 ? "toa4" : "toa6", NX_R(8), NX_R(0));
	nx_dnat(x, nf, NX_R(0), NX_R(nf == V4 ? 1 : 4), 0);
}

static void by_addr4(struct nx *x)
{
	by_addr(x, V4);
}

static void by_addr6(struct nx *x)
{
	by_addr(x, V6);
}

static void vmap_proto_port(struct nx *x)
{
	nx_load_proto_port(x, 8);
	nx_vmap(x, "svc4", NX_R(8));
}

static void vmap_addr4(struct nx *x)
{
	nx_is_v4(x);
	addr_key(x, V4);
	nx_vmap(x, "svca4", NX_R(8));
}

static void vmap_addr6(struct nx *x)
{
	nx_is_v6(x);
	addr_key(x, V6);
	nx_vmap(x, "svca6", NX_R(8));
}

static void vmap_range(struct nx *x)
{
	nx_is_l4proto(x, 6);
	nx_payload(x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NX_R(8));
	nx_vmap(x, "rng", NX_R(8));
}

static void vmap_client4(struct nx *x)
{
	nx_is_v4(x);
	nx_load_saddr(x, V4, 8);
	nx_vmap(x, "cl4", NX_R(8));
}

static void vmap_client6(struct nx *x)
{
	nx_is_v6(x);
	nx_load_saddr(x, V6, 8);
	nx_vmap(x, "cl6", NX_R(8));
}

static void slot4(struct nx *x)
{
	nx_is_v4(x);
	nx_ct_label_set(x, label);
	nx_numgen(x, false, 4, 100, NX_R(8));
	nx_lookup_map(x, "lb4", NX_R(8), NX_R(4));
	nx_dnat(x, V4, NX_R(4), NX_R(5), 0);
}

static void slot4_random(struct nx *x)
{
	nx_is_v4(x);
	nx_numgen(x, true, 4, 100, NX_R(8));
	nx_lookup_map(x, "lb4", NX_R(8), NX_R(4));
	nx_dnat(x, V4, NX_R(4), NX_R(5), 0);
}

static void slot4_hash(struct nx *x)
{
	nx_is_v4(x);
	nx_ct_label_set(x, label);
	nx_load_saddr(x, V4, 9);
	nx_jhash(x, NX_R(9), 4, 64, 0x5bd1e995, 100, NX_R(8));
	nx_lookup_map(x, "lb4", NX_R(8), NX_R(4));
	nx_dnat(x, V4, NX_R(4), NX_R(5), 0);
}

static void slot6(struct nx *x)
{
	nx_is_v6(x);
	nx_ct_label_set(x, label);
	nx_numgen(x, false, 4, 100, NX_R(9));
	nx_lookup_map(x, "lb6", NX_R(9), NX_R(4));
	nx_dnat(x, V6, NX_R(4), NX_R(8), 0);
}

static void slot6_hash(struct nx *x)
{
	nx_is_v6(x);
	nx_load_saddr(x, V6, 12);
	nx_jhash(x, NX_R(12), 16, 64, 0x5bd1e995, 100, NX_R(9));
	nx_lookup_map(x, "lb6", NX_R(9), NX_R(4));
	nx_dnat(x, V6, NX_R(4), NX_R(8), 0);
}

static void slot_addr(struct nx *x, uint8_t nf, bool port_map)
{
	is_family(x, nf);
	if (port_map)
		nx_is_l4proto(x, 6);
	nx_ct_label_set(x, label);
	nx_numgen(x, false, 4, 100, NX_R(9));
	nx_lookup_map(x, nf == V4 ? "lba4" : "lba6", NX_R(9), NX_R(4));
	if (port_map) {
		nx_payload(x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NX_R(8));
		nx_lookup_map(x, "pp", NX_R(8), NX_R(8));
	}
	nx_dnat(x, nf, NX_R(4), port_map ? NX_R(8) : 0, 0);
}

static void slot_addr4(struct nx *x)
{
	slot_addr(x, V4, false);
}

static void slot_addr6(struct nx *x)
{
	slot_addr(x, V6, false);
}

static void slot_addr4_port_map(struct nx *x)
{
	slot_addr(x, V4, true);
}

static void slot_addr6_port_map(struct nx *x)
{
	slot_addr(x, V6, true);
}

static void imm_addr(struct nx *x, uint8_t nf)
{
	if (nf == V4)
		nx_imm(x, NX_R(4), target4, 4);
	else
		nx_imm(x, NX_R(4), target6, 16);
}

static void dnat_port_map(struct nx *x, uint8_t nf)
{
	is_family(x, nf);
	nx_is_l4proto(x, 6);
	imm_addr(x, nf);
	nx_payload(x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NX_R(8));
	nx_lookup_map(x, "pp", NX_R(8), NX_R(8));
	nx_dnat(x, nf, NX_R(4), NX_R(8), 0);
}

static void dnat4_port_map(struct nx *x)
{
	dnat_port_map(x, V4);
}

static void dnat6_port_map(struct nx *x)
{
	dnat_port_map(x, V6);
}

static void dnat4_port_map_udp(struct nx *x)
{
	nx_is_v4(x);
	nx_is_l4proto(x, 17);
	imm_addr(x, V4);
	nx_payload(x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NX_R(8));
	nx_lookup_map(x, "pp", NX_R(8), NX_R(8));
	nx_dnat(x, V4, NX_R(4), NX_R(8), 0);
}

static void dnat4_port_map_any(struct nx *x)
{
	nx_is_v4(x);
	imm_addr(x, V4);
	nx_payload(x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NX_R(8));
	nx_lookup_map(x, "pp", NX_R(8), NX_R(8));
	nx_dnat(x, V4, NX_R(4), NX_R(8), 0);
}

static void dnat4_addr(struct nx *x)
{
	nx_is_v4(x);
	nx_ct_label_set(x, label);
	imm_addr(x, V4);
	nx_dnat(x, V4, NX_R(4), 0, 0);
}

static void dnat6_addr(struct nx *x)
{
	nx_is_v6(x);
	imm_addr(x, V6);
	nx_dnat(x, V6, NX_R(4), 0, 0);
}

static void dnat4_addr_port(struct nx *x)
{
	nx_is_v4(x);
	nx_is_l4proto(x, 6);
	imm_addr(x, V4);
	nx_imm(x, NX_R(8), &port80, 2);
	nx_dnat(x, V4, NX_R(4), NX_R(8), 0);
}

static void dnat6_addr_port_any(struct nx *x)
{
	nx_is_v6(x);
	imm_addr(x, V6);
	nx_imm(x, NX_R(8), &port80, 2);
	nx_dnat(x, V6, NX_R(4), NX_R(8), 0);
}

static void not_syn(struct nx *x)
{
	nx_is_l4proto(x, 6);
	nx_tcp_flags(x, 0x17, NFT_CMP_NEQ, 0x02);
	nx_verdict(x, NFT_RETURN, NULL);
}

static void not_local(struct nx *x)
{
	const uint32_t local = 2;

	nx_fib(x, NFTA_FIB_F_DADDR, NFT_FIB_RESULT_ADDRTYPE, NFT_REG_1);
	nx_cmp(x, NFT_CMP_NEQ, NFT_REG_1, &local, sizeof(local));
	nx_verdict(x, NFT_RETURN, NULL);
}

static void hairpin(struct nx *x)
{
	static const uint32_t flags[4] = { 0, 2, 0, 0 };
	const uint32_t state_new = 8, zero = 0;
	const uint32_t one = 1;

	nx_ct(x, NFT_CT_STATE, NFT_REG_1);
	nx_bitwise(x, NFT_REG_1, NFT_REG_1, 4, &state_new, &zero);
	nx_cmp(x, NFT_CMP_NEQ, NFT_REG_1, &zero, 4);
	nx_fib(x, NFTA_FIB_F_DADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT, NFT_FIB_RESULT_OIF,
	       NFT_REG_1);
	nx_cmp(x, NFT_CMP_EQ, NFT_REG_1, &one, sizeof(one));
	nx_ct_label_set(x, flags);
}

static void label_masquerade(struct nx *x)
{
	nx_ct_label_test(x, 1, 3, true);
	nx_masquerade(x);
}

static void label_drop(struct nx *x)
{
	nx_ct_label_test(x, 0, UINT32_MAX, false);
	nx_verdict(x, NF_DROP, NULL);
}

static void label_return(struct nx *x)
{
	nx_ct_label_test(x, 0, UINT32_MAX, false);
	nx_verdict(x, NFT_RETURN, NULL);
}

static void iif_not_lo(struct nx *x)
{
	const uint32_t lo = 1;

	nx_meta(x, NFT_META_IIF, NFT_REG_1);
	nx_cmp(x, NFT_CMP_NEQ, NFT_REG_1, &lo, sizeof(lo));
}

static void loopback_from_outside(struct nx *x, uint32_t off)
{
	const uint8_t net = 127;

	iif_not_lo(x);
	nx_is_v4(x);
	nx_payload(x, NFT_PAYLOAD_NETWORK_HEADER, off, 1, NFT_REG_1);
	nx_cmp(x, NFT_CMP_EQ, NFT_REG_1, &net, 1);
	nx_verdict(x, NF_DROP, NULL);
}

static void loopback_saddr(struct nx *x)
{
	loopback_from_outside(x, 12);
}

static void loopback_daddr(struct nx *x)
{
	loopback_from_outside(x, 16);
}

static void redirect_port(struct nx *x)
{
	nx_is_l4proto(x, 6);
	nx_ct_label_set(x, label);
	nx_imm(x, NX_R(8), &port80, 2);
	nx_redirect(x, NX_R(8));
}

static void redirect_any_proto_port(struct nx *x)
{
	nx_imm(x, NX_R(8), &port80, 2);
	nx_redirect(x, NX_R(8));
}

static void redirect_port_map(struct nx *x)
{
	nx_is_l4proto(x, 6);
	nx_payload(x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NX_R(8));
	nx_lookup_map(x, "pp", NX_R(8), NX_R(8));
	nx_redirect(x, NX_R(8));
}

static void redirect_alone(struct nx *x)
{
	nx_redirect(x, 0);
}

static void reject_reset(struct nx *x)
{
	nx_is_l4proto(x, 6);
	nx_reject_tcp_reset(x);
}

static void reject_unreach(struct nx *x)
{
	nx_reject_port_unreach(x);
}

static void mss_clamp(struct nx *x)
{
	nx_is_l4proto(x, 6);
	nx_tcp_flags(x, 0x06, NFT_CMP_EQ, 0x02);
	nx_mss_clamp(x);
}

static void loopback_masquerade(struct nx *x)
{
	const uint32_t lo = 1;
	const uint8_t net = 127;

	nx_is_v4(x);
	nx_payload(x, NFT_PAYLOAD_NETWORK_HEADER, 12, 1, NFT_REG_1);
	nx_cmp(x, NFT_CMP_EQ, NFT_REG_1, &net, 1);
	nx_meta(x, NFT_META_OIF, NFT_REG_1);
	nx_cmp(x, NFT_CMP_NEQ, NFT_REG_1, &lo, sizeof(lo));
	nx_masquerade(x);
}

static void set_allow4(struct nx *x)
{
	nx_is_v4(x);
	nx_load_saddr(x, V4, 8);
	nx_lookup_set(x, "b4", NX_R(8), true);
	nx_counter(x);
	nx_verdict(x, NFT_GOTO, "target");
}

static void set_block6(struct nx *x)
{
	nx_is_v6(x);
	nx_load_saddr(x, V6, 8);
	nx_lookup_set(x, "b6", NX_R(8), false);
	nx_verdict(x, NFT_GOTO, "target");
}

static void mask_route(struct nx *x, unsigned r)
{
	const uint32_t mask[4] = { UINT32_MAX, 0, 0, 0 }, zero[4] = { 0 };

	nx_ct(x, NFT_CT_LABELS, NX_R(r));
	nx_bitwise(x, NX_R(r), NX_R(r), sizeof(mask), mask, zero);
}

static void rate_client4(struct nx *x)
{
	nx_is_v4(x);
	nx_load_saddr(x, V4, 8);
	nx_dynset_rate_over(x, "rpm", NX_R(8), 30, 120000);
	nx_verdict(x, NFT_GOTO, "target");
}

static void rate_route6(struct nx *x)
{
	const uint8_t half[16] = { 255, 255, 255, 255, 255, 255, 255, 255 }, zero[16] = { 0 };

	nx_is_v6(x);
	nx_load_saddr(x, V6, 8);
	nx_bitwise(x, NX_R(8), NX_R(8), sizeof(half), half, zero);
	mask_route(x, 12);
	nx_dynset_rate_over(x, "rrpm6", NX_R(8), 30, 120000);
	nx_verdict(x, NFT_GOTO, "target");
}

/* The label begins at a register that is none of nft's 16-byte ones. */
static void conn_route4(struct nx *x)
{
	nx_is_v4(x);
	nx_load_saddr(x, V4, 8);
	mask_route(x, 9);
	nx_dynset_connlimit_over(x, "rconn4", NX_R(8), 3);
	nx_verdict(x, NFT_GOTO, "target");
}

static void max_route(struct nx *x)
{
	mask_route(x, 8);
	nx_dynset_connlimit_over(x, "rmax", NX_R(8), 3);
	nx_verdict(x, NFT_GOTO, "target");
}

static void count_reply(struct nx *x)
{
	nx_ct_direction(x, true);
	nx_load_label(x);
	nx_dynset_counter(x, "counts", NX_R(0));
}

static void jump_accept(struct nx *x)
{
	nx_meta(x, NFT_META_IIFNAME, NFT_REG_1);
	nx_lookup_set(x, "ifs", NFT_REG_1, false);
	nx_verdict(x, NF_ACCEPT, NULL);
}

enum where { REGULAR, NAT_PRE, NAT_POST, FORWARD, RAW };

static const struct form {
	const char *name;
	enum where where;
	void (*make)(struct nx *x);
} forms[] = {
	{ "a_plain4", NAT_PRE, plain4 },
	{ "a_plain6", NAT_PRE, plain6 },
	{ "a_by_addr4", NAT_PRE, by_addr4 },
	{ "a_by_addr6", NAT_PRE, by_addr6 },
	{ "b_vmap_proto_port", NAT_PRE, vmap_proto_port },
	{ "b_vmap_addr4", NAT_PRE, vmap_addr4 },
	{ "b_vmap_addr6", NAT_PRE, vmap_addr6 },
	{ "c_vmap_range", NAT_PRE, vmap_range },
	{ "d_vmap_client4", NAT_PRE, vmap_client4 },
	{ "d_vmap_client6", NAT_PRE, vmap_client6 },
	{ "e_slot4", NAT_PRE, slot4 },
	{ "e_slot4_random", NAT_PRE, slot4_random },
	{ "e_slot4_hash", NAT_PRE, slot4_hash },
	{ "e_slot6", NAT_PRE, slot6 },
	{ "e_slot6_hash", NAT_PRE, slot6_hash },
	{ "f_slot_addr4", NAT_PRE, slot_addr4 },
	{ "f_slot_addr6", NAT_PRE, slot_addr6 },
	{ "g_slot_addr4_port_map", NAT_PRE, slot_addr4_port_map },
	{ "g_slot_addr6_port_map", NAT_PRE, slot_addr6_port_map },
	{ "g_dnat4_port_map", NAT_PRE, dnat4_port_map },
	{ "g_dnat6_port_map", NAT_PRE, dnat6_port_map },
	{ "g_dnat4_port_map_udp", NAT_PRE, dnat4_port_map_udp },
	{ "g_dnat4_port_map_any", NAT_PRE, dnat4_port_map_any },
	{ "h_dnat4_addr", NAT_PRE, dnat4_addr },
	{ "h_dnat6_addr", NAT_PRE, dnat6_addr },
	{ "h_dnat4_addr_port", NAT_PRE, dnat4_addr_port },
	{ "h_dnat6_addr_port_any", NAT_PRE, dnat6_addr_port_any },
	{ "i_not_syn", NAT_PRE, not_syn },
	{ "j_not_local", NAT_PRE, not_local },
	{ "k_hairpin", FORWARD, hairpin },
	{ "l_label_masquerade", NAT_POST, label_masquerade },
	{ "l_label_drop", FORWARD, label_drop },
	{ "l_label_return", NAT_POST, label_return },
	{ "m_loopback_saddr", RAW, loopback_saddr },
	{ "m_loopback_daddr", RAW, loopback_daddr },
	{ "n_redirect_port", NAT_PRE, redirect_port },
	{ "n_redirect_any_proto_port", NAT_PRE, redirect_any_proto_port },
	{ "n_redirect_port_map", NAT_PRE, redirect_port_map },
	{ "n_redirect_alone", NAT_PRE, redirect_alone },
	{ "o_reject_reset", NAT_PRE, reject_reset },
	{ "o_reject_unreach", NAT_PRE, reject_unreach },
	{ "p_mss_clamp", FORWARD, mss_clamp },
	{ "q_loopback_masquerade", NAT_POST, loopback_masquerade },
	{ "set_allow4", REGULAR, set_allow4 },
	{ "set_block6", REGULAR, set_block6 },
	{ "r_rate_client4", REGULAR, rate_client4 },
	{ "r_rate_route6", REGULAR, rate_route6 },
	{ "r_conn_route4", REGULAR, conn_route4 },
	{ "r_max_route", REGULAR, max_route },
	{ "r_count_reply", REGULAR, count_reply },
	{ "iifname_accept", REGULAR, jump_accept },
};

#define N_FORMS (sizeof(forms) / sizeof(forms[0]))

#endif
