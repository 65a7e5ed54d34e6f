/* SPDX-License-Identifier: GPL-2.0-or-later */
/* route_internal: what the files of the routing table share among themselves. */
#ifndef DATAPLANE_ROUTE_INTERNAL_H
#define DATAPLANE_ROUTE_INTERNAL_H

#include "ctl/base/arena.h"
#include "dataplane/route.h"

/* Of one load; what a message can hold bounds them, too. */
#define ROUTES_MAX	   0xfffff
#define CELLS_MAX	   (1u << 20)
#define SETS_MAX	   (1u << 20)
#define PATTERNS_MAX	   (1u << 20) /* of one set */
#define TARGETS_MAX	   4096	      /* of one route */
#define DOMAINS_MAX	   65536      /* of one route */
#define DOMAIN_BYTES_MAX   255
#define PORT_RANGES_MAX	   1024	       /* of one target */
#define INDEX_MAX_PLACES   (16u << 20) /* routes in different lists of cells, together */
#define INDEX_MAX_PATTERNS (8u << 20)  /* their domains */
#define TIME_MAX_MS	   INT32_MAX

/* A set has one reference of each table and each route that uses it. */
struct route_set {
	struct addr_set set; /* first: routes point to it */
	atomic_uint refs;
	uint64_t hash;
};

struct route_set *route_set_ref(struct route_set *s);
void route_set_unref(struct route_set *s);

struct route_cell {
	struct addr address; /* ADDR_NONE: all that have no cell of their own here */
	uint16_t from, to;
	uint32_t order; /* in route_index.orders */
};

/* One list of routes, best first, with the default route behind; cells with equal lists share it.
 */
struct route_order {
	struct route **v;
	uint32_t *open; /* positions of routes without domains, ascending */
	/* For each set of clients (NULL: everybody), the first route with domains that has it. */
	struct route_head *heads; /* by position */
	uint32_t n, n_open, n_heads;
	uint8_t kinds; /* bit k: there are keys of index_kind k */
	bool tls;      /* some route is passthrough */
};

struct route_head {
	const struct addr_set *clients;
	uint32_t position;
};

/* How a pattern is found: by all of it; by its end from a dot on; by its start up to a dot; or only
 * by trying it. */
enum index_kind { INDEX_EXACT, INDEX_SUFFIX, INDEX_PREFIX, INDEX_FREE, N_INDEX_KINDS };

/* Those of one order, kind and key stand side by side, by position. */
struct index_entry {
	uint64_t hash;
	const char *pattern;
	uint32_t order, position;
	uint8_t kind, pattern_len, key_at, key_len;
};

struct route_index {
	struct route_order *orders;
	uint32_t n_orders;
	struct index_entry *entries;
	uint32_t n_entries;
	uint32_t *slots; /* open addressing: 1 + index of the first entry of a key */
	uint32_t mask;
	struct arena arena; /* of the lists */
};

/* Fills t->index and the orders of t->cells, of which lists[i] are n_list[i] valid indexes. The
 * lists are borrowed for the call. */
struct cell_list {
	uint32_t *routes;
	uint32_t n;
};
/* Cells and index of a table that has its routes. */
int route_cells_load(struct route_table *t, const json_t *load, struct err *e);
int route_index_build(struct route_table *t, const struct cell_list *lists, struct err *e);
void route_index_free(struct route_index *x);

/* Hashes of keys: forwards and backwards, a byte at a time, so that all keys of a name cost one
 * pass. */
#define KEY_HASH_START 0xcbf29ce484222325u
static inline uint64_t key_hash_byte(uint64_t h, char c)
{
	return (h ^ (uint8_t)c) * 0x100000001b3u;
}
static inline uint64_t key_hash_end(uint64_t h, uint32_t order, enum index_kind kind)
{
	h ^= ((uint64_t)order * N_INDEX_KINDS + (uint64_t)kind + 1) * 0x9e3779b97f4a7c15u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ h >> 29;
}

/* route_parse.c: one route. sets: of the load, resolved already. */
struct route_sets_of {
	struct route_set *clients, *allow, *block; /* borrowed; NULL: absent */
};
struct json_at;
struct route *route_parse(const json_t *json, const struct route_sets_of *sets,
			  struct route_registry *g, const struct json_at *at, struct err *e);
/* Its compiled text, without the sets, whose numbers change. free() it. */
char *route_text(const json_t *json);

/* References of what the registry keeps, so that it can forget what no route has. */
void route_stats_ref(struct route_stats *s);
void route_target_state_ref(struct target_state *s);
void route_target_state_unref(struct target_state *s);
/* Drops what no route has any more, where it is much. */
void route_registry_prune(struct route_registry *g);

#endif
