/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command that is killed between the batch and the commit, while the controller
 * that had prepared it is gone as well, leaves a new one that began with the
 * generation of before. So STATE is looked at now and then: what it says is live
 * and this service does not serve is taken up like a prepared generation whose
 * client went. An apply at work holds STATE's lock, and is waited for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/session.h"
#include "ctl/base/log.h"
#include "ctl/service/live.h"
#include "ctl/service/service_internal.h"

#define LOOK_MS	    1000
#define LOOK_MAX_MS 60000 /* what cannot be served is no reason to read it again and again */

static void look(struct timer *t);

static void later(struct service *s, unsigned ms)
{
	timer_set(s->loop, &s->follow.clock, loop_now_ms(s->loop) + ms, look);
}

/* Without opening anything that has to be checked: it is only a reason to look closer. */
static struct session of_service(const struct service *s)
{
	return (struct session){
		.state = { .state_dir = s->state_dir, .run_dir = s->run_dir, .lock_fd = -1 }
	};
}

/* The same at two looks, and nobody at work: what is between two steps of a command has gone on by
 * then. */
static bool has_moved(struct service *s)
{
	const struct session ses = of_service(s);
	const struct follow before = s->follow;
	struct follow *now = &s->follow;

	now->live = now->pending = 0;
	now->served = s->link.generation;
	if (session_is_busy(&ses) || state_live(&ses.state, &now->live, NULL) ||
	    session_pending(&ses, &now->pending) || session_is_busy(&ses))
		return false;
	if (now->live == now->served && (!now->pending || now->pending == now->served))
		return false;
	return now->live == before.live && now->pending == before.pending &&
	       now->served == before.served;
}

/* Reads and compiles the file in the loop's thread, as at the start: it happens once in a blue
 * moon, and the dataplane goes on. */
static int follow(struct service *s)
{
	struct live live = { 0 };
	struct err e = { 0 };
	int rc = live_read(s->state_dir, s->run_dir, &live, &e);

	if (!rc && live.generation && live.generation != s->link.generation) {
		log_warn("generation %u is live, and this service has %u: it follows",
			 live.generation, s->link.generation);
		rc = stage_follow(s, &live, &e);
	}
	if (rc)
		log_err("what is live cannot be followed: %s", e.msg);
	live_fini(&live);
	return rc;
}

static void look(struct timer *t)
{
	struct service *s = (struct service *)((char *)t - offsetof(struct service, follow.clock));

	if (s->stopping)
		return;
	if (s->stage.state != STAGE_NONE || s->link.state != LINK_READY || !has_moved(s)) {
		s->follow.pause_ms = LOOK_MS;
		later(s, LOOK_MS);
		return;
	}
	follow(s);
	later(s, s->follow.pause_ms);
	if (s->follow.pause_ms < LOOK_MAX_MS)
		s->follow.pause_ms *= 2;
}

void follow_start(struct service *s)
{
	s->follow.pause_ms = LOOK_MS;
	later(s, LOOK_MS);
}

void follow_fini(struct service *s)
{
	timer_cancel(s->loop, &s->follow.clock);
}
