/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is let in. Everything here is met by the first packet of a connection
 * only, in the nat chains, in this order: ipBlockList, ipAllowList, connections
 * a minute, connections at once of the client, connections at once of the route.
 * What refuses is a chain of its own for each reason: count, then reset.
 *
 * Limits that a client shares over all routes stand in one chain, lim4 / lim6. A
 * set is named by its limit: with another limit it is another set, which starts
 * to count anew, because an element keeps the limit it was made with. Connections
 * at once of a route stand in a chain of their own, max<ID>, so that nothing else
 * which changes in the route makes the kernel forget who is connected.
 *
 * A full set lets in: a flood of forged sources must not lock everybody out.
 */
#include <errno.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset_compile_internal.h"

#define CLIENTS_MAX 65536u /* clients that a limit tells apart */
/* Longer than any bucket takes to fill again. */
#define RATE_TIMEOUT_MS 120000u

static const struct {
	const char *set, *chain, *reason, *comment;
} refusals[N_REFUSALS] = {
	[REFUSED_LIST] = { "refused_list", "no_list", "route_ip_blocked",
			   "ipBlockList, ipAllowList" },
	[REFUSED_RATE] = { "refused_rate", "no_rate", "rate_limit", "too many in a minute" },
	[REFUSED_IP] = { "refused_ip", "no_ip", "ip_limit", "too many of one client" },
	[REFUSED_ROUTE] = { "refused_route", "no_route", "route_limit", "too many at once" },
};

const char *refusal_set_name(enum refusal_kind k)
{
	return refusals[k].set;
}

const char *refusal_reason(enum refusal_kind k)
{
	return refusals[k].reason;
}

static void refuse(struct compiler *c, struct nx *x, enum refusal_kind k)
{
	c->refuses[k] = true;
	nx_verdict(x, NFT_GOTO, refusals[k].chain);
}

static void refusal_chain(struct compiler *c, enum refusal_kind k)
{
	struct rs_chain *chain = comp_chain(c, refusals[k].chain, RS_NO_PLACE);
	struct nx x = nx_new();

	nx_load_label(&x);
	nx_dynset_counter(&x, refusals[k].set, NX_R(0));
	comp_rule(c, chain, &x, refusals[k].comment, RS_NO_PLACE);
	x = nx_new();
	nx_is_l4proto(&x, IPPROTO_TCP);
	nx_reject_tcp_reset(&x);
	comp_rule(c, chain, &x, NULL, RS_NO_PLACE);
	x = nx_new();
	nx_reject_port_unreach(&x);
	comp_rule(c, chain, &x, NULL, RS_NO_PLACE);
}

void comp_refusals(struct compiler *c)
{
	for (int k = 0; k < N_REFUSALS; k++)
		if (c->refuses[k])
			refusal_chain(c, (enum refusal_kind)k);
}

/* ---- limits ---- */

/* The client into R8...: one address, or the /64 of an IPv6 one. Returns the next free register. */
static unsigned load_client(struct nx *x, int f)
{
	const uint8_t half[16] = { 255, 255, 255, 255, 255, 255, 255, 255 }, zero[16] = { 0 };

	nx_load_saddr(x, nfproto(f), 8);
	if (f == V6)
		nx_bitwise(x, NX_R(8), NX_R(8), sizeof(half), half, zero);
	return 8 + addr_bytes(f) / 4;
}

/* "rate300_4": clients, or (of one route) clients and route. */
static const char *client_set(struct compiler *c, const char *stem, uint32_t limit, int f,
			      bool of_route, uint32_t flags)
{
	uint32_t ip = f == V4 ? RS_TYPE_IP : RS_TYPE_IP6;
	struct rs_set_def def = { .flags = NFT_SET_EVAL | flags,
				  .key_type = of_route ? RS_CONCAT(ip, RS_TYPE_MARK) : ip,
				  .key_len = addr_bytes(f) + (of_route ? 4 : 0),
				  .size = CLIENTS_MAX,
				  .timeout_ms = flags & NFT_SET_TIMEOUT ? RATE_TIMEOUT_MS : 0 };
	struct rs_set *s;

	snprintf(def.name, sizeof(def.name), "%s%s%u_%c", of_route ? "route_" : "", stem, limit,
		 f == V4 ? '4' : '6');
	s = ruleset_set(c->rs, &def, RS_NO_PLACE);
	if (!s)
		comp_fail(c, -ENOMEM, "out of memory");
	return s ? s->def.name : "";
}

