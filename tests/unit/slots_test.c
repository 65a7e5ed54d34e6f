/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slots of hashed routes: nobody goes without, and whose clients stay when the
 * number of targets changes. And targets that differ by family: ::1, and whose
 * port a route's chain and explain take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/cli/cmd.h"
#include "ctl/nft/ruleset_compile.h"
#include "ctl/nft/ruleset_compile_internal.h"
#include "tests/unit/plan_fixture.h"

#define N_NETS 30 /* sets of keys */
#define OWNER  "0123456789abcdef0123456789abcdef"

static uint64_t keys[MAX_SLOTS + 1];
static unsigned weights[MAX_SLOTS + 1];
static uint16_t before[MAX_SLOTS], after[MAX_SLOTS];

/* As the compiler makes them, from neighbouring addresses of network `net`. */
static void fill_keys(unsigned net)
{
	for (unsigned i = 0; i <= MAX_SLOTS; i++) {
		uint8_t address[16] = { 10, (uint8_t)net, (uint8_t)(i >> 8), (uint8_t)i };
		uint64_t h = 0xcbf29ce484222325ull;

		for (unsigned k = 0; k < 16; k++)
			h = (h ^ address[k]) * 0x100000001b3ull;
		keys[i] = h;
		weights[i] = 1;
	}
}

/* ---- everyone has a slot ---- */

static void a_target_without_a_slot_is_refused(void **state)
{
	static const unsigned refused[] = { 2000, MAX_SLOTS, MAX_SLOTS + 1 };

	(void)state;
	fill_keys(2);
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		assert_int_equal(slots_hash(keys, weights, refused[i], before), 0);
	/* One in 8001 of 1024 slots. */
	for (unsigned i = 1; i < 32; i++)
		weights[i] = 256;
	assert_int_equal(slots_hash(keys, weights, 32, before), 0);
	/* Nobody's share is nothing. */
	weights[0] = 0;
	assert_int_equal(slots_hash(keys, weights, 32, before), 1024);
	assert_int_equal(slots_hash(keys, weights, 1, before), 0);
}

static void what_is_not_refused_gives_each_target_a_slot(void **state)
{
	(void)state;
	fill_keys(2);
	for (unsigned n = 1; n <= 300; n += 13) {
		unsigned total = slots_hash(keys, weights, n, before), has = 0;
		bool seen[300] = { false };

		assert_int_equal(total, n <= 32 ? 1024 : 4096);
		for (unsigned s = 0; s < total; s++) {
			has += !seen[before[s]];
			seen[before[s]] = true;
		}
		assert_int_equal(has, n);
	}
}

/* ---- who stays ---- */

/* The share of all clients that keep their target when the table of n targets becomes that of
 * m: the kernel takes slot hash * slots / 2^32. */
static double staying(unsigned n, unsigned m)
{
	unsigned a = slots_hash(keys, weights, n, before), b = slots_hash(keys, weights, m, after);
	unsigned stay = 0;

	assert_true(a && b);
	for (unsigned s = 0; s < MAX_SLOTS; s++)
		stay += before[s * a / MAX_SLOTS] == after[s * b / MAX_SLOTS];
	return (double)stay / MAX_SLOTS;
}

static void most_clients_stay_where_slots_become_finer(void **state)
{
	static const unsigned steps[] = { 32, 64, 128 };

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		double least = 1, sum = 0;

		for (unsigned net = 0; net < N_NETS; net++) {
			double share;

			fill_keys(net);
			share = staying(steps[i], steps[i] + 1);
			least = share < least ? share : least;
			sum += share;
		}
		print_message("%u to %u targets: %.1f %% of the clients stay, at least %.1f %%\n",
			      steps[i], steps[i] + 1, sum * 100 / N_NETS, least * 100);
		assert_true(least >= 0.71);
	}
}

static void between_the_steps_a_target_takes_only_its_share(void **state)
{
	static const unsigned counts[] = { 1, 5, 31, 33, 40, 63, 65, 100, 127, 129, 200 };

	(void)state;
	fill_keys(2);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		unsigned n = counts[i], total = slots_hash(keys, weights, n, before);

		assert_int_equal(slots_hash(keys, weights, n + 1, after), total);
		for (unsigned s = 0; s < total; s++)
			if (before[s] != after[s])
				assert_int_equal(after[s], n);
	}
}

static void shares_follow_the_weights_in_the_large_table(void **state)
{
	unsigned count[2] = { 0 }, total;

	(void)state;
	fill_keys(2);
	for (unsigned i = 0; i < 50; i++)
		weights[i] = i < 25 ? 3 : 1;
	total = slots_hash(keys, weights, 50, before);
	for (unsigned s = 0; s < total; s++)
		count[before[s] >= 25]++;
	/* 3072 and 1024, give or take four standard deviations of the 2048 draws. */
	assert_in_range(count[0], 3072 - 175, 3072 + 175);
}

