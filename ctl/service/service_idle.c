/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A service that a command started ends by itself when no route needs it any more
 * and its last connection has ended: routes that are all the kernel's leave nothing
 * running. One that somebody runs in the foreground stays.
 */
#include <stdlib.h>

#include "ctl/base/log.h"
#include "ctl/service/background.h"
#include "ctl/service/service_internal.h"

#define LOOK_MS 1000
#define IDLE_LOOKS                                                                     \
	3 /* in a row: the dataplane's count of connections is as old as its last pong \
	   */

static bool serves_nobody(const struct service *s)
{
	const json_t *routes = json_object_get(s->link.live, "routes");

	return !json_array_size(routes) && !s->listeners.n && !s->link.connections && !s->olds;
}

static bool is_idle(const struct service *s)
{
	return s->ready && !s->stopping && s->link.state == LINK_READY &&
	       s->stage.state == STAGE_NONE && !s->control.n_clients && serves_nobody(s);
}

static void look(struct timer *t)
{
	struct service *s = (struct service *)((char *)t - offsetof(struct service, idle));

	s->idle_looks = is_idle(s) ? s->idle_looks + 1 : 0;
	if (s->idle_looks >= IDLE_LOOKS) {
		log_info("no route needs the service any more: it ends");
		service_stop(s, 0);
		return;
	}
	timer_set(s->loop, t, loop_now_ms(s->loop) + LOOK_MS, look);
}

void service_idle_start(struct service *s)
{
	if (getenv(BACKGROUND_ENV))
		timer_set(s->loop, &s->idle, loop_now_ms(s->loop) + LOOK_MS, look);
}
