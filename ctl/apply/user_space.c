/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service is asked twice: before the batch, when it can still say no (a port
 * that somebody has, a table that its dataplane refuses), and after it. If this
 * command dies in between, the service asks the kernel which generation is true. If the
 * service does, a new one may have begun with what was live before: it is told once more when
 * STATE is written, and who cannot be told is the error that it is.
 */
#include "ctl/apply/user_space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/apply_internal.h"
#include "ctl/apply/failpoint.h"
#include "ctl/base/clock.h"
#include "ctl/base/log.h"
#include "ctl/base/text.h"
#include "ctl/config/config_groups.h"
#include "ctl/control/bounds.h"
#include "ctl/control/compile.h"
#include "ctl/control/service_view.h"

#define HURRY_MS   2000
#define PREPARE_MS 60000
#define COMMIT_MS  15000
#define LEAVE_MS   5000 /* a dataplane closes what it gave up within 2 s */
#define LOOK_MS	   20

/* ---- to the service ---- */

/* What has to happen whoever answers does not wait for long; then there is time. */
static unsigned patience_ms(const struct apply_job *j)
{
	const bool hurry = j->r->kernel_first != j->user.settles && !j->user.started;

	return hurry ? HURRY_MS : USER_SPACE_PATIENCE_MS;
}

static int open_client(struct apply_job *j, enum control_presence *p)
{
	int rc = user_space_open(j->s, &j->user.client, patience_ms(j), p, j->e);

	j->user.connected = !rc;
	return rc;
}

/* One that hangs while its part is needed, or is behind, is replaced. */
static int open_or_kill(struct apply_job *j, bool needed, enum control_presence *p)
{
	int rc = open_client(j, p);

	if (rc != -ETIME ||
	    !(j->user.settles || (needed && !j->r->no_daemon && !j->r->kernel_first)))
		return rc;
	rc = user_space_kill(j->s, j->e);
	if (rc)
		return rc;
	*p = control_look(j->s->state.run_dir);
	return err_set(j->e, -ENOENT, "the service was killed");
}

static int start_service(struct apply_job *j)
{
	enum control_presence p;
	int rc;

	apply_phase(j, "starting the service");
	rc = user_space_start(j->s, j->e);
	if (rc)
		return rc;
	j->user.started = true;
	rc = open_client(j, &p);
	return rc ? err_wrap(j->e, "the service was started") : 0;
}

static int refuse_daemon(struct apply_job *j)
{
	const struct plan *p = j->r->plan;

	for (unsigned i = 0; i < p->n_routes; i++) {
		const struct plan_route *r = &p->routes[i];

		if (r->tier == TIER_NFTABLES)
			continue;
		err_at(j->e, EINVAL, r->reason_loc,
		       "route \"%s\" needs the service: %s, which --no-daemon excludes",
		       r->route->name, r->reason);
		err_hint(j->e, "start it yourself: spctl run");
		return j->e->code;
	}
	return err_set(j->e, EINVAL, "the routes need the service, which --no-daemon excludes");
}

/* The routes are served without it, only not followed: no reason to have none. */
static int do_without(struct apply_job *j)
{
	if (j->e->code)
		log_warn("%s: names and health of targets are not followed", j->e->msg);
	*j->e = (struct err){ 0 };
	return 0;
}

/* 0 with user.connected false: nobody is there, and nobody is needed. */
static int reach(struct apply_job *j, bool needed)
{
	const bool useful = !j->r->no_daemon && control_would_use_service(j->r->plan);
	enum control_presence p = CONTROL_NONE;
	int rc = open_or_kill(j, needed, &p);

	if (!rc || rc != -ENOENT)
		return rc;
	*j->e = (struct err){ 0 };
	/* A dataplane without a controller serves the former routes: somebody has to tell it. */
	if (!needed && !useful && p != CONTROL_ORPHAN)
		return 0;
	if (needed && j->r->no_daemon)
		return refuse_daemon(j);
	if (j->r->kernel_first && !j->user.settles)
		return err_set(j->e, -ENOENT, "the service does not run");
	rc = start_service(j);
	return rc && !needed && p != CONTROL_ORPHAN ? do_without(j) : rc;
}

/* ---- prepare ---- */

static json_t *listeners_json(const struct control_table *t)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < t->n_listeners; i++) {
		const struct control_listener *l = &t->listeners[i];
		char text[ADDR_TEXT];

		json_array_append_new(list, json_pack("{s:s,s:i}", "address",
						      addr_format(&l->address, text), "port",
						      (int)l->port));
	}
	return list;
}

