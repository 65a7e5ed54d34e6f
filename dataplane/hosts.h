/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hosts: what the text of /etc/hosts (hosts(5)) says of names. Pure; read once, and sorted, since
 * such a text may have as many lines as there are names to look for. */
#ifndef DATAPLANE_HOSTS_H
#define DATAPLANE_HOSTS_H

#include "ctl/base/addr.h"

struct hosts;

/* Lines that are none are skipped; text NULL is as good as "". NULL: no memory. */
struct hosts *hosts_new(const char *text);
void hosts_free(struct hosts *h);
/* The addresses of all lines that have the name (any case), in their order, at most cap. Returns
 * how many. */
unsigned hosts_find(const struct hosts *h, const char *name, struct addr *out, unsigned cap);
/* "localhost", and what ends in it (RFC 6761, 6.3). */
bool hosts_is_localhost(const char *text);

#endif
