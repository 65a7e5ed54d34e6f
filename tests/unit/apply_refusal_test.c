/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel refuses one object of a batch: apply names the file and line of its
 * route, and nothing has changed. A real refusal is staged: an element stands
 * in the table already, with another target, and RUN/image does not know it, so
 * that the batch adds it a second time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/apply/apply.h"
#include "ctl/base/io.h"
#include "tests/unit/netns.h"
#include "tests/unit/plan_fixture.h"

static const char before[] = FX_ROUTE("one", "ports: 9000", FX_A);
static const char after[] = FX_ROUTE("one", "ports: 9000", FX_A)
	FX_ROUTE("between", "ports: 9004", FX_A) FX_ROUTE("two", "ports: 9005", FX_A);

static struct session s;
static struct gathered g;

static int apply(const char *routes, struct apply_result *out, struct err *e)
{
	struct apply_request r = { .file = "t.yaml", .table = "spctl", .gathered = &g };

	fx_plan(routes);
	gather_fini(&g);
	if (gather_facts(&g, fx.config, NULL, 1000, &fx.diags, e))
		return e->code;
	fx.facts = g.facts;
	r.plan = fx_plan(routes);
	r.text = fx.text.data;
	r.text_len = fx.text.len;
	return apply_run(&s, &r, out, e);
}

/* tcp . 9005 : 10.2.0.77 . 80 in to4, which the image will not have. */
static void plant(uint32_t *genid)
{
	static const uint8_t key[8] = { 6, 0, 0, 0, 0x23, 0x2d, 0, 0 };
	static const uint8_t to[8] = { 10, 2, 0, 77, 0, 80, 0, 0 };
	struct ruleset *have = NULL, *more = NULL;
	struct err e = { 0 };

	assert_int_equal(nft_read(s.nft, "spctl", &have, &e), 0);
	assert_int_equal(nft_read(s.nft, "spctl", &more, &e), 0);
	rs_set_add(ruleset_find_set(more, "to4"), more, key, 0, to, RS_NO_PLACE);
	assert_int_equal(rs_set_seal(ruleset_find_set(more, "to4"), &e), 0);
	if (nft_commit(s.nft, have, more, 0, NFT_COMMIT, NULL, NULL, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(nft_genid(s.nft, genid, &e), 0);
	session_write_image(&s, have, &s.ids, *genid);
	ruleset_free(have);
	ruleset_free(more);
}

static void a_kernel_refusal_names_the_line_of_the_route(void **state)
{
	struct apply_result result;
	struct ruleset *was = NULL, *is = NULL;
	struct err e = { 0 };
	char state_dir[128], run_dir[128], path[160], what[128] = "";
	uint32_t genid = 0, now = 0, live = 0;

	(void)state;
	ns_need();
	snprintf(state_dir, sizeof(state_dir), "%s/state", ns_dir);
	snprintf(run_dir, sizeof(run_dir), "%s/run", ns_dir);
	if (session_open(&s, state_dir, run_dir, SESSION_CREATE | SESSION_LOCK, 1000, &e))
		fail_msg("%s", e.msg);
	if (apply(before, &result, &e))
		fail_msg("%s", e.msg);
	session_close(&s);
	assert_int_equal(session_open(&s, state_dir, run_dir, SESSION_CREATE | SESSION_LOCK, 1000,
				      &e),
			 0);
	assert_int_equal(s.live, 1);
	assert_int_equal(session_read_kernel(&s, "spctl", &e), 0);
	plant(&genid);
	assert_int_equal(nft_read(s.nft, "spctl", &was, &e), 0);

	assert_int_not_equal(apply(after, &result, &e), 0);
	if (!strstr(e.msg, "route \"two\": the kernel refused element ") ||
	    !strstr(e.msg, "9005 of map to4"))
		fail_msg("%s", e.msg);
	assert_string_equal(e.loc.file, "t.yaml");
	assert_int_equal(e.loc.line, 4);
	assert_int_equal(e.loc.col, 3);

	/* Nothing has changed, and nothing is pending. */
	assert_int_equal(nft_genid(s.nft, &now, &e), 0);
	assert_int_equal(now, genid);
	assert_int_equal(nft_read(s.nft, "spctl", &is, &e), 0);
	if (!ruleset_equal(was, is, what, sizeof(what)))
		fail_msg("%s", what);
	assert_int_equal(state_live(&s.state, &live, &e), 0);
	assert_int_equal(live, 1);
	snprintf(path, sizeof(path), "%s/pending", state_dir);
	assert_int_not_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/applied/2.config", state_dir);
	assert_int_not_equal(access(path, F_OK), 0);

	/* Without the image the table is read, and the same file goes through. */
	session_drop_image(&s);
	memset(&e, 0, sizeof(e));
	if (apply(after, &result, &e))
		fail_msg("%s", e.msg);
	assert_int_equal(result.generation, 2);
	ruleset_free(was);
	ruleset_free(is);
	session_close(&s);
	gather_fini(&g);
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kernel_refusal_names_the_line_of_the_route),
	};
	int rc;

	ns_enter();
	rc = cmocka_run_group_tests_name("apply refusal", tests, NULL, NULL);
	ns_leave();
	return rc;
}
