/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state: what spctl keeps on disk, and who may touch it.
 *
 *   STATE/instance            JSON: instance id, network namespace, boot
 *   STATE/applied/N.config    the bytes of the route file of generation N
 *   STATE/applied/N.json      meta: file name, time, resolved names; does it wait for confirmation
 *   STATE/live                the number of the generation that is true
 *   STATE/sysctl.json         sysctl.h
 *   STATE/found               state_found.h
 *   STATE/lock                flock: one apply or down at a time; several STATEs may share a RUN
 *   RUN/instance              network namespace and boot of RUN
 *   RUN/image                 ruleset_image.h
 *   STATE/timer, RUN/timer.log  flock held by, and words of, the timer of --confirm
 *
 *   STATE/pending             the generation that is about to become true (session.c)
 *
 * Which of live and pending is true is decided by the generation number in the
 * kernel's table.
 */
#ifndef CTL_STATE_STATE_H
#define CTL_STATE_STATE_H

#include <stdint.h>

#include "ctl/base/buf.h"
#include "ctl/host/resolve.h"
#include "ctl/host/sysctl.h"
#include "ctl/host/target_down.h"

/* The one instance that need not be named. */
#define STATE_USUAL_DIR	    "/var/lib/spctl"
#define STATE_USUAL_RUN_DIR "/run/spctl"

#define STATE_KEEP_GENERATIONS 10 /* confirmed ones: what rollback may go to */
#define STATE_KEEP_UNCONFIRMED 5

struct state {
	char *state_dir, *run_dir; /* owned */
	char instance[33];	   /* 32 hex digits, made once per STATE */
	char boot[40];
	bool of_this_boot; /* false: last claimed in an earlier boot, maybe by another namespace */
	int lock_fd;	   /* -1 = not held */
};

/* Opens both directories (made if `create`), checks that they belong to this network
 * namespace. -EXDEV with the sentence of DESIGN.md when not; -ENOENT when there is
 * nothing and create is false (not an error for status and down; e has more to say where it is
 * state_ownerless()). */
int state_open(struct state *s, const char *state_dir, const char *run_dir, bool create,
	       struct err *e);
/* For what a host or container does when it starts: where the namespace of this boot that the
 * directories belong to is gone, they are this one's. Generations and `live` stay; what was kept of
 * the kernel there is dropped. The same where STATE/instance is lost and something was live. 0 also
 * when there is nothing to do. */
int state_take_over(const char *state_dir, const char *run_dir, struct err *e);
/* Are the directories those of a namespace of this boot that is gone as far as can be seen? */
bool state_can_be_taken(const char *state_dir, const char *run_dir);
/* The newest generation of a STATE that has lost STATE/instance, which says whose it is; else 0. */
uint32_t state_ownerless(const char *state_dir);
/* " --state-dir D --run-dir R" where they are not the usual ones: for commands in hints. */
const char *state_where(const char *state_dir, const char *run_dir, char *out, size_t cap);
/* Also gives the lock back. A zeroed or closed state is fine. */
void state_close(struct state *s);
/* Waits for the lock up to timeout_ms; prints one line through log_info if it has to wait,
 * naming the holder's pid. -ENOLCK. */
int state_lock(struct state *s, unsigned timeout_ms, struct err *e);
/* Gives it back early, before anything is printed: whoever reads that may be slow, and a timer of
 * --confirm waits for the lock. What was logged meanwhile comes out. Not held: fine. */
void state_unlock(struct state *s);

/* What became of a generation that was applied with --confirm (state_confirm.h). */
enum state_confirm_phase {
	STATE_CONFIRM_NONE,	  /* nobody asked: it is as good as confirmed */
	STATE_CONFIRM_WAITING,	  /* unconfirmed until somebody says so */
	STATE_CONFIRM_TAKEN_BACK, /* decided; while it is live the work is not finished */
	STATE_CONFIRM_GIVEN,
};

struct state_confirm {
	enum state_confirm_phase phase;
	uint32_t previous;   /* what comes back; 0 = nothing was applied before */
	int64_t deadline_ms; /* clock_boot_ms() of `boot` */
	char boot[40];
	int64_t decided_ms; /* wall clock: taken back or confirmed; 0 = not yet */
};

struct state_meta {
	uint32_t generation;
	int64_t time_ms;  /* wall clock */
	uint32_t copy_of; /* rollback: the generation whose file this is; 0 = none */
	int routes;	  /* enabled ones; -1 = not noted */
	struct state_confirm confirm;
	struct sysctl_wants settings; /* what spctl had turned on when it became live */
	char *file;		      /* owned */
	bool lenient;		      /* applied with --lenient */
	char *table;		      /* owned: nft table name it was applied to */
	struct resolved_name *names;  /* owned, with owned .name strings */
	unsigned n_names;
	/* Owned, sorted by route and tag. Not of the file: state_read_generation() has it, and the
	 * addresses of names as they are now, from what the service found out (state_found.h). */
	struct target_down *down;
	unsigned n_down;
};
void state_meta_fini(struct state_meta *m);

/* The number of a generation (from 1) and a newline, as STATE/live has it. */
bool state_number_parse(const char *text, uint32_t *out);
/* 0 = none. -EBADMSG when STATE/live holds no number: the kernel's table knows, see txn.c. */
int state_live(const struct state *s, uint32_t *generation, struct err *e);
int state_set_live(const struct state *s, uint32_t generation, struct err *e);
/* All generations on disk, oldest first; *v is owned by the caller. */
int state_generations(const struct state *s, uint32_t **v, size_t *n, struct err *e);
/* Highest generation on disk, live or not (0 = none). One whose N.json was never written is none.
 */
int state_newest(const struct state *s, uint32_t *generation, struct err *e);
/* The two halves of state_write_generation(): the config first, then the meta that makes it a
 * generation. Both fsynced. */
int state_write_config(const struct state *s, uint32_t generation, const void *config, size_t len,
		       struct err *e);
int state_write_meta(const struct state *s, const struct state_meta *m, struct err *e);
/* Writes N.config and N.json, fsynced, directory too. */
int state_write_generation(const struct state *s, const struct state_meta *m, const void *config,
			   size_t len, struct err *e);
int state_read_generation(const struct state *s, uint32_t generation, struct state_meta *m,
			  struct buf *config, struct err *e);
int state_delete_generation(const struct state *s, uint32_t generation, struct err *e);
/* Deletes all but the newest STATE_KEEP_GENERATIONS confirmed ones, the newest
 * STATE_KEEP_UNCONFIRMED others, the live one and the one that comes back if that is not
 * confirmed. */
int state_prune(const struct state *s, struct err *e);
/* `down` is done: no generation is live any more. Past generations stay for rollback. */
int state_forget_live(const struct state *s, struct err *e);
/* "STATE/name" or "RUN/name", owned by the caller. */
char *state_path(const struct state *s, const char *name);
char *state_run_path(const struct state *s, const char *name);

#endif
