/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conntrack_parse: one message of the kernel's flow table; conntrack.c asks for them. Pure. */
#ifndef CTL_HOST_CONNTRACK_PARSE_H
#define CTL_HOST_CONNTRACK_PARSE_H

#include "ctl/host/conntrack.h"

struct nlmsghdr;

/* True: *out is a TCP or UDP flow and, unless `any`, has a route id in its label. False: another
 * message. Any bytes within h->nlmsg_len are safe. */
bool conntrack_parse(const struct nlmsghdr *h, bool any, struct ct_flow *out);

#endif
