/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of steps, and why it is safe to die between any two:
 *   guard      a chain that drops foreign forwarding: no effect while forwarding is off
 *   sysctls    journalled first; forwarding is on, the guard is up: nothing opens
 *   prepare    the service, if any is needed, binds and loads N beside what it serves
 *   pending    generation N on disk, fsynced: still the old routes. It says whether it waits
 *              for confirmation, and until when; the timer for that runs already
 *   batch      one transaction: the new routes. It carries N, so recovery knows
 *   read back  what the kernel has is what was written, or the old generation goes back
 *   commit     the service serves N; if this command dies before, it asks the kernel
 *   live, image, prune: bookkeeping that recovery redoes
 */
#include "ctl/apply/apply_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/confirm.h"
#include "ctl/apply/failpoint.h"
#include "ctl/apply/former_counts.h"
#include "ctl/apply/readback.h"
#include "ctl/base/clock.h"
#include "ctl/base/log.h"
#include "ctl/state/state_confirm.h"

#define GENID_TRIES 20 /* other tools may commit between our look and our batch */

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}

/* Adds the time since the last call to a phase. */
static void lap(struct apply_job *j, int64_t *phase_us)
{
	int64_t now = clock_mono_us();

	*phase_us += now - j->lap_us;
	j->lap_us = now;
}

void apply_phase(const struct apply_job *j, const char *fmt, ...)
{
	char text[80];
	va_list ap;

	if (!j->r->phase)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	j->r->phase(text);
}

/* ---- generations ---- */

static bool same_names(const struct state_meta *m, const struct gathered *g)
{
	if (m->n_names != g->n_names)
		return false;
	for (unsigned i = 0; i < m->n_names; i++) {
		const struct resolved_name *a = &m->names[i], *b = &g->names[i];

		if (strcmp(a->name, b->name) || a->n != b->n)
			return false;
		for (unsigned k = 0; k < a->n; k++)
			if (addr_cmp(&a->addrs[k], &b->addrs[k]))
				return false;
	}
	return true;
}

/* Same file, same addresses behind its names, same table: the live generation is meant again. */
static bool means_live_generation(const struct apply_job *j)
{
	struct state_meta m = { 0 };
	struct buf old = { 0 };
	bool same;

	if (!j->s->live)
		return false;
	/* The same routes for good, while they wait for confirmation, are not what is live: they
	 * would go at the deadline. */
	if (state_confirm_is_open(&j->s->meta.confirm) && !j->r->confirm_s && !j->r->dry_run)
		return false;
	same = !state_read_generation(&j->s->state, j->s->live, &m, &old, NULL) &&
	       !strcmp(m.table, j->compile.table) && old.len == j->r->text_len &&
	       !memcmp(old.data, j->r->text, old.len) && same_names(&m, j->r->gathered);
	state_meta_fini(&m);
	buf_fini(&old);
	return same;
}

static int write_pending(struct apply_job *j)
{
	const struct gathered *g = j->r->gathered;
	struct state_meta m = {
		.generation = j->compile.generation,
		.time_ms = clock_wall_ms(),
		.file = strdup(j->r->file),
		.table = strdup(j->compile.table),
		.lenient = j->r->lenient,
		.names = g->names,
		.n_names = g->n_names,
		.copy_of = j->r->copy_of,
		.routes = (int)j->r->plan->n_enabled,
		.confirm = confirm_begin(j->s, j->r->confirm_s),
		.settings = sysctl_journal_wants(j->s->journal),
	};
	int rc =
		m.file && m.table ? session_set_pending(j->s, m.generation, j->e) : no_memory(j->e);

	if (!rc && (strcmp(m.table, DEFAULT_TABLE) || j->s->noted_table[0]))
		rc = session_note_table(j->s, m.table, j->e);
	rc = rc ? rc : apply_finish_writing(j);
	rc = rc ? rc : state_write_meta(&j->s->state, &m, j->e);
	free(m.file);
	free(m.table);
	FAILPOINT(pending);
	j->out->confirm = m.confirm;
	if (!rc && j->r->confirm_s)
		rc = confirm_start_timer(j->s, j->e);
	FAILPOINT(armed);
	return rc;
}

