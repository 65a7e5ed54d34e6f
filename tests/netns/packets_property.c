/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packets_property: random route files are applied by spctl, and the kernel's
 * answer to random connections, made with real packets, has to be what the plan
 * says; the plan's answer has to be what the slow matcher says, which has nothing
 * but the config (a bug in the plan would be in both the plan and the table).
 * packets_planted.sh shows that it finds bugs; docs/TESTING.md has more.
 *
 * packets_property SPCTL DIR, in the lab; packets_property.sh makes that. Environment: as in
 * property_run.h. Stops at the first file with a wrong answer, shows it and says how to repeat it.
 * Exit: 0 = all as planned, 1 = wrong answers, 2 = could not test.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/netns/property_run.h"
#include "tests/property/route_world.h"

#define WORLD_PORTS 40 /* ranges of more than 16 ports have a map of their own */
#define PER_FILE    250
#define SHOW_WRONG  5

static const char *const world_locals[] = { "10.10.0.1", "10.20.0.1", "10.30.0.1", "127.0.0.1",
					    "fd10::1",	 "fd20::1",   "fd30::1",   "::1" };
/* Their ends lie among the clients below. */
static const char *const world_ranges[] = { "10.10.0.0/29",
					    "10.10.0.0/30",
					    "10.10.0.3-10.10.0.7",
					    "10.10.0.5",
					    "10.10.0.8-10.20.0.2",
					    "10.10.0.*",
					    "10.*.0.2",
					    "10.10.0.?",
					    "0.0.0.0/0",
					    "0.0.0.0-10.10.0.6",
					    "127.0.0.1",
					    "10.30.0.0/16",
					    "10.10.0.1",
					    "fd10::/64",
					    "fd10::3-fd10::8",
					    "fd10::4/126",
					    "fd10::5",
					    "fd00::/8",
					    "fd20::/16",
					    "fd10::6-ffff::",
					    "fd30::/64",
					    "fd10:*",
					    "::/0",
					    "*" };
static const char *const world_hosts[] = { "\"10.20.0.2\"",
					   "\"10.20.0.3\"",
					   "\"fd20::2\"",
					   "\"fd20::3\"",
					   "\"10.10.0.9\"",
					   "[\"10.20.0.2\",\"fd20::2\"]",
					   "[\"192.0.2.1\",\"2001:db8::1\"]",
					   "[\"10.20.0.2\",\"10.20.0.3\"]",
					   "[\"10.20.0.2\",\"fd20::2\",\"fd20::3\",\"10.20.0.4\"]",
					   "[\"fd10::9\",\"fd20::4\"]",
					   "[\"10.20.0.1\",\"fd20::1\"]",
					   "\"127.0.0.1\"",
					   "[\"127.0.0.1\",\"fd20::2\"]",
					   "[\"127.0.0.1\",\"10.20.0.2\",\"10.30.0.1\"]",
					   "[\"10.20.0.2\",\"2001:db8::1\",\"fd20::1\"]" };
static const char *const world_target_ports[] = { "7000",	  "7001",     "7002",
						  "\"preserve\"", "\"+100\"", "\"-200\"" };
static const char *const world_fixed_ports[] = { "7000", "7001", "7002" };
/* The kernel has no ::1 to offer to others; who is addressed there is the gateway itself. */
static const struct route_world lab_world = {
	.locals = { world_locals, N(world_locals) - 1 },
	.ranges = WORDS(world_ranges),
	.hosts = WORDS(world_hosts),
	.target_ports = WORDS(world_target_ports),
	.fixed_ports = WORDS(world_fixed_ports),
	.first_port = PROPERTY_FIRST_PORT,
	.n_ports = WORLD_PORTS,
	.top = "\"maxConnectionsPerIP\":0,\"connectionRateLimitPerMinute\":0,",
	.balances = true,
};

