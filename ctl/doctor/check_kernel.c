/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of these very routes are compiled, and each kind of expression in
 * them is tried in a check-only transaction: nothing is guessed from a version.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "ctl/doctor/doctor_internal.h"
#include "ctl/nft/ruleset_compile.h"

#define MAX_EXPRS 64

struct needed {
	char name[32];
	struct pending_finding *missing; /* NULL = the kernel has it */
};

struct needs {
	struct doctor *d;
	struct needed v[MAX_EXPRS];
	unsigned n, missing;
	struct err error; /* trying was not possible */
};

/* Of these the module of that name is only what the families share. */
static bool has_module_per_family(const char *name)
{
	return !strcmp(name, "fib") || !strcmp(name, "reject");
}

static void report_missing(struct needs *x, struct needed *one)
{
	char module[sizeof(one->name) + 8], config[sizeof(module)];
	size_t i;

	snprintf(module, sizeof(module), "nft_%s%s", one->name,
		 has_module_per_family(one->name) ? "_inet" : "");
	for (i = 0; module[i]; i++)
		config[i] = (char)toupper((unsigned char)module[i]);
	config[i] = '\0';
	x->missing++;
	one->missing =
		doctor_problem(x->d, "this kernel lacks the nftables expression \"%s\"", one->name);
	finding_fix(x->d, one->missing, "modprobe %s    # or a kernel with CONFIG_%s", module,
		    config);
}

static struct needed *need(struct needs *x, const char *name)
{
	struct needed *one;
	int rc;

	for (unsigned i = 0; i < x->n; i++)
		if (!strcmp(x->v[i].name, name))
			return &x->v[i];
	if (x->n == MAX_EXPRS || strlen(name) >= sizeof(one->name))
		return NULL;
	one = &x->v[x->n++];
	memcpy(one->name, name, strlen(name) + 1);
	rc = nft_has_expr(x->d->nft, name, &x->error);
	if (!rc)
		report_missing(x, one);
	return one;
}

static bool is_of_route(const struct plan_route *r, const void *arg)
{
	const uint32_t *place = arg;

	return *place == RS_NO_PLACE || r->route->index == *place;
}

struct at_place {
	struct needs *x;
	uint32_t place;
};

static void look_at(struct needs *x, const char *name, uint32_t place)
{
	struct needed *one = x->error.code || !name ? NULL : need(x, name);

	if (one && one->missing)
		finding_routes(x->d, one->missing, is_of_route, &place);
}

/* The state that a dynamic set keeps for each of its elements. */
static int look_at_state(struct nftnl_expr *state, void *arg)
{
	struct at_place *a = arg;

	look_at(a->x, nftnl_expr_get_str(state, NFTNL_EXPR_NAME), a->place);
	return 0;
}

static void look_at_rule(struct needs *x, const struct rs_rule *rule)
{
	struct nftnl_expr_iter *it = nftnl_expr_iter_create(rule->rule);
	struct at_place at = { x, rule->place };
	struct nftnl_expr *expr;

	while (it && !x->error.code && (expr = nftnl_expr_iter_next(it))) {
		const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);

		look_at(x, name, rule->place);
		if (!strcmp(name, "dynset"))
			nftnl_expr_expr_foreach(expr, look_at_state, &at);
	}
	if (it)
		nftnl_expr_iter_destroy(it);
}

/* The numbers of routes have no bearing on which expressions are used. */
static struct ruleset *compile(struct doctor *d, struct err *e)
{
	const struct plan *p = d->in->plan;
	uint32_t *ids = calloc(p->n_routes + 1, sizeof(*ids));
	const struct compile_options o = {
		.table = d->in->table,
		.owner = "doctor",
		.generation = 1,
		.ids = ids,
		.guard_v4 = p->needs_forward_v4,
		.guard_v6 = p->needs_forward_v6,
		.guard_loopback = p->needs_route_localnet,
	};
	struct ruleset *rs;

	for (unsigned i = 0; ids && i < p->n_routes; i++)
		ids[i] = i % ROUTE_ID_MAX + 1;
	rs = ids ? ruleset_compile(p, &o, e) : NULL;
	if (!ids)
		err_set(e, -ENOMEM, "out of memory");
	free(ids);
	return rs;
}

static void no_nftables(struct doctor *d)
{
	struct pending_finding *f = doctor_problem(d, "%s", d->nft_error.msg);

	finding_routes(d, f, NULL, NULL);
	finding_fix(d, f, "modprobe nf_tables    # or a kernel with CONFIG_NF_TABLES_INET");
}

static void try_all(struct doctor *d)
{
	struct needs x = { .d = d };
	struct ruleset *rs = compile(d, &x.error);

	for (size_t i = 0; rs && i < rs->n_chains; i++)
		for (size_t k = 0; k < rs->chains[i]->n; k++)
			look_at_rule(&x, &rs->chains[i]->rules[k]);
	for (size_t i = 0; rs && i < rs->n_sets; i++)
		if (rs_set_def_is_limits(&rs->sets[i]->def))
			look_at(&x, "limit", rs->sets[i]->place);
	ruleset_free(rs);
	if (x.error.code)
		doctor_note(d, "not looked at: %s", x.error.msg);
	else if (!x.missing)
		doctor_ok(d, "the kernel has all %u nftables expressions that the routes need",
			  x.n);
}

void check_kernel(struct doctor *d)
{
	if (!d->nft)
		no_nftables(d);
	else if (!doctor_has_routes(d))
		doctor_ok(d, "no routes that would need anything");
	else if (!d->in->have_admin)
		doctor_note(d, "not looked at: trying expressions needs root (CAP_NET_ADMIN)");
	else
		try_all(d);
}
