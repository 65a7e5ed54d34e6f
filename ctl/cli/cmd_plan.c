/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan: what each route becomes, and - as root - how that differs from what is
 * live. Reads only: no lock is taken and nothing is written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/apply/confirm.h"
#include "ctl/apply/gather.h"
#include "ctl/apply/own_session.h"
#include "ctl/apply/session.h"
#include "ctl/base/text.h"
#include "ctl/cli/cmd_confirm.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/live_plan.h"
#include "ctl/cli/route_diff.h"
#include "ctl/cli/table.h"

/* ---- the live side ---- */

struct live {
	struct live_plan p;
	uint32_t generation;
	bool drift; /* the kernel's table is not of this generation */
	bool waits; /* for confirmation */
};

/* False: there is nothing to compare with (*e may say why). */
static bool live_open(struct live *v, const struct options *o, struct err *e)
{
	struct session s;
	struct confirm_view confirm;
	struct ruleset *head = NULL;

	memset(v, 0, sizeof(*v));
	if (confirm_open(&s, o->state_dir, o->run_dir, 0, o->timeout_ms, NULL, e)) {
		if (e->code == -ENOENT)
			memset(e, 0, sizeof(*e));
		return false;
	}
	v->generation = s.live;
	confirm_look(&s, &confirm);
	v->waits = confirm.generation;
	if (s.live && !live_plan_load(&v->p, &s.state, s.live, e))
		live_plan_build(&v->p);
	if (!nft_read_head(s.nft, session_table(&s), &head, e))
		v->drift = s.live && (!head->exists || head->generation != s.live);
	ruleset_free(head);
	session_close(&s);
	return true;
}

static void print_change(const struct route_change *c, void *arg)
{
	const char *name = c->name ? c->name : "limits";

	(void)arg;
	if (c->op == '~')
		printf("~ %s: %s\n%*s  becomes %s\n", name, c->old, (int)strlen(name), "", c->new);
	else
		printf("%c %s: %s\n", c->op, name, c->op == '+' ? c->new : c->old);
}

/* ---- output ---- */

static bool is_shared(const struct plan_route *r)
{
	return r->in_kernel && r->behind;
}

static void note_route(struct buf *notes, const struct plan_route *r)
{
	if (r->tier != TIER_NFTABLES)
		buf_puts(notes, r->reason);
	else if (is_shared(r))
		buf_puts(notes, "user space has a part: below");
	else if (r->refusal)
		buf_puts(notes, r->refusal);
	else
		describe_notes(notes, r);
}

static void add_row(struct table *t, const struct plan_route *r, const char *tier,
		    const char *notes)
{
	struct buf listens = { 0 }, targets = { 0 };

	describe_listens(&listens, r);
	describe_targets(&targets, r);
	table_cell(t, r->route->name);
	table_cellf(t, "%s%s", tier, r->refusal ? " (!)" : "");
	table_cell(t, listens.data);
	table_cell(t, targets.data);
	table_cell(t, notes);
	buf_fini(&listens);
	buf_fini(&targets);
}

/* They have no place in the plan: at the end, as the file has them. */
static void add_disabled(struct table *t, const struct config *c)
{
	for (unsigned i = 0; i < c->n_routes; i++) {
		const struct plan_route r = { .route = &c->routes[i],
					      .transport = c->routes[i].match.transport };

		if (!r.route->enabled)
			add_row(t, &r, "disabled", NULL);
	}
}

static void print_table(const struct plan *p)
{
	static const char *const head[] = { "ROUTE", "TIER", "LISTENS", "TARGETS", "NOTES" };
	struct table t;

	table_init(&t, 5, head);
	for (unsigned i = 0; i < p->n_routes; i++) {
		struct buf notes = { 0 };

		note_route(&notes, &p->routes[i]);
		add_row(&t, &p->routes[i], tier_name(p->routes[i].tier), notes.data);
		buf_fini(&notes);
	}
	add_disabled(&t, p->config);
	table_print(&t, stdout);
	table_fini(&t);
}

static void print_shared(const struct plan_route *r)
{
	const struct plan_behind *rest = r->behind;

	while (rest) {
		struct buf b = { 0 };

		rest = describe_behind(&b, rest);
		printf("user space's part of %s: %s\n", r->route->name, b.data ? b.data : "?");
		buf_fini(&b);
	}
	if (r->behind_more)
		printf("user space's part of %s: more ports, not listed here\n", r->route->name);
}

/* What each client may do over all routes together. */
static void print_limits(const struct config *c)
{
	struct buf b = { 0 };

	describe_limits(&b, c);
	printf("limits: %s\n", b.data ? b.data : "?");
	buf_fini(&b);
}

/* Runs of ports, in their order. Returns the first listener behind the run. */
static unsigned put_run(struct buf *b, const struct plan *p, unsigned i)
{
	const struct plan_listener *v = p->listeners;
	char address[ADDR_TEXT];
	unsigned end = i + 1;

	while (end < p->n_listeners && v[end].port == v[end - 1].port + 1 &&
	       !addr_cmp(&v[end].address, &v[i].address))
		end++;
	if (v[i].address.family != ADDR_NONE)
		buf_printf(b, "%s ", addr_format(&v[i].address, address));
	buf_printf(b, "tcp/%u", v[i].port);
	if (end > i + 1)
		buf_printf(b, "-%u", v[end - 1].port);
	return end;
}

/* Where the service listens; apply starts it. */
static void print_listeners(const struct plan *p)
{
	struct buf b = { 0 };

	for (unsigned i = 0; i < p->n_listeners;) {
		buf_puts(&b, i ? ", " : "");
		i = put_run(&b, p, i);
	}
	if (p->n_listeners && b.data && !b.failed)
		printf("the service listens on %s\n", b.data);
	buf_fini(&b);
}

