/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the service finds out about targets: what is believed, where it is kept, what it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "ctl/apply/found.h"
#include "ctl/nft/ruleset_compile_internal.h"
#include "ctl/service/service_internal.h"
#include "tests/unit/plan_fixture.h"

static struct addr address(const char *text)
{
	struct addr a = { 0 };

	assert_true(addr_parse(text, &a));
	return a;
}

/* ---- addresses ---- */

static void a_name_may_not_lead_to_where_nobody_or_only_the_host_is(void **state)
{
	static const char *const bad[] = { "0.0.0.0",	      "0.1.2.3",   "127.0.0.1",
					   "127.9.9.9",	      "224.0.0.1", "255.255.255.255",
					   "169.254.169.254", "::",	   "::1",
					   "ff02::1",	      "fe80::1",   "::ffff:0.0.0.0",
					   "::ffff:127.0.0.1" };
	static const char *const good[] = { "10.0.0.1",	   "192.0.2.1",	      "fd00::1",
					    "2001:db8::1", "::ffff:10.0.0.1", "169.253.1.1",
					    "126.0.0.1",   "128.0.0.1" };
	struct addr out[RESOLVE_MAX_ADDRS], a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		a = address(bad[i]);
		if (found_accept("db.lan", NULL, &a, 1, out))
			fail_msg("%s is accepted", bad[i]);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		a = address(good[i]);
		if (found_accept("db.lan", NULL, &a, 1, out) != 1)
			fail_msg("%s is not accepted", good[i]);
	}
}

static void only_localhost_and_what_is_there_already_may_be_loopback(void **state)
{
	struct addr lo = address("127.0.0.1"), out[RESOLVE_MAX_ADDRS], here = address("127.0.1.1");
	const struct resolved_name now = { .addrs = &here, .n = 1 };

	(void)state;
	assert_int_equal(found_accept("localhost", NULL, &lo, 1, out), 1);
	assert_int_equal(found_accept("a.LOCALHOST.", NULL, &lo, 1, out), 1);
	assert_int_equal(found_accept("mylocalhost", NULL, &lo, 1, out), 0);
	assert_int_equal(found_accept("localhost.lan", NULL, &lo, 1, out), 0);
	assert_int_equal(found_accept("myhost", &now, &lo, 1, out), 1);
	here = address("10.0.0.1");
	assert_int_equal(found_accept("myhost", &now, &lo, 1, out), 0);
}

static void addresses_are_sorted_distinct_and_not_too_many(void **state)
{
	struct addr v[40], out[RESOLVE_MAX_ADDRS];

	(void)state;
	v[0] = address("fd00::1");
	v[1] = v[3] = address("10.0.0.2");
	v[2] = address("127.0.0.1");
	assert_int_equal(found_accept("a", NULL, v, 4, out), 2);
	assert_true(!addr_cmp(&out[0], &v[1]) && !addr_cmp(&out[1], &v[0]));
	for (unsigned i = 0; i < 40; i++) {
		v[i] = address("10.0.0.0");
		v[i].bytes[3] = (uint8_t)(99 - i);
	}
	assert_int_equal(found_accept("a", NULL, v, 40, out), RESOLVE_MAX_ADDRS);
	assert_int_equal(out[0].bytes[3], 60);
}

/* ---- what a dataplane says ---- */

static struct service service;

static void service_begin(void)
{
	static const char load[] =
		"{\"routes\":["
		"{\"id\":1,\"name\":\"pool\",\"healthCheck\":{},\"targets\":["
		"{\"tag\":11,\"kind\":\"address\",\"host\":\"10.0.0.1\",\"port\":80},"
		"{\"tag\":12,\"kind\":\"name\",\"host\":\"db.lan\",\"port\":80}]},"
		"{\"id\":2,\"name\":\"unchecked\",\"targets\":["
		"{\"tag\":21,\"kind\":\"address\",\"host\":\"10.0.0.1\",\"port\":80}]}]}";

	service = (struct service){ .stopping = true }; /* nothing is started */
	service.link.live = json_loads(load, 0, NULL);
	service.link.names = json_object();
	service.link.generation = 7;
	service.loop = loop_new(NULL);
	assert_non_null(service.loop);
	words_init(&service.link.words, service.loop);
	log_set_level(LOG_LEVEL_ERR);
}

