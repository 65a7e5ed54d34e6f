/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local services whose connections a kernel route takes. apply warns of the same. */
#include <netinet/in.h>

#include "ctl/doctor/doctor_internal.h"
#include "ctl/host/host_owner.h"

#define MAX_OWNERS 8 /* each costs a walk through /proc */

static const struct plan_route *winner_of(const struct plan_family *f)
{
	return f->all ? f->all : f->n ? f->v[0].winner : NULL;
}

static bool cell_takes(const struct plan_cell *cell, const struct host_listener *l)
{
	bool wild = addr_is_unspecified(&l->addr);

	if (cell->proto != l->proto || l->port < cell->from || cell->to < l->port)
		return false;
	return cell->address.family == ADDR_NONE || wild || !addr_cmp(&cell->address, &l->addr);
}

/* The kernel route that takes connections from that socket, in one of its families. */
static const struct plan_route *taker_of(const struct plan *p, const struct host_listener *l)
{
	bool wild = addr_is_unspecified(&l->addr);
	bool v4 = l->addr.family == ADDR_V4 || (wild && !l->v6_only);
	bool v6 = l->addr.family == ADDR_V6;

	for (unsigned i = 0; i < p->n_cells; i++) {
		const struct plan_cell *cell = &p->cells[i];
		const struct plan_route *r;

		if (!cell_takes(cell, l))
			continue;
		r = v4 ? winner_of(&cell->v4) : NULL;
		r = r || !v6 ? r : winner_of(&cell->v6);
		/* [::1] is nobody's: the kernel tier cannot have it. */
		if (r && !(l->addr.family == ADDR_V6 && addr_is_loopback(&l->addr)))
			return r;
	}
	return NULL;
}

/* The route's own target: it is still reached, through the route. */
static bool leads_to(const struct plan_route *r, const struct host_listener *l)
{
	for (unsigned i = 0; i < r->n_targets; i++)
		if (r->targets[i].local && plan_target_port(&r->targets[i], l->port) == l->port &&
		    (addr_is_unspecified(&l->addr) || !addr_cmp(&r->targets[i].addr, &l->addr)))
			return true;
	return false;
}

static void report(struct doctor *d, const struct plan_route *r, const struct host_listener *l)
{
	const char *proto = l->proto == IPPROTO_TCP ? "tcp" : "udp";
	struct pending_finding *f;
	char owner[64];

	host_socket_owner(l->inode, owner, sizeof(owner));
	f = doctor_problem(d, "%s listens on %s/%u, but %s %s route \"%s\" instead", owner, proto,
			   l->port, addr_is_loopback(&l->addr) ? "this host" : "other hosts",
			   d->in->live ? "reach" : "would reach", r->route->name);
	finding_route(d, f, r);
	finding_fix(d, f, "move %s to another port, stop it, or take %u out of the route", owner,
		    l->port);
}

static bool same_service(const struct host_listener *a, const struct host_listener *b)
{
	return a && a->proto == b->proto && a->port == b->port &&
	       addr_is_loopback(&a->addr) == addr_is_loopback(&b->addr);
}

void check_listeners(struct doctor *d)
{
	const struct host_facts *h = d->in->host;
	const struct host_listener *last = NULL;
	unsigned told = 0;

	if (!h || !d->in->plan) {
		doctor_ok(d, "no routes that could take a port");
		return;
	}
	for (size_t i = 0; i < h->n_listeners; i++) {
		const struct host_listener *l = &h->listeners[i];
		const struct plan_route *r = taker_of(d->in->plan, l);

		if (!r || leads_to(r, l) || same_service(last, l))
			continue;
		last = l;
		if (told++ == MAX_OWNERS) {
			doctor_note(d, "and more listeners like these");
			return;
		}
		report(d, r, l);
	}
}
