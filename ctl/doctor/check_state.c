/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What spctl itself keeps: whose namespace, whose table, and the clock that dates it. */
#include <errno.h>
#include <string.h>

#include "ctl/apply/confirm.h"
#include "ctl/apply/expected.h"
#include "ctl/base/clock.h"
#include "ctl/doctor/doctor_internal.h"

#define YEAR_2024_MS INT64_C(1704067200000)

/* Generations without their owner are no trouble for a file that is to be applied. */
static void report_ownerless(struct doctor *d, const struct err *why)
{
	struct pending_finding *f =
		d->in->live ? doctor_problem(d, "%s", why->msg) : doctor_note(d, "%s", why->msg);

	if (d->in->live) {
		finding_routes(d, f, NULL, NULL);
		finding_fix(d, f, "spctl apply --boot --force%s    # if they are to be live here",
			    d->in->options);
	} else {
		finding_fix(d, f, "spctl history%s    # then rollback N, or apply FILE",
			    d->in->options);
	}
}

void check_namespace(struct doctor *d)
{
	const struct err *why = d->in->session_error;
	struct pending_finding *f;

	if (d->in->session)
		return;
	if (!why->code) {
		doctor_ok(d, "nothing was applied here yet");
		return;
	}
	if (why->code == -ENOENT) {
		report_ownerless(d, why);
		return;
	}
	if (why->code != -EXDEV) {
		doctor_note(d, "not looked at: %s", why->msg);
		return;
	}
	f = doctor_problem(d, "%s", why->msg);
	finding_routes(d, f, NULL, NULL);
	if (state_can_be_taken(d->in->state_dir, d->in->run_dir))
		finding_fix(d, f, "spctl apply --boot --force%s    # if it is gone for good",
			    d->in->options);
	else
		finding_fix(d, f, "%s", why->hint);
}

/* ---- the table ---- */

static bool is_waiting(const struct doctor *d)
{
	struct confirm_view v;

	confirm_look(d->in->session, &v);
	return v.generation;
}

void doctor_fix_by_apply(struct doctor *d, struct pending_finding *f)
{
	if (is_waiting(d)) { /* an apply that is for good is refused */
		finding_fix(d, f, "spctl rollback%s    # or: spctl apply FILE --confirm SECONDS",
			    d->in->options);
		return;
	}
	finding_fix(d, f, "spctl apply %s/applied/%u.config%s%s%s%s", d->in->state_dir,
		    d->in->generation, d->in->options,
		    strcmp(d->in->table, DEFAULT_TABLE) ? " --table " : "",
		    strcmp(d->in->table, DEFAULT_TABLE) ? d->in->table : "",
		    d->in->session->meta.lenient ? " --lenient" : "");
}

static void fix_by_apply(struct doctor *d, struct pending_finding *f)
{
	finding_routes(d, f, NULL, NULL);
	doctor_fix_by_apply(d, f);
}

static void compare_table(struct doctor *d, const struct session *s)
{
	struct err e = { 0 };
	struct ruleset *want = expected_ruleset(s, d->in->plan, &e);
	char what[128] = "";

	if (want)
		ruleset_choose_sizes(want, s->have);
	if (!want)
		doctor_note(d, "table inet %s cannot be compared: %s", d->in->table, e.msg);
	else if (!ruleset_equal(want, s->have, what, sizeof(what)))
		fix_by_apply(d, doctor_problem(d, "table inet %s was changed by somebody: %s",
					       d->in->table, what));
	ruleset_free(want);
}

