/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * down: new connections end at once (a table without routes), established flows
 * get their time, then their conntrack entries go, then sysctls, table, state.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/apply/apply.h"
#include "ctl/apply/confirm.h"
#include "ctl/apply/failpoint.h"
#include "ctl/apply/user_space.h"
#include "ctl/base/clock.h"
#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/control/run_files.h"
#include "ctl/host/conntrack.h"
#include "ctl/nft/ruleset_compile.h"

#define SERVICE_END_MS 10000 /* after its connections had their time */

struct counting {
	uint32_t instance;
	unsigned flows;
};

static int count_flow(const struct ct_flow *f, void *arg)
{
	struct counting *c = arg;

	c->flows += !f->closed && f->instance == c->instance;
	return 0;
}

static bool is_of_instance(const struct ct_flow *f, void *arg)
{
	return f->instance == *(const uint32_t *)arg;
}

/* A table without routes has no generation. */
static int settle_lost_answer(struct session *s, const char *table, int rc, struct err *e)
{
	struct ruleset *head = NULL;
	bool drained, known = !nft_read_head(s->nft, table, &head, NULL);

	drained = known && head->exists && head->ours && !head->generation;
	ruleset_free(head);
	if (drained) {
		*e = (struct err){ 0 };
		return 0;
	}
	if (known)
		return rc;
	err_wrap(e, "it is not known whether the routes are gone");
	err_hint(e, "run spctl down again");
	e->code = -ENOTRECOVERABLE;
	return -ENOTRECOVERABLE;
}

/* No routes, but what keeps established flows translated, and the guard. */
static int commit_drained(struct session *s, const char *table, const struct nft_tables *own,
			  struct err *e)
{
	struct sysctl_wants on = sysctl_journal_wants(s->journal);
	struct plan nobody = { .needs_route_localnet = on.route_localnet };
	struct compile_options o = {
		.table = table,
		.owner = s->state.instance,
		.guard_v4 = on.forward_v4,
		.guard_v6 = on.forward_v6,
	};
	struct ruleset *want = ruleset_compile(&nobody, &o, e);
	int rc = want ? 0 : e->code;

	nft_delete_too(s->nft, own);
	rc = rc ? rc : nft_commit(s->nft, s->have, want, 0, NFT_COMMIT, NULL, NULL, e);
	nft_delete_too(s->nft, NULL);
	ruleset_free(want);
	return nft_answer_was_lost(rc) ? settle_lost_answer(s, table, rc, e) : rc;
}

static int wait_for_flows(uint32_t instance, unsigned drain_s, flows_tick *tick, struct err *e)
{
	int64_t end = clock_mono_ms() + (int64_t)drain_s * 1000;

	for (;;) {
		int64_t left = end - clock_mono_ms();
		struct counting c = { .instance = instance };
		int rc;

		if (left <= 0)
			return 0;
		rc = conntrack_each(count_flow, &c, e);
		if (rc || !c.flows)
			return rc;
		if (tick && tick((unsigned)(left + 999) / 1000, c.flows))
			return 0;
		clock_sleep_ms(left < 1000 ? (unsigned)left : 1000);
	}
}

static int delete_table(struct session *s, const char *table, struct err *e)
{
	int rc;

	session_drop_image(s);
	rc = session_read_kernel(s, table, e);
	if (rc || !s->have->exists)
		return rc;
	return nft_commit(s->nft, s->have, NULL, 0, NFT_COMMIT, NULL, NULL, e);
}

static int end_flows(struct session *s, unsigned drain_s, flows_tick *tick, struct down_result *out,
		     struct err *e)
{
	uint32_t instance = label_instance(s->state.instance);
	int rc = 0;

	if (drain_s)
		rc = wait_for_flows(instance, drain_s, tick, e);
	if (!rc)
		rc = conntrack_delete(is_of_instance, &instance, &out->flows_ended, e);
	FAILPOINT(down_flows);
	return rc;
}

/* Another instance forwards with what we turned on: only the guard stays. */
static int leave_guard(struct session *s, const char *table, struct err *e)
{
	struct sysctl_wants on = sysctl_journal_wants(s->journal);
	struct compile_options o = {
		.table = table,
		.owner = s->state.instance,
		.guard_v4 = on.forward_v4,
		.guard_v6 = on.forward_v6,
		.guard_loopback = on.route_localnet,
	};
	struct ruleset *guard;
	int rc;

	session_drop_image(s);
	rc = session_note_table(s, table, e);
	rc = rc ? rc : session_read_kernel(s, table, e);
	if (rc)
		return rc;
	guard = ruleset_guard(&o, e);
	rc = guard ? nft_commit(s->nft, s->have, guard, 0, NFT_COMMIT, NULL, NULL, e) : e->code;
	ruleset_free(guard);
	return rc;
}

