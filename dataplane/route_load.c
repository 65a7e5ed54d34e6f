/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A load: its sets and its routes (its cells: route_cells.c). What the table before has already is
 * taken over: a set with the same ranges, a route with the same text and the same sets. Both are
 * found by hash and compared whole. A route's text leaves out the numbers of its sets, which change
 * when another set comes; a route whose text was taken before is not read again, so an apply that
 * changes little costs little.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"
#include "dataplane/route_internal.h"
#include "dataplane/route_json.h"

/* From a hash to one of n things: open addressing, 1 + number. */
struct finder {
	uint32_t *slots, mask;
};

struct job {
	const json_t *load;
	const struct route_table *before;
	struct route_registry *g;
	struct route_table *t;
	struct finder sets, routes; /* of before */
	int route;		    /* to blame */
	struct err *e;
};

static const struct json_field load_fields[] = {
	{ .key = "type", .kind = FIELD_OTHER },
	{ .key = "generation",
	  .kind = FIELD_UINT,
	  .off = offsetof(struct route_table, generation),
	  .max = UINT32_MAX,
	  .required = true },
	{ .key = "sets", .kind = FIELD_OTHER },
	{ .key = "trusted", .kind = FIELD_OTHER },
	{ .key = "limits", .kind = FIELD_OTHER },
	{ .key = "log", .kind = FIELD_OTHER },
	{ .key = "routes", .kind = FIELD_OTHER, .required = true },
	{ .key = "cells", .kind = FIELD_OTHER, .required = true },
	{ .key = "default", .kind = FIELD_OTHER },
};

#define LIMIT(k, m)                                                                   \
	{                                                                             \
		.key = k, .kind = FIELD_UINT, .off = offsetof(struct route_table, m), \
		.max = INT32_MAX                                                      \
	}
static const struct json_field limit_fields[] = {
	LIMIT("connections", max_connections),
	LIMIT("undecided", max_undecided),
	LIMIT("perAddress", max_per_address),
	LIMIT("perMinute", max_per_minute),
	{ .key = "memory",
	  .kind = FIELD_U64,
	  .off = offsetof(struct route_table, max_memory_bytes),
	  .max = INT64_MAX },
};

static const char *const log_formats[] = { "text", "json", NULL };
static const char *const log_levels[] = { "error", "warn", "info", "debug", NULL };

struct log_wish {
	bool access;
	int format, level;
};

static const struct json_field log_fields[] = {
	{ .key = "access", .kind = FIELD_BOOL, .off = offsetof(struct log_wish, access) },
	{ .key = "format",
	  .kind = FIELD_NAMED,
	  .off = offsetof(struct log_wish, format),
	  .values = log_formats },
	/* Of what the controller writes. */
	{ .key = "level",
	  .kind = FIELD_NAMED,
	  .off = offsetof(struct log_wish, level),
	  .values = log_levels },
};

#define N_OF(v) (sizeof(v) / sizeof((v)[0]))

static int no_memory(struct job *j)
{
	return err_set(j->e, ENOMEM, "out of memory");
}

/* ---- what is there already ---- */

static int finder_init(struct finder *f, size_t n)
{
	size_t cap = 16;

	while (cap < n * 2)
		cap *= 2;
	f->slots = calloc(cap, sizeof(*f->slots));
	f->mask = (uint32_t)cap - 1;
	return f->slots ? 0 : -ENOMEM;
}

static void finder_add(struct finder *f, uint64_t hash, uint32_t number)
{
	uint32_t at = (uint32_t)(hash ^ hash >> 32) & f->mask;

	while (f->slots[at])
		at = (at + 1) & f->mask;
	f->slots[at] = number + 1;
}

static int find_before(struct job *j)
{
	const struct route_table *b = j->before;

	if (!b)
		return 0;
	if (finder_init(&j->sets, b->n_sets) || finder_init(&j->routes, b->n_routes))
		return no_memory(j);
	for (uint32_t i = 0; i < b->n_sets; i++)
		finder_add(&j->sets, b->sets[i]->hash, i);
	for (uint32_t i = 0; i < b->n_routes; i++)
		finder_add(&j->routes, b->routes[i]->text_hash, i);
	return 0;
}

static struct route_set *same_set(const struct job *j, const struct route_set *s)
{
	const struct finder *f = &j->sets;

	if (!f->slots)
		return NULL;
	for (uint32_t at = (uint32_t)(s->hash ^ s->hash >> 32) & f->mask; f->slots[at];
	     at = (at + 1) & f->mask) {
		struct route_set *o = j->before->sets[f->slots[at] - 1];

		if (o->hash == s->hash && addr_set_equal(&o->set, &s->set))
			return o;
	}
	return NULL;
}

static bool has_sets(const struct route *r, const struct route_sets_of *s)
{
	return r->clients == (s->clients ? &s->clients->set : NULL) &&
	       r->allow == (s->allow ? &s->allow->set : NULL) &&
	       r->block == (s->block ? &s->block->set : NULL);
}

