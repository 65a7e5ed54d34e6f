/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host: what this network namespace has - addresses, listening sockets,
 * sysctls, its identity. Reads netlink and /proc; changes nothing.
 */
#ifndef CTL_HOST_HOST_H
#define CTL_HOST_HOST_H

#include <sys/stat.h>

#include "ctl/base/addr.h"

struct host_listener {
	uint8_t proto;	  /* IPPROTO_TCP, IPPROTO_UDP */
	struct addr addr; /* family ADDR_V4/ADDR_V6; unspecified = wildcard */
	bool v6_only;	  /* a wildcard v6 socket that does not take v4 */
	uint16_t port;
	uint32_t inode;
};

struct host_facts {
	struct addr_set
		local; /* everything the routing table calls local (table local, type local) */
	struct host_listener *listeners; /* sorted by proto, port */
	size_t n_listeners;
	bool forward_v4, forward_v6;
	bool has_v6; /* /proc/sys/net/ipv6 exists and is not disabled for all */
};

int host_facts_read(struct host_facts *f, struct err *e);
void host_facts_fini(struct host_facts *f);
/* Does a socket on the wildcard accept proto/port for this family (ADDR_V4, ADDR_V6)? */
bool host_listens(const struct host_facts *f, uint8_t proto, int family, uint16_t port);
/* The first socket (wildcard first) that accepts proto/port at this address, or NULL. */
const struct host_listener *host_listener_at(const struct host_facts *f, uint8_t proto,
					     const struct addr *at, uint16_t port);

/* Which network namespace and which boot: all that is kept across runs says so. */
struct host_identity {
	uint64_t ns_cookie; /* SO_NETNS_COOKIE (5.14): never used again in one boot; 0 = unknown */
	dev_t ns_dev;	    /* device and inode of /proc/self/ns/net: may come again */
	ino_t ns_ino;
	char boot[40]; /* /proc/sys/kernel/random/boot_id */
};
bool host_same_namespace(const struct host_identity *a, const struct host_identity *b);
int host_identity_read(struct host_identity *id, struct err *e);

#endif
