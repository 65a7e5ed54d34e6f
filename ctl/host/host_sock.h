/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_sock: listening TCP and unconnected UDP sockets, for host.c. Each
 * function adds to f->listeners and leaves sorting to the caller.
 */
#ifndef CTL_HOST_HOST_SOCK_H
#define CTL_HOST_HOST_SOCK_H

#include "ctl/host/host.h"

struct inet_diag_msg;
struct nlmsghdr;

/* sock_diag where the kernel has it for this protocol, else /proc/net. */
int host_sockets_read(struct host_facts *f, struct err *e);
/* The /proc/net half alone. It cannot tell v6_only: false there. */
int host_sockets_read_proc(struct host_facts *f, uint8_t proto, int family, struct err *e);

/* host_sock_parse.c, pure. One message of a dump; any bytes within h->nlmsg_len are safe.
 * out->proto is the caller's. False: no socket that has a port. */
bool host_sock_parse(const struct nlmsghdr *h, struct host_listener *out);
/* One line of /proc/net/{tcp,udp}{,6}. False: no listening (TCP) or unconnected (UDP) socket. */
bool host_sock_parse_line(const char *line, uint8_t proto, int family, struct host_listener *out);
/* The answer to one request: 0 and the socket, or what the kernel said. -EAGAIN: no answer to seq.
 * out NULL: only an acknowledgement is expected. */
int host_sock_parse_answer(const void *bytes, size_t len, uint32_t seq, struct inet_diag_msg *out);

#endif
