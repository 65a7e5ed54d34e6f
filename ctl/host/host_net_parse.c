/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From rtnetlink's bytes; host_net.c asks for them. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/host/host_attr.h"
#include "ctl/host/host_net.h"

static bool get_addr(const struct nlattr *a, int family, struct addr *out)
{
	size_t len = family == AF_INET ? 4 : 16;

	if (!a || (family != AF_INET && family != AF_INET6) || mnl_attr_get_payload_len(a) != len)
		return false;
	*out = (struct addr){ .family = family == AF_INET ? ADDR_V4 : ADDR_V6 };
	memcpy(out->bytes, mnl_attr_get_payload(a), len);
	return true;
}

/* Room for one more of `size` bytes; NULL when there is none. */
static void *room(struct host_net *n, void *v, size_t have, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 16;
	void *w;

	if (have == HOST_NET_MAX) {
		n->truncated = true;
		return NULL;
	}
	if (have < *cap)
		return v;
	w = realloc(v, more * size);
	if (!w) {
		n->failed = true;
		return NULL;
	}
	*cap = more;
	return w;
}

static void parse_link(struct host_net *n, const struct nlmsghdr *h)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	struct host_link *v, link = { 0 };
	const struct nlattr *name;
	size_t len;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return;
	name = attrs_of(h, sizeof(*m)).v[IFLA_IFNAME];
	len = name ? strnlen(mnl_attr_get_payload(name), mnl_attr_get_payload_len(name)) : 0;
	if (!len || len >= sizeof(link.name) || m->ifi_index <= 0)
		return;
	memcpy(link.name, mnl_attr_get_payload(name), len);
	link.index = (uint32_t)m->ifi_index;
	link.up = m->ifi_flags & IFF_UP;
	link.carrier = m->ifi_flags & IFF_RUNNING;
	link.loopback = m->ifi_flags & IFF_LOOPBACK;
	v = room(n, n->links, n->n_links, &n->cap_links, sizeof(*v));
	if (!v)
		return;
	n->links = v;
	v[n->n_links++] = link;
}

static void parse_address(struct host_net *n, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	struct attrs t;
	struct addr a;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return;
	t = attrs_of(h, sizeof(*m));
	/* On a point-to-point link IFA_ADDRESS is the other end. */
	if (!get_addr(t.v[IFA_LOCAL], m->ifa_family, &a) &&
	    !get_addr(t.v[IFA_ADDRESS], m->ifa_family, &a))
		return;
	for (size_t i = 0; i < n->n_links; i++) {
		struct host_link *l = &n->links[i];
		struct addr *slot = a.family == ADDR_V4 ? &l->v4 : &l->v6;

		if (l->index != m->ifa_index || slot->family || addr_is_link_local_v6(&a) ||
		    m->ifa_prefixlen > 8 * addr_len(&a))
			continue;
		*slot = a;
		*(a.family == ADDR_V4 ? &l->v4_prefix_len : &l->v6_prefix_len) = m->ifa_prefixlen;
	}
}

static void add_route(struct host_net *n, const struct host_route *r)
{
	struct host_route *v = room(n, n->routes, n->n_routes, &n->cap_routes, sizeof(*v));

	if (!v)
		return;
	n->routes = v;
	v[n->n_routes++] = *r;
}

/* RTA_VIA: an address of another family than the route's. */
static void get_via(const struct nlattr *a, struct addr *out)
{
	uint16_t family;
	size_t len = a ? mnl_attr_get_payload_len(a) : 0;

	if (len != 2 + 4 && len != 2 + 16)
		return;
	memcpy(&family, mnl_attr_get_payload(a), sizeof(family));
	if ((family != AF_INET || len != 6) && (family != AF_INET6 || len != 18))
		return;
	*out = (struct addr){ .family = family == AF_INET ? ADDR_V4 : ADDR_V6 };
	memcpy(out->bytes, (const uint8_t *)mnl_attr_get_payload(a) + 2, len - 2);
}

static void parse_nexthops(struct host_net *n, struct host_route *r, int family,
			   const struct nlattr *list)
{
	const uint8_t *p = mnl_attr_get_payload(list);
	size_t left = mnl_attr_get_payload_len(list), step;

	while (left >= sizeof(struct rtnexthop)) {
		struct rtnexthop hop;
		const struct nlattr *a;
		size_t len;

		memcpy(&hop, p, sizeof(hop));
		if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > left)
			return;
		r->oif = (uint32_t)hop.rtnh_ifindex;
		r->gateway = (struct addr){ 0 };
		a = (const void *)(p + sizeof(hop));
		for (len = hop.rtnh_len - sizeof(hop); mnl_attr_ok(a, (int)len);
		     len -= MNL_ALIGN(a->nla_len), a = mnl_attr_next(a)) {
			if (mnl_attr_get_type(a) == RTA_GATEWAY)
				get_addr(a, family, &r->gateway);
			else if (mnl_attr_get_type(a) == RTA_VIA)
				get_via(a, &r->gateway);
			if ((size_t)MNL_ALIGN(a->nla_len) >= len)
				break;
		}
		add_route(n, r);
		step = (hop.rtnh_len + 3u) & ~3u; /* RTNH_ALIGN() is signed */
		if (step >= left)
			return;
		p += step;
		left -= step;
	}
}

