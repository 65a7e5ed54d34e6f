/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each variant by itself against the slow matcher, then the three with each
 * other, where limits make that the matcher cannot know. Who serves a connection
 * - the kernel or the relay - is the plan's word; that both answer alike is not.
 */
#include "tests/netns/tiers_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const variant_names[N_VARIANTS] = { "free", "relay", "mixed" };

/* ---- what is right ---- */

static bool user_space_listens(const struct plan *p, const struct plan_conn *at)
{
	for (unsigned i = 0; i < p->n_listeners; i++)
		if (p->listeners[i].port == at->port &&
		    (p->listeners[i].address.family == ADDR_NONE ||
		     !addr_cmp(&p->listeners[i].address, &at->local)))
			return true;
	return false;
}

/* Somebody listens there: it is no target of a connection of ours otherwise. */
static bool target_works(const struct lab *l, const struct expect_target *t)
{
	static const enum lab_ns all[] = { NS_CL, NS_A, NS_B, NS_FO };

	if (is_gateway(&t->addr))
		return lab_server_at(l, NS_GW, IPPROTO_TCP, &t->addr, t->port) != NULL;
	for (unsigned i = 0; i < N(all); i++)
		if (lab_server_at(l, all[i], IPPROTO_TCP, &t->addr, t->port))
			return true;
	return false;
}

/* A relay's own connection: from the gateway's address, to the target's very own; and to
 * another target if that one does not work. */
static bool relay_is_right(const struct lab *l, const struct expected *x, const struct lab_seen *s)
{
	bool any = false;

	for (unsigned i = 0; i < x->n_targets; i++) {
		const struct expect_target *t = &x->targets[i];
		struct addr source = is_gateway(&t->addr) ? t->addr : gateway_towards(&t->addr);

		if (!target_works(l, t))
			continue;
		any = true;
		if (s->outcome == LAB_ANSWERED && s->port == t->port &&
		    !addr_cmp(&s->target, &t->addr) && !addr_cmp(&s->client, &source) &&
		    (s->server->ns == NS_GW) == is_gateway(&t->addr))
			return true;
	}
	return !any && s->outcome == LAB_REFUSED;
}

/* The targets of its own family; where the route has none, a relay can reach the others. */
static bool by_relay(const struct variant *v, const struct conn *conn, struct expected *x)
{
	expect_by_matcher(v->config, conn, x);
	if (plan_find_kernel(v->plan, &conn->at) || !user_space_listens(v->plan, &conn->at))
		return false;
	if (!x->route)
		expect_other_family(v->config, conn, x);
	return true;
}

static bool is_right(const struct run *r, const struct variant *v, const struct conn *conn,
		     const struct lab_seen *s)
{
	struct expected x;

	if (!by_relay(v, conn, &x))
		return expected_is_seen(&r->p.lab, conn, &x, s);
	if (!x.route || x.refused)
		return s->outcome == LAB_REFUSED;
	return relay_is_right(&r->p.lab, &x, s);
}

/* ---- comparing ---- */

static void show(struct run *r, const struct variant *v, unsigned i, const char *what)
{
	static const char *const ns[] = { "cl", "c2", "a", "b", "fo", "gw" };
	const struct conn *conn = &r->conns[i];
	char local[ADDR_TEXT], client[ADDR_TEXT];
	struct expected x;
	bool relay = by_relay(v, conn, &x);

	r->p.wrong++;
	printf("%s: connection %u from %s (%s) to %s port %u: %s (%s)\n", variant_names[v - r->v],
	       i, addr_format(&conn->at.client, client), ns[conn->client->ns],
	       addr_format(&conn->at.local, local), conn->at.port, what,
	       relay ? "the relay's" : "the kernel's");
	expected_print("slow matcher:", &x);
	seen_print(&v->seen[i]);
}

