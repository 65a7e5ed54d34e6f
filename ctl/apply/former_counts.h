/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * former_counts: what routes that are gone leave behind - counters in the
 * kernel's sets, numbers in STATE/ids - goes once they cannot come back with the
 * generation before. A route of that name that comes later gets another number,
 * and starts to count anew.
 */
#ifndef CTL_APPLY_FORMER_COUNTS_H
#define CTL_APPLY_FORMER_COUNTS_H

#include "ctl/apply/session.h"

/* s: locked. Of the routes that s->ids has and `now` (sealed) has not. First the counters in rs,
 * which is what the kernel has; when they are gone, the numbers: whoever is killed between leaves
 * the list of what is to be deleted. *genid moves as the kernel's does. What fails is tried again
 * by former_counts_settle(). */
void former_counts_forget(struct session *s, const struct ruleset *rs, const struct route_ids *now,
			  uint32_t *genid);

/* After session_load_ids() or session_read_kernel(): are there some that can go? */
bool former_counts_are_left(const struct session *s);
/* After session_read_kernel(), s: locked. Forgets them; have, genid, ids and the image are true
 * afterwards as they were before. */
void former_counts_settle(struct session *s);

#endif
