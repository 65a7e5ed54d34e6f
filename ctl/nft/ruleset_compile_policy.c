/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is let in. Everything here is met by the first packet of a connection
 * only, in the nat chains, in this order: ipBlockList, ipAllowList, then - of all
 * routes - connections a minute and at once of the client, then the same two of
 * the route, then connections at once of the route. The limits of the route come
 * last: a connection that is refused behind them would hold a place for a moment,
 * and one client beyond its own limit could keep others out.
 *
 * What refuses is a chain of its own for each reason: count, then reset.
 *
 * Routes of one policy share its chain, pol<NUMBER>_4; those that are nothing more
 * than elements stay that, with one more, in pol4, that leads to it. A policy
 * bears the number of the first route that has it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset_compile_internal.h"

/* ---- refusing ---- */

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

void comp_refuse(struct compiler *c, struct nx *x, enum refusal_kind k)
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

/* ---- which routes have the same ---- */

static bool has_policy(const struct cfg_security *s)
{
	return s && (s->block.n || s->allow.n || s->max_connections || s->max_connections_per_ip ||
		     s->connection_rate_per_minute);
}

static struct policy make_policy(struct compiler *c, const struct cfg_security *s, uint32_t number)
{
	return (struct policy){ .block = comp_list(c, &s->block, false, number),
				.allow = comp_list(c, &s->allow, true, number),
				.per_minute = s->connection_rate_per_minute,
				.per_client = s->max_connections_per_ip,
				.at_once = s->max_connections };
}

static size_t policy_slot(const struct policy_index *ix, const struct policy *p)
{
	uint64_t h = text_hash(p, sizeof(*p), 0);
	size_t k = (size_t)(h ^ h >> 32) & (ix->cap - 1);

	for (; ix->v[k].used; k = (k + 1) & (ix->cap - 1))
		if (!memcmp(&ix->v[k].policy, p, sizeof(*p)))
			break;
	return k;
}

static int policies_grow(struct policy_index *ix)
{
	struct policy_index bigger = { .cap = ix->cap ? ix->cap * 2 : 64, .n = ix->n };

	if (2 * (ix->n + 1) <= ix->cap)
		return 0;
	bigger.v = calloc(bigger.cap, sizeof(*bigger.v));
	if (!bigger.v)
		return -ENOMEM;
	for (size_t i = 0; i < ix->cap; i++)
		if (ix->v[i].used)
			bigger.v[policy_slot(&bigger, &ix->v[i].policy)] = ix->v[i];
	free(ix->v);
	*ix = bigger;
	return 0;
}

static uint32_t policy_number(struct compiler *c, const struct cfg_security *s, uint32_t number)
{
	const struct policy mine = make_policy(c, s, number);
	size_t k;

	if (policies_grow(&c->policies)) {
		comp_fail(c, -ENOMEM, "out of memory");
		return NO_NUMBER;
	}
	k = policy_slot(&c->policies, &mine);
	if (!c->policies.v[k].used) {
		c->policies.v[k] = (struct numbered_policy){ mine, number, true };
		c->policies.n++;
	}
	return c->policies.v[k].number;
}

void comp_default_policy(struct compiler *c)
{
	const struct config *cfg = c->p->config;

	if (cfg && has_policy(cfg->default_security))
		policy_number(c, cfg->default_security, NUMBER_OF_DEFAULTS);
}

/* Lists are compared once a route, not once a port. */
static uint32_t route_policy(struct compiler *c, const struct plan_route *r)
{
	const struct config *cfg = c->p->config;
	uint32_t *number = &c->policy_of[r - c->p->routes];

	if (!has_policy(r->route->security))
		return NO_NUMBER;
	if (cfg && r->route->security == cfg->default_security)
		return NUMBER_OF_DEFAULTS;
	if (*number == NO_NUMBER)
		*number = policy_number(c, r->route->security, comp_route_id(c, r));
	return *number;
}

/* ---- chains ---- */

static void policy_chain(struct compiler *c, const struct plan_route *r, int f, const char *name)
{
	const struct cfg_security *s = r->route->security;
	const struct policy p = make_policy(c, s, comp_route_id(c, r));
	uint32_t place = r->route->index;
	struct rs_chain *chain = comp_chain(c, name, place);

	if (!comp_list_rules(c, chain, f, &p, s, place))
		return;
	comp_shared_limits(c, chain, f, place);
	comp_route_limits(c, chain, f, &p, place);
}

void comp_jump_policy(struct compiler *c, struct rs_chain *chain, int f, const struct plan_route *r)
{
	uint32_t number = route_policy(c, r);
	char name[RS_NAME_MAX];
	struct nx x;

	if (number == NO_NUMBER) {
		comp_shared_limits(c, chain, f, r->route->index);
		return;
	}
	snprintf(name, sizeof(name), "pol%u_%c", number, f == V4 ? '4' : '6');
	x = nx_new();
	nx_verdict(&x, NFT_JUMP, name);
	comp_rule(c, chain, &x, NULL, r->route->index);
	if (!ruleset_find_chain(c->rs, name))
		policy_chain(c, r, f, name);
}

bool comp_plain_policy(struct compiler *c, const struct plan_route *r, int f, bool keyed,
		       char name[RS_NAME_MAX])
{
	uint32_t number = route_policy(c, r);
	struct rs_chain *chain;

	if (number == NO_NUMBER)
		return false;
	snprintf(name, RS_NAME_MAX, "plain%s%u_%c", keyed ? "a" : "", number, f == V4 ? '4' : '6');
	if (ruleset_find_chain(c->rs, name))
		return true;
	chain = comp_chain(c, name, r->route->index);
	if (!chain)
		return true;
	comp_jump_policy(c, chain, f, r);
	comp_plain_end(c, chain, f, keyed);
	return true;
}
