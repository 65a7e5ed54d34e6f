/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections a minute and connections at once, counted by the kernel in dynamic
 * sets whose elements come with the first connection and go with the last (or
 * RATE_TIMEOUT_MS after it). A set is named by its limit: with another limit it is
 * another set, which starts to count anew, because an element keeps the limit it
 * was made with. The rules hold no state. So an apply may write chains anew, and
 * as long as the limit is the same nobody who is connected is forgotten.
 *
 * Of IPv6, a client is a /64. What a client shares over all routes is counted in
 * one chain, lim4 / lim6; what belongs to a route has the route's number from
 * the flow's label in its key, so that routes of one policy share a chain.
 *
 * A full set lets in: a flood of forged sources must not lock everybody out.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/nft/ruleset_compile_internal.h"

#define CLIENTS_MAX RS_SIZE_FREE /* clients that a limit tells apart */
/* Routes with the same maxConnections: a set of another size starts to count anew. */
#define ROUTES_FEW  RS_SIZE_FREE
#define ROUTES_MANY (16 * RS_SIZE_FREE)
/* Longer than any bucket takes to fill again. */
#define RATE_TIMEOUT_MS 120000u

/* ---- keys ---- */

/* The client into R8...: one address, or the /64 of an IPv6 one. Returns the next free register. */
static unsigned load_client(struct nx *x, int f)
{
	const uint8_t half[16] = { 255, 255, 255, 255, 255, 255, 255, 255 }, zero[16] = { 0 };

	nx_load_saddr(x, nfproto(f), 8);
	if (f == V6)
		nx_bitwise(x, NX_R(8), NX_R(8), sizeof(half), half, zero);
	return 8 + addr_bytes(f) / 4;
}

/* Of the label only the route: the same whatever the target. */
static void load_route(struct nx *x, unsigned r)
{
	const uint32_t mask[4] = { UINT32_MAX, 0, 0, 0 }, zero[4] = { 0 };

	nx_ct(x, NFT_CT_LABELS, NX_R(r));
	nx_bitwise(x, NX_R(r), NX_R(r), LABEL_BYTES, mask, zero);
}

static const char *dynamic_set(struct compiler *c, const struct rs_set_def *def)
{
	struct rs_set *s = ruleset_set(c->rs, def, RS_NO_PLACE);

	if (!s)
		comp_fail(c, -ENOMEM, "out of memory");
	return s ? s->def.name : "";
}

/* "rate300_4": clients. "route_rate40_4": client and route. */
static const char *client_set(struct compiler *c, const char *stem, uint32_t limit, int f,
			      bool of_route, uint32_t flags)
{
	uint32_t ip = f == V4 ? RS_TYPE_IP : RS_TYPE_IP6;
	struct rs_set_def def = { .flags = NFT_SET_EVAL | flags,
				  .key_type = of_route ? RS_CONCAT(ip, RS_TYPE_IP6) : ip,
				  .key_len = addr_bytes(f) + (of_route ? LABEL_BYTES : 0),
				  .size = CLIENTS_MAX,
				  .timeout_ms = flags & NFT_SET_TIMEOUT ? RATE_TIMEOUT_MS : 0 };

	snprintf(def.name, sizeof(def.name), "%s%s%u_%c", of_route ? "route_" : "", stem, limit,
		 f == V4 ? '4' : '6');
	return dynamic_set(c, &def);
}

/* ---- rules ---- */

/* Whose connections a rule counts. */
enum whose { OF_ROUTE, OF_ALL, OF_USER };

static struct rs_set *trusted_set(struct compiler *c, int f)
{
	const struct config *cfg = c->p->config;

	return cfg ? comp_address_set(c, f == V4 ? "proxies4" : "proxies6", &cfg->proxy_ips, f,
				      RS_NO_PLACE)
		   : NULL;
}

/* Goes on for the peers in proxyIPs, or for everybody else: each stands for many clients. */
static void is_trusted(struct nx *x, int f, const struct rs_set *trusted, bool invert)
{
	nx_load_saddr(x, nfproto(f), 8);
	nx_lookup_set(x, trusted->def.name, NX_R(8), invert);
}

/* A rule that ends with a look at the client's own element; the key is at R8. */
static struct nx client_rule(struct compiler *c, int f, bool of_route)
{
	const struct rs_set *trusted = of_route ? trusted_set(c, f) : NULL;
	struct nx x = nx_new();
	unsigned next;

	comp_is_family(&x, f);
	if (trusted)
		is_trusted(&x, f, trusted, true);
	next = load_client(&x, f);
	if (of_route)
		load_route(&x, next);
	return x;
}

/* user_ip4: gives what is refused the label of its port. */
static void user_refusal(struct nx *x, int f, enum refusal_kind k)
{
	char name[RS_NAME_MAX];

	snprintf(name, sizeof(name), STEM_USER "_%s%c", k == REFUSED_RATE ? "rate" : "ip",
		 f == V4 ? '4' : '6');
	nx_verdict(x, NFT_GOTO, name);
}

static void refuse(struct compiler *c, struct nx *x, int f, enum whose whose, enum refusal_kind k)
{
	if (whose == OF_USER)
		user_refusal(x, f, k);
	else
		comp_refuse(c, x, k);
}

static void rule_rate(struct compiler *c, struct rs_chain *chain, int f, enum whose whose,
		      uint32_t per_minute, uint32_t place)
{
	bool of_route = whose == OF_ROUTE;
	const char *set = client_set(c, "rate", per_minute, f, of_route, NFT_SET_TIMEOUT);
	struct nx x = client_rule(c, f, of_route);

	nx_dynset_rate_over(&x, set, NX_R(8), per_minute, RATE_TIMEOUT_MS);
	refuse(c, &x, f, whose, REFUSED_RATE);
	comp_rule(c, chain, &x, NULL, place);
}

