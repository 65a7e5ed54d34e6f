/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sock_tcp: finds and ends established TCP sockets of this network namespace,
 * whoever has them (SOCK_DESTROY, sock_diag(7); CONFIG_INET_DIAG_DESTROY). The peer
 * gets a reset, the process ECONNABORTED. A listening socket is never touched.
 */
#ifndef CTL_HOST_SOCK_TCP_H
#define CTL_HOST_SOCK_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/base/addr.h"

struct sock_tcp;

/* NULL when the kernel has no sock_diag; the others take that. */
struct sock_tcp *sock_tcp_new(void);
void sock_tcp_free(struct sock_tcp *t);
/* The connection from `peer` to the socket at `local`. 0, -ENOENT when there is none,
 * -EOPNOTSUPP, or what else the kernel said. */
int sock_tcp_destroy(struct sock_tcp *t, const struct addr *local, uint16_t local_port,
		     const struct addr *peer, uint16_t peer_port);

/* Whether it is there and not yet over (TIME_WAIT); also where the kernel cannot say. */
bool sock_tcp_lives(struct sock_tcp *t, const struct addr *local, uint16_t local_port,
		    const struct addr *peer, uint16_t peer_port);

#endif
