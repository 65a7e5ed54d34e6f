/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libnetfilter_conntrack is not asked to read: on a message that is not as it expects it ends the
 * process, or reads on behind it (1.0.9).
 */
#include "ctl/host/conntrack_parse.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include "ctl/host/host_attr.h"

/* What is not there is 0. */
static uint16_t be16_of(const struct nlattr *a)
{
	uint16_t v = 0;

	get_bytes(a, &v, sizeof(v));
	return ntohs(v);
}

static uint32_t be32_of(const struct nlattr *a)
{
	uint32_t v = 0;

	get_bytes(a, &v, sizeof(v));
	return ntohl(v);
}

static uint64_t be64_of(const struct nlattr *a)
{
	uint64_t v = 0;

	get_bytes(a, &v, sizeof(v));
	return be64toh(v);
}

/* ---- tuples: one direction ---- */

struct tuple {
	uint8_t proto;
	struct addr source, destination;
	uint16_t source_port, destination_port;
};

static bool address_read(const struct attrs *ip, uint8_t family, int v4, int v6, struct addr *out)
{
	bool is_v4 = family == AF_INET;

	*out = (struct addr){ .family = is_v4 ? ADDR_V4 : ADDR_V6 };
	return get_bytes(ip->v[is_v4 ? v4 : v6], out->bytes, is_v4 ? 4 : 16);
}

/* False: it is not of TCP or UDP over IP. */
static bool tuple_read(const struct nlattr *nest, uint8_t family, struct tuple *out)
{
	struct attrs t = attrs_of_nest(nest), ip = attrs_of_nest(t.v[CTA_TUPLE_IP]);
	struct attrs proto = attrs_of_nest(t.v[CTA_TUPLE_PROTO]);

	if (!get_bytes(proto.v[CTA_PROTO_NUM], &out->proto, sizeof(out->proto)) ||
	    (out->proto != IPPROTO_TCP && out->proto != IPPROTO_UDP))
		return false;
	out->source_port = be16_of(proto.v[CTA_PROTO_SRC_PORT]);
	out->destination_port = be16_of(proto.v[CTA_PROTO_DST_PORT]);
	return address_read(&ip, family, CTA_IP_V4_SRC, CTA_IP_V6_SRC, &out->source) &&
	       address_read(&ip, family, CTA_IP_V4_DST, CTA_IP_V6_DST, &out->destination);
}

static bool tuples_read(const struct attrs *t, uint8_t family, struct ct_flow *f)
{
	struct tuple to, back;

	if ((family != AF_INET && family != AF_INET6) ||
	    !tuple_read(t->v[CTA_TUPLE_ORIG], family, &to) ||
	    !tuple_read(t->v[CTA_TUPLE_REPLY], family, &back))
		return false;
	f->proto = to.proto;
	f->client = to.source;
	f->client_port = to.source_port;
	f->local = to.destination;
	f->local_port = to.destination_port;
	f->target = back.source;
	f->target_port = back.source_port;
	f->seen = back.destination;
	f->seen_port = back.destination_port;
	return true;
}

/* ---- the rest ---- */

/* nft writes the label as four words of the host, and netlink carries those 16 bytes as they are.
 */
static void label_read(const struct nlattr *a, struct ct_flow *f)
{
	uint32_t words[4] = { 0 };

	get_bytes(a, words, sizeof(words));
	f->id = words[0];
	f->flags = words[1];
	f->instance = words[2];
	f->tag = words[3];
}

static void tcp_state_read(const struct nlattr *protoinfo, struct ct_flow *f)
{
	struct attrs info = attrs_of_nest(protoinfo);
	struct attrs tcp = attrs_of_nest(info.v[CTA_PROTOINFO_TCP]);

	if (f->proto != IPPROTO_TCP)
		return;
	get_bytes(tcp.v[CTA_PROTOINFO_TCP_STATE], &f->tcp_state, sizeof(f->tcp_state));
	f->closed = f->tcp_state == TCP_CONNTRACK_TIME_WAIT || f->tcp_state == TCP_CONNTRACK_CLOSE;
}

/* What only those who list connections look at. */
static void extras_read(const struct attrs *t, struct ct_flow *f)
{
	struct attrs in = attrs_of_nest(t->v[CTA_COUNTERS_ORIG]);
	struct attrs out = attrs_of_nest(t->v[CTA_COUNTERS_REPLY]);
	struct attrs when = attrs_of_nest(t->v[CTA_TIMESTAMP]);
	uint32_t status = be32_of(t->v[CTA_STATUS]);

	f->answered = status & IPS_SEEN_REPLY;
	f->assured = status & IPS_ASSURED;
	f->expires_s = be32_of(t->v[CTA_TIMEOUT]);
	f->start_ms = (int64_t)(be64_of(when.v[CTA_TIMESTAMP_START]) / 1000000);
	f->counted = in.v[CTA_COUNTERS_BYTES];
	f->bytes_in = be64_of(in.v[CTA_COUNTERS_BYTES]);
	f->packets_in = be64_of(in.v[CTA_COUNTERS_PACKETS]);
	f->bytes_out = be64_of(out.v[CTA_COUNTERS_BYTES]);
	f->packets_out = be64_of(out.v[CTA_COUNTERS_PACKETS]);
}

bool conntrack_parse(const struct nlmsghdr *h, bool any, struct ct_flow *out)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	struct ct_flow f = { 0 };
	struct attrs t;

	if (h->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW) ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(*g))
		return false;
	t = attrs_of(h, sizeof(*g));
	if (!tuples_read(&t, g->nfgen_family, &f))
		return false;
	label_read(t.v[CTA_LABELS], &f);
	if (!f.id && !any)
		return false;
	f.ct_id = be32_of(t.v[CTA_ID]);
	f.zone = be16_of(t.v[CTA_ZONE]);
	tcp_state_read(t.v[CTA_PROTOINFO], &f);
	extras_read(&t, &f);
	*out = f;
	return true;
}
