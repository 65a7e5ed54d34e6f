/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does a route match what is known: yes, no, need more - and which condition says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ctl/plan/plan_match.h"
#include "tests/unit/plan_fixture.h"

static void domains_match_as_written_and_stars_over_dots(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool hit;
	} cases[] = {
		{ "a.test", "a.test", true },
		{ "a.test", "A.TEST", true },
		{ "a.test", "a.test.", true },
		{ "a.test", "b.a.test", false },
		{ "a.test", "a.testx", false },
		{ "*.a.test", "b.a.test", true },
		{ "*.a.test", "c.b.a.test", true },
		{ "*.a.test", "a.test", false },
		{ "*.a.test", ".a.test", true },
		{ "*", "anything.at.all", true },
		{ "*", "", false },
		{ "*", ".", false },
		{ "*a*b*", "xxaxxbxx", true },
		{ "*a*b*", "xxbxxaxx", false },
		{ "api-*.test", "api-1.test", true },
		{ "api-*.test", "api.test", false },
		{ "*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (domain_matches(cases[i].pattern, cases[i].name) != cases[i].hit)
			fail_msg("%s, %s", cases[i].pattern, cases[i].name);
}

static void paths_are_exact_unless_the_pattern_says_prefix(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool hit;
	} cases[] = {
		{ "/a", "/a", true },		{ "/a", "/a/", false },
		{ "/a", "/ab", false },		{ "/a", "/A", false },
		{ "/a/", "/a/", true },		{ "/a/", "/a/b/c", true },
		{ "/a/", "/a", false },		{ "/a/*", "/a/b/c", true },
		{ "/a/*", "/a/", true },	{ "/a/*", "/a", false },
		{ "/a*", "/abc", true },	{ "/*", "/", true },
		{ "/*/b", "/x/y/b", true },	{ "/*/b", "/x/y/c", false },
		{ "/:id", "/7", true },		{ "/:id", "/", false },
		{ "/u/:id/p", "/u/7/p", true }, { "/u/:id/p", "/u/7/8/p", false },
		{ "/u/:id/p", "/u//p", false }, { "/u/:id/p", "/u/7/p/q", true },
		{ "/u/:id/*", "/u/7/x", true }, { "/u/:a/:b", "/u/1/2", true },
		{ "/u/:a/:b", "/u/1", false },	{ "/", "/", true },
		{ "/", "/deeper", true },	{ "/a:b", "/a:b", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (path_matches(cases[i].pattern, cases[i].path) != cases[i].hit)
			fail_msg("%s, %s", cases[i].pattern, cases[i].path);
}

static void each_condition_answers_yes_no_or_need_more(void **state)
{
	static const char *const json[] = { "Accept: application/json", "x-a: B1" };
	static const char *const html[] = { "Accept: text/html" };
	static const struct {
		const char *match;
		struct match_facts facts;
		const char *client;
		enum match_answer answer;
		const char *why;
	} cases[] = {
		{ "ports: 80", { .name = NULL }, NULL, MATCH_YES, "matches" },
		{ "ports: 80, protocol: tcp", { .name = NULL }, NULL, MATCH_YES, "matches" },
		{ "ports: 80, protocol: http",
		  { .name = NULL },
		  NULL,
		  MATCH_NEED_MORE,
		  "depends on the query, TLS version or protocol" },
		{ "ports: 80, clientIp: 10.0.0.0/8",
		  { .name = NULL },
		  "10.9.9.9",
		  MATCH_YES,
		  "matches" },
		{ "ports: 80, clientIp: 10.0.0.0/8",
		  { .name = NULL },
		  "11.0.0.0",
		  MATCH_NO,
		  "the client is not in clientIp" },
		{ "ports: 80, clientIp: 10.0.0.0/8",
		  { .name = NULL },
		  "fd00::1",
		  MATCH_NO,
		  "the client is not in clientIp" },
		{ "ports: 80, clientIp: 10.0.0.0/8",
		  { .name = NULL },
		  NULL,
		  MATCH_NEED_MORE,
		  "depends on the client (--client)" },
		{ "ports: 80, domains: ['*.a.test', b.test]",
		  { .name = "B.test" },
		  NULL,
		  MATCH_YES,
		  "matches" },
		{ "ports: 80, domains: a.test",
		  { .name = "b.test" },
		  NULL,
		  MATCH_NO,
		  "the name is none of its domains" },
		{ "ports: 80, domains: a.test",
		  { .name = NULL },
		  NULL,
		  MATCH_NEED_MORE,
		  "depends on the name (--sni or --host)" },
		{ "ports: 80, path: '/api/*'", { .path = "/api/x" }, NULL, MATCH_YES, "matches" },
		{ "ports: 80, path: '/api/*'",
		  { .path = "/x" },
		  NULL,
		  MATCH_NO,
		  "the path is another" },
		{ "ports: 80, path: /x",
		  { .path = NULL },
		  NULL,
		  MATCH_NEED_MORE,
		  "depends on the path (--path)" },
		{ "ports: 80, method: [GET, PUT]",
		  { .method = "put" },
		  NULL,
		  MATCH_YES,
		  "matches" },
		{ "ports: 80, method: GET",
		  { .method = "PUT" },
		  NULL,
		  MATCH_NO,
		  "the method is another" },
		{ "ports: 80, method: GET",
		  { .method = NULL },
		  NULL,
		  MATCH_NEED_MORE,
		  "depends on the method (--method)" },
		{ "ports: 80, headers: {accept: application/json}",
		  { .headers = json, .n_headers = 2 },
		  NULL,
		  MATCH_YES,
		  "matches" },
		{ "ports: 80, headers: {X-A: '/^[a-c][0-9]$/i'}",
		  { .headers = json, .n_headers = 2 },
		  NULL,
		  MATCH_YES,
		  "matches" },
		{ "ports: 80, headers: {X-A: '/^[a-c][0-9]$/'}",
		  { .headers = json, .n_headers = 2 },
		  NULL,
		  MATCH_NO,
		  "a header is missing or another" },
		{ "ports: 80, headers: {X-A: '/^[A-C]$/'}",
		  { .headers = json, .n_headers = 2 },
		  NULL,
		  MATCH_NO,
		  "a header is missing or another" },
		{ "ports: 80, headers: {accept: application/json}",
		  { .headers = html, .n_headers = 1 },
		  NULL,
		  MATCH_NO,
		  "a header is missing or another" },
		{ "ports: 80, headers: {x-b: y}",
		  { .headers = html, .n_headers = 1 },
		  NULL,
		  MATCH_NO,
		  "a header is missing or another" },
		{ "ports: 80, headers: {x-b: y}",
		  { .name = NULL },
		  NULL,
		  MATCH_NEED_MORE,
		  "depends on headers (--header)" },
		{ "ports: 80, tlsVersion: [TLSv1.3]",
		  { .name = "a" },
		  NULL,
		  MATCH_NEED_MORE,
		  "depends on the query, TLS version or protocol" },
		/* A condition that fails beats those that are not known. */
		{ "ports: 80, domains: a.test, method: GET",
		  { .method = "PUT" },
		  NULL,
		  MATCH_NO,
		  "the method is another" },
		{ "ports: 80, domains: a.test, clientIp: 10.0.0.1",
		  { .name = NULL },
		  "10.0.0.2",
		  MATCH_NO,
		  "the client is not in clientIp" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct match_facts f = cases[i].facts;
		enum match_answer got;
		char text[256], why[160];

		snprintf(text, sizeof(text),
			 "- {name: r, match: {%s}, action: {type: forward, " FX_A "}}\n",
			 cases[i].match);
		fx_plan(text);
		if (cases[i].client)
			assert_true(addr_parse(cases[i].client, &f.client));
		got = route_matches(&fx_route("r")->route->match, &f, why, sizeof(why));
		if (got != cases[i].answer || strcmp(why, cases[i].why))
			fail_msg("%zu, %s: %d, \"%s\"", i, cases[i].match, got, why);
	}
	fx_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domains_match_as_written_and_stars_over_dots),
		cmocka_unit_test(paths_are_exact_unless_the_pattern_says_prefix),
		cmocka_unit_test(each_condition_answers_yes_no_or_need_more),
	};

	return cmocka_run_group_tests_name("plan match", tests, NULL, NULL);
}