/* r NULL: over all routes. */
static void rule_rate(struct compiler *c, struct rs_chain *chain, int f, const struct plan_route *r,
		      uint32_t per_minute)
{
	const char *set = client_set(c, "rate", per_minute, f, r != NULL, NFT_SET_TIMEOUT);
	uint32_t id = r ? comp_route_id(c, r) : 0;
	struct nx x = nx_new();
	unsigned next;

	comp_is_family(&x, f);
	next = load_client(&x, f);
	if (r)
		nx_imm(&x, NX_R(next), &id, sizeof(id));
	nx_dynset_rate_over(&x, set, NX_R(8), per_minute, RATE_TIMEOUT_MS);
	refuse(c, &x, REFUSED_RATE);
	comp_rule(c, chain, &x, NULL, r ? r->route->index : RS_NO_PLACE);
}

static void rule_per_client(struct compiler *c, struct rs_chain *chain, int f,
			    const struct plan_route *r, uint32_t max)
{
	const char *set = client_set(c, "conn", max, f, r != NULL, 0);
	uint32_t id = r ? comp_route_id(c, r) : 0;
	struct nx x = nx_new();
	unsigned next;

	comp_is_family(&x, f);
	next = load_client(&x, f);
	if (r)
		nx_imm(&x, NX_R(next), &id, sizeof(id));
	nx_dynset_connlimit_over(&x, set, NX_R(8), max);
	refuse(c, &x, REFUSED_IP);
	comp_rule(c, chain, &x, NULL, r ? r->route->index : RS_NO_PLACE);
}

/* The peers in proxyIPs stand for many clients. */
static void rule_trusted(struct compiler *c, struct rs_chain *chain, int f);

static bool has_limits(const struct compiler *c)
{
	const struct config *cfg = c->p->config;

	return cfg && (cfg->max_connections_per_ip || cfg->connection_rate_per_minute);
}

void comp_jump_limits(struct compiler *c, struct rs_chain *chain, int f, uint32_t place)
{
	const struct config *cfg = c->p->config;
	const char *name = f == V4 ? "lim4" : "lim6";
	struct rs_chain *lim;
	struct nx x;

	if (!has_limits(c))
		return;
	x = nx_new();
	nx_verdict(&x, NFT_JUMP, name);
	comp_rule(c, chain, &x, NULL, place);
	if (ruleset_find_chain(c->rs, name))
		return;
	lim = comp_chain(c, name, RS_NO_PLACE);
	rule_trusted(c, lim, f);
	if (cfg->connection_rate_per_minute)
		rule_rate(c, lim, f, NULL, cfg->connection_rate_per_minute);
	if (cfg->max_connections_per_ip)
		rule_per_client(c, lim, f, NULL, cfg->max_connections_per_ip);
}

static void rule_route_max(struct compiler *c, const struct plan_route *r, struct rs_chain *chain)
{
	struct rs_chain *max;
	char name[RS_NAME_MAX];
	struct nx x = nx_new();

	snprintf(name, sizeof(name), "max%u", comp_route_id(c, r));
	nx_verdict(&x, NFT_JUMP, name);
	comp_rule(c, chain, &x, NULL, r->route->index);
	if (ruleset_find_chain(c->rs, name))
		return;
	max = comp_chain(c, name, r->route->index);
	x = nx_new();
	nx_connlimit_over(&x, r->route->security->max_connections);
	refuse(c, &x, REFUSED_ROUTE);
	comp_rule(c, max, &x, "maxConnections", r->route->index);
}

/* ---- lists ---- */

static uint64_t list_hash(const struct addr_set *list, bool allow)
{
	return text_hash(list->v, list->n * sizeof(*list->v), allow);
}

static size_t list_slot(const struct list_index *ix, const struct shared_list *l)
{
	size_t k = (size_t)(l->hash ^ l->hash >> 32) & (ix->cap - 1);
	const struct shared_list *o;

	for (; (o = &ix->v[k])->list; k = (k + 1) & (ix->cap - 1))
		if (o->hash == l->hash && o->allow == l->allow && addr_set_equal(o->list, l->list))
			break;
	return k;
}

static int lists_grow(struct list_index *ix)
{
	struct list_index bigger = { .cap = ix->cap ? ix->cap * 2 : 64, .n = ix->n };

	if (2 * (ix->n + 1) <= ix->cap)
		return 0;
	bigger.v = calloc(bigger.cap, sizeof(*bigger.v));
	if (!bigger.v)
		return -ENOMEM;
	for (size_t i = 0; i < ix->cap; i++)
		if (ix->v[i].list)
			bigger.v[list_slot(&bigger, &ix->v[i])] = ix->v[i];
	free(ix->v);
	*ix = bigger;
	return 0;
}

/* Whose number an equal list bears already, or else id's. */
static uint32_t list_owner(struct compiler *c, const struct addr_set *list, bool allow, uint32_t id)
{
	const struct shared_list mine = { list, list_hash(list, allow), id, allow };
	size_t k;

	if (lists_grow(&c->lists)) {
		comp_fail(c, -ENOMEM, "out of memory");
		return id;
	}
	k = list_slot(&c->lists, &mine);
	if (!c->lists.v[k].list) {
		c->lists.v[k] = mine;
		c->lists.n++;
	}
	return c->lists.v[k].id;
}

