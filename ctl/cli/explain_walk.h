/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * explain_walk: the second half of `spctl explain` - what the kernel's table does
 * with the packet that was asked about, what it has counted, and what that
 * depends on. Only for what is live, and as root.
 */
#ifndef CTL_CLI_EXPLAIN_WALK_H
#define CTL_CLI_EXPLAIN_WALK_H

#include <jansson.h>

#include "ctl/apply/gather.h"
#include "ctl/cli/cmd.h"
#include "ctl/nft/nft_parse.h"
#include "ctl/nft/ruleset_compile.h"
#include "ctl/nft/ruleset_walk.h"

struct explain_question {
	const struct plan *plan;
	const struct gathered *facts;
	const struct buf *file; /* what was explained, where it was named; NULL = what is live */
	struct plan_conn conn;
	bool local;
};

/* A kernel setting that the way depends on. */
struct explain_setting {
	const char *name;
	bool on;
	char why[120];
};

struct explain_family {
	struct walk walk; /* over the kernel's table */
	bool differs;	  /* from the walk over the table that should be there */
	char wanted[160]; /* where that one ends */
	struct explain_setting settings[2];
	unsigned n_settings;
};

#define EXPLAIN_COUNTS (N_COUNTS + N_REFUSALS)

struct explained {
	bool shown;	/* there are walks */
	char note[480]; /* why not, or what went wrong beside */
	char table[RS_NAME_MAX];
	uint32_t generation, instance;
	char drift[160]; /* "" = the table is as it should be */
	bool waits;	 /* the generation, for confirmation */
	struct explain_family v[2];
	int families[2];
	unsigned n;
	struct nft_counts counts[EXPLAIN_COUNTS];
};

void explain_walk(const struct options *o, const struct explain_question *q, struct explained *out);
void explain_walk_fini(struct explained *x);

/* explain_walk_print.c */
void explain_walk_print(const struct explained *x);
/* The steps of all walks; new reference. */
json_t *explain_steps_json(const struct explained *x);
/* Everything else; new reference. */
json_t *explain_kernel_json(const struct explained *x);
/* "led to 10.0.0.2:80"; returns out. */
const char *explain_end_text(const struct walk *w, char *out, size_t cap);

#endif
