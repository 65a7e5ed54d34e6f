/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status for programs: the object of DESIGN.md, "status --json". What is not known is null. */
#include <pwd.h>
#include <string.h>

#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"
#include "ctl/cli/status.h"

static json_t *number_or_null(bool known, uint64_t n)
{
	return known ? json_integer((json_int_t)n) : json_null();
}

static void put_counts(json_t *j, const struct usage *u, const struct usage_counts *c, bool blind)
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

	json_object_set_new(j, "active", number_or_null(u->have_active && !blind, c->active));
	for (size_t i = 0; i < sizeof(totals) / sizeof(*totals); i++)
		json_object_set_new(j, totals[i].key,
				    number_or_null(u->have_totals && !blind, totals[i].n));
}

static json_t *refused_json(const struct usage *u, const struct usage_route *r)
{
	json_t *j = json_object();

	for (int k = 1; k < N_REASONS && u->have_totals; k++)
		if (r->refused[k])
			json_object_set_new(j, reason_name((enum reason)k),
					    json_integer((json_int_t)r->refused[k]));
	return j;
}

static json_t *health_json(enum usage_health h)
{
	return h == USAGE_UNKNOWN ? json_null() : json_boolean(h == USAGE_UP);
}

static json_t *targets_json(const struct status *st, const struct usage_route *u)
{
	json_t *list = json_array();

	for (unsigned k = 0; k < u->n_targets; k++) {
		const struct usage_target *t = &u->targets[k];
		json_t *j = describe_target_json(t->target, t->host, t->kernel);

		json_object_set_new(j, "healthy", health_json(t->health));
		put_counts(j, &st->usage, &t->counts, u->blind);
		json_object_set_new(j, "failed", number_or_null(!u->blind, t->failed));
		json_array_append_new(list, j);
	}
	return list;
}

/* The rest of a route, after its names. */
static void put_usage(const struct status *st, json_t *j, const struct usage_route *u)
{
	put_counts(j, &st->usage, &u->all, u->blind);
	/* The kernel moves what it serves. */
	json_object_set_new(j, "movers",
			    json_pack("{s:i,s:I,s:I}", "sockmap", 0, "splice",
				      (json_int_t)u->spliced, "copy", (json_int_t)u->copied));
	json_object_set_new(j, "refused", refused_json(&st->usage, u));
	json_object_set_new(j, "failedOpen", number_or_null(!u->blind, u->failed_open));
	json_object_set_new(j, "targets", targets_json(st, u));
}

static json_t *route_json(const struct status *st, unsigned i)
{
	const struct plan_route *r = &st->plan->routes[i];
	struct buf listens = { 0 };
	json_t *j;

	describe_listens(&listens, r);
	j = json_pack("{s:s,s:i,s:s,s:s,s:s}", "name", r->route->name, "id",
		      (int)route_ids_find(&st->s.ids, r->route->name), "tier", tier_name(r->tier),
		      "reason", r->reason, "ports", listens.data ? listens.data : "");
	put_usage(st, j, &st->usage.routes[i]);
	buf_fini(&listens);
	return j;
}

static json_t *fallback_json(const struct status *st)
{
	json_t *j = json_pack("{s:s,s:i,s:s,s:s,s:s}", "name", CONTROL_DEFAULT_NAME, "id",
			      (int)route_ids_find(&st->s.ids, CONTROL_DEFAULT_NAME), "tier",
			      tier_name(TIER_RELAY), "reason", "what no route takes", "ports", "");

	put_usage(st, j, &st->usage.fallback);
	return j;
}

/* ---- the service ---- */

static void put(json_t *to, const char *key, const json_t *from, const char *of)
{
	json_t *v = json_object_get(from, of);

	json_object_set_new(to, key, v ? json_incref(v) : json_null());
}

static json_t *user_json(const json_t *sandbox)
{
	const struct passwd *who =
		sandbox ? getpwuid((uid_t)service_view_number(sandbox, "uid")) : NULL;

	return who ? json_string(who->pw_name) : json_null();
}

static void put_controller(json_t *j, const struct service_view *v)
{
	static const char *const same[] = { "state",	 "generation", "dataplane", "workers",
					    "listeners", "restarts",   "draining",  "stopping" };
	const json_t *sandbox = json_object_get(v->service, "sandbox");

	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
		put(j, same[i], v->service, same[i]);
	put(j, "uid", sandbox, "uid");
	json_object_set_new(j, "user", user_json(sandbox));
	put(j, "sandboxed", sandbox, "sealed");
	put(j, "systemCallsRefused", sandbox, "refused");
	json_object_set_new(j, "afterCrash",
			    json_string(json_is_true(json_object_get(v->service, "unit"))
						? "newConnections"
						: "connections"));
}

static void put_process(json_t *j, const struct service_view *v)
{
	static const char *const same[] = { "connections",    "undecided",	  "accepted",
					    "refused",	      "outOfDescriptors", "limitTablesFull",
					    "accessLinesLost" };

	for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++)
		put(j, same[i], v->process, same[i]);
}

json_t *status_service_json(const struct service_view *v)
{
	const bool runs = v->presence == CONTROL_THERE || v->presence == CONTROL_STARTS;
	json_t *j = json_pack("{s:b,s:o}", "running", runs, "pid",
			      number_or_null(runs && v->pid, (uint64_t)v->pid));

	if (v->presence != CONTROL_NONE)
		json_object_set_new(j, "answers", json_boolean(v->answers));
	if (v->controller_answers)
		put_controller(j, v);
	if (v->answers)
		put_process(j, v);
	return j;
}

static json_t *attention_json(const struct attention *a)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < a->n && i < ATTENTION_MAX; i++)
		json_array_append_new(list, json_string(a->v[i]));
	return list;
}

void status_print_json(const struct status *st)
{
	json_t *routes = json_array();

	for (unsigned i = 0; i < st->plan->n_routes; i++)
		json_array_append_new(routes, route_json(st, i));
	if (st->usage.have_fallback)
		json_array_append_new(routes, fallback_json(st));
	describe_print_json(
		json_pack("{s:i,s:o,s:s,s:i,s:o,s:b,s:o,s:o,s:o,s:[],s:o}", "schema", 1, "service",
			  status_service_json(&st->service), "table", session_table(&st->s),
			  "generation", (int)st->s.live, "confirm", cmd_confirm_json(&st->confirm),
			  "drift", st->drift, "driftReason", report_json_text(st->drift_what),
			  "attention", attention_json(&st->attention), "routes", routes,
			  "certificates", "warnings", describe_warnings_json(&st->diags)));
}
