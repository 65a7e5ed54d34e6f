/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel itself judges: random tables are committed one over the other and
 * read back. Needs root; works in a network namespace of its own, and skips
 * every test by name where that is not permitted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <libmnl/libmnl.h>

#include "ctl/nft/nft.h"
#include "ctl/nft/nft_batch.h"
#include "ctl/nft/nft_expr.h"
#include "ctl/nft/nft_socket.h"
#include "ctl/nft/ruleset.h"
#include "tests/unit/nft_model.h"

#define STEPS 200

static struct nft *nft;
static const char *unavailable; /* why every test is skipped */

/* ---- small helpers ---- */

static struct ruleset *read_table(const char *table)
{
	struct ruleset *rs = NULL;
	struct err e = { 0 };
	int rc = nft_read(nft, table, &rs, &e);

	CHECK_RC(rc, e);
	return rs;
}

static uint32_t genid(void)
{
	struct err e = { 0 };
	uint32_t g = 0;

	CHECK_RC(nft_genid(nft, &g, &e), e);
	return g;
}

static void assert_kernel_has(const struct ruleset *want)
{
	struct ruleset *got = read_table(want->table);
	char what[128] = "";

	if (!ruleset_equal(want, got, what, sizeof(what)))
		fail_msg("the kernel has other things than were written: %s", what);
	ruleset_free(got);
}

/* Writes want over whatever is there and returns what nft_commit says. */
static int commit_over(const struct ruleset *want, unsigned flags, struct nft_change_stats *stats,
		       struct nft_refusal *refusal, struct err *e)
{
	uint32_t g = genid();
	struct ruleset *have = read_table(want->table);
	int rc = nft_commit(nft, have, want, g, flags, stats, refusal, e);

	ruleset_free(have);
	return rc;
}

static void commit_ok(const struct ruleset *want)
{
	struct err e = { 0 };

	CHECK_RC(commit_over(want, NFT_COMMIT, NULL, NULL, &e), e);
	assert_kernel_has(want);
}

static void drop_table(const char *table)
{
	struct ruleset *have = read_table(table);
	struct err e = { 0 };

	CHECK_RC(nft_commit(nft, have, NULL, 0, NFT_COMMIT, NULL, NULL, &e), e);
	ruleset_free(have);
}

/* ---- tests ---- */

static int setup(void **state)
{
	(void)state;
	rng_state = 42;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (!unavailable)
		drop_table(TABLE);
	return 0;
}

static bool must_skip(void)
{
	if (unavailable)
		print_message("skipped: %s\n", unavailable);
	return unavailable;
}

#define SKIP_WITHOUT_KERNEL()    \
	do {                     \
		if (must_skip()) \
			skip();  \
	} while (0)

static void random_tables_over_each_other_read_back_equal(void **state)
{
	(void)state;
	SKIP_WITHOUT_KERNEL();
	for (unsigned i = 1; i <= STEPS; i++) {
		struct ruleset *rs = random_ruleset(i);

		commit_ok(rs);
		ruleset_free(rs);
	}
}

static void replacing_all_reads_back_equal(void **state)
{
	struct err e = { 0 };

	(void)state;
	SKIP_WITHOUT_KERNEL();
	for (unsigned i = 1; i <= 10; i++) {
		struct ruleset *rs = random_ruleset(i);

		CHECK_RC(nft_commit(nft, rs, rs, 0, NFT_REPLACE, NULL, NULL, &e), e);
		assert_kernel_has(rs);
		ruleset_free(rs);
	}
}

static void equal_tables_send_nothing(void **state)
{
	struct nft_change_stats stats;
	struct ruleset *rs;
	struct err e = { 0 };
	uint32_t g;

	(void)state;
	SKIP_WITHOUT_KERNEL();
	rs = random_ruleset(5);
	commit_ok(rs);
	g = genid();
	CHECK_RC(commit_over(rs, NFT_COMMIT, &stats, NULL, &e), e);
	assert_int_equal(genid(), g);
	assert_int_equal(stats.elems_added + stats.elems_deleted + stats.chains_changed, 0);
	ruleset_free(rs);
}

