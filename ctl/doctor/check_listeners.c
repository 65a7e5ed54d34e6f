/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local services whose connections a kernel route takes. apply warns of the same. */
#include <netinet/in.h>

#include "ctl/doctor/doctor_internal.h"
#include "ctl/host/host_owner.h"

#define MAX_TAKEN 8 /* are told */

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

		/* Where user space has a part, the service listens there itself. */
		if (!cell_takes(cell, l) || cell->user)
			continue;
		r = v4 ? winner_of(&cell->v4) : NULL;
		r = r || !v6 ? r : winner_of(&cell->v6);
		/* [::1] is nobody's: the kernel tier cannot have it. */
		if (r && !(l->addr.family == ADDR_V6 && addr_is_loopback(&l->addr)))
			return r;
	}
	return NULL;
}

struct taken {
	const struct host_listener *l;
	const struct plan_route *r;
};

static void report(struct doctor *d, const struct taken *t, const struct host_owner *owner)
{
	const char *proto = t->l->proto == IPPROTO_TCP ? "tcp" : "udp";
	struct pending_finding *f;
	char who[96];

	host_owner_text(owner, who, sizeof(who));
	f = doctor_problem(d, "%s listens on %s/%u, but %s %s route \"%s\" instead", who, proto,
			   t->l->port, addr_is_loopback(&t->l->addr) ? "this host" : "other hosts",
			   d->in->live ? "reach" : "would reach", t->r->route->name);
	finding_route(d, f, t->r);
	finding_fix(d, f, "move %s to another port, stop it, or take %u out of the route", who,
		    t->l->port);
}

static void report_all(struct doctor *d, const struct taken *v, unsigned n)
{
	struct owned_socket sockets[MAX_TAKEN];
	struct host_owner owners[MAX_TAKEN] = { { 0 } };

	for (unsigned i = 0; i < n; i++)
		sockets[i] = (struct owned_socket){ .inode = v[i].l->inode, .service = i };
	if (n)
		host_owners_find(sockets, n, owners);
	for (unsigned i = 0; i < n; i++)
		report(d, &v[i], &owners[i]);
}

static bool same_service(const struct host_listener *a, const struct host_listener *b)
{
	return a->proto == b->proto && a->port == b->port &&
	       addr_is_loopback(&a->addr) == addr_is_loopback(&b->addr);
}

void check_listeners(struct doctor *d)
{
	const struct host_facts *h = d->in->host;
	struct taken v[MAX_TAKEN];
	unsigned n = 0;
	bool more = false;

	if (!h || !d->in->plan) {
		doctor_ok(d, "no routes that could take a port");
		return;
	}
	for (size_t i = 0; i < h->n_listeners && !more; i++) {
		const struct host_listener *l = &h->listeners[i];
		const struct plan_route *r = taker_of(d->in->plan, l);

		if (!r || plan_leads_to(r, l) || (n && same_service(v[n - 1].l, l)))
			continue;
		more = n == MAX_TAKEN;
		if (!more)
			v[n++] = (struct taken){ l, r };
	}
	report_all(d, v, n);
	if (more)
		doctor_note(d, "and more listeners like these");
}
