/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * References, names, and what outlives a table. The registry is asked by the
 * thread that loads tables alone; what it hands out is atomics for all threads. The statistics of a
 * route id and the state of a target live as long as some route has them, and are
 * remembered until there is more of what no route has than of what some do.
 */
#include "dataplane/route.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/route_internal.h"

#define STATS_PAGE    1024
#define STATS_PAGES   (ROUTES_MAX / STATS_PAGE + 1)
#define STRAYS_KEPT   1024
#define TARGETS_START 256

struct target_entry {
	struct target_state state; /* first: it is what is handed out */
	atomic_uint refs;
	uint32_t id, tag;
};

struct stats_entry {
	struct route_stats stats; /* likewise */
	atomic_uint refs;
};

struct route_registry {
	struct stats_entry **pages[STATS_PAGES];
	size_t n_stats;
	struct target_entry **targets; /* open addressing, by id and tag */
	size_t n_targets, cap_targets;
};

const char *reason_name(enum reason r)
{
	static const char *const names[N_REASONS] = {
		[REASON_NONE] = "",
		[REASON_ROUTE_IP_BLOCKED] = "route_ip_blocked",
		[REASON_IP_LIMIT] = "ip_limit",
		[REASON_ROUTE_LIMIT] = "route_limit",
		[REASON_RATE_LIMIT] = "rate_limit",
		[REASON_GLOBAL_LIMIT] = "global_limit",
		[REASON_NO_ROUTE] = "no_route",
		[REASON_NO_TARGET] = "no_target",
		[REASON_CONNECT_FAILED] = "connect_failed",
		[REASON_CONNECT_TIMEOUT] = "connect_timeout",
		[REASON_CLOSED_BEFORE_DATA] = "closed_before_data",
		[REASON_INITIAL_TIMEOUT] = "initial_timeout",
		[REASON_INACTIVITY] = "inactivity",
		[REASON_MAX_LIFETIME] = "max_lifetime",
		[REASON_BAD_HELLO] = "bad_hello",
		[REASON_BAD_PROXY_HEADER] = "bad_proxy_header",
		[REASON_BAD_REQUEST] = "bad_request",
		[REASON_DRAINED] = "drained",
		[REASON_KILLED] = "killed",
	};

	return (unsigned)r < N_REASONS ? names[r] : "";
}

/* ---- registry ---- */

struct route_registry *route_registry_new(void)
{
	return calloc(1, sizeof(struct route_registry));
}

void route_registry_free(struct route_registry *g)
{
	if (!g)
		return;
	for (unsigned i = 0; i < STATS_PAGES; i++) {
		for (unsigned k = 0; g->pages[i] && k < STATS_PAGE; k++)
			free(g->pages[i][k]);
		free(g->pages[i]);
	}
	for (size_t i = 0; i < g->cap_targets; i++)
		free(g->targets[i]);
	free(g->targets);
	free(g);
}

struct route_stats *route_registry_stats(struct route_registry *g, uint32_t id)
{
	struct stats_entry ***page, **at;

	if (!id || id > ROUTES_MAX)
		return NULL;
	page = &g->pages[id / STATS_PAGE];
	if (!*page)
		*page = calloc(STATS_PAGE, sizeof(struct stats_entry *));
	if (!*page)
		return NULL;
	at = &(*page)[id % STATS_PAGE];
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return NULL;
		(*at)->stats.id = id;
		g->n_stats++;
	}
	return &(*at)->stats;
}

/* Of one page: how many entries no route has. With `drop` they are freed. */
static size_t page_strays(struct stats_entry **page, bool drop)
{
	size_t n = 0;

	for (unsigned i = 0; page && i < STATS_PAGE; i++) {
		if (!page[i] || atomic_load(&page[i]->refs))
			continue;
		n++;
		if (drop) {
			free(page[i]);
			page[i] = NULL;
		}
	}
	return n;
}

static bool are_many(size_t strays, size_t of)
{
	return strays > STRAYS_KEPT && strays > of / 2;
}

static void stats_prune(struct route_registry *g)
{
	size_t strays = 0;

	for (unsigned i = 0; i < STATS_PAGES; i++)
		strays += page_strays(g->pages[i], false);
	if (!are_many(strays, g->n_stats))
		return;
	for (unsigned i = 0; i < STATS_PAGES; i++)
		g->n_stats -= page_strays(g->pages[i], true);
}

size_t route_registry_count(const struct route_registry *g)
{
	return g->n_stats + g->n_targets;
}

