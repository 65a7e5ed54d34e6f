/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random route files, from the text to the dataplane's own table, asked about
 * every TCP connection of a small world with every name: the kernel has it, or a
 * listener gets it and the table gives it the route that the slow matcher says,
 * or nobody was to serve it. So the plan, the compiled table, its loader and its
 * matcher are held against the rules together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "ctl/control/compile.h"
#include "dataplane/route.h"
#include "tests/property/route_oracle.h"
#include "tests/property/small_world.h"

static const char *const names[] = { NULL, "a.test", "x.a.test", "c.test", "other.example" };
static unsigned by_kernel, by_table, by_nobody, by_default;

/* ---- what is right ---- */

/* "a.test", or "*.test": any run of characters, at least one. */
static bool takes_name(const struct cfg_match *m, const char *name)
{
	for (unsigned i = 0; name && i < m->domains.n; i++) {
		const char *d = m->domains.v[i];
		size_t len = strlen(name), tail = strlen(d) - 1;

		if (*d != '*' ? !strcmp(d, name) : len > tail && !strcmp(name + len - tail, d + 1))
			return true;
	}
	return !m->domains.n;
}

static const struct cfg_route *best_route(const struct config *c, const struct plan_conn *conn,
					  const char *name)
{
	const struct cfg_route *best = NULL;

	for (unsigned i = 0; i < c->n_routes; i++) {
		const struct cfg_route *r = &c->routes[i];

		if (!oracle_listens(r, conn) || !takes_name(&r->match, name) ||
		    (r->match.has_client_ip && !addr_set_has(&r->match.client_ip, &conn->client)))
			continue;
		if (!best || oracle_beats(r, best))
			best = r;
	}
	return best;
}

static bool somebody_listens(const struct config *c, const struct plan_conn *conn)
{
	for (unsigned i = 0; i < c->n_routes; i++)
		if (oracle_listens(&c->routes[i], conn))
			return true;
	return false;
}

/* ---- asking ---- */

static bool gets_it(const struct control_table *t, const struct plan_conn *conn)
{
	for (unsigned i = 0; i < t->n_listeners; i++)
		if (t->listeners[i].port == conn->port &&
		    (t->listeners[i].address.family == ADDR_NONE ||
		     !addr_cmp(&t->listeners[i].address, &conn->local)))
			return true;
	return false;
}

static bool right_in_table(const struct config *c, const struct route_table *t,
			   const struct plan_conn *conn, const char *name,
			   const struct cfg_route *want)
{
	const struct match_facts f = { .local = conn->local,
				       .client = conn->client,
				       .port = conn->port,
				       .protocol = name ? MATCH_TLS : MATCH_OTHER,
				       .have_hello = name != NULL,
				       .name = name,
				       .tls_version = 0x0304 };
	const struct match m = route_table_match(t, &f);

	by_table++;
	if (want)
		return m.answer == MATCH_YES && !strcmp(m.route->name, want->name);
	if (!c->default_target || !somebody_listens(c, conn))
		return m.answer == MATCH_NO;
	by_default++;
	return m.answer == MATCH_YES && !strcmp(m.route->name, CONTROL_DEFAULT_NAME);
}

/* Nobody listens, and the kernel does not have it. */
static bool right_to_leave(const struct config *c, const struct plan_conn *conn,
			   const struct cfg_route *want)
{
	by_nobody++;
	if (!want)
		return !c->default_target || !somebody_listens(c, conn);
	return !want->match.domains.n && !oracle_has_family(want, conn->client.family);
}

static bool answer_is_right(const struct config *c, const struct plan *p,
			    const struct control_table *made, const struct route_table *t,
			    const struct plan_conn *conn, const char *name)
{
	const struct cfg_route *want = best_route(c, conn, name);
	const struct plan_route *kernel = plan_find_kernel(p, conn);

	if (kernel) {
		by_kernel++;
		return kernel->route == want;
	}
	if (gets_it(made, conn))
		return right_in_table(c, t, conn, name, want);
	return right_to_leave(c, conn, want);
}

