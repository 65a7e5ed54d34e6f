/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fuzzing found, or what its targets promise, in single bytes: messages that are too short,
 * names that lead elsewhere, the text of /proc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/host/conntrack_parse.h"
#include "ctl/host/host_sock.h"
#include "ctl/host/proc_text.h"
#include "ctl/host/sysctl_journal.h"
#include "ctl/nft/ruleset_image.h"
#include "ctl/state/state.h"

/* libnetfilter_conntrack read on behind the first, and ended the process at others. */
static void a_message_cut_anywhere_is_no_flow(void **state)
{
	struct {
		struct nlmsghdr h;
		uint8_t rest[64];
	} m = { .h.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW };
	struct ct_flow f;

	(void)state;
	for (m.h.nlmsg_len = sizeof(m.h); m.h.nlmsg_len <= sizeof(m); m.h.nlmsg_len++)
		assert_false(conntrack_parse(&m.h, true, &f));
}

static void an_answer_that_is_too_long_for_its_bytes_is_none(void **state)
{
	struct nlmsghdr h = { .nlmsg_len = UINT32_MAX, .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = 4 };

	(void)state;
	assert_int_equal(host_sock_parse_answer(&h, sizeof(h), 4, NULL), -EAGAIN);
	h.nlmsg_len = sizeof(h);
	assert_int_equal(host_sock_parse_answer(&h, sizeof(h), 4, NULL), -EPROTO);
	assert_int_equal(host_sock_parse_answer(&h, sizeof(h), 5, NULL), -EAGAIN);
}

static int journal_of(const char *name)
{
	struct sysctl_journal *j = calloc(1, sizeof(*j));
	struct buf text = { 0 };
	struct err e = { 0 };
	int rc;

	j->path = strdup("journal");
	j->boot = strdup("b");
	buf_printf(&text,
		   "{\"boot\":\"b\",\"groups\":[{\"switch\":\"forward_v4\",\"phase\":\"applied\","
		   "\"changes\":[{\"kind\":\"main\",\"name\":\"%s\",\"old\":\"0\",\"ours\":\"1\","
		   "\"reset\":\"\"}]}]}",
		   name);
	rc = sysctl_journal_parse(j, &text, &e);
	buf_fini(&text);
	sysctl_journal_free(j);
	return rc;
}

static void a_journal_names_nothing_outside_of_its_trees(void **state)
{
	static const char *const bad[] = {
		"net/ipv4/..",	   "net/ipv6/../x", "net/ipv4/conf/../../../kernel/core_pattern",
		"net/ipv4/./x",	   "net/ipv4/.",    "net/ipv4/",
		"kernel/hostname", "/net/ipv4/x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(journal_of(bad[i]), -EBADMSG);
	assert_int_equal(journal_of("net/ipv4/ip_forward"), 0);
	/* Interfaces may have such names. */
	assert_int_equal(journal_of("net/ipv4/conf/..x/forwarding"), 0);
	assert_int_equal(journal_of("net/ipv4/conf/.../forwarding"), 0);
	assert_int_equal(journal_of("net/ipv4/conf/a..b/forwarding"), 0);
}

static void a_number_is_whole_or_none(void **state)
{
	static const char *const bad[] = {
		"", "\n", "0\n", "7", "-1\n", " 7\n", "07\n", "4294967296\n", "7 \n", "7\n\n",
	};
	uint32_t n = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(state_number_parse(bad[i], &n));
	assert_int_equal(n, 5);
	assert_true(state_number_parse("4294967295\n", &n) && n == UINT32_MAX);
}

/* The checksum is right, and the id of a route is the one that means none. */
static void an_image_with_the_id_of_no_route_is_none(void **state)
{
	struct ruleset *rs = ruleset_new("t", "o", 1), *again;
	struct route_ids ids = { .next_id = 2 }, read;
	struct buf b = { 0 };
	uint32_t genid;

	(void)state;
	assert_int_equal(ruleset_seal(rs, NULL), 0);
	assert_int_equal(route_ids_add(&ids, "a", 1), 0);
	assert_int_equal(route_ids_seal(&ids), 0);
	assert_int_equal(ruleset_image_build(rs, &ids, "b", 3, &b), 0);
	assert_int_equal(ruleset_image_parse(b.data, b.len, "b", &again, &read, &genid), 0);
	ruleset_free(again);
	route_ids_fini(&read);
	ids.ids[0] = 0;
	buf_reset(&b);
	assert_int_equal(ruleset_image_build(rs, &ids, "b", 3, &b), 0);
	assert_int_equal(ruleset_image_parse(b.data, b.len, "b", &again, &read, &genid), -ENOENT);
	ruleset_free(rs);
	route_ids_fini(&ids);
	buf_fini(&b);
}

static void proc_says_who(void **state)
{
	unsigned long uids[4];
	uint32_t inode;
	char out[64];

	(void)state;
	assert_true(proc_text_socket("socket:[4711]", &inode) && inode == 4711);
	assert_false(proc_text_socket("pipe:[4711]", &inode));
	assert_false(proc_text_socket("socket:[4711", &inode));
	/* A process names itself. */
	assert_int_equal(proc_text_parent("812 (a) S 1 (b) S 77 812"), 77);
	assert_int_equal(proc_text_parent("812 (a"), 0);
	assert_true(proc_text_uids("Uid:\t1\t2\t3\t4\n", uids) && uids[3] == 4);
	assert_false(proc_text_uids("Gid:\t1\t2\t3\t4\n", uids));
	assert_int_equal(proc_text_uid_range("         0       1000          1\n"), 1);
	assert_int_equal(proc_text_uid_range("         0          0 4294967295\n"), UINT32_MAX);
	assert_int_equal(proc_text_uid_range("0 0\n"), 0);
	assert_string_equal(proc_text_command("/usr/sbin/spctl\0run\0-x", 22, out, sizeof(out)),
			    "spctl run");
	assert_string_equal(proc_text_command("a\0-x", 4, out, sizeof(out)), "a");
	assert_string_equal(proc_text_command("", 0, out, sizeof(out)), "?");
	proc_text_command("\x1b[2J", 4, out, sizeof(out));
	assert_null(strchr(out, '\x1b'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_cut_anywhere_is_no_flow),
		cmocka_unit_test(an_answer_that_is_too_long_for_its_bytes_is_none),
		cmocka_unit_test(a_journal_names_nothing_outside_of_its_trees),
		cmocka_unit_test(a_number_is_whole_or_none),
		cmocka_unit_test(an_image_with_the_id_of_no_route_is_none),
		cmocka_unit_test(proc_says_who),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
