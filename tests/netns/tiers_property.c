/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tiers_property: equal answers in every tier. A random route file is applied
 * three times: as it is (the kernel's, where it can be), with forwardingEngine
 * "relay" on every route, and on some. The same connections are made each time,
 * from the same addresses and in the same order. Verdict, possible targets, the
 * source that the target sees, the shares of round robin, the constancy of a hash,
 * and what is counted of whom are compared with the slow matcher and with each
 * other. What may differ stands in docs/TIERS.md, and in here in the functions
 * that say "relay".
 *
 * Half of the files have limits and targets that all work; every connection of
 * those stays open, and the three have to agree about each one of them. The other
 * half has targets on the gateway itself, and some where nobody listens.
 *
 * tiers_property SPCTL DIR, in the lab; environment and exit as packets_property.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/netns/tiers_check.h"
#include "tests/property/route_world.h"

#define WORLD_PORTS 24

static const char *const world_locals[] = { "10.10.0.1", "10.20.0.1", "10.30.0.1", "127.0.0.1",
					    "fd10::1",	 "fd20::1",   "fd30::1" };
static const char *const world_ranges[] = { "10.10.0.0/29",
					    "10.10.0.0/30",
					    "10.10.0.3-10.10.0.7",
					    "10.10.0.5",
					    "10.10.0.*",
					    "10.*.0.2",
					    "0.0.0.0/0",
					    "0.0.0.0-10.10.0.6",
					    "127.0.0.1",
					    "10.30.0.0/16",
					    "10.10.0.1",
					    "fd10::/64",
					    "fd10::3-fd10::8",
					    "fd10::5",
					    "fd00::/8",
					    "fd10::6-ffff::",
					    "fd30::/64",
					    "::/0",
					    "*" };
static const char *const all_work[] = { "\"10.20.0.2\"",
					"\"10.20.0.3\"",
					"\"fd20::2\"",
					"\"10.10.0.9\"",
					"[\"10.20.0.2\",\"fd20::2\"]",
					"[\"192.0.2.1\",\"2001:db8::1\"]",
					"[\"10.20.0.2\",\"10.20.0.3\",\"fd20::3\"]",
					"[\"10.20.0.2\",\"fd20::2\",\"fd20::3\",\"10.20.0.4\"]",
					"[\"fd10::9\",\"fd20::4\",\"10.20.0.3\"]" };
static const char *const of_the_gateway[] = { "\"10.20.0.2\"",
					      "\"fd20::3\"",
					      "[\"10.20.0.1\",\"fd20::1\"]",
					      "\"127.0.0.1\"",
					      "[\"127.0.0.1\",\"fd20::2\"]",
					      "[\"127.0.0.1\",\"10.20.0.2\",\"10.30.0.1\"]",
					      "[\"10.20.0.2\",\"2001:db8::1\",\"fd20::1\"]" };
static const char *const any_port[] = { "7000", "7002", "\"preserve\"", "\"+100\"", "\"-200\"" };
/* "preserve" to the gateway would lead from the relay to itself. */
static const char *const other_port[] = { "7000", "7001", "\"+100\"", "\"-200\"" };
static const char *const world_fixed_ports[] = { "7000", "7001" };
/* Before user space, limits of all routes are counted first and lists come then: with the former
 * there are none of the latter. */
static const char *const limit_tops[] = {
	"\"maxConnectionsPerIP\":0,\"connectionRateLimitPerMinute\":0,",
	"\"maxConnectionsPerIP\":6,\"connectionRateLimitPerMinute\":0,",
	"\"maxConnectionsPerIP\":0,\"connectionRateLimitPerMinute\":8,",
};

static const struct property_client world_clients[] = {
	{ NS_CL, "10.10.0.2" }, { NS_CL, "10.10.0.3" }, { NS_CL, "10.10.0.5" },
	{ NS_CL, "10.10.0.7" }, { NS_CL, "10.10.0.8" }, { NS_CL, "10.10.0.66" },
	{ NS_C2, "10.30.0.2" }, { NS_A, "10.20.0.2" },	{ NS_GW, "10.10.0.1" },
	{ NS_GW, "127.0.0.1" }, { NS_CL, "fd10::2" },	{ NS_CL, "fd10::3" },
	{ NS_CL, "fd10::5" },	{ NS_CL, "fd10::8" },	{ NS_CL, "fd10::66" },
	{ NS_C2, "fd30::2" },	{ NS_A, "fd20::2" },	{ NS_GW, "fd10::1" },
};

/* ---- one file, three times ---- */

static struct route_world world_of(bool limits, const char *top)
{
	struct route_world w = { .locals = WORDS(world_locals),
				 .ranges = WORDS(world_ranges),
				 .hosts = WORDS(of_the_gateway),
				 .target_ports = WORDS(other_port),
				 .fixed_ports = WORDS(world_fixed_ports),
				 .first_port = PROPERTY_FIRST_PORT,
				 .n_ports = WORLD_PORTS,
				 .top = top,
				 .limits = limits,
				 .balances = true };

	if (limits) {
		w.hosts = (struct words)WORDS(all_work);
		w.target_ports = (struct words)WORDS(any_port);
		w.fixed_ports = (struct words){ any_port, 2 };
	}
	return w;
}

static bool make_variant(struct run *r, unsigned k, uint64_t seed)
{
	const struct plan_facts facts = { .host = &r->p.host, .have_relay = true };
	const struct config_options opt = { 0 };
	struct variant *v = &r->v[k];
	struct diags d = { 0 };
	struct route_world w;
	unsigned top;

	rng_state = seed * 0x9e3779b97f4a7c15ull;
	r->limits = rng(2);
	top = r->limits ? rng(N(limit_tops)) : 0;
	w = world_of(r->limits, limit_tops[top]);
	w.no_lists = r->common_limits = top > 0;
	w.engines = ENGINES_FREE + k;
	put_file(&v->text, &w);
	if (v->text.failed)
		exit(2);
	v->config = config_parse("random.json", v->text.data, v->text.len, &opt, &d);
	if (v->config)
		v->plan = plan_build(v->config, &facts, &d);
	diags_fini(&d);
	return v->plan && !v->plan->refused;
}

static void free_variants(struct run *r)
{
	for (unsigned k = 0; k < N_VARIANTS; k++) {
		plan_free(r->v[k].plan);
		config_free(r->v[k].config);
		buf_fini(&r->v[k].text);
		free(r->v[k].seen);
		r->v[k] = (struct variant){ 0 };
	}
}

/* ---- choosing connections ---- */

static uint16_t choose_port(const struct config *c)
{
	const struct cfg_match *m = &c->routes[rng(c->n_routes)].match;
	const struct port_range *p = &m->ports[rng(m->n_ports)];

	if (!rng(8))
		return (uint16_t)(p->from - rng(2));
	return (uint16_t)(p->from + rng(p->to - p->from + 1u));
}

static struct conn random_conn(const struct run *r, const struct config *c)
{
	return property_conn(&r->p, choose_port(c), IPPROTO_TCP, rng);
}

/* Where it counts, only what every tier can serve, or none. */
static bool suits(const struct run *r, const struct conn *conn)
{
	struct expected x;

	expect_by_matcher(r->v[0].config, conn, &x);
	if (!r->limits || x.route)
		return true;
	/* Before user space, whoever comes to a port is counted, whether a route has him or not. */
	if (r->common_limits)
		return false;
	expect_other_family(r->v[0].config, conn, &x);
	return !x.route;
}

/* Mostly those that some route has. */
static void choose_conns(struct run *r)
{
	const struct config *c = r->v[0].config;

	for (r->n_conns = 0; r->n_conns < PER_FILE; r->n_conns++) {
		struct conn *conn = &r->conns[r->n_conns];
		struct expected x = { 0 };

		for (unsigned tries = rng(6) ? 20 : 1; tries && !x.route; tries--) {
			*conn = random_conn(r, c);
			expect_by_matcher(c, conn, &x);
		}
		for (unsigned tries = 1000; !suits(r, conn); tries--) {
			if (!tries)
				return; /* the file has hardly any */
			*conn = random_conn(r, c);
		}
	}
}

/* ---- asking ---- */

static bool must(struct run *r, const char *command, const char *file)
{
	int code = property_spctl(&r->p, command, file);

	if (!code)
		return true;
	r->p.wrong++;
	printf("spctl %s: exit %d\n", command, code);
	property_show_messages(&r->p);
	return false;
}

/* The kernel's count of connections still has what ended, or was refused, less than two jiffies
 * ago (nf_conncount.c); each tier refuses at another place. */
static void let_forget(void)
{
	const struct timespec some_jiffies = { .tv_nsec = 12 * 1000 * 1000 };

	nanosleep(&some_jiffies, NULL);
}

static void ask(struct run *r, struct variant *v)
{
	for (unsigned i = 0; i < r->n_conns; i++) {
		const struct conn *conn = &r->conns[i];

		lab_connect(&r->p.lab, conn->client, IPPROTO_TCP, &conn->at.local, conn->at.port,
			    &v->seen[i]);
		if (r->limits && v->seen[i].outcome == LAB_REFUSED)
			let_forget();
	}
	if (!lab_enter(&r->p.lab, NS_GW) || !counts_read(r->p.spctl, &v->counts))
		exit(2);
	lab_release(&r->p.lab);
}

/* Nothing counted before it, and nothing left after it. */
static bool try_variant(struct run *r, struct variant *v)
{
	char path[512];

	property_write(&r->p, &v->text, path);
	v->seen = calloc(PER_FILE, sizeof(*v->seen));
	if (!v->seen || !lab_forget(&r->p.lab))
		exit(2);
	if (!must(r, "apply", path))
		return false;
	r->p.lab.hold = r->limits;
	ask(r, v);
	return must(r, "down", NULL);
}

static void try_file(struct property *p, uint64_t seed)
{
	struct run *r = (struct run *)p;
	bool ok = true;

	for (unsigned k = 0; k < N_VARIANTS && ok; k++)
		ok = make_variant(r, k, seed);
	if (ok) {
		r->files++;
		choose_conns(r);
		for (unsigned k = 0; k < N_VARIANTS && ok; k++)
			ok = try_variant(r, &r->v[k]);
	}
	if (ok)
		tiers_check(r);
	if (p->wrong)
		property_show_file(p, seed, &r->v[0].text);
	free_variants(r);
}

/* ---- all of them ---- */

int main(int argc, char **argv)
{
	static const struct property_world world = { .clients = WORDS(world_clients),
						     .locals = WORDS(world_locals),
						     .n_ports = WORLD_PORTS };
	static struct run r;

	if (!property_run(&r.p, &world, argc, argv, try_file))
		return 2;
	printf("%u files in 3 variants, %u of them with limits; %u connections in %.1f s: %u "
	       "served by the kernel, %u relayed, %u refused, %u of no route; %u wrong\n",
	       r.files, r.limited, r.asked, r.p.seconds, r.kernel, r.relayed, r.refused, r.nobody,
	       r.p.wrong);
	property_fini(&r.p);
	return r.p.wrong ? 1 : 0;
}
