/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two tables of clients: over all routes, and by route. A shard is an array of
 * entries that doubles up to its bound, with buckets of index chains in it; nothing is allocated
 * per connection. Entries without a connection are in a list, idle for the
 * longest first: the ones at its front go when they have been idle for
 * long, or when there is no room.
 *
 * The bucket is kept as what is missing of it, in units of 1/60000 token: N a minute is N
 * units a millisecond, so that whole numbers are exact, and another N is only another
 * speed and another size.
 *
 * Connections of a route are atomics in pages by route id, like its statistics.
 */
#include "dataplane/limit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "dataplane/mix.h"

#define NONE		UINT32_MAX
#define SHARD_MAX	(LIMIT_CLIENTS_MAX / LIMIT_SHARDS)
#define SHARD_START	16
#define TOKEN		60000	/* units */
#define IDLE_MS		120000	/* an entry without connections is kept for that long */
#define FORGET_AT_ONCE	2	/* of those, per question */
#define LOOK_FOR_VICTIM 8	/* first idle entries that are asked for their place */
#define MAX_DT_MS	1000000 /* what is longer fills any bucket */
#define ROUTE_PAGE	1024
#define ROUTE_PAGES	1024 /* ids are below 0x100000 */

/* An IPv4 address, or the first 64 bits of an IPv6 one. */
struct client_key {
	uint64_t prefix;
	uint32_t route; /* 0: all */
	uint8_t family;
};

struct entry {
	struct client_key key;
	unsigned active, per_minute;
	int64_t missing, filled_ms, idle_since_ms;
	uint32_t next;		/* in its bucket, or in the list of free ones */
	uint32_t before, after; /* in the idle list; only with is_idle */
	bool is_idle;
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct entry *v;
	uint32_t *buckets; /* as many as there is room for entries: a power of two */
	uint32_t n, cap, free;
	uint32_t idle_first, idle_last;
};

struct client_table {
	struct shard shards[LIMIT_SHARDS];
};

struct limits {
	struct client_table clients, route_clients;
	uint64_t seed[2];
	_Atomic(atomic_uint *) routes[ROUTE_PAGES];
	_Alignas(64) atomic_uint connections;
	atomic_ullong overflowed;
};

static void table_init(struct client_table *t)
{
	for (unsigned i = 0; i < LIMIT_SHARDS; i++) {
		struct shard *s = &t->shards[i];

		pthread_mutex_init(&s->lock, NULL);
		s->free = s->idle_first = s->idle_last = NONE;
	}
}

static void table_fini(struct client_table *t)
{
	for (unsigned i = 0; i < LIMIT_SHARDS; i++) {
		pthread_mutex_destroy(&t->shards[i].lock);
		free(t->shards[i].v);
		free(t->shards[i].buckets);
	}
}

struct limits *limits_new(struct err *e)
{
	struct limits *l = aligned_alloc(64, sizeof(*l));

	if (!l) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	memset(l, 0, sizeof(*l));
	if (getrandom(l->seed, sizeof(l->seed), 0) != sizeof(l->seed)) {
		err_sys(e, errno, "cannot get random bytes");
		free(l);
		return NULL;
	}
	table_init(&l->clients);
	table_init(&l->route_clients);
	return l;
}

void limits_free(struct limits *l)
{
	if (!l)
		return;
	table_fini(&l->clients);
	table_fini(&l->route_clients);
	for (unsigned i = 0; i < ROUTE_PAGES; i++)
		free(atomic_load(&l->routes[i]));
	free(l);
}

/* ---- keys ---- */

static struct client_key key_of(const struct addr *client, uint32_t route)
{
	struct client_key k = { .route = route, .family = client->family };

	memcpy(&k.prefix, client->bytes, client->family == ADDR_V6 ? 8 : 4);
	return k;
}

static bool key_equal(const struct client_key *a, const struct client_key *b)
{
	return a->prefix == b->prefix && a->route == b->route && a->family == b->family;
}

/* Seeded: clients choose their addresses, and must not be able to choose a bucket. */
static uint64_t key_hash(const struct limits *l, const struct client_key *k)
{
	uint64_t h = mix(k->prefix ^ l->seed[0]);

	return mix(h + l->seed[1] + ((uint64_t)k->route << 8 | k->family));
}

static struct shard *shard_of(struct client_table *t, uint64_t hash)
{
	return &t->shards[hash % LIMIT_SHARDS];
}

static uint32_t *bucket_of(struct shard *s, uint64_t hash)
{
	return &s->buckets[(hash / LIMIT_SHARDS) & (s->cap - 1)];
}

/* ---- entries; all under the shard's lock ---- */

static uint32_t find_entry(struct shard *s, uint64_t hash, const struct client_key *k)
{
	uint32_t i = s->cap ? *bucket_of(s, hash) : NONE;

	while (i != NONE && !key_equal(&s->v[i].key, k))
		i = s->v[i].next;
	return i;
}

