/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/apply/apply.h"
#include "ctl/apply/confirm.h"
#include "ctl/base/clock.h"
#include "ctl/base/log.h"
#include "ctl/base/text.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/cmd_confirm.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/drain.h"
#include "ctl/cli/live_plan.h"
#include "ctl/cli/own_session_check.h"
#include "ctl/cli/progress.h"
#include "ctl/cli/route_diff.h"
#include "ctl/control/client.h"
#include "ctl/state/state_found.h"

#define ROUTES_NAMED 10000

struct apply_job {
	const struct options *o;
	struct loaded l;
	struct session s;
	struct gathered g;
	struct plan *plan;
	struct apply_result result;
	int64_t started_us, parse_us, facts_us, plan_us;
	unsigned previous;		/* generation that was live before */
	struct live_plan_loader before; /* its plan */
	bool locks_out;			/* refused: it takes the port of this very session */
	char scratch[40];		/* directory of a dry run, or "" */
};

/* False when it cannot be said any more; *out NULL = nothing was live. */
static bool plan_before(struct apply_job *j, const struct plan **out)
{
	*out = NULL;
	if (!j->result.changed || j->result.repaired)
		*out = j->plan;
	else if (j->previous)
		*out = live_plan_finish(&j->before, &j->s.state, j->previous);
	return *out || !j->previous;
}

static json_t *changes_json(struct apply_job *j)
{
	const struct plan *before;

	return plan_before(j, &before) ? route_diff_json(before, j->plan) : json_null();
}

static void print_json(struct apply_job *j)
{
	const struct nft_change_stats *c = &j->result.stats;

	describe_print_json(json_pack(
		"{s:i,s:i,s:b,s:b,s:b,s:o,s:i,s:o,s:i,s:b,s:b,s:{s:i,s:i,s:i,s:i,s:i,s:i,s:i},s:o}",
		"schema", 1, "generation", (int)j->result.generation, "changed", j->result.changed,
		"dryRun", j->o->dry_run, "repaired", j->result.repaired, "confirm",
		cmd_confirm_result_json(&j->s, &j->result), "routes", (int)j->plan->n_enabled,
		"routeChanges", changes_json(j), "flowsEnded", (int)j->result.flows_ended,
		"serviceStarted", j->result.service_pid != 0, "serviceRepaired",
		j->result.service_repaired, "changes", "elementsAdded", (int)c->elems_added,
		"elementsDeleted", (int)c->elems_deleted, "chainsAdded", (int)c->chains_added,
		"chainsDeleted", (int)c->chains_deleted, "chainsChanged", (int)c->chains_changed,
		"setsAdded", (int)c->sets_added, "setsDeleted", (int)c->sets_deleted, "warnings",
		describe_warnings_json(&j->l.diags)));
}

static void print_service(const struct apply_result *r)
{
	if (r->service_pid)
		printf("started the service (pid %d)\n", r->service_pid);
}

static void print_sysctls(const struct apply_result *r)
{
	const char *sep = "turned on, with a guard: ";

	if (r->forward_v4)
		printf("%sipv4.ip_forward", sep);
	sep = r->forward_v4 ? ", " : sep;
	if (r->forward_v6)
		printf("%sipv6.conf.all.forwarding", sep);
	sep = r->forward_v6 ? ", " : sep;
	if (r->route_localnet)
		printf("%sipv4.conf.all.route_localnet", sep);
	if (r->forward_v4 || r->forward_v6 || r->route_localnet)
		putchar('\n');
}

static void print_ended(const struct apply_job *j)
{
	unsigned n = j->result.flows_ended;

	if (n || j->o->kill || j->o->drain_s != OPTIONS_NO_DRAIN)
		printf("%s: %u connection%s that the routes would not make any more\n",
		       j->o->dry_run ? "would end" : "ended", n, text_plural(n));
}

/* To name what changed, the live file is parsed as well. Of a huge one that is as much work again
 * as the whole apply: then only those who ask for it get it. */
