/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single ways through compiled tables: what the steps say, what is left open, and
 * what a table that was changed by hand does. Which route and which targets a
 * packet gets is walk_property_test.c's business.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <netinet/in.h>

#include <linux/netfilter.h>

#include "ctl/nft/ruleset_compile.h"
#include "ctl/nft/ruleset_walk.h"
#include "tests/unit/plan_fixture.h"

static struct {
	struct ruleset *have, *want;
	struct walk_world world;
	struct walk walk;
	long live; /* connections of anybody and everybody */
	bool hairpin;
	int there;	/* have dynamic sets the element that is asked for? */
	char asked[90]; /* of which one it was asked last, without rates: "conn100_4 0a000009" */
} t;

static bool fix_hairpin(const struct addr *client, const struct addr *target, void *arg)
{
	(void)client;
	(void)target;
	(void)arg;
	return t.hairpin;
}

static long fix_live(uint32_t route, const struct addr *client, void *arg)
{
	(void)route;
	(void)client;
	(void)arg;
	return t.live;
}

static int fix_has(const char *set, const void *key, uint32_t len, void *arg)
{
	const uint8_t *bytes = key;

	(void)arg;
	if (strstr(set, "rate"))
		return t.there;
	snprintf(t.asked, sizeof(t.asked), "%s ", set);
	for (uint32_t i = 0; i < len; i++)
		snprintf(t.asked + strlen(t.asked), sizeof(t.asked) - strlen(t.asked), "%02x",
			 bytes[i]);
	return t.there;
}

static bool fix_local(const struct addr *a, void *arg)
{
	(void)arg;
	return addr_is_loopback(a) || a->bytes[1] == 1; /* 10.1.0.0/16, fd01::/16 */
}

static struct ruleset *compile(bool guard)
{
	const struct compile_options o = { .table = "spctl",
					   .owner = "walk",
					   .generation = 7,
					   .guard_v4 = guard,
					   .ids = (const uint32_t[]){ 1, 2, 3, 4, 5, 6, 7, 8 } };
	struct err e = { 0 };
	struct ruleset *rs = ruleset_compile(fx.plan, &o, &e);

	if (!rs)
		fail_msg("%s", e.msg);
	return rs;
}

/* Two tables, one as it should be and one to change. */
static void start(const char *routes, bool guard)
{
	fx_plan(routes);
	memset(&t, 0, sizeof(t));
	t.have = compile(guard);
	t.want = compile(guard);
	t.world = (struct walk_world){ .have = t.have,
				       .want = t.want,
				       .is_local = fix_local,
				       .is_hairpin = fix_hairpin,
				       .live = fix_live };
}

static void end(void)
{
	walk_fini(&t.walk);
	ruleset_free(t.have);
	ruleset_free(t.want);
	fx_end();
}

/* "10.1.0.1" or "" for what is not known */
static void ask(const char *proto, unsigned port, const char *address, const char *client,
		bool local)
{
	struct walk_packet p = { .local = local,
				 .family = ADDR_V4,
				 .proto = strcmp(proto, "udp") ? IPPROTO_TCP : IPPROTO_UDP,
				 .port = (uint16_t)port };

	if (*address && !addr_parse(address, &p.address))
		fail_msg("%s", address);
	if (*client && !addr_parse(client, &p.client))
		fail_msg("%s", client);
	if (p.address.family == ADDR_V6 || p.client.family == ADDR_V6)
		p.family = ADDR_V6;
	walk_fini(&t.walk);
	assert_int_equal(walk_run(&t.world, &p, &t.walk), 0);
}

static void ask4(unsigned port, const char *client)
{
	ask("tcp", port, "10.1.0.1", client, false);
}

static void show(void)
{
	for (size_t i = 0; i < t.walk.n_steps; i++)
		print_message("%s: %s: %s -> %s\n", t.walk.steps[i].chain, t.walk.steps[i].object,
			      t.walk.steps[i].key, t.walk.steps[i].result);
}

/* Is there a step like that? "" = anything; the result need only begin so. */
static bool has_step(const char *chain, const char *object, const char *key, const char *result)
{
	for (size_t i = 0; i < t.walk.n_steps; i++) {
		const struct walk_step *s = &t.walk.steps[i];

		if ((!*chain || !strcmp(s->chain, chain)) && !strcmp(s->object, object) &&
		    (!*key || !strcmp(s->key, key)) && !strncmp(s->result, result, strlen(result)))
			return true;
	}
	return false;
}

