/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's answers about interfaces, routes and neighbours: host_net_parse()
 * and host_path_parse(). The input is a stream of netlink messages.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "ctl/host/host_net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct parsed {
	struct host_net net;
	struct host_path path;
};

static void parse_one(struct parsed *p, const struct nlmsghdr *h)
{
	host_net_parse(&p->net, h);
	host_path_parse(h, &p->path);
}

static void check(const struct parsed *p)
{
	for (size_t i = 0; i < p->net.n_routes; i++) {
		const struct host_route *r = &p->net.routes[i];

		if (r->prefix_len > 8 * addr_len(&r->to))
			abort();
		if (!host_route_covers(r, &r->to))
			abort();
	}
	for (size_t i = 0; i < p->net.n_links; i++)
		if (!p->net.links[i].index || !memchr(p->net.links[i].name, 0, IFNAMSIZ))
			abort();
#ifdef FUZZ_SELFTEST
	/* The planted bug: a route that two routing daemons could have made. */
	for (size_t i = 0; i < p->net.n_routes; i++)
		if (p->net.routes[i].origin == RTPROT_BIRD && p->net.routes[i].gateway.family)
			abort();
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1), *p = copy; /* aligned, and its end is the end */
	struct parsed parsed = { 0 };
	size_t left = size, len;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	while (left >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *h = (const void *)p;

		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > left)
			break;
		parse_one(&parsed, h);
		len = ((size_t)h->nlmsg_len + 3) & ~(size_t)3;
		if (len >= left)
			break;
		p += len;
		left -= len;
	}
	check(&parsed);
	host_net_fini(&parsed.net);
	free(copy);
	return 0;
}