static json_t *names_json(const struct gathered *g)
{
	json_t *list = json_array();
	char text[ADDR_TEXT];

	for (unsigned i = 0; i < g->facts.n_names; i++) {
		const struct resolved_name *name = &g->facts.names[i];
		json_t *v = json_array();

		for (unsigned k = 0; k < name->n; k++)
			json_array_append_new(v, json_string(addr_format(&name->addrs[k], text)));
		json_array_append_new(list,
				      json_pack("{s:s,s:o}", "name", name->name, "addresses", v));
	}
	return list;
}

/* The dataplane names a route by its index in the table. */
static void blame(struct apply_job *j, const json_t *load, int index)
{
	const json_t *r =
		index < 0 ? NULL : json_array_get(json_object_get(load, "routes"), (size_t)index);
	const char *name = json_string_value(json_object_get(r, "name"));
	const struct config *c = j->r->plan->config;

	for (unsigned i = 0; name && i < c->n_routes; i++) {
		if (strcmp(c->routes[i].name, name))
			continue;
		err_wrap(j->e, "route \"%s\"", name);
		err_place(j->e, c->routes[i].loc, NULL);
	}
}

/* Threads come and go with their dataplane only. */
static void warn_workers(const json_t *answer)
{
	const json_int_t runs = json_integer_value(json_object_get(answer, "workers"));
	const json_int_t wanted = json_integer_value(json_object_get(answer, "workersWanted"));

	if (runs != wanted)
		log_warn("the service goes on with %d worker%s; it has %d after the next reload "
			 "(kill -USR2, or systemctl reload spctl-run)",
			 (int)runs, text_plural((uint64_t)runs), (int)wanted);
}

static unsigned prepare_ms(const struct apply_job *j)
{
	return j->user.settles || (control_needs_service(j->r->plan) && !j->r->kernel_first)
		       ? PREPARE_MS
		       : USER_SPACE_PATIENCE_MS;
}

static int ask_once(struct apply_job *j, const struct control_table *t)
{
	const struct config *c = j->r->plan->config;
	json_t *answer;
	int route = -1;

	apply_phase(j, "the service loads %u listener%s", t->n_listeners,
		    text_plural(t->n_listeners));
	answer = client_ask(&j->user.client,
			    json_pack("{s:s,s:I,s:s,s:O,s:o,s:o,s:I,s:I}", "type", "prepare",
				      "generation", (json_int_t)j->compile.generation, "table",
				      j->compile.table, "load", t->load, "names",
				      names_json(j->r->gathered), "listeners", listeners_json(t),
				      "gracefulShutdownTimeout",
				      (json_int_t)c->extra->limits->graceful_shutdown_timeout_ms,
				      "workers", (json_int_t)c->extra->limits->workers),
			    "prepared", prepare_ms(j), &route, j->e);
	if (!answer) {
		blame(j, t->load, route);
		return j->e->code;
	}
	warn_workers(answer);
	json_decref(answer);
	j->user.prepared = true;
	return 0;
}

/* A port that a former apply gave up is empty before it is listened on again. */
static int ask_prepare(struct apply_job *j, const struct control_table *t)
{
	const int64_t end = clock_mono_ms() + LEAVE_MS;
	int rc;

	while ((rc = ask_once(j, t)) == -EAGAIN && clock_mono_ms() < end) {
		*j->e = (struct err){ 0 };
		clock_sleep_ms(LOOK_MS);
	}
	return rc;
}

/* One that has just decided to end, because nobody needed it: a new one is started. */
static int prepare_anew(struct apply_job *j, const struct control_table *t, bool needed)
{
	int rc;

	client_close(&j->user.client);
	j->user.connected = false;
	*j->e = (struct err){ 0 };
	rc = user_space_await_end(j->s, USER_SPACE_PATIENCE_MS, j->e);
	rc = rc ? rc : reach(j, needed);
	return rc || !j->user.connected ? rc : ask_prepare(j, t);
}

/* How many places of the plan nobody listens at, as the service reads it from the kernel; what
 * names one of them. -EAGAIN: this generation is not served (yet), or it cannot be asked. */
static int read_back(struct apply_job *j, struct err *e)
{
	const struct plan *p = j->r->plan;
	struct control_listener *wanted = calloc(p->n_listeners + 1, sizeof(*wanted));
	struct service_view v = { 0 };
	char place[SERVICE_PLACE];
	unsigned first = 0;
	int rc = -EAGAIN;

	for (unsigned i = 0; wanted && i < p->n_listeners; i++)
		wanted[i] =
			(struct control_listener){ p->listeners[i].address, p->listeners[i].port };
	if (wanted && !service_view_ask(&v, &j->user.client, COMMIT_MS) &&
	    service_view_serves(&v, j->compile.generation))
		rc = service_view_missing(&v, wanted, p->n_listeners, &first) ? -EBADE : 0;
	if (rc == -EBADE && *service_view_text(v.service, "lacks"))
		err_set(e, rc, "the service: %s", service_view_text(v.service, "lacks"));
	else if (rc == -EBADE)
		err_set(e, rc, "the service does not listen on %s",
			service_place(&wanted[first].address, wanted[first].port, place));
	service_view_fini(&v);
	free(wanted);
	return rc;
}

