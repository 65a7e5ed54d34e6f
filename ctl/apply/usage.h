/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usage: what the routes of the kernel tier have done since they were first applied, and who is
 * connected now. Totals come from the table's counters, `active` from conntrack. A route's
 * totals have its former targets in them; a target's are its own.
 */
#ifndef CTL_APPLY_USAGE_H
#define CTL_APPLY_USAGE_H

#include "ctl/apply/session.h"
#include "ctl/nft/ruleset_compile.h"
#include "ctl/plan/plan.h"

struct usage_counts {
	unsigned active;	       /* connections in conntrack, TIME_WAIT and CLOSE left out */
	uint64_t total;		       /* connections let in */
	uint64_t packets_in, bytes_in; /* from the client; bytes from the IP header on */
	uint64_t packets_out, bytes_out;
};

struct usage_route {
	struct usage_counts all;
	uint64_t refused[N_REFUSALS];
	struct usage_counts *targets; /* by plan target; owned by the usage */
};

struct usage {
	struct usage_route *routes; /* by plan route */
	unsigned n_routes;
	bool have_active, have_totals;
	/* Dynamic sets that hold as many elements as they can; see ruleset_compile_policy.c. */
	char full[8][RS_NAME_MAX];
	unsigned n_full;
	struct usage_counts *memory;
};

/* s: after session_read_kernel(). What cannot be read is a warning in d, and missing in out;
 * 0 or -ENOMEM. */
int usage_read(const struct session *s, const struct plan *p, struct usage *out, struct diags *d);
void usage_fini(struct usage *u);
/* Of all reasons. */
uint64_t usage_refused(const struct usage_route *r);

#endif