/* It is another's: of that name, but not made by this spctl. */
static void report_foreign(struct doctor *d, const struct ruleset *have, const struct err *e)
{
	struct pending_finding *f = doctor_problem(d, "%s", e->msg);

	finding_routes(d, f, NULL, NULL);
	if (have->ours) /* of another instance of spctl */
		finding_fix(d, f, "%s", e->hint);
	else if (d->in->live && is_waiting(d))
		finding_fix(d, f, "nft delete table inet %s && spctl rollback%s", d->in->table,
			    d->in->options);
	else if (d->in->live)
		finding_fix(d, f, "nft delete table inet %s && spctl apply %s/applied/%u.config%s",
			    d->in->table, d->in->state_dir, d->in->generation, d->in->options);
	else
		finding_fix(d, f, "nft delete table inet %s    # or another name: --table",
			    d->in->table);
}

/* Also leaves the routes' numbers in the session, for the checks that count connections. */
static void check_live_table(struct doctor *d)
{
	struct session *s = d->in->session;
	struct err e = { 0 };
	int rc = session_read_kernel(s, d->in->table, &e);

	if (rc == -EEXIST)
		report_foreign(d, s->have, &e);
	else if (rc)
		doctor_note(d, "not looked at: %s", e.msg);
	else if (session_is_busy(s))
		doctor_note(d, "not looked at: another spctl is at work");
	else if (!s->have->exists)
		fix_by_apply(d, doctor_problem(d, "table inet %s is gone: flushed or deleted",
					       d->in->table));
	else if (s->have->generation != d->in->generation)
		fix_by_apply(d,
			     doctor_problem(d, "table inet %s has generation %u, not %u",
					    d->in->table, s->have->generation, d->in->generation));
	else if (!s->from_image && d->in->plan)
		compare_table(d, s);
}

/* Before an apply: the name must be free, or ours. */
static void check_free_table(struct doctor *d)
{
	const char *ours = d->in->session ? d->in->session->state.instance : "";
	struct ruleset *head = NULL;
	struct err e = d->nft_error;

	if (!d->nft || nft_read_head(d->nft, d->in->table, &head, &e)) {
		doctor_note(d, "not looked at: %s", e.msg);
		return;
	}
	e = (struct err){ 0 };
	if (head->exists && !head->ours)
		err_set(&e, -EEXIST, "a table inet %s exists that was not made by spctl",
			d->in->table);
	else if (head->exists && strcmp(head->owner, ours) != 0)
		err_set(&e, -EEXIST, "the table inet %s belongs to another spctl", d->in->table);
	err_hint(&e, "give that instance's --state-dir, or another --table");
	if (e.code)
		report_foreign(d, head, &e);
	else
		doctor_ok(d, "the name of table inet %s is %s", d->in->table,
			  head->exists ? "ours" : "free");
	ruleset_free(head);
}

void check_table(struct doctor *d)
{
	if (d->in->live && d->in->session)
		check_live_table(d);
	else if (d->in->live)
		doctor_note(d, "not looked at: %s", d->in->session_error->msg);
	else
		check_free_table(d);
}

/* ---- the clock ---- */

static bool needs_clock(const struct plan_route *r)
{
	return r->route->action.tls && r->tier == TIER_PROXY;
}

static void clock_is_wrong(struct doctor *d, struct pending_finding *f)
{
	const struct plan *p = d->in->plan;

	for (unsigned i = 0; p && i < p->n_routes; i++)
		if (needs_clock(&p->routes[i]))
			finding_route(d, f, &p->routes[i]);
	finding_fix(d, f, "timedatectl set-ntp true");
}

void check_clock(struct doctor *d)
{
	char now[24], then[24];

	clock_format_utc(d->in->now_ms, now);
	if (d->in->now_ms < YEAR_2024_MS)
		clock_is_wrong(d, doctor_problem(d,
						 "the clock says %s: certificates and history "
						 "are judged by it",
						 now));
	else if (d->in->now_ms < d->in->newest_ms)
		clock_is_wrong(d, doctor_problem(d,
						 "the clock says %s, but the newest generation was "
						 "made at %s",
						 now, clock_format_utc(d->in->newest_ms, then)));
	else
		doctor_ok(d, "the clock says %s", now);
}