static void drop_generation(struct apply_job *j)
{
	struct err e = *j->e;

	apply_finish_writing(j);
	*j->e = e; /* why all this is dropped */
	state_delete_generation(&j->s->state, j->compile.generation, NULL);
	session_set_pending(j->s, 0, NULL);
}

/* ---- the batch ---- */

static int compile_want(struct apply_job *j)
{
	ruleset_free(j->want);
	j->compile.ids = j->route_ids;
	j->compile.no_flows = !apply_keeps_flows(j);
	j->want = ruleset_compile(j->r->plan, &j->compile, j->e);
	if (j->want)
		ruleset_choose_sizes(j->want, j->s->have);
	return j->want ? 0 : (j->e->code ? j->e->code : no_memory(j->e));
}

static void place_refusal(struct apply_job *j, const struct nft_refusal *refusal)
{
	const struct config *c = j->r->plan->config;

	if (refusal->what[0])
		err_wrap(j->e, "the kernel refused %s", refusal->what);
	if (refusal->place >= c->n_routes)
		return;
	err_wrap(j->e, "route \"%s\"", c->routes[refusal->place].name);
	err_place(j->e, c->routes[refusal->place].loc, NULL);
}

/* 1 = the kernel has the new generation, 0 = it has not, -1 = nobody can say. */
static int kernel_has_new(struct apply_job *j)
{
	struct ruleset *head = NULL;
	int has;

	if (nft_read_head(j->s->nft, j->compile.table, &head, NULL))
		return -1;
	has = head->ours && head->generation == j->compile.generation && !j->again;
	ruleset_free(head);
	return has;
}

/* The answer is lost: asks the kernel what happened. If that fails, too, everything stays as it
 * is, pending: the next command finds out. */
static int settle_lost_answer(struct apply_job *j, int rc)
{
	int has = kernel_has_new(j);

	if (has > 0)
		return 0;
	if (!has)
		return rc;
	err_wrap(j->e, "it is not known whether the transaction happened");
	err_hint(j->e, "the next spctl command finds out: spctl status");
	j->e->code = -ENOTRECOVERABLE;
	return -ENOTRECOVERABLE;
}

static void sending(const struct nft_change_stats *stats, void *arg)
{
	size_t n = stats->elems_added + stats->elems_deleted;

	apply_phase(arg, n == 1 ? "writing %zu element" : "writing %zu elements", n);
}

/*
 * The table of the live generation, wherever it is called now: another name in
 * the config or on the command line moves everything in the same transaction.
 * A kill between a commit and STATE/live can leave it under the other name, or
 * under both: `have` is the wanted one then, and the rest goes in that transaction.
 */
static int read_table(struct apply_job *j)
{
	const char *live = session_table(j->s), *table = j->compile.table;
	int rc = session_read_kernel(j->s, table, j->e);

	rc = rc ? rc : nft_find_owned(j->s->nft, j->s->state.instance, &j->own, j->e);
	if (!rc && !j->s->have->exists && j->own.n) {
		table = j->own.v[0].name;
		for (unsigned i = 1; i < j->own.n; i++)
			if (!strcmp(j->own.v[i].name, live))
				table = live;
		rc = session_read_kernel(j->s, table, j->e);
	}
	j->guarded_table = table;
	return rc;
}

