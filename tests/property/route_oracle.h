/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The slow and obvious matcher: which route of a config has a connection,
 * written from the rules in docs/CONFIG.md and not from the code.
 */
#ifndef TESTS_PROPERTY_ROUTE_ORACLE_H
#define TESTS_PROPERTY_ROUTE_ORACLE_H

#include <netinet/in.h>
#include <string.h>

#include "ctl/config/config.h"
#include "ctl/plan/plan.h"

static bool oracle_listens(const struct cfg_route *r, const struct plan_conn *c)
{
	const struct cfg_match *m = &r->match;
	bool port = false, address = !m->n_addresses;

	for (unsigned i = 0; i < m->n_ports; i++)
		port |= m->ports[i].from <= c->port && c->port <= m->ports[i].to;
	for (unsigned i = 0; i < m->n_addresses; i++)
		address |= !addr_cmp(&m->addresses[i], &c->local);
	return r->enabled && port && address &&
	       (m->transport & (c->proto == IPPROTO_TCP ? TRANSPORT_TCP : TRANSPORT_UDP));
}

/* Longest exact name first, then the longest wildcard, then none. */
static int oracle_domain(const struct cfg_match *m)
{
	int best = 0;

	for (unsigned i = 0; i < m->domains.n; i++) {
		int len = (int)strlen(m->domains.v[i]);
		int score = strchr(m->domains.v[i], '*') ? 1000 + len : 1000000 + len;

		best = score > best ? score : best;
	}
	return best;
}

static unsigned __int128 oracle_number(const struct addr *a)
{
	unsigned __int128 v = 0;

	for (unsigned i = 0; i < addr_len(a); i++)
		v = v << 8 | a->bytes[i];
	return v;
}

/* The widest range of the list decides; fewer free bits is narrower; no list is the widest. */
static int oracle_client(const struct cfg_match *m)
{
	int widest = 0;

	if (!m->has_client_ip)
		return 1000;
	for (size_t i = 0; i < m->client_ip.n; i++) {
		const struct addr_range *r = &m->client_ip.v[i];
		unsigned __int128 more = oracle_number(&r->hi) - oracle_number(&r->lo);
		int bits = 0;

		for (; more; more >>= 1)
			bits++;
		bits *= r->lo.family == ADDR_V4 ? 4 : 1;
		widest = bits > widest ? bits : widest;
	}
	return widest;
}

/* Does a beat b? */
static bool oracle_beats(const struct cfg_route *a, const struct cfg_route *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (oracle_domain(&a->match) != oracle_domain(&b->match))
		return oracle_domain(&a->match) > oracle_domain(&b->match);
	if (oracle_client(&a->match) != oracle_client(&b->match))
		return oracle_client(&a->match) < oracle_client(&b->match);
	if (!a->match.n_addresses != !b->match.n_addresses)
		return a->match.n_addresses > 0;
	return a->index < b->index;
}

/* Of the routes that take this client: with all of them, or with those that need no name. */
__attribute__((unused)) static const struct cfg_route *oracle_best(const struct config *c,
								   const struct plan_conn *conn,
								   bool nameless)
{
	const struct cfg_route *best = NULL;

	for (unsigned i = 0; i < c->n_routes; i++) {
		const struct cfg_route *r = &c->routes[i];

		if (!oracle_listens(r, conn) || (nameless && r->match.domains.n))
			continue;
		if (r->match.has_client_ip && !addr_set_has(&r->match.client_ip, &conn->client))
			continue;
		if (!best || oracle_beats(r, best))
			best = r;
	}
	return best;
}

#endif
