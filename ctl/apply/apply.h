/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apply: the transaction from a plan to the kernel, and the way back (down).
 * The nftables batch is the point of no return: what fails before it leaves
 * everything as it was.
 */
#ifndef CTL_APPLY_APPLY_H
#define CTL_APPLY_APPLY_H

#include "ctl/apply/flows.h"
#include "ctl/apply/gather.h"
#include "ctl/apply/session.h"

struct apply_request {
	const struct plan *plan;
	const struct gathered *gathered;
	const void *text; /* the route file */
	size_t text_len;
	const char *file;
	const char *table;
	bool dry_run, lenient;
	bool no_daemon;	 /* what needs the service is an error where none runs */
	bool by_service; /* on its behalf: it knows, and nobody asks it */
	/* What the service cannot do, or does not do in time, keeps the kernel's routes from
	 * nothing: it catches up afterwards. */
	bool kernel_first;
	/* Connections that the new routes would not make any more: without these TCP goes on, and
	 * UDP is ended. */
	bool kill;  /* all are ended at once */
	bool drain; /* all are ended after at most drain_s */
	unsigned drain_s;
	flows_tick *tick; /* while they get that time; may be NULL */
	/* What is being done now: "writing 64000 elements". May be NULL. */
	void (*phase)(const char *what);
	/* Not 0: these are the files of that generation, which is kept: nothing is written, and
	 * that number is live then. Else the next number is used. */
	uint32_t stored;
	uint32_t copy_of;   /* noted with a new generation: whose file it is; 0 = none */
	unsigned confirm_s; /* not 0: it is taken back unless confirmed within that time (confirm.h)
			     */
};

struct apply_result {
	uint32_t generation; /* that is live now */
	bool changed;	     /* false: all was so already */
	bool repaired; /* the live generation again: the kernel's table was not what it says */
	unsigned flows_ended;	      /* of a dry run: that would be */
	struct state_confirm confirm; /* of the new generation */
	struct nft_change_stats stats;
	/* Where the time went, in the order of the steps. */
	struct apply_times {
		int64_t read_us, compile_us, write_us, kernel_us, verify_us, finish_us;
	} times;
	bool service_repaired; /* it did not serve the live generation, or not all of it */
	int service_pid;       /* of the service that this apply started; 0 = none */
	bool service_behind;   /* -ENOTRECOVERABLE for that alone: the kernel has it, and it is live
				*/
	bool forward_v4, forward_v6, route_localnet; /* sysctls that this apply turned on */
};

/* s: opened with SESSION_CREATE | SESSION_LOCK. e gets the place of the config line to blame.
 * -ENOTRECOVERABLE: the old state could not be put back (exit 5). -EBADE: it was committed, did
 * not read back as written, and the old state was put back (exit 3). */
int apply_run(struct session *s, const struct apply_request *r, struct apply_result *out,
	      struct err *e);

struct down_result {
	bool was_up;
	unsigned flows_ended;
	struct sysctl_wants restored; /* settings that are as they were before the first apply */
	/* Another spctl's table: the settings that this one turned on stay for it, and so does
	 * their guard. A later down takes them back. "" = all is gone. */
	char left_for[RS_NAME_MAX];
};

int down_run(struct session *s, unsigned drain_s, flows_tick *tick, struct down_result *out,
	     struct err *e);
/* The same where what was applied first is taken back: connections end as far as they can be
 * found, and that they cannot does not keep the routes. */
int down_take_back(struct session *s, struct err *e);

#endif