static void parse_route(struct host_net *n, const struct nlmsghdr *h)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct host_route r = { 0 };
	uint32_t table;
	struct attrs t;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) || m->rtm_type != RTN_UNICAST ||
	    m->rtm_flags & RTM_F_CLONED || (m->rtm_family != AF_INET && m->rtm_family != AF_INET6))
		return;
	t = attrs_of(h, sizeof(*m));
	table = m->rtm_table;
	get_u32(t.v[RTA_TABLE], &table);
	r.to.family = m->rtm_family == AF_INET ? ADDR_V4 : ADDR_V6;
	r.prefix_len = m->rtm_dst_len;
	r.origin = m->rtm_protocol;
	if (table == RT_TABLE_LOCAL || r.prefix_len > 8 * addr_len(&r.to) ||
	    (!get_addr(t.v[RTA_DST], m->rtm_family, &r.to) && r.prefix_len))
		return;
	if (t.v[RTA_MULTIPATH]) {
		parse_nexthops(n, &r, m->rtm_family, t.v[RTA_MULTIPATH]);
		return;
	}
	get_via(t.v[RTA_VIA], &r.gateway);
	get_addr(t.v[RTA_GATEWAY], m->rtm_family, &r.gateway);
	if (get_u32(t.v[RTA_OIF], &r.oif))
		add_route(n, &r);
}

static void parse_neighbour(struct host_net *n, const struct nlmsghdr *h)
{
	const struct ndmsg *m = mnl_nlmsg_get_payload(h);
	struct host_neighbour *v, one = { 0 };

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) || m->ndm_ifindex <= 0)
		return;
	if (!get_addr(attrs_of(h, sizeof(*m)).v[NDA_DST], m->ndm_family, &one.addr))
		return;
	one.index = (uint32_t)m->ndm_ifindex;
	one.state = m->ndm_state;
	v = room(n, n->neighbours, n->n_neighbours, &n->cap_neighbours, sizeof(*v));
	if (!v)
		return;
	n->neighbours = v;
	v[n->n_neighbours++] = one;
}

void host_net_parse(struct host_net *n, const struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
		parse_link(n, h);
		break;
	case RTM_NEWADDR:
		parse_address(n, h);
		break;
	case RTM_NEWROUTE:
		parse_route(n, h);
		break;
	case RTM_NEWNEIGH:
		parse_neighbour(n, h);
		break;
	default:
		break;
	}
}

bool host_path_parse(const struct nlmsghdr *h, struct host_path *out)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct attrs t;

	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return false;
	t = attrs_of(h, sizeof(*m));
	*out = (struct host_path){ .local = m->rtm_type == RTN_LOCAL };
	/* IPv4 answers these with an error, IPv6 with the route. */
	if (m->rtm_type == RTN_UNREACHABLE)
		out->error = -EHOSTUNREACH;
	else if (m->rtm_type == RTN_PROHIBIT)
		out->error = -EACCES;
	else if (m->rtm_type == RTN_BLACKHOLE)
		out->error = -EINVAL;
	get_u32(t.v[RTA_OIF], &out->oif);
	get_via(t.v[RTA_VIA], &out->gateway);
	get_addr(t.v[RTA_GATEWAY], m->rtm_family, &out->gateway);
	get_addr(t.v[RTA_PREFSRC], m->rtm_family, &out->source);
	return true;
}

static void range_of(const uint8_t *bytes, unsigned prefix_len, struct addr_range *out)
{
	for (unsigned i = 0; i < addr_len(&out->lo); i++) {
		unsigned bits = prefix_len > 8 * i ? prefix_len - 8 * i : 0;
		uint8_t host = bits >= 8 ? 0 : (uint8_t)(0xff >> bits);

		out->lo.bytes[i] = bytes[i] & (uint8_t)~host;
		out->hi.bytes[i] = bytes[i] | host;
	}
}

int host_local_parse(const struct nlmsghdr *h, int family, struct addr_set *out)
{
	static const uint8_t any[16];
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *dst;
	struct addr_range r = { 0 };
	uint32_t table;
	struct attrs t;

	/* Kernels that do not filter send everything; without IPv6 they send IPv4 again. */
	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*m) ||
	    m->rtm_family != family || m->rtm_type != RTN_LOCAL)
		return 0;
	t = attrs_of(h, sizeof(*m));
	table = m->rtm_table;
	get_u32(t.v[RTA_TABLE], &table);
	r.lo.family = r.hi.family = family == AF_INET ? ADDR_V4 : ADDR_V6;
	dst = t.v[RTA_DST];
	if (dst && mnl_attr_get_payload_len(dst) != addr_len(&r.lo))
		dst = NULL;
	if (table != RT_TABLE_LOCAL || m->rtm_dst_len > 8 * addr_len(&r.lo) ||
	    (!dst && m->rtm_dst_len))
		return 0;
	/* "local default" (TPROXY set-ups in table local) has no RTA_DST. */
	range_of(dst ? mnl_attr_get_payload(dst) : any, m->rtm_dst_len, &r);
	return addr_set_add(out, &r);
}
