/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of the steps. Ports are cut into cells first, so that everything
 * later (order, client intervals, conflicts) sees one list of competitors at a
 * time and a range of 60 000 ports costs what one port costs.
 */
#include "ctl/plan/plan.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/host/host.h"
#include "ctl/plan/plan_internal.h"

/* Does TCP alone need what this route asks for, so that UDP can stay in the kernel? */
static bool splits_by_protocol(const struct cfg_route *r)
{
	if (r->match.transport != TRANSPORT_ALL || !r->needs)
		return false;
	for (const struct cfg_need *n = r->needs; n; n = n->next)
		if (n->tier > TIER_NFTABLES && !n->tcp_only)
			return false;
	return true;
}

static int add_route(struct plan *p, const struct cfg_route *route, enum cfg_transport transport,
		     const struct plan_facts *f, struct diags *d)
{
	struct plan_route *r = &p->routes[p->n_routes];
	int rc;

	r->route = route;
	r->transport = transport;
	rc = plan_route_init(p, r, f, d);
	if (rc)
		return rc;
	p->refused += r->refusal != NULL;
	p->n_routes++;
	return 0;
}

static int init_routes(struct plan *p, const struct plan_facts *f, struct diags *d)
{
	const struct config *c = p->config;
	int rc = 0;

	p->routes = arena_alloc(&p->arena, sizeof(*p->routes) * (2 * (size_t)c->n_routes + 1));
	if (!p->routes)
		return -ENOMEM;
	for (unsigned i = 0; i < c->n_routes && !rc; i++) {
		const struct cfg_route *r = &c->routes[i];

		if (!r->enabled)
			continue;
		p->n_enabled++;
		if (!splits_by_protocol(r)) {
			rc = add_route(p, r, r->match.transport, f, d);
			continue;
		}
		rc = add_route(p, r, TRANSPORT_TCP, f, d);
		rc = rc ? rc : add_route(p, r, TRANSPORT_UDP, f, d);
	}
	return rc;
}

/* Does this winner send connections of the family off this host? */
static bool winner_forwards(const struct plan_route *r, int family)
{
	for (unsigned i = 0; i < r->n_targets; i++)
		if (r->targets[i].addr.family == family && !r->targets[i].local)
			return true;
	return false;
}

static bool winner_dnats_to_loopback(const struct plan_route *r)
{
	for (unsigned i = 0; i < r->n_targets; i++)
		if (r->targets[i].loopback && !r->targets[i].redirect &&
		    r->targets[i].addr.family == ADDR_V4)
			return true;
	return false;
}

static void note_winner(struct plan *p, const struct plan_cell *cell, const struct plan_route *r,
			int family)
{
	bool forwards = winner_forwards(r, family);
	/* 127.0.0.1:port on the gateway itself is one of "all addresses". */
	bool from_loopback = cell->address.family == ADDR_NONE || addr_is_loopback(&cell->address);

	if (family == ADDR_V6) {
		p->needs_forward_v6 |= forwards;
		return;
	}
	p->needs_forward_v4 |= forwards;
	p->needs_route_localnet |= (forwards && from_loopback) || winner_dnats_to_loopback(r);
}

static void note_family(struct plan *p, const struct plan_cell *cell, const struct plan_family *pf,
			int family)
{
	if (pf->all)
		note_winner(p, cell, pf->all, family);
	for (unsigned i = 0; i < pf->n; i++)
		note_winner(p, cell, pf->v[i].winner, family);
}

static int decide_cells(struct plan *p)
{
	for (unsigned i = 0; i < p->n_cells; i++) {
		int rc = plan_cell_decide(p, &p->cells[i]);

		if (rc)
			return rc;
		note_family(p, &p->cells[i], &p->cells[i].v4, ADDR_V4);
		note_family(p, &p->cells[i], &p->cells[i].v6, ADDR_V6);
	}
	return 0;
}

static struct plan *build(const struct config *c, const struct plan_facts *f, bool is_new,
			  struct diags *d)
{
	struct plan *p = calloc(1, sizeof(*p));
	unsigned errors = d->errors;
	int rc = -ENOMEM;

