/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rollback: an earlier generation's file and addresses, as a new generation: the
 * numbers only go up, and what was live stays in the history. Only one that waits
 * for confirmation is taken back by its fallback's own number.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/again.h"
#include "ctl/base/clock.h"
#include "ctl/base/text.h"
#include "ctl/cli/cmd_confirm.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/own_session_check.h"
#include "ctl/cli/report.h"
#include "ctl/state/state_confirm.h"

#define JUST_NOW_MS	60000
#define CLOCKS_APART_MS 100 /* the two are not read at once */

/* The timer was faster than who typed this: what he wanted is done. */
static bool is_just_done(const struct session *s, struct err *e)
{
	struct state_meta m = { 0 };
	int64_t since_ms, decided_ms;
	bool done;

	if (!s->live || !s->newest || state_read_generation(&s->state, s->newest, &m, NULL, NULL))
		return false;
	since_ms = clock_wall_ms() - m.confirm.decided_ms;
	decided_ms = clock_boot_ms() - since_ms;
	done = m.confirm.phase == STATE_CONFIRM_TAKEN_BACK && m.confirm.previous == s->live &&
	       !strcmp(m.confirm.boot, s->state.boot) && since_ms >= 0 && since_ms < JUST_NOW_MS &&
	       decided_ms + CLOCKS_APART_MS >= m.confirm.deadline_ms;
	state_meta_fini(&m);
	if (!done)
		return false;
	err_set(e, EALREADY, "generation %u was taken back a moment ago: generation %u is live",
		s->newest, s->live);
	err_hint(e, "to go back further: spctl rollback N; see: spctl history");
	return true;
}

/* 0 with *e when there is none. One that turns out bad is an error, not passed over. */
static uint32_t find_before(const struct session *s, struct err *e)
{
	uint32_t found;

	if (is_just_done(s, e))
		return 0;
	found = confirm_newest_given(s, s->live, 0, false);
	if (!found) {
		err_set(e, ENOENT,
			s->live ? "no confirmed generation before %u is kept"
				: "no confirmed generation is kept",
			s->live);
		err_hint(e, "see: spctl history");
	}
	return found;
}

/* 0 = usage error, and it was said. */
static uint32_t read_number(const struct options *o, const char *text)
{
	struct err e = { 0 };
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (!errno && *text >= '1' && *text <= '9' && !*end && n <= UINT32_MAX)
		return (uint32_t)n;
	err_set(&e, EINVAL, "\"%s\" is not the number of a generation", text);
	err_hint(&e, "see: spctl history");
	cmd_fail(o, &e, EXIT_USAGE);
	return 0;
}

/* Has somebody said yes to it, and is it there? */
static int check_target(const struct session *s, uint32_t n, struct err *e)
{
	struct state_meta m = { 0 };
	int rc = state_read_generation(&s->state, n, &m, NULL, e);

	if (rc == -ENOENT)
		err_hint(e, "see: spctl history");
	if (!rc && !state_confirm_was_given(&m.confirm)) {
		rc = err_set(e, EPERM, "generation %u was never confirmed", n);
		err_hint(e, "spctl apply %s/applied/%u.config --confirm SECONDS tries it again",
			 s->state.state_dir, n);
	}
	state_meta_fini(&m);
	return rc;
}

static void print_json(const struct session *s, const struct apply_result *r, uint32_t copy_of,
		       const struct diags *d)
{
	describe_print_json(json_pack("{s:i,s:I,s:o,s:b,s:o,s:o}", "schema", 1, "generation",
				      (json_int_t)r->generation, "copyOf",
				      copy_of ? json_integer(copy_of) : json_null(), "changed",
				      r->changed, "confirm", cmd_confirm_result_json(s, r),
				      "warnings", describe_warnings_json(d)));
}

static void print_text(const struct options *o, const struct session *s,
		       const struct apply_result *r, uint32_t copy_of)
{
	if (!r->changed) {
		printf("nothing to do: generation %u, which is live, is what generation %u was\n",
		       r->generation, copy_of);
		cmd_confirm_print_nothing(o, s);
		return;
	}
	printf("generation %u is live: a copy of generation %u, %zu element%s added, %zu deleted\n",
	       r->generation, copy_of, r->stats.elems_added, text_plural(r->stats.elems_added),
	       r->stats.elems_deleted);
	if (r->confirm.phase == STATE_CONFIRM_WAITING) {
		cmd_confirm_print_begun(o, r->generation, &r->confirm);
		putchar('\n');
		cmd_confirm_print_way_back(o);
	} else {
		cmd_print_way_back(o, s->meta.generation ? &s->meta : NULL);
	}
}

struct go {
	const struct session *s;
	const struct options *o;
	uint32_t to;
	struct diags d;
};

/* As apply: the port of the ssh session that runs this goes only by those who say so. */
static int check_own_session(const struct plan *p, const struct host_facts *h, void *arg,
			     struct err *e)
{
	struct go *g = arg;
	struct err why = { 0 };

