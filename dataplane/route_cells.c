/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cells of a load: each a range of ports at an address, with its routes. They
 * are sorted by address and port as the plan's are, whose rule of which one has a
 * connection they follow; two that overlap are a mistake of who made them.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "dataplane/route_internal.h"
#include "dataplane/route_json.h"

#define N_OF(v) (sizeof(v) / sizeof((v)[0]))

struct job {
	struct route_table *t;
	struct cell_list *lists; /* of each cell, as they stand in the load */
	struct err *e;
};

static int read_list(struct job *j, const json_t *json, struct cell_list *out,
		     const struct json_at *at)
{
	const struct json_at routes = { .up = at, .key = "routes" };
	const json_t *list;
	int rc = json_list(json, "routes", j->t->n_routes, &list, at, j->e);
	size_t n = json_array_size(list);
	char seen[SEEN_BYTES];

	if (rc)
		return rc;
	if (!n)
		return json_refuse(at, "routes", j->e, "must name a route");
	out->routes = calloc(n, sizeof(*out->routes));
	if (!out->routes)
		return err_set(j->e, ENOMEM, "out of memory");
	for (; out->n < n; out->n++) {
		const struct json_at one = { .up = &routes, .index = out->n };
		const json_t *v = json_array_get(list, out->n);
		json_int_t i = json_is_integer(v) ? json_integer_value(v) : -1;

		if (i < 0 || i >= j->t->n_routes)
			return json_refuse(&one, NULL, j->e, "%s is none of the %u routes",
					   json_seen(v, seen), j->t->n_routes);
		out->routes[out->n] = (uint32_t)i;
	}
	return 0;
}

struct raw_cell {
	unsigned from, to;
	char *address;
};

static const struct json_field cell_fields[] = {
	{ .key = "address",
	  .kind = FIELD_TEXT,
	  .off = offsetof(struct raw_cell, address),
	  .min = 1,
	  .max = 64 },
	{ .key = "from",
	  .kind = FIELD_UINT,
	  .off = offsetof(struct raw_cell, from),
	  .min = 1,
	  .max = 65535,
	  .required = true },
	{ .key = "to",
	  .kind = FIELD_UINT,
	  .off = offsetof(struct raw_cell, to),
	  .min = 1,
	  .max = 65535,
	  .required = true },
	{ .key = "routes", .kind = FIELD_OTHER, .required = true },
};

static int check_cell(struct job *j, const struct raw_cell *raw, struct route_cell *cell,
		      const struct json_at *at)
{
	if (raw->from > raw->to)
		return json_refuse(at, NULL, j->e, "%u to %u is no range of ports", raw->from,
				   raw->to);
	if (raw->address &&
	    (!addr_parse(raw->address, &cell->address) || addr_is_unspecified(&cell->address)))
		return json_refuse(at, "address", j->e, "\"%.64s\" is no address of a host",
				   raw->address);
	cell->from = (uint16_t)raw->from;
	cell->to = (uint16_t)raw->to;
	return 0;
}

static int read_cell(struct job *j, const json_t *json, uint32_t i, const struct json_at *at)
{
	struct raw_cell raw = { 0 };
	int rc = json_read(json, cell_fields, N_OF(cell_fields), &raw, at, j->e);

	if (!rc)
		rc = check_cell(j, &raw, &j->t->cells[i], at);
	if (!rc)
		rc = read_list(j, json, &j->lists[i], at);
	j->t->by_address |= j->t->cells[i].address.family != ADDR_NONE;
	j->t->cells[i].order = i; /* which of the lists, until they have become orders */
	free(raw.address);
	return rc;
}

static int cell_cmp(const void *a, const void *b)
{
	const struct route_cell *x = a, *y = b;
	int rc = addr_cmp(&x->address, &y->address);

	return rc ? rc : (x->from > y->from) - (x->from < y->from);
}

static int sort_cells(struct job *j)
{
	struct route_cell *v = j->t->cells;

	qsort(v, j->t->n_cells, sizeof(*v), cell_cmp);
	for (uint32_t i = 1; i < j->t->n_cells; i++)
		if (!addr_cmp(&v[i - 1].address, &v[i].address) && v[i].from <= v[i - 1].to)
			return err_set(j->e, EINVAL, "cells[%u]: overlaps cells[%u]", v[i].order,
				       v[i - 1].order);
	return 0;
}

static int read_cells(struct job *j, const json_t *load)
{
	const struct json_at cells = { .key = "cells" };
	const json_t *list;
	int rc = json_list(load, "cells", CELLS_MAX, &list, NULL, j->e);
	size_t n = json_array_size(list);

	if (rc)
		return rc;
	j->t->cells = calloc(n + 1, sizeof(*j->t->cells));
	j->lists = calloc(n + 1, sizeof(*j->lists));
	if (!j->t->cells || !j->lists)
		return err_set(j->e, ENOMEM, "out of memory");
	for (; j->t->n_cells < n && !rc; j->t->n_cells++) {
		const struct json_at one = { .up = &cells, .index = j->t->n_cells };

		rc = read_cell(j, json_array_get(list, one.index), j->t->n_cells, &one);
	}
	return rc ? rc : sort_cells(j);
}

int route_cells_load(struct route_table *t, const json_t *load, struct err *e)
{
	struct job j = { .t = t, .e = e };
	int rc = read_cells(&j, load);

	if (!rc)
		rc = route_index_build(t, j.lists, e);
	for (uint32_t i = 0; j.lists && i < t->n_cells; i++)
		free(j.lists[i].routes);
	free(j.lists);
	return rc;
}
