/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keys that lead to a route. One port with one target is an element of
 * id4/to4 (label and target); everything else is an element of a verdict map
 * that leads to the route's chain: svc4 for single ports, an interval map for
 * ranges. Plain ports whose route has a policy stand in pol4 as well. A local address with keys of
 * its own is looked up first and never falls back: where user space decides there, the key leads to
 * an empty chain.
 *
 * What a client may do over all routes is counted for ports of user space as
 * well, and only here. Their keys lead to a chain with the limits and nothing
 * behind them: the connection goes on to the socket that listens. Only what is
 * refused gets a label, that of a route of that port, to be counted by: a label
 * can be added to, but never taken off, and a flow of the kernel tier is what has one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset_compile_internal.h"

#define CHAIN_USER "user"

struct key {
	uint8_t bytes[24];
	unsigned len;
};

/* [address .] protocol . port, each padded to 4 bytes */
static struct key make_key(const struct plan_cell *cell, int f, uint32_t port)
{
	struct key k = { .len = 8 };
	uint8_t *p = k.bytes;
	uint16_t port_be = htons((uint16_t)port);

	if (cell->address.family != ADDR_NONE) {
		memcpy(p, cell->address.bytes, addr_bytes(f));
		p += addr_bytes(f);
		k.len += addr_bytes(f);
	}
	p[0] = cell->proto;
	memcpy(p + 4, &port_be, 2);
	return k;
}

static bool by_address(const struct plan_cell *cell)
{
	return cell->address.family != ADDR_NONE;
}

/* A map with that kind of key: "id4" for all addresses, "ida4" for one. */
static struct rs_set *key_map(struct compiler *c, const struct plan_cell *cell, const char *stem,
			      int f, uint32_t data_type, uint32_t data_len)
{
	uint32_t type = RS_CONCAT(RS_TYPE_PROTO, RS_TYPE_PORT), len = 8;
	char name[16];

	if (!by_address(cell))
		return comp_set(c, stem, f, NFT_SET_MAP, type, len, data_type, data_len);
	c->keyed[f] = true;
	type = RS_CONCAT(RS_CONCAT(f == V4 ? RS_TYPE_IP : RS_TYPE_IP6, RS_TYPE_PROTO),
			 RS_TYPE_PORT);
	snprintf(name, sizeof(name), "%sa", stem);
	return comp_set(c, name, f, NFT_SET_MAP, type, len + addr_bytes(f), data_type, data_len);
}

static void add_plain(struct compiler *c, const struct plan_cell *cell, int f,
		      const struct plan_route *r, const struct plan_target *t)
{
	uint32_t ip = f == V4 ? RS_TYPE_IP : RS_TYPE_IP6;
	struct rs_set *id = key_map(c, cell, "id", f, RS_TYPE_IP6, 16);
	struct rs_set *to =
		key_map(c, cell, "to", f, RS_CONCAT(ip, RS_TYPE_PORT), addr_bytes(f) + 4);
	char chain[RS_NAME_MAX];
	bool limited = comp_plain_policy(c, r, f, by_address(cell), chain);
	struct rs_set *pol = limited ? key_map(c, cell, STEM_POLICY, f, NFT_DATA_VERDICT, 0) : NULL;
	uint32_t label[4];

	comp_route_label(c, r, t, label);
	for (uint32_t port = cell->from; port <= cell->to && id && to; port++) {
		struct key k = make_key(cell, f, port);
		uint16_t port_be = htons(plan_target_port(t, (uint16_t)port));
		uint8_t data[20] = { 0 };

		memcpy(data, t->addr.bytes, addr_bytes(f));
		memcpy(data + addr_bytes(f), &port_be, 2);
		rs_set_add(id, c->rs, k.bytes, 0, label, r->route->index);
		rs_set_add(to, c->rs, k.bytes, 0, data, r->route->index);
		if (pol)
			rs_set_add_goto(pol, c->rs, k.bytes, chain, r->route->index);
	}
}

