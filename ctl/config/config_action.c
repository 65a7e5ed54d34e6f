// SPDX-License-Identifier: GPL-2.0-or-later
/* action: its type, the engine, the PROXY protocol, the kernel tier's options. */
#include "ctl/config/config_parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_NAME_MAX_BYTES 64
#define MAX_RATE_MIN_BITS    8000
/* The kernel counts nanoseconds times bytes a second in 64 bits. */
#define MAX_RATE_MAX_BITS 140000000000ull

static int as_enum(struct parse *p, const struct key *k, const struct doc_node *n, int *out)
{
	struct key e = *k;
	struct {
		int value;
	} slot = { 0 };
	int r;

	e.type = KEY_ENUM;
	e.def = NULL;
	e.off = 0;
	e.loc_off = e.has_off = 0;
	r = parse_value(p, p->object, &e, n, &slot);
	*out = slot.value;
	return r;
}

int parse_key_action_type(struct parse *p, const struct key *k, const struct doc_node *n,
			  void *base)
{
	struct cfg_action *a = base;
	int v;

	if (as_enum(p, k, n, &v))
		return -EINVAL;
	a->type = v ? ACTION_SOCKET_HANDLER : ACTION_FORWARD;
	return 0;
}

int parse_key_engine(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	static const enum cfg_engine engines[] = { ENGINE_AUTO,	 ENGINE_AUTO,	 ENGINE_NFTABLES,
						   ENGINE_RELAY, ENGINE_SOCKMAP, ENGINE_PROXY };
	struct cfg_action *a = base;
	int v;

	if (as_enum(p, k, n, &v))
		return -EINVAL;
	a->engine = engines[v];
	if (a->engine == ENGINE_RELAY)
		parse_need(p, TIER_RELAY, "forwardingEngine \"relay\"", NEED_TCP_ONLY,
			   parse_loc(p, n), NULL);
	if (a->engine == ENGINE_SOCKMAP)
		parse_need(p, TIER_RELAY, "forwardingEngine \"sockmap\"", NEED_TCP_ONLY,
			   parse_loc(p, n), NULL);
	if (a->engine == ENGINE_PROXY)
		parse_need(p, TIER_PROXY, "forwardingEngine \"proxy\"", NEED_TCP_ONLY,
			   parse_loc(p, n), NULL);
	return 0;
}

/* --- the PROXY protocol -------------------------------------------------------- */

static int proxy_version(struct parse *p, const struct doc_node *n, int *out)
{
	if (n->type == DOC_BOOL)
		*out = n->boolean;
	else if (n->type == DOC_INT && (n->integer == 1 || n->integer == 2))
		*out = (int)n->integer;
	else
		return parse_expected(p, n, "true, false, 1 or 2");
	return 0;
}

int parse_key_proxy_protocol(struct parse *p, const struct key *k, const struct doc_node *n,
			     void *base)
{
	struct cfg_action *a = base;

	(void)k;
	return proxy_version(p, n, &a->send_proxy_protocol);
}

int parse_key_target_proxy_protocol(struct parse *p, const struct key *k, const struct doc_node *n,
				    void *base)
{
	struct cfg_extra *x = parse_extra(p, &key_target, base);

	(void)k;
	if (!x || proxy_version(p, n, &x->send_proxy_protocol))
		return -EINVAL;
	x->has_send_proxy_protocol = true;
	if (x->send_proxy_protocol)
		parse_need(p, TIER_RELAY, "PROXY protocol to the target", NEED_TCP_ONLY,
			   parse_loc(p, n), NULL);
	return 0;
}

int parse_key_proxy_version(struct parse *p, const struct key *k, const struct doc_node *n,
			    void *base)
{
	(void)k;
	(void)base; /* taken up by finish_action(), when sendProxyProtocol is known */
	if (n->type == DOC_INT && (n->integer == 1 || n->integer == 2))
		return 0;
	return parse_expected(p, n, "1 or 2");
}

