/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plan_internal: the steps of plan_build(), each in its own file. Only plan*.c include this. */
#ifndef CTL_PLAN_PLAN_INTERNAL_H
#define CTL_PLAN_PLAN_INTERNAL_H

#include "ctl/plan/plan.h"

/* plan_route.c: tier, reason, targets, families of one route; reports errors. 0 or -errno. */
int plan_route_init(struct plan *p, struct plan_route *r, const struct plan_facts *f,
		    struct diags *d);

/* plan_tag.c: gives every target of r its tag. 0 or -ENOMEM. */
int plan_tag_targets(struct plan_route *r);

/* plan_down.c: which of them are down. 0 or -ENOMEM. */
int plan_mark_down(struct plan_route *r, const struct plan_facts *f);
/* Warns of targets that no check can be made of. */
void plan_check_health(struct plan *p, struct diags *d);

/* plan_tier.c, for some clients of a cell: user space decides about r, because of `before`. 0 or
 * -ENOMEM. */
int plan_note_behind(struct plan *p, const struct plan_cell *cell, struct plan_route *r,
		     const struct plan_route *before);
/* The kernel serves r. */
void plan_note_win(const struct plan_cell *cell, struct plan_route *r);
/* `taker` is before r and has them. */
void plan_note_taken(const struct plan_cell *cell, struct plan_route *r,
		     const struct plan_route *taker);
/* When all cells are decided: the routes of which the kernel gets nothing, or not all. Errors in
 * d; 0 or -ENOMEM. */
int plan_settle_tiers(struct plan *p, struct diags *d);
bool plan_has_tier(const struct plan *p, enum tier t);

/* plan_error.c: an error at loc, with the path of what stands there; route NULL = outside of the
 * routes. */
void plan_error(struct plan *p, struct diags *d, const struct cfg_route *route, struct loc loc,
		const char *hint, const char *fmt, ...) PRINTF_LIKE(6, 7);
/* The same for a warning or a note. */
void plan_warn(struct plan *p, struct diags *d, enum diag_severity severity,
	       const struct cfg_route *route, struct loc loc, const char *hint, const char *fmt,
	       ...) PRINTF_LIKE(7, 8);
void plan_error_fini(struct plan *p);

/* plan_order.c: fills rank and rank_class of all routes. 0 or -ENOMEM. */
int plan_order_routes(struct plan *p);
/* Two routes of one class that take the same connections: an error each (once a pair);
 * a route that is never reached: a warning. 0 or -ENOMEM. */
int plan_check_conflicts(struct plan *p, struct diags *d);

/* plan_security.c: lists and limits that never take effect, or serve nobody: warnings and notes. */
void plan_check_security(struct plan *p, struct diags *d);

/* plan_cell.c: fills p->cells without their families. 0, -ENOMEM, -E2BIG (in d). */
int plan_build_cells(struct plan *p, struct diags *d);

/* plan_kept.c: routes of one port that differ in whether a PROXY header comes first: an error. */
void plan_check_accepting(struct plan *p, struct diags *d);
/* What cannot be kept where routes have landed: errors; what nobody follows yet: warnings. */
void plan_check_kept(struct plan *p, struct diags *d);
/* plan_tier.c: one clause, into out; returns it. */
const char *plan_behind_reason(const struct plan_behind *b, char *out, size_t cap);

/* plan_user.c: which cells need user space, and the ports that it listens on. 0, -ENOMEM, -E2BIG
 * (in d). */
int plan_find_listeners(struct plan *p, struct diags *d);

/* plan_loop.c: targets that lead back to where user space listens: errors. Of addresses of this
 * host, or of loopback alone. 0 or -ENOMEM. */
int plan_check_loops(struct plan *p, const struct plan_facts *f, bool this_host, struct diags *d);

/* plan_route.c: NULL = nobody asked for it. */
const struct resolved_name *plan_find_name(const struct plan_facts *f, const char *name);

/* plan_client.c: fills v4 and v6 of a cell. 0 or -ENOMEM. */
int plan_cell_decide(struct plan *p, struct plan_cell *cell);

#endif
