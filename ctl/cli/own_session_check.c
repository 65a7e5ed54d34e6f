/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/own_session_check.h"

#include <string.h>

#include "ctl/apply/own_session.h"
#include "ctl/cli/live_plan.h"

static bool is_so_already(const struct session *s, const struct host_facts *h,
			  const struct session_conn *c, const char *what)
{
	struct live_plan live = { 0 };
	struct err e = { 0 };
	bool so = false;

	if (s->live && !live_plan_load(&live, &s->state, s->live, &e)) {
		live_plan_build(&live);
		so = live.plan && own_session_is_taken(live.plan, h, c, &e) && !strcmp(e.msg, what);
	}
	live_plan_fini(&live);
	return so;
}

bool own_session_is_lost(const struct session *s, const struct plan *p, const struct host_facts *h,
			 struct err *e)
{
	struct session_conn c;
	struct err why = { 0 };

	if (!session_conn_find(&c) || !own_session_is_taken(p, h, &c, &why) ||
	    is_so_already(s, h, &c, why.msg))
		return false;
	*e = why;
	return true;
}
