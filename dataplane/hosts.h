/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hosts: what the text of /etc/hosts (hosts(5)) says of a name. Pure. */
#ifndef DATAPLANE_HOSTS_H
#define DATAPLANE_HOSTS_H

#include "ctl/base/addr.h"

/* The addresses of all lines that have the name (any case), in their order, at most cap; lines that
 * are none are skipped. Returns how many. */
unsigned hosts_find(const char *text, const char *name, struct addr *out, unsigned cap);
/* "localhost", and what ends in it (RFC 6761, 6.3). */
bool hosts_is_localhost(const char *text);

#endif