static void head_has_owner_and_generation(void **state)
{
	struct ruleset *rs, *head;
	struct err e = { 0 };

	(void)state;
	SKIP_WITHOUT_KERNEL();
	CHECK_RC(nft_read_head(nft, TABLE, &head, &e), e);
	assert_false(head->exists);
	ruleset_free(head);
	rs = random_ruleset(77);
	commit_ok(rs);
	CHECK_RC(nft_read_head(nft, TABLE, &head, &e), e);
	assert_true(head->exists && head->ours);
	assert_string_equal(head->owner, OWNER);
	assert_int_equal(head->generation, 77);
	ruleset_free(head);
	ruleset_free(rs);
	rs = random_ruleset(0);
	commit_ok(rs);
	CHECK_RC(nft_read_head(nft, TABLE, &head, &e), e);
	assert_int_equal(head->generation, 0);
	ruleset_free(head);
	ruleset_free(rs);
}

static void generation_id_moves_by_one_commit(void **state)
{
	struct ruleset *rs;
	uint32_t g;

	(void)state;
	SKIP_WITHOUT_KERNEL();
	g = genid();
	rs = random_ruleset(1);
	commit_ok(rs);
	assert_int_equal(genid(), nft_genid_next(g));
	assert_int_equal(nft_genid_next(UINT32_MAX), 1);
	ruleset_free(rs);
}

static void stale_generation_changes_nothing(void **state)
{
	struct ruleset *a, *b;
	struct err e = { 0 };
	uint32_t g;

	(void)state;
	SKIP_WITHOUT_KERNEL();
	a = random_ruleset(1);
	b = random_ruleset(2);
	g = genid();
	commit_ok(a);
	assert_int_equal(nft_commit(nft, a, b, g, NFT_COMMIT, NULL, NULL, &e), -ERESTART);
	assert_kernel_has(a);
	ruleset_free(a);
	ruleset_free(b);
}

static void check_only_changes_nothing(void **state)
{
	struct ruleset *a, *b;
	struct err e = { 0 };
	uint32_t g;

	(void)state;
	SKIP_WITHOUT_KERNEL();
	a = random_ruleset(1);
	b = random_ruleset(2);
	commit_ok(a);
	g = genid();
	CHECK_RC(commit_over(b, NFT_CHECK_ONLY, NULL, NULL, &e), e);
	CHECK_RC(commit_over(b, NFT_CHECK_ONLY | NFT_REPLACE, NULL, NULL, &e), e);
	assert_int_equal(genid(), g);
	assert_kernel_has(a);
	ruleset_free(a);
	ruleset_free(b);
}

/* 5000 gotos, the place of each its number; the one at `bad` leads nowhere. */
static struct ruleset *gotos_in(const char *table, unsigned n, unsigned bad)
{
	struct model m = { .rs = ruleset_new(table, OWNER, 1) };
	struct rs_chain *c = ruleset_chain(m.rs, "c0", NULL, RS_NO_PLACE);
	struct nx x = nx_new();
	struct rs_set *s;

	nx_counter(&x);
	add_rule(&m, c, &x, "first");
	s = add_set(&m, "svc4", NFT_SET_MAP, RS_TYPE_PORT, 2, NFT_DATA_VERDICT, 0);
	for (unsigned i = 0; i < n; i++) {
		uint16_t port = htons((uint16_t)i);

		rs_set_add_goto(s, m.rs, &port, i == bad ? "nowhere" : "c0", i);
	}
	seal(m.rs);
	return m.rs;
}

static struct ruleset *gotos(unsigned n, unsigned bad)
{
	return gotos_in(TABLE, n, bad);
}

static void refused_element_is_named_exactly(void **state)
{
	static const unsigned bad[] = { 0, 1, 2500, 4998, 4999 };
	struct nft_refusal refusal;
	struct err e = { 0 };

	(void)state;
	SKIP_WITHOUT_KERNEL();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ruleset *rs = gotos(5000, bad[i]);
		char what[64];

		snprintf(what, sizeof(what), "element %u of map svc4", bad[i]);
		assert_int_equal(commit_over(rs, NFT_COMMIT, NULL, &refusal, &e), -ENOENT);
		assert_int_equal(refusal.place, bad[i]);
		assert_string_equal(refusal.what, what);
		assert_non_null(strstr(e.msg, what));
		ruleset_free(rs);
	}
	drop_table(TABLE);
}

