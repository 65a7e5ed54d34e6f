/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections that go round. User space connects to a target anew, and where that
 * is a port it listens on itself, the connection comes in again as another one: two
 * descriptors each time, until there are none. So from each port of user space the targets on
 * this host are followed, through further ports of user space and through ports of the
 * kernel, which send on what this host connects to. Who matches there is not looked at: a chain
 * of ports that is a circle on paper is refused, also where no client could go all of it.
 *
 * What the kernel sends to an address of this host goes to a socket there, and not through the
 * kernel's routes again: so each circle has a port of user space in it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/host/host.h"
#include "ctl/plan/plan_internal.h"

/* A target on this host. */
struct own {
	const struct cfg_route *route; /* NULL: defaults.target */
	const struct cfg_target *target;
	const struct cfg_host *host;
	struct addr addr;
	bool told;
};

/* A cell with such targets, and how far each of its ports has been followed. */
struct junction {
	const struct plan_cell *cell;
	struct own **own;
	unsigned n;
	uint8_t *state; /* by port - from */
};

enum { NOT_SEEN, ON_THE_WAY, SEEN };

struct step {
	const struct junction *at;
	uint16_t port;
	unsigned next; /* of at->own */
};

struct search {
	struct plan *p;
	const struct plan_facts *f;
	struct diags *d;
	bool this_host; /* all addresses of it, and not loopback alone */
	struct own *own;
	unsigned n_own, cap_own;
	unsigned *first_own; /* by route: its own; then those of defaults.target, and the end */
	struct junction *junction; /* by cell */
	struct step *way;
	unsigned n_way, cap_way;
};

/* ---- targets on this host ---- */

static bool is_here(const struct search *s, const struct addr *a)
{
	return addr_is_loopback(a) ||
	       (s->this_host && s->f->host && addr_set_has(&s->f->host->local, a));
}

static int add_own(struct search *s, struct own o)
{
	unsigned cap = s->cap_own ? s->cap_own * 2 : 16;
	struct own *v;

	if (!is_here(s, &o.addr))
		return 0;
	if (s->n_own == s->cap_own) {
		v = realloc(s->own, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		s->own = v;
		s->cap_own = cap;
	}
	s->own[s->n_own++] = o;
	return 0;
}

static int add_host(struct search *s, struct own o)
{
	const struct resolved_name *name;
	int rc = 0;

	o.addr = o.host->addr;
	if (o.host->kind == HOST_ADDR)
		return add_own(s, o);
	name = o.host->kind == HOST_NAME ? plan_find_name(s->f, o.host->text) : NULL;
	for (unsigned i = 0; name && i < name->n && !rc; i++) {
		o.addr = name->addrs[i];
		rc = add_own(s, o);
	}
	return rc;
}

static int add_targets(struct search *s, const struct cfg_route *r, const struct cfg_target *v,
		       unsigned n)
{
	int rc = 0;

	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < v[i].n_hosts && v[i].weight && !rc; k++)
			rc = add_host(s, (struct own){ .route = r,
						       .target = &v[i],
						       .host = &v[i].hosts[k] });
	return rc;
}

static int find_own(struct search *s)
{
	struct plan *p = s->p;
	const struct cfg_target *last = p->config->default_target;
	int rc = 0;

	s->first_own = calloc(p->n_routes + 2, sizeof(*s->first_own));
	if (!s->first_own)
		return -ENOMEM;
	for (unsigned i = 0; i < p->n_routes && !rc; i++) {
		const struct cfg_route *r = p->routes[i].route;

		s->first_own[i] = s->n_own;
		if (p->routes[i].transport & TRANSPORT_TCP)
			rc = add_targets(s, r, r->action.targets, r->action.n_targets);
	}
	s->first_own[p->n_routes] = s->n_own;
	rc = rc ? rc : add_targets(s, NULL, last, last ? 1 : 0);
	s->first_own[p->n_routes + 1] = s->n_own;
	return rc;
}

/* ---- junctions ---- */

/* Those of route number `of`; out NULL: only counts. */
static unsigned take_own(struct search *s, unsigned of, struct own **out)
{
	unsigned from = s->first_own[of], n = s->first_own[of + 1] - from;

	for (unsigned i = 0; out && i < n; i++)
		out[i] = &s->own[from + i];
	return n;
}

static unsigned cell_own(struct search *s, const struct plan_cell *cell, struct own **out)
{
	unsigned n = 0, reachable = plan_count_reachable(cell);

	for (unsigned i = 0; i < reachable; i++)
		n += take_own(s, (unsigned)(cell->order[i] - s->p->routes), out ? out + n : NULL);
	if (cell->user)
		n += take_own(s, s->p->n_routes, out ? out + n : NULL);
	return n;
}

static int find_junctions(struct search *s)
{
	s->junction = calloc(s->p->n_cells + 1, sizeof(*s->junction));
	if (!s->junction)
		return -ENOMEM;
	for (unsigned i = 0; i < s->p->n_cells; i++) {
		const struct plan_cell *cell = &s->p->cells[i];
		struct junction *j = &s->junction[i];

		j->cell = cell;
		j->n = cell->proto == IPPROTO_TCP ? cell_own(s, cell, NULL) : 0;
		if (!j->n)
			continue;
		j->own = malloc(j->n * sizeof(struct own *));
		j->state = calloc(cell->to - cell->from + 1u, 1);
		if (!j->own || !j->state)
			return -ENOMEM;
		cell_own(s, cell, j->own);
	}
	return 0;
}