static int load(struct apply_job *j, bool needed)
{
	struct control_options o = { .generation = j->compile.generation,
				     .ids = j->route_ids,
				     .default_id = j->default_id };
	struct control_table t = { 0 };
	int rc;

	control_bounds(&o);
	rc = control_compile(j->r->plan, &o, &t, j->e);
	rc = rc ? rc : ask_prepare(j, &t);
	if (rc == -ESHUTDOWN)
		rc = prepare_anew(j, &t, needed);
	control_table_fini(&t);
	return rc;
}

/* What is served as it should be is not loaded again. */
static int prepare(struct apply_job *j, bool needed, bool again)
{
	int rc = reach(j, needed);

	if (rc || !j->user.connected || (again && !read_back(j, NULL)))
		return rc;
	rc = load(j, needed);
	FAILPOINT(prepared);
	return rc;
}

static int go_without(struct apply_job *j)
{
	if (j->e->code == -ENOENT)
		log_debug("%s: it is started when the kernel has its routes", j->e->msg);
	else
		log_warn("%s: the kernel's routes do not wait for it", j->e->msg);
	*j->e = (struct err){ 0 };
	if (j->user.connected)
		client_close(&j->user.client);
	j->user = (struct user_space){ .started = j->user.started, .lost = true };
	return 0;
}

int user_space_prepare(struct apply_job *j)
{
	bool needed = control_needs_service(j->r->plan);
	int rc;

	if (j->r->by_service)
		return 0;
	if (!needed && (j->r->no_daemon || !control_would_use_service(j->r->plan)) &&
	    control_look(j->s->state.run_dir) == CONTROL_NONE)
		return 0;
	rc = prepare(j, needed, j->again);
	/* The kernel's routes need no part of one that hangs. */
	return rc && (j->r->kernel_first || (rc == -ETIME && !needed)) ? go_without(j) : rc;
}

/* ---- commit ---- */

static int ask_commit(struct apply_job *j, bool *late, struct err *e)
{
	json_t *answer;

	j->user.prepared = false;
	apply_phase(j, "the service takes over");
	answer = client_ask(&j->user.client,
			    json_pack("{s:s,s:I}", "type", "commit", "generation",
				      (json_int_t)j->compile.generation),
			    "committed", COMMIT_MS, NULL, e);
	*late = json_is_true(json_object_get(answer, "late"));
	json_decref(answer);
	FAILPOINT(served);
	return answer ? 0 : e->code;
}

/* Who is late serves it as soon as he is back, and is not asked where he listens. */
static int commit(struct apply_job *j, struct err *e)
{
	bool late;
	int rc = ask_commit(j, &late, e);

	if (rc)
		return rc;
	if (late) {
		log_warn("the dataplane is late: it serves the new routes as soon as it is back");
		return 0;
	}
	rc = read_back(j, e);
	FAILPOINT(heard);
	return rc == -EAGAIN ? err_set(e, rc, "the service has ended meanwhile") : rc;
}

int user_space_commit(struct apply_job *j)
{
	struct err e = { 0 };
	int rc;

	if (!j->user.prepared)
		return 0;
	rc = commit(j, &e);
	if (rc == -EBADE && !j->r->kernel_first) {
		*j->e = e;
		return rc;
	}
	j->user.lost = rc != 0;
	if (rc)
		log_debug("the service has not said that it serves it: %s", e.msg);
	return 0;
}

static int commit_again(struct apply_job *j)
{
	int rc;

	if (j->user.connected)
		client_close(&j->user.client);
	j->user = (struct user_space){ .started = j->user.started, .settles = true };
	rc = prepare(j, control_needs_service(j->r->plan), true);
	return !rc && j->user.prepared ? commit(j, j->e) : rc;
}

int user_space_settle(struct apply_job *j)
{
	if (!j->user.lost)
		return 0;
	apply_phase(j, "asking the service once more");
	if (!commit_again(j))
		return 0;
	err_wrap(j->e, "generation %u is live, but the service does not serve it",
		 j->compile.generation);
	if (!j->e->hint[0])
		err_hint(j->e, "the next spctl apply tries it again");
	j->out->service_behind = true;
	return j->e->code = -ENOTRECOVERABLE;
}

void user_space_end(struct apply_job *j)
{
	struct err e = { 0 };

	if (j->user.prepared)
		json_decref(client_ask(&j->user.client,
				       json_pack("{s:s,s:I}", "type", "abort", "generation",
						 (json_int_t)j->compile.generation),
				       "aborted", COMMIT_MS, NULL, &e));
	if (j->user.connected)
		client_close(&j->user.client);
	j->user = (struct user_space){ 0 };
}
