/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What foreign chains do with a packet, from the bytes of a real kernel: the
 * seed nft_foreign/foreign has the tables
 *
 *   inet fw    forward (policy drop): ct state vmap, a concatenated set, interface
 *              names, dnat status, a limit, a jump to `rest` (an interval set, reject)
 *              pre (nat): a map, a redirect, one for 10.0.0.0/8 only
 *   ip6 quiet  dormant
 *   ip filter, ip nat   made by iptables-nft: conntrack, addrtype, tcp, multiport
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>

#include <linux/netfilter.h>

#include "ctl/base/io.h"
#include "ctl/nft/nft_judge.h"
#include "ctl/nft/nft_parse.h"

static struct nft_foreign *tables;

static int load(void **state)
{
	struct nft_answer a = { 0 };
	struct buf b = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(io_read_file("tests/data/fuzz/nft_foreign/foreign", 1 << 20, &b, &e), 0);
	tables = nft_foreign_new("spctl");
	assert_non_null(tables);
	a.seq = ((const struct nlmsghdr *)(const void *)b.data)->nlmsg_seq;
	nft_foreign_parse(b.data, b.len, tables, &a);
	assert_true(a.done);
	assert_int_equal(a.error, 0);
	assert_false(tables->failed || tables->truncated);
	buf_fini(&b);
	return 0;
}

static int unload(void **state)
{
	(void)state;
	nft_foreign_free(tables);
	return 0;
}

static struct judge_verdict judge(uint8_t family, const char *table, const char *chain,
				  const struct judge_packet *p)
{
	const struct foreign_chain *c = foreign_chain_find(tables, family, table, chain);
	struct judge_verdict v;

	assert_non_null(c);
	nft_judge(tables, c, p, &v);
	return v;
}

/* A forwarded packet: to 10.20.0.2 (or fd20::2), from interface `iif` to `oif`. */
static struct judge_packet forwarded(uint8_t proto, uint16_t port, const char *iif, const char *oif)
{
	struct judge_packet p = { .family = ADDR_V4,
				  .proto = proto,
				  .destination = { ADDR_V4, { 10, 20, 0, 2 } },
				  .port = port,
				  .translated = true };

	strcpy(p.iif, iif);
	strcpy(p.oif, oif);
	return p;
}

static struct judge_packet local(uint8_t proto, uint16_t port)
{
	return (struct judge_packet){ .family = ADDR_V4,
				      .proto = proto,
				      .destination = { ADDR_V4, { 10, 10, 0, 1 } },
				      .port = port,
				      .to_host = true,
				      .iif = "lan" };
}

static void tables_and_chains_are_read(void **state)
{
	const struct foreign_chain *c;

	(void)state;
	c = foreign_chain_find(tables, NFPROTO_INET, "fw", "forward");
	assert_non_null(c);
	assert_true(c->is_base);
	assert_string_equal(c->type, "filter");
	assert_int_equal(c->hook, NF_INET_FORWARD);
	assert_int_equal(c->policy, NF_DROP);
	c = foreign_chain_find(tables, NFPROTO_INET, "fw", "pre");
	assert_int_equal(c->priority, -150);
	assert_false(foreign_chain_find(tables, NFPROTO_INET, "fw", "rest")->is_base);
	assert_true(foreign_table_find(tables, NFPROTO_IPV6, "quiet")->dormant);
	assert_false(foreign_table_find(tables, NFPROTO_INET, "fw")->dormant);
	assert_null(foreign_chain_find(tables, NFPROTO_IPV4, "fw", "forward"));
}

static void policy_drops_what_no_rule_accepts(void **state)
{
	struct judge_packet p = forwarded(IPPROTO_TCP, 7001, "lan", "srv");
	struct judge_verdict v = judge(NFPROTO_INET, "fw", "forward", &p);

	(void)state;
	assert_int_equal(v.usually, JUDGE_DROP);
	assert_int_equal(v.possible, JUDGE_DROP);
	assert_null(v.rule); /* the policy */
	assert_string_equal(v.chain->name, "forward");
}

static void concatenated_set_accepts_its_element_only(void **state)
{
	struct judge_packet p = forwarded(IPPROTO_TCP, 7000, "lan", "srv");
	struct judge_verdict v = judge(NFPROTO_INET, "fw", "forward", &p);

	(void)state;
	assert_int_equal(v.possible, JUDGE_ACCEPT);
	assert_non_null(v.rule);
	p.destination.bytes[3] = 3;
	assert_int_equal(judge(NFPROTO_INET, "fw", "forward", &p).possible, JUDGE_DROP);
}

