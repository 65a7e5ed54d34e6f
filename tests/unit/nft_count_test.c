/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters against the real kernel: what a packet made is read, taken along into a larger set,
 * another table and a table made anew, and pruned by route. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "ctl/nft/nft_batch.h"
#include "ctl/nft/nft_count.h"
#include "ctl/nft/nft_socket.h"
#include "ctl/nft/ruleset_compile.h"
#include "tests/unit/netns.h"

#define OWNER "unit test"

static struct nft *nft;

struct label {
	uint32_t word[4];
};

#define OK(call)                                                          \
	do {                                                              \
		struct err e = { 0 };                                     \
		int rc_ = (call);                                         \
                                                                          \
		if (rc_)                                                  \
			fail_msg("line %d: %d %s", __LINE__, rc_, e.msg); \
	} while (0)

/* A table with the sets `new` and `refused_ip` of that size, and nothing else. */
static struct ruleset *table(const char *name, uint32_t size)
{
	struct ruleset *rs = ruleset_new(name, OWNER, 1);
	struct rs_set_def def = {
		.flags = NFT_SET_EVAL, .key_type = RS_TYPE_IP6, .key_len = 16, .size = size
	};
	struct err e = { 0 };

	memcpy(def.name, "new", 4);
	ruleset_set(rs, &def, RS_NO_PLACE);
	memcpy(def.name, "refused_ip", 11);
	ruleset_set(rs, &def, RS_NO_PLACE);
	if (ruleset_seal(rs, &e))
		fail_msg("%s", e.msg);
	return rs;
}

static struct ruleset *read_table(const char *name)
{
	struct ruleset *rs = NULL;

	OK(nft_read(nft, name, &rs, &e));
	return rs;
}

static int commit(const char *from, const struct ruleset *want, unsigned flags, struct err *e)
{
	struct ruleset *have = read_table(from);
	int rc = nft_commit(nft, have, want, 0, flags, NULL, NULL, e);

	ruleset_free(have);
	return rc;
}

/* As if that many packets of 100 bytes had come, by a set of counters that is "carried". */
static void count(const char *name, const char *set, const struct label *labels, size_t n,
		  uint64_t packets)
{
	uint8_t elems[64][16 + 4 + 16] = { 0 };
	struct rs_set s = { .def = { .flags = NFT_SET_EVAL,
				     .key_type = RS_TYPE_IP6,
				     .key_len = 16,
				     .data_type = RS_DATA_COUNTER,
				     .data_len = 16 },
			    .elems = elems[0],
			    .n = n };
	struct nft_batch_answer a;
	struct nft_batch b;

	snprintf(s.def.name, sizeof(s.def.name), "%s", set);
	for (size_t i = 0; i < n; i++) {
		const uint64_t c[2] = { packets + i, 100 * (packets + i) };

		memcpy(elems[i], &labels[i], 16);
		memcpy(elems[i] + 20, c, 16);
	}
	nft_batch_begin(&b, name, 0);
	nft_batch_table(&b, NFT_MSG_NEWTABLE, NLM_F_ACK, NULL);
	for (uint32_t i = 0; i < n; i++)
		nft_batch_elem(&b, NFT_MSG_NEWSETELEM, &s, i);
	nft_batch_end(&b);
	OK(nft_transact(nft, &b, &a, &e));
	assert_false(a.refused);
	nft_batch_fini(&b);
}

static uint64_t packets_of(const char *name, const char *set, uint32_t id)
{
	struct nft_counts c;
	uint64_t n = 0;

	OK(nft_counts_read(nft, name, set, &c, &e));
	for (size_t i = 0; i < c.n; i++) {
		struct label l;

		memcpy(&l, c.v[i].key, sizeof(l));
		assert_int_equal(c.v[i].bytes, 100 * c.v[i].packets);
		n += l.word[0] == id ? c.v[i].packets : 0;
	}
	nft_counts_fini(&c);
	return n;
}

static const struct label labels[] = { { { 1, 1, 9, 77 } },
				       { { 1, 3, 9, 77 } }, /* hairpin: the same target */
				       { { 2, 1, 9, 78 } },
				       { { 3, 1, 9, 79 } } };

