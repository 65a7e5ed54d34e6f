/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doctor: what on this host breaks the routes that are live, or those of a
 * file. It looks from the side: no lock, nothing written. Only a file with
 * errors makes it fail; what could not be looked at is a note.
 */
#include <cap-ng.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/confirm.h"
#include "ctl/apply/gather.h"
#include "ctl/base/clock.h"
#include "ctl/base/text.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"
#include "ctl/cli/table.h"
#include "ctl/doctor/doctor.h"

#define SHOWN_ROUTES 5

struct doctor_job {
	const struct options *o;
	struct session s;
	bool have_session;
	struct err session_error;
	struct loaded l; /* of the file, or the text of the live generation */
	struct state_meta meta;
	struct gathered g;
	struct plan *plan;
	struct buf dirs; /* --state-dir ... */
	struct doctor_input in;
};

/* ---- output ---- */

/* Words of text from column `at` on, further lines indented by `indent`. */
static void print_wrapped(const char *text, size_t at, size_t indent)
{
	while (*text) {
		size_t word = strcspn(text, " "), gap = strspn(text + word, " ");

		if (at > indent && at + 1 + word > TABLE_WIDTH) {
			printf("\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			putchar(' ');
			at++;
		}
		printf("%.*s", (int)word, text);
		at += word;
		text += word + gap;
	}
	putchar('\n');
}

static void print_routes(const struct finding *f)
{
	struct buf b = { 0 };
	unsigned shown = f->n_routes > SHOWN_ROUTES ? SHOWN_ROUTES : f->n_routes;

	for (unsigned i = 0; i < shown; i++)
		buf_printf(&b, "%s%s", i ? ", " : "", f->routes[i]);
	if (f->n_routes > shown)
		buf_printf(&b, " and %u more", f->n_routes - shown);
	printf("         routes: ");
	print_wrapped(b.data ? b.data : "?", 17, 17);
	buf_fini(&b);
}

static const char *level_colour(enum finding_level l)
{
	return l == FINDING_PROBLEM ? "\033[31m" : l == FINDING_NOTE ? "\033[33m" : "\033[32m";
}

static void print_finding(const struct finding *f, bool colour)
{
	const char *level = finding_level_name(f->level);

	printf("%s%-7s%s  %-15s ", colour ? level_colour(f->level) : "", level,
	       colour ? "\033[0m" : "", f->check);
	print_wrapped(f->message, 25, 25);
	if (f->level != FINDING_OK && f->n_routes)
		print_routes(f);
	/* A command is to be copied: it stays on one line. */
	if (f->level != FINDING_OK && f->fix)
		printf("         fix: %s\n", f->fix);
}

static void print_text(const struct doctor_job *j, const struct doctor_report *r)
{
	bool colour = cmd_colour(j->o, stdout);

	if (j->in.live)
		printf("routes: generation %u, which is live\n", j->in.generation);
	else if (j->plan)
		printf("routes: %s, as if it were applied now\n", j->l.file);
	else
		printf("routes: none (nothing is applied; `spctl doctor FILE` looks at a file)\n");
	for (unsigned i = 0; i < r->n; i++)
		if (!j->o->quiet || r->v[i].level == FINDING_PROBLEM)
			print_finding(&r->v[i], colour);
	if (r->problems)
		printf("%u problem%s, %u route%s affected\n", r->problems, text_plural(r->problems),
		       r->affected, text_plural(r->affected));
	else
		printf("no problems\n");
}

static json_t *finding_json(const struct finding *f)
{
	json_t *routes = json_array();

	for (unsigned i = 0; i < f->n_routes; i++)
		json_array_append_new(routes, json_string(f->routes[i]));
	return json_pack("{s:s,s:s,s:o,s:o,s:o}", "check", f->check, "level",
			 finding_level_name(f->level), "message", report_json_text(f->message),
			 "fix", report_json_text(f->fix), "routes", routes);
}

static void print_json(const struct doctor_report *r)
{
	json_t *findings = json_array();

	for (unsigned i = 0; i < r->n; i++)
		json_array_append_new(findings, finding_json(&r->v[i]));
	describe_print_json(json_pack("{s:i,s:o,s:i}", "schema", 1, "findings", findings,
				      "affected", (int)r->affected));
}

/* ---- what to look at ---- */

static void add_override(struct buf *b, const char *name, const char *value, const char *usual)
{
	if (strcmp(value, usual) != 0)
		buf_printf(b, " --%s %s", name, value);
}

/* Where the directories cannot be opened as this namespace's, the routes in them can still be
 * named. */
static uint32_t find_live(struct doctor_job *j, struct err *e)
{
	const struct state s = { .state_dir = (char *)(uintptr_t)j->o->state_dir, .lock_fd = -1 };
	uint32_t live = 0;

	if (j->have_session)
		return j->s.live;
	/* Nobody's: for every other command nothing is applied, and apply forgets what was live. */
	if (!j->session_error.code)
		return 0;
	return state_live(&s, &live, e) ? 0 : live;
}

static int read_live(struct doctor_job *j, uint32_t live, struct err *e)
{
	const struct state s = { .state_dir = (char *)(uintptr_t)j->o->state_dir, .lock_fd = -1 };
	const struct config_options opt = { .lenient = true };
	int rc = state_read_generation(j->have_session ? &j->s.state : &s, live, &j->meta,
				       &j->l.text, e);

	if (rc)
		return rc;
	j->l.config = config_parse(j->meta.file, j->l.text.data ? j->l.text.data : "",
				   j->l.text.len, &opt, &j->l.diags);
	diags_fini(&j->l.diags); /* what they were was said at apply */
	rc = j->l.config ? gather_past_facts(&j->g, &j->meta, e)
			 : err_set(e, EINVAL, "generation %u cannot be read any more", live);
	j->plan = rc ? NULL : plan_build(j->l.config, &j->g.facts, &j->l.diags);
	diags_fini(&j->l.diags);
	return rc	 ? rc
	       : j->plan ? 0
			 : err_set(e, EINVAL, "generation %u cannot be planned any more", live);
}

static void load_live(struct doctor_job *j)
{
	struct err e = { 0 };
	uint32_t live = find_live(j, &e);

	if (!live)
		return;
	if (read_live(j, live, &e)) {
		if (!j->session_error.code)
			j->session_error = e;
		return;
	}
	j->in.live = true;
	j->in.generation = live;
}

/* 0, or the exit code after everything was said. */
static int load_file(struct doctor_job *j, const char *file)
{
	struct err e = { 0 };

	if (cmd_load(&j->l, file, j->o->lenient)) {
		if (gather_facts(&j->g, j->l.config, NULL, j->o->timeout_ms, &j->l.diags, &e))
			return cmd_fail(j->o, &e, EXIT_FAILED);
		j->plan = plan_build(j->l.config, &j->g.facts, &j->l.diags);
	}
	if (j->plan)
		return 0;
	cmd_report(j->o, &j->l);
	return cmd_file_code(&j->l);
}

static int64_t newest_time(const struct doctor_job *j)
{
	struct state_meta newest = { 0 };
	int64_t when = 0;

	if (j->have_session && j->s.newest &&
	    !state_read_generation(&j->s.state, j->s.newest, &newest, NULL, NULL))
		when = newest.time_ms;
	state_meta_fini(&newest);
	return when > j->meta.time_ms ? when : j->meta.time_ms;
}

static void open_session(struct doctor_job *j)
{
	int rc = confirm_open(&j->s, j->o->state_dir, j->o->run_dir, 0, j->o->timeout_ms, NULL,
			      &j->session_error);

	j->have_session = !rc;
	if (rc == -ENOENT && !state_ownerless(j->o->state_dir))
		j->session_error = (struct err){ 0 };
}

static int run(struct doctor_job *j)
{
	struct doctor_report report;
	struct err e = { 0 };
	int code;

	capng_get_caps_process();
	j->in.have_admin = capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN);
	if (!j->in.live)
		j->in.table = cmd_table(j->o, j->l.config, &e);
	else
		j->in.table = j->have_session ? session_table(&j->s) : j->meta.table;
	if (!j->in.table)
		return cmd_fail(j->o, &e, EXIT_USAGE);
	if (!j->g.have_host && !host_facts_read(&j->g.host, &e))
		j->g.have_host = true;
	j->in.host = j->g.have_host ? &j->g.host : NULL;
	j->in.plan = j->plan;
	j->in.session = j->have_session ? &j->s : NULL;
	j->in.session_error = &j->session_error;
	j->in.state_dir = j->o->state_dir;
	j->in.run_dir = j->o->run_dir;
	j->in.options = j->dirs.data ? j->dirs.data : "";
	j->in.newest_ms = newest_time(j);
	j->in.now_ms = clock_wall_ms();
	if (doctor_run(&j->in, &report, &e))
		return cmd_fail(j->o, &e, EXIT_FAILED);
	if (j->o->json)
		print_json(&report);
	else
		print_text(j, &report);
	code = report.affected ? EXIT_FAILED : EXIT_DONE;
	doctor_report_fini(&report);
	return code;
}

int cmd_doctor(const struct options *o, int argc, char **argv)
{
	struct doctor_job j = { .o = o };
	int code = 0;

	add_override(&j.dirs, "state-dir", o->state_dir, OPTIONS_STATE_DIR);
	add_override(&j.dirs, "run-dir", o->run_dir, OPTIONS_RUN_DIR);
	open_session(&j);
	if (argc)
		code = load_file(&j, argv[0]);
	else
		load_live(&j);
	if (!code)
		code = run(&j);
	plan_free(j.plan);
	gather_fini(&j.g);
	cmd_unload(&j.l);
	state_meta_fini(&j.meta);
	if (j.have_session)
		session_close(&j.s);
	buf_fini(&j.dirs);
	return code;
}
