/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compiled table, walked for every connection of plan_property.h's world,
 * against what that file's slow matcher and the route's own `security` say: the
 * same route, the same targets with the same shares, the same refusal. So the
 * compiler is tested as much as the walk. walk_damage changes the kernel's side of
 * the table first; a walk that did not follow it would find nothing wrong then.
 */
#include <errno.h>

#include <libnftnl/rule.h>

#include "ctl/nft/ruleset_compile.h"
#include "ctl/nft/ruleset_walk.h"
#include "tests/unit/plan_property.h"

#define ALL_ROUTES_LIMIT 100 /* maxConnectionsPerIP where the file says nothing */

enum damage { NO_DAMAGE, ELEMENT_GONE, ELEMENT_CHANGED, RULE_GONE, RULE_FOREIGN };

static enum damage walk_damage;
static unsigned walks, walks_led, walks_refused, walks_passed, walks_unknown;

/* ---- the world of connections that live ---- */

static void mask_client(const struct addr *client, uint8_t out[16])
{
	memcpy(out, client->bytes, 16);
	if (client->family == ADDR_V6)
		memset(out + 8, 0, 8);
}

/* Any number will do that depends on who is asked about, and on nothing else. */
static long live_now(uint32_t route, const struct addr *client, void *arg)
{
	uint8_t bytes[16] = { 0 };
	uint32_t h = route * 2654435761u;

	(void)arg;
	if (client->family)
		mask_client(client, bytes);
	for (unsigned i = 0; i < 16; i++)
		h = h * 31 + bytes[i];
	if (!route)
		return h % 7 ? 0 : ALL_ROUTES_LIMIT;
	return (h >> 7) % 4;
}

/* ---- what is right ---- */

static int oracle_refusal(const struct cfg_route *r, const struct addr *client)
{
	const struct cfg_security *s = r->security;
	const struct addr none = { 0 };
	const uint32_t id = r->index + 1;

	if (s && addr_set_has(&s->block, client))
		return REFUSED_LIST;
	if (s && s->allow.n && !addr_set_has(&s->allow, client))
		return REFUSED_LIST;
	if (live_now(0, client, NULL) >= ALL_ROUTES_LIMIT)
		return REFUSED_IP;
	if (s && s->max_connections_per_ip &&
	    live_now(id, client, NULL) >= (long)s->max_connections_per_ip)
		return REFUSED_IP;
	if (s && s->max_connections && live_now(id, &none, NULL) >= (long)s->max_connections)
		return REFUSED_ROUTE;
	return -1;
}

static const struct walk_target *find_target(const struct walk *w, const struct addr *a)
{
	for (size_t i = 0; i < w->n_targets; i++)
		if (!addr_cmp(&w->targets[i].addr, a))
			return &w->targets[i];
	return NULL;
}

static bool right_targets(const struct cfg_route *r, const struct plan_conn *c,
			  const struct walk *w)
{
	const struct cfg_target *t = &r->action.targets[0];
	unsigned port = c->port, n = 0;

	if (t->port_kind == PORT_FIXED)
		port = (unsigned)t->port;
	else if (t->port_kind == PORT_OFFSET)
		port = (unsigned)(c->port + t->port);
	for (unsigned i = 0; i < t->n_hosts; i++) {
		const struct walk_target *got = find_target(w, &t->hosts[i].addr);

		if (t->hosts[i].addr.family != c->client.family)
			continue;
		n++;
		if (!got || got->port != port || got->share != 1)
			return false;
	}
	return w->n_targets == n && w->shares == n && w->masqueraded && !w->redirected;
}

/* What the kernel does not serve: it counts those that go to user space, and nobody else. A route
 * that needs the name is always user space's. */
static bool right_pass(const struct config *cfg, const struct plan *p, const struct plan_conn *c,
		       const struct walk *w)
{
	const struct cfg_route *best = oracle_best(cfg, c, false);
	const struct plan_cell *cell = plan_find_cell(p, c);
	bool user = cell && cell->user && c->proto == IPPROTO_TCP;

	if (best && best->match.domains.n && c->proto == IPPROTO_TCP && !user)
		return false;
	if (!user || live_now(0, &c->client, NULL) < ALL_ROUTES_LIMIT)
		return w->verdict == WALK_PASSES && !w->label[0];
	return w->verdict == WALK_REFUSED && w->refusal == REFUSED_IP &&
	       w->label[0] == plan_user_route(cell)->route->index + 1;
}

static bool right_walk(const struct cfg_route *want, const struct plan_conn *c,
		       const struct walk *w)
{
	int refusal = oracle_refusal(want, &c->client);

	if (w->label[0] != want->index + 1)
		return false;
	if (refusal >= 0)
		return w->verdict == WALK_REFUSED && w->refusal == refusal;
	return w->verdict == WALK_LED && w->forwarded && right_targets(want, c, w);
}

/* ---- damage ---- */

