/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conns: who is connected through which route, from the kernel's connection table and from the
 * service. Reads only. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/confirm.h"
#include "ctl/apply/former_ids.h"
#include "ctl/base/clock.h"
#include "ctl/base/log.h"
#include "ctl/base/text.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/conn_list.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"
#include "ctl/cli/table.h"
#include "ctl/control/service_view.h"
#include "ctl/host/conntrack.h"
#include "ctl/nft/ruleset_compile.h"

#define CONN_TARGET_MAX 512

struct conns {
	const struct options *o;
	struct session s;
	struct route_ids former;
	uint32_t instance;
	const char *names[ROUTE_ID_MAX + 1]; /* by number */
	bool is_live[ROUTE_ID_MAX + 1];
	struct conn_list list;
	int64_t now_ms;
	char missing[600]; /* why the service's are not there; "" = they are */
};

static void name_routes(struct conns *c)
{
	for (size_t i = 0; i < c->former.n; i++)
		if (c->former.ids[i] <= ROUTE_ID_MAX)
			c->names[c->former.ids[i]] = route_ids_name(&c->former, i);
	for (size_t i = 0; i < c->s.ids.n; i++) {
		uint32_t id = c->s.ids.ids[i];

		if (id > ROUTE_ID_MAX)
			continue;
		c->names[id] = route_ids_name(&c->s.ids, i);
		c->is_live[id] = c->s.live != 0;
	}
}

static const char *name_of(const struct conns *c, uint32_t id)
{
	return id <= ROUTE_ID_MAX ? c->names[id] : NULL;
}

static bool is_wanted(const struct conns *c, const char *name)
{
	return !c->o->route || (name && !strcmp(name, c->o->route));
}

static int add_flow(const struct ct_flow *f, void *arg)
{
	struct conns *c = arg;
	const char *name = name_of(c, f->id);

	if (f->closed || f->instance != c->instance || !is_wanted(c, name))
		return 0;
	return conn_list_add_flow(&c->list, f, name, !name || !c->is_live[f->id]);
}

/* Those without a route yet have no name, and no route that could be gone. */
static int add_relays(struct conns *c, const json_t *list)
{
	const json_t *j;
	size_t i;
	int rc = 0;

	json_array_foreach (list, i, j) {
		const uint32_t id = (uint32_t)service_view_number(j, "route");
		const char *name = name_of(c, id);

		if (!rc && is_wanted(c, name))
			rc = conn_list_add_relay(&c->list, j, name,
						 id && (!name || !c->is_live[id]), c->now_ms);
	}
	return rc;
}

static int ask_service(struct conns *c)
{
	struct service_view v;
	int rc = service_view_read_conns(&v, c->s.state.run_dir, 0, SERVICE_ANSWER_MS);

	rc = rc ? rc : add_relays(c, v.conns);
	if (!v.answers && v.presence != CONTROL_NONE)
		snprintf(c->missing, sizeof(c->missing),
			 "the connections of the service (pid %d) are not all here: %s", v.pid,
			 v.e.msg[0] ? v.e.msg : "its dataplane is not ready");
	service_view_fini(&v);
	return rc;
}

/* ---- output ---- */

/* Who has not said yet what decides has no route. */
static const char *route_text(const struct conn *x)
{
	return x->route ? x->route : x->relay && !x->gone ? "-" : CONN_GONE;
}

static void print_text(const struct conns *c)
{
	struct conn_columns col = conn_columns_init();
	const char *head[CONN_COLUMNS];
	struct table t;

	for (size_t i = 0; i < c->list.n; i++)
		conn_columns_measure(&col, c->list.v[i].route, &c->list.v[i].flow,
				     c->list.v[i].relay);
	conn_columns_fit(&col, TABLE_WIDTH);
	table_init(&t, conn_columns_head(&col, head), head);
	for (size_t i = 0; i < c->list.n; i++) {
		char cells[CONN_COLUMNS][CONN_CELL];
		unsigned n = conn_columns_row(&col, &c->list.v[i].flow, c->list.v[i].relay,
					      c->now_ms, cells);

		table_cell(&t, route_text(&c->list.v[i]));
		for (unsigned k = 1; k < n; k++)
			table_cell(&t, cells[k]);
	}
	if (c->list.n)
		table_print(&t, stdout);
	else if (!c->o->quiet)
		printf("no connections\n");
	table_fini(&t);
}

