/* SPDX-License-Identifier: GPL-2.0-or-later */
/* apply --boot: the last confirmed generation again, under its own number, asking nobody. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/again.h"
#include "ctl/apply/confirm.h"
#include "ctl/base/log.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"
#include "ctl/state/state_confirm.h"

static int check_usage(const struct options *o, int argc)
{
	struct err e = { 0 };
	const char *with = argc				    ? "a route file"
			   : o->dry_run			    ? "--dry-run"
			   : o->confirm_s		    ? "--confirm"
			   : o->kill			    ? "--kill"
			   : o->drain_s != OPTIONS_NO_DRAIN ? "--drain"
							    : NULL;

	if (!with)
		return 0;
	err_set(&e, EINVAL, "--boot takes what was confirmed last: %s makes no sense with it",
		with);
	return cmd_fail(o, &e, EXIT_USAGE);
}

static int nothing_there(const struct options *o)
{
	if (o->json)
		describe_print_json(json_pack("{s:i,s:i,s:b,s:b,s:i,s:[]}", "schema", 1,
					      "generation", 0, "changed", 0, "boot", 1, "routes", 0,
					      "warnings"));
	else if (!o->quiet)
		printf("nothing is applied: nothing to bring back\n");
	return EXIT_DONE;
}

static void print_result(const struct options *o, const struct session *s,
			 const struct apply_result *r, const struct diags *d)
{
	if (o->json) {
		describe_print_json(json_pack("{s:i,s:i,s:b,s:b,s:i,s:o}", "schema", 1,
					      "generation", (int)r->generation, "changed",
					      r->changed, "boot", 1, "routes", s->meta.routes,
					      "warnings", describe_warnings_json(d)));
		return;
	}
	if (o->quiet)
		return;
	if (!r->changed && (r->service_repaired || r->service_pid))
		printf("generation %u is in the kernel, and the service serves it again\n",
		       r->generation);
	else if (!r->changed)
		printf("nothing to do: generation %u is in the kernel\n", r->generation);
	else
		printf("generation %u is in the kernel again (%s, addresses as they were "
		       "resolved then)\n",
		       r->generation, s->meta.file);
	if (r->changed)
		cmd_print_way_back(o, NULL);
}

/* One that waits is never what a restart of the service leaves. */
static int drop_unconfirmed(struct session *s, const struct options *o, struct err *e)
{
	uint32_t was = s->live;
	int rc;

	if (!was || !state_confirm_is_open(&s->meta.confirm))
		return 0;
	rc = confirm_take_back(s, e);
	session_close(s);
	if (rc)
		return rc;
	fprintf(stderr, "spctl: generation %u was not confirmed: it is taken back\n", was);
	return session_open(s, o->state_dir, o->run_dir, SESSION_CREATE | SESSION_LOCK,
			    o->timeout_ms, e);
}

/* A record that cannot be read cannot say that it was confirmed: it does not count as that, and
 * routes that were are better than none. */
static int replace_unreadable(struct session *s, struct err *e)
{
	uint32_t other;

	if (!s->live || s->meta.generation)
		return 0;
	other = confirm_newest_given(s, 0, s->live, true);
	if (!other)
		return 0;
	log_warn("whether generation %u was confirmed cannot be read: generation %u, the newest "
		 "that was, is taken",
		 s->live, other);
	return state_read_generation(&s->state, other, &s->meta, NULL, e);
}

static int boot(struct session *s, const struct options *o)
{
	struct apply_result result;
	struct again_request r = { .same_number = true };
	struct diags d = { 0 };
	struct err e = { 0 };
	int rc = drop_unconfirmed(s, o, &e);
	bool nothing;

	rc = rc ? rc : replace_unreadable(s, &e);
	nothing = !rc && !s->live;
	r.generation = s->meta.generation ? s->meta.generation : s->live;
	if (!rc && !nothing)
		rc = again_apply(s, &r, &result, &d, &e);
	state_unlock(&s->state); /* before anything that may wait for its reader */
	if (rc)
		rc = cmd_fail(o, &e, cmd_exit_code(rc));
	else if (nothing)
		rc = nothing_there(o);
	else
		print_result(o, s, &result, &d);
	if (!rc && !nothing && !o->json && !o->quiet)
		report_diags_text(stderr, &d, NULL, 0, cmd_colour(o, stderr));
	diags_fini(&d);
	return rc;
}

int cmd_apply_boot(const struct options *o, int argc)
{
	struct session s;
	struct err e = { 0 };
	int rc = check_usage(o, argc);

	rc = rc ? rc : cmd_need_root(o, "apply changes the kernel's ruleset");
	if (rc)
		return rc;
	/* Processes of other PID namespaces cannot be seen: somebody has to say that it is so. */
	if (o->force && state_take_over(o->state_dir, o->run_dir, &e))
		return cmd_fail(o, &e, EXIT_FAILED);
	/* A look first: where nothing was ever applied no directory is made. */
	rc = session_open(&s, o->state_dir, o->run_dir, 0, 0, &e);
	if (rc == -ENOENT && !state_ownerless(o->state_dir))
		return nothing_there(o);
	if (!rc)
		session_close(&s);
	rc = rc ? rc
		: confirm_open(&s, o->state_dir, o->run_dir, SESSION_CREATE | SESSION_LOCK,
			       o->timeout_ms, NULL, &e);
	if (rc)
		return cmd_fail(o, &e, cmd_exit_code(rc));
	rc = boot(&s, o);
	session_close(&s);
	return rc;
}
