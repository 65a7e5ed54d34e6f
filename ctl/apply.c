/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of steps, and why it is safe to die between any two:
 *   guard      a chain that drops foreign forwarding: no effect while forwarding is off
 *   sysctls    journalled first; forwarding is on, the guard is up: nothing opens
 *   pending    generation N on disk, fsynced: still the old routes
 *   batch      one transaction: the new routes. It carries N, so recovery knows
 *   live, image, prune: bookkeeping that recovery redoes
 */
#include "ctl/apply.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/clock.h"
#include "ctl/base/log.h"
#include "ctl/failpoint.h"
#include "ctl/reconcile.h"
#include "ctl/ruleset_compile.h"

#define UDP_SECOND_LOOK_MS 50
#define GENID_TRIES	   20 /* other tools may commit between our look and our batch */

struct job {
	struct session *s;
	const struct apply_request *r;
	struct apply_result *out;
	struct err *e;
	struct route_ids ids;	    /* of the new generation */
	uint32_t *route_ids;	    /* per plan route */
	struct sysctl_wants wants;  /* what must be on afterwards */
	struct sysctl_wants before; /* what an earlier apply of ours turned on */
	bool preparing;		    /* guard and sysctls of this apply are in place */
	bool table_was_there;
	const char *guarded_table; /* takes the guard: the old table where there is one */
	uint32_t guarded_generation;
	struct compile_options compile;
	struct ruleset *want;
};

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}

/* ---- ids ---- */

static uint32_t fresh_id(struct route_ids *ids)
{
	if (!ids->next_id || ids->next_id > ROUTE_ID_MAX)
		ids->next_id = 1;
	return ids->next_id++;
}

/* A name keeps its number as long as it is applied; a new one never gets a used number
 * before the counter wraps (a million routes later). */
static int assign_ids(struct job *j)
{
	const struct plan *p = j->r->plan;
	const struct route_ids *old = &j->s->ids;
	int rc = 0;

	j->route_ids = calloc(p->n_routes + 1, sizeof(*j->route_ids));
	if (!j->route_ids)
		return no_memory(j->e);
	j->ids.next_id = old->next_id;
	for (unsigned i = 0; i < p->n_routes && !rc; i++) {
		const char *name = p->routes[i].route->name;
		uint32_t id = route_ids_find(old, name);

		if (i && p->routes[i - 1].route == p->routes[i].route) {
			j->route_ids[i] = j->route_ids[i - 1];
			continue;
		}
		j->route_ids[i] = id ? id : fresh_id(&j->ids);
		rc = route_ids_add(&j->ids, name, j->route_ids[i]);
	}
	route_ids_seal(&j->ids);
	return rc ? no_memory(j->e) : 0;
}

/* ---- sysctls and the guard ---- */

static void decide_sysctls(struct job *j)
{
	const struct host_facts *h = &j->r->gathered->host;
	const struct plan *p = j->r->plan;

	j->before = sysctl_journal_wants(j->s->journal);
	j->wants.forward_v4 = p->needs_forward_v4;
	j->wants.forward_v6 = p->needs_forward_v6;
	j->wants.route_localnet = p->needs_route_localnet;
	/* Whoever turned it on before us wants his traffic forwarded: no guard then. */
	j->compile.guard_v4 = j->before.forward_v4 || (p->needs_forward_v4 && !h->forward_v4);
	j->compile.guard_v6 = j->before.forward_v6 || (p->needs_forward_v6 && !h->forward_v6);
	j->out->forward_v4 = p->needs_forward_v4 && !h->forward_v4;
	j->out->forward_v6 = p->needs_forward_v6 && !h->forward_v6;
}

/* The chains that the guard adds to what is there, or (up false) their removal. */
static int commit_guard(struct job *j, bool up, struct err *e)
{
	struct compile_options o = j->compile;
	struct ruleset *guard, *without;
	int rc = -ENOMEM;

	o.table = j->guarded_table;
	o.generation = j->guarded_generation;
	/* What an earlier apply opened stays guarded. */
	o.guard_loopback = j->out->route_localnet && (up || !j->before.route_localnet);
	guard = ruleset_guard(&o, e);
	without = up ? ruleset_without_guard(&o, j->s->have, e)
		     : ruleset_new(o.table, o.owner, o.generation);
	if (guard && without && (up || !ruleset_seal(without, e))) {
		if (!up)
			guard->exists = guard->ours = true;
		rc = nft_commit(j->s->nft, up ? without : guard, up ? guard : without, 0,
				NFT_COMMIT, NULL, NULL, e);
	}
	ruleset_free(guard);
	ruleset_free(without);
	return rc;
}

