/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What nft_verify() proves: a kernel that has what was written is believed, and
 * one that did only part of it is not, also when only the changed elements are
 * asked for. Such a kernel is staged: something else was committed than is asked.
 * Needs root; works in a network namespace of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>

#include "ctl/nft/nft.h"
#include "tests/unit/nft_model.h"

static struct nft *nft;
static const char *unavailable;

#define SKIP_WITHOUT_KERNEL()                               \
	do {                                                \
		if (unavailable) {                          \
			print_message("%s\n", unavailable); \
			skip();                             \
		}                                           \
	} while (0)

static uint32_t genid(void)
{
	struct err e = { 0 };
	uint32_t g = 0;

	CHECK_RC(nft_genid(nft, &g, &e), e);
	return g;
}

static struct ruleset *read_table(void)
{
	struct ruleset *rs = NULL;
	struct err e = { 0 };

	CHECK_RC(nft_read(nft, TABLE, &rs, &e), e);
	return rs;
}

static void commit(const struct ruleset *want)
{
	struct ruleset *have = read_table();
	struct err e = { 0 };

	CHECK_RC(nft_commit(nft, have, want, 0, NFT_COMMIT, NULL, NULL, &e), e);
	ruleset_free(have);
}

static int verify(const struct ruleset *have, const struct ruleset *want, char *why, size_t cap)
{
	uint32_t seen = 0, now = genid();
	struct err e = { 0 };
	int rc = nft_verify(nft, have, want, now, &seen, &e);

	snprintf(why, cap, "%s", e.msg);
	if (!rc)
		assert_int_equal(seen, now);
	return rc;
}

/* A table as text: "a1 b2 -3-5 g4 c" = map m: a -> 1, b -> 2; interval 3-5; generation 4; chain c.
 */
static void add_word(struct model *m, const char *word)
{
	struct rs_set *map = add_set(m, "m", NFT_SET_MAP, RS_TYPE_IP, 4, RS_TYPE_MARK, 4);
	struct rs_set *iv = add_set(m, "iv", NFT_SET_INTERVAL, RS_TYPE_IP, 4, 0, 0);
	struct rs_set *go = add_set(m, "go", NFT_SET_MAP, RS_TYPE_IP, 4, NFT_DATA_VERDICT, 0);
	uint8_t key[4] = { 10, 0, 0, (uint8_t)word[0] }, low[4] = { 0 }, high[4] = { 0 };
	uint32_t value = (uint32_t)atoi(word + 1);

	if (word[0] == '-') {
		low[3] = (uint8_t)atoi(word + 1);
		high[3] = (uint8_t)atoi(strchr(word + 1, '-') + 1);
		rs_set_add(iv, m->rs, low, 0, NULL, 1);
		rs_set_add(iv, m->rs, high, RS_ELEM_INTERVAL_END, NULL, 1);
	} else if (word[1] == '>') {
		ruleset_chain(m->rs, word + 2, NULL, 1);
		rs_set_add_goto(go, m->rs, key, word + 2, 1);
	} else if (word[0] == '+') {
		ruleset_chain(m->rs, word + 1, NULL, 1);
	} else {
		rs_set_add(map, m->rs, key, 0, &value, 1);
	}
}

static struct ruleset *table_of(const char *words)
{
	struct model m = { .rs = ruleset_new(TABLE, OWNER, 0) };
	char copy[128];

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		add_word(&m, p);
	seal(m.rs);
	return m.rs;
}

