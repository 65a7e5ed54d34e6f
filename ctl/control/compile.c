/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table holds what a connection can meet that arrives at a listening
 * socket: the cells of those ports, with all routes that compete there, also
 * kernel ones (for clients that the kernel leaves), and cells of single
 * addresses whose connections a socket for all addresses gets. Routes that no
 * such port has are left out: a file of 20 000 kernel routes and one that needs
 * user space is a table of one route.
 */
#include "ctl/control/compile.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/config/config_groups.h"
#include "ctl/control/compile_internal.h"

#define NOT_SENT UINT32_MAX

bool control_needs_service(const struct plan *p)
{
	return p->n_listeners > 0;
}

static bool has_names(const struct cfg_action *a)
{
	for (unsigned i = 0; i < a->n_targets; i++)
		for (unsigned k = 0; k < a->targets[i].n_hosts; k++)
			if (a->targets[i].hosts[k].kind == HOST_NAME)
				return true;
	return false;
}

static bool has_to_be_followed(const struct plan_route *r)
{
	return r->in_kernel && (r->route->action.health_check || has_names(&r->route->action));
}

bool control_would_use_service(const struct plan *p)
{
	for (unsigned i = 0; i < p->n_routes; i++)
		if (has_to_be_followed(&p->routes[i]))
			return true;
	return false;
}

/* ---- which routes are sent ---- */

struct chosen {
	uint8_t *everywhere; /* bitmap of ports with a socket for all addresses */
	bool *cells;	     /* of p->cells[i]: sent */
	bool *in_cell;	     /* of p->routes[i] */
	uint32_t *index;     /* in "routes", or NOT_SENT */
};

static bool is_listened(const struct chosen *c, const struct plan_cell *cell)
{
	if (cell->proto != IPPROTO_TCP)
		return false;
	for (uint32_t port = cell->from; port <= cell->to && !cell->user; port++)
		if (c->everywhere[port / 8] & 1u << port % 8)
			return true;
	return cell->user;
}

static int choose(const struct plan *p, struct chosen *c)
{
	c->everywhere = calloc(1, 65536 / 8);
	c->cells = calloc(p->n_cells + 1, sizeof(*c->cells));
	c->in_cell = calloc(p->n_routes + 1, sizeof(*c->in_cell));
	c->index = calloc(p->n_routes + 1, sizeof(*c->index));
	if (!c->everywhere || !c->cells || !c->in_cell || !c->index)
		return -ENOMEM;
	for (unsigned i = 0; i < p->n_listeners; i++)
		if (p->listeners[i].address.family == ADDR_NONE)
			c->everywhere[p->listeners[i].port / 8] |=
				(uint8_t)(1u << p->listeners[i].port % 8);
	for (unsigned i = 0; i < p->n_cells; i++) {
		const struct plan_cell *cell = &p->cells[i];

		c->cells[i] = is_listened(c, cell);
		for (unsigned k = 0; c->cells[i] && k < plan_count_reachable(cell); k++)
			c->in_cell[cell->order[k] - p->routes] = true;
	}
	return 0;
}

static void chosen_fini(struct chosen *c)
{
	free(c->everywhere);
	free(c->cells);
	free(c->in_cell);
	free(c->index);
}

/* ---- the parts of the load object ---- */

/* The UDP half of a route whose TCP half is sent: both have one number, and the same targets. */
static bool is_sent_already(const struct compile_job *j, const struct chosen *c, unsigned i)
{
	return i && j->p->routes[i].route == j->p->routes[i - 1].route &&
	       c->index[i - 1] != NOT_SENT;
}

static int put_routes(struct compile_job *j, json_t *load, struct chosen *c)
{
	json_t *routes = json_array();
	uint32_t n = 0;
	int bad = json_object_set_new(load, "routes", routes);

	for (unsigned i = 0; i < j->p->n_routes && !bad; i++) {
		const struct plan_route *r = &j->p->routes[i];
		enum tier tier = r->own_tier > TIER_RELAY ? r->own_tier : TIER_RELAY;

		c->index[i] = NOT_SENT;
		if (is_sent_already(j, c, i) || (!c->in_cell[i] && !has_to_be_followed(r)))
			continue;
		tier = c->in_cell[i] ? tier : TIER_NFTABLES;
		bad = json_array_append_new(routes, compile_route(j, r, j->o->ids[i], tier));
		c->index[i] = n++;
	}
	if (bad || !j->p->config->default_target)
		return bad;
	bad = json_array_append_new(routes, compile_default_route(j));
	return bad || json_object_set_new(load, "default", json_integer(n));
}

