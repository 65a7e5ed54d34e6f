/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host_way: the way to an address, as the kernel would take it now. Needs no privileges. */
#ifndef CTL_HOST_HOST_WAY_H
#define CTL_HOST_HOST_WAY_H

#include "ctl/base/addr.h"

struct host_way {
	uint32_t oif;	    /* interface index */
	struct addr source; /* that this host would use; ADDR_NONE = not said */
};

/* 0, or a negative errno: -ENETUNREACH ... where there is none. */
int host_way_find(const struct addr *to, struct host_way *out);

#endif
