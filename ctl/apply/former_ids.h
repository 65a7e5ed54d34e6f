/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * former_ids: the numbers and names of routes that are gone, in STATE/former-ids,
 * so that what lives on of them has its name in listings. For people only: a
 * lost file costs names, nothing else.
 */
#ifndef CTL_APPLY_FORMER_IDS_H
#define CTL_APPLY_FORMER_IDS_H

#include "ctl/apply/session.h"

/* Oldest first; a name may come twice, with the numbers that it had. Empty when there is no file
 * of this boot. Ends with route_ids_fini(). */
void former_ids_load(const struct session *s, struct route_ids *out);
/* Before a commit: adds those of s->ids that `now` has not. Failing is no error. */
void former_ids_add(struct session *s, const struct route_ids *now);

#endif