static const struct property_client world_clients[] = {
	{ NS_CL, "10.10.0.2" }, { NS_CL, "10.10.0.3" },	 { NS_CL, "10.10.0.4" },
	{ NS_CL, "10.10.0.5" }, { NS_CL, "10.10.0.6" },	 { NS_CL, "10.10.0.7" },
	{ NS_CL, "10.10.0.8" }, { NS_CL, "10.10.0.66" }, { NS_C2, "10.30.0.2" },
	{ NS_A, "10.20.0.2" },	{ NS_GW, "10.10.0.1" },	 { NS_GW, "10.20.0.1" },
	{ NS_GW, "127.0.0.1" }, { NS_CL, "fd10::2" },	 { NS_CL, "fd10::3" },
	{ NS_CL, "fd10::4" },	{ NS_CL, "fd10::5" },	 { NS_CL, "fd10::7" },
	{ NS_CL, "fd10::8" },	{ NS_CL, "fd10::66" },	 { NS_C2, "fd30::2" },
	{ NS_A, "fd20::2" },	{ NS_GW, "fd10::1" },	 { NS_GW, "fd20::1" },
};

/* What was seen of one route's targets in one family. */
struct tally {
	const struct cfg_route *route;
	struct expected x;
	unsigned seen[EXPECT_TARGETS], n;
	bool open; /* some went to where nobody listens */
};

struct run {
	struct property p; /* first: property_run() hands it back */
	unsigned files, applied, asked, led, refused, own;
};

/* ---- choosing ---- */

/* Half of them at an end of some route's ports, a quarter anywhere. */
static uint16_t choose_port(const struct config *c)
{
	const struct cfg_match *m = &c->routes[rng(c->n_routes)].match;
	const struct port_range *p = &m->ports[rng(m->n_ports)];
	unsigned span = p->to - p->from + 1u;

	switch (rng(4)) {
	case 0:
		return (uint16_t)(PROPERTY_FIRST_PORT - 1 + rng(WORLD_PORTS + 2));
	case 1:
		return (uint16_t)(p->from + rng(span));
	case 2:
		return (uint16_t)(p->from - rng(2));
	default:
		return (uint16_t)(p->to + rng(2));
	}
}

static struct conn random_conn(const struct run *r, const struct config *c)
{
	const uint16_t port = choose_port(c);

	return property_conn(&r->p, port, rng(2) ? IPPROTO_TCP : IPPROTO_UDP, rng);
}

/* Most connections of the world are no route's: of those fewer. */
static struct conn choose_conn(const struct run *r, const struct config *c)
{
	struct conn conn = random_conn(r, c);
	struct expected x;

	for (unsigned tries = rng(4) ? 10 : 0; tries; tries--) {
		expect_by_matcher(c, &conn, &x);
		if (x.route)
			break;
		conn = random_conn(r, c);
	}
	return conn;
}

/* ---- asking ---- */

static void show_wrong(const struct conn *conn, const struct expected *matcher,
		       const struct expected *plan, const struct lab_seen *s)
{
	static const char *const ns[] = { "cl", "c2", "a", "b", "fo", "gw" };
	char local[ADDR_TEXT], client[ADDR_TEXT];

	printf("%s from %s (%s) to %s port %u:\n", conn->at.proto == IPPROTO_TCP ? "tcp" : "udp",
	       addr_format(&conn->at.client, client), ns[conn->client->ns],
	       addr_format(&conn->at.local, local), conn->at.port);
	expected_print("slow matcher:", matcher);
	expected_print("plan:", plan);
	seen_print(s);
}

static void count(struct run *r, const struct expected *x)
{
	r->asked++;
	r->own += !x->route;
	r->refused += x->route && x->refused;
	r->led += x->route && !x->refused;
}

static void tally(struct tally *t, const struct expected *x, const struct lab_seen *s)
{
	unsigned i;

	if (!x->route || x->refused)
		return;
	i = expected_index(x, s);
	t->route = x->route;
	t->x = *x;
	t->n++;
	if (i < x->n_targets)
		t->seen[i]++;
	else
		t->open = true;
}

/* One connection. tallies: of each route and family. */
static void ask(struct run *r, const struct config *c, const struct plan *p, struct tally *tallies)
{
	struct conn conn = choose_conn(r, c);
	struct expected matcher, plan, one;
	struct lab_seen s;

	expect_by_matcher(c, &conn, &matcher);
	expect_by_plan(p, &conn, &plan);
	lab_connect(&r->p.lab, conn.client, conn.at.proto, &conn.at.local, conn.at.port, &s);
	count(r, &matcher);
	one = matcher;
	if (expected_equal(&matcher, &plan))
		expect_one_by_hash(p, &conn, &one);
	if (expected_equal(&matcher, &plan) && expected_is_seen(&r->p.lab, &conn, &one, &s)) {
		if (matcher.route)
			tally(&tallies[2 * matcher.route->index +
				       (conn.at.client.family == ADDR_V6)],
			      &matcher, &s);
		return;
	}
	r->p.wrong++;
	show_wrong(&conn, &matcher, one.n_targets == plan.n_targets ? &plan : &one, &s);
}

