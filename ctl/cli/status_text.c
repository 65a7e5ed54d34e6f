/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status for people: one screen, at most TABLE_WIDTH columns. */
#include <pwd.h>
#include <string.h>

#include "ctl/base/clock.h"
#include "ctl/base/text.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/status.h"
#include "ctl/cli/table.h"

#define TARGET_ROWS 8 /* a route with more is one row; --json has them all */

/* ---- the table ---- */

static void count_cell(struct table *t, bool known, uint64_t n)
{
	char text[TEXT_SHORT];

	table_cell(t, known ? text_short(n, text) : "?");
}

static void counts_cells(struct table *t, const struct usage *u, const struct usage_counts *c,
			 bool blind)
{
	count_cell(t, u->have_active && !blind, c->active);
	count_cell(t, u->have_totals && !blind, c->total);
	count_cell(t, u->have_totals && !blind, c->bytes_in);
	count_cell(t, u->have_totals && !blind, c->bytes_out);
}

static void target_row(const struct status *st, struct table *t, const struct usage_route *u,
		       const struct usage_target *target)
{
	struct buf b = { 0 };

	if (target->kernel)
		describe_target(&b, target->kernel);
	else
		describe_host(&b, target->target, target->host);
	if (target->health == USAGE_DOWN)
		buf_puts(&b, " DOWN");
	table_cell(t, " ");
	table_cell(t, " ");
	table_cell(t, " ");
	table_cell(t, b.data);
	counts_cells(t, &st->usage, &target->counts, u->blind);
	table_cell(t, " ");
	buf_fini(&b);
}

/* Its targets have rows of their own where there are a few. */
static bool has_target_rows(const struct usage_route *u)
{
	return u->n_targets > 1 && u->n_targets <= TARGET_ROWS;
}

static void counts_row(const struct status *st, struct table *t, const struct usage_route *u)
{
	counts_cells(t, &st->usage, &u->all, u->blind);
	count_cell(t, st->usage.have_totals && !u->blind, usage_refused(u));
	for (unsigned k = 0; has_target_rows(u) && k < u->n_targets; k++)
		target_row(st, t, u, &u->targets[k]);
}

static void route_rows(const struct status *st, struct table *t, unsigned i)
{
	const struct plan_route *r = &st->plan->routes[i];
	const struct usage_route *u = &st->usage.routes[i];
	struct buf listens = { 0 }, targets = { 0 };

	describe_listens(&listens, r);
	if (u->n_targets > 1)
		buf_printf(&targets, "%u targets%s", u->n_targets, has_target_rows(u) ? ":" : "");
	else
		describe_targets(&targets, r);
	if (u->n_targets == 1 && u->targets[0].health == USAGE_DOWN)
		buf_puts(&targets, " DOWN");
	table_cell(t, r->route->name);
	table_cell(t, tier_name(r->tier));
	table_cell(t, listens.data);
	table_cell(t, targets.data);
	counts_row(st, t, u);
	buf_fini(&listens);
	buf_fini(&targets);
}

static void fallback_rows(const struct status *st, struct table *t)
{
	const struct usage_route *u = &st->usage.fallback;
	struct buf target = { 0 };

	if (u->n_targets == 1)
		describe_host(&target, u->targets[0].target, u->targets[0].host);
	else
		buf_printf(&target, "%u target%s:", u->n_targets, text_plural(u->n_targets));
	table_cell(t, CONTROL_DEFAULT_NAME);
	table_cell(t, tier_name(TIER_RELAY));
	table_cell(t, "the rest");
	table_cell(t, target.data);
	counts_row(st, t, u);
	buf_fini(&target);
}

static void print_routes(const struct status *st)
{
	static const char *const head[] = { "ROUTE", "TIER", "LISTENS", "TARGETS", "ACTIVE",
					    "TOTAL", "IN",   "OUT",	"REFUSED" };
	struct table t;

	table_init(&t, 9, head);
	for (unsigned i = 0; i < st->plan->n_routes; i++)
		route_rows(st, &t, i);
	if (st->usage.have_fallback)
		fallback_rows(st, &t);
	if (t.n > 9)
		table_print(&t, stdout);
	table_fini(&t);
}

