/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans of many routes: the same answers as for few, nothing given up. And what an obvious
 * but slow comparison says of conflicts and paths, at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ctl/plan/plan_match.h"
#include "tests/unit/plan_fixture.h"

#define MANY 64000

static void put_route(struct buf *b, unsigned i, const char *match)
{
	buf_printf(b, "- {name: r%u, match: {%s}, action: {type: forward, " FX_A "}}\n", i, match);
}

static void assert_nothing_given_up(void)
{
	const struct diag *g = fx_message(DIAG_WARNING, "not all were compared", NULL);

	if (g)
		fail_msg("%s", g->msg);
}

/* ---- clients ---- */

/* Every second address, in turn from both ends: no two of them become one range. */
static void put_client_routes(struct buf *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned at = 2 * (i % 2 ? n - i : i);
		char match[80];

		snprintf(match, sizeof(match), "ports: 80, clientIp: 10.%u.%u.%u", at >> 16,
			 at >> 8 & 255, at & 255);
		put_route(b, i, match);
	}
}

static void a_port_shared_by_many_clients_is_decided_and_compared(void **state)
{
	struct buf b = { 0 };

	(void)state;
	put_client_routes(&b, MANY);
	fx_plan(b.data);
	assert_nothing_given_up();
	assert_int_equal(fx.plan->n_cells, 1);
	assert_int_equal(fx.plan->cells[0].v4.n, MANY);
	assert_int_equal(fx.plan->cells[0].v6.n, 0);
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.0"), "r0");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.4"), "r2");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.5"), "-");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.1.243.254"), "r1");
	for (unsigned i = 0; i < fx.plan->n_routes; i++)
		assert_true(fx.plan->routes[i].reached);
	buf_fini(&b);
	fx_end();
}

static void one_conflict_among_many_clients_is_found(void **state)
{
	struct buf b = { 0 };

	(void)state;
	put_client_routes(&b, MANY);
	put_route(&b, MANY, "ports: 80, clientIp: 10.0.0.8");
	assert_null(fx_plan_text("", b.data));
	assert_int_equal(fx.diags.errors, 1);
	assert_non_null(fx_message(DIAG_ERROR,
				   "\"r64000\" claims tcp/80 as \"r4\" does (line 6), with the "
				   "same priority and nothing to tell them apart",
				   NULL));
	buf_fini(&b);
	fx_end();
}

static void put_client_list(struct buf *b, unsigned priority, unsigned n)
{
	buf_printf(b, "- {name: p%u, priority: %u, match: {ports: 80, clientIp: [", priority,
		   priority);
	for (unsigned i = 0; i < n; i++) {
		unsigned at = i * 2 * priority;

		buf_printf(b, "%s10.%u.%u.%u", i ? ", " : "", at >> 16, at >> 8 & 255, at & 255);
	}
	buf_puts(b, "]}, action: {type: forward, " FX_A "}}\n");
}

static void long_client_lists_are_layered_by_rank(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (unsigned priority = 1; priority <= 4; priority++)
		put_client_list(&b, priority, 20000);
	fx_plan(b.data);
	/* The best-ranked of those whose step divides it: 2, 4, 6, 8. */
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.24"), "p4");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.12"), "p3");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.4"), "p2");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.2"), "p1");
	assert_string_equal(fx_winner("tcp", "10.1.0.1", 80, "10.0.0.1"), "-");
	buf_fini(&b);
	fx_end();
}

/* ---- domains ---- */

#define DOMAIN_ROUTES 10000

static void put_domain_routes(struct buf *b)
{
	for (unsigned i = 0; i < DOMAIN_ROUTES; i++) {
		struct buf match = { 0 };

		buf_puts(&match, "ports: 443, domains: [");
		for (unsigned k = 0; k < 8; k++)
			buf_printf(&match, "%sr%05u-%u.test", k ? ", " : "", i, k);
		buf_puts(&match, "]");
		put_route(b, i, match.data);
		buf_fini(&match);
	}
}