/* addr -> chain of that address, in which its port ranges are looked up. */
static void address_ranges(struct compiler *c, const struct plan_cell *cell, int f, char stem[24])
{
	struct rs_set *adr = comp_set(c, "adr", f, NFT_SET_MAP, f == V4 ? RS_TYPE_IP : RS_TYPE_IP6,
				      addr_bytes(f), NFT_DATA_VERDICT, 0);
	char chain[RS_NAME_MAX], map[RS_NAME_MAX];
	uint64_t h = text_hash(cell->address.bytes, 16, 0);
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct nx go_on;

	snprintf(stem, 24, "a%016llx", (unsigned long long)h);
	snprintf(chain, sizeof(chain), "%s_%c", stem, f == V4 ? '4' : '6');
	c->keyed[f] = true;
	if (!adr || ruleset_find_chain(c->rs, chain))
		return;
	rs_set_add_goto(adr, c->rs, cell->address.bytes, chain, cell->order[0]->route->index);
	for (unsigned i = 0; i < 2; i++) {
		struct nx x = nx_new();

		snprintf(map, sizeof(map), "%s%c", stem, protos[i] == IPPROTO_TCP ? 't' : 'u');
		comp_set(c, map, f, NFT_SET_MAP | NFT_SET_INTERVAL, RS_TYPE_PORT, 2,
			 NFT_DATA_VERDICT, 0);
		snprintf(map + strlen(map), 2, "%c", f == V4 ? '4' : '6');
		nx_is_l4proto(&x, protos[i]);
		nx_payload(&x, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NX_R(8));
		nx_vmap(&x, map, NX_R(8));
		comp_rule(c, comp_chain(c, chain, cell->order[0]->route->index), &x, NULL,
			  cell->order[0]->route->index);
	}
	go_on = nx_new();
	nx_verdict(&go_on, NFT_GOTO, f == V4 ? CHAIN_REST_V4 : CHAIN_REST_V6);
	comp_rule(c, comp_chain(c, chain, cell->order[0]->route->index), &go_on, NULL,
		  cell->order[0]->route->index);
}

static void add_range(struct compiler *c, const struct plan_cell *cell, int f, const char *chain,
		      uint32_t place)
{
	uint16_t from = htons(cell->from), end = htons((uint16_t)(cell->to + 1));
	char stem[24] = "range_", map[RS_NAME_MAX];
	struct rs_set *s;

	if (by_address(cell))
		address_ranges(c, cell, f, stem);
	snprintf(map, sizeof(map), "%s%c", stem, cell->proto == IPPROTO_TCP ? 't' : 'u');
	s = comp_set(c, map, f, NFT_SET_MAP | NFT_SET_INTERVAL, RS_TYPE_PORT, 2, NFT_DATA_VERDICT,
		     0);
	if (!s)
		return;
	rs_set_add_goto(s, c->rs, &from, chain, place);
	if (cell->to < 65535) /* a range up to the last value has no end element */
		rs_set_add(s, c->rs, &end, NFT_SET_ELEM_INTERVAL_END, NULL, place);
}

static void add_goto(struct compiler *c, const struct plan_cell *cell, int f, const char *chain,
		     uint32_t place)
{
	struct rs_set *s;

	if (cell->to - cell->from >= SMALL_RANGE) {
		add_range(c, cell, f, chain, place);
		return;
	}
	s = key_map(c, cell, "svc", f, NFT_DATA_VERDICT, 0);
	for (uint32_t port = cell->from; port <= cell->to && s; port++) {
		struct key k = make_key(cell, f, port);

		rs_set_add_goto(s, c->rs, k.bytes, chain, place);
	}
}

static void add_client_map(struct compiler *c, const struct plan_family *pf, int f,
			   const char *name)
{
	struct rs_set_def def = { .flags = NFT_SET_MAP | NFT_SET_INTERVAL,
				  .key_type = f == V4 ? RS_TYPE_IP : RS_TYPE_IP6,
				  .key_len = addr_bytes(f),
				  .data_type = NFT_DATA_VERDICT };
	struct rs_set *map;

	snprintf(def.name, sizeof(def.name), "%s", name);
	map = ruleset_set(c->rs, &def, RS_NO_PLACE);
	for (unsigned i = 0; i < pf->n && map; i++) {
		const struct plan_interval *v = &pf->v[i];
		struct addr end = v->clients.hi;
		char chain[RS_NAME_MAX];

		comp_route_chain(c, v->winner, f, chain);
		rs_set_add_goto(map, c->rs, v->clients.lo.bytes, chain, v->winner->route->index);
		if (addr_next(&end))
			rs_set_add(map, c->rs, end.bytes, NFT_SET_ELEM_INTERVAL_END, NULL,
				   v->winner->route->index);
	}
}

/* ---- ports of user space ---- */

/* Are there connections for user space which the kernel counts? */
static bool counts_for_user(const struct compiler *c, const struct plan_cell *cell)
{
	const struct config *cfg = c->p->config;

	return cell->user && cfg &&
	       (cfg->max_connections_per_ip || cfg->connection_rate_per_minute);
}