static void idle_add(struct shard *s, uint32_t i, int64_t now_ms)
{
	struct entry *x = &s->v[i];

	x->is_idle = true;
	x->idle_since_ms = now_ms;
	x->before = s->idle_last;
	x->after = NONE;
	if (s->idle_last != NONE)
		s->v[s->idle_last].after = i;
	else
		s->idle_first = i;
	s->idle_last = i;
}

static void idle_remove(struct shard *s, uint32_t i)
{
	struct entry *x = &s->v[i];

	if (!x->is_idle)
		return;
	x->is_idle = false;
	if (x->before != NONE)
		s->v[x->before].after = x->after;
	else
		s->idle_first = x->after;
	if (x->after != NONE)
		s->v[x->after].before = x->before;
	else
		s->idle_last = x->before;
}

static void forget_entry(const struct limits *l, struct shard *s, uint32_t i)
{
	uint32_t *at = bucket_of(s, key_hash(l, &s->v[i].key));

	idle_remove(s, i);
	while (*at != i)
		at = &s->v[*at].next;
	*at = s->v[i].next;
	s->v[i].next = s->free;
	s->free = i;
}

static void refill(struct entry *x, int64_t now_ms)
{
	int64_t dt = now_ms - x->filled_ms;

	/* Threads read the clock before they wait for each other. */
	if (dt <= 0)
		return;
	if (dt > MAX_DT_MS)
		dt = MAX_DT_MS;
	x->missing -= dt * x->per_minute;
	if (x->missing < 0)
		x->missing = 0;
	x->filled_ms = now_ms;
}

/* Nothing is lost with it. */
static bool is_forgettable(struct entry *x, int64_t now_ms)
{
	refill(x, now_ms);
	return !x->active && (!x->missing || !x->per_minute);
}

static void forget_old(const struct limits *l, struct shard *s, int64_t now_ms)
{
	for (int k = 0; k < FORGET_AT_ONCE && s->idle_first != NONE; k++) {
		struct entry *x = &s->v[s->idle_first];

		if (now_ms - x->idle_since_ms < IDLE_MS || !is_forgettable(x, now_ms))
			return;
		forget_entry(l, s, s->idle_first);
	}
}

static bool forget_one(const struct limits *l, struct shard *s, int64_t now_ms)
{
	uint32_t i = s->idle_first;

	for (int k = 0; k < LOOK_FOR_VICTIM && i != NONE; k++, i = s->v[i].after)
		if (is_forgettable(&s->v[i], now_ms)) {
			forget_entry(l, s, i);
			return true;
		}
	return false;
}

static bool shard_grow(const struct limits *l, struct shard *s)
{
	uint32_t cap = s->cap ? s->cap * 2 : SHARD_START;
	struct entry *v;
	uint32_t *buckets;

	if (cap > SHARD_MAX)
		return false;
	v = realloc(s->v, cap * sizeof(*v));
	if (v)
		s->v = v;
	buckets = v ? malloc(cap * sizeof(*buckets)) : NULL;
	if (!buckets)
		return false;
	free(s->buckets);
	s->buckets = buckets;
	s->cap = cap;
	memset(buckets, 0xff, cap * sizeof(*buckets));
	/* All of them are in use: it grows when none is free. */
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t *at = bucket_of(s, key_hash(l, &v[i].key));

		v[i].next = *at;
		*at = i;
	}
	return true;
}

/* NONE: it is full. */
static uint32_t new_entry(const struct limits *l, struct shard *s, uint64_t hash,
			  const struct client_key *k, int64_t now_ms)
{
	uint32_t i, *at;

	if (s->free == NONE && s->n == s->cap && !shard_grow(l, s) && !forget_one(l, s, now_ms))
		return NONE;
	i = s->free;
	if (i != NONE)
		s->free = s->v[i].next;
	else
		i = s->n++;
	at = bucket_of(s, hash);
	s->v[i] = (struct entry){ .key = *k, .filled_ms = now_ms, .next = *at };
	*at = i;
	idle_add(s, i, now_ms);
	return i;
}

static bool take_token(struct entry *x, unsigned per_minute, int64_t now_ms)
{
	if (!per_minute)
		return true;
	if (!x->per_minute)
		x->filled_ms = now_ms;
	else
		refill(x, now_ms);
	x->per_minute = per_minute;
	if (x->missing + TOKEN > (int64_t)per_minute * TOKEN)
		return false;
	x->missing += TOKEN;
	return true;
}

/* The rate comes first, as in the kernel: who is refused for the number has asked all the same. */
static enum reason take_entry(struct shard *s, uint32_t i, unsigned at_once, unsigned per_minute,
			      int64_t now_ms)
{
	struct entry *x = &s->v[i];

	if (!take_token(x, per_minute, now_ms))
		return REASON_RATE_LIMIT;
	if (at_once && x->active >= at_once)
		return REASON_IP_LIMIT;
	idle_remove(s, i);
	if (at_once)
		x->active++;
	if (!x->active)
		idle_add(s, i, now_ms);
	return REASON_NONE;
}

