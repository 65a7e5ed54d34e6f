/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which routes share chains and sets of their lists and limits, and what those are called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <linux/netfilter/nf_tables.h>

#include "ctl/nft/ruleset_compile.h"
#include "tests/unit/plan_fixture.h"

#define LIMITED(name, port, security)                                                      \
	"- {name: " name ", match: {ports: " port "}, action: {type: forward, " FX_A "}, " \
	"security: {" security "}}\n"

/* Route n of the file has the id first + n. */
static struct ruleset *compile(const char *head, const char *routes, uint32_t first)
{
	static uint32_t ids[64];
	const struct compile_options o = {
		.table = "spctl", .owner = "test", .generation = 7, .ids = ids
	};
	struct err e = { 0 };
	struct ruleset *rs;

	for (unsigned i = 0; i < 64; i++)
		ids[i] = first + i;
	if (!fx_plan_text(head, routes))
		fail_msg("no plan: %s", fx.diags.n ? fx.diags.v[0].msg : "-");
	rs = ruleset_compile(fx.plan, &o, &e);
	if (!rs)
		fail_msg("%s", e.msg);
	return rs;
}

/* The names of sets and chains that begin so, sorted, each with a space behind it. */
static const char *names(const struct ruleset *rs, const char *stem)
{
	static char out[4096];
	size_t n = 0;

	*out = '\0';
	for (size_t i = 0; i < rs->n_sets; i++)
		if (!strncmp(rs->sets[i]->def.name, stem, strlen(stem)))
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s ",
					      rs->sets[i]->def.name);
	for (size_t i = 0; i < rs->n_chains; i++)
		if (!strncmp(rs->chains[i]->name, stem, strlen(stem)))
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s ", rs->chains[i]->name);
	return out;
}

/* The chain that a plain port goes to because of its policy; "" = none. */
static const char *policy_of(const struct ruleset *rs, unsigned port)
{
	const struct rs_set *s = ruleset_find_set(rs, "pol4");
	const uint8_t key[8] = { IPPROTO_TCP, 0, 0, 0, (uint8_t)(port >> 8), (uint8_t)port, 0, 0 };

	for (size_t i = 0; s && i < s->n; i++) {
		const uint8_t *e = rs_elem(s, rs_set_stride(&s->def), i);

		if (!memcmp(e, key, sizeof(key)))
			return (const char *)e + sizeof(key) + 4;
	}
	return "";
}

static void routes_of_one_policy_share_its_chain_and_stay_elements(void **state)
{
	struct ruleset *rs =
		compile("",
			LIMITED("a", "80", "ipBlockList: [10.0.0.1], maxConnections: 5")
				LIMITED("b", "81", "maxConnections: 5, ipBlockList: [10.0.0.1/32]")
					LIMITED("c", "82",
						"maxConnections: 6, ipBlockList: [10.0.0.1]")
						FX_ROUTE("d", "ports: 83", FX_A),
			4);

	(void)state;
	assert_string_equal(policy_of(rs, 80), "plain4_4");
	assert_string_equal(policy_of(rs, 81), "plain4_4");
	assert_string_equal(policy_of(rs, 82), "plain6_4");
	assert_string_equal(policy_of(rs, 83), "");
	assert_string_equal(names(rs, "plain"), "plain4 plain4_4 plain6_4 ");
	assert_string_equal(names(rs, "pol"), "pol4 pol4_4 pol6_4 ");
	assert_string_equal(names(rs, "block"), "block4_4 ");
	assert_string_equal(names(rs, "route_"), "route_max5 route_max6 ");
	assert_int_equal(ruleset_find_set(rs, "id4")->n, 4);
	assert_null(ruleset_find_set(rs, "svc4"));
	ruleset_free(rs);
	fx_end();
}