static void a_target_that_stands_twice_has_the_sum_of_its_weights(void **state)
{
	unsigned total;

	(void)state;
	fill_keys(2);
	keys[2] = keys[0];
	weights[0] = 1;
	weights[1] = 2;
	weights[2] = 3;
	total = slots_hash(keys, weights, 3, before);
	weights[0] = 4;
	assert_int_equal(total, 1024);
	assert_int_equal(slots_hash(keys, weights, 2, after), total);
	assert_memory_equal(before, after, total * sizeof(*before));
}

/* ---- the compiled route ---- */

static struct ruleset *compile(const char *routes, struct err *e)
{
	static const uint32_t ids[] = { 1, 2 };
	const struct compile_options o = {
		.table = "spctl", .owner = OWNER, .generation = 7, .ids = ids
	};

	fx_plan(routes);
	return ruleset_compile(fx.plan, &o, e);
}

static void a_hashed_route_with_too_many_targets_is_refused_by_name(void **state)
{
	struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	buf_puts(&b, "- {name: crowd, match: {ports: 80}, action: {type: forward, targets: "
		     "[{port: 80, host: [");
	for (unsigned i = 0; i < 2000; i++)
		buf_printf(&b, "%s10.2.%u.%u", i ? ", " : "", i >> 8, i & 255);
	buf_puts(&b, "]}], loadBalancing: {algorithm: ip-hash}}}\n");
	assert_null(compile(b.data, &e));
	assert_int_equal(e.code, -E2BIG);
	assert_string_equal(e.msg, "route \"crowd\" has too many targets or weights: some target "
				   "would never get a client");
	assert_non_null(strstr(e.hint, "use fewer targets"));
	assert_int_equal(e.loc.line, 2);
	buf_fini(&b);
	fx_end();
}

/* The one rule of route 1's chain for IPv6. */
static uint64_t rule_v6(const char *targets)
{
	struct fx_host h = { 0 };
	struct err e = { 0 };
	struct ruleset *rs;
	const struct rs_chain *chain;
	char text[256];
	uint64_t hash;

	fx_listen(&h, IPPROTO_TCP, "::", 8000);
	snprintf(text, sizeof(text),
		 "- {name: r, match: {ports: 9000}, action: {type: forward, targets: [%s]}}\n",
		 targets);
	rs = compile(text, &e);
	if (!rs)
		fail_msg("%s", e.msg);
	chain = ruleset_find_chain(rs, "r1_6");
	assert_non_null(chain);
	hash = chain->rules[chain->n - 1].hash;
	ruleset_free(rs);
	fx_host_end(&h);
	fx_end();
	return hash;
}

static void a_redirect_goes_to_the_port_of_its_own_target(void **state)
{
	(void)state;
	assert_true(rule_v6("{host: '::1', port: 8000}") ==
		    rule_v6("{host: 10.20.0.2, port: 7000}, {host: '::1', port: 8000}"));
}

/* ---- ::1 ---- */

#define T(host) "{host: '" host "', port: 80}"