static json_t *cell_json(const struct plan *p, const struct plan_cell *cell, const struct chosen *c)
{
	json_t *v = json_object(), *routes = json_array();
	char address[ADDR_TEXT];
	int bad = 0;

	if (v && cell->address.family != ADDR_NONE)
		bad = json_object_set_new(v, "address",
					  json_string(addr_format(&cell->address, address)));
	bad |= json_object_set_new(v, "from", json_integer(cell->from));
	bad |= json_object_set_new(v, "to", json_integer(cell->to));
	for (unsigned k = 0; k < plan_count_reachable(cell) && !bad; k++)
		bad = json_array_append_new(routes,
					    json_integer(c->index[cell->order[k] - p->routes]));
	bad |= json_object_set_new(v, "routes", routes);
	if (!bad)
		return v;
	json_decref(v);
	return NULL;
}

static int put_cells(struct compile_job *j, json_t *load, const struct chosen *c)
{
	json_t *cells = json_array();
	int bad = json_object_set_new(load, "cells", cells);

	for (unsigned i = 0; i < j->p->n_cells && !bad; i++)
		if (c->cells[i])
			bad = json_array_append_new(cells, cell_json(j->p, &j->p->cells[i], c));
	return bad;
}

static int put_limits(const struct compile_job *j, json_t *load)
{
	const struct config *c = j->p->config;

	return json_object_set_new(load, "limits",
				   json_pack("{s:I,s:I,s:I,s:I,s:I}", "connections",
					     (json_int_t)j->o->max_connections, "undecided",
					     (json_int_t)j->o->max_undecided, "memory",
					     (json_int_t)j->o->max_memory_bytes, "perAddress",
					     (json_int_t)c->max_connections_per_ip, "perMinute",
					     (json_int_t)c->connection_rate_per_minute));
}

/* What nobody asked for is not said. */
static int put_log(const struct compile_job *j, json_t *load)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	const struct cfg_log *l = j->p->config->extra->log;

	if (!l)
		return 0;
	return json_object_set_new(load, "log",
				   json_pack("{s:b,s:s,s:s}", "access", l->access, "format",
					     l->format == CFG_LOG_JSON ? "json" : "text", "level",
					     levels[l->level]));
}

static json_t *load_json(struct compile_job *j, struct chosen *c)
{
	const struct config *cfg = j->p->config;
	json_t *load =
		json_pack("{s:s,s:I}", "type", "load", "generation", (json_int_t)j->o->generation);
	int bad = !load;

	j->sets = json_array();
	bad = bad || json_object_set_new(load, "sets", j->sets);
	if (!bad && cfg->proxy_ips.n)
		bad = json_object_set_new(load, "trusted", compile_set(j, &cfg->proxy_ips));
	bad = bad || put_limits(j, load) || put_log(j, load) || put_routes(j, load, c) ||
	      put_cells(j, load, c);
	if (!bad)
		return load;
	json_decref(load);
	return NULL;
}

static struct control_listener *copy_listeners(const struct plan *p)
{
	struct control_listener *v = calloc(p->n_listeners + 1, sizeof(*v));

	for (unsigned i = 0; v && i < p->n_listeners; i++)
		v[i] = (struct control_listener){ p->listeners[i].address, p->listeners[i].port };
	return v;
}

int control_compile(const struct plan *p, const struct control_options *o,
		    struct control_table *out, struct err *e)
{
	struct compile_job j = { .p = p, .o = o };
	struct control_table t = { .n_listeners = p->n_listeners };
	struct chosen c = { 0 };

	t.listeners = copy_listeners(p);
	if (t.listeners && !compile_sets_init(&j) && !choose(p, &c))
		t.load = load_json(&j, &c);
	compile_sets_fini(&j);
	chosen_fini(&c);
	if (!t.load) {
		free(t.listeners);
		return err_set(e, ENOMEM, "out of memory");
	}
	*out = t;
	return 0;
}

void control_table_fini(struct control_table *t)
{
	json_decref(t->load);
	free(t->listeners);
	*t = (struct control_table){ 0 };
}