/*
 * Written as it goes, one line each: 50 000 connections as a tree of jansson's
 * take a second and 100 MB. Only names hold what must be escaped.
 */
static void put_endpoint(const char *key, const struct addr *a, uint16_t port)
{
	char text[ADDR_TEXT];

	printf("\"%s\":{\"address\":\"%s\",\"port\":%u},", key, addr_format(a, text), port);
}

static void put_number(const char *key, bool known, uint64_t n, const char *end)
{
	if (known)
		printf("\"%s\":%" PRIu64 "%s", key, n, end);
	else
		printf("\"%s\":null%s", key, end);
}

/* As JSON: "null", or in quotes. Owned by the caller. */
static char *name_json(const char *name)
{
	json_t *j = report_json_text(name);
	char *text = json_dumps(j, JSON_ENCODE_ANY);

	json_decref(j);
	return text;
}

/* Texts of the service's: "null", or in quotes. */
static void put_text(const char *key, const char *text)
{
	char *j = name_json(text);

	printf("\"%s\":%s,", key, j ? j : "null");
	free(j);
}

/* "10.0.0.1:443", "[fd00::1]:443", "unix:/path" as what the kernel's have. */
static void put_relay_target(const char *text)
{
	const char *colon = text ? strrchr(text, ':') : NULL, *host = text;
	const bool is_unix = text && !strncmp(text, "unix:", 5);
	char name[CONN_TARGET_MAX];

	if (!colon) {
		put_text("target", NULL);
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(is_unix ? strlen(text) : (size_t)(colon - text)),
		 text);
	if (*name == '[' && name[strlen(name) - 1] == ']') {
		name[strlen(name) - 1] = '\0';
		host = name + 1;
	} else {
		host = name;
	}
	printf("\"target\":{");
	put_text("address", host);
	printf("\"port\":%s},", is_unix ? "null" : colon + 1);
}

static void put_relay(const struct conn *x)
{
	const struct ct_flow *f = &x->flow;
	const struct conn_relay *r = x->relay;

	printf("\"routeId\":%u,\"gone\":%s,\"tier\":\"%s\",\"protocol\":\"tcp\",", f->id,
	       x->gone ? "true" : "false", tier_name(TIER_RELAY));
	put_endpoint("client", &f->client, f->client_port);
	put_endpoint("local", &f->local, f->local_port);
	put_relay_target(r->target);
	put_text("sni", r->sni);
	put_text("state", r->moves ? "relay" : r->state);
	put_text("mover", r->moves ? r->state : NULL);
	put_number("ageSeconds", true, (uint64_t)r->age_ms / 1000, ",");
	put_number("idleSeconds", true, (uint64_t)r->idle_ms / 1000, ",");
	put_number("bytesIn", true, f->bytes_in, ",");
	put_number("bytesOut", true, f->bytes_out, "}");
}

static void put_conn(const struct conns *c, const struct conn *x)
{
	const struct ct_flow *f = &x->flow;
	int64_t age_ms = f->start_ms && f->start_ms < c->now_ms ? c->now_ms - f->start_ms : 0;

	printf("\"routeId\":%u,\"gone\":%s,\"tier\":\"%s\",\"protocol\":\"%s\",", f->id,
	       x->gone ? "true" : "false", tier_name(TIER_NFTABLES), describe_proto(f->proto));
	put_endpoint("client", &f->client, f->client_port);
	put_endpoint("local", &f->local, f->local_port);
	put_endpoint("target", &f->target, f->target_port);
	put_endpoint("seenAs", &f->seen, f->seen_port);
	printf("\"state\":\"%s\",\"expiresSeconds\":%u,", conntrack_state_name(f), f->expires_s);
	put_number("ageSeconds", f->start_ms, (uint64_t)age_ms / 1000, ",");
	put_number("bytesIn", f->counted, f->bytes_in, ",");
	put_number("bytesOut", f->counted, f->bytes_out, ",");
	put_number("packetsIn", f->counted, f->packets_in, ",");
	put_number("packetsOut", f->counted, f->packets_out, "}");
}

