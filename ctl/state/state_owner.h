/* SPDX-License-Identifier: GPL-2.0-or-later */
/* state_owner: who lives in a network namespace - for the sentence that says so. */
#ifndef CTL_STATE_STATE_OWNER_H
#define CTL_STATE_STATE_OWNER_H

#include <stdbool.h>
#include <stddef.h>

struct host_identity;

/* "pid 812, spctl run": a process in that namespace (spctl first, else the one with the
 * lowest pid), or "no process is in it now". Bytes of its command line are escaped. */
void state_owner_describe(const struct host_identity *id, char *out, size_t cap);

/* Is that namespace, recorded in this boot, certainly or as far as can be seen no more? No process
 * is in it and no mount holds it; what cannot be looked at counts as being there. */
bool state_owner_is_gone(const struct host_identity *id, const struct host_identity *me);

#endif