/* A chain that looks into one set of that size. */
static struct ruleset *user_of_set(uint32_t size, bool interval)
{
	struct rs_set_def def = {
		.name = "used",
		.flags = interval ? NFT_SET_INTERVAL : 0,
		.key_type = RS_TYPE_IP,
		.key_len = 4,
		.size = size,
	};
	struct ruleset *rs = ruleset_new(TABLE, OWNER, 1);
	struct rs_chain *c = ruleset_chain(rs, "c0", NULL, RS_NO_PLACE);
	struct nx x = nx_new();

	ruleset_set(rs, &def, RS_NO_PLACE);
	nx_is_v4(&x);
	nx_load_saddr(&x, NFPROTO_IPV4, 0);
	nx_lookup_set(&x, "used", NX_R(0), false);
	rs_chain_add(c, rs, nx_done(&x), NULL, RS_NO_PLACE);
	seal(rs);
	return rs;
}

static void a_redefined_set_takes_its_users_along(void **state)
{
	struct nft_change_stats stats;
	struct ruleset *rs;
	struct err e = { 0 };

	(void)state;
	SKIP_WITHOUT_KERNEL();
	rs = user_of_set(100, false);
	commit_ok(rs);
	ruleset_free(rs);
	rs = user_of_set(200, false);
	CHECK_RC(commit_over(rs, NFT_COMMIT, &stats, NULL, &e), e);
	assert_int_equal(stats.sets_added, 1);
	assert_int_equal(stats.sets_deleted, 1);
	assert_int_equal(stats.chains_changed, 1);
	assert_kernel_has(rs);
	ruleset_free(rs);
	rs = user_of_set(200, true);
	commit_ok(rs);
	ruleset_free(rs);
}

/* A hash set that has just grown is still being rehashed while it is read. */
static void a_set_that_just_grew_reads_back_whole(void **state)
{
	(void)state;
	SKIP_WITHOUT_KERNEL();
	for (unsigned n = 1000; n < 65536; n *= 4) {
		struct ruleset *rs = gotos(n, UINT32_MAX);

		commit_ok(rs);
		ruleset_free(rs);
	}
}

static void refused_rule_is_named(void **state)
{
	struct ruleset *rs;
	struct nft_refusal refusal;
	struct rs_chain *c;
	struct err e = { 0 };
	struct nx x;

	(void)state;
	SKIP_WITHOUT_KERNEL();
	rs = ruleset_new(TABLE, OWNER, 1);
	c = ruleset_chain(rs, "c0", NULL, 3);
	x = nx_new();
	nx_counter(&x);
	rs_chain_add(c, rs, nx_done(&x), NULL, 8);
	x = nx_new();
	nx_verdict(&x, NFT_GOTO, "missing");
	rs_chain_add(c, rs, nx_done(&x), "bad", 9);
	seal(rs);
	assert_int_equal(commit_over(rs, NFT_COMMIT, NULL, &refusal, &e), -ENOENT);
	assert_int_equal(refusal.place, 9);
	assert_string_equal(refusal.what, "rule 2 of chain c0");
	ruleset_free(rs);
}

static void known_and_unknown_expressions_are_told_apart(void **state)
{
	struct err e = { 0 };

	(void)state;
	SKIP_WITHOUT_KERNEL();
	assert_int_equal(nft_has_expr(nft, "nat", &e), 1);
	assert_int_equal(nft_has_expr(nft, "cmp", &e), 1);
	assert_int_equal(nft_has_expr(nft, "no_such_expr", &e), 0);
}

/* ---- others at work in the same kernel ---- */

static void raw(struct nft_batch *b)
{
	struct nft_batch_answer a;
	struct err e = { 0 };

	nft_batch_end(b);
	CHECK_RC(nft_transact(nft, b, &a, &e), e);
	assert_false(a.refused);
	nft_batch_fini(b);
}

static void other_tables_are_untouched(void **state)
{
	struct ruleset *other, *rs;

	(void)state;
	SKIP_WITHOUT_KERNEL();
	other = gotos_in("other", 100, UINT32_MAX);
	commit_ok(other);
	for (unsigned i = 1; i < 10; i++) {
		rs = random_ruleset(i);
		commit_ok(rs);
		assert_kernel_has(other);
		ruleset_free(rs);
	}
	drop_table(TABLE);
	assert_kernel_has(other);
	drop_table("other");
	ruleset_free(other);
}

