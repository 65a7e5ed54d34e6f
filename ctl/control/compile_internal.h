/* SPDX-License-Identifier: GPL-2.0-or-later */
/* compile_internal: the parts of control_compile(). Only compile*.c include this. */
#ifndef CTL_CONTROL_COMPILE_INTERNAL_H
#define CTL_CONTROL_COMPILE_INTERNAL_H

#include "ctl/control/compile.h"
#include "ctl/plan/plan.h"

struct compile_set {
	const struct addr_set *set;
	uint64_t hash;
	unsigned index;
};

struct compile_job {
	const struct plan *p;
	const struct control_options *o;
	json_t *sets; /* in the load object */
	struct compile_set *by_hash;
	size_t n_slots; /* a power of two, more than twice the sets that there can be */
	unsigned n_sets;
};

/* compile_set.c: which of "sets" it is; equal ones are one. NULL when there is no memory. */
int compile_sets_init(struct compile_job *j);
void compile_sets_fini(struct compile_job *j);
json_t *compile_set(struct compile_job *j, const struct addr_set *s);

/* compile_route.c: new objects, NULL when there is no memory. */
json_t *compile_route(struct compile_job *j, const struct plan_route *r, uint32_t id,
		      enum tier tier);
json_t *compile_default_route(struct compile_job *j);

/* compile_target.c */
json_t *compile_targets(const struct cfg_target *v, unsigned n, int send_proxy);

/* compile_time.c: time limits and socket options, into route. */
int compile_times(json_t *route, const struct config *c, const struct cfg_route *r);

#endif
