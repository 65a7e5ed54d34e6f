/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * confirm: a generation that was applied with --confirm is taken back by itself
 * unless somebody confirms it in time. What is true stands in its N.json
 * (state_confirm.h). A timer process does the work at the deadline; should it be
 * gone, the next command does it: that is why commands open their session here.
 */
#ifndef CTL_APPLY_CONFIRM_H
#define CTL_APPLY_CONFIRM_H

#include "ctl/apply/session.h"
#include "ctl/base/process.h"

/* The hidden command that the timer process is, and the descriptor of its lock. */
#define CONFIRM_TIMER_COMMAND "confirm-timer"
#define CONFIRM_TIMER_LOCK_FD PROCESS_KEPT_FD

/* As session_open(). A generation whose time is over is taken back before, and that is said
 * through log_warn(); a timer that is gone is started again. After a reboot a look (no
 * SESSION_LOCK, or SESSION_LOOK) only tells. *timer_was_gone may be NULL. */
int confirm_open(struct session *s, const char *state_dir, const char *run_dir, unsigned flags,
		 unsigned timeout_ms, bool *timer_was_gone, struct err *e);

struct confirm_view {
	uint32_t generation; /* the live one, if it waits for confirmation; else 0 */
	uint32_t previous;   /* what comes back; 0 = nothing, as after down */
	int64_t left_ms;     /* 0: it should have been taken back by now */
	int64_t end_wall_ms; /* the same moment by the wall clock, for people */
	bool timer;	     /* its process runs */
};

void confirm_look(const struct session *s, struct confirm_view *out);
/* May another apply begin? -EBUSY, with the ways out, when a confirmation is open. */
int confirm_may_apply(const struct session *s, unsigned confirm_s, struct err *e);

/* Before one that waits is applied: what would come back is there and can be read. */
int confirm_has_way_back(const struct session *s, struct err *e);

/* For the N.json of the generation that is about to be applied; seconds 0 = unconditional. */
struct state_confirm confirm_begin(const struct session *s, unsigned seconds);
/* Where the live generation waits: it has that long from now. s: locked. */
int confirm_prolong(struct session *s, unsigned seconds, struct err *e);
/* A timer process, unless one runs: it looks after whatever waits. s: locked or not. */
int confirm_start_timer(const struct session *s, struct err *e);

/* s: locked, and a confirmation is open. -ESTALE: the kernel has another generation. */
int confirm_give(struct session *s, struct err *e);
/* The same: what was live before comes back, at once. s is as it was before, but for
 * meta.confirm.previous, which says what came back; close it. -ENOTRECOVERABLE: done, not noted. */
int confirm_take_back(struct session *s, struct err *e);

/* The newest generation before `below` (0 = of all) that nobody has to say yes to any more, other
 * than `except`; usable = and whose files are good. 0 = none is kept. */
uint32_t confirm_newest_given(const struct session *s, uint32_t below, uint32_t except,
			      bool usable);

/* down is decided, whatever waits: should it die half-way, nothing comes back. s: locked. */
void confirm_note_down(struct session *s);

/* The timer process: returns when nothing waits any more. lock_fd as inherited. */
int confirm_timer_run(const char *state_dir, const char *run_dir, int lock_fd, struct err *e);

#endif