static void a_deleted_element_is_seen_and_repaired(void **state)
{
	struct ruleset *rs, *got;
	struct nft_batch b;
	char what[128];

	(void)state;
	SKIP_WITHOUT_KERNEL();
	rs = gotos(100, UINT32_MAX);
	commit_ok(rs);
	nft_batch_begin(&b, TABLE, 0);
	nft_batch_table(&b, NFT_MSG_NEWTABLE, NLM_F_ACK, NULL);
	nft_batch_elem(&b, NFT_MSG_DELSETELEM, ruleset_find_set(rs, "svc4"), 17);
	raw(&b);
	got = read_table(TABLE);
	assert_false(ruleset_equal(rs, got, what, sizeof(what)));
	assert_string_equal(what, "element 17 of map svc4");
	ruleset_free(got);
	commit_ok(rs);
	ruleset_free(rs);
}

static void foreign_rule_and_objects_are_seen_and_removed(void **state)
{
	static const char *const tampering[] = {
		"add rule inet t1 c0 counter",
		"add rule inet t1 c0 ip saddr { 10.0.0.1, 10.0.0.9 } accept",
		"add chain inet t1 alien { type filter hook input priority 5; }",
		"add set inet t1 alien { type ipv4_addr; }",
		"add counter inet t1 alien",
		"add chain inet t1 a_name_that_is_longer_than_any_name_of_ours_can_be",
		"flush map inet t1 svc4",
		"add table inet t1 { flags dormant; }",
	};
	struct ruleset *rs;
	char what[128];

	(void)state;
	SKIP_WITHOUT_KERNEL();
	if (system("nft --version >/dev/null 2>&1"))
		skip();
	rs = gotos(100, UINT32_MAX);
	commit_ok(rs);
	for (size_t i = 0; i < sizeof(tampering) / sizeof(tampering[0]); i++) {
		char cmd[256];
		struct ruleset *got;

		snprintf(cmd, sizeof(cmd), "nft '%s'", tampering[i]);
		assert_int_equal(system(cmd), 0);
		got = read_table(TABLE);
		if (ruleset_equal(rs, got, what, sizeof(what)))
			fail_msg("not seen: %s", tampering[i]);
		ruleset_free(got);
		commit_ok(rs);
	}
	ruleset_free(rs);
}

static void a_table_of_somebody_else_is_not_ours(void **state)
{
	struct ruleset *rs, *got;
	struct nft_batch b;

	(void)state;
	SKIP_WITHOUT_KERNEL();
	rs = gotos(10, UINT32_MAX);
	commit_ok(rs);
	nft_batch_begin(&b, TABLE, 0);
	nft_batch_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK, NULL);
	nft_batch_table(&b, NFT_MSG_DELTABLE, 0, NULL);
	nft_batch_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE, NULL);
	raw(&b);
	got = read_table(TABLE);
	assert_true(got->exists);
	assert_false(got->ours);
	assert_false(ruleset_equal(rs, got, NULL, 0));
	ruleset_free(got);
	commit_ok(rs);
	ruleset_free(rs);
}

static void open_kernel(void)
{
	struct ruleset *rs = NULL;
	static struct err e;

	if (unshare(CLONE_NEWNET)) {
		unavailable = "no network namespace of our own (needs root)";
		return;
	}
	nft = nft_open(&e);
	if (!nft || nft_read(nft, TABLE, &rs, &e))
		unavailable = e.msg;
	ruleset_free(rs);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(random_tables_over_each_other_read_back_equal),
		T(replacing_all_reads_back_equal),
		T(equal_tables_send_nothing),
		T(head_has_owner_and_generation),
		T(generation_id_moves_by_one_commit),
		T(stale_generation_changes_nothing),
		T(check_only_changes_nothing),
		T(refused_element_is_named_exactly),
		T(a_set_that_just_grew_reads_back_whole),
		T(a_redefined_set_takes_its_users_along),
		T(refused_rule_is_named),
		T(known_and_unknown_expressions_are_told_apart),
		T(other_tables_are_untouched),
		T(a_deleted_element_is_seen_and_repaired),
		T(foreign_rule_and_objects_are_seen_and_removed),
		T(a_table_of_somebody_else_is_not_ours),
	};
	int rc;

	open_kernel();
	rc = cmocka_run_group_tests_name("nft", tests, NULL, NULL);
	nft_close(nft);
	return rc;
}