static void many_domains_on_one_port_are_compared_to_the_last(void **state)
{
	struct buf b = { 0 };

	(void)state;
	put_domain_routes(&b);
	fx_plan(b.data);
	assert_nothing_given_up();
	put_route(&b, DOMAIN_ROUTES, "ports: 443, domains: [other-0.test, R09998-7.test]");
	assert_null(fx_plan_text("", b.data));
	assert_int_equal(fx.diags.errors, 1);
	assert_non_null(
		fx_message(DIAG_ERROR, "\"r10000\" claims tcp/443 as \"r9998\" does", NULL));
	buf_fini(&b);
	fx_end();
}

static void paths_of_one_domain_are_no_conflict_however_many(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (unsigned i = 0; i < DOMAIN_ROUTES; i++) {
		char match[80];

		snprintf(match, sizeof(match), "ports: 443, domains: a.test, path: /p%05u", i);
		put_route(&b, i, match);
	}
	fx_plan(b.data);
	assert_nothing_given_up();
	buf_fini(&b);
	fx_end();
}

static void put_method(struct buf *b, unsigned i)
{
	char match[80];

	snprintf(match, sizeof(match), "ports: 80, path: /x, method: A%c%c%c", 'A' + i % 26,
		 'A' + i / 26 % 26, 'A' + i / 676);
	put_route(b, i, match);
}

static void what_is_too_much_to_compare_is_said(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (unsigned i = 0; i < 9000; i++)
		put_method(&b, i);
	fx_plan(b.data);
	assert_non_null(fx_message(DIAG_WARNING,
				   "too many routes of equal rank share ports: not all were "
				   "compared for conflicts",
				   NULL));
	buf_fini(&b);
	fx_end();
}

static void of_many_conflicts_as_many_are_told_as_errors_are_kept(void **state)
{
	struct buf b = { 0 };

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		put_route(&b, i, "ports: 80");
	assert_null(fx_plan_text("", b.data));
	assert_int_equal(fx.diags.errors, DIAGS_MAX_ERRORS);
	assert_non_null(strstr(fx.diags.v[0].msg, "\"r1\" claims tcp/80 as \"r0\" does (line 2)"));
	buf_fini(&b);
	fx_end();
}

/* ---- conflicts at random ---- */

static uint64_t rng_state = 7;

static unsigned rng(unsigned n)
{
	rng_state = rng_state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(rng_state >> 33) % n;
}

/* All of one class, if the same keys are given: equal lengths, and the /24 is the widest. */
static void put_random_match(struct buf *b, unsigned i)
{
	static const char *const clients[] = { "10.0.0.0/30", "10.0.0.4/30", "10.0.0.2-10.0.0.5",
					       "fd00::/120" };
	static const char *const addresses[] = { "10.1.0.1", "10.1.0.2", "fd01::1" };
	static const char *const methods[] = { "GET", "PUT", "HEAD" };

	buf_printf(b, "ports: [%u, %u]", 80 + rng(2), 80 + rng(3));
	if (!rng(3))
		buf_printf(b, ", clientIp: [10.9.%u.0/24, '%s', '%s']", i, clients[rng(4)],
			   clients[rng(4)]);
	if (!rng(3))
		buf_printf(b, ", address: ['%s', '%s']", addresses[rng(3)], addresses[rng(3)]);
	if (!rng(2))
		buf_printf(b, ", domains: [%c.test, %c.test]", 'a' + rng(5), 'a' + rng(5));
	if (!rng(4))
		buf_printf(b, ", path: /%c", 'a' + rng(2));
	if (!rng(3))
		buf_printf(b, ", method: [%s, %s]", methods[rng(3)], methods[rng(3)]);
	if (!rng(4))
		buf_printf(b, ", headers: {X: %c}", 'a' + rng(2));
}

static bool lists_meet(const struct cfg_strings *a, const struct cfg_strings *b)
{
	bool meet = !a->n && !b->n;

	for (unsigned i = 0; i < a->n; i++)
		for (unsigned k = 0; k < b->n; k++)
			meet |= !strcasecmp(a->v[i], b->v[k]);
	return meet;
}

