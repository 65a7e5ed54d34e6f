/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking generation N back to P, and why it may be interrupted anywhere: first
 * N.json says that it is decided; then P is applied under its own number, like
 * any apply; then STATE/live says P. Until that last step N is live and decided,
 * which is overdue by definition: whoever opens the session next does it all
 * once more, and P applied over P changes nothing.
 */
#include "ctl/apply/confirm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/apply/again.h"
#include "ctl/apply/failpoint.h"
#include "ctl/apply/former_counts.h"
#include "ctl/base/clock.h"
#include "ctl/base/log.h"
#include "ctl/state/state_confirm.h"

/* How long a command that does not take the lock itself waits for it, when work is left over. */
#define LOCK_WAIT_MS 30000

static bool is_open(const struct session *s)
{
	return s->live && state_confirm_is_open(&s->meta.confirm);
}

static int64_t left_ms(const struct session *s)
{
	return state_confirm_left_ms(&s->meta.confirm, s->state.boot, clock_boot_ms());
}

static bool is_overdue(const struct session *s)
{
	return is_open(s) && !left_ms(s);
}

struct state_confirm confirm_begin(const struct session *s, unsigned seconds)
{
	struct state_confirm c = { 0 };

	if (!seconds)
		return c;
	c.phase = STATE_CONFIRM_WAITING;
	/* Never one that waits itself. */
	c.previous = is_open(s) ? s->meta.confirm.previous : s->live;
	c.deadline_ms = clock_boot_ms() + (int64_t)seconds * 1000;
	memcpy(c.boot, s->state.boot, sizeof(c.boot));
	return c;
}

int confirm_prolong(struct session *s, unsigned seconds, struct err *e)
{
	struct state_confirm was = s->meta.confirm;
	int rc;

	if (!is_open(s))
		return 0;
	s->meta.confirm = confirm_begin(s, seconds);
	rc = state_write_meta(&s->state, &s->meta, e);
	if (rc)
		s->meta.confirm = was;
	return rc ? rc : confirm_start_timer(s, e);
}

int confirm_may_apply(const struct session *s, unsigned confirm_s, struct err *e)
{
	if (!is_open(s) || confirm_s)
		return 0;
	err_set(e, EBUSY, "generation %u waits for confirmation", s->live);
	err_hint(e, "spctl confirm keeps it, spctl rollback takes it back; apply --confirm SECONDS "
		    "replaces it");
	return e->code;
}

int confirm_has_way_back(const struct session *s, struct err *e)
{
	uint32_t to = is_open(s) ? s->meta.confirm.previous : s->live;
	int rc = to ? again_check(s, to, e) : 0;

	if (!rc)
		return 0;
	err_wrap(e, "--confirm promises that generation %u can come back", to);
	err_hint(e, is_open(s) ? "spctl confirm keeps what waits; then apply without --confirm"
			       : "without --confirm it is applied for good");
	return rc;
}

/* A take-back that could not be noted leaves a live generation that is not in the kernel. */
static int check_kernel_has(const struct session *s, struct err *e)
{
	struct ruleset *head = NULL;
	int rc = nft_read_head(s->nft, session_table(s), &head, e);
	bool has;

	if (rc)
		return rc;
	has = head->exists && head->ours && !strcmp(head->owner, s->state.instance) &&
	      head->generation == s->live;
	ruleset_free(head);
	if (has)
		return 0;
	err_set(e, ESTALE, "generation %u is not what the kernel has: there is nothing to confirm",
		s->live);
	err_hint(e, "spctl rollback ends it; apply --confirm SECONDS writes it again");
	return e->code;
}

/* Only the way back needed them. What fails here, or is killed, the next apply does. */
static void forget_former(struct session *s)
{
	struct err e = { 0 };

	session_load_ids(s);
	if (!former_counts_are_left(s))
		return;
	if (session_read_kernel(s, session_table(s), &e))
		log_debug("the counters of former routes stay: %s", e.msg);
	else
		former_counts_settle(s);
}

int confirm_give(struct session *s, struct err *e)
{
	struct state_confirm was = s->meta.confirm;
	int rc = check_kernel_has(s, e);

	if (rc)
		return rc;
	s->meta.confirm.phase = STATE_CONFIRM_GIVEN;
	s->meta.confirm.decided_ms = clock_wall_ms();
	rc = state_write_meta(&s->state, &s->meta, e);
	if (rc)
		s->meta.confirm = was;
	FAILPOINT(confirmed);
	if (!rc)
		forget_former(s);
	return rc;
}