/* What the route does not say is taken from the top level. */
static void settle_send(struct parse *p, const struct doc_node *n, struct cfg_action *a)
{
	const struct doc_node *own = doc_find(n, "sendProxyProtocol");
	const struct doc_node *version = doc_find(n, "proxyProtocolVersion");
	bool inherits =
		!own && a->type == ACTION_FORWARD && p->route->match.transport != TRANSPORT_UDP;

	if (inherits)
		a->send_proxy_protocol = p->c->send_proxy_protocol_version;
	if (version && a->send_proxy_protocol)
		a->send_proxy_protocol = (int)version->integer;
	else if (version)
		parse_warn(p, parse_loc(p, version), "proxyProtocolVersion", NULL,
			   "has no effect without sendProxyProtocol");
	if (!a->send_proxy_protocol)
		return;
	if (own) {
		parse_need(p, TIER_RELAY, "PROXY protocol to the target", NEED_TCP_ONLY,
			   parse_loc(p, own), "sendProxyProtocol");
		return;
	}
	/* The key that says so stands at the top. */
	parse_need_at_top(p, TIER_RELAY, "PROXY protocol to the target",
			  p->c->send_proxy_protocol_loc, "sendProxyProtocol");
}

static void settle_accept(struct parse *p, const struct doc_node *n, struct cfg_action *a)
{
	const struct doc_node *own = doc_find(n, "acceptProxyProtocol");

	if (!own)
		a->accept_proxy_protocol =
			p->c->accept_proxy_protocol && p->route->match.transport != TRANSPORT_UDP;
	else if (a->accept_proxy_protocol && !p->c->proxy_ips.n)
		parse_error(p, parse_loc(p, own), "acceptProxyProtocol",
			    "name the peers to trust in proxyIPs at the top level",
			    "needs proxyIPs: nobody is trusted to announce addresses");
}

/* --- nftables ---------------------------------------------------------------------- */

int parse_key_nft_protocol(struct parse *p, const struct key *k, const struct doc_node *n,
			   void *base)
{
	int v;

	(void)base;
	if (as_enum(p, k, n, &v))
		return -EINVAL;
	p->node_nft_protocol = n;
	p->nft_protocol = (enum cfg_transport)v;
	return 0;
}

static bool parse_rate(const char *s, double *bits)
{
	static const struct {
		const char *unit;
		double factor;
	} units[] = { { "bps", 1 },    { "bit", 1 },	{ "kbps", 1e3 }, { "kbit", 1e3 },
		      { "mbps", 1e6 }, { "mbit", 1e6 }, { "gbps", 1e9 }, { "gbit", 1e9 } };
	char *unit;

	if (!isdigit((unsigned char)*s))
		return false;
	*bits = strtod(s, &unit);
	while (*unit == ' ')
		unit++;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcasecmp(unit, units[i].unit)) {
			*bits *= units[i].factor;
			return true;
		}
	return false;
}

int parse_key_max_rate(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_nftables *f = base;
	double bits = 0;

	(void)k;
	if (n->type == DOC_INT && n->integer >= 0)
		bits = (double)n->integer;
	else if (n->type != DOC_STRING || !parse_rate(n->string, &bits))
		return parse_expected(p, n, "a rate such as \"10mbps\" (bps, kbps, mbps, gbps)");
	if (bits < MAX_RATE_MIN_BITS || bits > (double)MAX_RATE_MAX_BITS)
		return parse_expected(p, n, "a rate from 8kbps to 140gbps");
	f->max_rate_bits = (uint64_t)bits;
	return 0;
}

static bool table_name_is_valid(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	for (const char *c = s; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("_.-", *c))
			return false;
	return strlen(s) <= TABLE_NAME_MAX_BYTES;
}

int parse_key_table_name(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_nftables *f = base;
	struct config *c = p->c;
	char place[160];

	if (parse_text(p, k, n, &f->table_name))
		return -EINVAL;
	if (!table_name_is_valid(n->string))
		return parse_expected(p, n,
				      "a table name of at most 64 letters, digits, \"_\", \".\" or "
				      "\"-\" that begins with a letter");
	if (!c->table_name) {
		c->table_name = f->table_name;
		c->table_name_loc = parse_loc(p, n);
		return 0;
	}
	if (!strcmp(c->table_name, n->string))
		return 0;
	return parse_error(p, parse_loc(p, n), NULL, "all routes live in one table: name it once",
			   "\"%s\" differs from \"%s\" at %s", n->string, c->table_name,
			   parse_place(p, c->table_name_loc, place));
}

