/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/host_way.h"

#include <errno.h>

#include "ctl/host/host_netlink.h"

int host_way_find(const struct addr *to, struct host_path *out)
{
	/* Asking for a way takes the socket alone; what else is there need not be read. */
	struct host_net n = { .nl = host_netlink_open(NETLINK_ROUTE) };
	struct err e = { 0 };
	int rc;

	if (!n.nl)
		return -errno;
	rc = host_path_find(&n, to, NULL, out, &e);
	host_net_fini(&n);
	return rc ? rc : out->error;
}