static void what_is_there_is_believed_and_what_is_not_is_named(void **state)
{
	static const struct {
		const char *have, *want, *kernel; /* what was, what should be, what is */
		const char *why;		  /* NULL: it is as wanted */
	} cases[] = {
		{ "a1 b2", "a1 b3", "a1 b3", NULL },
		{ "a1 b2", "a1 b3", "a1 b2", "element 10.0.0.98 of map m" },
		{ "a1 b2", "a1", "a1", NULL },
		{ "a1 b2", "a1", "a1 b2", "element 10.0.0.98 of map m" },
		{ "a1", "a1 b2", "a1", "element 10.0.0.98 of map m" },
		{ "a1", "a1 b2", "a1 b7", "element 10.0.0.98 of map m" },
		{ "a1 b2 c3", "a5 b6 c7", "a5 b6 c3", "element 10.0.0.99 of map m" },
		{ "a>x +y", "a>y +x", "a>y +x", NULL },
		{ "a>x +y", "a>y +x", "a>x +y", "element 10.0.0.97 of map go" },
		{ "a1 -3-5", "a1 -3-9", "a1 -3-9", NULL },
		{ "a1 -3-5", "a1 -3-9", "a1 -3-5", "of set iv" },
		{ "a1 -3-5", "a1 -3-5 -7-9", "a1 -3-5", "of set iv" },
		{ "a1 -3-5 -7-9", "a1 -3-5", "a1 -3-5 -7-9", "of set iv" },
		{ "a1 -3-5", "a1 -3-9", "a1 -3-7 -7-9", "of set iv" },
		{ "a1", "a1 +x", "a1", "chain x" },
		{ "a1 +x", "a1", "a1 +x", "chain x" },
		/* What the change did not touch is not looked at: others' commits move the genid.
		 */
		{ "a1 b2", "a1 b3", "b3", NULL },
	};
	char why[480];

	(void)state;
	SKIP_WITHOUT_KERNEL();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ruleset *want = table_of(cases[i].want), *is = table_of(cases[i].kernel);
		struct ruleset *start = table_of(cases[i].have), *have;
		int rc;

		commit(start);
		have = read_table();
		commit(is);
		rc = verify(have, want, why, sizeof(why));
		if (rc != (cases[i].why ? -EBADE : 0) ||
		    (cases[i].why && !strstr(why, cases[i].why)))
			fail_msg("%s -> %s, there is %s: %d %s", cases[i].have, cases[i].want,
				 cases[i].kernel, rc, why);
		ruleset_free(have);
		ruleset_free(start);
		ruleset_free(want);
		ruleset_free(is);
	}
}

/* Somebody committed meanwhile (the counter is another): then everything is read. */
static void after_a_foreign_commit_everything_is_read(void **state)
{
	struct ruleset *start = table_of("a1 b2"), *want = table_of("a1 b3"), *is = table_of("b3");
	struct ruleset *have;
	struct err e = { 0 };
	uint32_t seen = 0;

	(void)state;
	SKIP_WITHOUT_KERNEL();
	commit(start);
	have = read_table();
	commit(is);
	assert_int_equal(nft_verify(nft, have, want, genid() - 1, &seen, &e), -EBADE);
	assert_non_null(strstr(e.msg, "element 10.0.0.97 of map m"));
	commit(want);
	memset(&e, 0, sizeof(e));
	assert_int_equal(nft_verify(nft, have, want, genid() - 1, &seen, &e), 0);
	assert_int_equal(seen, genid());
	ruleset_free(have);
	ruleset_free(start);
	ruleset_free(want);
	ruleset_free(is);
}

static void random_changes_are_believed_when_they_happened_only(void **state)
{
	struct ruleset *last = NULL;
	char why[480], same[128];

	(void)state;
	SKIP_WITHOUT_KERNEL();
	for (uint32_t i = 1; i <= 60; i++) {
		struct ruleset *want = random_ruleset(i / 2), *have = read_table();

		if (last && !ruleset_equal(have, want, same, sizeof(same)))
			assert_int_equal(verify(have, want, why, sizeof(why)), -EBADE);
		commit(want);
		if (verify(have, want, why, sizeof(why)))
			fail_msg("step %u: %s", i, why);
		ruleset_free(have);
		ruleset_free(last);
		last = want;
	}
	ruleset_free(last);
}

static int setup(void **state)
{
	(void)state;
	rng_state = 7;
	return 0;
}

static int teardown(void **state)
{
	struct ruleset *have;
	struct err e = { 0 };

	(void)state;
	if (unavailable)
		return 0;
	have = read_table();
	CHECK_RC(nft_commit(nft, have, NULL, 0, NFT_COMMIT, NULL, NULL, &e), e);
	ruleset_free(have);
	return 0;
}

static void open_kernel(void)
{
	static struct err e;
	uint32_t g;

	if (unshare(CLONE_NEWNET)) {
		unavailable = "no network namespace of our own (needs root)";
		return;
	}
	nft = nft_open(&e);
	if (!nft || nft_genid(nft, &g, &e))
		unavailable = e.msg;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_there_is_believed_and_what_is_not_is_named),
		T(after_a_foreign_commit_everything_is_read),
		T(random_changes_are_believed_when_they_happened_only),
	};
	int rc;

	open_kernel();
	rc = cmocka_run_group_tests_name("nft_verify", tests, NULL, NULL);
	nft_close(nft);
	return rc;
}