static void interface_names_and_port_ranges_count(void **state)
{
	struct judge_packet p = forwarded(IPPROTO_UDP, 60, "lan2", "srv");

	(void)state;
	assert_int_equal(judge(NFPROTO_INET, "fw", "forward", &p).possible, JUDGE_ACCEPT);
	p.port = 61;
	assert_int_equal(judge(NFPROTO_INET, "fw", "forward", &p).possible, JUDGE_DROP);
	p = forwarded(IPPROTO_UDP, 60, "wan", "srv");
	assert_int_equal(judge(NFPROTO_INET, "fw", "forward", &p).possible, JUDGE_DROP);
	/* Not known where it comes from: both. */
	p = forwarded(IPPROTO_UDP, 60, "", "srv");
	assert_int_equal(judge(NFPROTO_INET, "fw", "forward", &p).possible,
			 JUDGE_ACCEPT | JUDGE_DROP);
	assert_int_equal(judge(NFPROTO_INET, "fw", "forward", &p).usually, JUDGE_DROP);
}

static void translated_status_and_prefixes_count(void **state)
{
	struct judge_packet p = { .family = ADDR_V6,
				  .proto = IPPROTO_TCP,
				  .destination = { ADDR_V6, { 0xfd, 0x20, [15] = 2 } },
				  .port = 9,
				  .translated = true,
				  .iif = "lan",
				  .oif = "srv" };

	(void)state;
	assert_int_equal(judge(NFPROTO_INET, "fw", "forward", &p).possible, JUDGE_ACCEPT);
	p.translated = false;
	assert_int_equal(judge(NFPROTO_INET, "fw", "forward", &p).possible, JUDGE_DROP);
	p.translated = true;
	p.destination.bytes[7] = 1; /* outside of fd20::/64 */
	assert_int_equal(judge(NFPROTO_INET, "fw", "forward", &p).possible, JUDGE_DROP);
}

static void a_limit_may_or_may_not_match(void **state)
{
	struct judge_packet p = forwarded(IPPROTO_TCP, 22, "lan", "srv");
	struct judge_verdict v = judge(NFPROTO_INET, "fw", "forward", &p);

	(void)state;
	assert_int_equal(v.possible, JUDGE_ACCEPT | JUDGE_DROP);
	assert_int_equal(v.usually, JUDGE_DROP);
}

static void a_jump_leads_to_interval_sets_and_rejects(void **state)
{
	struct judge_packet p = forwarded(IPPROTO_TCP, 8500, "lan", "out");
	struct judge_verdict v = judge(NFPROTO_INET, "fw", "forward", &p);

	(void)state;
	assert_int_equal(v.possible, JUDGE_ACCEPT);
	assert_string_equal(v.chain->name, "rest");
	for (unsigned i = 0; i < 2; i++) {
		p.port = i ? 7999 : 10000;
		v = judge(NFPROTO_INET, "fw", "forward", &p);
		assert_int_equal(v.possible, JUDGE_DROP);
		assert_string_equal(v.chain->name, "rest");
		assert_non_null(v.rule);
	}
	p.port = 6999;
	assert_int_equal(judge(NFPROTO_INET, "fw", "forward", &p).possible, JUDGE_ACCEPT);
	p.proto = IPPROTO_UDP; /* no reject for it: back, and to the policy */
	p.port = 7999;
	assert_null(judge(NFPROTO_INET, "fw", "forward", &p).rule);
}

static void maps_and_redirects_translate(void **state)
{
	struct judge_packet p = local(IPPROTO_TCP, 9000);
	struct judge_verdict v = judge(NFPROTO_INET, "fw", "pre", &p);

	(void)state;
	assert_int_equal(v.usually, JUDGE_TRANSLATE);
	assert_int_equal(v.possible, JUDGE_TRANSLATE);
	p.port = 9001; /* not in the map */
	assert_int_equal(judge(NFPROTO_INET, "fw", "pre", &p).possible, JUDGE_ACCEPT);
	p = local(IPPROTO_UDP, 53);
	assert_int_equal(judge(NFPROTO_INET, "fw", "pre", &p).usually, JUDGE_TRANSLATE);
	/* For clients of 10/8 only. */
	p = local(IPPROTO_TCP, 80);
	v = judge(NFPROTO_INET, "fw", "pre", &p);
	assert_int_equal(v.usually, JUDGE_ACCEPT);
	assert_int_equal(v.possible, JUDGE_ACCEPT | JUDGE_TRANSLATE);
	assert_non_null(v.may_translate);
	p.source = (struct addr){ ADDR_V4, { 10, 1, 2, 3 } };
	assert_int_equal(judge(NFPROTO_INET, "fw", "pre", &p).usually, JUDGE_TRANSLATE);
	p.source = (struct addr){ ADDR_V4, { 11, 1, 2, 3 } };
	assert_int_equal(judge(NFPROTO_INET, "fw", "pre", &p).possible, JUDGE_ACCEPT);
}