static void a_written_loopback_v6_that_the_kernel_cannot_reach_needs_the_relay(void **state)
{
	static const struct {
		const char *listens, *targets;
		enum tier tier;
		unsigned n_targets;
	} cases[] = {
		{ NULL, T("127.0.0.1") "," T("::1"), TIER_RELAY, 0 },
		{ "0.0.0.0", T("127.0.0.1") "," T("::1"), TIER_RELAY, 0 },
		{ "::", T("127.0.0.1") "," T("::1"), TIER_NFTABLES, 2 },
		{ "::", T("10.2.0.2") "," T("::1"), TIER_NFTABLES, 2 },
		{ NULL, T("10.2.0.2") "," T("::1"), TIER_RELAY, 0 },
		/* Slots hold addresses: no redirect among several. */
		{ "::", T("fd02::2") "," T("::1"), TIER_RELAY, 0 },
		/* A name is served by what of it can be had. */
		{ NULL, T("localhost"), TIER_NFTABLES, 1 },
		{ NULL, T("localhost") "," T("fd02::2"), TIER_NFTABLES, 2 },
		{ NULL, T("six.lan"), TIER_RELAY, 0 },
	};
	struct addr v[2];
	struct resolved_name names[] = { { .name = "localhost", .addrs = v, .n = 2 },
					 { .name = "six.lan", .addrs = v + 1, .n = 1 } };

	(void)state;
	addr_parse("127.0.0.1", &v[0]);
	addr_parse("::1", &v[1]);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fx_host h = { 0 };
		const struct plan_route *r;
		char text[256];

		fx.facts.names = names;
		fx.facts.n_names = 2;
		if (cases[i].listens)
			fx_listen(&h, IPPROTO_TCP, cases[i].listens, 80);
		snprintf(text, sizeof(text),
			 "- {name: r, match: {ports: 9000}, action: {type: forward, targets: "
			 "[%s]}}\n",
			 cases[i].targets);
		fx_plan(text);
		r = fx_route("r");
		if (r->tier != cases[i].tier || r->n_targets != cases[i].n_targets ||
		    (r->tier == TIER_RELAY &&
		     strcmp(r->reason, "target ::1 (IPv6 has no route_localnet)")))
			fail_msg("%zu: %s: %s, %u targets", i, tier_name(r->tier), r->reason,
				 r->n_targets);
		fx_host_end(&h);
	}
	fx.facts.names = NULL;
	fx.facts.n_names = 0;
	fx_plan("- name: r\n  match: {ports: 9000}\n  action:\n    type: forward\n    targets:\n"
		"    - {host: 10.2.0.2, port: 80}\n    - {host: '::1', port: 80}\n");
	assert_int_equal(fx_route("r")->reason_loc.line, 8);
	fx_end();
}

/* ---- explain ---- */

/* What `spctl explain FILE --port 9000 --client CLIENT` prints. */
static const char *explained(const char *targets, const char *client)
{
	static char out[4096];
	char file[] = "/tmp/spctl-slots-test.XXXXXX", text[512];
	struct options o = { .port = "9000", .client = client, .timeout_ms = 1000, .quiet = true };
	char *argv[] = { file };
	int fd = mkstemp(file), saved = dup(STDOUT_FILENO), rc;
	FILE *to = tmpfile();
	size_t n;

	assert_true(fd >= 0 && saved >= 0 && to);
	n = (size_t)snprintf(text, sizeof(text),
			     "{\"routes\":[{\"name\":\"r\",\"match\":{\"ports\":9000},\"action\":"
			     "{\"type\":\"forward\",\"targets\":[%s]}}]}",
			     targets);
	assert_int_equal(write(fd, text, n), n);
	fflush(stdout);
	dup2(fileno(to), STDOUT_FILENO);
	rc = cmd_explain(&o, 1, argv);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	rewind(to);
	out[fread(out, 1, sizeof(out) - 1, to)] = '\0';
	fclose(to);
	close(saved);
	close(fd);
	unlink(file);
	assert_int_equal(rc, 0);
	return out;
}

static void explain_names_the_port_of_the_family_that_was_asked(void **state)
{
	static const char two[] = "{\"host\":\"10.20.0.2\",\"port\":7000},"
				  "{\"host\":\"fd20::2\",\"port\":8000}";
	static const char differ[] = "{\"host\":\"10.20.0.2\",\"port\":7000},"
				     "{\"host\":\"10.20.0.3\",\"port\":7001}";
	static const char same[] = "{\"host\":[\"10.20.0.2\",\"fd20::2\"],\"port\":7000}";

	(void)state;
	assert_non_null(strstr(explained(two, "10.0.0.9"), "\nport:    7000 at the target\n"));
	assert_non_null(strstr(explained(two, "fd00::9"), "\nport:    8000 at the target\n"));
	assert_non_null(strstr(explained(two, NULL), "10.20.0.2:7000, [fd20::2]:8000"));
	assert_null(strstr(explained(two, NULL), "\nport:"));
	assert_null(strstr(explained(differ, "10.0.0.9"), "\nport:"));
	assert_non_null(strstr(explained(same, NULL), "\nport:    7000 at the target\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_target_without_a_slot_is_refused),
		cmocka_unit_test(what_is_not_refused_gives_each_target_a_slot),
		cmocka_unit_test(most_clients_stay_where_slots_become_finer),
		cmocka_unit_test(between_the_steps_a_target_takes_only_its_share),
		cmocka_unit_test(shares_follow_the_weights_in_the_large_table),
		cmocka_unit_test(a_target_that_stands_twice_has_the_sum_of_its_weights),
		cmocka_unit_test(a_hashed_route_with_too_many_targets_is_refused_by_name),
		cmocka_unit_test(a_redirect_goes_to_the_port_of_its_own_target),
		cmocka_unit_test(
			a_written_loopback_v6_that_the_kernel_cannot_reach_needs_the_relay),
		cmocka_unit_test(explain_names_the_port_of_the_family_that_was_asked),
	};

	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