/* Round robin deals them out by weight, exactly; a part of its sequence is off by a target or two.
 */
static void check_tally(struct run *r, const struct tally *t)
{
	unsigned weights = 0;
	char text[ADDR_TEXT];

	if (!t->route || t->open || t->route->action.algorithm != LB_ROUND_ROBIN)
		return;
	for (unsigned i = 0; i < t->x.n_targets; i++)
		weights += t->x.targets[i].weight;
	for (unsigned i = 0; i < t->x.n_targets; i++) {
		double due = (double)t->n * t->x.targets[i].weight / weights;

		if (t->seen[i] <= due + t->x.n_targets && t->seen[i] + t->x.n_targets >= due)
			continue;
		r->p.wrong++;
		printf("route %s: %s port %u got %u of %u connections, due were %.1f\n",
		       t->route->name, addr_format(&t->x.targets[i].addr, text),
		       t->x.targets[i].port, t->seen[i], t->n, due);
	}
}

static void ask_all(struct run *r, const struct config *c, const struct plan *p)
{
	struct tally *tallies = calloc(2 * c->n_routes, sizeof(*tallies));

	/* Each that meets silence takes seconds. */
	for (unsigned i = 0; i < PER_FILE && tallies && r->p.wrong < SHOW_WRONG; i++)
		ask(r, c, p, tallies);
	for (unsigned i = 0; i < 2 * c->n_routes && tallies; i++)
		check_tally(r, &tallies[i]);
	free(tallies);
}

/* ---- one file ---- */

/* What can be had is applied, and nothing else; then the packets go. */
static void try_file(struct run *r, const char *path, const struct config *c, const struct plan *p)
{
	bool can_be = c && p && !p->refused;
	int code;

	/* What needs the service is the relay's property test. */
	if (p && p->n_listeners)
		return;
	/* Files that cannot be had are many: some of them will do. */
	if (!can_be && rng(8))
		return;
	if (!lab_forget(&r->p.lab))
		exit(2);
	code = property_spctl(&r->p, "apply", path);
	r->files++;
	r->applied += can_be;
	if ((code == 0) != can_be) {
		r->p.wrong++;
		printf("spctl apply: exit %d, but the plan %s\n", code,
		       can_be ? "has nothing against it" : "cannot be had");
		property_show_messages(&r->p);
	} else if (can_be) {
		ask_all(r, c, p);
	}
}

static void random_file(struct property *p, uint64_t seed)
{
	struct run *r = (struct run *)p;
	const struct plan_facts facts = { .host = &r->p.host, .have_relay = true };
	const struct config_options opt = { 0 };
	struct diags d = { 0 };
	struct buf b = { 0 };
	struct plan *plan = NULL;
	struct config *c;
	char path[512];

	rng_state = seed * 0x9e3779b97f4a7c15ull;
	put_file(&b, &lab_world);
	property_write(p, &b, path);
	c = config_parse(path, b.data, b.len, &opt, &d);
	if (c)
		plan = plan_build(c, &facts, &d);
	try_file(r, path, c, plan);
	if (p->wrong)
		property_show_file(p, seed, &b);
	plan_free(plan);
	config_free(c);
	diags_fini(&d);
	buf_fini(&b);
}

/* ---- all of them ---- */

int main(int argc, char **argv)
{
	static const struct property_world world = { .clients = WORDS(world_clients),
						     .locals = WORDS(world_locals),
						     .n_ports = WORLD_PORTS,
						     .own_every = 8 };
	static struct run r;

	if (!property_run(&r.p, &world, argc, argv, random_file))
		return 2;
	printf("%u files, %u applied; %u connections in %.1f s: %u led, %u refused, %u to the "
	       "gateway itself; %u wrong\n",
	       r.files, r.applied, r.asked, r.p.seconds, r.led, r.refused, r.own, r.p.wrong);
	property_fini(&r.p);
	return r.p.wrong ? 1 : 0;
}
