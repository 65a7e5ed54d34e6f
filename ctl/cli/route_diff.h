/* SPDX-License-Identifier: GPL-2.0-or-later */
/* route_diff: what changes between two plans in terms of routes, by name. Pure. */
#ifndef CTL_CLI_ROUTE_DIFF_H
#define CTL_CLI_ROUTE_DIFF_H

#include <jansson.h>

#include "ctl/base/buf.h"
#include "ctl/plan/plan.h"

struct route_change {
	char op;	  /* '+', '-', '~' of what this is about: a route, or one of its halves */
	char route_op;	  /* the same of the whole route */
	const char *name; /* of the route: the config's; NULL = the limits that all routes share */
	const char *old, *new; /* how it behaves, in one line; NULL where it is not there;
				* valid during the call */
};

/* In the order of names. old may be NULL: nothing was there. */
void route_diff(const struct plan *old, const struct plan *new,
		void (*fn)(const struct route_change *c, void *arg), void *arg);
/* A list of {"op","route","old","new"}; route is null for the limits that all routes share. */
json_t *route_diff_json(const struct plan *old, const struct plan *new);
/* "+ 2 routes (web, dns)  ~ 1 (pool)  - 1 (old)", "~ limits of all routes", "no route changes": one
 * line of at most 100 columns, newline not included. */
void route_diff_summary(const struct plan *old, const struct plan *new, struct buf *out);

#endif