static void service_end(void)
{
	state_found_fini(&service.found.list);
	json_decref(service.link.live);
	json_decref(service.link.names);
	words_fini(&service.link.words);
	loop_free(service.loop);
}

static void hear(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);
	struct upcall u;

	assert_non_null(json);
	if (!upcall_parse(json, 0, &u, NULL))
		found_heard(&service, &u);
	json_decref(json);
}

#define TARGET(route, tag, up) \
	"{\"type\":\"target\",\"route\":" route ",\"tag\":" tag ",\"up\":" up ",\"reason\":\"\"}"
#define NAME(name, list) \
	"{\"type\":\"name\",\"name\":\"" name "\",\"ttl\":5,\"addresses\":[" list "]}"

static void what_no_route_has_is_passed_over(void **state)
{
	static const char *const lies[] = {
		TARGET("3", "11", "false"),	  /* no such route */
		TARGET("1", "13", "false"),	  /* no such target */
		TARGET("1", "21", "false"),	  /* another route's */
		TARGET("2", "21", "false"),	  /* nobody checks it */
		TARGET("1", "11", "true"),	  /* it is up */
		NAME("evil.lan", "\"10.0.0.9\""), /* no such name */
		NAME("10.0.0.1", "\"10.0.0.9\""), /* a target, but no name */
		NAME("DB.lan", "\"10.0.0.9\""),	  /* not as it is written */
		NAME("db.lan", "\"127.0.0.1\""),  /* not there */
		NAME("db.lan", "\"169.254.1.1\""),
	};

	(void)state;
	service_begin();
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		hear(lies[i]);
		if (service.found.list.n_down || service.found.list.n_names || service.found.dirty)
			fail_msg("believed: %s", lies[i]);
	}
	service_end();
}

static void what_a_route_has_is_noted_once(void **state)
{
	struct state_found *f = &service.found.list;

	(void)state;
	service_begin();
	hear(TARGET("1", "11", "false"));
	hear(TARGET("1", "12", "false"));
	hear(TARGET("1", "11", "false"));
	assert_int_equal(f->n_down, 2);
	assert_true(service.found.dirty);
	hear(TARGET("1", "11", "true"));
	assert_int_equal(f->n_down, 1);
	assert_int_equal(f->down[0].tag, 12);
	hear(NAME("db.lan", "\"10.0.0.9\",\"169.254.169.254\""));
	assert_int_equal(f->n_names, 1);
	assert_int_equal(f->names[0].n, 1);
	service.found.dirty = false;
	hear(NAME("db.lan", "\"10.0.0.9\""));
	assert_false(service.found.dirty);
	hear(NAME("db.lan", "\"fd00::9\",\"10.0.0.8\""));
	assert_true(service.found.dirty);
	assert_int_equal(f->names[0].n, 2);
	assert_int_equal(f->names[0].addrs[0].family, ADDR_V4);
	service_end();
}

static void what_the_next_generation_has_not_is_forgotten(void **state)
{
	static const char resolved[] = "[{\"name\":\"new.lan\",\"addresses\":[\"10.0.0.7\"]},"
				       "{\"name\":\"stray.lan\",\"addresses\":[\"10.0.0.7\"]}]";
	json_t *names = json_loads(resolved, 0, NULL), *route, *target;

	(void)state;
	service_begin();
	hear(TARGET("1", "11", "false"));
	hear(TARGET("1", "12", "false"));
	hear(NAME("db.lan", "\"10.0.0.9\""));
	route = json_array_get(json_object_get(service.link.live, "routes"), 0);
	target = json_array_get(json_object_get(route, "targets"), 1);
	json_object_set_new(target, "host", json_string("new.lan"));
	json_object_set_new(target, "tag", json_integer(99));
	found_generation(&service, names);
	assert_int_equal(service.found.list.n_down, 1);
	assert_int_equal(service.found.list.down[0].tag, 11);
	assert_int_equal(service.found.list.n_names, 1);
	assert_string_equal(service.found.list.names[0].name, "new.lan");
	json_object_del(route, "healthCheck");
	found_generation(&service, NULL);
	assert_int_equal(service.found.list.n_down, 0);
	json_decref(names);
	service_end();
}