static void what_defaults_say_bears_no_routes_number(void **state)
{
	static const char head[] = "defaults: {security: {ipAllowList: [10.0.0.0/8], "
				   "maxConnectionsPerIP: 3}}";
	struct ruleset *rs =
		compile(head,
			FX_ROUTE("a", "ports: 80", FX_A) FX_ROUTE("b", "ports: 81", FX_A)
				LIMITED("c", "82",
					"ipAllowList: [10.*.*.*], maxConnectionsPerIP: 3"),
			4);

	(void)state;
	for (unsigned port = 80; port <= 82; port++)
		assert_string_equal(policy_of(rs, port), "plain0_4");
	assert_string_equal(names(rs, "allow"), "allow0_4 ");
	assert_string_equal(names(rs, "pol"), "pol4 pol0_4 ");
	ruleset_free(rs);
	fx_end();
}

/* Without lists and limits of any route there is nothing of all this. */
static void nothing_is_written_that_nobody_asked_for(void **state)
{
	struct ruleset *rs = compile("maxConnectionsPerIP: 0\nconnectionRateLimitPerMinute: 0",
				     FX_ROUTE("a", "ports: 80", FX_A), 1);

	(void)state;
	assert_string_equal(names(rs, "lim"), "");
	assert_string_equal(names(rs, "pol"), "");
	assert_string_equal(names(rs, "no_"), "");
	assert_string_equal(names(rs, "refused"), "");
	assert_string_equal(names(rs, "rate"), "");
	assert_string_equal(names(rs, "conn"), "");
	ruleset_free(rs);
	fx_end();
}

/* The dynamic sets of a, all of b's being among them: what they count is not forgotten. */
static void assert_counts_of(const struct ruleset *b, const struct ruleset *a)
{
	for (size_t i = 0; i < b->n_sets; i++) {
		const struct rs_set_def *d = &b->sets[i]->def;
		const struct rs_set *o = ruleset_find_set(a, d->name);

		if ((d->flags & NFT_SET_EVAL) && (!o || !rs_set_def_equal(d, &o->def)))
			fail_msg("set %s is %s", d->name, o ? "another one" : "new");
	}
}

static void counts_survive_whatever_happens_to_other_routes(void **state)
{
	static const char lim[] = "maxConnections: 5, maxConnectionsPerIP: 2, connectionRate: 9";
	char three[1024], one[512];
	struct ruleset *a, *b;

	(void)state;
	snprintf(three, sizeof(three),
		 LIMITED("a", "80", "%s") LIMITED("b", "81", "%s")
			 LIMITED("c", "82", "%s, ipBlockList: [10.0.0.1]"),
		 lim, lim, lim);
	snprintf(one, sizeof(one), LIMITED("b", "81", "%s"), lim);
	a = compile("", three, 1);
	b = compile("", one, 2);
	assert_string_equal(policy_of(a, 81), "plain1_4");
	assert_string_equal(policy_of(b, 81), "plain2_4");
	assert_counts_of(b, a);
	assert_string_equal(names(b, "route_"), "route_conn2_4 route_max5 route_rate9_4 ");
	ruleset_free(a);
	ruleset_free(b);
	fx_end();
}

static void a_list_of_everybody_has_one_start_and_no_end(void **state)
{
	static const uint8_t zero[4];
	const struct rs_set *s;
	struct ruleset *rs = compile("", LIMITED("a", "80", "ipBlockList: ['*', 10.0.0.1]"), 1);

	(void)state;
	s = ruleset_find_set(rs, "block1_4");
	assert_non_null(s);
	assert_int_equal(s->n, 1);
	assert_memory_equal(rs_elem(s, rs_set_stride(&s->def), 0), zero, 4);
	assert_int_equal(rs_elem_flags(&s->def, rs_elem(s, rs_set_stride(&s->def), 0)), 0);
	ruleset_free(rs);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_of_one_policy_share_its_chain_and_stay_elements),
		cmocka_unit_test(what_defaults_say_bears_no_routes_number),
		cmocka_unit_test(nothing_is_written_that_nobody_asked_for),
		cmocka_unit_test(counts_survive_whatever_happens_to_other_routes),
		cmocka_unit_test(a_list_of_everybody_has_one_start_and_no_end),
	};

	return cmocka_run_group_tests_name("ruleset policy", tests, NULL, NULL);
}
