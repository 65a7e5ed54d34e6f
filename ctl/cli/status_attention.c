/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the service needs somebody: each is a sentence, and makes `status`
 * end with 1. One cause is one sentence: where nobody answers, nothing else
 * is said of what would have been the answer.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/cli/status.h"

static void add(struct attention *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add(struct attention *a, const char *fmt, ...)
{
	va_list ap;

	if (a->n++ >= ATTENTION_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(a->v[a->n - 1], ATTENTION_BYTES, fmt, ap);
	va_end(ap);
}

static void nobody_there(struct attention *a, const struct service_view *v, bool needed,
			 const char *repair)
{
	if (v->presence == CONTROL_ORPHAN)
		add(a,
		    "the service's controller is gone: its dataplane goes on with what it has, and "
		    "nobody would start it again: %s does",
		    repair);
	else if (v->presence == CONTROL_STARTS)
		add(a, "the service (pid %d) holds its lock, and does not answer", v->pid);
	else if (needed)
		add(a, "the service is needed and does not run: %s starts it", repair);
}

/* False: there is nothing more to say of it. */
static bool look_at_process(struct attention *a, const struct service_view *v, bool needed,
			    uint32_t live, const char *repair)
{
	const char *state = service_view_text(v->service, "state");
	const uint64_t restarts = service_view_number(v->service, "restarts");
	const char *why = service_view_text(v->service, "lastEnd");

	if (v->presence != CONTROL_THERE) {
		nobody_there(a, v, needed, repair);
		return false;
	}
	if (!v->controller_answers) {
		add(a, "the service (pid %d) cannot be asked: %s", v->pid, v->e.msg);
		return false;
	}
	if (strcmp(state, "ready")) {
		add(a,
		    "the dataplane is not ready (%s, started again %llu time%s): new connections "
		    "wait%s%s",
		    state, (unsigned long long)restarts, text_plural(restarts),
		    *why ? "; it ended: " : "", why);
		return false;
	}
	if (!service_view_serves(v, live))
		add(a, "the service has generation %llu instead of %u: %s repairs it",
		    (unsigned long long)service_view_number(v->service, "generation"), live,
		    repair);
	if (!v->answers)
		add(a, "the dataplane (pid %llu) cannot be asked: %s",
		    (unsigned long long)service_view_number(v->service, "dataplane"), v->e.msg);
	return v->answers;
}

static bool all_are_down(const struct usage_route *u)
{
	for (unsigned i = 0; i < u->n_targets; i++)
		if (u->targets[i].health != USAGE_DOWN)
			return false;
	return u->n_targets;
}

static void look_at_route(struct attention *a, const char *name, const struct usage_route *u)
{
	if (all_are_down(u))
		add(a,
		    u->n_targets > 1 ? "route \"%s\": all targets are down"
				     : "route \"%s\": its target is down",
		    name);
}

void attention_find(struct attention *a, const struct plan *p, const struct usage *u,
		    const struct service_view *v, uint32_t live, const char *repair)
{
	a->n = 0;
	if (!look_at_process(a, v, control_needs_service(p), live, repair))
		return;
	if (json_is_true(json_object_get(v->process, "outOfDescriptors")))
		add(a, "the service is out of descriptors: new connections wait until some are "
		       "free");
	for (unsigned i = 0; i < p->n_routes; i++)
		look_at_route(a, p->routes[i].route->name, &u->routes[i]);
	if (u->have_fallback)
		look_at_route(a, CONTROL_DEFAULT_NAME, &u->fallback);
}
