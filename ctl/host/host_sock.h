/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_sock: listening TCP and unconnected UDP sockets, for host.c. Each
 * function adds to f->listeners and leaves sorting to the caller.
 */
#ifndef CTL_HOST_HOST_SOCK_H
#define CTL_HOST_HOST_SOCK_H

#include "ctl/host/host.h"

/* sock_diag where the kernel has it for this protocol, else /proc/net. */
int host_sockets_read(struct host_facts *f, struct err *e);
/* The /proc/net half alone. It cannot tell v6_only: false there. */
int host_sockets_read_proc(struct host_facts *f, uint8_t proto, int family, struct err *e);

#endif