static void print_routes(const struct plan *p)
{
	print_table(p);
	for (unsigned i = 0; i < p->n_routes; i++)
		if (is_shared(&p->routes[i]))
			print_shared(&p->routes[i]);
	print_listeners(p);
	if (p->n_enabled > p->refused)
		print_limits(p->config);
	if (p->refused)
		printf("(!) %u of %u row%s cannot run in this version: apply refuses the file\n",
		       p->refused, p->n_routes, text_plural(p->n_routes));
}

static void print_difference(const struct live *v, bool have_live, const struct err *e,
			     const struct plan *p)
{
	struct buf summary = { 0 };

	if (!have_live && e->code) {
		printf("\nchange against what runs: not shown (%s)\n", e->msg);
		return;
	}
	if (!v->generation)
		printf("\nchange: nothing is applied yet\n");
	else
		printf("\nchange against generation %u:\n", v->generation);
	if (v->drift)
		printf("! the kernel's table is not what generation %u says: %s repairs it\n",
		       v->generation, cmd_repair(v->waits));
	route_diff_summary(v->p.plan, p, &summary);
	printf("  %s\n", summary.data && !summary.failed ? summary.data : "?");
	buf_fini(&summary);
	route_diff(v->p.plan, p, print_change, NULL);
}

static json_t *route_json(const struct plan_route *r)
{
	json_t *j = json_pack("{s:s,s:s,s:s,s:b,s:o,s:o}", "name", r->route->name, "tier",
			      tier_name(r->tier), "reason", r->reason, "runs", r->refusal == NULL,
			      "listeners", describe_listeners_json(r), "targets",
			      describe_targets_json(r));
	json_t *families = json_array();

	if (r->refusal)
		json_object_set_new(j, "refusal", json_string(r->refusal));
	if (r->v4)
		json_array_append_new(families, json_string("ipv4"));
	if (r->v6)
		json_array_append_new(families, json_string("ipv6"));
	json_object_set_new(j, "families", families);
	json_object_set_new(j, "security", describe_security_json(r));
	if (is_shared(r))
		json_object_set_new(j, "userSpace", describe_behind_json(r));
	if (is_shared(r))
		json_object_set_new(j, "userSpaceMore", json_boolean(r->behind_more));
	return j;
}

static json_t *disabled_json(const struct config *c)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < c->n_routes; i++)
		if (!c->routes[i].enabled)
			json_array_append_new(list, json_string(c->routes[i].name));
	return list;
}

static json_t *listeners_json(const struct plan *p)
{
	json_t *list = json_array();
	char text[ADDR_TEXT];

	for (unsigned i = 0; i < p->n_listeners; i++)
		json_array_append_new(list, json_pack("{s:s,s:s,s:i}", "address",
						      addr_format(&p->listeners[i].address, text),
						      "protocol", "tcp", "port",
						      (int)p->listeners[i].port));
	return list;
}

static void print_json(const struct live *v, const struct plan *p, const struct diags *d)
{
	json_t *routes = json_array();

	for (unsigned i = 0; i < p->n_routes; i++)
		json_array_append_new(routes, route_json(&p->routes[i]));
	describe_print_json(
		json_pack("{s:i,s:i,s:b,s:o,s:o,s:o,s:o,s:o,s:o}", "schema", 1, "generation",
			  (int)v->generation, "drift", v->drift, "limits",
			  describe_limits_json(p->config), "listeners", listeners_json(p), "routes",
			  routes, "disabled", disabled_json(p->config), "changes",
			  route_diff_json(v->p.plan, p), "warnings", describe_warnings_json(d)));
}

static int show(const struct options *o, struct loaded *l, const struct plan *p)
{
	struct live v;
	struct err e = { 0 };
	bool have_live = live_open(&v, o, &e);

	if (o->json) {
		print_json(&v, p, &l->diags);
	} else {
		print_routes(p);
		fflush(stdout);
		cmd_report(o, l);
		print_difference(&v, have_live, &e, p);
	}
	live_plan_fini(&v.p);
	return EXIT_DONE;
}

/* apply refuses that. */
static void warn_own_session(const struct gathered *g, const struct plan *p, struct diags *d)
{
	struct session_conn c;
	struct err e = { 0 };

	if (session_conn_find(&c) && own_session_is_taken(p, &g->host, &c, &e))
		diags_add(d, DIAG_WARNING, e.loc, NULL, e.hint, "%s", e.msg);
}

int cmd_plan(const struct options *o, int argc, char **argv)
{
	struct err e = { 0 };
	const char *file = cmd_find_file(argc, argv, &e);
	struct gathered g = { 0 };
	struct plan *p = NULL;
	struct loaded l;
	int rc = EXIT_USAGE;

	if (!file)
		return cmd_fail(o, &e, EXIT_USAGE);
	if (cmd_load(&l, file, o->lenient)) {
		if (gather_facts(&g, l.config, NULL, o->timeout_ms, &l.diags, &e)) {
			rc = cmd_fail(o, &e, EXIT_FAILED);
			goto out;
		}
		p = plan_build_new(l.config, &g.facts, &l.diags);
	}
	if (p) {
		gather_warn(&g, p, &l.diags);
		warn_own_session(&g, p, &l.diags);
		rc = show(o, &l, p);
	} else {
		cmd_report(o, &l);
		rc = cmd_file_code(&l);
	}
out:
	plan_free(p);
	gather_fini(&g);
	cmd_unload(&l);
	return rc;
}
