/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session: one command's hold on an instance - its state directory, its lock,
 * the kernel's table, and which generation is true. What an earlier command
 * left half-done (kill -9, power loss) is settled here before anything else.
 */
#ifndef CTL_APPLY_SESSION_H
#define CTL_APPLY_SESSION_H

#include "ctl/host/sysctl.h"
#include "ctl/nft/nft.h"
#include "ctl/nft/ruleset_image.h"
#include "ctl/state/state.h"

#define DEFAULT_TABLE "spctl"

struct session {
	struct state state;
	struct nft *nft;
	struct sysctl_journal *journal;
	uint32_t live;		/* generation that is true; 0 = none */
	uint32_t newest;	/* highest number ever used */
	struct state_meta meta; /* of the live generation; meta.generation 0 = none, or lost */
	char noted_table[RS_NAME_MAX]; /* see session_note_table(); "" = none */
	/* After session_read_kernel(): */
	struct ruleset *have;
	uint32_t genid;
	bool from_image; /* `have` was not read from the kernel, but is known to be true */
	/* Those of generation ids_of first, n_own of them; then what former routes had that may
	 * come back, or were not forgotten yet. ids_of 0: there are none of these. */
	struct route_ids ids;
	uint32_t ids_of;
	size_t n_own;
	bool had_udp; /* `have` leads UDP somewhere */
};

enum { SESSION_CREATE = 1, SESSION_LOCK = 2, SESSION_LOOK = 4 };

/* Without SESSION_LOCK it is a look from the side: nothing is settled or written. SESSION_LOOK:
 * with the lock, but nothing is going to be changed.
 * -ENOENT: nothing was ever applied here (only without SESSION_CREATE). */
int session_open(struct session *s, const char *state_dir, const char *run_dir, unsigned flags,
		 unsigned timeout_ms, struct err *e);
void session_close(struct session *s);

/* Notes (fsync) that this generation is about to become true; 0 = nothing is. */
int session_set_pending(struct session *s, uint32_t generation, struct err *e);
/* What was noted so: 0 = nothing. */
int session_pending(const struct session *s, uint32_t *generation);

/* The table that the live generation was applied to, else the noted one, else DEFAULT_TABLE. */
const char *session_table(const struct session *s);
/* Notes (fsync) which table is about to be written, so that it is found again whatever happens;
 * NULL forgets it. */
int session_note_table(struct session *s, const char *table, struct err *e);
/* Is something of ours left in the kernel though no generation is live? */
bool session_has_leftovers(struct session *s);

/* Fills have, genid and ids: from the image where nobody committed since, else by reading the
 * whole table. Can be called again after a change. Refuses a table that is not this instance's. */
int session_read_kernel(struct session *s, const char *table, struct err *e);
/* Does another spctl hold the lock just now? */
bool session_is_busy(const struct session *s);
/* Fills ids alone, without a question to the kernel. */
void session_load_ids(struct session *s);
/* Before a commit: what it is about to number must not be given out again after a kill.
 * generation: whose the first n_own are; any, where all are. */
void session_write_ids(struct session *s, const struct route_ids *ids, size_t n_own,
		       uint32_t generation);
/* Writes the image of what is now in the kernel. Failing is no error: the next command reads. */
void session_write_image(struct session *s, const struct ruleset *rs, const struct route_ids *ids,
			 uint32_t genid);
void session_drop_image(struct session *s);

#endif
