/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The service's numbers beside the kernel's, and what of them needs somebody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>

#include "ctl/cli/status.h"
#include "tests/unit/plan_fixture.h"

static struct route_ids ids;
static struct usage usage;
static struct service_view view;
static struct attention attention;

static const char routes[] =
	"- {name: web, match: {ports: 443}, action: {type: forward, forwardingEngine: relay,"
	" targets: [{host: [10.2.0.2, 10.2.0.3], port: 80}]}}\n"
	"- {name: kernel, match: {ports: 80}, action: {type: forward, " FX_A "}}\n"
	"- {name: both, match: {ports: 90, transport: all}, action: {type: forward,"
	" forwardingEngine: auto, targets: [{host: 10.2.0.9, port: 90}]}}\n"
	"- {name: front, priority: 9, match: {ports: 90, domains: a.test}, action: {type: forward,"
	" tls: {mode: passthrough}, targets: [{host: b.test, port: 90}]}}\n";

static int begin(void **state)
{
	static const char *const names[] = { "web", "kernel", "both", "front",
					     CONTROL_DEFAULT_NAME };

	(void)state;
	fx.facts.have_relay = true;
	fx_plan_text("defaults: {target: {host: 10.2.0.7, port: 70}}", routes);
	if (!fx.plan)
		fail_msg("no plan: %s", fx.diags.n ? fx.diags.v[0].msg : "no message");
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(route_ids_add(&ids, names[i], 11 + i), 0);
	assert_int_equal(route_ids_seal(&ids), 0);
	assert_int_equal(usage_init(&usage, fx.plan), 0);
	usage.have_active = usage.have_totals = true;
	view = (struct service_view){ .presence = CONTROL_THERE,
				      .controller_answers = true,
				      .answers = true,
				      .pid = 812,
				      .routes = json_array() };
	view.service = json_pack("{s:s,s:i,s:i,s:i,s:[s,s]}", "state", "ready", "generation", 5,
				 "dataplane", 813, "restarts", 2, "places", "*:443", "*:90");
	view.process = json_pack("{s:b}", "outOfDescriptors", 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	usage_fini(&usage);
	service_view_fini(&view);
	route_ids_fini(&ids);
	fx_end();
	memset(&fx.facts, 0, sizeof(fx.facts));
	return 0;
}

static uint32_t tag_of(const char *name, unsigned target)
{
	return usage.routes[fx_route(name) - fx.plan->routes].targets[target].tag;
}

/* One as the dataplane says it, with one target. */
static void tell(uint32_t id, int n, uint32_t tag, bool healthy)
{
	json_array_append_new(
		view.routes,
		json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:{s:i,s:i},s:[{s:I,s:b,s:i,s:i,s:i,s:"
			  "i,s:i}]}",
			  "id", (int)id, "active", n, "total", n * 10, "bytesIn", n * 100,
			  "bytesOut", n * 1000, "copy", n, "splice", n + 1, "failedOpen", n + 2,
			  "refused", "connect_failed", n, "ip_limit", 7, "targets", "tag",
			  (json_int_t)tag, "healthy", healthy, "active", n, "total", n * 10,
			  "failed", n + 3, "bytesIn", n * 100, "bytesOut", n * 1000));
}

static struct usage_route *merged(const char *name)
{
	return &usage.routes[fx_route(name) - fx.plan->routes];
}

static void merge(void)
{
	assert_int_equal(usage_add_service(&usage, fx.plan, &ids, &view), 0);
}

static void counters_of_both_are_added(void **state)
{
	struct usage_route *web = merged("web");

	(void)state;
	web->all = (struct usage_counts){ .active = 1, .total = 2, .bytes_in = 3, .bytes_out = 4 };
	web->refused[REASON_IP_LIMIT] = 5;
	web->targets[1].counts.total = 6;
	tell(11, 2, tag_of("web", 1), true);
	merge();
	assert_int_equal(web->all.active, 3);
	assert_int_equal(web->all.total, 22);
	assert_int_equal(web->all.bytes_in, 203);
	assert_int_equal(web->all.bytes_out, 2004);
	assert_int_equal(web->refused[REASON_IP_LIMIT], 12);
	assert_int_equal(web->refused[REASON_CONNECT_FAILED], 2);
	assert_int_equal(usage_refused(web), 14);
	assert_int_equal(web->copied, 2);
	assert_int_equal(web->spliced, 3);
	assert_int_equal(web->failed_open, 4);
	assert_int_equal(web->targets[0].counts.total, 0);
	assert_int_equal(web->targets[0].health, USAGE_UNKNOWN);
	assert_int_equal(web->targets[1].counts.total, 26);
	assert_int_equal(web->targets[1].counts.active, 2);
	assert_int_equal(web->targets[1].failed, 5);
	assert_int_equal(web->targets[1].health, USAGE_UP);
	assert_true(web->from_service);
	assert_false(merged("kernel")->from_service);
}

static void who_is_not_of_the_plan_counts_for_nobody(void **state)
{
	(void)state;
	tell(99, 1, 1, false);
	tell(0, 1, 1, false);
	tell(13, 1, 12345, false); /* of a target that left */
	merge();
	for (unsigned i = 0; i < usage.n_routes; i++) {
		const struct usage_route *u = &usage.routes[i];

		assert_int_equal(u->all.active, u->from_service);
		for (unsigned k = 0; k < u->n_targets; k++)
			assert_int_equal(u->targets[k].counts.active, 0);
	}
	assert_int_equal(merged("both")->all.active, 1);
}

/* An address of the kernel's is the same target as the one of the service's. */
static void a_target_is_the_same_in_both_tiers(void **state)
{
	const struct plan_route *r = fx_route("both");
	struct usage_route *u = merged("both");
	struct usage_target *t;

	(void)state;
	assert_true(usage_is_user(r));
	assert_int_equal(r->n_targets, 1);
	t = usage_find_target(u, r, r->targets[0].tag);
	assert_non_null(t);
	t->counts.total = 1;
	tell(13, 1, r->targets[0].tag, true);
	merge();
	assert_int_equal(u->targets[0].counts.total, 11);
	assert_null(usage_find_target(u, r, r->targets[0].tag + 1));
}

static void what_no_route_takes_has_a_row(void **state)
{
	(void)state;
	assert_true(usage.have_fallback);
	tell(15, 4, usage.fallback.targets[0].tag, true);
	merge();
	assert_int_equal(usage.fallback.all.active, 4);
	assert_int_equal(usage.fallback.targets[0].counts.total, 40);
}

static void who_does_not_answer_leaves_blind_only_what_is_his(void **state)
{
	(void)state;
	view.answers = false;
	merge();
	assert_true(merged("web")->blind);
	assert_true(merged("both")->blind);
	assert_false(merged("kernel")->blind);
	view.presence = CONTROL_NONE;
	merge();
	assert_false(merged("web")->blind);
}

/* ---- what needs somebody ---- */

static unsigned look(void)
{
	merge();
	attention_find(&attention, fx.plan, &usage, &view, 5, "`spctl apply`");
	return attention.n;
}

static void expect_sentence(const char *said)
{
	if (look() != 1 || strcmp(attention.v[0], said))
		fail_msg("%u: %s", attention.n, attention.n ? attention.v[0] : "");
}

static void a_service_that_serves_needs_nobody(void **state)
{
	(void)state;
	tell(11, 1, tag_of("web", 0), false); /* one of two */
	assert_int_equal(look(), 0);
}

static void each_trouble_is_one_sentence(void **state)
{
	(void)state;
	view.presence = CONTROL_NONE;
	expect_sentence("the service is needed and does not run: `spctl apply` starts it");
	view.presence = CONTROL_ORPHAN;
	expect_sentence("the service's controller is gone: its dataplane goes on with what it has, "
			"and nobody would start it again: `spctl apply` does");
	view.presence = CONTROL_STARTS;
	expect_sentence("the service (pid 812) holds its lock, and does not answer");
	view.presence = CONTROL_THERE;
	view.answers = false;
	err_set(&view.e, -ETIMEDOUT, "too late");
	expect_sentence("the dataplane (pid 813) cannot be asked: too late");
	view.controller_answers = false;
	expect_sentence("the service (pid 812) cannot be asked: too late");
	view.controller_answers = view.answers = true;
	json_object_set_new(view.service, "state", json_string("restarts"));
	expect_sentence("the dataplane is not ready (restarts, started again 2 times): new "
			"connections wait");
	json_object_set_new(view.service, "restarts", json_integer(1));
	expect_sentence("the dataplane is not ready (restarts, started again 1 time): new "
			"connections wait");
	json_object_set_new(view.service, "state", json_string("ready"));
	json_object_set_new(view.service, "generation", json_integer(4));
	expect_sentence("the service has generation 4 instead of 5: `spctl apply` repairs it");
	json_object_set_new(view.service, "generation", json_integer(5));
	json_object_set_new(view.process, "outOfDescriptors", json_true());
	expect_sentence("the service is out of descriptors: new connections wait until some are "
			"free");
}

static void a_route_whose_targets_are_all_down_is_named(void **state)
{
	(void)state;
	tell(12, 1, tag_of("kernel", 0), false);
	expect_sentence("route \"kernel\": its target is down");
	tell(11, 1, tag_of("web", 0), false);
	tell(11, 1, tag_of("web", 1), false);
	assert_int_equal(look(), 2);
	assert_string_equal(attention.v[0], "route \"web\": all targets are down");
}

static void without_need_nobody_misses_the_service(void **state)
{
	(void)state;
	usage_fini(&usage);
	fx_plan(FX_ROUTE("kernel", "ports: 80", FX_A));
	assert_int_equal(usage_init(&usage, fx.plan), 0);
	view.presence = CONTROL_NONE;
	assert_int_equal(look(), 0);
	view.presence = CONTROL_THERE; /* it is there, then it has to answer */
	view.controller_answers = view.answers = false;
	assert_int_equal(look(), 1);
}

/* ---- places ---- */

static void listeners_that_are_not_there_are_found(void **state)
{
	struct control_listener wanted[3] = { { .port = 443 }, { .port = 90 }, { .port = 91 } };
	unsigned first = 9;

	(void)state;
	assert_int_equal(service_view_missing(&view, wanted, 2, &first), 0);
	assert_int_equal(service_view_missing(&view, wanted, 3, &first), 1);
	assert_int_equal(first, 2);
	addr_parse("fd00::1", &wanted[0].address);
	assert_int_equal(service_view_missing(&view, wanted, 3, &first), 2);
	assert_int_equal(first, 0);
	json_array_append_new(json_object_get(view.service, "places"),
			      json_string("[fd00::1]:443"));
	assert_int_equal(service_view_missing(&view, wanted, 1, &first), 0);
	/* One that does not say where it listens is not blamed. */
	json_object_del(view.service, "places");
	assert_int_equal(service_view_missing(&view, wanted, 3, &first), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counters_of_both_are_added),
		TEST(who_is_not_of_the_plan_counts_for_nobody),
		TEST(a_target_is_the_same_in_both_tiers),
		TEST(what_no_route_takes_has_a_row),
		TEST(who_does_not_answer_leaves_blind_only_what_is_his),
		TEST(a_service_that_serves_needs_nobody),
		TEST(each_trouble_is_one_sentence),
		TEST(a_route_whose_targets_are_all_down_is_named),
		TEST(without_need_nobody_misses_the_service),
		TEST(listeners_that_are_not_there_are_found),
	};

	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