/* The list's addresses of one family as an interval set; NULL when it has none. */
static struct rs_set *list_set(struct compiler *c, const char *name, const struct addr_set *list,
			       int f, uint32_t place)
{
	struct rs_set_def def = { .flags = NFT_SET_INTERVAL,
				  .key_type = f == V4 ? RS_TYPE_IP : RS_TYPE_IP6,
				  .key_len = addr_bytes(f) };
	struct rs_set *s;

	if (!addr_set_has_family(list, addr_family(f)))
		return NULL;
	memcpy(def.name, name, strlen(name) + 1);
	s = ruleset_find_set(c->rs, name);
	if (s)
		return s;
	s = ruleset_set(c->rs, &def, place);
	if (!s)
		comp_fail(c, -ENOMEM, "out of memory");
	for (size_t i = 0; i < list->n && s; i++) {
		struct addr end = list->v[i].hi;

		if (end.family != addr_family(f))
			continue;
		rs_set_add(s, c->rs, list->v[i].lo.bytes, 0, NULL, place);
		if (addr_next(&end))
			rs_set_add(s, c->rs, end.bytes, NFT_SET_ELEM_INTERVAL_END, NULL, place);
	}
	return s;
}

static struct rs_set *route_list(struct compiler *c, const struct plan_route *r, bool allow, int f)
{
	const struct cfg_security *s = r->route->security;
	const struct addr_set *list = allow ? &s->allow : &s->block;
	char name[RS_NAME_MAX];

	snprintf(name, sizeof(name), "%s%u_%c", allow ? "allow" : "block",
		 list_owner(c, list, allow, comp_route_id(c, r)), f == V4 ? '4' : '6');
	return list_set(c, name, list, f, r->route->index);
}

static void rule_in_list(struct compiler *c, struct rs_chain *chain, int f, const struct rs_set *s,
			 bool invert, const struct plan_route *r)
{
	struct nx x = nx_new();

	comp_is_family(&x, f);
	nx_load_saddr(&x, nfproto(f), 8);
	nx_lookup_set(&x, s->def.name, NX_R(8), invert);
	refuse(c, &x, REFUSED_LIST);
	comp_rule(c, chain, &x, invert ? "ipAllowList" : "ipBlockList", r->route->index);
}

/* False when nobody of that family passes. */
static bool rules_of_lists(struct compiler *c, const struct plan_route *r, int f,
			   struct rs_chain *chain)
{
	const struct cfg_security *s = r->route->security;
	const struct rs_set *set;
	struct nx x;

	set = s->block.n ? route_list(c, r, false, f) : NULL;
	if (set)
		rule_in_list(c, chain, f, set, false, r);
	set = s->allow.n ? route_list(c, r, true, f) : NULL;
	if (set)
		rule_in_list(c, chain, f, set, true, r);
	if (set || !s->allow.n)
		return true;
	x = nx_new();
	refuse(c, &x, REFUSED_LIST);
	comp_rule(c, chain, &x, "ipAllowList has nobody of this family", r->route->index);
	return false;
}

static void rule_trusted(struct compiler *c, struct rs_chain *chain, int f)
{
	const struct rs_set *s = list_set(c, f == V4 ? "proxies4" : "proxies6",
					  &c->p->config->proxy_ips, f, RS_NO_PLACE);
	struct nx x;

	if (!s)
		return;
	x = nx_new();
	comp_is_family(&x, f);
	nx_load_saddr(&x, nfproto(f), 8);
	nx_lookup_set(&x, s->def.name, NX_R(8), false);
	nx_verdict(&x, NFT_RETURN, NULL);
	comp_rule(c, chain, &x, "proxyIPs", RS_NO_PLACE);
}

/* ---- a route ---- */

bool comp_has_policy(const struct plan_route *r)
{
	const struct cfg_security *s = r->route->security;

	return s && (s->block.n || s->allow.n || s->max_connections || s->max_connections_per_ip ||
		     s->connection_rate_per_minute);
}

bool comp_policy_rules(struct compiler *c, const struct plan_route *r, int f,
		       struct rs_chain *chain)
{
	const struct cfg_security *s = r->route->security;

	if (comp_has_policy(r) && !rules_of_lists(c, r, f, chain))
		return false;
	comp_jump_limits(c, chain, f, r->route->index);
	if (!s)
		return true;
	if (s->connection_rate_per_minute)
		rule_rate(c, chain, f, r, s->connection_rate_per_minute);
	if (s->max_connections_per_ip)
		rule_per_client(c, chain, f, r, s->max_connections_per_ip);
	if (s->max_connections)
		rule_route_max(c, r, chain);
	return true;
}
