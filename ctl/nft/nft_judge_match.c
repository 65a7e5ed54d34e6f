/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers with unknown bytes, and the tests on them. */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/nft/nft_judge_internal.h"

/* linux/nf_conntrack_common.h */
#define IPS_DNAT       0x120u /* IPS_DST_NAT | IPS_DST_NAT_DONE */
#define IPS_ANSWERED   0x8au  /* IPS_SEEN_REPLY | IPS_CONFIRMED | IPS_SRC_NAT_DONE */
#define IPS_SNAT       0x10u  /* IPS_SRC_NAT */
#define CT_INVALID     1u     /* NF_CT_STATE_INVALID_BIT: also what has no entry */
#define CT_ESTABLISHED 2u     /* NF_CT_STATE_BIT(IP_CT_ESTABLISHED_REPLY) */
#define CT_NEW	       8u     /* NF_CT_STATE_BIT(IP_CT_NEW) */
#define TCP_SYN	       0x02
#define TCP_ACK	       0x10

static void put(struct known *k, size_t at, const void *p, size_t n)
{
	if (at > sizeof(k->byte) || n > sizeof(k->byte) - at)
		return;
	memcpy(k->byte + at, p, n);
	memset(k->is + at, 1, n);
}

static void forget(struct known *k, size_t at, size_t n)
{
	if (at < sizeof(k->is))
		memset(k->is + at, 0, n < sizeof(k->is) - at ? n : sizeof(k->is) - at);
}

static void put_addr(struct known *k, size_t at, const struct addr *a)
{
	if (a->family)
		put(k, at, a->bytes, addr_len(a));
}

uint8_t judge_tcp_flags(const struct judge *j)
{
	return j->p->reply ? TCP_SYN | TCP_ACK : TCP_SYN;
}

static void put_port(struct known *k, size_t at, uint16_t port)
{
	uint16_t port_be = htons(port);

	if (port)
		put(k, at, &port_be, sizeof(port_be));
}

void judge_packet_headers(struct judge *j)
{
	const struct judge_packet *p = j->p;
	const uint8_t flags = judge_tcp_flags(j);
	bool v4 = p->family == ADDR_V4;

	put(&j->network, v4 ? 9 : 6, &p->proto, 1);
	put_addr(&j->network, v4 ? 12 : 8, &p->source);
	put_addr(&j->network, v4 ? 16 : 24, &p->destination);
	put_port(&j->transport, 0, p->source_port);
	put_port(&j->transport, 2, p->port);
	if (p->proto == IPPROTO_TCP)
		put(&j->transport, 13, &flags, 1);
}

/* ---- loads ---- */

static void load_name(struct judge *j, unsigned dreg, const char *name)
{
	char padded[IFNAMSIZ] = "";

	memcpy(padded, name, strnlen(name, IFNAMSIZ - 1));
	if (*name)
		put(&j->regs, dreg, padded, sizeof(padded));
	else
		forget(&j->regs, dreg, sizeof(padded));
}

static void load_index(struct judge *j, unsigned dreg, uint32_t index)
{
	if (index)
		put(&j->regs, dreg, &index, sizeof(index));
	else
		forget(&j->regs, dreg, sizeof(index));
}

/* A byte's register is zero behind it. */
static void load_byte(struct judge *j, unsigned dreg, uint8_t v)
{
	const uint8_t word[4] = { v };

	put(&j->regs, dreg, word, sizeof(word));
}

