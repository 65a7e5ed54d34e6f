/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_expr: rules out of expressions, in the forms that `nft list` 1.0.6 can
 * print (docs/KERNEL-TIER.md). Each nx_ function appends expressions to a rule.
 * Registers: NX_R(n) is the n-th 4-byte register, n = 0..15; 16-byte loads
 * (label, IPv6) start at a multiple of 4. A failed allocation is remembered
 * in the rule builder; nx_done() returns NULL then.
 */
#ifndef CTL_NFT_NFT_EXPR_H
#define CTL_NFT_NFT_EXPR_H

#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>
#include <stdint.h>

struct nftnl_rule;

#define NX_R(n) (NFT_REG32_00 + (n))

struct nx {
	struct nftnl_rule *rule;
	bool failed;
};

/* A new empty rule; nx_done() hands it over (to rs_chain_add) or frees it and returns NULL. */
struct nx nx_new(void);
struct nftnl_rule *nx_done(struct nx *x);

void nx_meta(struct nx *x, uint32_t key, uint32_t dreg);
/* base NFT_PAYLOAD_NETWORK_HEADER / _TRANSPORT_HEADER */
void nx_payload(struct nx *x, uint32_t base, uint32_t off, uint32_t len, uint32_t dreg);
void nx_ct(struct nx *x, uint32_t key, uint32_t dreg);
void nx_ct_set(struct nx *x, uint32_t key, uint32_t sreg);
void nx_cmp(struct nx *x, uint32_t op, uint32_t sreg, const void *data, uint32_t len);
void nx_bitwise(struct nx *x, uint32_t sreg, uint32_t dreg, uint32_t len, const void *mask,
		const void *xor_bits);
void nx_imm(struct nx *x, uint32_t dreg, const void *data, uint32_t len);
void nx_lookup_set(struct nx *x, const char *set, uint32_t sreg, bool invert);
void nx_lookup_map(struct nx *x, const char *map, uint32_t sreg, uint32_t dreg);
void nx_vmap(struct nx *x, const char *map, uint32_t sreg);
void nx_verdict(struct nx *x, int verdict,
		const char *chain); /* NF_ACCEPT, NF_DROP, NFT_GOTO, NFT_RETURN ... */
void nx_counter(struct nx *x);
/* The rule goes on only while more than `count` connections are alive that were led through it;
 * each new one is entered (ct count over). */
void nx_connlimit_over(struct nx *x, uint32_t count);
void nx_reject_tcp_reset(struct nx *x);
void nx_reject_port_unreach(struct nx *x);
/* nf NFPROTO_IPV4/6; areg, pmin, pmax: registers, 0 = not given. */
void nx_dnat(struct nx *x, uint8_t nf, uint32_t areg, uint32_t pmin, uint32_t pmax);
void nx_redirect(struct nx *x, uint32_t pmin);
void nx_masquerade(struct nx *x);
void nx_numgen(struct nx *x, bool random, uint32_t modulus, uint32_t offset, uint32_t dreg);
void nx_jhash(struct nx *x, uint32_t sreg, uint32_t len, uint32_t modulus, uint32_t seed,
	      uint32_t offset, uint32_t dreg);
/* fib: flags NFTA_FIB_F_*, result NFT_FIB_RESULT_* */
void nx_fib(struct nx *x, uint32_t flags, uint32_t result, uint32_t dreg);
/* tcp option maxseg size set rt mtu */
void nx_mss_clamp(struct nx *x);

/*
 * Dynamic sets: the element of that key is made by the first packet that comes by, with a state of
 * its own. A full set ends the rule, as if the state had said no.
 */
void nx_dynset_counter(struct nx *x, const char *set, uint32_t sreg);
/* Goes on when the key has come more than `burst` times at once, then per_minute; an element
 * that is not met for timeout_ms goes. */
void nx_dynset_rate_over(struct nx *x, const char *set, uint32_t sreg, uint32_t per_minute,
			 uint64_t timeout_ms);
/* Goes on when the key has more than `count` live connections. */
void nx_dynset_connlimit_over(struct nx *x, const char *set, uint32_t sreg, uint32_t count);

/* Common beginnings. */
void nx_is_v4(struct nx *x);
void nx_is_v6(struct nx *x);
void nx_is_l4proto(struct nx *x, uint8_t proto);
/* tcp flags & mask == flags (op NFT_CMP_EQ) or != flags (NFT_CMP_NEQ); after nx_is_l4proto. */
void nx_tcp_flags(struct nx *x, uint8_t mask, uint32_t op, uint8_t flags);
/* The packet, network header included: meta length <= bytes. */
void nx_length_at_most(struct nx *x, uint32_t bytes);
/* l4proto into NX_R(r), destination port into NX_R(r + 1): the key of id4, svc4 ... */
void nx_load_proto_port(struct nx *x, unsigned r);
/* ip saddr / daddr of that family into NX_R(r) (4 or 16 bytes). */
void nx_load_saddr(struct nx *x, uint8_t nf, unsigned r);
void nx_load_daddr(struct nx *x, uint8_t nf, unsigned r);
/* Continue only if (ct label word `word`) & mask is not 0 (nonzero) or is 0. */
void nx_ct_label_test(struct nx *x, unsigned word, uint32_t mask, bool nonzero);
/* Continue only if ct label word `word` is not `value`. */
void nx_ct_label_differs(struct nx *x, unsigned word, uint32_t value);
/* ct label set { words } : labels are OR-ed into what the flow has. */
void nx_ct_label_set(struct nx *x, const uint32_t words[4]);
/* Continue only for packets of the original direction, or only for those of the reply. */
void nx_ct_direction(struct nx *x, bool reply);
/* The 16-byte label into NX_R(0). */
void nx_load_label(struct nx *x);

#endif