#define STEP(chain, object, key, result)                                                  \
	do {                                                                              \
		if (!has_step(chain, object, key, result)) {                              \
			show();                                                           \
			fail_msg("no step %s: %s: %s -> %s", chain, object, key, result); \
		}                                                                         \
	} while (0)

static void verdict(enum walk_verdict v)
{
	if (t.walk.verdict != v) {
		show();
		fail_msg("%s, not %s", walk_verdict_name(t.walk.verdict), walk_verdict_name(v));
	}
}

static const char *only_target(void)
{
	static char out[ADDR_TEXT + 8];
	char text[ADDR_TEXT];

	if (t.walk.n_targets != 1)
		return "not one";
	snprintf(out, sizeof(out), "%s %u", addr_format(&t.walk.targets[0].addr, text),
		 t.walk.targets[0].port);
	return out;
}

/* ---- the whole way ---- */

static void one_port_one_target(void **state)
{
	(void)state;
	start(FX_ROUTE("web", "ports: 80, transport: all", FX_TARGET("10.2.0.2", "8080")), true);
	for (unsigned i = 0; i < 2; i++) {
		ask(i ? "udp" : "tcp", 80, "10.1.0.1", "10.0.0.9", false);
		verdict(WALK_LED);
		STEP("pre", "fib daddr type", "10.1.0.1", "local");
		STEP("dec4", "map id4", i ? "udp . 80" : "tcp . 80", "route 1");
		STEP("", "set rate300_4", "10.0.0.9, all routes", "at most 300 new a minute");
		STEP("", "set conn100_4", "10.0.0.9, all routes", "at most 0 counted, 100 may be");
		STEP("plain4", "set new", "route 1", "let in");
		STEP("plain4", "map to4", "", "10.2.0.2 . 8080");
		STEP("plain4", "dnat", "", "to 10.2.0.2:8080");
		STEP("forw", "set up", "route 1", "");
		STEP("forw", "set down", "route 1", "");
		STEP("post", "masquerade", "", "");
		assert_string_equal(only_target(), "10.2.0.2 8080");
		assert_true(t.walk.masqueraded && t.walk.forwarded && !t.walk.by_client);
	}
	/* Through this host, to another: dropped by the guard where spctl turned forwarding on. */
	ask("tcp", 80, "192.0.2.1", "10.0.0.9", false);
	verdict(WALK_DROPPED);
	STEP("forw", "forwarding is on for our routes only", "", "dropped");
	ask("tcp", 81, "10.1.0.1", "10.0.0.9", false);
	verdict(WALK_PASSES);
	STEP("dec4", "map id4", "tcp . 81", "no element");
	/* That IPv6 has no route is no table's fault. */
	ask("tcp", 80, "fd01::1", "fd00::9", false);
	verdict(WALK_PASSES);
	end();
	start(FX_ROUTE("web", "ports: 80", FX_A), false);
	ask("tcp", 80, "192.0.2.1", "10.0.0.9", false);
	verdict(WALK_PASSES);
	end();
}

static void from_this_host_itself(void **state)
{
	(void)state;
	start(FX_ROUTE("web", "ports: 80", "targets: [{host: [10.2.0.2, 'fd02::2'], port: 80}]"),
	      false);
	ask("tcp", 80, "127.0.0.1", "127.0.0.1", true);
	verdict(WALK_LED);
	STEP("out", "fib daddr type", "127.0.0.1", "local");
	STEP("outp", "set up", "route 1", "");
	assert_true(t.walk.masqueraded && t.walk.forwarded);
	ask("tcp", 80, "fd01::1", "fd01::1", true);
	verdict(WALK_LED);
	assert_string_equal(only_target(), "fd02::2 80");
	ask("tcp", 80, "::1", "::1", true);
	verdict(WALK_PASSES);
	STEP("out", "ip6 daddr ::1", "", "left alone");
	end();
}

