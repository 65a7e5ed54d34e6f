/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/service/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/gather.h"
#include "ctl/apply/session.h"
#include "ctl/config/config_groups.h"
#include "ctl/control/bounds.h"
#include "ctl/control/compile.h"

struct reading {
	struct session s;
	struct state_meta meta;
	struct buf text;
	struct config *config;
	struct gathered g;
	struct plan *plan;
	uint32_t *ids;
};

static void reading_fini(struct reading *r)
{
	plan_free(r->plan);
	/* The names were lent by the meta. */
	r->g.names = NULL;
	r->g.n_names = 0;
	gather_fini(&r->g);
	config_free(r->config);
	buf_fini(&r->text);
	state_meta_fini(&r->meta);
	free(r->ids);
	session_close(&r->s);
}

static int not_any_more(uint32_t generation, const struct diags *d, struct err *e)
{
	const char *why = "?";

	for (size_t i = d->n; i-- > 0;)
		if (d->v[i].severity == DIAG_ERROR)
			why = d->v[i].msg;
	return err_set(e, -EINVAL, "generation %u cannot be served by this spctl: %s", generation,
		       why);
}

static int read_plan(struct reading *r, struct err *e)
{
	struct config_options opt = { .lenient = true };
	struct diags quiet = { 0 };
	int rc;

	r->config = config_parse(r->meta.file, r->text.data ? r->text.data : "", r->text.len, &opt,
				 &quiet);
	rc = r->config ? gather_past_facts(&r->g, &r->meta, e)
		       : not_any_more(r->meta.generation, &quiet, e);
	if (!rc) {
		r->g.names = r->meta.names;
		r->g.n_names = r->meta.n_names;
		r->plan = plan_build(r->config, &r->g.facts, &quiet);
		rc = r->plan ? 0 : not_any_more(r->meta.generation, &quiet, e);
	}
	diags_fini(&quiet);
	return rc;
}

/* A name whose number was lost gets one that nobody has: only who counts by it notices. */
static uint32_t id_of(const struct reading *r, const char *name, uint32_t *next)
{
	const uint32_t id = route_ids_find(&r->s.ids, name);

	return id ? id : (*next)++;
}

static int compile(struct reading *r, struct live *out, struct err *e)
{
	struct control_options o = { .generation = r->meta.generation };
	struct control_table t = { 0 };
	uint32_t next = 1;
	int rc;

	for (size_t i = 0; i < r->s.ids.n; i++)
		next = r->s.ids.ids[i] >= next ? r->s.ids.ids[i] + 1 : next;
	r->ids = calloc(r->plan->n_routes + 1, sizeof(*r->ids));
	if (!r->ids)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < r->plan->n_routes; i++)
		r->ids[i] = i && r->plan->routes[i - 1].route == r->plan->routes[i].route
				    ? r->ids[i - 1]
				    : id_of(r, r->plan->routes[i].route->name, &next);
	o.ids = r->ids;
	o.default_id = id_of(r, CONTROL_DEFAULT_NAME, &next);
	control_bounds(&o);
	rc = control_compile(r->plan, &o, &t, e);
	if (rc)
		return rc;
	out->listeners = calloc(t.n_listeners + 1, sizeof(*out->listeners));
	for (unsigned i = 0; out->listeners && i < t.n_listeners; i++)
		out->listeners[i] =
			(struct listen_at){ t.listeners[i].address, t.listeners[i].port };
	out->n_listeners = out->listeners ? t.n_listeners : 0;
	out->load = json_incref(t.load);
	control_table_fini(&t);
	return out->listeners ? 0 : err_set(e, -ENOMEM, "out of memory");
}

/* All names, also those of which nobody found out more since they were applied. */
static int read_found(const struct reading *r, struct state_found *out, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; i < r->meta.n_names && !rc; i++)
		if (r->meta.names[i].n)
			rc = state_found_add_name(out, r->meta.names[i].name, r->meta.generation,
						  r->meta.names[i].addrs, r->meta.names[i].n);
	for (unsigned i = 0; i < r->meta.n_down && !rc; i++)
		rc = state_found_add_down(out, r->meta.down[i].route, r->meta.down[i].tag);
	return rc ? err_set(e, -ENOMEM, "out of memory") : 0;
}

static int read_live(struct reading *r, struct live *out, struct err *e)
{
	int rc;

	memcpy(out->instance, r->s.state.instance, sizeof(out->instance));
	memcpy(out->table, session_table(&r->s), strlen(session_table(&r->s)) + 1);
	if (!r->s.live)
		return 0;
	rc = state_read_generation(&r->s.state, r->s.live, &r->meta, &r->text, e);
	rc = rc ? rc : read_plan(r, e);
	if (rc)
		return rc;
	session_load_ids(&r->s);
	rc = compile(r, out, e);
	rc = rc ? rc : read_found(r, &out->found, e);
	if (rc)
		return rc;
	out->generation = r->meta.generation;
	out->workers = r->config->extra->limits->workers;
	out->shutdown_ms = r->config->extra->limits->graceful_shutdown_timeout_ms;
	return 0;
}

int live_read(const char *state_dir, const char *run_dir, struct live *out, struct err *e)
{
	struct reading r = { 0 };
	int rc;

	*out = (struct live){ .table = DEFAULT_TABLE };
	rc = session_open(&r.s, state_dir, run_dir, 0, 0, e);
	if (rc)
		return rc;
	rc = read_live(&r, out, e);
	if (rc) /* its places die with the config */
		e->loc = LOC_NONE;
	reading_fini(&r);
	return rc;
}

void live_fini(struct live *l)
{
	json_decref(l->load);
	free(l->listeners);
	state_found_fini(&l->found);
	l->load = NULL;
	l->listeners = NULL;
}
