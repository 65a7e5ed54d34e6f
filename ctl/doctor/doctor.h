/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doctor: what on this host breaks routes, and the fix. Looks only; every
 * check that cannot be done is a note, never a failure. A problem is one only if a
 * route is affected by it: without routes it becomes a note. One thread.
 */
#ifndef CTL_DOCTOR_DOCTOR_H
#define CTL_DOCTOR_DOCTOR_H

#include "ctl/apply/session.h"
#include "ctl/host/host.h"
#include "ctl/plan/plan.h"

enum finding_level { FINDING_OK, FINDING_NOTE, FINDING_PROBLEM };

/* "ok", "note", "problem" */
const char *finding_level_name(enum finding_level l);

struct finding {
	const char *check; /* kebab-case, stable: docs/DOCTOR.md lists them */
	enum finding_level level;
	const char *message; /* one sentence, no trailing dot */
	const char *fix;     /* a command to type, or what to change; NULL = none */
	const char **routes; /* names, in file order */
	unsigned n_routes;
};

/* What is looked at; all of it borrowed. */
struct doctor_input {
	/* For the commands of fixes: where STATE is, and the options that name this instance, with
	 * a blank before (" --state-dir X", or "" for the usual one). */
	const char *state_dir, *run_dir, *options;
	const char *table;	       /* our nftables table */
	const struct plan *plan;       /* NULL = there are no routes to look at */
	const struct host_facts *host; /* NULL = could not be read */
	bool live;		       /* the plan is of the live generation, else of a file */
	bool have_admin;	       /* CAP_NET_ADMIN */
	/* The session on STATE and RUN, without the lock; NULL when it could not be opened, and
	 * why: code 0 = nothing was ever applied here. */
	struct session *session;
	const struct err *session_error;
	uint32_t generation;	   /* that is live, 0 = none */
	int64_t newest_ms, now_ms; /* wall clock of the newest generation (0 = none), and now */
};

struct doctor_report {
	struct arena arena;
	struct finding *v; /* in the order of the checks */
	unsigned n;
	unsigned problems, affected; /* affected: routes, each counted once */
};

/* 0 or -ENOMEM. End with doctor_report_fini(). */
int doctor_run(const struct doctor_input *in, struct doctor_report *out, struct err *e);
void doctor_report_fini(struct doctor_report *r);

/* The list of checks, for docs and tests: NULL behind the last. */
const char *doctor_check_name(unsigned i);
const char *doctor_check_help(unsigned i);

#endif