/* ---- the file ---- */

static void it_reads_back_as_it_was_written(void **state)
{
	const struct addr v[] = { address("10.0.0.1"), address("fd00::1") };
	struct state_found f = { .generation = 9, .boot = "b" }, g;
	struct buf text = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(state_found_add_name(&f, "b.lan", 3, v, 2), 0);
	assert_int_equal(state_found_add_name(&f, "a.lan", 4, v, 1), 0);
	for (uint32_t tag = 9; tag; tag--)
		assert_int_equal(state_found_add_down(&f, tag & 1 ? "x" : "w", tag), 0);
	assert_int_equal(state_found_format(&f, &text, &e), 0);
	assert_int_equal(state_found_parse(text.data, text.len, &g, &e), 0);
	assert_int_equal(g.generation, 9);
	assert_string_equal(g.boot, "b");
	assert_int_equal(state_found_name(&g, "b.lan")->since, 3);
	assert_int_equal(state_found_name(&g, "b.lan")->n, 2);
	assert_null(state_found_name(&g, "c.lan"));
	assert_int_equal(g.n_down, 9);
	assert_string_equal(g.down[3].route, "w");
	assert_int_equal(g.down[3].tag, 8);
	buf_fini(&text);
	state_found_fini(&f);
	state_found_fini(&g);
}

#define FILE_OF(names, down) "{\"boot\":\"b\",\"names\":[" names "],\"down\":[" down "]}"

static void what_is_damaged_is_refused_as_a_whole(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"boot\":\"b\",\"names\":[],\"down\":{}}",
		"{\"names\":[],\"down\":[]}",
		"{\"boot\":\"0123456789012345678901234567890123456789\",\"names\":[],\"down\":[]}",
		FILE_OF("{\"name\":\"a\",\"addresses\":[]}", ""),
		FILE_OF("{\"name\":\"a\",\"addresses\":[\"x\"]}", ""),
		FILE_OF("{\"name\":\"a\",\"addresses\":[\"10.0.0.2\",\"10.0.0.1\"]}", ""),
		FILE_OF("", "{\"route\":\"a\",\"tag\":0}"),
		FILE_OF("", "{\"route\":\"\",\"tag\":1}"),
	};
	struct state_found f;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(state_found_parse(bad[i], strlen(bad[i]), &f, &e), -EBADMSG);
	assert_int_equal(state_found_parse(FILE_OF("", ""), strlen(FILE_OF("", "")), &f, &e), 0);
}

static void a_later_generation_knows_its_names_better(void **state)
{
	const struct addr new = address("10.0.0.9");

	(void)state;
	for (uint32_t generation = 4; generation <= 6; generation++) {
		struct state_found f = { 0 };
		struct state_meta m = { .generation = generation, .n_names = 1 };

		m.names = calloc(1, sizeof(*m.names));
		m.names[0] = (struct resolved_name){ .name = strdup("db.lan"),
						     .addrs = calloc(1, sizeof(struct addr)),
						     .n = 1 };
		m.names[0].addrs[0] = address("10.0.0.1");
		assert_int_equal(state_found_add_name(&f, "db.lan", 5, &new, 1), 0);
		assert_int_equal(state_found_add_down(&f, "web", 1), 0);
		assert_int_equal(state_found_lay_over(&f, &m), 0);
		assert_int_equal(m.names[0].addrs[0].bytes[3], generation <= 5 ? 9 : 1);
		assert_int_equal(m.n_down, 1);
		state_found_fini(&f);
		state_meta_fini(&m);
	}
}

/* ---- the plan ---- */

#define CHECKED "loadBalancing: {healthCheck: {}}, "
#define THREE	"targets: [{host: [10.2.0.2, db.lan], port: 80}, {host: 'fd00::2', port: 80}]"

