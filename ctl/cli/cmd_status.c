/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status: what is live, whether the kernel still has it, and who is connected. Reads only. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/expected.h"
#include "ctl/apply/gather.h"
#include "ctl/apply/session.h"
#include "ctl/apply/usage.h"
#include "ctl/base/clock.h"
#include "ctl/base/text.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/cmd_confirm.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"
#include "ctl/cli/table.h"
#include "ctl/control/client.h"
#include "ctl/host/conntrack.h"

#define BEHIND_TRIES   100
#define BEHIND_WAIT_MS 50
#define TARGET_ROWS    8 /* a route with more is one row; --json has them all */

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
	bool all_down;	    /* of some route */
	bool drift, behind; /* behind: of another generation than the files say */
	char drift_what[160];
	struct usage usage;
	struct confirm_view confirm;
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
	/* First: with a setting off nothing is forwarded, and the table may differ because of it.
	 */
	find_settings_drift(st);
	if (session_read_kernel(&st->s, session_table(&st->s), &e))
		drift(st, "the table cannot be used: %s", e.msg);
	else
		find_table_drift(st);
	/* What an apply at work has done so far is no drift. */
	st->behind |= st->drift && session_is_busy(&st->s);
}

static void warn_full_sets(struct status *st)
{
	for (unsigned i = 0; i < st->usage.n_full; i++)
		diags_add(&st->diags, DIAG_WARNING, LOC_NONE, NULL, NULL,
			  "the set %s is full: what comes anew is let in, and neither limited nor "
			  "counted by it",
			  st->usage.full[i]);
}

static void warn_full_table(struct status *st)
{
	struct conntrack_room room;

	if (conntrack_room(&room) && room.nearly_full)
		diags_add(&st->diags, DIAG_WARNING, LOC_NONE, NULL, "spctl doctor says how",
			  "the connection table is nearly full (%lu of %lu): the kernel drops what "
			  "is new when it is",
			  room.used, room.max);
}

/* Who has no target left is served as if all were up: somebody should look. */
static void warn_down(struct status *st)
{
	for (unsigned i = 0; i < st->plan->n_routes; i++) {
		const struct plan_route *r = &st->plan->routes[i];
		const bool v4 = plan_fails_open(r, ADDR_V4), v6 = plan_fails_open(r, ADDR_V6);

		if (!v4 && !v6)
			continue;
		st->all_down = true;
		diags_add(&st->diags, DIAG_WARNING, r->route->loc, NULL, NULL,
			  "route \"%s\": all targets%s are down: connections go to them as if "
			  "they were up",
			  r->route->name,
			  plan_count_targets(r, v4 ? ADDR_V6 : ADDR_V4) == 0 || (v4 && v6) ? ""
			  : v4 ? " of IPv4"
			       : " of IPv6");
	}
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
	st->g.no_daemon = true;
	st->g.have_service = control_look(st->o->run_dir) != CONTROL_NONE;
	gather_warn_lasting(&st->g, st->plan, &st->diags);
	warn_down(st);
	return 0;
}

static void count_cell(struct table *t, bool known, uint64_t n)
{
	char text[TEXT_SHORT];

	table_cell(t, known ? text_short(n, text) : "?");
}

static void counts_cells(struct table *t, const struct usage *u, const struct usage_counts *c)
{
	count_cell(t, u->have_active, c->active);
	count_cell(t, u->have_totals, c->total);
	count_cell(t, u->have_totals, c->bytes_in);
	count_cell(t, u->have_totals, c->bytes_out);
}

static void target_row(const struct status *st, struct table *t, unsigned route, unsigned target)
{
	struct buf b = { 0 };

	describe_target(&b, &st->plan->routes[route].targets[target]);
	if (st->plan->routes[route].targets[target].down)
		buf_puts(&b, " (down)");
	table_cell(t, " ");
	table_cell(t, " ");
	table_cell(t, " ");
	table_cell(t, b.data);
	counts_cells(t, &st->usage, &st->usage.routes[route].targets[target]);
	table_cell(t, " ");
	buf_fini(&b);
}