static int commit_want(struct apply_job *j, unsigned flags)
{
	struct nft_refusal refusal = { .place = RS_NO_PLACE };
	int rc;

	apply_phase(j, "comparing");
	nft_delete_too(j->s->nft, &j->own);
	for (unsigned tries = 0;; tries++) {
		rc = nft_commit(j->s->nft, j->s->have, j->want, j->s->genid, flags, &j->out->stats,
				&refusal, j->e);
		if (rc != -ERESTART || tries == GENID_TRIES)
			break;
		log_debug("the kernel's ruleset changed meanwhile: reading it again");
		rc = read_table(j);
		if (rc)
			break;
		ruleset_choose_sizes(j->want, j->s->have);
	}
	nft_delete_too(j->s->nft, NULL);
	lap(j, &j->out->times.kernel_us);
	if (nft_answer_was_lost(rc) && !(flags & NFT_CHECK_ONLY))
		return settle_lost_answer(j, rc);
	if (rc && rc != -ERESTART)
		place_refusal(j, &refusal);
	return rc;
}

static void make_live(struct apply_job *j)
{
	struct err e = { 0 };
	uint32_t genid = j->seen_genid;
	int rc;

	/* From here on the new generation is true; recovery finishes what fails. */
	rc = state_set_live(&j->s->state, j->compile.generation, &e);
	FAILPOINT(live);
	rc = rc ? rc : session_set_pending(j->s, 0, &e);
	if (rc)
		log_warn("%s (the routes are in effect; the next spctl command tries again)",
			 e.msg);
	/* What waits for confirmation may go back to the former routes. */
	if (j->out->confirm.phase != STATE_CONFIRM_WAITING)
		former_counts_forget(j->s, j->want, &j->ids, &genid);
	session_write_image(j->s, j->want, &j->ids, genid);
	FAILPOINT(image);
	state_prune(&j->s->state, NULL);
	FAILPOINT(pruned);
}

static bool table_is_right(const struct apply_job *j)
{
	char what[128];

	return !j->preparing && j->own.n <= j->s->have->exists &&
	       !strcmp(j->s->have->table, j->want->table) &&
	       ruleset_equal(j->s->have, j->want, what, sizeof(what));
}

static int repair_table(struct apply_job *j)
{
	int rc;

	j->out->changed = j->out->repaired = true;
	if (!j->r->dry_run)
		apply_write_ids(j);
	rc = commit_want(j, j->r->dry_run ? NFT_CHECK_ONLY : NFT_COMMIT);
	if (rc || j->r->dry_run)
		return rc;
	rc = apply_read_back(j);
	if (!rc)
		session_write_image(j->s, j->want, &j->ids, j->seen_genid);
	return rc;
}

/* The kernel's routes are put right whatever the service says: what of it is wrong then is told,
 * and nothing of the kernel's taken back for it. */
static int repair_service(struct apply_job *j, int rc, const struct err *why)
{
	if (rc)
		*j->e = *why;
	else
		rc = user_space_commit(j);
	rc = rc ? rc : user_space_settle(j);
	if (!rc || !j->out->repaired)
		return rc == -EBADE ? -EIO : rc;
	err_wrap(j->e, "the kernel's table of generation %u is repaired, but not the service",
		 j->s->live);
	return j->e->code = -ENOTRECOVERABLE;
}

static int repair_live(struct apply_job *j)
{
	struct err why = { 0 };
	int rc, service = 0;

	j->out->generation = j->s->live;
	if (!j->r->dry_run)
		service = user_space_prepare(j);
	why = *j->e;
	*j->e = (struct err){ 0 };
	if (!table_is_right(j)) {
		rc = repair_table(j);
		if (rc)
			return rc;
	} else if (!j->s->from_image && !j->r->dry_run) {
		/* Somebody's commit made the image stale: renewed, the next apply is fast again. */
		session_write_image(j->s, j->want, &j->ids, j->s->genid);
	}
	if (!j->r->dry_run) {
		j->out->service_repaired = j->user.prepared && !j->user.started;
		rc = repair_service(j, service, &why);
		if (rc)
			return rc;
	}
	/* The command that made this generation live may have been killed before it. */
	apply_end_flows(j, j->out->repaired);
	return 0;
}