static void targets_on_this_host(void **state)
{
	struct fx_host host = { 0 };

	(void)state;
	fx_local(&host, "10.1.0.1");
	fx_listen(&host, IPPROTO_TCP, "0.0.0.0", 8080);
	start(FX_ROUTE("any", "ports: 80", FX_TARGET("127.0.0.1", "8080"))
		      FX_ROUTE("lo", "ports: 81", FX_TARGET("127.0.0.1", "8081")),
	      false);
	ask4(80, "10.0.0.9");
	verdict(WALK_LED);
	assert_true(t.walk.redirected && !t.walk.forwarded);
	assert_int_equal(t.walk.targets[0].port, 8080);
	STEP("inp", "set up", "route 1", "");
	ask4(81, "10.0.0.9");
	verdict(WALK_LED);
	assert_string_equal(only_target(), "127.0.0.1 8081");
	assert_true(t.walk.targets[0].local && !t.walk.forwarded && !t.walk.masqueraded);
	/* Nobody outside talks to 127.0.0.1 itself. */
	ask("tcp", 81, "127.0.0.1", "10.0.0.9", false);
	verdict(WALK_DROPPED);
	STEP("lo127", "nobody outside talks to 127.0.0.0/8", "", "dropped");
	end();
	fx_host_end(&host);
}

static void hairpin_and_kept_source(void **state)
{
	(void)state;
	start(FX_ROUTE("keep", "ports: 80",
		       "targets: [{host: 10.2.0.2, port: 80}], nftables: {preserveSourceIP: true}"),
	      false);
	ask4(80, "10.0.0.9");
	assert_true(!t.walk.masqueraded && !t.walk.hairpin);
	t.hairpin = true;
	ask4(80, "10.2.0.9");
	assert_true(t.walk.masqueraded && t.walk.hairpin);
	STEP("forw", "hairpin", "", "client and target are behind one interface");
	end();
}

static void ports_of_ranges_and_offsets(void **state)
{
	(void)state;
	start(FX_ROUTE("up", "ports: 9000-9003", FX_TARGET("10.2.0.2", "'+1000'"))
		      FX_ROUTE("same", "ports: 7000-7999", FX_TARGET("10.2.0.2", "preserve"))
			      FX_ROUTE("at", "ports: 7100-7200, address: 10.1.0.1",
				       FX_TARGET("10.2.0.3", "80")),
	      false);
	ask4(9003, "10.0.0.9");
	assert_string_equal(only_target(), "10.2.0.2 10003");
	ask4(7999, "10.0.0.9");
	assert_string_equal(only_target(), "10.2.0.2 7999");
	STEP("rest4", "map range_t4", "7999", "7000-7999: chain r2_4");
	ask4(7150, "10.0.0.9");
	assert_string_equal(only_target(), "10.2.0.3 80");
	/* At no address in particular: the others', and that there is one. */
	ask("tcp", 7150, "", "10.0.0.9", false);
	assert_string_equal(only_target(), "10.2.0.2 7150");
	assert_true(t.walk.by_address);
	STEP("dec4", "map adr4", "", "one address has a key of its own");
	ask("tcp", 7250, "", "10.0.0.9", false);
	assert_false(t.walk.by_address);
	end();
}

/* ---- clients ---- */

#define CLIENTS                                                                       \
	FX_ROUTE("few", "ports: 80, clientIp: [10.0.0.0/8, 192.168.1.1]", FX_A)       \
	"- {name: lists, match: {ports: 81}, security: {ipBlockList: [10.0.0.0/29], " \
	"ipAllowList: [10.0.0.0/8], maxConnections: 5, maxConnectionsPerIP: 3, "      \
	"connectionRate: 40}, action: {type: forward, targets: [{host: 10.2.0.2, port: 80}]}}\n"

static void a_client_that_is_not_known(void **state)
{
	(void)state;
	start(CLIENTS, false);
	ask4(80, "");
	verdict(WALK_OPEN);
	assert_true(t.walk.by_client && !t.walk.label[0]);
	assert_true(strstr(t.walk.steps[t.walk.n_steps - 1].result,
			   "10.0.0.0/8 to r1_4, 192.168.1.1 to r1_4"));
	ask4(80, "192.168.1.1");
	verdict(WALK_LED);
	ask4(80, "192.168.1.2");
	verdict(WALK_PASSES);
	ask4(81, "");
	verdict(WALK_LED); /* who is on no list */
	assert_true(t.walk.by_client);
	STEP("", "set block2_4", "each client", "depends on the client: 1 range");
	STEP("", "set allow2_4", "each client", "depends on the client: 1 range");
	STEP("", "set conn100_4", "each client, all routes", "at most 100 at once");
	end();
}