static void show(const struct config *c, const struct plan_conn *conn, const char *name)
{
	const struct cfg_route *want = best_route(c, conn, name);
	char local[ADDR_TEXT], client[ADDR_TEXT];

	printf("%s:%u from %s name %s: want %s\n%.*s\n", addr_format(&conn->local, local),
	       conn->port, addr_format(&conn->client, client), name ? name : "-",
	       want ? want->name : "-", (int)c->text_len, c->text);
}

static unsigned ask_table(const struct config *c, const struct plan *p,
			  const struct control_table *made, const struct route_table *t,
			  unsigned *asked)
{
	unsigned wrong = 0;

	for (unsigned k = 0; k < (WORLD_PORTS + 1) * N(world_locals) * N(world_clients); k++) {
		struct plan_conn conn = { .proto = IPPROTO_TCP,
					  .port = (uint16_t)(1 + k % (WORLD_PORTS + 1)) };

		addr_parse(world_locals[k / (WORLD_PORTS + 1) % N(world_locals)], &conn.local);
		addr_parse(world_clients[k / (WORLD_PORTS + 1) / N(world_locals)], &conn.client);
		for (unsigned i = 0; i < N(names) && conn.local.family == conn.client.family; i++) {
			(*asked)++;
			if (!answer_is_right(c, p, made, t, &conn, names[i]) && !wrong++ &&
			    getenv("PLAN_PROPERTY_SHOW"))
				show(c, &conn, names[i]);
		}
	}
	return wrong;
}

static unsigned ask_compiled(const struct config *c, const struct plan *p, unsigned *asked)
{
	struct route_registry *g = route_registry_new();
	uint32_t ids[16];
	const struct control_options o = { .generation = 1, .ids = ids, .default_id = 100 };
	struct control_table made = { 0 };
	struct route_table *t;
	struct err e = { 0 };
	unsigned wrong;
	int blame;

	for (unsigned i = 0; i < p->n_routes; i++)
		ids[i] = p->routes[i].route->index + 1;
	assert_int_equal(control_compile(p, &o, &made, &e), 0);
	t = route_table_load(made.load, NULL, g, &blame, &e);
	if (!t)
		fail_msg("the dataplane refuses it: %s\n%s", e.msg, c->text);
	wrong = ask_table(c, p, &made, t, asked);
	route_table_unref(t);
	route_registry_free(g);
	control_table_fini(&made);
	return wrong;
}

static void run(const char *top, uint64_t seed)
{
	struct route_world world = small_world;
	struct plan_facts facts = { .have_relay = true };
	unsigned planned = 0, asked = 0, wrong = 0;

	by_kernel = by_table = by_nobody = by_default = 0;
	world.passthrough = true;
	world.top = top;
	rng_state = seed;
	for (unsigned f = 0; f < 300; f++) {
		struct config_options opt = { 0 };
		struct diags d = { 0 };
		struct buf b = { 0 };
		struct config *c;
		struct plan *p;

		put_file(&b, &world);
		c = config_parse("random.json", b.data, b.len, &opt, &d);
		p = c ? plan_build(c, &facts, &d) : NULL;
		if (p) {
			planned++;
			wrong += ask_compiled(c, p, &asked);
		}
		plan_free(p);
		config_free(c);
		diags_fini(&d);
		buf_fini(&b);
	}
	print_message("%u tables, %u questions: %u the kernel's, %u the table's (%u of them "
		      "default), %u nobody's; %u wrong\n",
		      planned, asked, by_kernel, by_table, by_default, by_nobody, wrong);
	assert_true(planned > 100 && by_kernel > 1000 && by_table > 10000 && by_nobody > 1000);
	assert_int_equal(wrong, 0);
}

static void every_connection_has_the_route_that_the_file_says(void **state)
{
	(void)state;
	run("", 4);
}

static void what_no_route_takes_has_the_default_target(void **state)
{
	(void)state;
	run("\"defaults\":{\"target\":{\"host\":\"10.2.0.9\",\"port\":1}},", 5);
	assert_true(by_default > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_connection_has_the_route_that_the_file_says),
		cmocka_unit_test(what_no_route_takes_has_the_default_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