static struct route *same_route(const struct job *j, const char *text, uint64_t hash,
				const struct route_sets_of *sets)
{
	const struct finder *f = &j->routes;

	if (!f->slots)
		return NULL;
	for (uint32_t at = (uint32_t)(hash ^ hash >> 32) & f->mask; f->slots[at];
	     at = (at + 1) & f->mask) {
		struct route *r = j->before->routes[f->slots[at] - 1];

		if (r->text_hash == hash && !strcmp(r->text, text) && has_sets(r, sets))
			return r;
	}
	return NULL;
}

/* ---- sets ---- */

static int read_set(struct job *j, const json_t *list, struct route_set *s,
		    const struct json_at *at)
{
	size_t n = json_array_size(list);
	char seen[SEEN_BYTES];

	if (!json_is_array(list) || n > PATTERNS_MAX)
		return json_refuse(at, NULL, j->e, "must be a list of at most %u addresses, not %s",
				   PATTERNS_MAX, json_seen(list, seen));
	for (size_t i = 0; i < n; i++) {
		const struct json_at one = { .up = at, .index = i };
		const json_t *v = json_array_get(list, i);
		const char *text = json_string_value(v);
		struct err why = { 0 };
		int rc;

		if (!text)
			return json_refuse(&one, NULL, j->e, "must be an address, not %s",
					   json_seen(v, seen));
		rc = addr_set_parse(&s->set, text, &why);
		if (rc)
			return json_refuse(&one, NULL, j->e, "%s", why.msg);
	}
	addr_set_seal(&s->set);
	for (size_t i = 0; i < s->set.n; i++)
		s->hash = text_hash(&s->set.v[i], sizeof(s->set.v[i]), s->hash);
	return 0;
}

static struct route_set *load_set(struct job *j, const json_t *list, const struct json_at *at)
{
	struct route_set *s = calloc(1, sizeof(*s)), *same;

	if (!s) {
		no_memory(j);
		return NULL;
	}
	s->refs = 1;
	if (read_set(j, list, s, at)) {
		route_set_unref(s);
		return NULL;
	}
	same = same_set(j, s);
	if (!same)
		return s;
	route_set_unref(s);
	return route_set_ref(same);
}

static int load_sets(struct job *j)
{
	const struct json_at sets = { .key = "sets" };
	const json_t *list;
	int rc = json_list(j->load, "sets", SETS_MAX, &list, NULL, j->e);
	size_t n = json_array_size(list);

	if (rc || !n)
		return rc;
	j->t->sets = calloc(n, sizeof(struct route_set *));
	if (!j->t->sets)
		return no_memory(j);
	for (; j->t->n_sets < n; j->t->n_sets++) {
		const struct json_at one = { .up = &sets, .index = j->t->n_sets };

		j->t->sets[j->t->n_sets] = load_set(j, json_array_get(list, one.index), &one);
		if (!j->t->sets[j->t->n_sets])
			return -EINVAL;
	}
	return 0;
}

/* An index into `what`, of which there are n; *out stays where the key is absent. */
static int read_index(struct job *j, const json_t *o, const char *key, size_t n, const char *what,
		      int64_t *out, const struct json_at *at)
{
	const json_t *v = json_object_get(o, key);
	char seen[SEEN_BYTES];

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) >= n)
		return json_refuse(at, key, j->e, "%s is none of the %zu %s", json_seen(v, seen), n,
				   what);
	*out = json_integer_value(v);
	return 0;
}

static int find_set(struct job *j, const json_t *o, const char *key, struct route_set **out,
		    const struct json_at *at)
{
	int64_t i = -1;
	int rc = read_index(j, o, key, j->t->n_sets, "sets", &i, at);

	if (!rc && i >= 0)
		*out = j->t->sets[i];
	return rc;
}

/* ---- routes ---- */

static struct route *load_route(struct job *j, const json_t *json, const struct json_at *at)
{
	struct route_sets_of sets = { 0 };
	struct route *r = NULL;
	char *text = NULL, seen[SEEN_BYTES];
	uint64_t hash;

	if (!json_is_object(json)) {
		json_refuse(at, NULL, j->e, "must be an object, not %s", json_seen(json, seen));
		return NULL;
	}
	if (find_set(j, json, "clients", &sets.clients, at) ||
	    find_set(j, json, "allow", &sets.allow, at) ||
	    find_set(j, json, "block", &sets.block, at))
		return NULL;
	text = route_text(json);
	if (!text) {
		no_memory(j);
		return NULL;
	}
	hash = text_hash(text, strlen(text), 0);
	r = same_route(j, text, hash, &sets);
	if (r) {
		free(text);
		return route_ref(r);
	}
	r = route_parse(json, &sets, j->g, at, j->e);
	if (!r) {
		free(text);
		return NULL;
	}
	r->text = text;
	r->text_hash = hash;
	return r;
}

