/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whatever carries a flow's label is attributed alike, be it a counter or a
 * conntrack entry: word 0 names the route, word 3 the target.
 */
#include "ctl/apply/usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>

#include "ctl/host/conntrack.h"
#include "ctl/nft/nft_count.h"

struct reader {
	const struct session *s;
	const struct plan *p;
	struct usage *u;
	uint32_t *route_of; /* id -> plan route + 1; 0 = none */
	uint32_t max_id;
};

struct label {
	uint32_t word[4];
};

/* ---- who is meant ---- */

static bool is_ours(const struct reader *r, uint32_t instance)
{
	return instance == label_instance(r->s->state.instance);
}

static struct usage_route *route_of(const struct reader *r, uint32_t id)
{
	return id <= r->max_id && r->route_of[id] ? &r->u->routes[r->route_of[id] - 1] : NULL;
}

static struct usage_target *target_of(const struct reader *r, const struct usage_route *route,
				      uint32_t tag)
{
	return usage_find_target(route, &r->p->routes[route - r->u->routes], tag);
}

/* Of the two halves of a route, the kernel's has the flows. */
static int index_routes(struct reader *r)
{
	for (size_t i = 0; i < r->s->ids.n; i++)
		if (r->s->ids.ids[i] > r->max_id)
			r->max_id = r->s->ids.ids[i];
	r->route_of = calloc((size_t)r->max_id + 1, sizeof(*r->route_of));
	if (!r->route_of)
		return -ENOMEM;
	for (unsigned i = 0; i < r->p->n_routes; i++) {
		uint32_t id = route_ids_find(&r->s->ids, r->p->routes[i].route->name);

		if (id && (!r->route_of[id] || r->p->routes[i].in_kernel))
			r->route_of[id] = i + 1;
	}
	return 0;
}

/* ---- now ---- */

static int count_flow(const struct ct_flow *f, void *arg)
{
	const struct reader *r = arg;
	struct usage_route *route = route_of(r, f->id);
	struct usage_target *target;

	if (f->closed || !is_ours(r, f->instance) || !route)
		return 0;
	route->all.active++;
	target = target_of(r, route, f->tag);
	if (target)
		target->counts.active++;
	return 0;
}

/* ---- since the beginning ---- */

static void add(struct usage_counts *c, enum count_kind kind, const struct nft_count *n)
{
	switch (kind) {
	case COUNT_NEW:
		c->total += n->packets;
		break;
	case COUNT_UP:
		c->packets_in += n->packets;
		c->bytes_in += n->bytes;
		break;
	case COUNT_DOWN:
		c->packets_out += n->packets;
		c->bytes_out += n->bytes;
		break;
	default:
		break;
	}
}

static void attribute(const struct reader *r, enum count_kind kind, const struct nft_count *n)
{
	struct usage_target *target;
	struct usage_route *route;
	struct label l;

	memcpy(&l, n->key, sizeof(l));
	route = is_ours(r, l.word[2]) ? route_of(r, l.word[0]) : NULL;
	if (!route)
		return;
	add(&route->all, kind, n);
	target = target_of(r, route, l.word[3]);
	if (target)
		add(&target->counts, kind, n);
}

static int read_totals(const struct reader *r, struct err *e)
{
	int rc = 0;

	for (int k = 0; k < N_COUNTS && !rc; k++) {
		struct nft_counts c;

		rc = nft_counts_read(r->s->nft, r->s->have->table,
				     count_set_name((enum count_kind)k), &c, e);
		for (size_t i = 0; !rc && i < c.n; i++)
			attribute(r, (enum count_kind)k, &c.v[i]);
		if (!rc)
			nft_counts_fini(&c);
	}
	return rc;
}

/* DESIGN's closed list has the same names. */
static enum reason reason_of(enum refusal_kind k)
{
	for (unsigned i = 1; i < N_REASONS; i++)
		if (!strcmp(reason_name((enum reason)i), refusal_reason(k)))
			return (enum reason)i;
	return REASON_NONE;
}

static int read_refusals(const struct reader *r, struct err *e)
{
	int rc = 0;

	for (int k = 0; k < N_REFUSALS && !rc; k++) {
		struct nft_counts c;

		rc = nft_counts_read(r->s->nft, r->s->have->table,
				     refusal_set_name((enum refusal_kind)k), &c, e);
		for (size_t i = 0; !rc && i < c.n; i++) {
			struct usage_route *route;
			struct label l;

			memcpy(&l, c.v[i].key, sizeof(l));
			route = is_ours(r, l.word[2]) ? route_of(r, l.word[0]) : NULL;
			if (route)
				route->refused[reason_of((enum refusal_kind)k)] += c.v[i].packets;
		}
		if (!rc)
			nft_counts_fini(&c);
	}
	return rc;
}

static void find_full_sets(const struct reader *r)
{
	struct usage *u = r->u;

	for (size_t i = 0; i < r->s->have->n_sets; i++) {
		const struct rs_set_def *d = &r->s->have->sets[i]->def;
		size_t n = 0;

		if (!(d->flags & NFT_SET_EVAL) || u->n_full == sizeof(u->full) / sizeof(*u->full))
			continue;
		if (!nft_set_count(r->s->nft, r->s->have->table, d->name, &n, NULL) && n >= d->size)
			memcpy(u->full[u->n_full++], d->name, sizeof(d->name));
	}
}

static void warn(struct diags *d, const char *what, const struct err *e)
{
	diags_add(d, DIAG_WARNING, LOC_NONE, NULL, NULL, "%s: %s", what, e->msg);
}

int usage_read(const struct session *s, const struct plan *p, struct usage *u, struct diags *d)
{
	struct reader r = { .s = s, .p = p, .u = u };
	struct err e = { 0 };
	int rc = index_routes(&r);

	if (rc)
		return rc;
	u->have_active = !conntrack_each(count_flow, &r, &e);
	if (!u->have_active)
		warn(d, "connections cannot be counted", &e);
	memset(&e, 0, sizeof(e));
	u->have_totals =
		!s->have || !s->have->exists || (!read_totals(&r, &e) && !read_refusals(&r, &e));
	if (!u->have_totals)
		warn(d, "the counters cannot be read", &e);
	if (s->have && s->have->exists)
		find_full_sets(&r);
	free(r.route_of);
	return 0;
}