/* ---- under the table: why ---- */

static void print_reason(const char **comma, const char *reason, uint64_t n)
{
	if (n)
		printf("%s%llu %s", *comma, (unsigned long long)n, reason);
	*comma = n ? ", " : *comma;
}

static void print_refused(const char *name, const struct usage_route *u)
{
	const char *comma = "";

	if (!usage_refused(u))
		return;
	printf("refused by %s: ", name);
	for (int k = 1; k < N_REASONS; k++)
		print_reason(&comma, reason_name((enum reason)k), u->refused[k]);
	printf("\n");
}

static void print_unrouted(const json_t *refused)
{
	const char *comma = "";

	if (!json_object_size(refused))
		return;
	printf("refused before they had a route: ");
	for (int k = 1; k < N_REASONS; k++)
		print_reason(&comma, reason_name((enum reason)k),
			     service_view_number(refused, reason_name((enum reason)k)));
	printf("\n");
}

static void print_refusals(const struct status *st)
{
	for (unsigned i = 0; i < st->plan->n_routes; i++)
		print_refused(st->plan->routes[i].route->name, &st->usage.routes[i]);
	if (st->usage.have_fallback)
		print_refused(CONTROL_DEFAULT_NAME, &st->usage.fallback);
	print_unrouted(json_object_get(st->service.process, "refused"));
}

/* ---- the service ---- */

static void print_sandbox(const json_t *s)
{
	const unsigned uid = (unsigned)service_view_number(s, "uid");
	const struct passwd *who = getpwuid(uid);
	const uint64_t refused = service_view_number(s, "refused");

	if (who)
		printf(" as %s", who->pw_name);
	else
		printf(" as uid %u", uid);
	printf("%s", json_is_true(json_object_get(s, "sealed")) ? "" : ", no sandbox");
	if (refused)
		printf(", %llu system call%s refused (the last: number %lld)",
		       (unsigned long long)refused, text_plural(refused),
		       (long long)json_integer_value(json_object_get(s, "last")));
}

static void print_count(const char *what, uint64_t n)
{
	printf(", %llu %s%s", (unsigned long long)n, what, text_plural(n));
}

static void print_service(const struct service_view *v)
{
	const json_t *s = v->service;
	const uint64_t restarts = service_view_number(s, "restarts"),
		       draining = service_view_number(s, "draining");

	if (!v->controller_answers)
		return;
	printf("service: pid %d, dataplane %llu", v->pid,
	       (unsigned long long)service_view_number(s, "dataplane"));
	print_sandbox(json_object_get(s, "sandbox"));
	print_count("worker", service_view_number(s, "workers"));
	if (restarts)
		print_count("restart", restarts);
	if (v->answers)
		print_count("connection", service_view_number(v->process, "connections"));
	if (draining)
		printf(", %llu former one%s", (unsigned long long)draining,
		       draining == 1 ? " drains" : "s drain");
	printf("\n         if the controller dies, %s\n",
	       json_is_true(json_object_get(s, "unit"))
		       ? "systemd ends all connections and starts it again; new ones wait meanwhile"
		       : "connections go on, also new ones");
}

void status_print_text(const struct status *st)
{
	char when[24];

	printf("generation %u, applied %s from %s, table inet %s\n", st->s.live,
	       clock_format_utc(st->meta.time_ms, when),
	       strcmp(st->meta.file, "-") ? st->meta.file : "standard input",
	       session_table(&st->s));
	if (st->confirm.generation) {
		cmd_confirm_print(st->o, &st->confirm);
		printf("%s\n", st->confirm.timer ? "" : "; its timer was gone");
	}
	print_service(&st->service);
	if (st->drift)
		printf("DRIFT: %s: %s repairs it\n", st->drift_what,
		       cmd_repair(st->confirm.generation));
	for (unsigned i = 0; i < st->attention.n && i < ATTENTION_MAX; i++)
		printf("ATTENTION: %s\n", st->attention.v[i]);
	if (st->attention.n > ATTENTION_MAX)
		printf("ATTENTION: and %u more\n", st->attention.n - ATTENTION_MAX);
	print_routes(st);
	print_refusals(st);
}
