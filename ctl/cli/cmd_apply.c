/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/apply/apply.h"
#include "ctl/base/clock.h"
#include "ctl/base/log.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/describe.h"

struct apply_job {
	const struct options *o;
	struct loaded l;
	struct session s;
	struct gathered g;
	struct plan *plan;
	struct apply_result result;
	int64_t started_us, parse_us, facts_us, plan_us;
	unsigned previous; /* generation that was live before */
	char scratch[40];  /* directory of a dry run, or "" */
};

static void print_json(const struct apply_job *j)
{
	const struct nft_change_stats *c = &j->result.stats;

	describe_print_json(
		json_pack("{s:i,s:i,s:b,s:b,s:b,s:i,s:{s:i,s:i,s:i,s:i,s:i,s:i,s:i},s:o}", "schema",
			  1, "generation", (int)j->result.generation, "changed", j->result.changed,
			  "dryRun", j->o->dry_run, "repaired", j->result.repaired, "routes",
			  (int)j->plan->n_enabled, "changes", "elementsAdded", (int)c->elems_added,
			  "elementsDeleted", (int)c->elems_deleted, "chainsAdded",
			  (int)c->chains_added, "chainsDeleted", (int)c->chains_deleted,
			  "chainsChanged", (int)c->chains_changed, "setsAdded", (int)c->sets_added,
			  "setsDeleted", (int)c->sets_deleted, "warnings",
			  describe_warnings_json(&j->l.diags)));
}

static void print_sysctls(const struct apply_result *r)
{
	if (r->forward_v4)
		printf("turned on: net.ipv4.ip_forward (forwards our routes only; down puts it "
		       "back)\n");
	if (r->forward_v6)
		printf("turned on: net.ipv6.conf.all.forwarding (forwards our routes only; down "
		       "puts it back)\n");
	if (r->route_localnet)
		printf("turned on: net.ipv4.conf.all.route_localnet (with a guard; down puts it "
		       "back)\n");
}

static void print_text(const struct apply_job *j)
{
	const struct apply_result *r = &j->result;
	double seconds = (double)(clock_mono_us() - j->started_us) / 1e6;
	const char *s = j->plan->n_enabled == 1 ? "" : "s";

	if (!r->changed) {
		printf("nothing to do: generation %u is live and is what %s says\n", r->generation,
		       j->l.file);
		return;
	}
	if (j->o->dry_run) {
		printf("dry run: the kernel takes these %u route%s (%zu elements to add, %zu to "
		       "delete); nothing was changed\n",
		       j->plan->n_enabled, s, r->stats.elems_added, r->stats.elems_deleted);
		return;
	}
	if (r->repaired)
		printf("repaired: the kernel's table was not what generation %u says\n",
		       j->previous);
	print_sysctls(r);
	printf("generation %u is live: %u route%s in the kernel, %zu element%s added, %zu deleted "
	       "(%.2f s)\n",
	       r->generation, j->plan->n_enabled, s, r->stats.elems_added,
	       r->stats.elems_added == 1 ? "" : "s", r->stats.elems_deleted, seconds);
	/* A repair goes back to nothing but a broken table: down is the way out of it. */
	cmd_print_way_back(j->o, r->repaired || !j->s.meta.generation ? NULL : &j->s.meta);
}

/* With -v, on stderr: where the time went. */
static void print_times(const struct apply_job *j)
{
	const struct apply_times *t = &j->result.times;

	log_debug(
		"milliseconds: read and parse %lld, lock and facts %lld, plan %lld, compare %lld, "
		"compile %lld, write %lld, kernel %lld, finish %lld",
		(long long)j->parse_us / 1000, (long long)j->facts_us / 1000,
		(long long)j->plan_us / 1000, (long long)t->read_us / 1000,
		(long long)t->compile_us / 1000, (long long)t->write_us / 1000,
		(long long)t->kernel_us / 1000, (long long)t->finish_us / 1000);
}

static int plan_all(struct apply_job *j)
{
	struct err e = { 0 };
	int rc = gather_facts(&j->g, j->l.config, j->s.live ? &j->s.meta : NULL, j->o->timeout_ms,
			      &j->l.diags, &e);

	if (rc)
		return cmd_fail(j->o, &e, EXIT_FAILED);
	j->facts_us = clock_mono_us() - j->started_us - j->parse_us;
	j->plan = plan_build(j->l.config, &j->g.facts, &j->l.diags);
	if (!j->plan) {
		cmd_report(j->o, &j->l);
		return cmd_file_code(&j->l);
	}
	gather_warn(&j->g, j->plan, &j->l.diags);
	plan_report_refusals(j->plan, &j->l.diags);
	j->plan_us = clock_mono_us() - j->started_us - j->parse_us - j->facts_us;
	cmd_report(j->o, &j->l);
	return j->plan->refused ? EXIT_FAILED : EXIT_DONE;
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

static int open_session(struct apply_job *j, struct err *e)
{
	unsigned flags = SESSION_LOCK | (j->o->dry_run ? 0 : SESSION_CREATE);
	int rc = session_open(&j->s, j->o->state_dir, j->o->run_dir, flags, j->o->timeout_ms, e);

	return rc == -ENOENT && j->o->dry_run ? open_scratch(j, e) : rc;
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
	};
	struct err e = { 0 };
	int rc = open_session(j, &e);

	if (rc)
		return cmd_fail(j->o, &e, cmd_exit_code(rc));
	j->previous = j->s.live;
	request.table = cmd_table(j->o, j->l.config, &e);
	if (!request.table)
		return cmd_fail(j->o, &e, EXIT_USAGE);
	rc = plan_all(j);
	if (rc)
		return rc;
	request.plan = j->plan;
	rc = apply_run(&j->s, &request, &j->result, &e);
	if (rc)
		return cmd_fail(j->o, &e, cmd_exit_code(rc));
	print_times(j);
	if (j->o->json)
		print_json(j);
	else if (!j->o->quiet)
		print_text(j);
	return EXIT_DONE;
}

int cmd_apply(const struct options *o, int argc, char **argv)
{
	struct apply_job j = { .o = o, .started_us = clock_mono_us() };
	struct err e = { 0 };
	const char *file = cmd_find_file(argc, argv, &e);
	int rc;

	if (!file)
		return cmd_fail(o, &e, EXIT_USAGE);
	if (!cmd_load(&j.l, file, o->lenient)) {
		cmd_report(o, &j.l);
		cmd_unload(&j.l);
		return EXIT_USAGE;
	}
	j.parse_us = clock_mono_us() - j.started_us;
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
	cmd_unload(&j.l);
	return rc;
}