static const struct plan_route *first_of(const char *routes)
{
	assert_non_null(fx_plan_text("", routes));
	return &fx.plan->routes[0];
}

static void a_name_that_is_down_takes_all_its_addresses_with_it(void **state)
{
	static const char checked[] = FX_ROUTE("web", "ports: 80", CHECKED THREE);
	struct addr v[] = { address("10.2.0.3"), address("10.2.0.4") };
	struct resolved_name name = { .name = "db.lan", .addrs = v, .n = 2 };
	struct target_down down = { .route = (char[]){ "web" } };
	const struct plan_route *r;
	uint32_t *tags;
	unsigned n;

	(void)state;
	fx.facts = (struct plan_facts){ .names = &name, .n_names = 1, .have_relay = true };
	r = first_of(checked);
	assert_int_equal(plan_host_tags(&r->route->action, &tags, &n), 0);
	assert_int_equal(n, 3);
	/* An address has the tag of the kernel tier. */
	assert_int_equal(r->targets[0].tag, tags[0]);
	down.tag = tags[1];
	fx.facts.down = &down;
	fx.facts.n_down = 1;
	r = first_of(checked);
	assert_int_equal(r->n_targets, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(r->targets[i].down, r->targets[i].host->kind == HOST_NAME);
		assert_int_equal(plan_target_serves(r, &r->targets[i]), !r->targets[i].down);
	}
	assert_false(plan_fails_open(r, ADDR_V4));
	free(tags);
	fx_end();
}

static void who_has_no_target_left_has_all_of_them(void **state)
{
	static const char checked[] = FX_ROUTE("web", "ports: 80", CHECKED THREE);
	struct addr v[] = { address("10.2.0.3") };
	struct resolved_name name = { .name = "db.lan", .addrs = v, .n = 1 };
	struct target_down down = { .route = (char[]){ "web" } };
	const struct plan_route *r;
	uint32_t *tags;
	unsigned n;

	(void)state;
	fx.facts = (struct plan_facts){ .names = &name, .n_names = 1, .have_relay = true };
	r = first_of(checked);
	assert_int_equal(plan_host_tags(&r->route->action, &tags, &n), 0);
	down.tag = tags[2];
	fx.facts.down = &down;
	fx.facts.n_down = 1;
	r = first_of(checked);
	assert_true(plan_fails_open(r, ADDR_V6) && !plan_fails_open(r, ADDR_V4));
	for (unsigned i = 0; i < r->n_targets; i++)
		assert_true(plan_target_serves(r, &r->targets[i]));
	/* What nobody checks is up, and another route's targets are other ones. */
	assert_false(plan_fails_open(first_of(FX_ROUTE("web", "ports: 80", THREE)), ADDR_V6));
	assert_false(
		plan_fails_open(first_of(FX_ROUTE("we", "ports: 80", CHECKED THREE)), ADDR_V6));
	free(tags);
	fx_end();
}

static unsigned warnings(const char *routes)
{
	unsigned n = 0;

	first_of(routes);
	for (size_t i = 0; i < fx.diags.n; i++)
		n += strstr(fx.diags.v[i].msg, "healthCheck cannot check") != NULL;
	return n;
}

#define PORTS(ports, port) \
	FX_ROUTE("web", "ports: " ports, CHECKED "targets: [{host: 10.2.0.2, port: " port "}]")

static void a_target_of_many_ports_that_cannot_be_checked_is_told(void **state)
{
	(void)state;
	fx.facts = (struct plan_facts){ .have_relay = true };
	assert_int_equal(warnings(PORTS("[80, 81]", "preserve")), 1);
	assert_int_equal(warnings(PORTS("[80, 81]", "'+100'")), 1);
	assert_int_equal(warnings(PORTS("80", "preserve")), 0);
	assert_int_equal(warnings(PORTS("[80, 81]", "8080")), 0);
	fx_end();
}

/* ---- slots ---- */

