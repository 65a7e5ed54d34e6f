/* SPDX-License-Identifier: GPL-2.0-or-later */
/* own_session_check: does a plan take the port of the ssh session that runs this from it? */
#ifndef CTL_CLI_OWN_SESSION_CHECK_H
#define CTL_CLI_OWN_SESSION_CHECK_H

#include "ctl/apply/session.h"
#include "ctl/host/host.h"
#include "ctl/plan/plan.h"

/* As own_session_is_taken(); false also where the live routes do just that already: whoever comes
 * this way came in before it, or has another way. */
bool own_session_is_lost(const struct session *s, const struct plan *p, const struct host_facts *h,
			 struct err *e);

#endif
