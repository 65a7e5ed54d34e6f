/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sock_destroy: finds and ends established TCP sockets of this network namespace,
 * whoever has them (SOCK_DESTROY, sock_diag(7); CONFIG_INET_DIAG_DESTROY). The peer
 * gets a reset, the process ECONNABORTED. A listening socket is never touched.
 */
#ifndef CTL_HOST_SOCK_DESTROY_H
#define CTL_HOST_SOCK_DESTROY_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/base/addr.h"

struct sock_destroyer;

/* NULL when the kernel has no sock_diag; the others take that. */
struct sock_destroyer *sock_destroyer_new(void);
void sock_destroyer_free(struct sock_destroyer *d);
/* The connection from `peer` to the socket at `local`. 0, -ENOENT when there is none,
 * -EOPNOTSUPP, or what else the kernel said. */
int sock_destroy_tcp(struct sock_destroyer *d, const struct addr *local, uint16_t local_port,
		     const struct addr *peer, uint16_t peer_port);

/* Whether it is there and not yet over (TIME_WAIT); also where the kernel cannot say. */
bool sock_tcp_lives(struct sock_destroyer *d, const struct addr *local, uint16_t local_port,
		    const struct addr *peer, uint16_t peer_port);

#endif
