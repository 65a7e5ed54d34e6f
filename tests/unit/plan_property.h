/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random route files, planned, and asked about every connection of a small
 * world; the slow matcher says what is right. property_run() returns the number
 * of wrong answers; *asked and *planned say how much was really tried.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/buf.h"
#include "ctl/config/config.h"
#include "ctl/plan/plan.h"
#include "ctl/plan/plan_match.h"
#include "tests/property/route_oracle.h"
#include "tests/property/small_world.h"

/* ---- what is right ---- */

/* The kernel's answer is that of the best route that takes this client, if it can be had there. */
static const struct cfg_route *oracle(const struct config *c, const struct plan_conn *conn)
{
	const struct cfg_route *best = oracle_best(c, conn, false);

	if (!best || best->match.domains.n || !oracle_has_family(best, conn->client.family))
		return NULL;
	return best;
}

/* ---- the comparison ---- */

/* PLAN_PROPERTY_SHOW=1 prints the first wrong answer and its file. */
static void show_wrong(const struct config *c, const struct plan_conn *conn,
		       const struct plan_route *got, const struct cfg_route *want)
{
	char local[ADDR_TEXT], client[ADDR_TEXT];

	printf("%s/%u at %s from %s: got %s, want %s\n%.*s\n",
	       conn->proto == IPPROTO_TCP ? "tcp" : "udp", conn->port,
	       addr_format(&conn->local, local), addr_format(&conn->client, client),
	       got ? got->route->name : "-", want ? want->name : "-", (int)c->text_len, c->text);
}

static const struct plan_route *route_of(const struct plan *p, const struct cfg_route *r)
{
	for (unsigned i = 0; i < p->n_routes; i++)
		if (p->routes[i].route == r)
			return &p->routes[i];
	return NULL;
}

/* What explain says about one connection: the kernel's tier where the kernel decides, and only
 * there, whatever name the client has. */
static bool explained_right(const struct plan *p, const struct plan_conn *conn,
			    const struct cfg_route *want)
{
	static const char *const names[] = { "a.test", "x.a.test", "c.test", "other.example" };
	const struct plan_cell *cell = plan_find_cell(p, conn);
	struct match_facts facts = { .client = conn->client,
				     .name = names[(conn->port + conn->client.bytes[3]) % 4] };
	struct plan_border border;
	struct plan_service s;
	char why[160];
	unsigned i = 0;

	if (!cell)
		return !want;
	while (i < cell->n_order &&
	       route_matches(&cell->order[i]->route->match, &facts, why, sizeof(why)) != MATCH_YES)
		i++;
	if (i == cell->n_order)
		return !want;
	border = plan_find_border(p, cell, &conn->client);
	plan_serve(p, cell, i, &border, conn, &s);
	return want ? s.tier == TIER_NFTABLES && cell->order[i]->route == want
		    : s.tier != TIER_NFTABLES;
}

/* What the plan says about the route as a whole: that the kernel has something of it, and on which
 * ports user space has what the kernel could serve. */
static bool route_told_right(const struct config *c, const struct plan *p,
			     const struct plan_conn *conn, const struct cfg_route *want)
{
	const struct cfg_route *best = oracle_best(c, conn, true);
	const struct plan_route *r = best ? route_of(p, best) : NULL;
	const struct plan_cell *cell = plan_find_cell(p, conn);
	const struct plan_behind *b;

	if (!r || !oracle_has_family(best, conn->client.family))
		return true;
	if (want)
		return r->in_kernel && r->tier == TIER_NFTABLES;
	for (b = r->behind; b; b = b->next)
		if (b->proto == conn->proto && b->from <= conn->port && conn->port <= b->to &&
		    !addr_cmp(&b->address, &cell->address))
			break;
	return (b || r->behind_more) &&
	       (r->in_kernel ? r->tier == TIER_NFTABLES : r->tier != TIER_NFTABLES);
}

static unsigned ask_everything(const struct config *c, const struct plan *p, unsigned *asked)
{
	unsigned wrong = 0;

	for (unsigned port = 1; port <= WORLD_PORTS + 1; port++) {
		for (unsigned k = 0; k < N(world_locals) * N(world_clients) * 2; k++) {
			struct plan_conn conn = { .port = (uint16_t)port };
			const struct plan_route *got;
			const struct cfg_route *want;

			conn.proto = k & 1 ? IPPROTO_TCP : IPPROTO_UDP;
			addr_parse(world_locals[k / 2 % N(world_locals)], &conn.local);
			addr_parse(world_clients[k / 2 / N(world_locals)], &conn.client);
			if (conn.local.family != conn.client.family)
				continue;
			got = plan_find_kernel(p, &conn);
			want = oracle(c, &conn);
			if (((got ? got->route : NULL) != want ||
			     !explained_right(p, &conn, want) ||
			     !route_told_right(c, p, &conn, want)) &&
			    !wrong++ && getenv("PLAN_PROPERTY_SHOW"))
				show_wrong(c, &conn, got, want);
			(*asked)++;
		}
	}
	return wrong;
}

/* Another property over the same files may take its place. */
static unsigned (*property_ask)(const struct config *c, const struct plan *p,
				unsigned *asked) = ask_everything;

static unsigned property_run(unsigned files, uint64_t seed, unsigned *planned, unsigned *asked)
{
	struct config_options opt = { 0 };
	struct plan_facts facts = { .have_relay = true, .have_proxy = true };
	unsigned wrong = 0;

	rng_state = seed;
	for (unsigned f = 0; f < files; f++) {
		struct diags d = { 0 };
		struct buf b = { 0 };
		struct config *c;
		struct plan *p = NULL;

		put_file(&b, &small_world);
		c = config_parse("random.json", b.data, b.len, &opt, &d);
		if (c)
			p = plan_build(c, &facts, &d);
		if (p) {
			(*planned)++;
			wrong += property_ask(c, p, asked);
		}
		plan_free(p);
		config_free(c);
		diags_fini(&d);
		buf_fini(&b);
	}
	return wrong;
}