static int apply_new(struct apply_job *j)
{
	int rc;

	j->out->changed = true;
	j->out->generation = j->s->live;
	if (j->r->dry_run) {
		rc = commit_want(j, NFT_CHECK_ONLY);
		if (!rc)
			apply_end_flows(j, false);
		return rc;
	}
	rc = user_space_prepare(j);
	if (!rc && !j->r->stored)
		rc = write_pending(j);
	if (!rc)
		apply_write_ids(j);
	lap(j, &j->out->times.write_us);
	rc = rc ? rc : commit_want(j, NFT_COMMIT);
	rc = rc ? rc : apply_read_back(j);
	lap(j, &j->out->times.verify_us);
	if (rc)
		return rc;
	rc = user_space_commit(j);
	if (rc)
		return rc;
	j->out->generation = j->compile.generation;
	make_live(j);
	rc = user_space_settle(j);
	apply_end_flows(j, true);
	lap(j, &j->out->times.finish_us);
	return rc;
}

static int apply_prepared(struct apply_job *j)
{
	int rc;

	apply_phase(j, "compiling");
	rc = compile_want(j);
	lap(j, &j->out->times.compile_us);
	if (rc)
		return rc;
	if (!j->again)
		return apply_new(j);
	rc = repair_live(j);
	/* The same routes once more, and another time for them. */
	if (!rc && j->r->confirm_s && !j->r->dry_run && !j->r->stored)
		rc = confirm_prolong(j->s, j->r->confirm_s, j->e);
	return rc;
}

/* A table of ours that no file knows of could not come back. */
static int can_go_back(const struct apply_job *j)
{
	if (!j->r->confirm_s || j->s->live || !j->s->have->exists || !j->s->have->generation)
		return 0;
	err_set(j->e, ENOENT,
		"generation %u is in the kernel, but its files are lost: nothing "
		"could come back",
		j->s->have->generation);
	err_hint(j->e, "apply without --confirm");
	return j->e->code;
}

int apply_run(struct session *s, const struct apply_request *r, struct apply_result *out,
	      struct err *e)
{
	struct apply_job j = { .s = s, .r = r, .out = out, .e = e };
	int rc;

	FAILPOINT(locked);
	memset(out, 0, sizeof(*out));
	j.compile.table = r->table;
	j.compile.owner = s->state.instance;
	j.lap_us = clock_mono_us();
	nft_on_sending(s->nft, sending, &j);
	j.again = r->stored ? r->stored == s->live : means_live_generation(&j);
	j.compile.generation = j.again ? s->live : r->stored ? r->stored : s->newest + 1;
	if (r->confirm_s && !j.again) {
		rc = confirm_has_way_back(s, e);
		if (rc)
			return rc;
	}
	if (!j.again && !r->dry_run && !r->stored)
		apply_start_writing(&j);
	apply_phase(&j, "reading the kernel's table");
	rc = read_table(&j);
	rc = rc ? rc : can_go_back(&j);
	if (!rc && !r->dry_run)
		former_counts_settle(s);
	rc = rc ? rc : apply_can_end_flows(&j);
	j.table_was_there = !rc && s->have->exists;
	rc = rc ? rc : apply_assign_ids(&j);
	lap(&j, &out->times.read_us);
	if (!rc) {
		apply_decide_settings(&j);
		rc = r->dry_run ? sysctl_check(&j.turn_on, e) : apply_prepare_host(&j);
		rc = rc ? rc : apply_prepared(&j);
	}
	/* Before its files go: until then it may be what the kernel has. */
	if (rc == -EBADE) {
		user_space_end(&j);
		rc = apply_put_back(&j);
	}
	/* The new files go first: a full disk needs their room for what is put back. */
	if (rc && rc != -ENOTRECOVERABLE && !j.again && !r->stored && !r->dry_run)
		drop_generation(&j);
	if (rc && rc != -ENOTRECOVERABLE)
		rc = apply_unprepare_host(&j) ? -ENOTRECOVERABLE : rc;
	out->service_pid = j.user.started ? j.user.client.pid : 0;
	user_space_end(&j);
	nft_on_sending(s->nft, NULL, NULL);
	ruleset_free(j.want);
	route_ids_fini(&j.ids);
	free(j.route_ids);
	return rc;
}
