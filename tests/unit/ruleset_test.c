/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <libnftnl/rule.h>

#include "ctl/nft/nft_expr.h"
#include "ctl/nft/ruleset.h"

#define PP RS_CONCAT(RS_TYPE_PROTO, RS_TYPE_PORT)

static const struct rs_set_def marks = { "marks", 0, RS_TYPE_MARK, 4, 0, 0, 0, 0 };
static const struct rs_set_def vmap = { "vmap", NFT_SET_MAP, PP, 8, NFT_DATA_VERDICT, 0, 0, 0 };
static const struct rs_set_def nets = { "nets", NFT_SET_INTERVAL, RS_TYPE_IP, 4, 0, 0, 0, 0 };

static struct ruleset *empty(uint32_t generation)
{
	struct ruleset *rs = ruleset_new("t", "me", generation);

	assert_non_null(rs);
	return rs;
}

static void seal_ok(struct ruleset *rs)
{
	struct err e = { 0 };

	if (ruleset_seal(rs, &e))
		fail_msg("%s", e.msg);
}

static struct nftnl_rule *counter_rule(unsigned counters)
{
	struct nx x = nx_new();

	while (counters--)
		nx_counter(&x);
	return nx_done(&x);
}

static void objects_are_found_by_name_before_and_after_sealing(void **state)
{
	struct ruleset *rs = empty(0);
	char name[RS_NAME_MAX];

	(void)state;
	for (int i = 2000; i-- > 0;) {
		struct rs_set_def def = marks;

		snprintf(name, sizeof(name), "c%d", i);
		assert_non_null(ruleset_chain(rs, name, NULL, (uint32_t)i));
		snprintf(def.name, sizeof(def.name), "s%d", i);
		assert_non_null(ruleset_set(rs, &def, (uint32_t)i));
	}
	assert_ptr_equal(ruleset_chain(rs, "c7", NULL, 0), ruleset_find_chain(rs, "c7"));
	assert_int_equal(rs->n_chains, 2000);
	for (int sealed = 0; sealed < 2; sealed++) {
		assert_int_equal(ruleset_find_chain(rs, "c1999")->place, 1999);
		assert_int_equal(ruleset_find_set(rs, "s0")->place, 0);
		assert_null(ruleset_find_set(rs, "s2000"));
		assert_null(ruleset_find_chain(rs, ""));
		if (!sealed)
			seal_ok(rs);
	}
	ruleset_free(rs);
}

static void sealing_sorts_elements_with_their_places(void **state)
{
	struct ruleset *rs = empty(0);
	struct rs_set *s = ruleset_set(rs, &marks, 0);

	(void)state;
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t key = htonl(i * 2654435761u);

		rs_set_add(s, rs, &key, 0, NULL, i);
	}
	seal_ok(rs);
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t key;

		memcpy(&key, rs_elem(s, 8, i), 4);
		assert_int_equal(ntohl(key), s->places[i] * 2654435761u);
		assert_true(!i || memcmp(rs_elem(s, 8, i - 1), rs_elem(s, 8, i), 4) < 0);
	}
	ruleset_free(rs);
}

static void an_interval_ends_before_the_next_one_starts(void **state)
{
	static const uint8_t keys[][4] = {
		{ 10, 0, 0, 2 }, { 10, 0, 0, 4 }, { 10, 0, 0, 1 }, { 10, 0, 0, 2 }
	};
	static const uint32_t ends[] = { 0, 1, 0, 1 }, order[] = { 2, 3, 0, 1 };
	struct ruleset *rs = empty(0);
	struct rs_set *s = ruleset_set(rs, &nets, 0);
	char text[64];

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		rs_set_add(s, rs, keys[i], ends[i], NULL, i);
	seal_ok(rs);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(s->places[i], order[i]);
	assert_string_equal(rs_elem_format(&nets, rs_elem(s, 8, 1), text, sizeof(text)),
			    "end of 10.0.0.2");
	ruleset_free(rs);
}