static int load_routes(struct job *j)
{
	const struct json_at routes = { .key = "routes" };
	const json_t *list;
	int rc = json_list(j->load, "routes", ROUTES_MAX, &list, NULL, j->e);
	size_t n = json_array_size(list);

	if (rc || !n)
		return rc;
	j->t->routes = calloc(n, sizeof(struct route *));
	if (!j->t->routes)
		return no_memory(j);
	for (; j->t->n_routes < n; j->t->n_routes++) {
		const struct json_at one = { .up = &routes, .index = j->t->n_routes };

		j->route = (int)one.index;
		j->t->routes[j->t->n_routes] = load_route(j, json_array_get(list, one.index), &one);
		if (!j->t->routes[j->t->n_routes])
			return -EINVAL;
	}
	j->route = -1;
	return 0;
}

/* Statistics and targets are found by id: two routes of one would be counted as one. */
static int check_ids(struct job *j)
{
	uint32_t *first = calloc(ROUTES_MAX + 1, sizeof(*first));
	int rc = 0;

	if (!first)
		return no_memory(j);
	for (uint32_t i = 0; i < j->t->n_routes && !rc; i++) {
		uint32_t id = j->t->routes[i]->id;

		if (first[id]) {
			j->route = (int)i;
			rc = err_set(j->e, EINVAL, "routes[%u].id: %u is that of routes[%u], too",
				     i, id, first[id] - 1);
		}
		first[id] = i + 1;
	}
	free(first);
	return rc;
}

static unsigned count_names(const struct route_table *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n_routes; i++)
		for (unsigned k = 0; k < t->routes[i]->n_targets; k++)
			n += t->routes[i]->targets[k].kind == TARGET_NAME;
	return n;
}

static void add_names(struct route_table *t, const struct route *r)
{
	for (unsigned k = 0; k < r->n_targets; k++)
		if (r->targets[k].kind == TARGET_NAME)
			t->names[t->n_names++] = r->targets[k].host;
}

static int text_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int collect_names(struct job *j)
{
	struct route_table *t = j->t;
	unsigned kept = 0;

	t->names = calloc(count_names(t) + 1, sizeof(*t->names));
	if (!t->names)
		return no_memory(j);
	for (unsigned i = 0; i < t->n_routes; i++)
		add_names(t, t->routes[i]);
	qsort(t->names, t->n_names, sizeof(*t->names), text_order);
	for (unsigned i = 0; i < t->n_names; i++)
		if (!kept || strcmp(t->names[kept - 1], t->names[i]))
			t->names[kept++] = t->names[i];
	t->n_names = kept;
	return 0;
}

/* ---- all of it ---- */

static int load_log(struct job *j)
{
	const struct json_at at = { .key = "log" };
	const json_t *v = json_object_get(j->load, "log");
	struct log_wish wish = { 0 };
	int rc = v ? json_read(v, log_fields, N_OF(log_fields), &wish, &at, j->e) : 0;

	j->t->log_access = !rc && wish.access;
	j->t->log_json = !rc && wish.format == 1;
	return rc;
}

static int load_top(struct job *j)
{
	const struct json_at limits = { .key = "limits" };
	const json_t *v;
	int rc = json_read(j->load, load_fields, N_OF(load_fields), j->t, NULL, j->e);

	if (rc)
		return rc;
	v = json_object_get(j->load, "type");
	if (v && (!json_is_string(v) || strcmp(json_string_value(v), "load")))
		return err_set(j->e, EINVAL, "type: must be \"load\"");
	v = json_object_get(j->load, "limits");
	rc = v ? json_read(v, limit_fields, N_OF(limit_fields), j->t, &limits, j->e) : 0;
	return rc ? rc : load_log(j);
}

static int load_fallback(struct job *j)
{
	int64_t i = -1;
	int rc = read_index(j, j->load, "default", j->t->n_routes, "routes", &i, NULL);

	if (!rc && i >= 0)
		j->t->fallback = j->t->routes[i];
	return rc;
}

static int load_all(struct job *j)
{
	int rc = load_top(j);

	if (!rc)
		rc = find_before(j);
	if (!rc)
		rc = load_sets(j);
	if (!rc)
		rc = find_set(j, j->load, "trusted", &j->t->trusted_set, NULL);
	if (!rc && j->t->trusted_set)
		j->t->trusted = &j->t->trusted_set->set;
	if (!rc)
		rc = load_routes(j);
	if (!rc)
		rc = check_ids(j);
	if (!rc)
		rc = collect_names(j);
	if (!rc)
		rc = load_fallback(j);
	return rc ? rc : route_cells_load(j->t, j->load, j->e);
}

static void job_fini(struct job *j)
{
	free(j->sets.slots);
	free(j->routes.slots);
}

struct route_table *route_table_load(const json_t *load, const struct route_table *before,
				     struct route_registry *g, int *route, struct err *e)
{
	struct job j = { .load = load, .before = before, .g = g, .route = -1, .e = e };
	int rc;

	j.t = calloc(1, sizeof(*j.t));
	if (!j.t) {
		no_memory(&j);
		*route = -1;
		return NULL;
	}
	j.t->refs = 1;
	rc = load_all(&j);
	job_fini(&j);
	*route = j.route;
	if (rc) {
		route_table_unref(j.t);
		j.t = NULL;
	}
	route_registry_prune(g);
	return j.t;
}