static void count(struct run *r, const struct variant *v, unsigned i)
{
	struct expected x;
	bool relay = by_relay(v, &r->conns[i], &x);

	r->asked++;
	r->nobody += !x.route;
	r->refused += x.route && v->seen[i].outcome == LAB_REFUSED;
	r->relayed += relay && v->seen[i].outcome == LAB_ANSWERED;
	r->kernel += !relay && v->seen[i].outcome == LAB_ANSWERED;
}

/* A limit may refuse what would be served: then the others have to agree. */
static void check_conn(struct run *r, struct variant *v, unsigned i)
{
	bool may_be_limited = r->limits && v->seen[i].outcome == LAB_REFUSED;

	count(r, v, i);
	if (!may_be_limited && !is_right(r, v, &r->conns[i], &v->seen[i]))
		show(r, v, i, "is wrong");
}

bool counts_apart(const struct plan *p)
{
	for (unsigned i = 0; i < p->n_routes; i++)
		if (p->routes[i].in_kernel && p->routes[i].behind)
			return true;
	return false;
}

static void check_verdicts(struct run *r, struct variant *a, struct variant *b)
{
	for (unsigned i = 0; i < r->n_conns && r->p.wrong < SHOW_WRONG; i++) {
		if (a->seen[i].outcome == b->seen[i].outcome)
			continue;
		show(r, a, i, "not all tiers say the same");
		show(r, b, i, "not all tiers say the same");
	}
}

static unsigned long refused_by(const struct counts *c, enum count_reason k, unsigned route)
{
	unsigned long n = 0;

	if (route < COUNT_ROUTES)
		return c->refused[route][k];
	for (unsigned i = 0; i < COUNT_ROUTES; i++)
		n += c->refused[i][k];
	return n;
}

static void check_count(struct run *r, enum count_reason k, unsigned route, unsigned long want,
			const struct variant *v)
{
	unsigned long got = refused_by(&v->counts, k, route);
	char of[32] = "all routes";

	if (got == want)
		return;
	r->p.wrong++;
	if (route < COUNT_ROUTES)
		snprintf(of, sizeof(of), "route r%u", route);
	printf("%s: %s of %s: %lu counted, %lu due\n", variant_names[v - r->v], count_names[k], of,
	       got, want);
}

/* Which of the routes of a port a limit of all routes is counted for is not told. */
static void check_limits(struct run *r, const struct variant *a, const struct variant *b)
{
	for (unsigned i = 0; i < COUNT_ROUTES; i++) {
		check_count(r, COUNT_LIST, i, a->counts.refused[i][COUNT_LIST], b);
		check_count(r, COUNT_ROUTE, i, a->counts.refused[i][COUNT_ROUTE], b);
	}
	check_count(r, COUNT_IP, COUNT_ROUTES, refused_by(&a->counts, COUNT_IP, COUNT_ROUTES), b);
	check_count(r, COUNT_RATE, COUNT_ROUTES, refused_by(&a->counts, COUNT_RATE, COUNT_ROUTES),
		    b);
}

/* Without limits the matcher knows who is refused by a list. */
static void check_lists(struct run *r, const struct variant *v)
{
	unsigned long due[COUNT_ROUTES] = { 0 };

	for (unsigned i = 0; i < r->n_conns; i++) {
		struct expected x;

		by_relay(v, &r->conns[i], &x);
		if (x.route && x.refused)
			due[atoi(x.route->name + 1)]++;
	}
	for (unsigned i = 0; i < COUNT_ROUTES; i++)
		check_count(r, COUNT_LIST, i, due[i], v);
}

/* ---- the shares of targets ---- */

static bool all_work(const struct lab *l, const struct expected *x)
{
	for (unsigned i = 0; i < x->n_targets; i++)
		if (!target_works(l, &x->targets[i]) || is_gateway(&x->targets[i].addr))
			return false;
	return true;
}