/* A full disk must not keep the old routes from coming back: then it is decided, but not noted. */
static void note_decision(struct session *s, uint32_t previous)
{
	struct state_confirm *c = &s->meta.confirm;
	struct err e = { 0 };

	if (c->phase == STATE_CONFIRM_TAKEN_BACK && c->previous == previous)
		return;
	c->previous = previous;
	if (!s->meta.generation)
		return;
	s->meta.confirm.phase = STATE_CONFIRM_TAKEN_BACK;
	s->meta.confirm.decided_ms = clock_wall_ms();
	if (state_write_meta(&s->state, &s->meta, &e))
		log_warn("%s", e.msg);
}

void confirm_note_down(struct session *s)
{
	if (is_open(s))
		note_decision(s, 0);
}

uint32_t confirm_newest_given(const struct session *s, uint32_t below, uint32_t except, bool usable)
{
	uint32_t *v = NULL, found = 0;
	size_t n = 0;

	if (state_generations(&s->state, &v, &n, NULL))
		return 0;
	while (n && !found) {
		struct state_meta m = { 0 };
		uint32_t g = v[--n];

		if ((!below || g < below) && g != except &&
		    !state_read_generation(&s->state, g, &m, NULL, NULL) &&
		    state_confirm_was_given(&m.confirm) && (!usable || !again_check(s, g, NULL)))
			found = g;
		state_meta_fini(&m);
	}
	free(v);
	return found;
}

/* Where only the service did not come along it is back. */
static int apply_back(struct session *s, const struct again_request *r, struct err *e)
{
	struct apply_result result = { 0 };
	int rc = again_apply(s, r, &result, NULL, e);

	if (!rc || !result.service_behind)
		return rc;
	log_err("%s", e->msg);
	*e = (struct err){ 0 };
	return 0;
}

static int bring_back(struct session *s, struct err *e)
{
	struct again_request r = { .generation = s->meta.confirm.previous,
				   .same_number = true,
				   .close_settings = true,
				   .settings_of = s->meta.confirm.previous,
				   .kernel_first = true };
	uint32_t other;
	int rc = apply_back(s, &r, e);

	if (!rc)
		return 0;
	err_wrap(e, "generation %u cannot be brought back", r.generation);
	/* Unconfirmed routes must not stay because a file is lost. */
	other = again_check(s, r.generation, NULL)
			? confirm_newest_given(s, s->live, r.generation, true)
			: 0;
	if (!other)
		return rc;
	log_warn("%s: generation %u comes back instead", e->msg, other);
	*e = (struct err){ 0 };
	note_decision(s, other);
	r.generation = other;
	return apply_back(s, &r, e);
}

/* What nobody noted did not happen for the next command: it would go on from the wrong one. */
static int check_noted(const struct session *s, struct err *e)
{
	uint32_t back = s->meta.confirm.previous, live = 0;

	if (!state_live(&s->state, &live, e) && live == back)
		return 0;
	*e = (struct err){ 0 };
	err_set(e, ENOTRECOVERABLE,
		"generation %u is in the kernel again, but %s/live still says %u", back,
		s->state.state_dir, live);
	err_hint(e, "is the disk full? make room, then: spctl rollback");
	return -ENOTRECOVERABLE;
}

int confirm_take_back(struct session *s, struct err *e)
{
	int rc;

	note_decision(s, s->meta.confirm.previous);
	FAILPOINT(back_decided);
	if (s->meta.confirm.previous) {
		rc = bring_back(s, e);
		return rc ? rc : check_noted(s, e);
	}
	rc = down_take_back(s, e);
	if (rc)
		err_wrap(e, "generation %u cannot be taken away", s->live);
	return rc;
}

/* ---- what an earlier command, or the timer, left to do ---- */

static const char *why_overdue(const struct session *s, const struct state_confirm *c)
{
	if (c->phase == STATE_CONFIRM_TAKEN_BACK)
		return "was being taken back";
	return strcmp(c->boot, s->state.boot) ? "was not confirmed before the reboot"
					      : "was not confirmed in time";
}

