/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gather: everything that plan_build() needs besides the config - what the
 * host has, and what the target names resolve to. The only I/O around a plan.
 */
#ifndef CTL_APPLY_GATHER_H
#define CTL_APPLY_GATHER_H

#include "ctl/host/host.h"
#include "ctl/plan/plan.h"
#include "ctl/state/state.h"

struct gathered {
	struct host_facts host;
	bool have_host;
	struct resolved_name *names;
	unsigned n_names;
	struct plan_facts facts; /* points into this object */
	/* For gather_rest() and the warnings; whoever gathers says so. */
	bool have_service; /* it runs: what it follows is what it says */
	bool no_daemon;	   /* and where it does not, it is not going to be started */
};

/* Distinct names of the config's targets are resolved within timeout_ms. One that fails now keeps
 * what `last` (may be NULL) has for it, with a warning in d. */
int gather_facts(struct gathered *g, const struct config *c, const struct state_meta *last,
		 unsigned timeout_ms, struct diags *d, struct err *e);
/* Its two halves: the first, which may take all of that time, needs nothing that changes, so nobody
 * has to wait for it. */
int gather_names(struct gathered *g, const struct config *c, const struct state_meta *known,
		 unsigned timeout_ms, struct err *e);
/* What is live, to be ended with state_meta_fini(), where a service follows its names: those need
 * not be asked for. False: there is none. Takes no lock. */
bool gather_known(const char *state_dir, const char *run_dir, struct state_meta *out);
int gather_rest(struct gathered *g, const struct state_meta *last, struct diags *d, struct err *e);
/* The same with the names as they were resolved for a generation: asks nobody. */
int gather_past_facts(struct gathered *g, const struct state_meta *past, struct err *e);
/* Does some target have a name, so that gather_facts() has to ask? */
bool gather_asks_names(const struct config *c);
void gather_fini(struct gathered *g);
/* Warns for what kernel routes do not get: names and health checks are followed where the service
 * runs, or is going to because a route needs it. */
/* The part of that which stays true as long as the routes are live: what status says. */
void gather_warn_lasting(const struct gathered *g, const struct plan *p, struct diags *d);
void gather_warn(const struct gathered *g, const struct plan *p, struct diags *d);

#endif
