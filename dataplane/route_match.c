/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Matching in three values. A route's answer is the worst of its conditions': one
 * that fails is NO whatever else comes, one that more bytes decide is MORE. The
 * answer of a cell is that of its first route that is not NO. So an answer never changes
 * when more becomes known.
 *
 * While the hello is not whole, every route with domains whose clients the
 * client is among is MORE, so only the first of each set of clients counts (the
 * order's heads). Once all is known, keys of the name lead to the routes whose
 * patterns can match it, by position; the search stops at what is behind the best
 * so far. Routes without domains are looked at one by one, best first.
 */
#include <string.h>

#include "ctl/base/text.h"
#include "dataplane/route_internal.h"

#define NOWHERE UINT32_MAX

struct ask {
	const struct route_index *x;
	const struct route_order *order;
	const struct match_facts *f;
	uint32_t order_number;
	size_t name_len;
};

/* ---- cells ---- */

static int cell_cmp_key(const struct route_cell *c, const struct addr *address, uint16_t port)
{
	int rc = addr_cmp(&c->address, address);

	if (rc)
		return rc;
	return c->to < port ? -1 : c->from > port;
}

static const struct route_cell *find_cell_at(const struct route_table *t,
					     const struct addr *address, uint16_t port)
{
	unsigned lo = 0, hi = t->n_cells;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		int rc = cell_cmp_key(&t->cells[mid], address, port);

		if (!rc)
			return &t->cells[mid];
		if (rc < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* As plan_find_cell(): an address that has a cell of its own for the port has only that. */
static const struct route_cell *find_cell(const struct route_table *t, const struct addr *local,
					  uint16_t port)
{
	static const struct addr all = { ADDR_NONE, { 0 } };
	const struct route_cell *c = find_cell_at(t, local, port);

	return c ? c : find_cell_at(t, &all, port);
}

/* ---- one route ---- */

static bool clients_have(const struct addr_set *clients, const struct match_facts *f)
{
	return !clients || addr_set_has(clients, &f->client);
}

static bool more_may_come(const struct match_facts *f)
{
	return f->protocol == MATCH_UNKNOWN || (f->protocol == MATCH_TLS && !f->have_hello);
}

static enum match_answer match_version(const struct route *r, const struct match_facts *f)
{
	if (!r->n_tls_versions)
		return MATCH_YES;
	if (more_may_come(f))
		return MATCH_MORE;
	for (unsigned i = 0; f->protocol == MATCH_TLS && i < r->n_tls_versions; i++)
		if (r->tls_versions[i] == f->tls_version)
			return MATCH_YES;
	return MATCH_NO;
}

static enum match_answer match_protocol(const struct route *r, const struct match_facts *f)
{
	if (!r->tcp_only || f->protocol == MATCH_TLS || f->protocol == MATCH_OTHER)
		return MATCH_YES;
	return f->protocol == MATCH_UNKNOWN ? MATCH_MORE : MATCH_NO;
}

/* All conditions but the domains. */
static enum match_answer match_rest(const struct route *r, const struct match_facts *f)
{
	enum match_answer version, protocol;

	if (!clients_have(r->clients, f))
		return MATCH_NO;
	version = match_version(r, f);
	protocol = match_protocol(r, f);
	if (version == MATCH_NO || protocol == MATCH_NO)
		return MATCH_NO;
	return version == MATCH_MORE ? MATCH_MORE : protocol;
}

/* ---- names ---- */

static bool has_key(const struct index_entry *x, const struct ask *a, enum index_kind kind,
		    const char *key, size_t len)
{
	return x->order == a->order_number && x->kind == kind && x->key_len == len &&
	       !memcmp(x->pattern + x->key_at, key, len);
}

/* The first entry with that key; the others of it follow. */
static const struct index_entry *find_key(const struct ask *a, enum index_kind kind, uint64_t h,
					  const char *key, size_t len)
{
	h = key_hash_end(h, a->order_number, kind);
	for (uint32_t at = (uint32_t)h & a->x->mask; a->x->slots[at]; at = (at + 1) & a->x->mask) {
		const struct index_entry *x = &a->x->entries[a->x->slots[at] - 1];

		if (x->hash == h && has_key(x, a, kind, key, len))
			return x;
	}
	return NULL;
}

static bool entry_matches(const struct index_entry *x, const struct ask *a)
{
	const struct route *r = a->order->v[x->position];

	if (x->kind != INDEX_EXACT &&
	    !text_glob(x->pattern, x->pattern_len, a->f->name, a->name_len))
		return false;
	/* A passthrough route's names are those of TLS. */
	if (r->passthrough && a->f->protocol != MATCH_TLS)
		return false;
	return match_rest(r, a->f) == MATCH_YES;
}

/* Of those with that key the best one that matches and is better than `best`. */
static uint32_t try_key(const struct ask *a, enum index_kind kind, uint64_t h, const char *key,
			size_t len, uint32_t best)
{
	const struct index_entry *x = find_key(a, kind, h, key, len),
				 *end = a->x->entries + a->x->n_entries;

	for (; x && x < end && x->position < best && has_key(x, a, kind, key, len); x++)
		if (entry_matches(x, a))
			return x->position;
	return best;
}

static uint32_t try_forwards(const struct ask *a, uint32_t best)
{
	uint64_t h = KEY_HASH_START;
	const char *s = a->f->name;

	for (size_t i = 0; i < a->name_len; i++) {
		h = key_hash_byte(h, s[i]);
		if (s[i] == '.' && a->order->kinds & 1u << INDEX_PREFIX)
			best = try_key(a, INDEX_PREFIX, h, s, i + 1, best);
	}
	return a->order->kinds & 1u << INDEX_EXACT
		       ? try_key(a, INDEX_EXACT, h, s, a->name_len, best)
		       : best;
}

static uint32_t try_backwards(const struct ask *a, uint32_t best)
{
	uint64_t h = KEY_HASH_START;
	const char *s = a->f->name;

	for (size_t i = a->name_len; i--;) {
		h = key_hash_byte(h, s[i]);
		if (s[i] == '.')
			best = try_key(a, INDEX_SUFFIX, h, s + i, a->name_len - i, best);
	}
	return best;
}

/* The best route that has domains and matches. */
static uint32_t find_by_name(const struct ask *a)
{
	uint32_t best = NOWHERE;

	if (!a->name_len || !a->order->kinds || a->f->protocol == MATCH_OTHER)
		return NOWHERE;
	if (a->order->kinds & (1u << INDEX_EXACT | 1u << INDEX_PREFIX))
		best = try_forwards(a, best);
	if (a->order->kinds & 1u << INDEX_SUFFIX)
		best = try_backwards(a, best);
	if (a->order->kinds & 1u << INDEX_FREE)
		best = try_key(a, INDEX_FREE, KEY_HASH_START, "", 0, best);
	return best;
}

/* ---- a cell ---- */

static struct match answer_at(const struct route_order *o, uint32_t position)
{
	return position == NOWHERE ? (struct match){ .answer = MATCH_NO, .tls = o->tls }
				   : (struct match){ .answer = MATCH_YES, .route = o->v[position] };
}

/* All is known: every route says yes or no. */
static struct match match_known(const struct ask *a)
{
	const struct route_order *o = a->order;
	uint32_t best = find_by_name(a);

	for (uint32_t i = 0; i < o->n_open && o->open[i] < best; i++)
		if (match_rest(o->v[o->open[i]], a->f) == MATCH_YES)
			best = o->open[i];
	return answer_at(o, best);
}

/* What would hold if the client said nothing more. */
static struct match_facts when_silent(const struct match_facts *f)
{
	struct match_facts s = *f;

	if (s.protocol == MATCH_UNKNOWN)
		s.protocol = MATCH_OTHER;
	s.have_hello = true;
	s.name = NULL;
	s.tls_version = 0;
	return s;
}

static uint32_t first_head(const struct ask *a)
{
	for (uint32_t i = 0; i < a->order->n_heads; i++)
		if (clients_have(a->order->heads[i].clients, a->f))
			return a->order->heads[i].position;
	return NOWHERE;
}

/* A better route that may still match keeps it from being chosen. */
static bool is_decided(uint32_t position, uint32_t more)
{
#ifdef ROUTE_SELFTEST_MATCH
	return position <= more + 1; /* the bug that the property test has to find */
#else
	return position < more;
#endif
}

static struct match match_early(const struct ask *a)
{
	const struct match_facts silent = when_silent(a->f);
	const struct route_order *o = a->order;
	uint32_t more = first_head(a), at = NOWHERE;

	for (uint32_t i = 0; i < o->n_open; i++) {
		const struct route *r = o->v[o->open[i]];
		enum match_answer now = match_rest(r, a->f);

		if (now == MATCH_YES && is_decided(o->open[i], more))
			return answer_at(o, o->open[i]);
		if (now == MATCH_MORE && o->open[i] < more)
			more = o->open[i];
		if (now != MATCH_NO && match_rest(r, &silent) == MATCH_YES) {
			at = o->open[i];
			break;
		}
	}
	if (more == NOWHERE)
		return answer_at(o, NOWHERE);
	return (struct match){ .answer = MATCH_MORE,
			       .silent = at == NOWHERE ? NULL : o->v[at],
			       .tls = o->tls };
}

struct match route_table_match(const struct route_table *t, const struct match_facts *f)
{
	const struct route_cell *cell = find_cell(t, &f->local, f->port);
	struct ask a = { .x = t->index, .f = f };

	if (!cell)
		return (struct match){ .answer = MATCH_NO };
	a.order_number = cell->order;
	a.order = &t->index->orders[cell->order];
	if (more_may_come(f))
		return match_early(&a);
	a.name_len = f->name ? strlen(f->name) : 0;
	if (a.name_len && f->name[a.name_len - 1] == '.')
		a.name_len--;
	return match_known(&a);
}

bool route_lets_in(const struct route *r, const struct addr *client)
{
	return !(r->block && addr_set_has(r->block, client)) &&
	       (!r->allow || addr_set_has(r->allow, client));
}

const struct route *route_table_first(const struct route_table *t, const struct addr *local,
				      uint16_t port)
{
	const struct route_cell *cell = find_cell(t, local, port);

	return cell ? t->index->orders[cell->order].v[0] : NULL;
}