static void say_back(const struct session *s, const struct state_confirm *was, const char *why)
{
	uint32_t back = s->meta.confirm.previous;

	if (back)
		log_warn("generation %u %s: generation %u is back", s->live, why, back);
	else
		log_warn("generation %u %s: its routes are gone%s", s->live, why,
			 was->phase == STATE_CONFIRM_WAITING ? ", nothing was applied before it"
							     : "");
}

static int finish_overdue(const char *state_dir, const char *run_dir, unsigned timeout_ms,
			  struct err *e)
{
	struct state_confirm was;
	struct session s;
	const char *why;
	int rc = session_open(&s, state_dir, run_dir, SESSION_CREATE | SESSION_LOCK, timeout_ms, e);

	if (rc)
		return rc;
	was = s.meta.confirm;
	why = why_overdue(&s, &was);
	if (is_overdue(&s)) {
		rc = confirm_take_back(&s, e);
		if (rc)
			err_wrap(e, "generation %u %s", s.live, why);
		else
			say_back(&s, &was, why);
	}
	session_close(&s);
	return rc;
}

/* After a reboot nobody has said yet that this is STATE's namespace. Only what changes routes here
 * anyway may do so by finishing what was left: to look must not apply them in the wrong one. */
static bool may_finish(const struct session *s, unsigned flags)
{
	return s->state.of_this_boot || ((flags & SESSION_LOCK) && !(flags & SESSION_LOOK));
}

static void say_left(const struct session *s)
{
	const char *why = why_overdue(s, &s->meta.confirm);

	if (s->meta.confirm.previous)
		log_warn("generation %u %s: spctl apply --boot brings generation %u back", s->live,
			 why, s->meta.confirm.previous);
	else
		log_warn("generation %u %s: spctl apply --boot takes it away for good", s->live,
			 why);
}

/* Somebody may confirm between the look at the files and the one at the timer, which ends then.
 * What is open still, after the timer was missed, is open without it. */
static int look_once_more(struct session *s, const char *state_dir, const char *run_dir,
			  unsigned flags, struct confirm_view *v, struct err *e)
{
	int rc;

	session_close(s);
	rc = session_open(s, state_dir, run_dir, flags, 0, e);
	if (!rc)
		confirm_look(s, v);
	return rc;
}

static int look_after_timer(struct session *s, const char *state_dir, const char *run_dir,
			    unsigned flags, bool *was_gone, struct err *e)
{
	struct confirm_view v;
	struct err why = { 0 };
	int rc = 0;

	confirm_look(s, &v);
	if (v.generation && !v.timer && !(flags & SESSION_LOCK))
		rc = look_once_more(s, state_dir, run_dir, flags, &v, e);
	if (rc || !v.generation || v.timer)
		return rc;
	if (was_gone)
		*was_gone = true;
	if (confirm_start_timer(s, &why))
		log_err("the timer that takes generation %u back is gone: %s", v.generation,
			why.msg);
	else
		log_warn("the timer that takes generation %u back was gone: it is started again",
			 v.generation);
	return 0;
}

int confirm_open(struct session *s, const char *state_dir, const char *run_dir, unsigned flags,
		 unsigned timeout_ms, bool *timer_was_gone, struct err *e)
{
	int rc = session_open(s, state_dir, run_dir, flags, timeout_ms, e);
	struct err why = { 0 };

	if (timer_was_gone)
		*timer_was_gone = false;
	if (rc || geteuid())
		return rc;
	if (is_overdue(s) && !may_finish(s, flags)) {
		say_left(s);
		return 0;
	}
	/* Somebody is at it, a `down --drain` perhaps: those who only look need not wait for that.
	 */
	if (is_overdue(s) && !(flags & SESSION_LOCK) &&
	    s->meta.confirm.phase == STATE_CONFIRM_TAKEN_BACK && session_is_busy(s))
		return 0;
	if (is_overdue(s)) {
		session_close(s);
		/* Not done: the command itself is still worth doing, `confirm` above all. */
		if (finish_overdue(state_dir, run_dir, timeout_ms ? timeout_ms : LOCK_WAIT_MS,
				   &why))
			log_err("%s", why.msg);
		rc = session_open(s, state_dir, run_dir, flags, timeout_ms, e);
		if (rc)
			return rc;
	}
	return look_after_timer(s, state_dir, run_dir, flags, timer_was_gone, e);
}