	if (!own_session_is_lost(g->s, p, h, &why))
		return 0;
	if (g->o->force || g->o->confirm_s) {
		diags_add(&g->d, DIAG_WARNING, LOC_NONE, NULL, NULL, "%s", why.msg);
		return 0;
	}
	err_set(e, EADDRINUSE, "%s", why.msg);
	err_hint(e,
		 "`spctl rollback %u --confirm 60` goes back by itself unless it is confirmed; "
		 "--force does it all the same",
		 g->to);
	return e->code;
}

static int go_to(struct session *s, const struct options *o, uint32_t n)
{
	bool waits = s->live && state_confirm_is_open(&s->meta.confirm);
	struct go g = { .s = s, .o = o, .to = n };
	const struct again_request r = {
		.generation = n,
		.confirm_s = o->confirm_s,
		/* Of what waits and goes nothing is left. */
		.close_settings = waits,
		.settings_of = waits ? s->meta.confirm.previous : 0,
		.allow = check_own_session,
		.arg = &g,
	};
	struct apply_result result;
	struct err e = { 0 };
	int rc = check_target(s, n, &e);

	rc = rc ? rc : again_apply(s, &r, &result, &g.d, &e);
	state_unlock(&s->state);
	if (rc) {
		rc = cmd_fail(o, &e, cmd_exit_code(rc));
	} else if (o->json) {
		print_json(s, &result, n, &g.d);
	} else if (!o->quiet) {
		report_diags_text(stderr, &g.d, NULL, 0, cmd_colour(o, stderr));
		print_text(o, s, &result, n);
	}
	diags_fini(&g.d);
	return rc;
}

static int take_back(struct session *s, const struct options *o)
{
	struct apply_result now = { .changed = true };
	struct state_meta was = { .generation = s->live, .table = s->meta.table };
	struct diags none = { 0 };
	struct err e = { 0 };
	int rc;

	if (o->confirm_s) {
		err_set(&e, EINVAL,
			"generation %u waits for confirmation: what comes back for it is confirmed",
			s->live);
		err_hint(&e, "without --confirm: spctl rollback");
		state_unlock(&s->state);
		return cmd_fail(o, &e, EXIT_FAILED);
	}
	was.lenient = s->meta.lenient;
	was.confirm.phase = STATE_CONFIRM_TAKEN_BACK;
	rc = confirm_take_back(s, &e);
	state_unlock(&s->state);
	if (rc)
		return cmd_fail(o, &e, cmd_exit_code(rc));
	now.generation = s->meta.confirm.previous;
	if (o->json) {
		print_json(s, &now, 0, &none);
	} else if (!o->quiet) {
		if (now.generation)
			printf("generation %u is taken back: generation %u is live\n",
			       was.generation, now.generation);
		else
			printf("generation %u is taken back: nothing was applied before, and "
			       "nothing is now\n",
			       was.generation);
		cmd_print_way_back(o, &was);
	}
	return EXIT_DONE;
}

static int run(struct session *s, const struct options *o, uint32_t n)
{
	bool waits = s->live && state_confirm_is_open(&s->meta.confirm);
	struct err e = { 0 };

	if (waits && (!n || n == s->meta.confirm.previous))
		return take_back(s, o);
	if (waits && n == s->live) {
		confirm_may_apply(s, 0, &e);
		state_unlock(&s->state);
		return cmd_fail(o, &e, EXIT_FAILED);
	}
	if (n && n == s->live) {
		state_unlock(&s->state);
		if (!o->quiet && !o->json)
			printf("nothing to do: generation %u is live\n", n);
		if (o->json)
			print_json(s, &(struct apply_result){ .generation = n }, 0,
				   &(struct diags){ 0 });
		return EXIT_DONE;
	}
	n = n ? n : find_before(s, &e);
	if (n)
		return go_to(s, o, n);
	state_unlock(&s->state);
	return cmd_fail(o, &e, EXIT_FAILED);
}

int cmd_rollback(const struct options *o, int argc, char **argv)
{
	uint32_t n = argc ? read_number(o, argv[0]) : 0;
	struct session s;
	struct err e = { 0 };
	int rc;

	if (argc && !n)
		return EXIT_USAGE;
	rc = cmd_need_root(o, "rollback changes the kernel's ruleset");
	if (rc)
		return rc;
	/* A look first: where nothing was ever applied no directory is made. */
	rc = session_open(&s, o->state_dir, o->run_dir, 0, 0, &e);
	if (rc == -ENOENT && state_ownerless(o->state_dir))
		rc = 0; /* whose generations they were is lost; as files they are good */
	else if (!rc)
		session_close(&s);
	if (!rc) {
		/* Not confirm_open(): one whose time is over is what this takes back. */
		rc = session_open(&s, o->state_dir, o->run_dir, SESSION_CREATE | SESSION_LOCK,
				  o->timeout_ms, &e);
	}
	if (rc)
		return cmd_fail(o, &e, cmd_exit_code(rc));
	rc = run(&s, o, n);
	session_close(&s);
	return rc;
}
