/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan_share: what routes have in common, as small numbers, so that looking for
 * conflicts sorts integers instead of comparing texts again in every cell.
 * Starts zeroed, ends with share_fini(). Only plan*.c include this.
 */
#ifndef CTL_PLAN_PLAN_SHARE_H
#define CTL_PLAN_PLAN_SHARE_H

#include "ctl/plan/plan.h"

struct share {
	const struct plan *p;
	unsigned *conditions; /* per route: equal for the same path, protocol, headers, query */
	size_t *first;	      /* per route: where its domains are */
	unsigned *domain;     /* equal for the same domain; from 1 */
};

/* 0 or -ENOMEM; does nothing the second time. The plan is borrowed. */
int share_init(struct share *s, const struct plan *p);
void share_fini(struct share *s);
unsigned share_conditions(const struct share *s, const struct plan_route *r);
/* Of the n-th domain of r; 0 for a route without domains. */
unsigned share_domain(const struct share *s, const struct plan_route *r, unsigned n);

/* Some string is in both lists, or both are empty. */
bool strings_share(const struct cfg_strings *a, const struct cfg_strings *b);

#endif