static bool clients_meet(const struct cfg_match *a, const struct cfg_match *b, int family)
{
	bool meet = !a->has_client_ip && !b->has_client_ip;

	for (size_t i = 0; i < a->client_ip.n; i++)
		for (size_t k = 0; k < b->client_ip.n; k++)
			meet |= addr_cmp(&a->client_ip.v[i].lo, &b->client_ip.v[k].hi) <= 0 &&
				addr_cmp(&b->client_ip.v[k].lo, &a->client_ip.v[i].hi) <= 0 &&
				(!family || a->client_ip.v[i].lo.family == family);
	return meet && !a->has_client_ip == !b->has_client_ip;
}

/* At some local address of both, by some client. */
static bool places_meet(const struct cfg_match *a, const struct cfg_match *b)
{
	bool ports = false, meet = false;

	for (unsigned i = 0; i < a->n_ports; i++)
		for (unsigned k = 0; k < b->n_ports; k++)
			ports |= a->ports[i].from <= b->ports[k].to &&
				 b->ports[k].from <= a->ports[i].to;
	if (!ports || !a->n_addresses != !b->n_addresses)
		return false;
	for (unsigned i = 0; i < a->n_addresses; i++)
		for (unsigned k = 0; k < b->n_addresses; k++)
			meet |= !addr_cmp(&a->addresses[i], &b->addresses[k]) &&
				clients_meet(a, b, a->addresses[i].family);
	return a->n_addresses ? meet : clients_meet(a, b, 0);
}

static bool routes_conflict(const struct cfg_match *a, const struct cfg_match *b)
{
	return !a->path == !b->path && (!a->path || !strcmp(a->path, b->path)) &&
	       a->headers.n == b->headers.n &&
	       (!a->headers.n || !strcmp(a->headers.v[0].value, b->headers.v[0].value)) &&
	       lists_meet(&a->methods, &b->methods) && lists_meet(&a->domains, &b->domains) &&
	       places_meet(a, b);
}

static unsigned check_pairs(const char *text)
{
	const struct config *c = fx.config;
	unsigned conflicts = 0;

	for (unsigned i = 0; i < c->n_routes; i++) {
		for (unsigned k = i + 1; k < c->n_routes; k++) {
			char b[32], a[32];

			if (!routes_conflict(&c->routes[i].match, &c->routes[k].match))
				continue;
			conflicts++;
			snprintf(b, sizeof(b), "\"r%u\" claims ", k);
			snprintf(a, sizeof(a), " as \"r%u\" does ", i);
			if (!fx_message(DIAG_ERROR, b, a, NULL))
				fail_msg("r%u and r%u are not told:\n%s", i, k, text);
		}
	}
	return conflicts;
}

static void conflicts_are_exactly_the_pairs_that_meet(void **state)
{
	unsigned files = 0, with_some = 0;

	(void)state;
	for (unsigned f = 0; f < 3000; f++) {
		unsigned n = 2 + rng(5), conflicts;
		struct buf b = { 0 };

		for (unsigned i = 0; i < n; i++) {
			struct buf match = { 0 };

			put_random_match(&match, i);
			put_route(&b, i, match.data);
			buf_fini(&match);
		}
		fx_plan_text("", b.data);
		if (!fx.config)
			fail_msg("%s: %s", fx.diags.v[0].msg, b.data);
		conflicts = check_pairs(b.data);
		if (fx.diags.errors != conflicts)
			fail_msg("%u conflicts, %u told:\n%s", conflicts, fx.diags.errors, b.data);
		files++;
		with_some += conflicts > 0;
		buf_fini(&b);
	}
	assert_in_range(with_some, files / 10, files * 9 / 10);
	fx_end();
}

/* ---- competitors ---- */