static void print_json(const struct conns *c)
{
	char *name = NULL;

	printf("{\"schema\":1,\"conns\":[");
	for (size_t i = 0; i < c->list.n; i++) {
		/* They are sorted by it. */
		if (!i || c->list.v[i].route != c->list.v[i - 1].route) {
			free(name);
			name = name_json(c->list.v[i].route);
		}
		printf("%s\n{\"route\":%s,", i ? "," : "", name ? name : "null");
		if (c->list.v[i].relay)
			put_relay(&c->list.v[i]);
		else
			put_conn(c, &c->list.v[i]);
	}
	free(name);
	printf("%s]", c->list.n ? "\n" : "");
	if (c->missing[0]) {
		name = name_json(c->missing);
		printf(",\"attention\":[%s]", name ? name : "");
		free(name);
	}
	printf("}\n");
}

/* ---- the command ---- */

/* --route must be the name of a route that is, or was since the machine started. */
static int check_route(const struct conns *c)
{
	size_t n = c->s.ids.n + c->former.n, k = 0;
	const char **names = calloc(n + 1, sizeof(*names)), *near;
	struct err e = { 0 };
	bool found = false;

	for (size_t i = 0; names && i < c->s.ids.n; i++)
		names[k++] = route_ids_name(&c->s.ids, i);
	for (size_t i = 0; names && i < c->former.n; i++)
		names[k++] = route_ids_name(&c->former, i);
	for (size_t i = 0; i < k && !found; i++)
		found = !strcmp(names[i], c->o->route);
	near = found ? NULL : text_nearest(c->o->route, names, k);
	free(names);
	if (found)
		return EXIT_DONE;
	err_set(&e, EINVAL, "no route is called \"%s\"", c->o->route);
	if (near)
		err_set(&e, EINVAL, "no route is called \"%s\", did you mean \"%s\"?", c->o->route,
			near);
	err_hint(&e, c->s.live ? "see: spctl status" : "nothing is applied");
	return cmd_fail(c->o, &e, EXIT_USAGE);
}

static int show(struct conns *c)
{
	struct err e = { 0 };
	int rc;

	session_load_ids(&c->s);
	former_ids_load(&c->s, &c->former);
	name_routes(c);
	rc = c->o->route ? check_route(c) : 0;
	if (rc)
		return rc;
	c->instance = label_instance(c->s.state.instance);
	c->now_ms = clock_wall_ms();
	rc = conntrack_each(add_flow, c, &e);
	rc = rc ? rc : ask_service(c);
	if (rc == -ENOMEM && !e.code)
		err_set(&e, ENOMEM, "out of memory");
	if (rc)
		return cmd_fail(c->o, &e, EXIT_FAILED);
	conn_list_settle(&c->list);
	if (c->o->json)
		print_json(c);
	else
		print_text(c);
	if (c->missing[0] && !c->o->json)
		log_warn("%s", c->missing);
	return c->missing[0] ? EXIT_FAILED : EXIT_DONE;
}

static int show_nothing(struct conns *c)
{
	if (c->o->route)
		return check_route(c);
	if (c->o->json)
		print_json(c);
	else
		print_text(c);
	return EXIT_DONE;
}

int cmd_conns(const struct options *o, int argc, char **argv)
{
	struct conns *c;
	struct err e = { 0 };
	int rc = cmd_need_root(o, "conns reads the kernel's connections");

	(void)argc;
	(void)argv;
	if (rc)
		return rc;
	c = calloc(1, sizeof(*c));
	if (!c) {
		err_set(&e, ENOMEM, "out of memory");
		return cmd_fail(o, &e, EXIT_FAILED);
	}
	c->o = o;
	rc = confirm_open(&c->s, o->state_dir, o->run_dir, 0, o->timeout_ms, NULL, &e);
	if (rc == -ENOENT) {
		rc = show_nothing(c);
	} else if (rc) {
		rc = cmd_fail(o, &e, cmd_exit_code(rc));
	} else {
		rc = show(c);
		session_close(&c->s);
	}
	route_ids_fini(&c->former);
	conn_list_fini(&c->list);
	free(c);
	return rc;
}
