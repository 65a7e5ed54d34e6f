/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/apply/reconcile.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "ctl/host/conntrack.h"

struct by_id {
	uint32_t id;
	const struct plan_route *route;
};

struct wanted {
	const struct plan *p;
	struct by_id *v; /* sorted by id */
	unsigned n;
	uint32_t instance;
	const struct addr_set *local;
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

/*
 * A flow from before its port had a route: conntrack has it without NAT, so it
 * would go past the route as long as it talks. It ended at this host itself
 * (a routed one has another destination, and is nobody's business).
 */
static bool goes_past_a_route(const struct wanted *w, const struct ct_flow *f)
{
	const struct plan_conn c = { f->local, f->proto, f->local_port, f->client };

	return !f->id && f->proto == IPPROTO_UDP && f->local_port == f->target_port &&
	       !addr_cmp(&f->local, &f->target) && addr_set_has(w->local, &f->local) &&
	       plan_find_kernel(w->p, &c);
}

static bool is_stale(const struct ct_flow *f, void *arg)
{
	const struct wanted *w = arg;
	struct by_id key = { .id = f->id };
	const struct by_id *hit;

	if (goes_past_a_route(w, f))
		return true;
	if (!f->id || f->proto != IPPROTO_UDP || f->instance != w->instance)
		return false;
	hit = bsearch(&key, w->v, w->n, sizeof(*w->v), by_id_cmp);
	return !hit || hit->route->tier != TIER_NFTABLES || !has_target(hit->route, f);
}

int reconcile_udp(const struct plan *p, const uint32_t *ids, const struct addr_set *local,
		  uint32_t instance, unsigned *deleted, struct err *e)
{
	struct wanted w = { .p = p, .instance = instance, .local = local };
	int rc;

	*deleted = 0;
	w.v = calloc(p->n_routes + 1, sizeof(*w.v));
	if (!w.v)
		return err_set(e, ENOMEM, "out of memory");
	for (unsigned i = 0; i < p->n_routes; i++)
		if (p->routes[i].transport & TRANSPORT_UDP)
			w.v[w.n++] = (struct by_id){ ids[i], &p->routes[i] };
	qsort(w.v, w.n, sizeof(*w.v), by_id_cmp);
	rc = conntrack_delete_any(is_stale, &w, deleted, e);
	free(w.v);
	return rc;
}