static bool names_routes(const struct apply_job *j)
{
	const struct options *o = j->o;

	return o->json || (!o->quiet && (o->verbose || j->l.config->n_routes <= ROUTES_NAMED));
}

static void print_summary(struct apply_job *j)
{
	const struct nft_change_stats *c = &j->result.stats;
	const struct plan *before;
	struct buf b = { 0 };

	if (j->previous && !names_routes(j))
		buf_printf(&b, "%zu element%s added, %zu deleted (with -v: which routes)",
			   c->elems_added, text_plural(c->elems_added), c->elems_deleted);
	else if (plan_before(j, &before))
		route_diff_summary(before, j->plan, &b);
	else
		buf_printf(
			&b,
			"what changes cannot be said: the file of generation %u is not to be read",
			j->previous);
	printf("%s\n", b.data && !b.failed ? b.data : "?");
	buf_fini(&b);
}

static void print_elements(const struct apply_job *j)
{
	const struct nft_change_stats *c = &j->result.stats;

	if (j->o->verbose)
		printf(": %zu element%s added, %zu deleted (%.2f s)", c->elems_added,
		       text_plural(c->elems_added), c->elems_deleted,
		       (double)(clock_mono_us() - j->started_us) / 1e6);
	putchar('\n');
}

static void print_unchanged(const struct apply_job *j)
{
	const struct apply_result *r = &j->result;

	if (r->service_repaired && !r->service_pid)
		printf("repaired: the service did not serve all that generation %u says\n",
		       r->generation);
	else if (!r->service_pid)
		printf("nothing to do: generation %u is live and is what %s says\n", r->generation,
		       j->l.file);
	else
		printf("generation %u is what %s says, and the service was not there\n",
		       r->generation, j->l.file);
	print_service(r);
}

/* At most five lines, whatever happened, and the last is the way back. */
static void print_text(struct apply_job *j)
{
	const struct apply_result *r = &j->result;

	if (!r->changed) {
		print_unchanged(j);
		print_ended(j);
		cmd_confirm_print_nothing(j->o, &j->s);
		return;
	}
	if (j->o->dry_run)
		printf("dry run, nothing was changed: the kernel takes %s %u route%s",
		       j->plan->n_enabled == 1 ? "this" : "these", j->plan->n_enabled,
		       text_plural(j->plan->n_enabled));
	else if (r->repaired)
		printf("repaired: the kernel's table was not what generation %u says",
		       r->generation);
	else if (r->confirm.phase == STATE_CONFIRM_WAITING)
		cmd_confirm_print_begun(j->o, r->generation, &r->confirm);
	else
		printf("generation %u is live", r->generation);
	print_elements(j);
	if (!r->repaired)
		print_summary(j);
	if (!j->o->dry_run) {
		print_service(r);
		print_sysctls(r);
	}
	print_ended(j);
	if (j->o->dry_run)
		return;
	if (r->confirm.phase == STATE_CONFIRM_WAITING) {
		cmd_confirm_print_way_back(j->o);
		return;
	}
	/* A repair goes back to nothing but a broken table: down is the way out of it. */
	cmd_print_way_back(j->o, r->repaired || !j->s.meta.generation ? NULL : &j->s.meta);
}

/* With -v, on stderr: where the time went. */
static void print_times(const struct apply_job *j)
{
	const struct apply_times *t = &j->result.times;

	log_debug(
		"milliseconds: read and parse %lld, lock and facts %lld, plan %lld, compare %lld, "
		"compile %lld, write %lld, kernel %lld, read back %lld, finish %lld",
		(long long)j->parse_us / 1000, (long long)j->facts_us / 1000,
		(long long)j->plan_us / 1000, (long long)t->read_us / 1000,
		(long long)t->compile_us / 1000, (long long)t->write_us / 1000,
		(long long)t->kernel_us / 1000, (long long)t->verify_us / 1000,
		(long long)t->finish_us / 1000);
}