static void a_key_that_stands_twice_is_named(void **state)
{
	const uint8_t key[8] = { 6, 0, 0, 0, 0, 80 };
	struct ruleset *rs = empty(0);
	struct rs_set *s = ruleset_set(rs, &vmap, 0);
	struct err e = { 0 };

	(void)state;
	rs_set_add_goto(s, rs, key, "a", 1);
	rs_set_add_goto(s, rs, key, "b", 2);
	assert_int_equal(ruleset_seal(rs, &e), -EEXIST);
	assert_string_equal(e.msg, "map vmap has the key tcp . 80 twice");
	ruleset_free(rs);
}

static void keys_are_formatted_by_type(void **state)
{
	static const struct {
		uint32_t type, len;
		uint8_t key[40];
		const char *text;
	} cases[] = {
		{ RS_TYPE_IP, 4, { 10, 1, 2, 3 }, "10.1.2.3" },
		{ RS_TYPE_PORT, 2, { 0x1f, 0x90 }, "8080" },
		{ RS_TYPE_IP6, 16, { 0xfd, 1, [15] = 7 }, "fd01::7" },
		{ RS_TYPE_IFNAME, 16, "eth0", "eth0" },
		{ PP, 8, { 17, 0, 0, 0, 0, 53 }, "udp . 53" },
		{ RS_CONCAT(RS_CONCAT(RS_TYPE_IP, RS_TYPE_PROTO), RS_TYPE_PORT),
		  12,
		  { 1, 2, 3, 4, 132, 0, 0, 0, 0, 9 },
		  "1.2.3.4 . 132 . 9" },
		{ RS_TYPE_IP6, 4, { 1 }, "" }, /* a length that the type contradicts */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rs_set_def def = { .key_type = cases[i].type, .key_len = cases[i].len };
		char text[80], small[5];

		assert_string_equal(rs_elem_format(&def, cases[i].key, text, sizeof(text)),
				    cases[i].text);
		rs_elem_format(&def, cases[i].key, small, sizeof(small));
		assert_true(strlen(small) < sizeof(small));
	}
}

static uint64_t hash_of(struct nftnl_rule *rule, const char *comment, const char *table)
{
	struct ruleset *rs = ruleset_new(table, "", 0);
	struct rs_chain *c = ruleset_chain(rs, "c", NULL, 0);
	uint64_t h;

	rs_chain_add(c, rs, rule, comment, 0);
	seal_ok(rs);
	h = c->rules[0].hash;
	ruleset_free(rs);
	return h;
}

static void rule_hash_is_of_expressions_and_comment_only(void **state)
{
	const uint64_t h = hash_of(counter_rule(1), "x", "t");

	(void)state;
	assert_true(h != 0);
	assert_true(h == hash_of(counter_rule(1), "x", "other"));
	assert_true(h != hash_of(counter_rule(1), "y", "t"));
	assert_true(h != hash_of(counter_rule(1), NULL, "t"));
	assert_true(h != hash_of(counter_rule(2), "x", "t"));
	assert_true(hash_of(counter_rule(0), NULL, "t") != 0);
}

static void long_comments_are_cut_at_a_character(void **state)
{
	struct ruleset *rs = empty(0);
	struct rs_chain *c = ruleset_chain(rs, "c", NULL, 0);
	char comment[200];
	uint32_t len;
	const uint8_t *u;

	(void)state;
	memset(comment, 'a', sizeof(comment) - 1);
	comment[199] = '\0';
	memcpy(comment + 126, "\xc3\xa4", 2); /* bytes 126 and 127: must go as one */
	memcpy(comment, "a\"b\nc", 5);
	rs_chain_add(c, rs, counter_rule(1), comment, 0);
	seal_ok(rs);
	u = nftnl_rule_get_data(c->rules[0].rule, NFTNL_RULE_USERDATA, &len);
	assert_int_equal(u[0], RS_UDATA_COMMENT);
	assert_int_equal(u[1], 127);
	assert_int_equal(strlen((const char *)u + 2), 126);
	assert_memory_equal(u + 2, "a'b?c", 5);
	assert_int_equal(u[2 + 127], RS_UDATA_HASH);
	assert_int_equal(len, 2 + 127 + 2 + 8);
	ruleset_free(rs);
}

static void generation_makes_its_map(void **state)
{
	struct ruleset *rs = empty(0);

	(void)state;
	seal_ok(rs);
	assert_null(ruleset_find_set(rs, RS_GENERATION_SET));
	ruleset_free(rs);
	rs = empty(9);
	seal_ok(rs);
	assert_int_equal(ruleset_find_set(rs, RS_GENERATION_SET)->n, 1);
	ruleset_free(rs);
}

