/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host_netlink: a request to the kernel and its whole answer, for the files of ctl/host. */
#ifndef CTL_HOST_HOST_NETLINK_H
#define CTL_HOST_HOST_NETLINK_H

#include <libmnl/libmnl.h>

/* A dump that something changed under is asked for again, this often. */
#define HOST_DUMP_TRIES 8

/* NULL with errno. Answers that take longer than some seconds are -EAGAIN later on. */
struct mnl_socket *host_netlink_open(int bus);
/* Gives each message of the answer to request seq to cb (NULL: there is only an acknowledgement),
 * and drops what is left of answers before. 0, what the kernel said, -ENOBUFS: some of it was lost.
 */
int host_netlink_receive(struct mnl_socket *nl, unsigned seq, mnl_cb_t cb, void *arg);
/* Sends h (a dump request) and gives each message to cb. -EINTR: the data changed
 * meanwhile (NLM_F_DUMP_INTR) or an answer was lost; forget it all and ask again. */
int host_dump(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg);

#endif
