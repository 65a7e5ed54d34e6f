/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/conntrack_parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <netinet/in.h>
#include <string.h>

/* nft writes the label as four words of the host; netlink carries those 16 bytes as they
 * are, and the bitmask is an array of words again: bit 0 of word w is bit 32 * w. */
static uint32_t label_word(const struct nfct_bitmask *label, unsigned w)
{
	uint32_t word = 0;

	for (unsigned bit = 0; bit < 32; bit++)
		if (nfct_bitmask_maxbit(label) >= 32 * w + bit &&
		    nfct_bitmask_test_bit(label, 32 * w + bit))
			word |= UINT32_C(1) << bit;
	return word;
}

static struct addr addr_of(const struct nf_conntrack *ct, enum nf_conntrack_attr v4,
			   enum nf_conntrack_attr v6)
{
	bool is_v4 = nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO) == AF_INET;
	const void *bytes = nfct_get_attr(ct, is_v4 ? v4 : v6);
	struct addr a = { .family = is_v4 ? ADDR_V4 : ADDR_V6 };

	if (bytes)
		memcpy(a.bytes, bytes, is_v4 ? 4 : 16);
	return a;
}

/* What only those who list connections look at. An attribute that is not there reads as 0. */
static void read_extras(const struct nf_conntrack *ct, struct ct_flow *f)
{
	uint32_t status = nfct_get_attr_u32(ct, ATTR_STATUS);

	f->answered = status & IPS_SEEN_REPLY;
	f->assured = status & IPS_ASSURED;
	f->expires_s = nfct_get_attr_u32(ct, ATTR_TIMEOUT);
	if (nfct_attr_is_set(ct, ATTR_TIMESTAMP_START) > 0)
		f->start_ms = (int64_t)(nfct_get_attr_u64(ct, ATTR_TIMESTAMP_START) / 1000000);
	f->counted = nfct_attr_is_set(ct, ATTR_ORIG_COUNTER_BYTES) > 0;
	f->bytes_in = nfct_get_attr_u64(ct, ATTR_ORIG_COUNTER_BYTES);
	f->bytes_out = nfct_get_attr_u64(ct, ATTR_REPL_COUNTER_BYTES);
	f->packets_in = nfct_get_attr_u64(ct, ATTR_ORIG_COUNTER_PACKETS);
	f->packets_out = nfct_get_attr_u64(ct, ATTR_REPL_COUNTER_PACKETS);
}

/* True if this is a TCP or UDP flow and, unless `any`, has a route id in its label. */
static bool flow_read(const struct nf_conntrack *ct, bool any, struct ct_flow *f)
{
	const struct nfct_bitmask *label = nfct_get_attr(ct, ATTR_CONNLABELS);
	uint8_t proto = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO);

	if ((!label && !any) || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return false;
	*f = (struct ct_flow){ .zone = nfct_get_attr_u16(ct, ATTR_ZONE) };
	f->id = label ? label_word(label, 0) : 0;
	if (!f->id && !any)
		return false;
	f->flags = label ? label_word(label, 1) : 0;
	f->instance = label ? label_word(label, 2) : 0;
	f->tag = label ? label_word(label, 3) : 0;
	f->ct_id = nfct_get_attr_u32(ct, ATTR_ID);
	f->proto = proto;
	if (proto == IPPROTO_TCP)
		f->tcp_state = nfct_get_attr_u8(ct, ATTR_TCP_STATE);
	f->closed = f->tcp_state == TCP_CONNTRACK_TIME_WAIT || f->tcp_state == TCP_CONNTRACK_CLOSE;
	f->client = addr_of(ct, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
	f->local = addr_of(ct, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
	f->target = addr_of(ct, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC);
	f->client_port = ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_SRC));
	f->local_port = ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_DST));
	f->target_port = ntohs(nfct_get_attr_u16(ct, ATTR_REPL_PORT_SRC));
	f->seen = addr_of(ct, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST);
	f->seen_port = ntohs(nfct_get_attr_u16(ct, ATTR_REPL_PORT_DST));
	read_extras(ct, f);
	return true;
}

int conntrack_parse(const struct nlmsghdr *h, bool any, struct ct_flow *out)
{
	struct nf_conntrack *ct = nfct_new();
	bool is_flow;

	if (!ct)
		return -ENOMEM;
	is_flow = nfct_nlmsg_parse(h, ct) >= 0 && flow_read(ct, any, out);
	nfct_destroy(ct);
	return is_flow;
}