static void failed_allocation_is_remembered(void **state)
{
	struct ruleset *rs = empty(0);
	struct rs_chain *c = ruleset_chain(rs, "c", NULL, 0);
	struct err e = { 0 };

	(void)state;
	rs_chain_add(c, rs, NULL, "a rule that could not be built", 0);
	assert_true(rs->failed);
	assert_int_equal(ruleset_seal(rs, &e), -ENOMEM);
	ruleset_free(rs);
}

/* ---- equality ---- */

static struct ruleset *sample(int change)
{
	struct ruleset *rs = empty(change == 1 ? 8 : 7);
	struct rs_set_def def = marks;
	struct rs_hook hook = { "filter", NF_INET_FORWARD, change == 2 ? 1 : 0 };
	struct rs_chain *c = ruleset_chain(rs, "forw", &hook, 0);
	uint8_t key[8] = { 6, 0, 0, 0, 0, 80 };
	struct rs_set *s;

	rs_chain_add(c, rs, counter_rule(change == 3 ? 2 : 1), NULL, 0);
	if (change == 4)
		rs_chain_add(c, rs, counter_rule(1), NULL, 0);
	s = ruleset_set(rs, &vmap, 0);
	rs_set_add_goto(s, rs, key, change == 5 ? "b" : "a", 0);
	key[5] = 81;
	if (change != 6)
		rs_set_add_goto(s, rs, key, "a", 0);
	def.size = change == 7 ? 100 : 0;
	ruleset_set(rs, &def, 0);
	if (change == 8)
		ruleset_chain(rs, "extra", NULL, 0);
	if (change == 9)
		ruleset_set(rs, &nets, 0);
	rs->foreign = change == 10;
	seal_ok(rs);
	return rs;
}

static void every_difference_is_found_and_named(void **state)
{
	static const char *const what[] = {
		"",
		"config generation",
		"hook of chain forw",
		"rule 1 of chain forw",
		"rule 2 of chain forw",
		"element tcp . 80 of map vmap",
		"element tcp . 81 of map vmap",
		"definition of set marks",
		"chain extra",
		"set nets",
		"table t has foreign objects",
	};
	struct ruleset *a = sample(0);

	(void)state;
	for (int i = 0; i < 11; i++) {
		struct ruleset *b = sample(i);
		char got[128] = "";

		assert_int_equal(ruleset_equal(a, b, got, sizeof(got)), i == 0);
		assert_string_equal(got, what[i]);
		got[0] = '\0';
		assert_int_equal(ruleset_equal(b, a, got, sizeof(got)), i == 0);
		assert_string_equal(got, what[i]);
		ruleset_free(b);
	}
	ruleset_free(a);
}

static void contents_of_dynamic_sets_do_not_count(void **state)
{
	struct rs_set_def def = marks;
	struct ruleset *a = empty(0), *b = empty(0);
	const uint32_t key = 5;

	(void)state;
	def.flags = NFT_SET_EVAL;
	ruleset_set(a, &def, 0);
	rs_set_add(ruleset_set(b, &def, 0), b, &key, 0, NULL, 0);
	seal_ok(a);
	seal_ok(b);
	assert_true(ruleset_equal(a, b, NULL, 0));
	ruleset_free(a);
	ruleset_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_found_by_name_before_and_after_sealing),
		cmocka_unit_test(sealing_sorts_elements_with_their_places),
		cmocka_unit_test(an_interval_ends_before_the_next_one_starts),
		cmocka_unit_test(a_key_that_stands_twice_is_named),
		cmocka_unit_test(keys_are_formatted_by_type),
		cmocka_unit_test(rule_hash_is_of_expressions_and_comment_only),
		cmocka_unit_test(long_comments_are_cut_at_a_character),
		cmocka_unit_test(generation_makes_its_map),
		cmocka_unit_test(failed_allocation_is_remembered),
		cmocka_unit_test(every_difference_is_found_and_named),
		cmocka_unit_test(contents_of_dynamic_sets_do_not_count),
	};

	return cmocka_run_group_tests_name("ruleset", tests, NULL, NULL);
}