static void lists_and_limits_say_what_they_found(void **state)
{
	(void)state;
	start(CLIENTS, false);
	ask4(81, "10.0.0.7");
	verdict(WALK_REFUSED);
	assert_int_equal(t.walk.refusal, REFUSED_LIST);
	STEP("", "set block2_4", "10.0.0.7", "in 10.0.0.0/29: refused");
	STEP("no_list", "set refused_list", "route 2", "refused");
	STEP("no_list", "route_ip_blocked", "", "TCP reset");
	ask4(81, "11.0.0.0");
	STEP("", "set allow2_4", "11.0.0.0", "not in it: refused");
	assert_int_equal(t.walk.refusal, REFUSED_LIST);
	t.live = 2;
	ask4(81, "10.0.0.8");
	verdict(WALK_LED);
	STEP("", "set route_conn3_4", "10.0.0.8, route 2", "at most 2 counted, 3 may be");
	t.live = 3;
	ask4(81, "10.0.0.8");
	assert_int_equal(t.walk.refusal, REFUSED_IP);
	STEP("", "set route_conn3_4", "10.0.0.8, route 2", "at most 3 counted, 3 may be: refused");
	STEP("no_ip", "ip_limit", "", "TCP reset");
	t.live = 5;
	ask4(80, "10.0.0.8"); /* another route */
	verdict(WALK_LED);
	t.live = 100;
	ask4(80, "10.0.0.8");
	assert_int_equal(t.walk.refusal, REFUSED_IP);
	STEP("", "set conn100_4", "10.0.0.8, all routes",
	     "at most 100 counted, 100 may be: refused");
	ask("udp", 81, "10.1.0.1", "10.0.0.8", false);
	verdict(WALK_PASSES);
	end();
}

/* Connections that were open before their limit was are in no element: they do not count. */
static void only_an_element_counts(void **state)
{
	(void)state;
	start(CLIENTS, false);
	t.world.has = fix_has;
	t.live = 200;
	ask4(81, "10.0.0.8");
	verdict(WALK_LED);
	assert_false(t.walk.count_open || t.walk.rate_open);
	STEP("", "set conn100_4", "10.0.0.8, all routes", "nobody counted, 100 may be");
	STEP("", "set route_conn3_4", "10.0.0.8, route 2", "nobody counted, 3 may be");
	STEP("", "set route_max5", "route 2", "nobody counted, 5 may be");
	assert_string_equal(t.asked, "route_max5 02000000000000000000000000000000");
	t.there = 1;
	ask4(81, "10.0.0.8");
	verdict(WALK_REFUSED);
	assert_true(t.walk.count_open);
	STEP("", "set conn100_4", "10.0.0.8, all routes", "at most 200 counted, 100 may be: ref");
	assert_string_equal(t.asked, "conn100_4 0a000008");
	t.live = 2;
	ask4(81, "10.0.0.8");
	verdict(WALK_LED);
	assert_true(t.walk.rate_open && !t.walk.count_open);
	STEP("", "set route_conn3_4", "10.0.0.8, route 2", "at most 2 counted, 3 may be");
	end();
}

static void an_ipv6_client_counts_as_its_64(void **state)
{
	(void)state;
	start(FX_ROUTE("six", "ports: 80", FX_TARGET("fd02::2", "80")), false);
	ask("tcp", 80, "fd01::1", "fd00::1:2:3:4", false);
	verdict(WALK_LED);
	STEP("", "set conn100_6", "fd00::/64, all routes", "at most 0 counted, 100 may be");
	assert_string_equal(only_target(), "fd02::2 80");
	end();
}

/* ---- several targets ---- */

#define POOL                                                         \
	FX_ROUTE("pool", "ports: 80",                                \
		 "targets: [{host: 10.2.0.2, port: 80, weight: 3}, " \
		 "{host: 10.2.0.3, port: 81, weight: 1}]")