/* Before any line that may have to wait for its reader: the lock is not kept for that long. */
static void give_back(struct apply_job *j)
{
	state_unlock(&j->s.state);
	progress_end();
}

static int fail(struct apply_job *j, const struct err *e, int code)
{
	give_back(j);
	return cmd_fail(j->o, e, code);
}

/* The port of the ssh session that runs this is taken away only by those who say so. */
static void check_own_session(struct apply_job *j)
{
	struct err e = { 0 };

	if (!own_session_is_lost(&j->s, j->plan, &j->g.host, &e))
		return;
	j->locks_out = !j->o->force && !j->o->confirm_s;
	diags_add(&j->l.diags, j->locks_out ? DIAG_ERROR : DIAG_WARNING, e.loc, NULL,
		  j->locks_out ? e.hint : NULL, "%s", e.msg);
}

static int plan_all(struct apply_job *j)
{
	struct err e = { 0 };
	int rc;

	progress_phase("reading addresses");
	j->g.no_daemon = j->o->no_daemon;
	j->g.have_service = control_look(j->o->run_dir) != CONTROL_NONE;
	rc = gather_rest(&j->g, j->s.live ? &j->s.meta : NULL, &j->l.diags, &e);
	if (rc)
		return fail(j, &e, EXIT_FAILED);
	progress_phase("planning");
	j->facts_us = clock_mono_us() - j->started_us - j->parse_us;
	j->plan = plan_build_new(j->l.config, &j->g.facts, &j->l.diags);
	progress_hide();
	if (!j->plan) {
		give_back(j);
		cmd_report(j->o, &j->l);
		return cmd_file_code(&j->l);
	}
	gather_warn(&j->g, j->plan, &j->l.diags);
	plan_report_refusals(j->plan, &j->l.diags);
	check_own_session(j);
	j->plan_us = clock_mono_us() - j->started_us - j->parse_us - j->facts_us;
	if (!j->plan->refused && !j->locks_out)
		return EXIT_DONE; /* the warnings come with the result */
	give_back(j);
	cmd_report(j->o, &j->l);
	return EXIT_FAILED;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

/* A dry run where nothing was ever applied leaves no directories behind. */
static int open_scratch(struct apply_job *j, struct err *e)
{
	char state[sizeof(j->scratch) + 8], run[sizeof(j->scratch) + 8];

	snprintf(j->scratch, sizeof(j->scratch), "/tmp/spctl-dry-run.XXXXXX");
	if (!mkdtemp(j->scratch)) {
		j->scratch[0] = '\0';
		return err_sys(e, errno, "cannot make a directory in /tmp");
	}
	snprintf(state, sizeof(state), "%s/state", j->scratch);
	snprintf(run, sizeof(run), "%s/run", j->scratch);
	return session_open(&j->s, state, run, SESSION_CREATE | SESSION_LOCK, j->o->timeout_ms, e);
}

/* Without the lock: a name server that does not answer would keep a timer of --confirm waiting. */
static int ask_names(struct apply_job *j, struct err *e)
{
	struct state_meta known = { 0 };
	int rc;

	if (gather_asks_names(j->l.config)) {
		progress_phase("asking DNS");
		live_plan_wait(&j->before);
		gather_known(j->o->state_dir, j->o->run_dir, &known);
	}
	rc = gather_names(&j->g, j->l.config, &known, j->o->timeout_ms, e);
	state_meta_fini(&known);
	return rc;
}

static int open_session(struct apply_job *j, struct err *e)
{
	unsigned flags = SESSION_LOCK | (j->o->dry_run ? SESSION_LOOK : SESSION_CREATE);
	int rc = confirm_open(&j->s, j->o->state_dir, j->o->run_dir, flags, j->o->timeout_ms, NULL,
			      e);

	return rc == -ENOENT && j->o->dry_run ? open_scratch(j, e) : rc;
}

/* Nobody looks any more, so nobody would find them up again. */
static void forget_down(struct apply_job *j)
{
	struct err e = { 0 };

	if (!j->o->dry_run && j->g.no_daemon && !j->g.have_service &&
	    state_found_forget_down(&j->s.state, &e))
		log_warn("%s", e.msg);
}

static int run(struct apply_job *j)
{
	struct apply_request request = {
		.gathered = &j->g,
		.text = j->l.text.data,
		.text_len = j->l.text.len,
		.file = j->l.file,
		.dry_run = j->o->dry_run,
		.lenient = j->o->lenient,
		.no_daemon = j->o->no_daemon,
		.kill = j->o->kill,
		.drain = j->o->drain_s != OPTIONS_NO_DRAIN,
		.drain_s = j->o->drain_s,
		.tick = drain_tick,
		.phase = progress_phase,
		.confirm_s = j->o->confirm_s,
	};
	struct err e = { 0 };
	int rc;

	rc = ask_names(j, &e);
	if (rc)
		return fail(j, &e, EXIT_FAILED);
	progress_phase("waiting for the lock");
	rc = open_session(j, &e);
	if (!rc && !j->o->dry_run)
		rc = confirm_may_apply(&j->s, j->o->confirm_s, &e);
	if (rc)
		return fail(j, &e, cmd_exit_code(rc));
	j->previous = j->s.live;
	request.table = cmd_table(j->o, j->l.config, &e);
	if (!request.table)
		return fail(j, &e, EXIT_USAGE);
	rc = plan_all(j);
	if (rc)
		return rc;
	request.plan = j->plan;
	forget_down(j);
	rc = apply_run(&j->s, &request, &j->result, &e);
	give_back(j);
	cmd_report(j->o, &j->l);
	if (rc)
		return cmd_fail(j->o, &e, cmd_exit_code(rc));
	print_times(j);
	if (j->o->json)
		print_json(j);
	else if (!j->o->quiet)
		print_text(j);
	return EXIT_DONE;
}

/* Options that exclude each other: 0 or the exit code. */
static int check_options(const struct options *o)
{
	bool drain = o->drain_s != OPTIONS_NO_DRAIN;
	struct err e = { 0 };

	if (o->kill && drain)
		err_set(&e, EINVAL, "--kill and --drain exclude each other");
	if (drain && o->confirm_s)
		err_set(&e, EINVAL, "--drain and --confirm exclude each other");
	if (o->dry_run && o->confirm_s)
		err_set(&e, EINVAL, "--dry-run changes nothing: there is nothing to confirm");
	return e.code ? cmd_fail(o, &e, EXIT_USAGE) : 0;
}

int cmd_apply(const struct options *o, int argc, char **argv)
{
	struct apply_job j = { .o = o, .started_us = clock_mono_us() };
	struct err e = { 0 };
	const char *file;
	int rc = check_options(o);

	if (rc)
		return rc;
	if (o->boot)
		return cmd_apply_boot(o, argc);
	file = cmd_find_file(argc, argv, &e);
	if (!file)
		return cmd_fail(o, &e, EXIT_USAGE);
	progress_start(o);
	progress_phase("reading routes");
	if (!cmd_load(&j.l, file, o->lenient)) {
		progress_end();
		cmd_report(o, &j.l);
		cmd_unload(&j.l);
		return EXIT_USAGE;
	}
	j.parse_us = clock_mono_us() - j.started_us;
	progress_hide();
	if (names_routes(&j))
		live_plan_start(&j.before, o->state_dir, o->run_dir, file);
	rc = cmd_need_root(o, "apply changes the kernel's ruleset");
	if (!rc) {
		j.s.state.lock_fd = -1;
		rc = run(&j);
		plan_free(j.plan);
		gather_fini(&j.g);
		if (j.s.nft)
			session_close(&j.s);
		if (j.scratch[0])
			nftw(j.scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	}
	progress_end();
	live_plan_loader_fini(&j.before);
	cmd_unload(&j.l);
	return rc;
}