static void route_rows(const struct status *st, struct table *t, unsigned i)
{
	const struct plan_route *r = &st->plan->routes[i];
	struct buf listens = { 0 }, targets = { 0 };
	bool apart = r->n_targets > 1 && r->n_targets <= TARGET_ROWS;

	describe_listens(&listens, r);
	if (r->n_targets > 1)
		buf_printf(&targets, "%u targets%s", r->n_targets, apart ? ":" : "");
	else
		describe_targets(&targets, r);
	table_cell(t, r->route->name);
	table_cell(t, tier_name(r->tier));
	table_cell(t, listens.data);
	table_cell(t, targets.data);
	counts_cells(t, &st->usage, &st->usage.routes[i].all);
	count_cell(t, st->usage.have_totals, usage_refused(&st->usage.routes[i]));
	for (unsigned k = 0; apart && k < r->n_targets; k++)
		target_row(st, t, i, k);
	buf_fini(&listens);
	buf_fini(&targets);
}

/* Under the table: why. */
static void print_refusals(const struct status *st)
{
	for (unsigned i = 0; i < st->plan->n_routes; i++) {
		const struct usage_route *u = &st->usage.routes[i];
		const char *comma = "";

		if (!usage_refused(u))
			continue;
		printf("refused by %s: ", st->plan->routes[i].route->name);
		for (int k = 0; k < N_REFUSALS; k++) {
			if (!u->refused[k])
				continue;
			printf("%s%llu %s", comma, (unsigned long long)u->refused[k],
			       refusal_reason((enum refusal_kind)k));
			comma = ", ";
		}
		printf("\n");
	}
}

static void print_text(struct status *st)
{
	static const char *const head[] = { "ROUTE", "TIER", "LISTENS", "TARGETS", "ACTIVE",
					    "TOTAL", "IN",   "OUT",	"REFUSED" };
	char when[24];
	struct table t;

	printf("generation %u, applied %s from %s, table inet %s\n", st->s.live,
	       clock_format_utc(st->meta.time_ms, when),
	       strcmp(st->meta.file, "-") ? st->meta.file : "standard input",
	       session_table(&st->s));
	if (st->confirm.generation) {
		cmd_confirm_print(st->o, &st->confirm);
		printf("%s\n", st->confirm.timer ? "" : "; its timer was gone");
	}
	if (st->drift)
		printf("DRIFT: %s: %s repairs it\n", st->drift_what,
		       cmd_repair(st->confirm.generation));
	table_init(&t, 9, head);
	for (unsigned i = 0; i < st->plan->n_routes; i++)
		route_rows(st, &t, i);
	if (st->plan->n_routes)
		table_print(&t, stdout);
	table_fini(&t);
	print_refusals(st);
}

static void put_counts(json_t *j, const struct usage *u, const struct usage_counts *c)
{
	const struct {
		const char *key;
		uint64_t n;
	} totals[] = {
		{ "total", c->total },
		{ "bytesIn", c->bytes_in },
		{ "bytesOut", c->bytes_out },
		{ "packetsIn", c->packets_in },
		{ "packetsOut", c->packets_out },
	};

	json_object_set_new(j, "active", u->have_active ? json_integer(c->active) : json_null());
	for (size_t i = 0; i < sizeof(totals) / sizeof(*totals); i++)
		json_object_set_new(j, totals[i].key,
				    u->have_totals ? json_integer((json_int_t)totals[i].n)
						   : json_null());
}

static json_t *refused_json(const struct usage *u, const struct usage_route *r)
{
	json_t *j = json_object();

	for (int k = 0; k < N_REFUSALS && u->have_totals; k++)
		if (r->refused[k])
			json_object_set_new(j, refusal_reason((enum refusal_kind)k),
					    json_integer((json_int_t)r->refused[k]));
	return j;
}