static void load_meta(struct judge *j, const struct foreign_op *op)
{
	bool v4 = j->p->family == ADDR_V4;
	uint16_t protocol_be = htons(v4 ? 0x0800 : 0x86dd);

	switch (op->key) {
	case NFT_META_NFPROTO:
		load_byte(j, op->dreg, v4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
		break;
	case NFT_META_L4PROTO:
		load_byte(j, op->dreg, j->p->proto);
		break;
	case NFT_META_PROTOCOL:
		load_byte(j, op->dreg, 0);
		put(&j->regs, op->dreg, &protocol_be, sizeof(protocol_be));
		break;
	case NFT_META_IIFNAME:
		load_name(j, op->dreg, j->p->iif);
		break;
	case NFT_META_OIFNAME:
		load_name(j, op->dreg, j->p->oif);
		break;
	case NFT_META_IIF:
		load_index(j, op->dreg, j->p->iif_index);
		break;
	case NFT_META_OIF:
		load_index(j, op->dreg, j->p->oif_index);
		break;
	default:
		forget(&j->regs, op->dreg, 16);
		break;
	}
}

/* What has no entry (yet) has a state; for all else the rule does not match. */
static enum answer load_ct(struct judge *j, const struct foreign_op *op)
{
	const struct judge_packet *p = j->p;
	const uint32_t state = p->untracked ? CT_INVALID : p->reply ? CT_ESTABLISHED : CT_NEW;
	const uint32_t status = (p->translated ? IPS_DNAT : 0) | (p->reply ? IPS_ANSWERED : 0) |
				(p->reply && p->masqueraded ? IPS_SNAT : 0);

	if (p->untracked && op->key != NFT_CT_STATE)
		return NO;
	switch (op->key) {
	case NFT_CT_STATE:
		put(&j->regs, op->dreg, &state, sizeof(state));
		break;
	case NFT_CT_STATUS:
		put(&j->regs, op->dreg, &status, sizeof(status));
		break;
	case NFT_CT_DIRECTION:
		load_byte(j, op->dreg, p->reply);
		break;
	case NFT_CT_L3PROTOCOL:
		load_byte(j, op->dreg, j->p->family == ADDR_V4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
		break;
	case NFT_CT_PROTOCOL:
		load_byte(j, op->dreg, j->p->proto);
		break;
	default:
		forget(&j->regs, op->dreg, 16);
		break;
	}
	return YES;
}

static void load_payload(struct judge *j, const struct foreign_op *op)
{
	const struct known *from = op->base == NFT_PAYLOAD_NETWORK_HEADER     ? &j->network
				   : op->base == NFT_PAYLOAD_TRANSPORT_HEADER ? &j->transport
									      : NULL;
	size_t padded = (op->len + 3u) & ~3u;

	for (size_t i = 0; i < padded && op->dreg + i < FOREIGN_VALUE_MAX; i++) {
		size_t at = op->key + i;
		bool inside = from && i < op->len && at >= i && at < FOREIGN_VALUE_MAX;

		j->regs.is[op->dreg + i] = i >= op->len || (inside && from->is[at]);
		j->regs.byte[op->dreg + i] = inside ? from->byte[at] : 0;
	}
}

static void load_bits(struct judge *j, const struct foreign_op *op)
{
	for (unsigned i = 0; i < op->len; i++) {
		/* A bit that the mask takes away need not be known. */
		j->regs.is[op->dreg + i] = j->regs.is[op->sreg + i] || !op->a[i];
		j->regs.byte[op->dreg + i] =
			(uint8_t)((j->regs.byte[op->sreg + i] & op->a[i]) ^ op->b[i]);
	}
}

static void load_type(struct judge *j, const struct foreign_op *op)
{
	const uint32_t type = j->p->to_host ? RTN_LOCAL : RTN_UNICAST;

	put(&j->regs, op->dreg, &type, sizeof(type));
}

/* ---- tests ---- */

static bool all_known(const struct judge *j, unsigned sreg, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		if (!j->regs.is[sreg + i])
			return false;
	return true;
}

static enum answer equals(const struct judge *j, unsigned sreg, const uint8_t *v, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		if (j->regs.is[sreg + i] && j->regs.byte[sreg + i] != v[i])
			return NO;
	return all_known(j, sreg, len) ? YES : MAYBE;
}

static enum answer negate(enum answer a)
{
	return a == YES ? NO : a == NO ? YES : MAYBE;
}

static enum answer yes_if(bool b)
{
	return b ? YES : NO;
}

static enum answer compare(const struct judge *j, const struct foreign_op *op)
{
	int order;

	if (op->op == NFT_CMP_EQ)
		return equals(j, op->sreg, op->a, op->len);
	if (op->op == NFT_CMP_NEQ)
		return negate(equals(j, op->sreg, op->a, op->len));
	if (!all_known(j, op->sreg, op->len))
		return MAYBE;
	order = memcmp(j->regs.byte + op->sreg, op->a, op->len);
	switch (op->op) {
	case NFT_CMP_LT:
		return yes_if(order < 0);
	case NFT_CMP_LTE:
		return yes_if(order <= 0);
	case NFT_CMP_GT:
		return yes_if(order > 0);
	default:
		return yes_if(order >= 0);
	}
}

static enum answer in_range(const struct judge *j, const struct foreign_op *op)
{
	const uint8_t *v = j->regs.byte + op->sreg;
	enum answer in;

	if (!all_known(j, op->sreg, op->len))
		return MAYBE;
	in = yes_if(memcmp(v, op->a, op->len) >= 0 && memcmp(v, op->b, op->len) <= 0);
	return op->op == NFT_RANGE_NEQ ? negate(in) : in;
}

/* ---- sets ---- */

static bool is_end(const struct foreign_elem *el)
{
	return el->flags & NFT_SET_ELEM_INTERVAL_END;
}

/* Where one interval ends and the next begins, the beginning comes last and counts. */
static int elem_cmp(const void *a, const void *b, void *arg)
{
	const struct foreign_elem *x = a, *y = b;
	int rc = memcmp(x->key, y->key, *(const uint32_t *)arg);

	return rc ? rc : (int)is_end(y) - (int)is_end(x);
}

static enum answer lookup_interval(const struct judge *j, struct foreign_set *s, unsigned sreg,
				   const struct foreign_elem **hit)
{
	const uint8_t *key = j->regs.byte + sreg;
	unsigned lo = 0, hi = s->n;

	if (!all_known(j, sreg, s->key_len))
		return s->n ? MAYBE : NO;
	if (s->n && !s->sorted)
		qsort_r(s->v, s->n, sizeof(*s->v), elem_cmp, &s->key_len);
	s->sorted = true;
	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;

		if (memcmp(s->v[mid].key, key, s->key_len) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || is_end(&s->v[lo - 1]))
		return NO;
	*hit = &s->v[lo - 1];
	return YES;
}

enum answer judge_lookup(struct judge *j, struct foreign_set *s, unsigned sreg,
			 const struct foreign_elem **hit)
{
	enum answer best = NO;

	*hit = NULL;
	if (!s || s->truncated || !s->key_len || sreg + s->key_len > FOREIGN_VALUE_MAX)
		return MAYBE;
	if (s->flags & NFT_SET_INTERVAL)
		return lookup_interval(j, s, sreg, hit);
	j->steps += s->n / 16;
	for (unsigned i = 0; i < s->n; i++) {
		enum answer a = equals(j, sreg, s->v[i].key, s->key_len);

		if (a == YES) {
			*hit = &s->v[i];
			return YES;
		}
		best = a > best ? a : best;
	}
	return best;
}

/* A set, or a map whose value goes to a register. */
static enum answer look_up(struct judge *j, const struct foreign_chain *c,
			   const struct foreign_op *op)
{
	struct foreign_set *s = foreign_set_find(j->f, c->family, c->table, op->name);
	const struct foreign_elem *hit;
	enum answer a = judge_lookup(j, s, op->sreg, &hit);

	if (op->has_dreg && op->dreg < FOREIGN_VALUE_MAX) {
		forget(&j->regs, op->dreg, s ? s->data_len : FOREIGN_VALUE_MAX);
		if (hit && hit->data)
			put(&j->regs, op->dreg, hit->data, s->data_len);
	}
	return op->op ? negate(a) : a;
}

enum answer judge_test(struct judge *j, const struct foreign_chain *c, const struct foreign_op *op)
{
	switch (op->kind) {
	case FOREIGN_UNKNOWN:
		forget(&j->regs, 0, FOREIGN_VALUE_MAX);
		return MAYBE;
	case FOREIGN_UNKNOWN_LOAD:
		forget(&j->regs, 0, FOREIGN_VALUE_MAX);
		return YES;
	case FOREIGN_META:
		load_meta(j, op);
		return YES;
	case FOREIGN_CT:
		return load_ct(j, op);
	case FOREIGN_PAYLOAD:
		load_payload(j, op);
		return YES;
	case FOREIGN_FIB_TYPE:
		load_type(j, op);
		return YES;
	case FOREIGN_COMPARE:
		return compare(j, op);
	case FOREIGN_RANGE:
		return in_range(j, op);
	case FOREIGN_BITS:
		load_bits(j, op);
		return YES;
	case FOREIGN_LOOKUP:
		return look_up(j, c, op);
	case FOREIGN_VALUE:
		put(&j->regs, op->dreg, op->a, op->len);
		return YES;
	case FOREIGN_XT_MATCH:
		return judge_xt_match(j, op);
	default:
		return YES;
	}
}