static void iptables_conntrack_match_is_read(void **state)
{
	struct judge_packet p = forwarded(IPPROTO_TCP, 7000, "lan", "srv");

	(void)state;
	assert_int_equal(judge(NFPROTO_IPV4, "filter", "FORWARD", &p).possible, JUDGE_ACCEPT);
	p.translated = false;
	assert_int_equal(judge(NFPROTO_IPV4, "filter", "FORWARD", &p).possible, JUDGE_DROP);
}

/* The answer to forwarded(): established, and the target's port is the source's. */
static void answers_are_established(void **state)
{
	struct judge_packet p = forwarded(IPPROTO_TCP, 0, "out", "lan");

	(void)state;
	p.source = p.destination;
	p.destination = (struct addr){ 0 };
	p.source_port = 7001;
	assert_int_not_equal(judge(NFPROTO_INET, "fw", "forward", &p).possible, JUDGE_ACCEPT);
	p.reply = true;
	assert_int_equal(judge(NFPROTO_INET, "fw", "forward", &p).possible, JUDGE_ACCEPT);
	assert_int_equal(judge(NFPROTO_IPV4, "filter", "FORWARD", &p).possible, JUDGE_ACCEPT);
	/* Without an entry in the table there is neither a state nor a translation. */
	p.untracked = true;
	assert_int_equal(judge(NFPROTO_IPV4, "filter", "FORWARD", &p).possible, JUDGE_DROP);
}

static void iptables_ports_and_targets_are_read(void **state)
{
	static const struct {
		uint8_t proto;
		uint16_t port;
		enum judge_outcome wanted;
	} cases[] = {
		{ IPPROTO_TCP, 8080, JUDGE_TRANSLATE }, { IPPROTO_TCP, 8081, JUDGE_ACCEPT },
		{ IPPROTO_UDP, 8080, JUDGE_ACCEPT },	{ IPPROTO_UDP, 499, JUDGE_ACCEPT },
		{ IPPROTO_UDP, 500, JUDGE_TRANSLATE },	{ IPPROTO_UDP, 510, JUDGE_TRANSLATE },
		{ IPPROTO_UDP, 511, JUDGE_ACCEPT },	{ IPPROTO_UDP, 4500, JUDGE_TRANSLATE },
		{ IPPROTO_UDP, 4501, JUDGE_ACCEPT },
	};
	struct judge_packet p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		p = local(cases[i].proto, cases[i].port);
		assert_int_equal(judge(NFPROTO_IPV4, "nat", "PREROUTING", &p).usually,
				 cases[i].wanted);
		assert_int_equal(judge(NFPROTO_IPV4, "nat", "PREROUTING", &p).possible,
				 cases[i].wanted);
	}
	p = local(IPPROTO_TCP, 8080);
	strcpy(p.iif, "docker0");
	assert_int_equal(judge(NFPROTO_IPV4, "nat", "PREROUTING", &p).possible, JUDGE_ACCEPT);
	p = local(IPPROTO_TCP, 8080);
	p.to_host = false;
	assert_int_equal(judge(NFPROTO_IPV4, "nat", "PREROUTING", &p).possible, JUDGE_ACCEPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_and_chains_are_read),
		cmocka_unit_test(policy_drops_what_no_rule_accepts),
		cmocka_unit_test(concatenated_set_accepts_its_element_only),
		cmocka_unit_test(interface_names_and_port_ranges_count),
		cmocka_unit_test(translated_status_and_prefixes_count),
		cmocka_unit_test(a_limit_may_or_may_not_match),
		cmocka_unit_test(a_jump_leads_to_interval_sets_and_rejects),
		cmocka_unit_test(maps_and_redirects_translate),
		cmocka_unit_test(iptables_conntrack_match_is_read),
		cmocka_unit_test(answers_are_established),
		cmocka_unit_test(iptables_ports_and_targets_are_read),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
