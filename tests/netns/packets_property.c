/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packets_property: random route files are applied by spctl, and the kernel's
 * answer to random connections, made with real packets, has to be what the plan
 * says; the plan's answer has to be what the slow matcher says, which has nothing
 * but the config (a bug in the plan would be in both the plan and the table).
 * packets_planted.sh shows that it finds bugs; docs/TESTING.md has more.
 *
 * packets_property SPCTL DIR, in the lab; packets_property.sh makes that.
 *   SEED=N             of the first file; file n has SEED + n (default: the time)
 *   ROUNDS=N           so many files instead of a time
 *   PACKETS_SECONDS=N  so long (default 15)
 * Stops at the first file with a wrong answer, shows it and says how to repeat it.
 * Exit: 0 = all as planned, 1 = wrong answers, 2 = could not test.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ctl/host/host.h"
#include "tests/netns/packets_expect.h"
#include "tests/property/route_world.h"

#define FIRST_PORT  9001
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
	.first_port = FIRST_PORT,
	.n_ports = WORLD_PORTS,
	.top = "\"maxConnectionsPerIP\":0,\"connectionRateLimitPerMinute\":0,",
	.balances = true,
};

static const struct {
	enum lab_ns ns;
	const char *addr;
} world_clients[] = {
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
	const char *spctl, *dir;
	struct lab lab;
	struct host_facts host;
	struct lab_client clients[N(world_clients)];
	struct addr locals[N(world_locals)];
	unsigned files, applied, asked, led, refused, own, wrong;
};

/* ---- the lab's servers ---- */

/* In the gateway some listen on all its addresses, some on a few, and on most ports nobody does. */
static bool serve_gateway(struct lab *l, uint16_t port)
{
	static const char *const some[] = { "127.0.0.1", "10.20.0.1", "fd20::1" };

	if (port >= FIRST_PORT && port < FIRST_PORT + WORLD_PORTS && port % 8)
		return true;
	if (port != 7001)
		return lab_serve(l, NS_GW, NULL, port);
	for (unsigned i = 0; i < N(some); i++)
		if (!lab_serve(l, NS_GW, some[i], port))
			return false;
	return true;
}

static bool serve_port(struct lab *l, uint16_t port)
{
	static const enum lab_ns all[] = { NS_CL, NS_A, NS_B, NS_FO };

	for (unsigned i = 0; i < N(all); i++)
		if (!lab_serve(l, all[i], NULL, port))
			return false;
	return serve_gateway(l, port);
}

static bool serve_all(struct lab *l)
{
	static const int offsets[] = { 0, 100, -200 };

	for (unsigned i = 0; i < N(offsets); i++)
		for (int port = FIRST_PORT; port < FIRST_PORT + WORLD_PORTS; port++)
			if (!serve_port(l, (uint16_t)(port + offsets[i])))
				return false;
	return serve_port(l, 7000) && serve_port(l, 7001) && serve_port(l, 7002);
}

/* ---- choosing ---- */

/* Half of them at an end of some route's ports, a quarter anywhere. */
static uint16_t choose_port(const struct config *c)
{
	const struct cfg_match *m = &c->routes[rng(c->n_routes)].match;
	const struct port_range *p = &m->ports[rng(m->n_ports)];
	unsigned span = p->to - p->from + 1u;

	switch (rng(4)) {
	case 0:
		return (uint16_t)(FIRST_PORT - 1 + rng(WORLD_PORTS + 2));
	case 1:
		return (uint16_t)(p->from + rng(span));
	case 2:
		return (uint16_t)(p->from - rng(2));
	default:
		return (uint16_t)(p->to + rng(2));
	}
}

/* 127.0.0.1 is for the gateway alone, and as a source only for 127.0.0.1. */
static bool is_possible(const struct conn *conn)
{
	const struct addr *local = &conn->at.local, *client = &conn->at.client;

	if (local->family != client->family)
		return false;
	if (addr_is_loopback(client))
		return addr_is_loopback(local);
	return conn->client->ns == NS_GW || !addr_is_loopback(local);
}

static struct conn random_conn(const struct run *r, const struct config *c)
{
	struct conn conn = { .at.port = choose_port(c),
			     .at.proto = rng(2) ? IPPROTO_TCP : IPPROTO_UDP };

	do {
		conn.client = &r->clients[rng(N(world_clients))];
		conn.at.client = conn.client->addr;
		conn.at.local = r->locals[rng(N(world_locals))];
	} while (!is_possible(&conn));
	return conn;
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
	lab_connect(&r->lab, conn.client, conn.at.proto, &conn.at.local, conn.at.port, &s);
	count(r, &matcher);
	one = matcher;
	if (expected_equal(&matcher, &plan))
		expect_one_by_hash(p, &conn, &one);
	if (expected_equal(&matcher, &plan) && expected_is_seen(&r->lab, &conn, &one, &s)) {
		if (matcher.route)
			tally(&tallies[2 * matcher.route->index +
				       (conn.at.client.family == ADDR_V6)],
			      &matcher, &s);
		return;
	}
	r->wrong++;
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
		r->wrong++;
		printf("route %s: %s port %u got %u of %u connections, due were %.1f\n",
		       t->route->name, addr_format(&t->x.targets[i].addr, text),
		       t->x.targets[i].port, t->seen[i], t->n, due);
	}
}

