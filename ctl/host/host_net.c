/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/host_net.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/host/host_netlink.h"

static int take_message(const struct nlmsghdr *h, void *arg)
{
	host_net_parse(arg, h);
	return MNL_CB_OK;
}

/* What is read is added behind what there is; a try that was cut in two is forgotten. */
static int dump(struct host_net *n, uint16_t type, size_t header, int family, size_t *count)
{
	uint8_t request[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct ifinfomsg))];
	struct nlmsghdr *h = mnl_nlmsg_put_header(request);
	uint8_t *family_at = mnl_nlmsg_put_extra_header(h, header);
	size_t before = *count;
	int rc = -EINTR;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	*family_at = (uint8_t)family; /* all these headers begin with it */
	for (int i = 0; i < HOST_DUMP_TRIES && rc == -EINTR; i++) {
		*count = before;
		rc = host_dump(n->nl, h, take_message, n);
	}
	return rc;
}

static int link_cmp(const void *a, const void *b)
{
	const struct host_link *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

static int read_all(struct host_net *n)
{
	int rc = dump(n, RTM_GETLINK, sizeof(struct ifinfomsg), AF_UNSPEC, &n->n_links);
	size_t none = 0;

	if (n->n_links)
		qsort(n->links, n->n_links, sizeof(*n->links), link_cmp);
	rc = rc ? rc : dump(n, RTM_GETADDR, sizeof(struct ifaddrmsg), AF_UNSPEC, &none);
	rc = rc ? rc : dump(n, RTM_GETROUTE, sizeof(struct rtmsg), AF_INET, &n->n_routes);
	/* A kernel without IPv6 has none of it. */
	if (!rc)
		dump(n, RTM_GETROUTE, sizeof(struct rtmsg), AF_INET6, &n->n_routes);
	rc = rc ? rc : dump(n, RTM_GETNEIGH, sizeof(struct ndmsg), AF_UNSPEC, &n->n_neighbours);
	return rc ? rc : n->failed ? -ENOMEM : 0;
}

int host_net_read(struct host_net *n, struct err *e)
{
	int rc;

	*n = (struct host_net){ .nl = host_netlink_open(NETLINK_ROUTE) };
	if (!n->nl)
		return err_sys(e, errno, "cannot open a routing netlink socket");
	rc = read_all(n);
	if (!rc)
		return 0;
	host_net_fini(n);
	return err_sys(e, rc, "cannot read interfaces and routes from the kernel");
}

void host_net_fini(struct host_net *n)
{
	if (n->nl)
		mnl_socket_close(n->nl);
	free(n->links);
	free(n->routes);
	free(n->neighbours);
	*n = (struct host_net){ 0 };
}

const struct host_link *host_link_find(const struct host_net *n, uint32_t index)
{
	const struct host_link key = { .index = index };

	return n->n_links ? bsearch(&key, n->links, n->n_links, sizeof(key), link_cmp) : NULL;
}

bool host_route_covers(const struct host_route *r, const struct addr *a)
{
	unsigned whole = r->prefix_len / 8, rest = r->prefix_len % 8;

	if (r->to.family != a->family || memcmp(r->to.bytes, a->bytes, whole) != 0)
		return false;
	return !rest || !((r->to.bytes[whole] ^ a->bytes[whole]) >> (8 - rest));
}

const struct host_neighbour *host_neighbour_find(const struct host_net *n, uint32_t index,
						 const struct addr *a)
{
	for (size_t i = 0; i < n->n_neighbours; i++)
		if (n->neighbours[i].index == index && !addr_cmp(&n->neighbours[i].addr, a))
			return &n->neighbours[i];
	return NULL;
}

static int take_path(const struct nlmsghdr *h, void *arg)
{
	return host_path_parse(h, arg) ? MNL_CB_STOP : MNL_CB_OK;
}

int host_path_find(const struct host_net *n, const struct addr *to, const struct addr *from,
		   struct host_path *out, struct err *e)
{
	_Alignas(8) uint8_t request[128];
	struct nlmsghdr *h = mnl_nlmsg_put_header(request);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	int rc;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	m->rtm_family = to->family == ADDR_V4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = (uint8_t)(8 * addr_len(to));
	mnl_attr_put(h, RTA_DST, addr_len(to), to->bytes);
	if (from) {
		m->rtm_src_len = (uint8_t)(8 * addr_len(from));
		mnl_attr_put(h, RTA_SRC, addr_len(from), from->bytes);
	}
	*out = (struct host_path){ 0 };
	rc = host_dump(n->nl, h, take_path, out);
	/* The kernel's refusals are answers; these are not. */
	if (rc == -ENOMEM || rc == -EAGAIN || rc == -EINTR || rc == -EPERM)
		return err_sys(e, rc, "cannot ask the kernel for a route");
	if (rc)
		out->error = rc;
	return 0;
}
