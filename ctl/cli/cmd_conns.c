/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conns: who is connected through which route, from the kernel's connection table. Reads only. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/confirm.h"
#include "ctl/apply/former_ids.h"
#include "ctl/base/clock.h"
#include "ctl/base/text.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/conn_text.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"
#include "ctl/cli/table.h"
#include "ctl/host/conntrack.h"
#include "ctl/nft/ruleset_compile.h"

struct conn {
	struct ct_flow flow;
	const char *route; /* NULL = nobody knows */
	bool gone;
};

struct conns {
	const struct options *o;
	struct session s;
	struct route_ids former;
	uint32_t instance;
	const char *names[ROUTE_ID_MAX + 1]; /* by number */
	bool is_live[ROUTE_ID_MAX + 1];
	struct conn *v;
	size_t n, cap;
	int64_t now_ms;
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

static int add_flow(const struct ct_flow *f, void *arg)
{
	struct conns *c = arg;
	const char *name = f->id <= ROUTE_ID_MAX ? c->names[f->id] : NULL;

	if (f->closed || f->instance != c->instance ||
	    (c->o->route && (!name || strcmp(name, c->o->route))))
		return 0;
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 256;
		struct conn *v = reallocarray(c->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		c->v = v;
		c->cap = cap;
	}
	c->v[c->n++] = (struct conn){ *f, name, !name || !c->is_live[f->id] };
	return 0;
}

/* By route (nameless ones last), protocol, client, local: the same order at every look. */
static int conn_cmp(const void *a, const void *b)
{
	const struct conn *x = a, *y = b;
	int rc = !x->route - !y->route;

	rc = rc || !x->route ? rc : strcmp(x->route, y->route);
	rc = rc ? rc : x->flow.proto - y->flow.proto;
	rc = rc ? rc : addr_cmp(&x->flow.client, &y->flow.client);
	rc = rc ? rc : x->flow.client_port - y->flow.client_port;
	rc = rc ? rc : addr_cmp(&x->flow.local, &y->flow.local);
	rc = rc ? rc : x->flow.local_port - y->flow.local_port;
	return rc ? rc : x->flow.zone - y->flow.zone;
}

/* ---- output ---- */

static void print_text(const struct conns *c)
{
	struct conn_columns col = conn_columns_init();
	const char *head[CONN_COLUMNS];
	struct table t;

	for (size_t i = 0; i < c->n; i++)
		conn_columns_measure(&col, c->v[i].route, &c->v[i].flow);
	conn_columns_fit(&col, TABLE_WIDTH);
	table_init(&t, conn_columns_head(&col, head), head);
	for (size_t i = 0; i < c->n; i++) {
		char cells[CONN_COLUMNS][CONN_CELL];
		unsigned n = conn_columns_row(&col, &c->v[i].flow, c->now_ms, cells);

		table_cell(&t, c->v[i].route ? c->v[i].route : CONN_GONE);
		for (unsigned k = 1; k < n; k++)
			table_cell(&t, cells[k]);
	}
	if (c->n)
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

/* As JSON: "null", or in quotes. Owned by the caller. */
static char *name_json(const char *name)
{
	json_t *j = report_json_text(name);
	char *text = json_dumps(j, JSON_ENCODE_ANY);

	json_decref(j);
	return text;
}

static void print_json(const struct conns *c)
{
	char *name = NULL;

	printf("{\"schema\":1,\"conns\":[");
	for (size_t i = 0; i < c->n; i++) {
		/* They are sorted by it. */
		if (!i || c->v[i].route != c->v[i - 1].route) {
			free(name);
			name = name_json(c->v[i].route);
		}
		printf("%s\n{\"route\":%s,", i ? "," : "", name ? name : "null");
		put_conn(c, &c->v[i]);
	}
	free(name);
	printf("%s]}\n", c->n ? "\n" : "");
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
	if (rc == -ENOMEM && !e.code)
		err_set(&e, ENOMEM, "out of memory");
	if (rc)
		return cmd_fail(c->o, &e, EXIT_FAILED);
	if (c->n)
		qsort(c->v, c->n, sizeof(*c->v), conn_cmp);
	if (c->o->json)
		print_json(c);
	else
		print_text(c);
	return EXIT_DONE;
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
	free(c->v);
	free(c);
	return rc;
}