/* Those of one route and family: which target, EXPECT_TARGETS = it was not served. */
static unsigned target_index(const struct run *r, const struct variant *v, unsigned i,
			     const struct cfg_route *route, int family, struct expected *x)
{
	unsigned k;

	expect_by_matcher(v->config, &r->conns[i], x);
	if (x->route != route || r->conns[i].at.client.family != family || x->refused ||
	    v->seen[i].outcome != LAB_ANSWERED)
		return EXPECT_TARGETS;
	/* Those whose port follows the client's differ by it. */
	for (k = 0; k < x->n_targets; k++)
		if (!addr_cmp(&x->targets[k].addr, &v->seen[i].target) &&
		    x->targets[k].port == v->seen[i].port)
			return k;
	return EXPECT_TARGETS;
}

/* By weight, exactly; a part of the sequence is off by a target or two. */
static void check_round_robin(struct run *r, struct variant *v, const struct cfg_route *route,
			      int family)
{
	unsigned seen[EXPECT_TARGETS] = { 0 }, n = 0, weights = 0;
	struct expected x, last = { 0 };

	for (unsigned i = 0; i < r->n_conns; i++) {
		unsigned k = target_index(r, v, i, route, family, &x);

		if (k == EXPECT_TARGETS)
			continue;
		last = x;
		seen[k]++;
		n++;
	}
	for (unsigned k = 0; k < last.n_targets; k++)
		weights += last.targets[k].weight;
	for (unsigned k = 0; k < last.n_targets && all_work(&r->p.lab, &last); k++) {
		double due = (double)n * last.targets[k].weight / weights;

		if (seen[k] <= due + last.n_targets && seen[k] + last.n_targets >= due)
			continue;
		r->p.wrong++;
		printf("%s: route %s, IPv%d: target %u of %u got %u of %u, due were %.1f\n",
		       variant_names[v - r->v], route->name, family == ADDR_V4 ? 4 : 6, k + 1,
		       last.n_targets, seen[k], n, due);
	}
}

/* One client, one target, as long as the route is served by one tier. */
static void check_hash(struct run *r, struct variant *v, const struct cfg_route *route, int family)
{
	unsigned of[PROPERTY_CLIENTS];
	struct expected x;

	for (unsigned i = 0; i < PROPERTY_CLIENTS; i++)
		of[i] = EXPECT_TARGETS;
	for (unsigned i = 0; i < r->n_conns; i++) {
		unsigned k = target_index(r, v, i, route, family, &x);
		unsigned client = (unsigned)(r->conns[i].client - r->p.clients);

		if (k == EXPECT_TARGETS || !all_work(&r->p.lab, &x))
			continue;
		if (of[client] != EXPECT_TARGETS && of[client] != k)
			show(r, v, i, "the hash has led this client elsewhere before");
		of[client] = k;
	}
}

static void check_shares(struct run *r, struct variant *v)
{
	static const int families[] = { ADDR_V4, ADDR_V6 };

	for (unsigned i = 0; i < v->config->n_routes && !counts_apart(v->plan); i++)
		for (unsigned f = 0; f < 2; f++) {
			const struct cfg_route *route = &v->config->routes[i];
			enum cfg_algorithm how = route->action.algorithm;

			if (how == LB_ROUND_ROBIN)
				check_round_robin(r, v, route, families[f]);
			else if (how != LB_RANDOM)
				check_hash(r, v, route, families[f]);
		}
}

void tiers_check(struct run *r)
{
	bool apart = false;

	for (unsigned k = 0; k < N_VARIANTS; k++)
		for (unsigned i = 0; i < r->n_conns && r->p.wrong < SHOW_WRONG; i++)
			check_conn(r, &r->v[k], i);
	for (unsigned k = 0; k < N_VARIANTS; k++)
		check_shares(r, &r->v[k]);
	for (unsigned k = 0; k < N_VARIANTS && !r->limits; k++)
		check_lists(r, &r->v[k]);
	if (!r->limits)
		return;
	r->limited++;
	for (unsigned k = 0; k < N_VARIANTS; k++) {
		apart = !k ? counts_apart(r->v[0].plan) : apart;
		if (apart || counts_apart(r->v[k].plan))
			continue;
		check_verdicts(r, &r->v[0], &r->v[k]);
		check_limits(r, &r->v[0], &r->v[k]);
	}
}