/* Sysctls before the table: forwarding must not stay on without the guard. */
static int restore_host(struct session *s, const char *table, struct down_result *out,
			struct err *e)
{
	int rc;

	out->restored = sysctl_journal_wants(s->journal);
	rc = sysctl_restore(s->journal, NULL, e);
	FAILPOINT(down_sysctls);
	rc = rc ? rc : delete_table(s, table, e);
	FAILPOINT(down_table);
	return rc ? rc : session_note_table(s, NULL, e);
}

static int take_away(struct session *s, const char *table, struct down_result *out, struct err *e)
{
	int rc = sysctl_journal_count(s->journal)
			 ? nft_find_other(s->nft, s->state.instance, out->left_for, e)
			 : 0;

	if (rc)
		return rc;
	rc = out->left_for[0] ? leave_guard(s, table, e) : restore_host(s, table, out, e);
	rc = rc ? rc : state_forget_live(&s->state, e);
	if (!rc)
		run_files_remove(s->state.run_dir);
	FAILPOINT(down_state);
	return rc;
}

/* What would stop us half-way is found before anything is touched. */
static int can_go_through(struct session *s, bool taken_back, struct err *e)
{
	static const char forward[] = "/proc/sys/net/ipv4/ip_forward";
	struct counting c = { 0 };

	if (sysctl_journal_count(s->journal) && access(forward, W_OK))
		return err_sys(e, errno, "cannot write %s", forward);
	return s->have->exists && !taken_back ? conntrack_each(count_flow, &c, e) : 0;
}

/* Nobody asked for the connections when something is taken back: the routes go all the same. */
static int end_flows_if_possible(struct session *s, struct down_result *out)
{
	struct err e = { 0 };

	if (end_flows(s, 0, NULL, out, &e))
		log_warn("connections over the routes that are gone may go on: %s", e.msg);
	return 0;
}

static int go_down(struct session *s, unsigned drain_s, flows_tick *tick, bool taken_back,
		   struct down_result *out, struct err *e)
{
	const char *table = session_table(s);
	struct nft_tables own = { 0 };
	struct err why = { 0 };
	int rc = session_read_kernel(s, table, e), told;

	memset(out, 0, sizeof(*out));
	rc = rc ? rc : nft_find_owned(s->nft, s->state.instance, &own, e);
	/* A kill can leave it under another name than the files say. */
	if (!rc && !s->have->exists && own.n) {
		table = own.v[0].name;
		rc = session_read_kernel(s, table, e);
	}
	if (rc)
		return rc;
	out->was_up = s->live || s->have->exists || sysctl_journal_count(s->journal) ||
		      control_look(s->state.run_dir) != CONTROL_NONE;
	if (!out->was_up)
		return 0;
	rc = can_go_through(s, taken_back, e);
	if (rc)
		return rc;
	FAILPOINT(down_started);
	confirm_note_down(s);
	rc = s->have->exists ? commit_drained(s, table, &own, e) : 0;
	if (rc)
		return rc;
	FAILPOINT(down_drained);
	told = user_space_stop(s, drain_s, &why);
	FAILPOINT(down_service);
	if (s->have->exists)
		rc = taken_back ? end_flows_if_possible(s, out)
				: end_flows(s, drain_s, tick, out, e);
	/* While it serves, the routes are not gone, whatever the kernel has. */
	if (!rc && told) {
		*e = why;
		rc = told;
	}
	rc = rc ? rc : user_space_await_end(s, drain_s * 1000 + SERVICE_END_MS, e);
	rc = rc ? rc : take_away(s, table, out, e);
	/* The routes are gone already: that is not "nothing changed". */
	if (rc) {
		err_wrap(e, "the routes are gone, but not all the rest");
		err_hint(e, "remove the cause and run spctl down again");
		e->code = rc = -ENOTRECOVERABLE;
	}
	return rc;
}

int down_run(struct session *s, unsigned drain_s, flows_tick *tick, struct down_result *out,
	     struct err *e)
{
	return go_down(s, drain_s, tick, false, out, e);
}

int down_take_back(struct session *s, struct err *e)
{
	struct down_result out;

	return go_down(s, 0, NULL, true, &out, e);
}
