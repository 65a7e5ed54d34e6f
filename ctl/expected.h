/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expected: the table that the live generation should have, made from its plan. */
#ifndef CTL_EXPECTED_H
#define CTL_EXPECTED_H

#include "ctl/plan.h"
#include "ctl/session.h"

/* NULL when it cannot be said: a route has no number (e->code -ENOENT), or no memory. */
struct ruleset *expected_ruleset(const struct session *s, const struct plan *p, struct err *e);

#endif
