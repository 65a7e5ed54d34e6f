/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * own: what leads back to this process. A connection that it makes to one of its
 * own listening sockets comes in again, as the same one: without end, until no descriptor is left.
 */
#ifndef DATAPLANE_OWN_H
#define DATAPLANE_OWN_H

#include <stdatomic.h>

#include "ctl/base/addr.h"

/* Ports that some socket listens on: set by the main thread, read by all. */
struct own_ports {
	atomic_uint bits[65536 / 32];
};

void own_ports_set(struct own_ports *p, uint16_t port, bool listens);
static inline bool own_ports_has(const struct own_ports *p, uint16_t port)
{
	return atomic_load_explicit(&p->bits[port / 32], memory_order_relaxed) & 1u << port % 32;
}

/* What was found out about addresses in the last second; of one thread, all zeroes at first. */
#define OWN_KEPT    256
#define OWN_KEPT_MS 1000
struct own_addresses {
	struct {
		struct addr addr;
		int64_t until_ms;
		bool own;
	} v[OWN_KEPT];
};

/* 1: it is this host's, 0: it is not, or the kernel's refusal to give a socket to ask with. */
int own_address(struct own_addresses *o, const struct addr *a, int64_t now_ms);

#endif