static void rule_per_client(struct compiler *c, struct rs_chain *chain, int f, enum whose whose,
			    uint32_t max, uint32_t place)
{
	bool of_route = whose == OF_ROUTE;
	const char *set = client_set(c, "conn", max, f, of_route, 0);
	struct nx x = client_rule(c, f, of_route);

	nx_dynset_connlimit_over(&x, set, NX_R(8), max);
	refuse(c, &x, f, whose, REFUSED_IP);
	comp_rule(c, chain, &x, NULL, place);
}

static uint32_t routes_max(const struct compiler *c)
{
	return c->p->n_routes <= ROUTES_FEW / 2 ? ROUTES_FEW : ROUTES_MANY;
}

/* Of both families together. */
static void rule_at_once(struct compiler *c, struct rs_chain *chain, uint32_t max, uint32_t place)
{
	struct rs_set_def def = { .flags = NFT_SET_EVAL,
				  .key_type = RS_TYPE_IP6,
				  .key_len = LABEL_BYTES,
				  .size = routes_max(c) };
	struct nx x = nx_new();

	snprintf(def.name, sizeof(def.name), "route_max%u", max);
	load_route(&x, 8);
	nx_dynset_connlimit_over(&x, dynamic_set(c, &def), NX_R(8), max);
	comp_refuse(c, &x, REFUSED_ROUTE);
	comp_rule(c, chain, &x, "maxConnections", place);
}

void comp_route_limits(struct compiler *c, struct rs_chain *chain, int f, const struct policy *p,
		       uint32_t place)
{
	if (p->per_minute)
		rule_rate(c, chain, f, OF_ROUTE, p->per_minute, place);
	if (p->per_client)
		rule_per_client(c, chain, f, OF_ROUTE, p->per_client, place);
	if (p->at_once)
		rule_at_once(c, chain, p->at_once, place);
}

/* ---- what all routes share ---- */

static void rule_trusted_return(struct compiler *c, struct rs_chain *chain, int f)
{
	const struct rs_set *trusted = trusted_set(c, f);
	struct nx x;

	if (!trusted)
		return;
	x = nx_new();
	comp_is_family(&x, f);
	is_trusted(&x, f, trusted, false);
	nx_verdict(&x, NFT_RETURN, NULL);
	comp_rule(c, chain, &x, "proxyIPs", RS_NO_PLACE);
}

static void shared_rules(struct compiler *c, struct rs_chain *chain, int f, enum whose whose)
{
	const struct config *cfg = c->p->config;

	rule_trusted_return(c, chain, f);
	if (cfg->connection_rate_per_minute)
		rule_rate(c, chain, f, whose, cfg->connection_rate_per_minute, RS_NO_PLACE);
	if (cfg->max_connections_per_ip)
		rule_per_client(c, chain, f, whose, cfg->max_connections_per_ip, RS_NO_PLACE);
}

void comp_shared_limits(struct compiler *c, struct rs_chain *chain, int f, uint32_t place)
{
	const struct config *cfg = c->p->config;
	const char *name = f == V4 ? "lim4" : "lim6";
	struct nx x;

	if (!cfg || (!cfg->max_connections_per_ip && !cfg->connection_rate_per_minute))
		return;
	x = nx_new();
	nx_verdict(&x, NFT_JUMP, name);
	comp_rule(c, chain, &x, NULL, place);
	if (!ruleset_find_chain(c->rs, name))
		shared_rules(c, comp_chain(c, name, RS_NO_PLACE), f, OF_ALL);
}

/* ---- ports of user space ---- */

static void rule_refuse_by(struct compiler *c, struct rs_chain *chain, int f, bool keyed,
			   enum refusal_kind k)
{
	char map[RS_NAME_MAX];
	struct nx x;

	snprintf(map, sizeof(map), STEM_USER "%s%c", keyed ? "a" : "", f == V4 ? '4' : '6');
	if (!ruleset_find_set(c->rs, map))
		return;
	x = nx_new();
	comp_is_family(&x, f);
	comp_load_key(&x, f, keyed);
	nx_lookup_map(&x, map, NX_R(8), NX_R(0));
	nx_ct_set(&x, NFT_CT_LABELS, NX_R(0));
	comp_refuse(c, &x, k);
	comp_rule(c, chain, &x, NULL, RS_NO_PLACE);
}

/* An address that has keys of its own has all of its ports among them. */
static void user_refusals(struct compiler *c, int f, const char *stem, enum refusal_kind k)
{
	struct rs_chain *chain;
	char name[RS_NAME_MAX];

	snprintf(name, sizeof(name), STEM_USER "_%s%c", stem, f == V4 ? '4' : '6');
	chain = comp_chain(c, name, RS_NO_PLACE);
	rule_refuse_by(c, chain, f, true, k);
	rule_refuse_by(c, chain, f, false, k);
}

void comp_user_limits(struct compiler *c, int f)
{
	const struct config *cfg = c->p->config;

	shared_rules(c, comp_chain(c, f == V4 ? STEM_USER "4" : STEM_USER "6", RS_NO_PLACE), f,
		     OF_USER);
	if (cfg->connection_rate_per_minute)
		user_refusals(c, f, "rate", REFUSED_RATE);
	if (cfg->max_connections_per_ip)
		user_refusals(c, f, "ip", REFUSED_IP);
}