static void count(const uint16_t *slot, unsigned total, unsigned n, unsigned *out)
{
	memset(out, 0, n * sizeof(*out));
	for (unsigned s = 0; s < total; s++) {
		assert_true(slot[s] < n);
		out[slot[s]]++;
	}
}

/* With those of `down` given away, everybody else has exactly their share. */
static void expect_exact(const unsigned *w, unsigned n, const bool *down)
{
	uint16_t slot[MAX_SLOTS], before[MAX_SLOTS];
	const unsigned once = slots_round_robin(w, n, slot), total = slots_repeat(n, slot, once);
	unsigned rest = 0, got[16];

	assert_true(total && total % once == 0 && total <= 512);
	for (unsigned s = 0; s < total; s++)
		assert_int_equal(slot[s], slot[s % once]);
	memcpy(before, slot, sizeof(before));
	slots_give_away(w, down, n, slot, total);
	for (unsigned i = 0; i < n; i++)
		rest += down[i] ? 0 : w[i];
	count(slot, total, n, got);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(got[i] * rest, down[i] ? 0 : total * w[i]);
	for (unsigned s = 0; s < total; s++)
		assert_true(down[before[s]] || slot[s] == before[s]);
}

static void the_others_share_exactly_what_a_target_had(void **state)
{
	static const unsigned even[] = { 1, 1, 1, 1, 1, 1 }, odd[] = { 7, 3 },
			      mixed[] = { 3, 2, 1 };

	(void)state;
	for (unsigned n = 2; n <= 6; n++) {
		for (unsigned i = 0; i < n; i++) {
			bool down[6] = { false };

			down[i] = true;
			expect_exact(even, n, down);
			down[(i + 1) % n] = n > 2;
			expect_exact(even, n, down);
		}
	}
	for (unsigned i = 0; i < 3; i++) {
		bool down[3] = { false };

		down[i] = true;
		expect_exact(mixed, 3, down);
		if (i < 2)
			expect_exact(odd, 2, down);
	}
}

static void of_two_targets_one_slot_changes(void **state)
{
	static const unsigned w[] = { 1, 1 };
	static const bool down[] = { false, true };
	uint16_t slot[MAX_SLOTS];

	(void)state;
	assert_int_equal(slots_repeat(2, slot, slots_round_robin(w, 2, slot)), 2);
	slots_give_away(w, down, 2, slot, 2);
	assert_int_equal(slot[0], 0);
	assert_int_equal(slot[1], 0);
}

static void where_all_are_down_all_keep_theirs(void **state)
{
	static const unsigned w[] = { 1, 2 };
	static const bool down[] = { true, true };
	uint16_t slot[MAX_SLOTS];
	unsigned total, got[2];

	(void)state;
	total = slots_repeat(2, slot, slots_round_robin(w, 2, slot));
	slots_give_away(w, down, 2, slot, total);
	count(slot, total, 2, got);
	assert_int_equal(got[0] * 2, got[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_may_not_lead_to_where_nobody_or_only_the_host_is),
		cmocka_unit_test(only_localhost_and_what_is_there_already_may_be_loopback),
		cmocka_unit_test(addresses_are_sorted_distinct_and_not_too_many),
		cmocka_unit_test(what_no_route_has_is_passed_over),
		cmocka_unit_test(what_a_route_has_is_noted_once),
		cmocka_unit_test(what_the_next_generation_has_not_is_forgotten),
		cmocka_unit_test(it_reads_back_as_it_was_written),
		cmocka_unit_test(what_is_damaged_is_refused_as_a_whole),
		cmocka_unit_test(a_later_generation_knows_its_names_better),
		cmocka_unit_test(a_name_that_is_down_takes_all_its_addresses_with_it),
		cmocka_unit_test(who_has_no_target_left_has_all_of_them),
		cmocka_unit_test(a_target_of_many_ports_that_cannot_be_checked_is_told),
		cmocka_unit_test(the_others_share_exactly_what_a_target_had),
		cmocka_unit_test(of_two_targets_one_slot_changes),
		cmocka_unit_test(where_all_are_down_all_keep_theirs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