/* Only when something has to be turned on: the guard stands before the door opens. */
static int prepare_host(struct job *j)
{
	struct sysctl_wants localnet = { .route_localnet = j->wants.route_localnet };
	int rc = sysctl_check(&j->wants, j->e);

	if (rc || !sysctl_is_pending(&j->wants))
		return rc;
	j->out->route_localnet = sysctl_is_pending(&localnet);
	j->guarded_generation = j->s->have->generation;
	rc = commit_guard(j, true, j->e);
	if (rc)
		return rc;
	j->preparing = true;
	FAILPOINT(guarded);
	rc = sysctl_apply(j->s->journal, &j->wants, j->e);
	FAILPOINT(sysctls);
	/* The kernel's generation has moved and the table has a chain more. */
	return rc ? rc : session_read_kernel(j->s, j->guarded_table, j->e);
}

/* Takes back what prepare_host() did; the table goes if it was not there before. */
static int unprepare_host(struct job *j)
{
	struct err e = { 0 };
	int rc;

	if (!j->preparing)
		return 0;
	rc = sysctl_restore(j->s->journal, &j->before, &e);
	rc = rc ? rc : session_read_kernel(j->s, j->guarded_table, &e);
	if (!rc && j->table_was_there)
		rc = commit_guard(j, false, &e);
	else if (!rc)
		rc = nft_commit(j->s->nft, j->s->have, NULL, 0, NFT_COMMIT, NULL, NULL, &e);
	session_drop_image(j->s);
	if (!rc)
		return 0;
	err_wrap(j->e, "%s; and putting things back failed, too", e.msg);
	j->e->code = -ENOTRECOVERABLE;
	return -ENOTRECOVERABLE;
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
static bool means_live_generation(const struct job *j)
{
	struct state_meta m = { 0 };
	struct buf old = { 0 };
	bool same;

	if (!j->s->live)
		return false;
	same = !state_read_generation(&j->s->state, j->s->live, &m, &old, NULL) &&
	       !strcmp(m.table, j->compile.table) && old.len == j->r->text_len &&
	       !memcmp(old.data, j->r->text, old.len) && same_names(&m, j->r->gathered);
	state_meta_fini(&m);
	buf_fini(&old);
	return same;
}

static int write_pending(struct job *j)
{
	const struct gathered *g = j->r->gathered;
	struct state_meta m = {
		.generation = j->compile.generation,
		.time_ms = clock_wall_ms(),
		.file = strdup(j->r->file),
		.table = strdup(j->compile.table),
		.names = g->names,
		.n_names = g->n_names,
	};
	int rc =
		m.file && m.table ? session_set_pending(j->s, m.generation, j->e) : no_memory(j->e);

	rc = rc ? rc : state_write_generation(&j->s->state, &m, j->r->text, j->r->text_len, j->e);
	free(m.file);
	free(m.table);
	FAILPOINT(pending);
	return rc;
}

static void drop_pending(struct job *j)
{
	state_delete_generation(&j->s->state, j->compile.generation, NULL);
	session_set_pending(j->s, 0, NULL);
}

/* ---- the batch ---- */

static int compile_want(struct job *j)
{
	ruleset_free(j->want);
	j->compile.ids = j->route_ids;
	j->want = ruleset_compile(j->r->plan, &j->compile, j->e);
	return j->want ? 0 : (j->e->code ? j->e->code : no_memory(j->e));
}

static void place_refusal(struct job *j, const struct nft_refusal *refusal)
{
	const struct config *c = j->r->plan->config;

	if (refusal->what[0])
		err_wrap(j->e, "the kernel refused %s", refusal->what);
	if (refusal->place >= c->n_routes)
		return;
	err_wrap(j->e, "route \"%s\"", c->routes[refusal->place].name);
	err_place(j->e, c->routes[refusal->place].loc, NULL);
}

static int commit_want(struct job *j, unsigned flags)
{
	struct nft_refusal refusal = { .place = RS_NO_PLACE };
	int64_t started = clock_mono_us();
	int rc;

	for (unsigned tries = 0;; tries++) {
		rc = nft_commit(j->s->nft, j->s->have, j->want, j->s->genid, flags, &j->out->stats,
				&refusal, j->e);
		if (rc != -ERESTART || tries == GENID_TRIES)
			break;
		log_debug("the kernel's ruleset changed meanwhile: reading it again");
		rc = session_read_kernel(j->s,
					 j->s->have->exists ? j->guarded_table : j->compile.table,
					 j->e);
		if (rc)
			return rc;
	}
	j->out->kernel_us = clock_mono_us() - started;
	if (rc && rc != -ERESTART)
		place_refusal(j, &refusal);
	return rc;
}

static void make_live(struct job *j)
{
	struct err e = { 0 };
	int rc;

	FAILPOINT(committed);
	/* From here on the new generation is true; recovery finishes what fails. */
	rc = state_set_live(&j->s->state, j->compile.generation, &e);
	FAILPOINT(live);
	rc = rc ? rc : session_set_pending(j->s, 0, &e);
	if (rc)
		log_warn("%s (the routes are in effect; the next spctl command tries again)",
			 e.msg);
	session_write_image(j->s, j->want, &j->ids, nft_genid_next(j->s->genid));
	FAILPOINT(image);
	state_prune(&j->s->state, NULL);
	FAILPOINT(pruned);
}

/*
 * Only where UDP routes are or were: a flow that was being set up during the
 * commit shows up in the list a moment later, so it is read twice.
 */
static void reconcile(struct job *j)
{
	uint32_t instance = label_instance(j->s->state.instance);
	unsigned first = 0, second = 0;
	struct err e = { 0 };
	bool udp = j->s->had_udp;

	for (unsigned i = 0; i < j->r->plan->n_cells && !udp; i++)
		udp = j->r->plan->cells[i].proto == IPPROTO_UDP;
	if (!udp)
		return;
	if (reconcile_udp(j->r->plan, j->route_ids, instance, &first, &e) == 0) {
		clock_sleep_ms(UDP_SECOND_LOOK_MS);
		reconcile_udp(j->r->plan, j->route_ids, instance, &second, &e);
	}
	if (e.code)
		log_warn("UDP flows to former targets may go on: %s", e.msg);
	j->out->udp_ended = first + second;
}

static int repair_live(struct job *j)
{
	char what[128];
	int rc;

	j->out->generation = j->s->live;
	if (!j->preparing && !strcmp(j->s->have->table, j->want->table) &&
	    ruleset_equal(j->s->have, j->want, what, sizeof(what))) {
		/* Somebody's commit made the image stale: renewed, the next apply is fast again. */
		if (!j->s->from_image && !j->r->dry_run)
			session_write_image(j->s, j->want, &j->ids, j->s->genid);
		return 0;
	}
	j->out->changed = j->out->repaired = true;
	rc = commit_want(j, j->r->dry_run ? NFT_CHECK_ONLY : NFT_COMMIT);
	if (rc || j->r->dry_run)
		return rc;
	session_write_image(j->s, j->want, &j->ids, nft_genid_next(j->s->genid));
	reconcile(j);
	return 0;
}

static int apply_new(struct job *j)
{
	int rc;

	j->out->changed = true;
	j->out->generation = j->s->live;
	if (j->r->dry_run)
		return commit_want(j, NFT_CHECK_ONLY);
	rc = write_pending(j);
	rc = rc ? rc : commit_want(j, NFT_COMMIT);
	if (rc) {
		drop_pending(j);
		return rc;
	}
	j->out->generation = j->compile.generation;
	make_live(j);
	reconcile(j);
	return 0;
}

static int apply_prepared(struct job *j)
{
	bool again = means_live_generation(j);
	int rc;

	j->compile.generation = again ? j->s->live : j->s->newest + 1;
	rc = compile_want(j);
	if (rc)
		return rc;
	return again ? repair_live(j) : apply_new(j);
}

/*
 * The table of the live generation, wherever it is called now. Another name in
 * the config or on the command line moves everything in the same transaction.
 */
static int read_table(struct job *j)
{
	const char *old = session_table(j->s), *table = j->compile.table;
	int rc;

	j->guarded_table = table;
	if (!strcmp(old, table) || !j->s->live)
		return session_read_kernel(j->s, table, j->e);
	rc = session_read_kernel(j->s, table, j->e);
	if (rc || j->s->have->exists) {
		if (!rc)
			rc = err_set(j->e, EEXIST, "the nftables table \"inet %s\" exists already",
				     table);
		return rc;
	}
	rc = session_read_kernel(j->s, old, j->e);
	if (!rc && j->s->have->exists)
		j->guarded_table = old;
	return rc;
}

int apply_run(struct session *s, const struct apply_request *r, struct apply_result *out,
	      struct err *e)
{
	struct job j = { .s = s, .r = r, .out = out, .e = e };
	int rc;

	FAILPOINT(locked);
	memset(out, 0, sizeof(*out));
	j.compile.table = r->table;
	j.compile.owner = s->state.instance;
	rc = read_table(&j);
	if (rc)
		return rc;
	j.table_was_there = s->have->exists;
	rc = assign_ids(&j);
	if (!rc) {
		decide_sysctls(&j);
		rc = r->dry_run ? sysctl_check(&j.wants, e) : prepare_host(&j);
		rc = rc ? rc : apply_prepared(&j);
		if (rc)
			rc = unprepare_host(&j) ? -ENOTRECOVERABLE : rc;
	}
	ruleset_free(j.want);
	route_ids_fini(&j.ids);
	free(j.route_ids);
	return rc;
}
