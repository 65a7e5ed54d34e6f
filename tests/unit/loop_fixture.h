/* SPDX-License-Identifier: GPL-2.0-or-later */
/* loop_fixture: an event loop that is left to turn for a while. */
#ifndef TESTS_UNIT_LOOP_FIXTURE_H
#define TESTS_UNIT_LOOP_FIXTURE_H

#include "ctl/base/clock.h"
#include "dataplane/loop.h"

struct loop_while {
	struct timer timer; /* first: the loop hands it back */
	struct loop *loop;
};

static inline void loop_while_over(struct timer *t)
{
	loop_stop(((struct loop_while *)t)->loop);
}

static inline void loop_run_ms(struct loop *loop, int64_t ms)
{
	struct loop_while w = { .loop = loop };

	timer_set(loop, &w.timer, clock_mono_ms() + ms, loop_while_over);
	assert_int_equal(loop_run(loop), 0);
	timer_cancel(loop, &w.timer);
}

#endif
