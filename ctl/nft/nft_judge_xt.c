/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The matches of iptables (iptables-nft keeps most of them as they were) that can be read. */
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_state.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "ctl/nft/nft_judge_internal.h"

static enum answer yes_if(bool b)
{
	return b ? YES : NO;
}

/* A port that is not known (the client's) may be in any range but the whole, or not. */
static enum answer ports(uint16_t port, const uint16_t range[2], bool invert)
{
	if (range[0] == 0 && range[1] == 0xffff)
		return invert ? NO : YES;
	if (!port)
		return MAYBE;
	return yes_if((range[0] <= port && port <= range[1]) != invert);
}

static enum answer both(enum answer a, enum answer b)
{
	return a < b ? a : b;
}

static enum answer match_tcp(const struct judge *j, const struct foreign_op *op)
{
	struct xt_tcp m;
	enum answer port;
	bool flags;

	if (op->len < sizeof(m))
		return MAYBE;
	memcpy(&m, op->a, sizeof(m));
	if (j->p->proto != IPPROTO_TCP)
		return NO;
	port = both(ports(j->p->port, m.dpts, m.invflags & XT_TCP_INV_DSTPT),
		    ports(j->p->source_port, m.spts, m.invflags & XT_TCP_INV_SRCPT));
	flags = ((judge_tcp_flags(j) & m.flg_mask) == m.flg_cmp) !=
		!!(m.invflags & XT_TCP_INV_FLAGS);
	if (!flags)
		return NO;
	return both(port, m.option ? MAYBE : YES);
}

static enum answer match_udp(const struct judge *j, const struct foreign_op *op)
{
	struct xt_udp m;

	if (op->len < sizeof(m))
		return MAYBE;
	memcpy(&m, op->a, sizeof(m));
	if (j->p->proto != IPPROTO_UDP)
		return NO;
	return both(ports(j->p->port, m.dpts, m.invflags & XT_UDP_INV_DSTPT),
		    ports(j->p->source_port, m.spts, m.invflags & XT_UDP_INV_SRCPT));
}

static enum answer match_multiport(const struct judge *j, const struct foreign_op *op)
{
	struct xt_multiport_v1 m;
	uint16_t port;
	bool in = false;

	if (op->key != 1 || op->len < sizeof(m))
		return MAYBE;
	memcpy(&m, op->a, sizeof(m));
	port = m.flags == XT_MULTIPORT_DESTINATION ? j->p->port
	       : m.flags == XT_MULTIPORT_SOURCE	   ? j->p->source_port
						   : 0;
	if (!port || m.count > XT_MULTI_PORTS)
		return MAYBE;
	for (unsigned i = 0; i < m.count; i++) {
		uint16_t from = m.ports[i], to = from;

		if (m.pflags[i] && i + 1u < m.count)
			to = m.ports[++i];
		in |= from <= port && port <= to;
	}
	return yes_if(in != !!m.invert);
}

/* NEW or ESTABLISHED, and DNAT after the translation; without an entry INVALID, and no more. */
static uint16_t state_bits(const struct judge *j)
{
	const struct judge_packet *p = j->p;

	if (p->untracked)
		return XT_CONNTRACK_STATE_INVALID;
	return (uint16_t)(XT_CONNTRACK_STATE_BIT(p->reply ? IP_CT_ESTABLISHED : IP_CT_NEW) |
			  (p->translated ? XT_CONNTRACK_STATE_DNAT : 0) |
			  (p->reply && p->masqueraded ? XT_CONNTRACK_STATE_SNAT : 0));
}

static enum answer match_conntrack(const struct judge *j, const struct foreign_op *op)
{
	struct xt_conntrack_mtinfo2 m; /* revision 3 begins alike */
	enum answer all = YES;
	uint16_t other;

	if (op->key < 2 || op->key > 3 || op->len < sizeof(m))
		return MAYBE;
	memcpy(&m, op->a, sizeof(m));
	other = m.match_flags & ~(XT_CONNTRACK_STATE | XT_CONNTRACK_DIRECTION);
	if (m.match_flags & XT_CONNTRACK_STATE)
		all = yes_if(!!(m.state_mask & state_bits(j)) !=
			     !!(m.invert_flags & XT_CONNTRACK_STATE));
	if (j->p->untracked)
		return m.match_flags & XT_CONNTRACK_STATE ? all : NO;
	if (m.match_flags & XT_CONNTRACK_DIRECTION)
		all = both(all, yes_if(j->p->reply == !!(m.invert_flags & XT_CONNTRACK_DIRECTION)));
	return other ? both(all, MAYBE) : all;
}

static enum answer match_state(const struct judge *j, const struct foreign_op *op)
{
	struct xt_state_info m;

	if (op->len < sizeof(m))
		return MAYBE;
	memcpy(&m, op->a, sizeof(m));
	/* Its bits are those of the conntrack match. */
	return yes_if(m.statemask & state_bits(j));
}

static enum answer match_addrtype(const struct judge *j, const struct foreign_op *op)
{
	struct xt_addrtype_info_v1 m;
	uint32_t type = j->p->to_host ? RTN_LOCAL : RTN_UNICAST;

	if (op->key != 1 || op->len < sizeof(m))
		return MAYBE;
	memcpy(&m, op->a, sizeof(m));
	if (m.source || !m.dest)
		return MAYBE;
	return yes_if(!!(m.dest & (1u << type)) != !!(m.flags & XT_ADDRTYPE_INVERT_DEST));
}

static enum answer match_comment(const struct judge *j, const struct foreign_op *op)
{
	(void)j;
	(void)op;
	return YES;
}

enum answer judge_xt_match(const struct judge *j, const struct foreign_op *op)
{
	static const struct {
		const char *name;
		enum answer (*match)(const struct judge *j, const struct foreign_op *op);
	} known[] = {
		{ "tcp", match_tcp },
		{ "udp", match_udp },
		{ "multiport", match_multiport },
		{ "conntrack", match_conntrack },
		{ "state", match_state },
		{ "addrtype", match_addrtype },
		{ "comment", match_comment },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i].name, op->name))
			return known[i].match(j, op);
	return MAYBE;
}

int judge_side_effect(const struct foreign_op *op)
{
	struct xt_ct_target_info_v1 ct;

	if (op->kind == FOREIGN_NOTRACK)
		return EFFECT_NOTRACK;
	if (op->kind == FOREIGN_ENDS)
		return EFFECT_SOURCE;
	if (op->kind != FOREIGN_XT_TARGET)
		return -1;
	if (!strcmp(op->name, "MASQUERADE") || !strcmp(op->name, "SNAT"))
		return EFFECT_SOURCE;
	if (!strcmp(op->name, "NOTRACK"))
		return EFFECT_NOTRACK;
	/* The flags come first in each revision. */
	if (strcmp(op->name, "CT") || op->len < sizeof(ct.flags))
		return -1;
	memcpy(&ct.flags, op->a, sizeof(ct.flags));
	return ct.flags & XT_CT_NOTRACK ? EFFECT_NOTRACK : -1;
}