static void damage_element(struct ruleset *rs)
{
	struct rs_set *s = rs->sets[rng((unsigned)rs->n_sets)];
	size_t stride = rs_set_stride(&s->def), k = s->n ? rng((unsigned)s->n) : 0;
	size_t data = rs_set_data_len(&s->def);

	if (!s->n)
		return;
	if (walk_damage == ELEMENT_GONE) {
		memmove(rs_elem(s, stride, k), rs_elem(s, stride, k + 1), (s->n - k - 1) * stride);
		s->n--;
	} else if (data && !rs_set_def_is_verdict(&s->def)) {
		rs_elem(s, stride, k)[stride - data] ^= 1;
	}
}

static void damage_rule(struct ruleset *rs)
{
	struct rs_chain *c = rs->chains[rng((unsigned)rs->n_chains)];
	size_t k = c->n ? rng((unsigned)c->n) : 0;

	if (!c->n)
		return;
	if (walk_damage == RULE_FOREIGN) {
		c->rules[k].hash = 0;
		return;
	}
	if (c->rules[k].rule)
		nftnl_rule_free(c->rules[k].rule);
	memmove(&c->rules[k], &c->rules[k + 1], (c->n - k - 1) * sizeof(*c->rules));
	c->n--;
}

/* ---- asking ---- */

static struct ruleset *compile_plan(const struct plan *p)
{
	struct compile_options o = { .table = "spctl", .owner = "property", .generation = 1 };
	uint32_t *ids = calloc(p->n_routes + 1, sizeof(*ids));
	struct ruleset *rs;
	struct err e = { 0 };

	for (unsigned i = 0; i < p->n_routes; i++)
		ids[i] = p->routes[i].route->index + 1;
	o.ids = ids;
	rs = ruleset_compile(p, &o, &e);
	free(ids);
	return rs;
}

static void show_walk(const struct config *c, const struct plan_conn *conn, const struct walk *w,
		      const struct cfg_route *want)
{
	char local[ADDR_TEXT], client[ADDR_TEXT];

	printf("%s/%u at %s from %s: %s, want %s refusal %d\n",
	       conn->proto == IPPROTO_TCP ? "tcp" : "udp", conn->port,
	       addr_format(&conn->local, local), addr_format(&conn->client, client),
	       walk_verdict_name(w->verdict), want ? want->name : "-",
	       want ? oracle_refusal(want, &conn->client) : -1);
	for (size_t i = 0; i < w->n_steps; i++)
		printf("  %s: %s %s: %s\n", w->steps[i].chain, w->steps[i].object, w->steps[i].key,
		       w->steps[i].result);
	printf("%.*s\n", (int)c->text_len, c->text);
}

static void count_walk(const struct walk *w)
{
	walks++;
	walks_led += w->verdict == WALK_LED;
	walks_refused += w->verdict == WALK_REFUSED;
	walks_passed += w->verdict == WALK_PASSES;
	walks_unknown += w->verdict == WALK_UNKNOWN;
}

static bool walk_is_right(const struct config *c, const struct plan *p,
			  const struct walk_world *world, const struct plan_conn *conn, bool local)
{
	struct walk_packet packet = { .local = local,
				      .family = conn->client.family,
				      .proto = conn->proto,
				      .port = conn->port,
				      .address = conn->local,
				      .client = conn->client };
	const struct cfg_route *want = oracle(c, conn);
	struct walk w;
	bool right;

	if (walk_run(world, &packet, &w))
		return false;
	count_walk(&w);
	right = want ? right_walk(want, conn, &w) : right_pass(c, p, conn, &w);
	if (!right && getenv("PLAN_PROPERTY_SHOW"))
		show_walk(c, conn, &w, want);
	walk_fini(&w);
	return right;
}

static unsigned walk_everything(const struct config *c, const struct plan *p, unsigned *asked)
{
	struct ruleset *want = compile_plan(p), *have = compile_plan(p);
	const struct walk_world world = { .have = have, .want = want, .live = live_now };
	unsigned wrong = 0;

	if (walk_damage == ELEMENT_GONE || walk_damage == ELEMENT_CHANGED)
		damage_element(have);
	else if (walk_damage)
		damage_rule(have);
	for (unsigned port = 1; have && want && port <= WORLD_PORTS + 1; port++) {
		for (unsigned k = 0; k < N(world_locals) * N(world_clients) * 2; k++) {
			struct plan_conn conn = { .port = (uint16_t)port };

			conn.proto = k & 1 ? IPPROTO_TCP : IPPROTO_UDP;
			addr_parse(world_locals[k / 2 % N(world_locals)], &conn.local);
			addr_parse(world_clients[k / 2 / N(world_locals)], &conn.client);
			if (conn.local.family != conn.client.family)
				continue;
			wrong += !walk_is_right(c, p, &world, &conn, k % 7 == 0);
			(*asked)++;
		}
	}
	wrong += !have || !want;
	ruleset_free(have);
	ruleset_free(want);
	return wrong;
}
