/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of apply_run(): apply.c has the order of steps, apply_host.c the kernel settings
 * and their guard, apply_ids.c the numbers of routes, apply_flows.c the connections left behind.
 * Only they include this. */
#ifndef CTL_APPLY_APPLY_INTERNAL_H
#define CTL_APPLY_APPLY_INTERNAL_H

#include <pthread.h>

#include "ctl/apply/apply.h"
#include "ctl/apply/user_space.h"
#include "ctl/nft/ruleset_compile.h"

struct config_writer {
	pthread_t thread;
	bool started, in_thread;
	int rc;
	struct err e;
};

struct apply_job {
	struct session *s;
	const struct apply_request *r;
	struct apply_result *out;
	struct err *e;
	struct route_ids ids;	     /* of the new generation */
	uint32_t *route_ids;	     /* per plan route */
	uint32_t default_id;	     /* of defaults.target, 0 where there is none */
	struct sysctl_wants turn_on; /* all of it guarded */
	struct sysctl_wants before;  /* what an earlier apply of ours turned on */
	bool preparing;		     /* guard and settings of this apply are in place */
	bool table_was_there;
	const char *guarded_table; /* takes the guard: the old table where there is one */
	struct nft_tables own;	   /* this instance's: one, or none, or what a kill left */
	uint32_t guarded_generation;
	struct compile_options compile;
	struct ruleset *want;
	bool again; /* the live generation is meant: same file, names, table */
	struct config_writer writer;
	int64_t lap_us; /* when the last phase ended */
	struct user_space user;
	uint32_t seen_genid; /* the kernel's counter when it was known to have `want` */
};

/* apply_ids.c: fills ids and route_ids. A name keeps its number as long as it is applied. */
int apply_assign_ids(struct apply_job *j);
/* Before the batch: the numbers of the new generation, and of the old as long as it may come back.
 */
void apply_write_ids(struct apply_job *j);

/* apply_write.c: writes N.config, in a thread of its own where there can be one; the job's
 * generation, text and state stay as they are meanwhile. finish waits and gives its result. */
void apply_start_writing(struct apply_job *j);
int apply_finish_writing(struct apply_job *j);

/* apply_flows.c */
/* Before the commit: can what was asked for be done? */
int apply_can_end_flows(struct apply_job *j);
/* After it: ends what the routes would not make any more, as the request says. A dry run counts
 * what --kill or --drain would find. */
void apply_end_flows(struct apply_job *j, bool committed);

/* May a flow of ours live that only the table keeps translated? Asked where no route will. */
bool apply_keeps_flows(const struct apply_job *j);

void apply_phase(const struct apply_job *j, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* apply_host.c */
/* What to turn on and what to guard, from the settings as they are now. */
void apply_decide_settings(struct apply_job *j);
/* Only when something has to be turned on: the guard stands before the door opens. */
int apply_prepare_host(struct apply_job *j);
/* What was on before this apply, and was ours already. */
struct sysctl_wants apply_settings_before(const struct apply_job *j);
/* Takes back what apply_prepare_host() did; -ENOTRECOVERABLE when it cannot. */
int apply_unprepare_host(struct apply_job *j);

#endif
