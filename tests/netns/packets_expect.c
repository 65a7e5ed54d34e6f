/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan cannot say which slot a client hashes to, but what the slots are dealt
 * out by is the library's (slots_hash); the kernel's jhash is written again here.
 */
#include "tests/netns/packets_expect.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset_compile_internal.h"
#include "tests/property/route_oracle.h"

#define HASH_SEED 0x5bd1e995u /* as in ruleset_compile_route.c: no apply may ever change it */

static void add_target(struct expected *x, const struct addr *a, int port, unsigned weight)
{
	for (unsigned i = 0; i < x->n_targets; i++) {
		if (!addr_cmp(&x->targets[i].addr, a) && x->targets[i].port == port) {
			x->targets[i].weight += weight;
			return;
		}
	}
	if (x->n_targets < EXPECT_TARGETS)
		x->targets[x->n_targets++] = (struct expect_target){ *a, (uint16_t)port, weight };
}

/* ---- by the slow matcher ---- */

static bool to_loopback_v6(const struct conn *conn)
{
	return conn->at.local.family == ADDR_V6 && addr_is_loopback(&conn->at.local);
}

static bool lists_refuse(const struct cfg_security *s, const struct addr *client)
{
	return s && (addr_set_has(&s->block, client) ||
		     (s->has_allow && !addr_set_has(&s->allow, client)));
}

/* Of the targets with a weight that are no backup, those of the highest priority. */
static int first_priority(const struct cfg_action *a)
{
	int best = INT32_MIN;

	for (unsigned i = 0; i < a->n_targets; i++)
		if (a->targets[i].weight && !a->targets[i].backup && a->targets[i].priority > best)
			best = a->targets[i].priority;
	return best;
}

static int matcher_port(const struct cfg_target *t, uint16_t port)
{
	if (t->port_kind == PORT_FIXED)
		return t->port;
	return t->port_kind == PORT_OFFSET ? port + t->port : port;
}

static void matcher_targets(const struct cfg_action *a, const struct conn *conn, int family,
			    struct expected *out)
{
	for (unsigned i = 0; i < a->n_targets; i++) {
		const struct cfg_target *t = &a->targets[i];

		if (!t->weight || t->backup || t->priority != first_priority(a))
			continue;
		for (unsigned k = 0; k < t->n_hosts; k++)
			if (family == ADDR_NONE || t->hosts[k].addr.family == family)
				add_target(out, &t->hosts[k].addr, matcher_port(t, conn->at.port),
					   t->weight);
	}
}

void expect_by_matcher(const struct config *c, const struct conn *conn, struct expected *out)
{
	const struct cfg_route *r = oracle_best(c, &conn->at, false);
	const struct cfg_nftables *nft = r ? r->action.nftables : NULL;

	*out = (struct expected){ 0 };
	if (!r || to_loopback_v6(conn))
		return;
	matcher_targets(&r->action, conn, conn->at.client.family, out);
	if (!out->n_targets)
		return;
	out->alone = out->n_targets == 1;
	out->route = r;
	out->refused = lists_refuse(r->security, &conn->at.client);
	out->keeps_source = nft && nft->has_preserve_source_ip ? nft->preserve_source_ip
							       : c->preserve_source_ip;
}

void expect_other_family(const struct config *c, const struct conn *conn, struct expected *out)
{
	const struct cfg_route *r = oracle_best(c, &conn->at, false);

	*out = (struct expected){ .route = r };
	if (!r)
		return;
	matcher_targets(&r->action, conn, ADDR_NONE, out);
	out->refused = lists_refuse(r->security, &conn->at.client);
}

/* ---- by the plan ---- */

