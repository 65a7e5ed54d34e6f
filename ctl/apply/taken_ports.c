/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A service is what listens on one protocol and port: often two sockets (IPv4
 * and IPv6), or one for each of its processes. Those on loopback only are
 * apart, since nobody outside reached them.
 */
#include "ctl/apply/taken_ports.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "ctl/host/host_owner.h"

static const struct plan_route *first_winner(const struct plan_family *f)
{
	return f->all ? f->all : f->n ? f->v[0].winner : NULL;
}

static const struct plan_route *winner_over(const struct plan_cell *cell,
					    const struct host_listener *l)
{
	bool wild = addr_is_unspecified(&l->addr);
	bool v4 = l->addr.family == ADDR_V4 || (wild && !l->v6_only);
	const struct plan_route *r = v4 ? first_winner(&cell->v4) : NULL;

	/* There the service listens beside the kernel route, or cannot, and says so. */
	if (cell->user)
		return NULL;
	return r || l->addr.family == ADDR_V4 ? r : first_winner(&cell->v6);
}

/* The kernel route that takes connections from this socket, at any address that it has. */
static const struct plan_route *kernel_route_over(const struct plan *p,
						  const struct host_listener *l)
{
	const struct plan_conn c = { .local = l->addr, .proto = l->proto, .port = l->port };
	const struct plan_cell *cell = plan_find_cell(p, &c);
	const struct plan_route *r = cell ? winner_over(cell, l) : NULL;

	/* What is sent to [::1] is no kernel route's. */
	if (l->addr.family == ADDR_V6 && addr_is_loopback(&l->addr))
		return NULL;

	/* Cells of single addresses come last; there are few. */
	for (unsigned i = p->n_cells; i-- > 0 && !r && addr_is_unspecified(&l->addr);) {
		cell = &p->cells[i];
		if (cell->address.family == ADDR_NONE)
			break;
		if (cell->proto == l->proto && cell->from <= l->port && l->port <= cell->to)
			r = winner_over(cell, l);
	}
	return r;
}

struct service {
	const struct host_listener *listener; /* the first */
	const struct plan_route *route;
	bool loopback;
};

struct services {
	struct service *v;
	unsigned n;
	struct owned_socket *sockets;
	size_t n_sockets;
};

/* The listeners are sorted by protocol and port: it is one of the last ones, or a new one. */
static unsigned service_of(struct services *s, const struct host_listener *l,
			   const struct plan_route *r)
{
	bool loopback = addr_is_loopback(&l->addr);

	for (unsigned i = s->n; i-- > 0;) {
		const struct service *v = &s->v[i];

		if (v->listener->proto != l->proto || v->listener->port != l->port)
			break;
		if (v->loopback == loopback)
			return i;
	}
	s->v[s->n] = (struct service){ l, r, loopback };
	return s->n++;
}

static void find_services(struct services *s, const struct host_facts *h, const struct plan *p)
{
	for (size_t i = 0; i < h->n_listeners; i++) {
		const struct host_listener *l = &h->listeners[i];
		const struct plan_route *r = kernel_route_over(p, l);

		if (r && !plan_leads_to(r, l))
			s->sockets[s->n_sockets++] =
				(struct owned_socket){ l->inode, service_of(s, l, r) };
	}
}

static void warn(const struct service *v, const struct host_owner *o, struct diags *d)
{
	char owner[128];

	/* It hands the port over to the kernel in the same transaction. */
	if (host_owner_is_ours(o))
		return;
	diags_add(d, DIAG_WARNING, v->route->route->match.ports_loc, NULL, NULL,
		  "%s on %s/%u will no longer be reachable from %s: route \"%s\" takes its "
		  "connections",
		  host_owner_text(o, owner, sizeof(owner)),
		  v->listener->proto == IPPROTO_TCP ? "tcp" : "udp", v->listener->port,
		  v->loopback ? "this host" : "other hosts", v->route->route->name);
}

void taken_ports_warn(const struct host_facts *h, const struct plan *p, struct diags *d)
{
	struct services s = {
		.v = calloc(h->n_listeners + 1, sizeof(*s.v)),
		.sockets = calloc(h->n_listeners + 1, sizeof(*s.sockets)),
	};
	struct host_owner *owners = calloc(h->n_listeners + 1, sizeof(*owners));

	if (s.v && s.sockets && owners) {
		find_services(&s, h, p);
		host_owners_find(s.sockets, s.n_sockets, owners);
		for (unsigned i = 0; i < s.n; i++)
			warn(&s.v[i], &owners[i], d);
	}
	free(s.v);
	free(s.sockets);
	free(owners);
}
