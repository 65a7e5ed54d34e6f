/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live_plan: the plan of an earlier generation, to compare a new one with. */
#ifndef CTL_CLI_LIVE_PLAN_H
#define CTL_CLI_LIVE_PLAN_H

#include <pthread.h>

#include "ctl/apply/gather.h"
#include "ctl/state/state.h"

struct live_plan {
	uint32_t generation; /* 0 = none */
	struct buf text;
	struct config *config;
	struct state_meta meta;
	struct gathered g;
	struct plan *plan; /* NULL when it cannot be made any more */
};

/* Reads the files of that generation; 0 or -errno. Starts zeroed, ends with live_plan_fini(). */
int live_plan_load(struct live_plan *v, const struct state *s, uint32_t generation, struct err *e);
/* Makes the plan, with the host as it is now. */
void live_plan_build(struct live_plan *v);
void live_plan_fini(struct live_plan *v);

/*
 * The same beside the work of an apply: parsing 64k routes takes as long as the
 * rest. It is begun before the lock is had, so what is live may change under
 * it: finish says which generation is meant.
 */
struct live_plan_loader {
	pthread_t thread;
	bool started;
	const char *state_dir, *run_dir, *file;
	struct live_plan v;
};
/* file: the new one; where the live one is the same, nothing is loaded before it is asked for. */
void live_plan_start(struct live_plan_loader *l, const char *state_dir, const char *run_dir,
		     const char *file);
/* Before a fork(): the child had better not come from the middle of another thread's work. */
void live_plan_wait(struct live_plan_loader *l);
/* Waits. The plan of that generation, owned by l, or NULL: it cannot be had. */
const struct plan *live_plan_finish(struct live_plan_loader *l, const struct state *s,
				    uint32_t generation);
void live_plan_loader_fini(struct live_plan_loader *l);

#endif