static void begin(void)
{
	struct ruleset *rs = table("t1", 1024);

	OK(commit("t1", rs, NFT_COMMIT, &e));
	ruleset_free(rs);
	count("t1", "new", labels, 4, 10); /* 10, 11, 12, 13 */
	count("t1", "refused_ip", labels, 1, 7);
}

static void end(const char *name)
{
	OK(commit(name, NULL, NFT_COMMIT, &e));
}

static void counters_are_read(void **state)
{
	struct nft_counts c;

	(void)state;
	ns_need();
	begin();
	assert_int_equal(packets_of("t1", "new", 1), 21);
	assert_int_equal(packets_of("t1", "new", 3), 13);
	assert_int_equal(packets_of("t1", "refused_ip", 1), 7);
	/* No such set, no such table: nothing was counted. */
	OK(nft_counts_read(nft, "t1", "up", &c, &e));
	assert_int_equal(c.n, 0);
	OK(nft_counts_read(nft, "nowhere", "up", &c, &e));
	assert_int_equal(c.n, 0);
	end("t1");
}

static void they_come_along(void **state)
{
	static const struct {
		const char *to;
		uint32_t size;
		unsigned flags;
	} cases[] = {
		{ "t1", 1024, NFT_COMMIT },  /* nothing changes */
		{ "t1", 4096, NFT_COMMIT },  /* the set is made anew */
		{ "t2", 1024, NFT_COMMIT },  /* another name */
		{ "t1", 1024, NFT_REPLACE }, /* the table is made anew */
	};

	(void)state;
	ns_need();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct ruleset *want = table(cases[i].to, cases[i].size);

		begin();
		OK(commit("t1", want, cases[i].flags, &e));
		assert_int_equal(packets_of(cases[i].to, "new", 1), 21);
		assert_int_equal(packets_of(cases[i].to, "new", 2), 12);
		assert_int_equal(packets_of(cases[i].to, "refused_ip", 1), 7);
		end(cases[i].to);
		ruleset_free(want);
	}
}

/* A smaller set than what is carried takes what fits: no error. */
static void a_set_that_is_too_small_takes_what_fits(void **state)
{
	struct ruleset *want = table("t1", 2);
	size_t n = 0;

	(void)state;
	ns_need();
	begin();
	OK(commit("t1", want, NFT_COMMIT, &e));
	OK(nft_set_count(nft, "t1", "new", &n, &e));
	assert_int_equal(n, 2);
	end("t1");
	ruleset_free(want);
}

static bool is_two(uint32_t id, void *arg)
{
	(void)arg;
	return id == 2;
}

static void only_the_routes_that_are_kept_are_left(void **state)
{
	uint32_t before = 0, after = 0;
	struct ruleset *rs;
	unsigned commits;

	(void)state;
	ns_need();
	begin();
	rs = read_table("t1");
	OK(nft_genid(nft, &before, &e));
	OK(nft_counts_prune(nft, rs, is_two, NULL, &commits, &e));
	OK(nft_genid(nft, &after, &e));
	assert_int_equal(commits, 2);
	assert_int_equal(after - before, commits);
	assert_int_equal(packets_of("t1", "new", 1), 0);
	assert_int_equal(packets_of("t1", "new", 2), 12);
	assert_int_equal(packets_of("t1", "refused_ip", 1), 0);
	/* Nothing is left to do. */
	OK(nft_counts_prune(nft, rs, is_two, NULL, &commits, &e));
	assert_int_equal(commits, 0);
	ruleset_free(rs);
	end("t1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_are_read),
		cmocka_unit_test(they_come_along),
		cmocka_unit_test(a_set_that_is_too_small_takes_what_fits),
		cmocka_unit_test(only_the_routes_that_are_kept_are_left),
	};
	struct err e = { 0 };
	int rc;

	ns_enter();
	if (ns_is_ready)
		nft = nft_open(&e);
	ns_is_ready = ns_is_ready && nft;
	rc = cmocka_run_group_tests_name("nft_count", tests, NULL, NULL);
	nft_close(nft);
	ns_leave();
	return rc;
}