static size_t target_slot(const struct target_entry *const *v, size_t cap, uint32_t id,
			  uint32_t tag)
{
	uint64_t h = ((uint64_t)id << 32 | tag) * 0x9e3779b97f4a7c15u;
	size_t i = (size_t)(h >> 32) & (cap - 1);

	while (v[i] && (v[i]->id != id || v[i]->tag != tag))
		i = (i + 1) & (cap - 1);
	return i;
}

/* Into a table of that size; with `strays` false without those that no route has. */
static int targets_rebuild(struct route_registry *g, size_t cap, bool strays)
{
	struct target_entry **v = calloc(cap, sizeof(struct target_entry *));
	size_t n = 0;

	if (!v)
		return -1;
	for (size_t i = 0; i < g->cap_targets; i++) {
		struct target_entry *t = g->targets[i];

		if (!t)
			continue;
		if (!strays && !atomic_load(&t->refs)) {
			free(t);
			continue;
		}
		v[target_slot((const struct target_entry *const *)v, cap, t->id, t->tag)] = t;
		n++;
	}
	free(g->targets);
	g->targets = v;
	g->cap_targets = cap;
	g->n_targets = n;
	return 0;
}

void route_registry_prune(struct route_registry *g)
{
	size_t strays = 0;

	for (size_t i = 0; i < g->cap_targets; i++)
		strays += g->targets[i] && !atomic_load(&g->targets[i]->refs);
	if (are_many(strays, g->n_targets))
		targets_rebuild(g, g->cap_targets, false);
	stats_prune(g);
}

struct target_state *route_registry_target(struct route_registry *g, uint32_t id, uint32_t tag)
{
	size_t i;

	if ((g->n_targets + 1) * 2 > g->cap_targets &&
	    targets_rebuild(g, g->cap_targets ? g->cap_targets * 2 : TARGETS_START, true))
		return NULL;
	i = target_slot((const struct target_entry *const *)g->targets, g->cap_targets, id, tag);
	if (!g->targets[i]) {
		struct target_entry *t = calloc(1, sizeof(*t));

		if (!t)
			return NULL;
		t->id = id;
		t->tag = tag;
		g->targets[i] = t;
		g->n_targets++;
	}
	return &g->targets[i]->state;
}

void route_stats_ref(struct route_stats *s)
{
	atomic_fetch_add(&((struct stats_entry *)s)->refs, 1);
}

static void stats_unref(struct route_stats *s)
{
	if (s)
		atomic_fetch_sub(&((struct stats_entry *)s)->refs, 1);
}

void route_target_state_ref(struct target_state *s)
{
	atomic_fetch_add(&((struct target_entry *)s)->refs, 1);
}

void route_target_state_unref(struct target_state *s)
{
	atomic_fetch_sub(&((struct target_entry *)s)->refs, 1);
}

/* ---- references ---- */

struct route_set *route_set_ref(struct route_set *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void route_set_unref(struct route_set *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	addr_set_fini(&s->set);
	free(s);
}

static void set_drop(const struct addr_set *s)
{
	route_set_unref((struct route_set *)(uintptr_t)s);
}

static void targets_free(struct route *r)
{
	for (unsigned i = 0; i < r->n_targets; i++) {
		free((void *)(uintptr_t)r->targets[i].host);
		free(r->targets[i].ports);
		if (r->targets[i].state)
			route_target_state_unref(r->targets[i].state);
	}
	free(r->targets);
	free(r->positions);
}

static void route_free(struct route *r)
{
	targets_free(r);
	for (unsigned i = 0; i < r->n_domains; i++)
		free((void *)(uintptr_t)r->domains[i]);
	free(r->domains);
	free(r->tls_versions);
	if (r->health)
		free((void *)(uintptr_t)r->health->path);
	free(r->health);
	set_drop(r->clients);
	set_drop(r->allow);
	set_drop(r->block);
	free((void *)(uintptr_t)r->name);
	free((void *)(uintptr_t)r->text);
	stats_unref(r->stats);
	free(r);
}

struct route *route_ref(struct route *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void route_unref(struct route *r)
{
	if (r && atomic_fetch_sub(&r->refs, 1) == 1)
		route_free(r);
}

struct route_table *route_table_ref(struct route_table *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void route_table_unref(struct route_table *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) > 1)
		return;
	route_index_free(t->index);
	for (unsigned i = 0; i < t->n_routes; i++)
		route_unref(t->routes[i]);
	for (unsigned i = 0; i < t->n_sets; i++)
		route_set_unref(t->sets[i]);
	free(t->routes);
	free(t->cells);
	free(t->sets);
	free(t->names);
	free(t);
}
