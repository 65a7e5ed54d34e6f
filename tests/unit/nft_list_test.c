/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What other tools see of our table: every form of rule that nft_expr.h can
 * make is written to the kernel alone and then listed by `nft` as text and as
 * JSON. nft 1.0.6 aborts on forms that it does not expect, so this is the proof
 * for each. NFT_LIST_SHOW=1 prints the listings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include "ctl/nft/nft.h"
#include "ctl/nft/nft_expr.h"
#include "ctl/nft/ruleset.h"
#include "tests/unit/nft_forms.h"

#define TABLE "t1"

static struct nft *nft;
static const char *unavailable;

static void add_form(struct ruleset *rs, const struct form *f)
{
	static const struct rs_hook hooks[] = {
		[REGULAR] = { NULL, 0, 0 },
		[NAT_PRE] = { "nat", NF_INET_PRE_ROUTING, -100 },
		[NAT_POST] = { "nat", NF_INET_POST_ROUTING, 100 },
		[FORWARD] = { "filter", NF_INET_FORWARD, 0 },
		[RAW] = { "filter", NF_INET_PRE_ROUTING, -300 },
	};
	struct rs_chain *c = ruleset_chain(rs, f->name, &hooks[f->where], RS_NO_PLACE);
	struct nx x = nx_new();

	f->make(&x);
	rs_chain_add(c, rs, nx_done(&x), f->name, RS_NO_PLACE);
}

static struct ruleset *new_table(void)
{
	struct ruleset *rs = ruleset_new(TABLE, "listing test", 9);

	ruleset_chain(rs, "target", NULL, RS_NO_PLACE);
	add_sets(rs);
	return rs;
}

static void write_table(struct ruleset *rs, const char *name)
{
	struct err e = { 0 };

	if (ruleset_seal(rs, &e) || nft_commit(nft, rs, rs, 0, NFT_REPLACE, NULL, NULL, &e))
		fail_msg("%s: %s", name, e.msg);
	ruleset_free(rs);
}

/* True when nft ends well and says nothing but the listing. */
static bool lists_cleanly(const char *command, const char *needle, char *out, size_t cap)
{
	FILE *p = popen(command, "r");
	size_t n;
	int rc;

	if (!p)
		return false;
	n = fread(out, 1, cap - 1, p);
	out[n] = '\0';
	rc = pclose(p);
	return !rc && !strstr(out, "rror") && !strstr(out, "ssertion") && strstr(out, needle);
}

static char listing[1 << 18];

static unsigned list_both(const char *name)
{
	static const char *const commands[] = { "nft list ruleset 2>&1",
						"nft -j list ruleset 2>&1" };
	unsigned bad = 0;

	for (size_t i = 0; i < 2; i++) {
		if (!lists_cleanly(commands[i], name, listing, sizeof(listing))) {
			print_message("%s: %s:\n%s\n", name, commands[i], listing);
			bad++;
		}
		if (!i && getenv("NFT_LIST_SHOW"))
			puts(listing); /* cmocka would cut it */
	}
	return bad;
}

static void skip_unless_possible(void)
{
	if (!unavailable)
		return;
	print_message("skipped: %s\n", unavailable);
	skip();
}

static void each_form_alone_is_listed_by_nft(void **state)
{
	unsigned bad = 0;

	(void)state;
	skip_unless_possible();
	for (size_t i = 0; i < N_FORMS; i++) {
		struct ruleset *rs = new_table();

		add_form(rs, &forms[i]);
		write_table(rs, forms[i].name);
		bad += list_both(forms[i].name);
	}
	assert_int_equal(bad, 0);
}

static void all_forms_together_are_listed_by_nft(void **state)
{
	struct ruleset *rs;

	(void)state;
	skip_unless_possible();
	rs = new_table();
	for (size_t i = 0; i < N_FORMS; i++)
		add_form(rs, &forms[i]);
	write_table(rs, "all forms");
	assert_int_equal(list_both("q_loopback_masquerade"), 0);
	/* JSON of 1.0.6 leaves a table's comment out. */
	assert_true(lists_cleanly("nft list ruleset 2>&1", "comment \"spctl listing test\"",
				  listing, sizeof(listing)));
}

static void open_kernel(void)
{
	static struct err e;
	struct ruleset *rs = NULL;

	if (system("nft --version >/dev/null 2>&1"))
		unavailable = "no nft command";
	else if (unshare(CLONE_NEWNET))
		unavailable = "no network namespace of our own (needs root)";
	if (unavailable)
		return;
	nft = nft_open(&e);
	if (!nft || nft_read(nft, TABLE, &rs, &e))
		unavailable = e.msg;
	ruleset_free(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_alone_is_listed_by_nft),
		cmocka_unit_test(all_forms_together_are_listed_by_nft),
	};
	int rc;

	open_kernel();
	rc = cmocka_run_group_tests_name("nft list", tests, NULL, NULL);
	nft_close(nft);
	return rc;
}