static void ask_all(struct run *r, const struct config *c, const struct plan *p)
{
	struct tally *tallies = calloc(2 * c->n_routes, sizeof(*tallies));

	/* Each that meets silence takes seconds. */
	for (unsigned i = 0; i < PER_FILE && tallies && r->wrong < SHOW_WRONG; i++)
		ask(r, c, p, tallies);
	for (unsigned i = 0; i < 2 * c->n_routes && tallies; i++)
		check_tally(r, &tallies[i]);
	free(tallies);
}

/* ---- one file ---- */

/* spctl's exit code; its messages go to DIR/apply.err. */
static int apply(const struct run *r, const char *file)
{
	char messages[512];
	int status, fd;
	pid_t pid;

	snprintf(messages, sizeof(messages), "%s/apply.err", r->dir);
	if (!lab_enter(&r->lab, NS_GW))
		return -1;
	pid = fork();
	if (!pid) {
		fd = open(messages, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execl(r->spctl, r->spctl, "apply", file, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void show_messages(const struct run *r)
{
	char path[512], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/apply.err", r->dir);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		printf("  %s", line);
	if (f)
		fclose(f);
}

static bool write_file(const char *path, const struct buf *b)
{
	FILE *f = fopen(path, "w");
	bool ok = f && fwrite(b->data, 1, b->len, f) == b->len;

	return f && !fclose(f) && ok;
}

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
	if (!lab_forget(&r->lab))
		exit(2);
	code = apply(r, path);
	r->files++;
	r->applied += can_be;
	if ((code == 0) != can_be) {
		r->wrong++;
		printf("spctl apply: exit %d, but the plan %s\n", code,
		       can_be ? "has nothing against it" : "cannot be had");
		show_messages(r);
	} else if (can_be) {
		ask_all(r, c, p);
	}
}

static void random_file(struct run *r, uint64_t seed)
{
	const struct plan_facts facts = { .host = &r->host, .have_relay = true };
	const struct config_options opt = { 0 };
	struct diags d = { 0 };
	struct buf b = { 0 };
	struct plan *p = NULL;
	struct config *c;
	char path[512];

	rng_state = seed * 0x9e3779b97f4a7c15ull;
	put_file(&b, &lab_world);
	snprintf(path, sizeof(path), "%s/random.json", r->dir);
	if (b.failed || !write_file(path, &b))
		exit(2);
	c = config_parse(path, b.data, b.len, &opt, &d);
	if (c)
		p = plan_build(c, &facts, &d);
	try_file(r, path, c, p);
	if (r->wrong)
		printf("%u wrong; repeat with SEED=%llu ROUNDS=1\n%.*s", r->wrong,
		       (unsigned long long)seed, (int)b.len, b.data);
	plan_free(p);
	config_free(c);
	diags_fini(&d);
	buf_fini(&b);
}

/* ---- all of them ---- */

static bool set_up(struct run *r)
{
	struct err e = { 0 };

	for (unsigned i = 0; i < N(world_clients); i++) {
		r->clients[i].ns = world_clients[i].ns;
		addr_parse(world_clients[i].addr, &r->clients[i].addr);
	}
	for (unsigned i = 0; i < N(world_locals); i++)
		addr_parse(world_locals[i], &r->locals[i]);
	if (!lab_open(&r->lab) || !serve_all(&r->lab) || !lab_enter(&r->lab, NS_GW))
		return false;
	if (!host_facts_read(&r->host, &e))
		return true;
	fprintf(stderr, "%s\n", e.msg);
	return false;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	struct run r = { 0 };
	uint64_t seed = number_of("SEED", (uint64_t)time(NULL)), rounds = number_of("ROUNDS", 0);
	double seconds = (double)number_of("PACKETS_SECONDS", 15), start;

	if (argc != 3) {
		fputs("usage: packets_property SPCTL DIR\n", stderr);
		return 2;
	}
	r.spctl = argv[1];
	r.dir = argv[2];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!set_up(&r))
		return 2;
	printf("SEED=%llu\n", (unsigned long long)seed);
	start = now_s();
	for (uint64_t n = 0; !r.wrong && (rounds ? n < rounds : now_s() - start < seconds); n++)
		random_file(&r, seed + n);
	printf("%u files, %u applied; %u connections in %.1f s: %u led, %u refused, %u to the "
	       "gateway itself; %u wrong\n",
	       r.files, r.applied, r.asked, now_s() - start, r.led, r.refused, r.own, r.wrong);
	host_facts_fini(&r.host);
	lab_close(&r.lab);
	return r.wrong ? 1 : 0;
}
