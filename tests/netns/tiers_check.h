/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tiers_check: one route file in three variants, what was seen of the same connections with each of
 * them, and whether it is right. */
#ifndef TESTS_NETNS_TIERS_CHECK_H
#define TESTS_NETNS_TIERS_CHECK_H

#include "tests/netns/property_run.h"
#include "tests/netns/tiers_counts.h"

#define PER_FILE   120
#define SHOW_WRONG 4
#define N_VARIANTS 3

/* One of the three. */
struct variant {
	struct buf text;
	struct config *config;
	struct plan *plan;
	struct lab_seen *seen; /* of each connection */
	struct counts counts;
};

struct run {
	struct property p; /* first: property_run() hands it back */
	struct conn conns[PER_FILE];
	unsigned n_conns;
	bool limits, common_limits; /* some; some over all routes */
	struct variant v[N_VARIANTS];
	unsigned files, limited, asked, kernel, relayed, refused, nobody;
};

extern const char *const variant_names[N_VARIANTS];

/* A route of which kernel and user space each have a part is counted by each for itself. */
bool counts_apart(const struct plan *p);
/* Prints what is wrong, and counts it in r->p.wrong. */
void tiers_check(struct run *r);

#endif
