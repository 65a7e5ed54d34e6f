/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/cmd_confirm.h"

#include <errno.h>
#include <string.h>

#include "ctl/base/clock.h"
#include "ctl/cli/describe.h"
#include "ctl/state/state_confirm.h"

/* ---- how it is told ---- */

json_t *cmd_confirm_json(const struct confirm_view *v)
{
	if (!v->generation)
		return json_null();
	return json_pack("{s:I,s:I,s:I,s:b}", "generation", (json_int_t)v->generation, "previous",
			 (json_int_t)v->previous, "secondsLeft",
			 (json_int_t)(v->left_ms + 999) / 1000, "timer", v->timer);
}

static struct confirm_view begun(uint32_t generation, const struct state_confirm *c)
{
	int64_t left_ms = c->deadline_ms - clock_boot_ms();
	struct confirm_view v = { 0 };

	if (c->phase != STATE_CONFIRM_WAITING)
		return v;
	v.generation = generation;
	v.previous = c->previous;
	v.left_ms = left_ms > 0 ? left_ms : 0;
	v.end_wall_ms = clock_wall_ms() + v.left_ms;
	v.timer = true;
	return v;
}

json_t *cmd_confirm_result_json(const struct session *s, const struct apply_result *r)
{
	struct confirm_view v = begun(r->generation, &r->confirm);

	if (!r->changed || r->repaired)
		confirm_look(s, &v);
	return cmd_confirm_json(&v);
}

const char *cmd_repair(bool waits)
{
	return waits ? "`spctl rollback` or `spctl apply FILE --confirm SECONDS`" : "`spctl apply`";
}

const char *cmd_where(const struct options *o, char *out, size_t cap)
{
	return state_where(o->state_dir, o->run_dir, out, cap);
}

void cmd_confirm_print(const struct options *o, const struct confirm_view *v)
{
	char where[512], when[24];

	printf("generation %u waits for confirmation: spctl confirm%s, else ", v->generation,
	       cmd_where(o, where, sizeof(where)));
	if (v->previous)
		printf("generation %u comes back", v->previous);
	else
		printf("the routes are taken away");
	if (v->left_ms)
		printf(" in %lld s, at %s", (long long)(v->left_ms + 999) / 1000,
		       clock_format_utc(v->end_wall_ms, when));
	else
		printf(": its time is over");
}

void cmd_confirm_print_begun(const struct options *o, uint32_t generation,
			     const struct state_confirm *c)
{
	const struct confirm_view v = begun(generation, c);

	cmd_confirm_print(o, &v);
}

void cmd_confirm_print_way_back(const struct options *o)
{
	char where[512];

	printf("to go back: spctl rollback%s\n", cmd_where(o, where, sizeof(where)));
}

void cmd_confirm_print_nothing(const struct options *o, const struct session *s)
{
	struct confirm_view v;

	if (!o->confirm_s)
		return;
	confirm_look(s, &v);
	if (v.generation)
		cmd_confirm_print(o, &v);
	else
		printf("nothing to confirm: nothing was changed");
	putchar('\n');
}

/* ---- spctl confirm ---- */

/* The newest generation, if it was taken back: that is what the question is about. */
static bool find_taken_back(const struct session *s, struct state_meta *m)
{
	if (!s->newest || state_read_generation(&s->state, s->newest, m, NULL, NULL))
		return false;
	return m->confirm.phase == STATE_CONFIRM_TAKEN_BACK;
}

static int print_confirmed(const struct options *o, const struct session *s, bool now)
{
	const char *nothing = "nothing waits for confirmation: ";

	if (o->json)
		describe_print_json(json_pack("{s:i,s:I,s:b,s:b}", "schema", 1, "generation",
					      (json_int_t)s->live, "confirmed", 1, "changed", now));
	else if (!o->quiet)
		printf("%sgeneration %u is %sconfirmed\n", now ? "" : nothing, s->live,
		       now ? "" : "live and ");
	if (now && !o->json && !o->quiet) {
		struct state_meta before = { .generation = s->meta.confirm.previous };

		cmd_print_way_back(o, before.generation ? &before : NULL);
	}
	return EXIT_DONE;
}

static int nothing_waits(const struct options *o, const struct session *s)
{
	struct state_meta m = { 0 };
	struct err e = { 0 };
	char when[24];

	if (s->live && s->meta.confirm.phase == STATE_CONFIRM_GIVEN)
		return print_confirmed(o, s, false);
	if (find_taken_back(s, &m)) {
		err_set(&e, ESTALE,
			"generation %u was taken back at %s: nothing waits for confirmation",
			m.generation, clock_format_utc(m.confirm.decided_ms, when));
		err_hint(&e, "apply it again: spctl apply %s --confirm SECONDS",
			 strcmp(m.file, "-") ? m.file : "FILE");
	} else if (s->live && !s->meta.generation) {
		err_set(&e, EBADMSG,
			"whether generation %u waits for confirmation cannot be read: its record "
			"is lost or "
			"damaged",
			s->live);
		err_hint(&e, "apply FILE again; see: spctl history");
	} else if (s->live) {
		err_set(&e, ESTALE,
			"nothing waits for confirmation: generation %u was applied without "
			"--confirm",
			s->live);
	} else {
		err_set(&e, ESTALE, "nothing waits for confirmation: nothing is applied");
	}
	state_meta_fini(&m);
	return cmd_fail(o, &e, EXIT_FAILED);
}

int cmd_confirm(const struct options *o, int argc, char **argv)
{
	struct session s;
	struct err e = { 0 };
	bool open;
	int rc = cmd_need_root(o, "confirm changes what spctl keeps");

	(void)argc;
	(void)argv;
	if (rc)
		return rc;
	rc = confirm_open(&s, o->state_dir, o->run_dir, SESSION_LOCK, o->timeout_ms, NULL, &e);
	if (rc)
		return cmd_fail(o, &e, cmd_exit_code(rc));
	open = s.live && state_confirm_is_open(&s.meta.confirm);
	rc = open ? confirm_give(&s, &e) : 0;
	state_unlock(&s.state); /* before anything that may wait for its reader */
	if (!open)
		rc = nothing_waits(o, &s);
	else
		rc = rc ? cmd_fail(o, &e, EXIT_FAILED) : print_confirmed(o, &s, true);
	session_close(&s);
	return rc;
}

int cmd_confirm_timer(const struct options *o, int argc, char **argv)
{
	struct err e = { 0 };

	(void)argc;
	(void)argv;
	if (confirm_timer_run(o->state_dir, o->run_dir, CONFIRM_TIMER_LOCK_FD, &e))
		return cmd_fail(o, &e, EXIT_USAGE);
	return EXIT_DONE;
}