static void put_addresses(struct buf *b, unsigned n)
{
	buf_puts(b, "- {name: at, priority: -1, match: {ports: 80, address: [");
	for (unsigned i = 0; i < n; i++)
		buf_printf(b, "%s10.1.%u.%u", i ? ", " : "", i >> 8, i & 255);
	buf_puts(b, "]}, action: {type: forward, " FX_A "}}\n");
}

static void too_many_competitors_name_both_causes(void **state)
{
	struct buf b = { 0 };
	const struct diag *g;

	(void)state;
	for (unsigned i = 0; i < 3000; i++)
		buf_printf(&b,
			   "- {name: r%u, priority: %u, match: {ports: 80}, action: {type: "
			   "forward, " FX_A "}}\n",
			   i, i);
	put_addresses(&b, 3000);
	assert_null(fx_plan_text("", b.data));
	g = fx_message(DIAG_ERROR, "too many routes overlap on the same ports", "8388608",
		       "counted anew at each listen address", NULL);
	assert_non_null(g);
	assert_non_null(strstr(g->hint, "fewer overlapping port ranges"));
	assert_non_null(strstr(g->hint, "fewer listen addresses"));
	buf_fini(&b);
	fx_end();
}

/* ---- paths ---- */

static void a_hostile_path_pattern_is_answered_at_once(void **state)
{
	char pattern[4096] = "/", path[4096];

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		strcat(pattern, "a*");
	strcat(pattern, "b");
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_false(path_matches(pattern, path));
	path[sizeof(path) - 2] = 'b';
	assert_true(path_matches(pattern, path));
	pattern[strlen(pattern) - 1] = '\0';
	assert_true(path_matches(pattern, path));
}

/* The rule as docs/CONFIG.md has it: tries everything. */
static bool slow_prefix(const char *p, const char *s)
{
	size_t segment = strcspn(s, "/");

	if (!*p)
		return true;
	if (*p == '*')
		return slow_prefix(p + 1, s) || (*s && slow_prefix(p, s + 1));
	if (*p == ':' && p[-1] == '/')
		return segment && slow_prefix(p + strcspn(p, "/*"), s + segment);
	return *s == *p && slow_prefix(p + 1, s + 1);
}

static void random_text(char *out, unsigned n, const char *letters)
{
	*out++ = '/';
	while (n--)
		*out++ = letters[rng((unsigned)strlen(letters))];
	*out = '\0';
}

static void paths_match_as_when_everything_is_tried(void **state)
{
	unsigned hits = 0;

	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		char pattern[16], path[16];

		random_text(pattern, rng(9), "ab/*/:*");
		random_text(path, rng(11), "aab//:");
		strcat(pattern, "*"); /* a pattern, not an exact path */
		if (path_matches(pattern, path) != slow_prefix(pattern + 1, path + 1))
			fail_msg("%s, %s", pattern, path);
		hits += path_matches(pattern, path);
		pattern[strlen(pattern) - 1] = '/';
		if (path_matches(pattern, path) != slow_prefix(pattern + 1, path + 1))
			fail_msg("%s, %s", pattern, path);
	}
	assert_in_range(hits, 10000, 290000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_shared_by_many_clients_is_decided_and_compared),
		cmocka_unit_test(one_conflict_among_many_clients_is_found),
		cmocka_unit_test(long_client_lists_are_layered_by_rank),
		cmocka_unit_test(many_domains_on_one_port_are_compared_to_the_last),
		cmocka_unit_test(paths_of_one_domain_are_no_conflict_however_many),
		cmocka_unit_test(what_is_too_much_to_compare_is_said),
		cmocka_unit_test(of_many_conflicts_as_many_are_told_as_errors_are_kept),
		cmocka_unit_test(conflicts_are_exactly_the_pairs_that_meet),
		cmocka_unit_test(too_many_competitors_name_both_causes),
		cmocka_unit_test(a_hostile_path_pattern_is_answered_at_once),
		cmocka_unit_test(paths_match_as_when_everything_is_tried),
	};

	return cmocka_run_group_tests_name("plan at scale", tests, NULL, NULL);
}
