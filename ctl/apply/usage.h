/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usage: what the routes have done since they were first applied, and who is
 * connected now. For what the kernel serves, totals come from the table's counters and
 * `active` from conntrack; for the rest, and since it was started, from the service
 * (usage_service.c). A route that both serve has the sum. A route's
 * totals have its former targets in them; a target's are its own.
 */
#ifndef CTL_APPLY_USAGE_H
#define CTL_APPLY_USAGE_H

#include "ctl/apply/session.h"
#include "ctl/control/service_view.h"
#include "ctl/nft/ruleset_compile.h"
#include "ctl/plan/plan.h"

struct usage_counts {
	unsigned active; /* connections; of the kernel's, TIME_WAIT and CLOSE left out */
	uint64_t total;	 /* connections let in */
	/* From the client: the kernel counts packets, and bytes from the IP header on, the service
	 * bytes of payload. */
	uint64_t packets_in, bytes_in;
	uint64_t packets_out, bytes_out;
};

enum usage_health { USAGE_UNKNOWN, USAGE_UP, USAGE_DOWN };

struct usage_target {
	struct usage_counts counts;
	uint64_t failed; /* connects of the service */
	enum usage_health health;
	uint32_t tag;
	const struct cfg_target *target;
	const struct cfg_host *host;
	const struct plan_target *kernel; /* or NULL: as the file has it */
};

struct usage_route {
	struct usage_counts all;
	uint64_t refused[N_REASONS];
	uint64_t copied, spliced; /* connections of the service, by mover */
	uint64_t failed_open;	  /* connections that were tried though all targets were down */
	bool from_service;	  /* it has told of this one */
	bool blind;		  /* it should have, and did not answer: the numbers are not all */
	struct usage_target *targets; /* owned by the usage */
	unsigned n_targets;
};

struct usage {
	struct usage_route *routes; /* by plan route */
	unsigned n_routes;
	bool have_fallback; /* the plan has defaults.target: CONTROL_DEFAULT_NAME */
	struct usage_route fallback;
	bool have_active, have_totals; /* of the kernel */
	/* Dynamic sets that hold as many elements as they can; see ruleset_compile_policy.c. */
	char full[8][RS_NAME_MAX];
	unsigned n_full;
};

/* Room for what p has: all is 0. 0 or -ENOMEM. */
int usage_init(struct usage *u, const struct plan *p);
void usage_fini(struct usage *u);
/* After that, the kernel's part. s: after session_read_kernel(). What cannot be read is a warning
 * in d, and missing in u; 0 or -ENOMEM. */
int usage_read(const struct session *s, const struct plan *p, struct usage *u, struct diags *d);
/* And the service's: pure. 0 or -ENOMEM. */
int usage_add_service(struct usage *u, const struct plan *p, const struct route_ids *ids,
		      const struct service_view *v);
/* Of all reasons. */
uint64_t usage_refused(const struct usage_route *r);
/* Do the service's connections come in here, for some of its ports or clients? */
bool usage_is_user(const struct plan_route *r);
/* The target with that tag, which may be an address of a name of the file: or NULL. */
struct usage_target *usage_find_target(const struct usage_route *u, const struct plan_route *r,
				       uint32_t tag);

#endif
