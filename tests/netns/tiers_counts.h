/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tiers_counts: what spctl and its service have counted of routes named r0, r1 …: the kernel's
 * figures and the dataplane's together. */
#ifndef TESTS_NETNS_TIERS_COUNTS_H
#define TESTS_NETNS_TIERS_COUNTS_H

#include <stdbool.h>

#define COUNT_ROUTES 8

enum count_reason {
	COUNT_LIST,
	COUNT_IP,
	COUNT_ROUTE,
	COUNT_RATE,
	COUNT_NO_TARGET,
	COUNT_CONNECT,
	N_COUNTS
};
extern const char *const count_names[N_COUNTS]; /* as in DESIGN's closed list */

struct counts {
	unsigned long refused[COUNT_ROUTES][N_COUNTS];
	unsigned long total[COUNT_ROUTES];
};

/* In the gateway's namespace. Prints what failed. */
bool counts_read(const char *spctl, struct counts *out);

#endif