static uint32_t rol32(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

/* include/linux/jhash.h, for keys of 4 and 16 bytes (Bob Jenkins, lookup3, public domain). */
static uint32_t kernel_jhash(const struct addr *key)
{
	uint32_t k[4] = { 0 }, n = addr_len(key) / 4, *rest = k;
	uint32_t a = 0xdeadbeef + 4 * n + HASH_SEED, b = a, c = a;

	memcpy(k, key->bytes, 4 * n);
	if (n == 4) {
		a += k[0];
		b += k[1];
		c += k[2];
		a = (a - c) ^ rol32(c, 4), c += b;
		b = (b - a) ^ rol32(a, 6), a += c;
		c = (c - b) ^ rol32(b, 8), b += a;
		a = (a - c) ^ rol32(c, 16), c += b;
		b = (b - a) ^ rol32(a, 19), a += c;
		c = (c - b) ^ rol32(b, 4), b += a;
		rest = k + 3;
	}
	a += *rest;
	c = (c ^ b) - rol32(b, 14);
	a = (a ^ c) - rol32(c, 11);
	b = (b ^ a) - rol32(a, 25);
	c = (c ^ b) - rol32(b, 16);
	a = (a ^ c) - rol32(c, 4);
	b = (b ^ a) - rol32(a, 14);
	return (c ^ b) - rol32(b, 24);
}

static bool hashes_clients(const struct plan_route *r)
{
	return r->route->action.algorithm == LB_IP_HASH ||
	       r->route->action.algorithm == LB_CONSISTENT_HASH;
}

/* The one of the family's targets that this client always gets. */
static const struct plan_target *hashed_target(const struct plan_route *r,
					       const struct addr *client)
{
	const struct plan_target *targets[EXPECT_TARGETS];
	unsigned weights[EXPECT_TARGETS], n = 0, total;
	uint64_t keys[EXPECT_TARGETS];
	uint16_t slot[MAX_SLOTS];

	for (unsigned i = 0; i < r->n_targets && n < EXPECT_TARGETS; i++) {
		const struct plan_target *t = &r->targets[i];
		const int32_t port[2] = { (int32_t)t->target->port_kind, t->target->port };

		if (t->addr.family != client->family)
			continue;
		targets[n] = t;
		weights[n] = t->weight;
		keys[n++] = text_hash(port, sizeof(port), text_hash(t->addr.bytes, 16, 0));
	}
	total = slots_hash(keys, weights, n, slot);
	return total ? targets[slot[(uint64_t)kernel_jhash(client) * total >> 32]] : NULL;
}

static void plan_targets(const struct plan_route *r, const struct conn *conn, struct expected *out)
{
	for (unsigned i = 0; i < r->n_targets; i++)
		if (r->targets[i].addr.family == conn->at.client.family)
			add_target(out, &r->targets[i].addr,
				   plan_target_port(&r->targets[i], conn->at.port),
				   r->targets[i].weight);
}

void expect_by_plan(const struct plan *p, const struct conn *conn, struct expected *out)
{
	const struct plan_route *r = plan_find_kernel(p, &conn->at);

	*out = (struct expected){ 0 };
	if (!r || to_loopback_v6(conn))
		return;
	out->route = r->route;
	out->refused = !plan_lets_in(r, &conn->at.client);
	out->keeps_source = r->preserve_source;
	plan_targets(r, conn, out);
	out->alone = out->n_targets == 1;
}

void expect_one_by_hash(const struct plan *p, const struct conn *conn, struct expected *x)
{
	const struct plan_route *r = x->route ? plan_find_kernel(p, &conn->at) : NULL;
	const struct plan_target *t = NULL;

	if (!r || x->n_targets < 2 || !hashes_clients(r))
		return;
	t = hashed_target(r, &conn->at.client);
	x->n_targets = 0;
	if (t)
		add_target(x, &t->addr, plan_target_port(t, conn->at.port), t->weight);
}

/* ---- comparing ---- */

static bool has_target(const struct expected *x, const struct expect_target *t)
{
	for (unsigned i = 0; i < x->n_targets; i++)
		if (!addr_cmp(&x->targets[i].addr, &t->addr) && x->targets[i].port == t->port &&
		    x->targets[i].weight == t->weight)
			return true;
	return false;
}

bool expected_equal(const struct expected *a, const struct expected *b)
{
	if (a->route != b->route || a->refused != b->refused ||
	    a->keeps_source != b->keeps_source || a->n_targets != b->n_targets)
		return false;
	for (unsigned i = 0; i < a->n_targets; i++)
		if (!has_target(b, &a->targets[i]))
			return false;
	return true;
}

/* A network of the lab: who is in it, and the gateway's address there. */
static const struct link {
	const char *net, *gateway;
} links[] = {
	{ "10.10.0.0/24", "10.10.0.1" }, { "fd10::/64", "fd10::1" },
	{ "10.30.0.0/24", "10.30.0.1" }, { "fd30::/64", "fd30::1" },
	{ "10.20.0.0/24", "10.20.0.1" }, { "fd20::/64", "fd20::1" },
	{ "192.0.2.0/24", "10.20.0.1" }, { "2001:db8::/64", "fd20::1" },
};

struct addr gateway_towards(const struct addr *to)
{
	struct addr found = { 0 };

	for (unsigned i = 0; i < sizeof(links) / sizeof(*links); i++) {
		struct addr_set net = { 0 };
		struct err e;

		if (!addr_set_parse(&net, links[i].net, &e)) {
			addr_set_seal(&net);
			if (addr_set_has(&net, to))
				addr_parse(links[i].gateway, &found);
		}
		addr_set_fini(&net);
	}
	return found;
}

bool is_gateway(const struct addr *a)
{
	struct addr towards = gateway_towards(a);

	return !towards.family || !addr_cmp(&towards, a);
}

/* The address from which a target outside the gateway sees the connection. */
static struct addr source_towards(const struct conn *conn, bool keeps_source,
				  const struct addr *target)
{
	struct addr via = gateway_towards(target), from = gateway_towards(&conn->at.client);
	bool hairpin = conn->client->ns != NS_GW && !addr_cmp(&via, &from);

	if (!keeps_source || hairpin || addr_is_loopback(&conn->at.client))
		return via;
	return conn->at.client;
}

static bool same_place(const struct expected *x, const struct expect_target *t,
		       const struct lab_seen *s)
{
	if (s->port != t->port)
		return false;
	if (!addr_cmp(&s->target, &t->addr))
		return true;
	/* A service on all addresses of the gateway is reached by redirect, at any of them. */
	return x->alone && addr_is_loopback(&t->addr) && s->server->ns == NS_GW &&
	       !s->server->addr.family;
}

unsigned expected_index(const struct expected *x, const struct lab_seen *s)
{
	unsigned i = 0;

	while (i < x->n_targets &&
	       (s->outcome != LAB_ANSWERED || !same_place(x, &x->targets[i], s)))
		i++;
	return i;
}

/* The gateway itself is addressed: its own service, if there is one. */
static bool own_is_seen(const struct lab *l, const struct conn *conn, const struct addr *at,
			uint16_t port, const struct lab_seen *s)
{
	if (!lab_server_at(l, NS_GW, conn->at.proto, at, port))
		return s->outcome == LAB_REFUSED;
	return s->outcome == LAB_ANSWERED && s->server->ns == NS_GW &&
	       !addr_cmp(&s->client, &conn->at.client);
}

static bool target_is_seen(const struct lab *l, const struct conn *conn, const struct expected *x,
			   const struct expect_target *t, const struct lab_seen *s)
{
	struct addr source = source_towards(conn, x->keeps_source, &t->addr);

	if (is_gateway(&t->addr))
		return own_is_seen(l, conn, &t->addr, t->port, s) &&
		       (s->outcome == LAB_REFUSED || same_place(x, t, s));
	return s->outcome == LAB_ANSWERED && same_place(x, t, s) && s->server->ns != NS_GW &&
	       !addr_cmp(&s->client, &source);
}

bool expected_is_seen(const struct lab *l, const struct conn *conn, const struct expected *x,
		      const struct lab_seen *s)
{
	if (!x->route)
		return own_is_seen(l, conn, &conn->at.local, conn->at.port, s) &&
		       (s->outcome == LAB_REFUSED ||
			(!addr_cmp(&s->target, &conn->at.local) && s->port == conn->at.port));
	if (x->refused)
		return s->outcome == LAB_REFUSED;
	for (unsigned i = 0; i < x->n_targets; i++)
		if (target_is_seen(l, conn, x, &x->targets[i], s))
			return true;
	return false;
}

/* ---- showing ---- */

void expected_print(const char *who, const struct expected *x)
{
	char text[ADDR_TEXT];

	printf("  %-12s ", who);
	if (!x->route) {
		puts("no route: the gateway itself");
		return;
	}
	printf("route %s%s%s", x->route->name, x->refused ? ", refused by its lists" : "",
	       x->keeps_source ? ", source kept" : "");
	for (unsigned i = 0; i < x->n_targets; i++)
		printf("%s %s port %u (weight %u)", i ? " or" : ", to",
		       addr_format(&x->targets[i].addr, text), x->targets[i].port,
		       x->targets[i].weight);
	puts("");
}

void seen_print(const struct lab_seen *s)
{
	static const char *const words[] = { "answered", "refused", "silent", "failed" };
	char target[ADDR_TEXT], client[ADDR_TEXT];

	printf("  %-12s %s", "packets:", words[s->outcome]);
	if (s->error)
		printf(" (%s)", strerror(s->error));
	if (s->server)
		printf(" by %s port %u, from %s", addr_format(&s->target, target), s->port,
		       addr_format(&s->client, client));
	puts("");
}