/* What SmartProxy can turn off and the kernel tier has for all routes. */
void finish_nftables(struct parse *p, const struct doc_node *n, void *base)
{
	static const struct {
		const char *key, *why;
	} always[] = {
		{ "useIPSets", "lists are always sets of the kernel" },
		{ "useAdvancedNAT", "connections are always tracked" },
	};

	(void)base;
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
		const struct doc_node *v = doc_find(n, always[i].key);

		if (v && v->type == DOC_BOOL && !v->boolean)
			parse_warn(p, parse_key_loc(p, v), always[i].key, NULL,
				   "false has no effect: %s", always[i].why);
	}
}

/* --- the whole action ------------------------------------------------------------------ */

/* Keys that belong to one type only. */
static void check_type_keys(struct parse *p, const struct doc_node *n, const char *type)
{
	static const struct {
		const char *key, *type;
		bool required;
	} rules[] = { { "socketHandler", "socket-handler", true },
		      { "redirect", "redirect", true },
		      { "block", "block", false },
		      { "static", "static", true } };

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct doc_node *v = doc_find(n, rules[i].key);
		bool is_type = !strcmp(type, rules[i].type);

		if (v && !is_type)
			parse_error(p, parse_key_loc(p, v), rules[i].key, NULL,
				    "goes with type \"%s\", not \"%s\"", rules[i].type, type);
		if (!v && is_type && rules[i].required)
			parse_error(p, parse_loc(p, n), NULL, NULL,
				    "type \"%s\" needs the key \"%s\"", type, rules[i].key);
	}
}

static void check_targets(struct parse *p, const struct doc_node *n, const struct cfg_action *a)
{
	const struct cfg_advanced *adv = a->extra ? a->extra->advanced : NULL;

	if (a->type == ACTION_FORWARD && !a->n_targets &&
	    !(adv && (adv->static_files || adv->test_response)))
		parse_error(p, parse_loc(p, n), NULL, NULL,
			    "type \"forward\" needs the key \"targets\"");
	if (a->type == ACTION_SOCKET_HANDLER && a->n_targets)
		parse_warn(p, parse_loc(p, n), NULL, NULL,
			   "targets have no effect with a socket handler");
}

static void settle_balancing(struct parse *p, const struct doc_node *n, struct cfg_action *a)
{
	const struct cfg_load_balancing *lb = a->extra ? a->extra->load_balancing : NULL;

	(void)n;
	if (!lb)
		return;
	a->algorithm = lb->algorithm;
	a->algorithm_loc = lb->algorithm_loc;
	a->health_check = lb->health_check;
	if (lb->algorithm == LB_LEAST_CONNECTIONS)
		parse_need(p, TIER_RELAY, "least-connections balancing", 0, lb->algorithm_loc,
			   "loadBalancing.algorithm");
}

void finish_action(struct parse *p, const struct doc_node *n, void *base)
{
	struct cfg_action *a = base;
	const char *type = doc_find(n, "type")->string;

	check_type_keys(p, n, type);
	if (!strcmp(type, "block") && (!a->extra || !a->extra->handler)) {
		struct cfg_extra *x = parse_extra(p, &key_action, a);
		struct cfg_handler *h = parse_object_new(p, &key_handler);

		if (!x || !h)
			return;
		h->kind = HANDLER_BLOCK;
		h->loc = parse_loc(p, n);
		x->handler = h;
		parse_need(p, TIER_PROXY, "socket handler block", NEED_PLAINTEXT,
			   parse_loc(p, doc_find(n, "type")), "type");
	}
	check_targets(p, n, a);
	settle_balancing(p, n, a);
}

void settle_action(struct parse *p, const struct doc_node *n, struct cfg_action *a)
{
	settle_send(p, n, a);
	settle_accept(p, n, a);
}

void finish_health(struct parse *p, const struct doc_node *n, void *base)
{
	struct cfg_health_check *h = base;
	const struct doc_node *t = doc_find(n, "timeout");

	if (h->timeout_ms <= h->interval_ms)
		return;
	if (!t)
		h->timeout_ms = h->interval_ms;
	else
		parse_error(p, parse_loc(p, t), "timeout", NULL,
			    "must not be above the interval of %u ms, but is %u ms", h->interval_ms,
			    h->timeout_ms);
}
