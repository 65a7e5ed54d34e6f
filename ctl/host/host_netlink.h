/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host_netlink: one dump request and its whole answer, for host.c and host_sock.c. */
#ifndef CTL_HOST_HOST_NETLINK_H
#define CTL_HOST_HOST_NETLINK_H

#include <libmnl/libmnl.h>

/* A dump that something changed under is asked for again, this often. */
#define HOST_DUMP_TRIES 8

/* NULL with errno. Answers that take longer than some seconds are -EAGAIN later on. */
struct mnl_socket *host_netlink_open(int bus);
/* Sends h (a dump request) and gives each message to cb. -EINTR: the data changed
 * meanwhile (NLM_F_DUMP_INTR) or an answer was lost; forget it all and ask again. */
int host_dump(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg);

#endif