/* *held: a connection is counted. */
static enum reason take(struct limits *l, struct client_table *t, const struct client_key *k,
			unsigned at_once, unsigned per_minute, int64_t now_ms, bool *held)
{
	uint64_t hash = key_hash(l, k);
	struct shard *s = shard_of(t, hash);
	enum reason r = REASON_NONE;
	uint32_t i;

	pthread_mutex_lock(&s->lock);
	forget_old(l, s, now_ms);
	i = find_entry(s, hash, k);
	if (i == NONE)
		i = new_entry(l, s, hash, k, now_ms);
	if (i == NONE)
		atomic_fetch_add(&l->overflowed, 1);
	else
		r = take_entry(s, i, at_once, per_minute, now_ms);
	pthread_mutex_unlock(&s->lock);
	*held = i != NONE && r == REASON_NONE && at_once;
	return r;
}

static void drop(struct limits *l, struct client_table *t, const struct client_key *k)
{
	uint64_t hash = key_hash(l, k);
	struct shard *s = shard_of(t, hash);
	uint32_t i;

	pthread_mutex_lock(&s->lock);
	i = find_entry(s, hash, k);
	/* Its clock is that of its last question: a release has none, and needs none. */
	if (i != NONE && s->v[i].active && !--s->v[i].active)
		idle_add(s, i, s->v[i].filled_ms);
	pthread_mutex_unlock(&s->lock);
}

/* ---- routes ---- */

static atomic_uint *route_count(struct limits *l, uint32_t id)
{
	_Atomic(atomic_uint *) *page = &l->routes[id / ROUTE_PAGE % ROUTE_PAGES];
	atomic_uint *v = atomic_load(page), *none = NULL;

	if (!v) {
		v = calloc(ROUTE_PAGE, sizeof(*v));
		if (v && !atomic_compare_exchange_strong(page, &none, v)) {
			free(v);
			v = none;
		}
	}
	return v ? &v[id % ROUTE_PAGE] : NULL;
}

static bool count_up(atomic_uint *v, unsigned max)
{
	unsigned n = atomic_load_explicit(v, memory_order_relaxed);

	do {
		if (max && n >= max)
			return false;
	} while (!atomic_compare_exchange_weak(v, &n, n + 1));
	return true;
}

/* ---- questions ---- */

enum reason limits_take_client(struct limits *l, struct limit_hold *h, const struct addr *client,
			       unsigned at_once, unsigned per_minute, int64_t now_ms)
{
	struct client_key k = key_of(client, 0);

	if (!at_once && !per_minute)
		return REASON_NONE;
	h->client = *client;
	return take(l, &l->clients, &k, at_once, per_minute, now_ms, &h->per_client);
}

static enum reason take_route_client(struct limits *l, struct limit_hold *h, const struct route *r,
				     const struct addr *client, int64_t now_ms)
{
	struct client_key k;

	if (!client || (!r->max_connections_per_ip && !r->connection_rate_per_minute))
		return REASON_NONE;
	k = key_of(client, r->id);
	h->client = *client;
	return take(l, &l->route_clients, &k, r->max_connections_per_ip,
		    r->connection_rate_per_minute, now_ms, &h->per_route_client);
}

static void drop_route_client(struct limits *l, struct limit_hold *h)
{
	struct client_key k = key_of(&h->client, h->route);

	if (h->per_route_client)
		drop(l, &l->route_clients, &k);
	h->per_route_client = false;
}

enum reason limits_take_route(struct limits *l, struct limit_hold *h, const struct route *r,
			      const struct addr *client, int64_t now_ms)
{
	enum reason why;
	atomic_uint *count;

	h->route = r->id;
	why = take_route_client(l, h, r, client, now_ms);
	if (why || !r->max_connections)
		return why;
	count = route_count(l, r->id);
	if (!count) {
		atomic_fetch_add(&l->overflowed, 1);
		return REASON_NONE;
	}
	h->per_route = count_up(count, r->max_connections);
	if (h->per_route)
		return REASON_NONE;
	drop_route_client(l, h);
	return REASON_ROUTE_LIMIT;
}

void limits_release(struct limits *l, struct limit_hold *h)
{
	struct client_key k = key_of(&h->client, 0);

	if (h->per_client)
		drop(l, &l->clients, &k);
	drop_route_client(l, h);
	if (h->per_route)
		atomic_fetch_sub(route_count(l, h->route), 1);
	memset(h, 0, sizeof(*h));
}

bool limits_take_connection(struct limits *l, unsigned max)
{
	return count_up(&l->connections, max);
}

void limits_drop_connection(struct limits *l)
{
	atomic_fetch_sub(&l->connections, 1);
}

unsigned limits_connections(const struct limits *l)
{
	return atomic_load(&l->connections);
}

uint64_t limits_overflowed(const struct limits *l)
{
	return atomic_load(&l->overflowed);
}
