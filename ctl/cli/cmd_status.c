/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status: what is live, whether the kernel still has it, and who is connected. Reads only. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/expected.h"
#include "ctl/apply/gather.h"
#include "ctl/apply/session.h"
#include "ctl/base/clock.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"
#include "ctl/cli/table.h"
#include "ctl/host/conntrack.h"
#include "ctl/nft/ruleset_compile.h"

#define BEHIND_TRIES   100
#define BEHIND_WAIT_MS 50

struct status {
	const struct options *o;
	int code; /* when there is nothing to show */
	struct session s;
	struct buf text;
	struct config *config;
	struct state_meta meta;
	struct gathered g;
	struct plan *plan;
	struct diags diags;
	bool drift, behind; /* behind: of another generation than the files say */
	char drift_what[160];
	unsigned *active;      /* per plan route */
	uint32_t *route_of_id; /* id -> plan route + 1 */
	uint32_t max_id;
	bool have_active;
};

static void drift(struct status *st, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void drift(struct status *st, const char *fmt, ...)
{
	va_list ap;

	if (st->drift)
		return;
	st->drift = true;
	va_start(ap, fmt);
	vsnprintf(st->drift_what, sizeof(st->drift_what), fmt, ap);
	va_end(ap);
}

/* A setting that the routes need and that is off now: forwarding does not happen. */
static void find_settings_drift(struct status *st)
{
	const struct sysctl_wants v4 = { .forward_v4 = st->plan->needs_forward_v4 };
	const struct sysctl_wants v6 = { .forward_v6 = st->plan->needs_forward_v6 };
	const struct sysctl_wants lo = { .route_localnet = st->plan->needs_route_localnet };

	if (sysctl_is_pending(&v4))
		drift(st, "net.ipv4.ip_forward is off");
	if (sysctl_is_pending(&v6))
		drift(st, "net.ipv6.conf.all.forwarding is off");
	if (sysctl_is_pending(&lo))
		drift(st, "net.ipv4.conf.all.route_localnet is off");
}

/* What the session read is compared with what the live generation says. */
static void find_table_drift(struct status *st)
{
	const struct ruleset *have = st->s.have;
	struct ruleset *want = NULL;
	struct err e = { 0 };
	char what[128] = "";

	st->behind = false;
	if (!have->exists) {
		drift(st, "the table is gone (flushed or deleted)");
	} else if (have->generation != st->s.live) {
		/* Perhaps an apply is at work just now. */
		st->behind = true;
		drift(st, "the table has generation %u", have->generation);
	} else if (!st->s.from_image) {
		want = expected_ruleset(&st->s, st->plan, &e);
		if (want)
			ruleset_choose_sizes(want, have);
		else
			drift(st, "the table cannot be compared: %s", e.msg);
		if (want && !ruleset_equal(want, have, what, sizeof(what)))
			drift(st, "the table was changed: %s", what);
	}
	ruleset_free(want);
}

static void find_drift(struct status *st)
{
	struct err e = { 0 };

	st->drift = false;
	st->drift_what[0] = '\0';
	if (session_read_kernel(&st->s, session_table(&st->s), &e))
		drift(st, "the table cannot be used: %s", e.msg);
	else
		find_table_drift(st);
	find_settings_drift(st);
	/* What an apply at work has done so far is no drift. */
	st->behind |= st->drift && session_is_busy(&st->s);
}

static int count_flow(const struct ct_flow *f, void *arg)
{
	struct status *st = arg;

	if (f->closed || f->instance != label_instance(st->s.state.instance) ||
	    f->id > st->max_id || !st->route_of_id[f->id])
		return 0;
	st->active[st->route_of_id[f->id] - 1]++;
	return 0;
}

static void count_active(struct status *st)
{
	struct err e = { 0 };
	unsigned n = st->plan->n_routes;

	for (size_t i = 0; i < st->s.ids.n; i++)
		if (st->s.ids.ids[i] > st->max_id)
			st->max_id = st->s.ids.ids[i];
	st->active = calloc(n + 1, sizeof(*st->active));
	st->route_of_id = calloc((size_t)st->max_id + 1, sizeof(*st->route_of_id));
	if (!st->active || !st->route_of_id || !st->s.ids.n)
		return;
	for (unsigned i = 0; i < n; i++) {
		uint32_t id = route_ids_find(&st->s.ids, st->plan->routes[i].route->name);

		st->route_of_id[id] = id ? i + 1 : 0;
	}
	st->have_active = !conntrack_each(count_flow, st, &e);
	if (!st->have_active)
		diags_add(&st->diags, DIAG_WARNING, LOC_NONE, NULL, NULL,
			  "connections cannot be counted: %s", e.msg);
}

static int load(struct status *st, struct err *e)
{
	struct config_options opt = { .lenient = true };
	int rc = state_read_generation(&st->s.state, st->s.live, &st->meta, &st->text, e);

	if (rc)
		return rc;
	st->config = config_parse(st->meta.file, st->text.data, st->text.len, &opt, &st->diags);
	diags_fini(&st->diags); /* what the file's warnings were was said at apply */
	rc = st->config ? gather_past_facts(&st->g, &st->meta, e)
			: err_set(e, EINVAL, "generation %u cannot be read any more", st->s.live);
	if (rc)
		return rc;
	st->plan = plan_build(st->config, &st->g.facts, &st->diags);
	diags_fini(&st->diags);
	if (!st->plan)
		return err_set(e, EINVAL, "generation %u cannot be planned any more", st->s.live);
	gather_warn_lasting(&st->g, st->plan, &st->diags);
	return 0;
}

static void print_text(struct status *st)
{
	static const char *const head[] = { "ROUTE", "TIER", "LISTENS", "TARGETS", "ACTIVE" };
	char when[24];
	struct table t;

	printf("generation %u, applied %s from %s, table inet %s\n", st->s.live,
	       clock_format_utc(st->meta.time_ms, when),
	       strcmp(st->meta.file, "-") ? st->meta.file : "standard input",
	       session_table(&st->s));
	if (st->drift)
		printf("DRIFT: %s: `spctl apply` repairs it\n", st->drift_what);
	table_init(&t, 5, head);
	for (unsigned i = 0; i < st->plan->n_routes; i++) {
		const struct plan_route *r = &st->plan->routes[i];
		struct buf listens = { 0 }, targets = { 0 };

		describe_listens(&listens, r);
		describe_targets(&targets, r);
		table_cell(&t, r->route->name);
		table_cell(&t, tier_name(r->tier));
		table_cell(&t, listens.data);
		table_cell(&t, targets.data);
		if (st->have_active)
			table_cellf(&t, "%u", st->active[i]);
		else
			table_cell(&t, "?");
		buf_fini(&listens);
		buf_fini(&targets);
	}
	if (st->plan->n_routes)
		table_print(&t, stdout);
	table_fini(&t);
}

static json_t *route_json(const struct status *st, unsigned i)
{
	const struct plan_route *r = &st->plan->routes[i];
	struct buf listens = { 0 };
	json_t *j;

	describe_listens(&listens, r);
	j = json_pack("{s:s,s:i,s:s,s:s,s:s,s:o,s:o}", "name", r->route->name, "id",
		      (int)route_ids_find(&st->s.ids, r->route->name), "tier", tier_name(r->tier),
		      "reason", r->reason, "ports", listens.data ? listens.data : "", "active",
		      st->have_active ? json_integer(st->active[i]) : json_null(), "targets",
		      describe_targets_json(r));
	buf_fini(&listens);
	return j;
}

static void print_json(const struct status *st)
{
	json_t *routes = json_array();

	for (unsigned i = 0; i < st->plan->n_routes; i++)
		json_array_append_new(routes, route_json(st, i));
	describe_print_json(json_pack("{s:i,s:{s:b,s:n},s:s,s:i,s:b,s:o,s:o,s:[],s:o}", "schema", 1,
				      "service", "running", 0, "pid", "table",
				      session_table(&st->s), "generation", (int)st->s.live, "drift",
				      st->drift, "driftReason", report_json_text(st->drift_what),
				      "routes", routes, "certificates", "warnings",
				      describe_warnings_json(&st->diags)));
}

/* The file may have changed since: its lines are not shown. */
static void print_warnings(const struct status *st)
{
	if (!st->o->json && !st->o->quiet)
		report_diags_text(stderr, &st->diags, NULL, 0, cmd_colour(st->o, stderr));
}

static int nothing_applied(const struct options *o)
{
	if (o->json)
		describe_print_json(json_pack("{s:i,s:{s:b,s:n},s:s,s:i,s:b,s:n,s:[],s:[],s:[]}",
					      "schema", 1, "service", "running", 0, "pid", "table",
					      o->table ? o->table : DEFAULT_TABLE, "generation", 0,
					      "drift", 0, "driftReason", "routes", "certificates",
					      "warnings"));
	else
		printf("nothing is applied\n");
	return EXIT_DONE;
}

/* No generation is live, but an interrupted command, or down beside another spctl, left things. */
static int leftovers(const struct status *st)
{
	static const char what[] =
		"no routes are live, but a table or kernel settings of spctl are left";

	if (st->o->json)
		describe_print_json(json_pack("{s:i,s:{s:b,s:n},s:s,s:i,s:b,s:s,s:[],s:[],s:[s]}",
					      "schema", 1, "service", "running", 0, "pid", "table",
					      session_table(&st->s), "generation", 0, "drift", 1,
					      "driftReason", what, "routes", "certificates",
					      "warnings", what));
	else
		printf("%s: `spctl down` takes them away\n", what);
	return EXIT_FAILED;
}

static void status_close(struct status *st)
{
	free(st->active);
	free(st->route_of_id);
	plan_free(st->plan);
	gather_fini(&st->g);
	config_free(st->config);
	state_meta_fini(&st->meta);
	diags_fini(&st->diags);
	buf_fini(&st->text);
	session_close(&st->s);
	*st = (struct status){ .o = st->o };
}

/* 0 = there is something to show; else the exit code, and all was said. */
static int status_open(struct status *st)
{
	struct err e = { 0 };
	int rc = session_open(&st->s, st->o->state_dir, st->o->run_dir, 0, 0, &e);

	st->code = EXIT_DONE;
	if (rc == -ENOENT) {
		st->code = nothing_applied(st->o);
		return -1;
	}
	if (rc) {
		st->code = cmd_fail(st->o, &e, cmd_exit_code(rc));
		return -1;
	}
	if (!st->s.live) {
		st->code = session_has_leftovers(&st->s) ? leftovers(st) : nothing_applied(st->o);
		return -1;
	}
	if (load(st, &e)) {
		st->code = cmd_fail(st->o, &e, EXIT_FAILED);
		return -1;
	}
	find_drift(st);
	return 0;
}

int cmd_status(const struct options *o, int argc, char **argv)
{
	struct status st = { .o = o };
	int code = cmd_need_root(o, "status reads the kernel's ruleset");

	(void)argc;
	(void)argv;
	if (code)
		return code;
	/* An apply may be at work. Where none is, a second look is enough: it has just ended. */
	for (unsigned tries = 0, idle = 0; !status_open(&st) && st.behind && tries < BEHIND_TRIES;
	     tries++) {
		if (!session_is_busy(&st.s) && idle++)
			break;
		status_close(&st);
		clock_sleep_ms(BEHIND_WAIT_MS);
	}
	code = st.code;
	if (st.plan) {
		count_active(&st);
		print_warnings(&st);
		if (o->json)
			print_json(&st);
		else
			print_text(&st);
		code = st.drift ? EXIT_FAILED : EXIT_DONE;
	}
	status_close(&st);
	return code;
}
