/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's answers about interfaces, addresses, routes and neighbours: host_net_parse(),
 * host_path_parse(), host_local_parse(). The input is a stream of netlink messages.
 *
 * covers: ctl/host/host_net_parse.c
 */
#include <linux/rtnetlink.h>

#include "ctl/host/host_net.h"
#include "ctl/nft/nft_parse.h"
#include "tests/fuzz/fuzz.h"

static void check_routes(const struct host_net *n)
{
	for (size_t i = 0; i < n->n_routes; i++) {
		const struct host_route *r = &n->routes[i];

		fuzz_check(r->prefix_len <= 8 * addr_len(&r->to));
		fuzz_check(host_route_covers(r, &r->to));
		/* A next hop that a routing daemon made. */
		fuzz_planted(r->origin == RTPROT_BIRD && r->gateway.family);
	}
}

static void check_links(const struct host_net *n)
{
	for (size_t i = 0; i < n->n_links; i++)
		fuzz_check(n->links[i].index && memchr(n->links[i].name, 0, IFNAMSIZ));
}

static void check_local(struct addr_set *local)
{
	for (size_t i = 0; i < local->n; i++) {
		const struct addr_range *r = &local->v[i];

		fuzz_check(r->lo.family == r->hi.family && addr_cmp(&r->lo, &r->hi) <= 0);
	}
	addr_set_seal(local);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(data, size);
	const uint8_t *p = copy;
	const struct nlmsghdr *h;
	struct host_net net = { 0 };
	struct addr_set local = { 0 };
	struct host_path path;

	while ((h = nft_next_message(&p, &size))) {
		host_net_parse(&net, h);
		host_path_parse(h, &path);
		fuzz_check(!host_local_parse(h, AF_INET, &local));
		fuzz_check(!host_local_parse(h, AF_INET6, &local));
	}
	check_routes(&net);
	check_links(&net);
	check_local(&local);
	addr_set_fini(&local);
	host_net_fini(&net);
	free(copy);
	return 0;
}