/* Whose refusals there are: the chain that leads to user space looks for it when it refuses. */
static const char *user_chain(struct compiler *c, const struct plan_cell *cell, int f)
{
	const struct plan_route *r = plan_user_route(cell);
	const uint32_t label[4] = { comp_route_id(c, r), 0, label_instance(c->o->owner), 0 };
	struct rs_set *s = key_map(c, cell, STEM_USER, f, RS_TYPE_IP6, LABEL_BYTES);

	for (uint32_t port = cell->from; port <= cell->to && s; port++) {
		struct key k = make_key(cell, f, port);

		rs_set_add(s, c->rs, k.bytes, 0, label, r->route->index);
	}
	c->users[f] = true;
	return f == V4 ? STEM_USER "4" : STEM_USER "6";
}

/* Whom no interval of the kernel has. */
static void rule_goto_user(struct compiler *c, struct rs_chain *chain, const char *user,
			   uint32_t place)
{
	struct nx x = nx_new();

	nx_verdict(&x, NFT_GOTO, user);
	comp_rule(c, chain, &x, NULL, place);
}

/* One chain per distinct cutting of the clients, named by what it says. */
static void client_chain(struct compiler *c, const struct plan_cell *cell,
			 const struct plan_family *pf, int f, char name[RS_NAME_MAX])
{
	const char *user = counts_for_user(c, cell) ? user_chain(c, cell, f) : NULL;
	uint32_t place = pf->v[0].winner->route->index;
	struct rs_chain *chain;
	uint64_t h = 0;
	struct nx x;

	for (unsigned i = 0; i < pf->n; i++) {
		uint32_t id = comp_route_id(c, pf->v[i].winner);

		h = text_hash(&pf->v[i].clients, sizeof(pf->v[i].clients), h);
		h = text_hash(&id, sizeof(id), h);
	}
	if (user)
		h = text_hash(user, strlen(user), h);
	snprintf(name, RS_NAME_MAX, "c%016llx_%c", (unsigned long long)h, f == V4 ? '4' : '6');
	if (ruleset_find_chain(c->rs, name))
		return;
	add_client_map(c, pf, f, name);
	x = nx_new();
	nx_load_saddr(&x, nfproto(f), 8);
	nx_vmap(&x, name, NX_R(8));
	chain = comp_chain(c, name, place);
	comp_rule(c, chain, &x, "by client address", place);
	if (user)
		rule_goto_user(c, chain, user, place);
}

static void note_winner(struct compiler *c, const struct plan_route *r)
{
	size_t i = (size_t)(r - c->p->routes);

	c->translates = true;
	c->preserves |= r->preserve_source;
	if (!(c->chain_made[i] & ROUTE_NOTED))
		comp_police(c, r);
	c->chain_made[i] |= ROUTE_NOTED;
}

/* A route that takes every client of the cell. */
static void add_all(struct compiler *c, const struct plan_cell *cell, int f,
		    const struct plan_route *r)
{
	const struct plan_target *only = comp_only_target(r, f);
	char chain[RS_NAME_MAX];

	note_winner(c, r);
	if (only && !only->redirect && cell->to - cell->from < SMALL_RANGE) {
		add_plain(c, cell, f, r, only);
		return;
	}
	comp_route_ports(c, r, cell->from, cell->to);
	comp_route_chain(c, r, f, chain);
	add_goto(c, cell, f, chain, r->route->index);
}

static void add_intervals(struct compiler *c, const struct plan_cell *cell, int f,
			  const struct plan_family *pf)
{
	char chain[RS_NAME_MAX];

	for (unsigned i = 0; i < pf->n; i++) {
		note_winner(c, pf->v[i].winner);
		comp_route_ports(c, pf->v[i].winner, cell->from, cell->to);
	}
	client_chain(c, cell, pf, f, chain);
	add_goto(c, cell, f, chain, pf->v[0].winner->route->index);
}

static void comp_family(struct compiler *c, const struct plan_cell *cell, int f,
			const struct plan_family *pf)
{
	bool here = !by_address(cell) || cell->address.family == addr_family(f);
	bool user = counts_for_user(c, cell);

	if (!here || (!pf->all && !pf->n && !by_address(cell) && !user))
		return;
	c->used[f] = true;
	c->tcp[f] |= cell->proto == IPPROTO_TCP;
	if (pf->all) {
		add_all(c, cell, f, pf->all);
	} else if (pf->n) {
		add_intervals(c, cell, f, pf);
	} else if (user) {
		add_goto(c, cell, f, user_chain(c, cell, f), cell->order[0]->route->index);
	} else {
		comp_chain(c, CHAIN_USER, RS_NO_PLACE);
		add_goto(c, cell, f, CHAIN_USER, cell->order[0]->route->index);
	}
}

void comp_cell(struct compiler *c, const struct plan_cell *cell)
{
	comp_family(c, cell, V4, &cell->v4);
	comp_family(c, cell, V6, &cell->v6);
}
