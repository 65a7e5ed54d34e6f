/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expected: the table that the live generation should have, made from its plan. */
#ifndef CTL_APPLY_EXPECTED_H
#define CTL_APPLY_EXPECTED_H

#include "ctl/apply/session.h"
#include "ctl/plan/plan.h"

/* NULL when it cannot be said: a route has no number (e->code -ENOENT), or no memory. */
struct ruleset *expected_ruleset(const struct session *s, const struct plan *p, struct err *e);

#endif