/* ---- following them ---- */

static bool has_port(const struct cfg_target *t, uint16_t port)
{
	for (unsigned i = 0; i < t->n_match_ports; i++)
		if (port >= t->match_ports[i].from && port <= t->match_ports[i].to)
			return true;
	return !t->n_match_ports;
}

static uint16_t port_of(const struct cfg_target *t, uint16_t port)
{
	int to = t->port_kind == PORT_FIXED ? t->port : port;

	if (t->port_kind == PORT_OFFSET)
		to += t->port;
	return to >= 1 && to <= 65535 && has_port(t, port) ? (uint16_t)to : 0;
}

/* Where connections to o come in again, having come to that port of `from`. NULL: nowhere. */
static const struct junction *leads_to(const struct search *s, const struct junction *from,
				       const struct own *o, uint16_t port)
{
	const struct plan_conn c = { .local = o->addr, .proto = IPPROTO_TCP, .port = port };
	const struct plan_cell *cell = port ? plan_find_cell(s->p, &c) : NULL;

	if (!cell || (!cell->user && !from->cell->user))
		return NULL;
	return &s->junction[cell - s->p->cells];
}

static const char *owner(const struct own *o, char *out, size_t cap)
{
	if (!o->route)
		return "defaults.target";
	snprintf(out, cap, "target \"%s\" of route \"%s\"", o->host->text, o->route->name);
	return out;
}

static void tell_same(struct search *s, struct own *o, uint16_t port)
{
	char whose[400];

	plan_error(s->p, s->d, o->route, o->host->loc,
		   "give the port, or the address, that the service behind it listens on",
		   "%s leads back to port %u, where its connections come in: they would go round "
		   "until no descriptor is left",
		   owner(o, whose, sizeof(whose)), port);
}

static void tell_circle(struct search *s, struct own *o, const struct junction *back, uint16_t port)
{
	char way[200] = "", whose[400];
	size_t len = 0;
	unsigned i = s->n_way;

	while (i && (s->way[i - 1].at != back || s->way[i - 1].port != port))
		i--;
	for (i -= !!i; i < s->n_way && len < sizeof(way) - 40; i++)
		len += (size_t)snprintf(way + len, sizeof(way) - len, "%u -> ", s->way[i].port);
	snprintf(way + len, sizeof(way) - len, i < s->n_way ? "... -> %u" : "%u", port);
	plan_error(s->p, s->d, o->route, o->host->loc,
		   "let one of them go to where the service behind it listens",
		   "%s closes a circle of ports (%s): connections would go round until no "
		   "descriptor is left",
		   owner(o, whose, sizeof(whose)), way);
}

static int go(struct search *s, const struct junction *j, uint16_t port)
{
	unsigned cap = s->cap_way ? s->cap_way * 2 : 16;
	struct step *v;

	if (s->n_way == s->cap_way) {
		v = realloc(s->way, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		s->way = v;
		s->cap_way = cap;
	}
	s->way[s->n_way++] = (struct step){ .at = j, .port = port };
	j->state[port - j->cell->from] = ON_THE_WAY;
	return 0;
}

static int follow(struct search *s, struct own *o, const struct junction *from, uint16_t port)
{
	const uint16_t to = port_of(o->target, port);
	const struct junction *j = leads_to(s, from, o, to);
	/* The relay does not connect to the port it was connected by, whatever its address. */
	const bool same = j && from->cell->user && j->cell->user && to == port;

	if (!j || (!same && !j->n))
		return 0;
	if (same || j->state[to - j->cell->from] == ON_THE_WAY) {
		if (!o->told && same)
			tell_same(s, o, port);
		else if (!o->told)
			tell_circle(s, o, j, to);
		o->told = true;
		return 0;
	}
	return j->state[to - j->cell->from] == NOT_SEEN ? go(s, j, to) : 0;
}

static int follow_port(struct search *s, const struct junction *j, uint16_t port)
{
	int rc = j->state[port - j->cell->from] == NOT_SEEN ? go(s, j, port) : 0;

	while (!rc && s->n_way) {
		struct step *top = &s->way[s->n_way - 1];

		if (top->next < top->at->n) {
			rc = follow(s, top->at->own[top->next++], top->at, top->port);
			continue;
		}
		top->at->state[top->port - top->at->cell->from] = SEEN;
		s->n_way--;
	}
	return rc;
}

static int follow_all(struct search *s)
{
	int rc = 0;

	for (unsigned i = 0; i < s->p->n_cells; i++) {
		const struct junction *j = &s->junction[i];

		if (!j->n || !j->cell->user)
			continue;
		for (uint32_t port = j->cell->from; port <= j->cell->to && !rc; port++)
			rc = follow_port(s, j, (uint16_t)port);
	}
	return rc;
}

int plan_check_loops(struct plan *p, const struct plan_facts *f, bool this_host, struct diags *d)
{
	struct search s = { .p = p, .f = f, .d = d, .this_host = this_host };
	int rc = p->n_listeners ? find_own(&s) : 0;

	if (!rc && s.n_own) {
		rc = find_junctions(&s);
		rc = rc ? rc : follow_all(&s);
	}
	for (unsigned i = 0; s.junction && i < p->n_cells; i++) {
		free(s.junction[i].own);
		free(s.junction[i].state);
	}
	free(s.junction);
	free(s.first_own);
	free(s.own);
	free(s.way);
	return rc;
}