static json_t *targets_json(const struct status *st, unsigned i)
{
	const struct plan_route *r = &st->plan->routes[i];
	json_t *targets = describe_targets_json(r);

	for (unsigned k = 0; k < r->n_targets && k < json_array_size(targets); k++) {
		json_t *j = json_array_get(targets, k);

		json_object_set_new(j, "healthy",
				    r->route->action.health_check && st->g.have_service
					    ? json_boolean(!r->targets[k].down)
					    : json_null()); /* nobody checks it */
		put_counts(j, &st->usage, &st->usage.routes[i].targets[k]);
	}
	return targets;
}

static json_t *route_json(const struct status *st, unsigned i)
{
	const struct plan_route *r = &st->plan->routes[i];
	const struct usage_route *u = &st->usage.routes[i];
	struct buf listens = { 0 };
	json_t *j;

	describe_listens(&listens, r);
	j = json_pack("{s:s,s:i,s:s,s:s,s:s}", "name", r->route->name, "id",
		      (int)route_ids_find(&st->s.ids, r->route->name), "tier", tier_name(r->tier),
		      "reason", r->reason, "ports", listens.data ? listens.data : "");
	put_counts(j, &st->usage, &u->all);
	/* The kernel moves what it serves. */
	json_object_set_new(j, "movers",
			    json_pack("{s:i,s:i,s:i}", "sockmap", 0, "splice", 0, "copy", 0));
	json_object_set_new(j, "refused", refused_json(&st->usage, u));
	json_object_set_new(j, "targets", targets_json(st, i));
	buf_fini(&listens);
	return j;
}

static void print_json(const struct status *st)
{
	json_t *routes = json_array();

	for (unsigned i = 0; i < st->plan->n_routes; i++)
		json_array_append_new(routes, route_json(st, i));
	describe_print_json(json_pack("{s:i,s:{s:b,s:n},s:s,s:i,s:o,s:b,s:o,s:o,s:[],s:o}",
				      "schema", 1, "service", "running", 0, "pid", "table",
				      session_table(&st->s), "generation", (int)st->s.live,
				      "confirm", cmd_confirm_json(&st->confirm), "drift", st->drift,
				      "driftReason", report_json_text(st->drift_what), "routes",
				      routes, "certificates", "warnings",
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
		describe_print_json(
			json_pack("{s:i,s:{s:b,s:n},s:s,s:i,s:n,s:b,s:n,s:[],s:[],s:[]}", "schema",
				  1, "service", "running", 0, "pid", "table",
				  o->table ? o->table : DEFAULT_TABLE, "generation", 0, "confirm",
				  "drift", 0, "driftReason", "routes", "certificates", "warnings"));
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
		describe_print_json(
			json_pack("{s:i,s:{s:b,s:n},s:s,s:i,s:n,s:b,s:s,s:[],s:[],s:[s]}", "schema",
				  1, "service", "running", 0, "pid", "table", session_table(&st->s),
				  "generation", 0, "confirm", "drift", 1, "driftReason", what,
				  "routes", "certificates", "warnings", what));
	else
		printf("%s: `spctl down` takes them away\n", what);
	return EXIT_FAILED;
}

static void status_close(struct status *st)
{
	usage_fini(&st->usage);
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
	bool timer_was_gone;
	int rc = confirm_open(&st->s, st->o->state_dir, st->o->run_dir, 0, st->o->timeout_ms,
			      &timer_was_gone, &e);

	st->code = EXIT_DONE;
	if (rc == -ENOENT && !state_ownerless(st->o->state_dir)) {
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
	confirm_look(&st->s, &st->confirm);
	st->confirm.timer &= !timer_was_gone;
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
		if (usage_read(&st.s, st.plan, &st.usage, &st.diags)) {
			status_close(&st);
			return cmd_fail(o, &(struct err){ .msg = "out of memory" }, EXIT_FAILED);
		}
		warn_full_sets(&st);
		warn_full_table(&st);
		print_warnings(&st);
		if (o->json)
			print_json(&st);
		else
			print_text(&st);
		code = st.drift || st.all_down || st.confirm.generation ? EXIT_FAILED : EXIT_DONE;
	}
	status_close(&st);
	return code;
}
