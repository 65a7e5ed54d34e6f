/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolve: names to addresses, in a child that first gives up every privilege:
 * answers from the network are never parsed by root.
 */
#ifndef CTL_HOST_RESOLVE_H
#define CTL_HOST_RESOLVE_H

#include "ctl/base/addr.h"

struct resolved_name {
	const char *name;   /* borrowed from the caller */
	struct addr *addrs; /* sorted (IPv4 first), without doubles; owned */
	unsigned n;	    /* 0 = could not be resolved */
	char why[128];	    /* then the resolver's words */
};

#define RESOLVE_MAX_ADDRS 16 /* per name; further answers are dropped */

/*
 * Resolves n names (distinct) within timeout_ms altogether, several at a time.
 * Fills out[i] for names[i]; a name that fails has n = 0 and why. "localhost"
 * never asks anybody. Returns <0 only when the child could not be run at all.
 */
int resolve_names(const char *const *names, unsigned n, unsigned timeout_ms,
		  struct resolved_name *out, struct err *e);
void resolved_names_fini(struct resolved_name *v, unsigned n);

#endif
