/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/reconcile.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "ctl/conntrack.h"

struct by_id {
	uint32_t id;
	const struct plan_route *route;
};

struct wanted {
	struct by_id *v; /* sorted by id */
	unsigned n;
	uint32_t instance;
};

static int by_id_cmp(const void *a, const void *b)
{
	const struct by_id *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static bool has_target(const struct plan_route *r, const struct ct_flow *f)
{
	for (unsigned i = 0; i < r->n_targets; i++) {
		const struct plan_target *t = &r->targets[i];

		if (plan_target_port(t, f->local_port) != f->target_port)
			continue;
		/* A redirect answers from whichever local address was asked. */
		if (t->redirect || !addr_cmp(&t->addr, &f->target))
			return true;
	}
	return false;
}

static bool is_stale(const struct ct_flow *f, void *arg)
{
	const struct wanted *w = arg;
	struct by_id key = { .id = f->id };
	const struct by_id *hit;

	if (f->proto != IPPROTO_UDP || f->instance != w->instance)
		return false;
	hit = bsearch(&key, w->v, w->n, sizeof(*w->v), by_id_cmp);
	return !hit || hit->route->tier != TIER_NFTABLES || !has_target(hit->route, f);
}

int reconcile_udp(const struct plan *p, const uint32_t *ids, uint32_t instance, unsigned *deleted,
		  struct err *e)
{
	struct wanted w = { .instance = instance };
	int rc;

	*deleted = 0;
	w.v = calloc(p->n_routes + 1, sizeof(*w.v));
	if (!w.v)
		return err_set(e, ENOMEM, "out of memory");
	for (unsigned i = 0; i < p->n_routes; i++)
		if (p->routes[i].transport & TRANSPORT_UDP)
			w.v[w.n++] = (struct by_id){ ids[i], &p->routes[i] };
	qsort(w.v, w.n, sizeof(*w.v), by_id_cmp);
	rc = conntrack_delete(is_stale, &w, deleted, e);
	free(w.v);
	return rc;
}