	if (!p)
		goto out;
	p->config = c;
	p->have_relay = f->have_relay;
	p->have_proxy = f->have_proxy;
	rc = init_routes(p, f, d);
	if (!rc)
		rc = plan_order_routes(p);
	if (!rc)
		rc = plan_build_cells(p, d);
	if (!rc)
		plan_check_accepting(p, d);
	if (!rc)
		rc = decide_cells(p);
	if (!rc)
		rc = plan_settle_tiers(p, d);
	if (!rc)
		rc = plan_find_listeners(p, d);
	if (!rc)
		rc = plan_check_loops(p, f, is_new, d);
	if (!rc)
		rc = plan_check_conflicts(p, d);
	if (!rc)
		plan_check_security(p, d);
	if (!rc)
		plan_check_health(p, d);
	if (!rc)
		plan_check_kept(p, d);
out:
	if (rc == -ENOMEM)
		diags_add(d, DIAG_ERROR, LOC_NONE, NULL, NULL, "out of memory");
	if (rc || d->errors > errors) {
		plan_free(p);
		return NULL;
	}
	return p;
}

struct plan *plan_build(const struct config *c, const struct plan_facts *f, struct diags *d)
{
	return build(c, f, false, d);
}

struct plan *plan_build_new(const struct config *c, const struct plan_facts *f, struct diags *d)
{
	return build(c, f, true, d);
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	plan_error_fini(p);
	arena_fini(&p->arena);
	free(p->cells);
	free(p);
}

static unsigned report_refusals(struct plan *p, struct diags *d, bool that_follow)
{
	unsigned told = 0;

	for (unsigned i = 0; i < p->n_routes; i++) {
		const struct plan_route *r = &p->routes[i];

		if (!r->refusal || r->refusal_follows != that_follow)
			continue;
		plan_error(p, d, r->route, r->refusal_loc, NULL, "route \"%s\" %s", r->route->name,
			   r->refusal);
		told++;
	}
	return told;
}

void plan_report_refusals(struct plan *p, struct diags *d)
{
	if (!report_refusals(p, d, false))
		report_refusals(p, d, true);
}

uint16_t plan_target_port(const struct plan_target *t, uint16_t port)
{
	int to = t->target->port_kind == PORT_FIXED	 ? t->target->port
		 : t->target->port_kind == PORT_PRESERVE ? port
							 : port + t->target->port;

	return to >= 1 && to <= 65535 ? (uint16_t)to : 0;
}

bool plan_leads_to(const struct plan_route *r, const struct host_listener *l)
{
	for (unsigned i = 0; i < r->n_targets; i++)
		if (r->targets[i].local && plan_target_port(&r->targets[i], l->port) == l->port &&
		    (addr_is_unspecified(&l->addr) || !addr_cmp(&r->targets[i].addr, &l->addr)))
			return true;
	return false;
}

unsigned plan_count_targets(const struct plan_route *r, int family)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_targets; i++)
		n += r->targets[i].addr.family == family;
	return n;
}

static int cell_cmp_key(const struct plan_cell *cell, const struct addr *address, uint8_t proto,
			uint16_t port)
{
	int rc = addr_cmp(&cell->address, address);

	if (rc)
		return rc;
	if (cell->proto != proto)
		return cell->proto < proto ? -1 : 1;
	return cell->to < port ? -1 : cell->from > port;
}

static const struct plan_cell *find_cell_at(const struct plan *p, const struct addr *address,
					    uint8_t proto, uint16_t port)
{
	unsigned lo = 0, hi = p->n_cells;

	while (lo < hi) {
		unsigned mid = lo + (hi - lo) / 2;
		int rc = cell_cmp_key(&p->cells[mid], address, proto, port);

		if (!rc)
			return &p->cells[mid];
		if (rc < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct plan_cell *plan_find_cell(const struct plan *p, const struct plan_conn *c)
{
	static const struct addr all = { ADDR_NONE, { 0 } };
	const struct plan_cell *cell = find_cell_at(p, &c->local, c->proto, c->port);

	return cell ? cell : find_cell_at(p, &all, c->proto, c->port);
}

const struct plan_route *plan_find_kernel(const struct plan *p, const struct plan_conn *c)
{
	const struct plan_cell *cell = plan_find_cell(p, c);
	const struct plan_family *f;

	if (!cell || c->client.family != c->local.family)
		return NULL;
	f = c->client.family == ADDR_V4 ? &cell->v4 : &cell->v6;
	if (f->all)
		return f->all;
	for (unsigned i = 0; i < f->n; i++)
		if (addr_cmp(&c->client, &f->v[i].clients.lo) >= 0 &&
		    addr_cmp(&c->client, &f->v[i].clients.hi) <= 0)
			return f->v[i].winner;
	return NULL;
}

bool plan_lets_in(const struct plan_route *r, const struct addr *client)
{
	const struct cfg_security *s = r->route->security;

	return !s || (!addr_set_has(&s->block, client) &&
		      (!s->allow.n || addr_set_has(&s->allow, client)));
}
