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
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/netns/tiers_check.h"
#include "tests/property/route_world.h"

#define FIRST_PORT  9001
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

static const struct {
	enum lab_ns ns;
	const char *addr;
} world_clients[] = {
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
				 .first_port = FIRST_PORT,
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
	const struct plan_facts facts = { .host = &r->host, .have_relay = true };
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
	struct conn conn = { .at.port = choose_port(c), .at.proto = IPPROTO_TCP };

	do {
		conn.client = &r->clients[rng(N(world_clients))];
		conn.at.client = conn.client->addr;
		conn.at.local = r->locals[rng(N(world_locals))];
	} while (!is_possible(&conn));
	return conn;
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

/* spctl's exit code; its messages go to DIR/spctl.err. */
static int call(const struct run *r, const char *command, const char *file)
{
	char messages[512];
	int status, fd;
	pid_t pid;

	snprintf(messages, sizeof(messages), "%s/spctl.err", r->dir);
	if (!lab_enter(&r->lab, NS_GW))
		return -1;
	pid = fork();
	if (!pid) {
		fd = open(messages, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execl(r->spctl, r->spctl, command, file, (char *)NULL);
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

	snprintf(path, sizeof(path), "%s/spctl.err", r->dir);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		printf("  %s", line);
	if (f)
		fclose(f);
}

static bool must(struct run *r, const char *command, const char *file)
{
	int code = call(r, command, file);

	if (!code)
		return true;
	r->wrong++;
	printf("spctl %s: exit %d\n", command, code);
	show_messages(r);
	return false;
}

static bool write_file(const char *path, const struct buf *b)
{
	FILE *f = fopen(path, "w");
	bool ok = f && fwrite(b->data, 1, b->len, f) == b->len;

	return f && !fclose(f) && ok;
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

		lab_connect(&r->lab, conn->client, IPPROTO_TCP, &conn->at.local, conn->at.port,
			    &v->seen[i]);
		if (r->limits && v->seen[i].outcome == LAB_REFUSED)
			let_forget();
	}
	if (!lab_enter(&r->lab, NS_GW) || !counts_read(r->spctl, &v->counts))
		exit(2);
	lab_release(&r->lab);
}

/* Nothing counted before it, and nothing left after it. */
static bool try_variant(struct run *r, struct variant *v)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/random.json", r->dir);
	v->seen = calloc(PER_FILE, sizeof(*v->seen));
	if (!v->seen || !write_file(path, &v->text) || !lab_forget(&r->lab))
		exit(2);
	if (!must(r, "apply", path))
		return false;
	r->lab.hold = r->limits;
	ask(r, v);
	return must(r, "down", NULL);
}

static void try_file(struct run *r, uint64_t seed)
{
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
	if (r->wrong)
		printf("%u wrong; repeat with SEED=%llu ROUNDS=1\n%.*s", r->wrong,
		       (unsigned long long)seed, (int)r->v[0].text.len, r->v[0].text.data);
	free_variants(r);
}

/* ---- all of them ---- */

/* The gateway serves none of the routes' own ports: a relay listens there. */
static bool serve_port(struct lab *l, uint16_t port, bool of_route)
{
	static const enum lab_ns all[] = { NS_CL, NS_A, NS_B, NS_FO };
	static const char *const some[] = { "127.0.0.1", "10.20.0.1", "fd20::1" };

	for (unsigned i = 0; i < N(all); i++)
		if (!lab_serve(l, all[i], NULL, port))
			return false;
	if (of_route || port != 7001)
		return of_route || lab_serve(l, NS_GW, NULL, port);
	for (unsigned i = 0; i < N(some); i++)
		if (!lab_serve(l, NS_GW, some[i], port))
			return false;
	return true;
}

static bool serve_all(struct lab *l)
{
	static const int offsets[] = { 0, 100, -200 };

	for (unsigned i = 0; i < N(offsets); i++)
		for (int port = FIRST_PORT; port < FIRST_PORT + WORLD_PORTS; port++)
			if (!serve_port(l, (uint16_t)(port + offsets[i]), !offsets[i]))
				return false;
	return serve_port(l, 7000, false) && serve_port(l, 7001, false) &&
	       serve_port(l, 7002, false);
}

static bool set_up(struct run *r)
{
	struct err e = { 0 };

	_Static_assert(N(world_clients) == TIERS_CLIENTS, "clients");
	_Static_assert(N(world_locals) == TIERS_LOCALS, "addresses");
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
	static struct run r;
	uint64_t seed = number_of("SEED", (uint64_t)time(NULL)), rounds = number_of("ROUNDS", 0);
	double seconds = (double)number_of("PACKETS_SECONDS", 15), start;

	if (argc != 3) {
		fputs("usage: tiers_property SPCTL DIR\n", stderr);
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
		try_file(&r, seed + n);
	printf("%u files in 3 variants, %u of them with limits; %u connections in %.1f s: %u "
	       "served by the kernel, %u relayed, %u refused, %u of no route; %u wrong\n",
	       r.files, r.limited, r.asked, now_s() - start, r.kernel, r.relayed, r.refused,
	       r.nobody, r.wrong);
	host_facts_fini(&r.host);
	lab_close(&r.lab);
	return r.wrong ? 1 : 0;
}
