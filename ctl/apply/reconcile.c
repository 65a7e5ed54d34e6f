/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/apply/reconcile.h"

#include <errno.h>
#include <netinet/in.h>

#include "ctl/host/conntrack.h"

struct wanted {
	const struct plan *p;
	const uint32_t *ids;
	uint32_t instance;
	const struct addr_set *local;
};

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

static const struct plan_route *winner_of(const struct wanted *w, const struct ct_flow *f)
{
	const struct plan_conn c = { f->local, f->proto, f->local_port, f->client };

	return plan_find_kernel(w->p, &c);
}

/*
 * A flow from before its port had a route: conntrack has it without NAT, so it
 * would go past the route as long as it talks. It ended at this host itself
 * (a routed one has another destination, and is nobody's business); [::1] and
 * other zones than ours are never taken by a route.
 */
static bool goes_past_a_route(const struct wanted *w, const struct ct_flow *f)
{
	bool v6_loopback = f->local.family == ADDR_V6 && addr_is_loopback(&f->local);

	return !f->zone && !v6_loopback && f->local_port == f->target_port &&
	       !addr_cmp(&f->local, &f->target) && addr_set_has(w->local, &f->local) &&
	       winner_of(w, f);
}

/* One of ours goes on only while its route still takes it and still has that target. */
static bool is_stale(const struct ct_flow *f, void *arg)
{
	const struct wanted *w = arg;
	const struct plan_route *winner;

	if (f->proto != IPPROTO_UDP)
		return false;
	if (!f->id)
		return goes_past_a_route(w, f);
	if (f->instance != w->instance)
		return false;
	winner = winner_of(w, f);
	return !winner || w->ids[winner - w->p->routes] != f->id || !has_target(winner, f);
}

int reconcile_udp(const struct plan *p, const uint32_t *ids, const struct addr_set *local,
		  uint32_t instance, unsigned *deleted, struct err *e)
{
	struct wanted w = { .p = p, .ids = ids, .instance = instance, .local = local };

	*deleted = 0;
	return conntrack_delete_any(is_stale, &w, deleted, e);
}
