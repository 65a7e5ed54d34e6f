/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * found: what the service found out about targets becomes true - on disk, then in
 * the kernel's table, under STATE's lock and by the code of apply. What it asks for comes
 * from its dataplane, so all of it is held against the plan: it can take
 * targets down, and move a name to other addresses, but not change which tier serves
 * what, and not lead anybody to where no name may lead.
 */
#ifndef CTL_APPLY_FOUND_H
#define CTL_APPLY_FOUND_H

#include "ctl/state/state_found.h"

/*
 * v[0..n): what a name is said to resolve to; now: what it resolves to (may be NULL).
 * Into out, sorted: those that may be a target. Never: unspecified, 0/8, multicast,
 * broadcast, link-local (169.254/16 is where clouds keep secrets; fe80::/10 needs a zone).
 * Loopback: only of "localhost", and of a name that is there now, which this host's own resolver
 * said. 0: none of them may. Pure.
 */
unsigned found_accept(const char *name, const struct resolved_name *now, const struct addr *v,
		      unsigned n, struct addr out[RESOLVE_MAX_ADDRS]);

/*
 * wish: of generation wish->generation. 0: it is true, as far as it may be (what may not be is in
 * the log). -EAGAIN: somebody has the lock, or something else is live: again in a moment, or
 * not at all. Else what was before goes on.
 */
int found_commit(const char *state_dir, const char *run_dir, const struct state_found *wish,
		 struct err *e);

#endif
