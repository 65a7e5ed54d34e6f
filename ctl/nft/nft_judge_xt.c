/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The matches of iptables (iptables-nft keeps most of them as they were) that can be read. */
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_state.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "ctl/nft/nft_judge_internal.h"

#define TCP_SYN 0x02

static enum answer yes_if(bool b)
{
	return b ? YES : NO;
}

/* The client's port is not known: any range but the whole may match or not. */
static enum answer source_ports(const uint16_t range[2], bool invert)
{
	if (range[0] == 0 && range[1] == 0xffff)
		return invert ? NO : YES;
	return MAYBE;
}

static enum answer both(enum answer a, enum answer b)
{
	return a < b ? a : b;
}

static enum answer match_tcp(const struct judge *j, const struct foreign_op *op)
{
	struct xt_tcp m;
	bool port, flags;

	if (op->len < sizeof(m))
		return MAYBE;
	memcpy(&m, op->a, sizeof(m));
	if (j->p->proto != IPPROTO_TCP)
		return NO;
	port = (m.dpts[0] <= j->p->port && j->p->port <= m.dpts[1]) !=
	       !!(m.invflags & XT_TCP_INV_DSTPT);
	flags = ((TCP_SYN & m.flg_mask) == m.flg_cmp) != !!(m.invflags & XT_TCP_INV_FLAGS);
	if (!port || !flags)
		return NO;
	return both(source_ports(m.spts, m.invflags & XT_TCP_INV_SRCPT), m.option ? MAYBE : YES);
}

static enum answer match_udp(const struct judge *j, const struct foreign_op *op)
{
	struct xt_udp m;
	bool port;

	if (op->len < sizeof(m))
		return MAYBE;
	memcpy(&m, op->a, sizeof(m));
	if (j->p->proto != IPPROTO_UDP)
		return NO;
	port = (m.dpts[0] <= j->p->port && j->p->port <= m.dpts[1]) !=
	       !!(m.invflags & XT_UDP_INV_DSTPT);
	return port ? source_ports(m.spts, m.invflags & XT_UDP_INV_SRCPT) : NO;
}

static enum answer match_multiport(const struct judge *j, const struct foreign_op *op)
{
	struct xt_multiport_v1 m;
	bool in = false;

	if (op->key != 1 || op->len < sizeof(m))
		return MAYBE;
	memcpy(&m, op->a, sizeof(m));
	if (m.flags != XT_MULTIPORT_DESTINATION || m.count > XT_MULTI_PORTS)
		return MAYBE;
	for (unsigned i = 0; i < m.count; i++) {
		uint16_t from = m.ports[i], to = from;

		if (m.pflags[i] && i + 1u < m.count)
			to = m.ports[++i];
		in |= from <= j->p->port && j->p->port <= to;
	}
	return yes_if(in != !!m.invert);
}

/* The first packet of a connection: NEW, and DNAT after the translation. */
static uint16_t state_bits(const struct judge *j)
{
	return (uint16_t)(XT_CONNTRACK_STATE_BIT(IP_CT_NEW) |
			  (j->p->translated ? XT_CONNTRACK_STATE_DNAT : 0));
}

static enum answer match_conntrack(const struct judge *j, const struct foreign_op *op)
{
	struct xt_conntrack_mtinfo2 m; /* revision 3 begins alike */
	enum answer state = YES;

	if (op->key < 2 || op->key > 3 || op->len < sizeof(m))
		return MAYBE;
	memcpy(&m, op->a, sizeof(m));
	if (m.match_flags & XT_CONNTRACK_STATE)
		state = yes_if(!!(m.state_mask & state_bits(j)) !=
			       !!(m.invert_flags & XT_CONNTRACK_STATE));
	return m.match_flags & ~XT_CONNTRACK_STATE ? both(state, MAYBE) : state;
}

static enum answer match_state(const struct judge *j, const struct foreign_op *op)
{
	struct xt_state_info m;

	(void)j;
	if (op->len < sizeof(m))
		return MAYBE;
	memcpy(&m, op->a, sizeof(m));
	return yes_if(m.statemask & XT_STATE_BIT(IP_CT_NEW));
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
