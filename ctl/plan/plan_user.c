/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What user space has to listen on. A cell needs it where a route that is not
 * the kernel's can have connections, where peers announce others by the PROXY
 * protocol, and where defaults.target is to take what no route takes. That a
 * kernel route has no target for one family of clients is no reason: else
 * nearly every file would need the service. Where user space listens anyway,
 * those clients are served as well.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/plan/plan_internal.h"

#define PORTS 65536

static bool takes_whoever_comes(const struct plan_route *r)
{
	return r->decides_early && !r->route->match.has_client_ip;
}

unsigned plan_count_reachable(const struct plan_cell *cell)
{
	unsigned n = 0;

	while (n < cell->n_order && !takes_whoever_comes(cell->order[n++]))
		;
	return n;
}

/* Are there clients of that family whom the kernel does not serve there? */
static bool has_gap(const struct plan_cell *cell, int family)
{
	const struct plan_family *f = family == ADDR_V4 ? &cell->v4 : &cell->v6;

	return (cell->address.family == ADDR_NONE || cell->address.family == family) && !f->all;
}

static bool is_for_user_space(const struct plan *p, const struct plan_cell *cell)
{
	unsigned n = plan_count_reachable(cell);

	if (cell->proto != IPPROTO_TCP || (!has_gap(cell, ADDR_V4) && !has_gap(cell, ADDR_V6)))
		return false;
	if (plan_cell_accepts(p, cell))
		return true;
	for (unsigned i = 0; i < n; i++)
		if (cell->order[i]->own_tier != TIER_NFTABLES && cell->order[i]->reached)
			return true;
	return p->config->default_target && n && !takes_whoever_comes(cell->order[n - 1]);
}

const struct plan_route *plan_user_route(const struct plan_cell *cell)
{
	for (unsigned i = 0; i < cell->n_order; i++)
		if (cell->order[i]->own_tier != TIER_NFTABLES)
			return cell->order[i];
	return cell->order[0];
}

struct listening {
	struct plan *p;
	struct diags *d;
	uint8_t everywhere[PORTS / 8]; /* ports with a socket for all addresses */
	struct plan_listener v[PLAN_MAX_LISTENERS];
	unsigned n;
};

static int add_listener(struct listening *l, const struct plan_cell *cell, uint32_t port)
{
	const struct cfg_route *r = plan_user_route(cell)->route;

	if (l->everywhere[port / 8] & 1u << port % 8)
		return 0;
	if (l->n == PLAN_MAX_LISTENERS) {
		plan_error(
			l->p, l->d, r, r->match.ports_loc,
			"use fewer ports, or leave out what needs user space there",
			"route \"%s\" needs user space on %u port%s: together with others that is "
			"more than %u ports to listen on",
			r->name, cell->to - cell->from + 1u,
			text_plural(cell->to - cell->from + 1u), PLAN_MAX_LISTENERS);
		return -E2BIG;
	}
	if (cell->address.family == ADDR_NONE)
		l->everywhere[port / 8] |= (uint8_t)(1u << port % 8);
	l->v[l->n++] = (struct plan_listener){ cell->address, (uint16_t)port };
	return 0;
}

static int listen_on(struct listening *l, struct plan_cell *cell)
{
	int rc = 0;

	cell->user = is_for_user_space(l->p, cell);
	for (uint32_t port = cell->from; cell->user && port <= cell->to && !rc; port++)
		rc = add_listener(l, cell, port);
	return rc;
}

int plan_find_listeners(struct plan *p, struct diags *d)
{
	struct listening *l = calloc(1, sizeof(*l));
	int rc = 0;

	if (!l)
		return -ENOMEM;
	l->p = p;
	l->d = d;
	/* Cells of all addresses come first. */
	for (unsigned i = 0; i < p->n_cells && !rc; i++)
		rc = listen_on(l, &p->cells[i]);
	if (!rc && l->n) {
		p->listeners = arena_alloc(&p->arena, l->n * sizeof(*l->v));
		rc = p->listeners ? 0 : -ENOMEM;
	}
	if (!rc && l->n) {
		memcpy(p->listeners, l->v, l->n * sizeof(*l->v));
		p->n_listeners = l->n;
	}
	free(l);
	return rc;
}
