/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/conntrack_census.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/host/host_netlink.h"

#define SEEN_REPLY 2u /* IPS_SEEN_REPLY, linux/netfilter/nf_conntrack_common.h */
#define ATTR_MAX   32

struct attrs {
	const struct nlattr *v[ATTR_MAX];
};

static void attrs_add(struct attrs *t, const struct nlattr *a)
{
	if (mnl_attr_get_type(a) < ATTR_MAX)
		t->v[mnl_attr_get_type(a)] = a;
}

static struct attrs attrs_of_nest(const struct nlattr *nest)
{
	struct attrs t = { 0 };
	const struct nlattr *a;

	if (nest)
		mnl_attr_for_each_nested (a, nest)
			attrs_add(&t, a);
	return t;
}

static bool get_addr(const struct attrs *ip, unsigned v4, unsigned v6, struct addr *out)
{
	const struct nlattr *a = ip->v[v4] ? ip->v[v4] : ip->v[v6];
	size_t len = ip->v[v4] ? 4 : 16;

	if (!a || mnl_attr_get_payload_len(a) != len)
		return false;
	*out = (struct addr){ .family = len == 4 ? ADDR_V4 : ADDR_V6 };
	memcpy(out->bytes, mnl_attr_get_payload(a), len);
	return true;
}

/* The answers' tuple: from the target, to us or to the client. */
static bool parse_tuple(const struct nlattr *nest, struct census_group *g)
{
	struct attrs t = attrs_of_nest(nest);
	struct attrs ip = attrs_of_nest(t.v[CTA_TUPLE_IP]);
	struct attrs proto = attrs_of_nest(t.v[CTA_TUPLE_PROTO]);
	const struct nlattr *num = proto.v[CTA_PROTO_NUM], *port = proto.v[CTA_PROTO_SRC_PORT];

	if (!num || mnl_attr_get_payload_len(num) != 1 || !port ||
	    mnl_attr_get_payload_len(port) != 2)
		return false;
	g->proto = mnl_attr_get_u8(num);
	g->target_port = ntohs(mnl_attr_get_u16(port));
	return (g->proto == IPPROTO_TCP || g->proto == IPPROTO_UDP) &&
	       get_addr(&ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC, &g->target) &&
	       get_addr(&ip, CTA_IP_V4_DST, CTA_IP_V6_DST, &g->answers_to);
}

static bool parse_label(const struct nlattr *a, struct census_group *g)
{
	uint32_t words[4];

	if (!a || mnl_attr_get_payload_len(a) != sizeof(words))
		return false;
	memcpy(words, mnl_attr_get_payload(a), sizeof(words));
	g->id = words[0];
	g->flags = words[1];
	g->instance = words[2];
	return g->id != 0;
}

static bool same_group(const struct census_group *a, const struct census_group *b)
{
	return a->id == b->id && a->instance == b->instance && a->flags == b->flags &&
	       a->proto == b->proto && a->target_port == b->target_port &&
	       !addr_cmp(&a->target, &b->target) && !addr_cmp(&a->answers_to, &b->answers_to);
}

static uint64_t group_hash(const struct census_group *g)
{
	uint64_t h = text_hash(g->target.bytes, sizeof(g->target.bytes), g->id);

	h = text_hash(g->answers_to.bytes, sizeof(g->answers_to.bytes), h);
	return h ^ (h >> 29) ^ ((uint64_t)g->target_port << 17 | g->proto);
}

static bool make_slots(struct census *c)
{
	c->n_slots = 2 * CENSUS_MAX_GROUPS;
	c->slots = calloc(c->n_slots, sizeof(*c->slots));
	c->v = malloc(CENSUS_MAX_GROUPS * sizeof(*c->v));
	c->failed |= !c->slots || !c->v;
	return !c->failed;
}

static void count(struct census *c, const struct census_group *g, bool answered)
{
	size_t i;

	if (!c->slots && !make_slots(c))
		return;
	for (i = group_hash(g) % c->n_slots; c->slots[i]; i = (i + 1) % c->n_slots)
		if (same_group(&c->v[c->slots[i] - 1], g))
			break;
	if (!c->slots[i] && c->n == CENSUS_MAX_GROUPS) {
		c->truncated = true;
		return;
	}
	if (!c->slots[i]) {
		c->v[c->n++] = *g;
		c->slots[i] = (uint32_t)c->n;
	}
	c->v[c->slots[i] - 1].flows++;
	c->v[c->slots[i] - 1].unanswered += !answered;
}

void census_parse(struct census *c, uint32_t masqueraded, const struct nlmsghdr *h)
{
	struct census_group g = { 0 };
	uint32_t status = 0;
	struct attrs t = { 0 };
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg) || c->failed)
		return;
	mnl_attr_for_each (a, h, sizeof(struct nfgenmsg))
		attrs_add(&t, a);
	if (!parse_label(t.v[CTA_LABELS], &g) || !parse_tuple(t.v[CTA_TUPLE_REPLY], &g))
		return;
	if (t.v[CTA_STATUS] && mnl_attr_get_payload_len(t.v[CTA_STATUS]) == sizeof(status))
		status = ntohl(mnl_attr_get_u32(t.v[CTA_STATUS]));
	if (!(g.flags & masqueraded))
		g.answers_to = (struct addr){ 0 };
	count(c, &g, status & SEEN_REPLY);
}

struct dump {
	struct census *c;
	uint32_t masqueraded;
};

static int take_message(const struct nlmsghdr *h, void *arg)
{
	const struct dump *d = arg;

	census_parse(d->c, d->masqueraded, h);
	return MNL_CB_OK;
}

static int dump_all(struct mnl_socket *nl, struct dump *d)
{
	uint8_t request[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct nfgenmsg))];
	struct nlmsghdr *h = mnl_nlmsg_put_header(request);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	int rc = -EINTR;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET);
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	for (int i = 0; i < HOST_DUMP_TRIES && rc == -EINTR; i++) {
		census_fini(d->c);
		rc = host_dump(nl, h, take_message, d);
	}
	return rc;
}

int census_read(struct census *c, uint32_t masqueraded, struct err *e)
{
	struct mnl_socket *nl = host_netlink_open(NETLINK_NETFILTER);
	struct dump d = { c, masqueraded };
	int rc;

	*c = (struct census){ 0 };
	if (!nl)
		return err_sys(e, errno, "cannot open a conntrack netlink socket");
	rc = dump_all(nl, &d);
	mnl_socket_close(nl);
	if (!rc && c->failed)
		rc = -ENOMEM;
	if (!rc)
		return 0;
	census_fini(c);
	return err_sys(e, rc, "cannot list the kernel's connections");
}

void census_fini(struct census *c)
{
	free(c->v);
	free(c->slots);
	*c = (struct census){ 0 };
}
