/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host_way: the way to one address, for those who need nothing else of host_net.h. */
#ifndef CTL_HOST_HOST_WAY_H
#define CTL_HOST_HOST_WAY_H

#include "ctl/host/host_net.h"

/* 0, or a negative errno where there is none or the kernel could not be asked. */
int host_way_find(const struct addr *to, struct host_path *out);

#endif
