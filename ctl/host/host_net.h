/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_net: interfaces, routes and neighbours of this network namespace, and the
 * way to an address as the kernel would take it now. Reads rtnetlink, changes
 * nothing, needs no privileges. For doctor. One thread.
 */
#ifndef CTL_HOST_HOST_NET_H
#define CTL_HOST_HOST_NET_H

#include <net/if.h>

#include "ctl/base/addr.h"

struct mnl_socket;
struct nlmsghdr;

/* Of each kind; more sets host_net.truncated. */
#define HOST_NET_MAX 65536

struct host_link {
	uint32_t index;
	char name[IFNAMSIZ];
	bool up, carrier, loopback;
	struct addr v4, v6; /* its first address that is not link-local; ADDR_NONE = none */
	uint8_t v4_prefix_len, v6_prefix_len;
};

struct host_route {	/* unicast routes of all tables but local */
	struct addr to; /* network address */
	uint8_t prefix_len;
	uint8_t origin; /* RTPROT_* */
	uint32_t oif;
	struct addr gateway; /* ADDR_NONE = the network is on the link */
};

struct host_neighbour {
	struct addr addr;
	uint32_t index;
	uint16_t state; /* NUD_* */
};

struct host_net {
	struct host_link *links; /* sorted by index */
	struct host_route *routes;
	struct host_neighbour *neighbours;
	size_t n_links, n_routes, n_neighbours, cap_links, cap_routes, cap_neighbours;
	bool truncated, failed; /* failed: out of memory */
	struct mnl_socket *nl;
};

int host_net_read(struct host_net *n, struct err *e);
void host_net_fini(struct host_net *n);

const struct host_link *host_link_find(const struct host_net *n, uint32_t index);
bool host_route_covers(const struct host_route *r, const struct addr *a);
/* NULL = the kernel has no entry for it. */
const struct host_neighbour *host_neighbour_find(const struct host_net *n, uint32_t index,
						 const struct addr *a);

/* The way to an address. */
struct host_path {
	int error; /* 0, or why there is none: -ENETUNREACH, -EHOSTUNREACH, -EACCES, -EINVAL ... */
	bool local;
	uint32_t oif;
	struct addr gateway; /* ADDR_NONE = on the link */
	struct addr source;  /* that this host would use; ADDR_NONE = not said */
};

/* from (may be NULL): the source address that the packet has; must be of this host. An error is
 * only returned when the kernel could not be asked. */
int host_path_find(const struct host_net *n, const struct addr *to, const struct addr *from,
		   struct host_path *out, struct err *e);

/* One message of the kernel; any bytes within h->nlmsg_len are safe. */
void host_net_parse(struct host_net *n, const struct nlmsghdr *h);
/* An answer to a request for a way: false if it is none. */
bool host_path_parse(const struct nlmsghdr *h, struct host_path *out);
/* Adds what a route of that family (AF_INET, AF_INET6) in table local says is this host's; other
 * messages add nothing. 0 or -ENOMEM. */
int host_local_parse(const struct nlmsghdr *h, int family, struct addr_set *out);

#endif
