/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel settings: forwarding and route_localnet. Each opens a door, so each
 * has a guard in our table, and the guard stands first. Nothing is turned on
 * that this apply does not guard: a setting that somebody else turns off while
 * we work stays off, and `status` tells.
 */
#include <errno.h>
#include <string.h>

#include "ctl/apply/apply_internal.h"
#include "ctl/apply/failpoint.h"

void apply_decide_settings(struct apply_job *j)
{
	const struct sysctl_wants v4 = { .forward_v4 = true }, v6 = { .forward_v6 = true };
	const struct plan *p = j->r->plan;
	bool off_v4 = p->needs_forward_v4 && sysctl_is_pending(&v4);
	bool off_v6 = p->needs_forward_v6 && sysctl_is_pending(&v6);

	j->before = sysctl_journal_wants(j->s->journal);
	/* Whoever turned it on before us wants his traffic forwarded: no guard then. */
	j->compile.guard_v4 = j->before.forward_v4 || off_v4;
	j->compile.guard_v6 = j->before.forward_v6 || off_v6;
	/* What an earlier apply opened stays open until down, and guarded. */
	j->compile.guard_loopback = j->before.route_localnet || p->needs_route_localnet;
	j->turn_on.forward_v4 = off_v4;
	j->turn_on.forward_v6 = off_v6;
	j->turn_on.route_localnet = p->needs_route_localnet;
}

/* The chains that the guard adds to what is there, or (up false) their removal. */
static int commit_guard(struct apply_job *j, bool up, struct err *e)
{
	struct compile_options o = j->compile;
	struct ruleset *guard, *without;
	int rc = -ENOMEM;

	o.table = j->guarded_table;
	o.generation = j->guarded_generation;
	o.guard_loopback = j->out->route_localnet;
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

int apply_prepare_host(struct apply_job *j)
{
	const struct sysctl_wants localnet = { .route_localnet = j->turn_on.route_localnet };
	int rc = sysctl_check(&j->turn_on, j->e);

	if (rc || !sysctl_is_pending(&j->turn_on))
		return rc;
	j->out->forward_v4 = j->turn_on.forward_v4;
	j->out->forward_v6 = j->turn_on.forward_v6;
	j->out->route_localnet = sysctl_is_pending(&localnet);
	j->guarded_generation = j->s->have->generation;
	rc = session_note_table(j->s, j->guarded_table, j->e);
	rc = rc ? rc : commit_guard(j, true, j->e);
	if (rc)
		return rc;
	j->preparing = true;
	FAILPOINT(guarded);
	rc = sysctl_apply(j->s->journal, &j->turn_on, j->e);
	FAILPOINT(sysctls);
	/* The kernel's generation has moved and the table has a chain more. */
	return rc ? rc : session_read_kernel(j->s, j->guarded_table, j->e);
}

struct sysctl_wants apply_settings_before(const struct apply_job *j)
{
	return (struct sysctl_wants){
		.forward_v4 = j->before.forward_v4 && !j->out->forward_v4,
		.forward_v6 = j->before.forward_v6 && !j->out->forward_v6,
		.route_localnet = j->before.route_localnet && !j->out->route_localnet,
	};
}

int apply_unprepare_host(struct apply_job *j)
{
	struct sysctl_wants keep = apply_settings_before(j);
	bool stays = keep.forward_v4 || keep.forward_v6 || keep.route_localnet;
	struct err e = { 0 };
	int rc;

	if (!j->preparing)
		return 0;
	rc = sysctl_restore(j->s->journal, &keep, &e);
	rc = rc ? rc : session_read_kernel(j->s, j->guarded_table, &e);
	if (!rc && j->table_was_there)
		rc = commit_guard(j, false, &e);
	else if (!rc && !stays) /* somebody took the table away: what is on keeps its guard */
		rc = nft_commit(j->s->nft, j->s->have, NULL, 0, NFT_COMMIT, NULL, NULL, &e);
	if (!rc)
		return 0;
	err_wrap(j->e, "%s; and putting things back failed, too", e.msg);
	j->e->code = -ENOTRECOVERABLE;
	return -ENOTRECOVERABLE;
}
