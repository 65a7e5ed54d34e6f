/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A port of a live route that somebody else has takes no other route down, and he
 * may not have it for ever (it may be one end of an ordinary connection of this
 * host): it is tried again, less and less often, and served without an apply.
 */
#include <stdlib.h>

#include "ctl/base/log.h"
#include "ctl/service/live.h"
#include "ctl/service/service_internal.h"

#define PAUSE_MS     500
#define PAUSE_MAX_MS 30000

void missing_say(const struct err *e)
{
	log_err("%s", e->msg);
}

static void say_quietly(const struct err *e)
{
	log_debug("%s", e->msg);
}

static void retry(struct timer *t);

static void later(struct service *s)
{
	timer_set(s->loop, &s->missing.clock, loop_now_ms(s->loop) + s->missing.pause_ms, retry);
}

void missing_watch(struct service *s)
{
	timer_cancel(s->loop, &s->missing.clock);
	s->missing.pause_ms = PAUSE_MS;
	if (listeners_missing(&s->listeners))
		later(s);
}

void missing_bind(struct service *s, const struct live *live)
{
	struct err e = { 0 };

	if (listeners_stage_some(&s->listeners, live->listeners, live->n_listeners, missing_say,
				 &e))
		log_err("%s", e.msg);
	listeners_commit(&s->listeners, missing_say);
	missing_watch(s);
}

/* Which of those that are wanted are not served: to be freed, or NULL. */
static bool *look(const struct listeners *l)
{
	bool *lacks = calloc(l->n_wanted + 1, sizeof(*lacks));

	for (size_t i = 0; lacks && i < l->n_wanted; i++)
		lacks[i] = !listeners_serve(l, &l->wanted[i]);
	return lacks;
}

static unsigned say_found(const struct listeners *l, const bool *lacked)
{
	char text[LISTENER_NAME_MAX];
	unsigned n = 0;

	for (size_t i = 0; i < l->n_wanted; i++) {
		if (!lacked[i] || !listeners_serve(l, &l->wanted[i]))
			continue;
		log_info("listens on %s now", listen_at_text(&l->wanted[i], text));
		n++;
	}
	return n;
}

/* Whether anything more is served than before. */
static bool try_again(struct service *s)
{
	struct listeners *l = &s->listeners;
	bool *lacked = look(l);
	unsigned n;

	if (!lacked || listeners_stage_some(l, l->wanted, l->n_wanted, say_quietly, NULL)) {
		free(lacked);
		return false;
	}
	listeners_commit(l, say_quietly);
	n = say_found(l, lacked);
	free(lacked);
	return n;
}

static void hand_on(struct service *s)
{
	if (link_switch(&s->link, s->link.generation))
		link_kill(&s->link, "it cannot be told where to listen");
	service_store_listeners(s);
}

static void retry(struct timer *t)
{
	struct service *s = (struct service *)((char *)t - offsetof(struct service, missing.clock));
	const bool free_to = s->stage.state == STAGE_NONE && s->link.state == LINK_READY &&
			     !timer_is_set(&s->commit_clock);

	if (!free_to) {
		later(s);
		return;
	}
	if (try_again(s)) {
		hand_on(s);
		s->missing.pause_ms = PAUSE_MS;
	} else if (s->missing.pause_ms < PAUSE_MAX_MS) {
		s->missing.pause_ms *= 2;
	}
	if (listeners_missing(&s->listeners))
		later(s);
}

void missing_fini(struct service *s)
{
	timer_cancel(s->loop, &s->missing.clock);
}
