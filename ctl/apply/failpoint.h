/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * failpoint: places where a test build kills itself (SIGKILL) when
 * SPCTL_FAILPOINT names them, so that every arrow of the transaction can be
 * walked. In other builds FAILPOINT() is nothing. `SPCTL_FAILPOINT=list spctl
 * version` prints all names: the test walks that list, so none can be missed.
 * SPCTL_STOPPOINT names a place where it stops (SIGSTOP), so that a test can meddle.
 * The timer of --confirm has SPCTL_TIMER_FAILPOINT instead.
 */
#ifndef CTL_APPLY_FAILPOINT_H
#define CTL_APPLY_FAILPOINT_H

#include <stdbool.h>

#define FAILPOINTS_ALL(X)    \
	X(locked)            \
	X(guarded)           \
	X(sysctls)           \
	X(prepared)          \
	X(pending)           \
	X(armed)             \
	X(committed)         \
	X(verified)          \
	X(served)            \
	X(heard)             \
	X(live)              \
	X(forgotten)         \
	X(image)             \
	X(found)             \
	X(pruned)            \
	X(put_back_settings) \
	X(put_back)          \
	X(back_decided)      \
	X(closed)            \
	X(confirmed)         \
	X(down_started)      \
	X(down_drained)      \
	X(down_service)      \
	X(down_flows)        \
	X(down_sysctls)      \
	X(down_table)        \
	X(down_state)

enum failpoint {
#define X(name) FAILPOINT_##name,
	FAILPOINTS_ALL(X)
#undef X
};

#ifdef SPCTL_FAILPOINTS
void failpoint_hit(enum failpoint p);
void failpoint_list(void);
void failpoint_in_timer(void);	/* from here on the names are the timer's */
void failpoint_hide(bool hide); /* from processes that are started meanwhile */
#define FAILPOINT(name)	      failpoint_hit(FAILPOINT_##name)
#define FAILPOINTS_HIDE(hide) failpoint_hide(hide)
#else
#define FAILPOINT(name)	      ((void)0)
#define FAILPOINTS_HIDE(hide) ((void)0)
#endif

#endif
