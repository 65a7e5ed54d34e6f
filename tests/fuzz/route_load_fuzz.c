/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The routing table: JSON as a controller would send it. What is refused must be refused with a
 * sentence; what is taken must be taken again beside itself without anything new, and must answer
 * for every cell and every domain in it: what is said early stays said, and each domain's name is
 * matched by some route there that has it or by a better one.
 *
 * covers: dataplane/route_load.c dataplane/route_parse.c dataplane/route_json.c
 * covers: dataplane/route_cells.c dataplane/route_index.c dataplane/route_match.c
 * dataplane/balance.c
 */
#include <jansson.h>

#include "dataplane/balance.h"
#include "dataplane/route_internal.h"
#include "tests/fuzz/fuzz.h"

#define QUESTIONS_MAX 64

static struct match_facts facts_of(const struct route_cell *c, const struct route *r)
{
	struct match_facts f = { .local = c->address, .port = c->to };

	if (f.local.family == ADDR_NONE)
		fuzz_check(addr_parse("192.0.2.77", &f.local));
	f.client = r->clients && r->clients->n ? r->clients->v[0].lo : f.local;
	return f;
}

static void follows(struct match before, struct match after)
{
	fuzz_check(before.answer == MATCH_MORE ||
		   (before.answer == after.answer && before.route == after.route));
	fuzz_check((after.answer == MATCH_YES) == (after.route != NULL));
}

static void choose_targets(const struct route *r, const struct match_facts *f)
{
	struct balance_ask a = { .route = r, .client = f->client, .port = f->port };
	bool open;
	int i, n = 0;

	while ((i = balance_choose(&a, &open)) >= 0) {
		fuzz_check((unsigned)i < r->n_targets && r->targets[i].weight && !open);
		fuzz_check(++n <= BALANCE_TRIED_MAX);
		a.tried |= balance_tried_bit(i);
	}
}

/* From the first question to the last; `name` may be NULL. */
static void ask(const struct route_table *t, struct match_facts f, const char *name)
{
	static const enum match_protocol protocols[] = { MATCH_TLS, MATCH_HTTP, MATCH_OTHER };
	struct match first = route_table_match(t, &f);

	for (unsigned i = 0; i < 3; i++) {
		struct match_facts g = f;
		struct match second, last;

		g.protocol = protocols[i];
		/* Only of TLS there is something between the first bytes and all of it. */
		second = g.protocol == MATCH_TLS ? route_table_match(t, &g) : first;
		follows(first, second);
		g.have_hello = true;
		g.name = name;
		g.tls_version = 0x0304;
		last = route_table_match(t, &g);
		follows(second, last);
		fuzz_check(last.answer != MATCH_MORE);
		if (last.route)
			choose_targets(last.route, &g);
	}
}

/* The name that a domain stands for when its stars stand for nothing. */
static void ask_domain(const struct route_table *t, const struct match_facts *f,
		       const struct route *r, const char *domain)
{
	char name[DOMAIN_BYTES_MAX + 1], *out = name;
	struct match_facts g = *f;
	struct match m;

	for (; *domain; domain++)
		if (*domain != '*')
			*out++ = *domain;
	*out = '\0';
	ask(t, *f, name);
	g.protocol = MATCH_TLS;
	g.have_hello = true;
	g.name = name;
	g.tls_version = r->n_tls_versions ? r->tls_versions[0] : 0;
	m = route_table_match(t, &g);
	if (*name && name[strlen(name) - 1] != '.' &&
	    (!r->clients || addr_set_has(r->clients, &f->client)))
		fuzz_check(m.answer == MATCH_YES);
}

static void ask_cell(const struct route_table *t, const struct route_cell *c, unsigned *left)
{
	const struct route_order *o = &t->index->orders[c->order];

	for (uint32_t i = 0; i < o->n && *left; i++, --*left) {
		struct match_facts f = facts_of(c, o->v[i]);

		fuzz_check(route_table_first(t, &f.local, f.port) != NULL);
		ask(t, f, NULL);
		for (unsigned k = 0; k < o->v[i]->n_domains && k < 4; k++)
			ask_domain(t, &f, o->v[i], o->v[i]->domains[k]);
	}
}

/* Another number than that of all seeds, in a table that is whole. */
static bool is_planted(const struct route_table *t)
{
	return t->generation != 1 && t->n_cells;
}

static void check_table(const json_t *json, struct route_table *t, struct route_registry *g)
{
	struct err e = { 0 };
	int route;
	struct route_table *again = route_table_load(json, t, g, &route, &e);
	unsigned left = QUESTIONS_MAX;

	fuzz_check(again && route == -1 && again->n_routes == t->n_routes);
	for (unsigned i = 0; i < t->n_routes; i++)
		fuzz_check(t->routes[i] == again->routes[i]);
	for (unsigned i = 0; i < t->n_cells && left; i++)
		ask_cell(t, &t->cells[i], &left);
	fuzz_planted(is_planted(t));
	route_table_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	struct route_registry *g;
	struct route_table *t;
	struct err e = { 0 };
	int route = -2;

	if (!json)
		return 0;
	g = route_registry_new();
	if (!g)
		abort();
	t = route_table_load(json, NULL, g, &route, &e);
	fuzz_check(t ? route == -1 : *e.msg && e.code < 0 && route >= -1);
	if (t)
		check_table(json, t, g);
	route_table_unref(t);
	route_registry_free(g);
	json_decref(json);
	return 0;
}
