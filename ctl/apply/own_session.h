/* SPDX-License-Identifier: GPL-2.0-or-later */
/* own_session: would a plan take the port over which the ssh session came that runs the command?
 * Pure. */
#ifndef CTL_APPLY_OWN_SESSION_H
#define CTL_APPLY_OWN_SESSION_H

#include "ctl/host/host.h"
#include "ctl/host/session_conn.h"
#include "ctl/plan/plan.h"

/* True when new connections of that client to that address and port would be taken by a kernel
 * route to somewhere else; e gets the sentence, the place of the route's ports and the way out. */
bool own_session_is_taken(const struct plan *p, const struct host_facts *h,
			  const struct session_conn *c, struct err *e);

#endif