static void shares_are_those_of_the_slots(void **state)
{
	(void)state;
	start(POOL, false);
	ask4(80, "10.0.0.9");
	verdict(WALK_LED);
	assert_int_equal(t.walk.n_targets, 2);
	assert_int_equal(t.walk.shares, 4);
	assert_int_equal(t.walk.targets[0].share, 3);
	assert_int_equal(t.walk.targets[0].port, 80);
	assert_int_equal(t.walk.targets[1].share, 1);
	assert_int_equal(t.walk.targets[1].port, 81);
	assert_int_not_equal(t.walk.targets[0].label[3], t.walk.targets[1].label[3]);
	assert_int_equal(t.walk.label[3], 0);
	STEP("r1_4", "map slot4", "in turn, 4 slots", "2 targets");
	STEP("r1_4", "map target4", "3 of 4", "10.2.0.2 . 80");
	STEP("r1_4", "dnat", "", "to one of 2 targets");
	end();
}

/* (That it is the kernel's hash is for tests/netns/explain_walk.sh, with real packets.) */
static void a_client_hash_names_the_slot(void **state)
{
	static const char *const clients[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4" };
	unsigned first = 0;

	(void)state;
	start(FX_ROUTE("hash", "ports: 80",
		       "targets: [{host: [10.2.0.2, 10.2.0.3], port: 80}], "
		       "loadBalancing: {algorithm: ip-hash}"),
	      false);
	for (unsigned i = 0; i < 4; i++) {
		ask4(80, clients[i]);
		verdict(WALK_LED);
		assert_int_equal(t.walk.n_targets, 1);
		assert_int_equal(t.walk.shares, 1);
		first += t.walk.targets[0].addr.bytes[3] == 2;
	}
	assert_true(first < 4);
	ask4(80, "");
	verdict(WALK_LED);
	assert_true(t.walk.by_client);
	assert_int_equal(t.walk.n_targets, 2);
	assert_int_equal(t.walk.shares, 1024);
	assert_int_equal(t.walk.targets[0].share + t.walk.targets[1].share, 1024);
	end();
}

/* ---- changed by hand ---- */

static struct rs_set *set_of(const char *name)
{
	struct rs_set *s = ruleset_find_set(t.have, name);

	if (!s || !s->n)
		fail_msg("no set %s", name);
	return s;
}

static void take_element(const char *set, size_t k)
{
	struct rs_set *s = set_of(set);
	size_t stride = rs_set_stride(&s->def);

	memmove(rs_elem(s, stride, k), rs_elem(s, stride, k + 1), (s->n - k - 1) * stride);
	s->n--;
}

static void what_a_missing_element_does(void **state)
{
	(void)state;
	start(POOL FX_ROUTE("web", "ports: 81", FX_A), false);
	take_element("slot4", 0);
	ask4(80, "10.0.0.9");
	verdict(WALK_LED);
	assert_int_equal(t.walk.shares, 4);
	assert_int_equal(t.walk.targets[0].share + t.walk.targets[1].share, 3);
	take_element("target4", 0);
	ask4(80, "10.0.0.9");
	STEP("r1_4", "map target4", "", "no element: leads nowhere");
	take_element("to4", 0);
	ask4(81, "10.0.0.9");
	verdict(WALK_PASSES); /* with its label, and counted: but nobody translates */
	assert_int_equal(t.walk.label[0], 2);
	STEP("plain4", "map to4", "tcp . 81", "no element");
	STEP("inp", "set up", "route 2", "");
	take_element("id4", 0);
	ask4(81, "10.0.0.9");
	verdict(WALK_PASSES);
	assert_int_equal(t.walk.label[0], 0);
	end();
}

static void rules_of_somebody_else_end_the_walk(void **state)
{
	struct rs_chain *c;

	(void)state;
	start(POOL FX_ROUTE("web", "ports: 81", FX_A), false);
	c = ruleset_find_chain(t.have, "r1_4");
	c->rules[1].hash = 0;
	ask4(80, "10.0.0.9");
	verdict(WALK_UNKNOWN);
	assert_true(t.walk.changed);
	STEP("r1_4", "rule", "2", "is not spctl's");
	ask4(81, "10.0.0.9"); /* does not come by there */
	verdict(WALK_LED);
	assert_false(t.walk.changed);
	end();
}

static struct rs_chain *chain_with(const char *object)
{
	for (size_t k = 0; k < t.walk.n_steps; k++)
		if (!strcmp(t.walk.steps[k].object, object))
			return ruleset_find_chain(t.have, t.walk.steps[k].chain);
	fail_msg("nobody looks into %s", object);
	return NULL;
}

/* The kernel goes on with what is left of a chain, and so does the walk: without the rule of the
 * blocked, the next answer is that of those who are allowed. */
static void a_missing_rule_is_told_and_passed(void **state)
{
	struct rs_chain *c;
	size_t at;

	(void)state;
	start(CLIENTS, false);
	ask4(81, "10.0.0.7");
	assert_int_equal(t.walk.refusal, REFUSED_LIST);
	c = chain_with("set block2_4");
	/* Its number: the first whose loss lets the client through. */
	for (at = 0; at < c->n; at++) {
		struct rs_rule gone = c->rules[at];

		memmove(&c->rules[at], &c->rules[at + 1], (c->n - at - 1) * sizeof(gone));
		c->n--;
		ask4(81, "10.0.0.7");
		assert_true(t.walk.changed);
		STEP("", c->name[0] == 'r' ? "chain r2_4" : "chain pol2_4", "",
		     "was changed by hand: 1 of its ");
		memmove(&c->rules[at + 1], &c->rules[at], (c->n - at) * sizeof(gone));
		c->rules[at] = gone;
		c->n++;
		if (t.walk.verdict == WALK_LED)
			break;
	}
	assert_true(at < c->n);
	end();
}

static void a_set_of_another_shape_ends_the_walk(void **state)
{
	(void)state;
	start(POOL, false);
	set_of("slot4")->foreign = true;
	ask4(80, "10.0.0.9");
	verdict(WALK_UNKNOWN);
	STEP("r1_4", "slot4", "", "was changed by hand");
	end();
}

static void a_base_chain_of_somebody_else_is_told(void **state)
{
	const struct rs_hook hook = { "filter", NF_INET_FORWARD, -10 };
	struct ruleset *rs;
	struct err e = { 0 };

	(void)state;
	start(FX_ROUTE("web", "ports: 80", FX_A), false);
	/* A table with that chain alone: what stands in ours is not followed any more. */
	rs = ruleset_new("spctl", "walk", 7);
	ruleset_chain(rs, "theirs", &hook, RS_NO_PLACE);
	assert_int_equal(ruleset_seal(rs, &e), 0);
	t.world.have = rs;
	ask("tcp", 80, "192.0.2.1", "10.0.0.9", false);
	verdict(WALK_PASSES);
	assert_true(t.walk.changed);
	STEP("theirs", "chain theirs", "", "is not spctl's");
	ruleset_free(rs);
	end();
}

static void no_table_no_steps(void **state)
{
	struct err e = { 0 };
	struct ruleset *rs = ruleset_new("spctl", "", 0);

	(void)state;
	start(FX_ROUTE("web", "ports: 80", FX_A), false);
	assert_int_equal(ruleset_seal(rs, &e), 0);
	rs->exists = false;
	t.world.have = rs;
	ask4(80, "10.0.0.9");
	verdict(WALK_PASSES);
	assert_int_equal(t.walk.n_steps, 0);
	ruleset_free(rs);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_port_one_target),
		cmocka_unit_test(from_this_host_itself),
		cmocka_unit_test(targets_on_this_host),
		cmocka_unit_test(hairpin_and_kept_source),
		cmocka_unit_test(ports_of_ranges_and_offsets),
		cmocka_unit_test(a_client_that_is_not_known),
		cmocka_unit_test(lists_and_limits_say_what_they_found),
		cmocka_unit_test(only_an_element_counts),
		cmocka_unit_test(an_ipv6_client_counts_as_its_64),
		cmocka_unit_test(shares_are_those_of_the_slots),
		cmocka_unit_test(a_client_hash_names_the_slot),
		cmocka_unit_test(what_a_missing_element_does),
		cmocka_unit_test(rules_of_somebody_else_end_the_walk),
		cmocka_unit_test(a_missing_rule_is_told_and_passed),
		cmocka_unit_test(a_set_of_another_shape_ends_the_walk),
		cmocka_unit_test(a_base_chain_of_somebody_else_is_told),
		cmocka_unit_test(no_table_no_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
