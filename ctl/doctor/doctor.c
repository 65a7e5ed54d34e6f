/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of checks and what they report through. Everything that several
 * checks need is read once, before the first; what could not be read leaves its
 * error, and each check that needs it says so.
 */
#include "ctl/doctor/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doctor/doctor_internal.h"

struct check {
	const char *name, *help;
	void (*run)(struct doctor *d);
};

static const struct check checks[] = {
	{ "namespace", "STATE and RUN are of this network namespace", check_namespace },
	{ "table", "our table is there, ours, and as it was written", check_table },
	{ "kernel", "the kernel has what the rules need", check_kernel },
	{ "forwarding", "forwarding is on where routes need it", check_forwarding },
	{ "forward-policy", "no other table drops what we forward", check_forward_policy },
	{ "input-policy", "no other table drops what goes to this host, or its answers",
	  check_input_policy },
	{ "nat-before", "no other nat rule takes our ports first", check_nat_before },
	{ "nat-after", "no other nat rule hides kept client addresses", check_nat_after },
	{ "rp-filter", "strict reverse-path filters drop nothing of ours", check_rp_filter },
	{ "return-path", "answers to kept client addresses come back", check_return_path },
	{ "target-route", "there is a way to every target", check_target_route },
	{ "ipv6", "IPv6 is there for routes that use it", check_ipv6 },
	{ "accept-ra", "the default route from advertisements stays", check_accept_ra },
	{ "conntrack", "the connection table has room", check_conntrack },
	{ "ports", "there are source ports left", check_ports },
	{ "listeners", "no local service lost its port to a route", check_listeners },
	{ "service", "the service runs and listens where routes need it", check_service },
	{ "clock", "the clock is not obviously wrong", check_clock },
	{ "iptables", "no rules that cannot be seen from here", check_iptables },
};

#define N_CHECKS (sizeof(checks) / sizeof(checks[0]))

const char *doctor_check_name(unsigned i)
{
	return i < N_CHECKS ? checks[i].name : NULL;
}

const char *doctor_check_help(unsigned i)
{
	return i < N_CHECKS ? checks[i].help : NULL;
}

const char *finding_level_name(enum finding_level l)
{
	return l == FINDING_OK ? "ok" : l == FINDING_NOTE ? "note" : "problem";
}

/* ---- findings ---- */

static size_t route_bytes(const struct doctor *d)
{
	return d->in->plan ? d->in->plan->config->n_routes / 8 + 1 : 1;
}

static const char *format(struct doctor *d, const char *fmt, va_list ap)
{
	char *text = NULL, *copy = NULL;

	if (vasprintf(&text, fmt, ap) >= 0)
		copy = arena_strdup(d->arena, text);
	free(text);
	d->failed |= !copy;
	return copy;
}

static struct pending_finding *add(struct doctor *d, enum finding_level level, const char *fmt,
				   va_list ap)
{
	static struct pending_finding scratch;
	static uint8_t scratch_has[1];
	struct pending_finding *f = arena_alloc(d->arena, sizeof(*f));

	d->spoke = true;
	if (f)
		f->has = arena_alloc(d->arena, route_bytes(d));
	if (!f || !f->has) {
		d->failed = true;
		scratch = (struct pending_finding){ .has = scratch_has };
		return &scratch;
	}
	f->f.check = d->check->name;
	f->f.level = level;
	f->f.message = format(d, fmt, ap);
	if (d->last)
		d->last->next = f;
	else
		d->first = f;
	d->last = f;
	return f;
}

#define ADD(level)                  \
	struct pending_finding *f;  \
	va_list ap;                 \
	va_start(ap, fmt);          \
	f = add(d, level, fmt, ap); \
	va_end(ap);                 \
	return f

struct pending_finding *doctor_ok(struct doctor *d, const char *fmt, ...)
{
	ADD(FINDING_OK);
}

struct pending_finding *doctor_note(struct doctor *d, const char *fmt, ...)
{
	ADD(FINDING_NOTE);
}

struct pending_finding *doctor_problem(struct doctor *d, const char *fmt, ...)
{
	ADD(FINDING_PROBLEM);
}

void finding_fix(struct doctor *d, struct pending_finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	f->f.fix = format(d, fmt, ap);
	va_end(ap);
}

void finding_route(struct doctor *d, struct pending_finding *f, const struct plan_route *r)
{
	if (!d->failed)
		f->has[r->route->index / 8] |= (uint8_t)(1u << r->route->index % 8);
}

void finding_routes(struct doctor *d, struct pending_finding *f,
		    bool (*want)(const struct plan_route *r, const void *arg), const void *arg)
{
	const struct plan_route *r;

	for (unsigned i = 0; (r = doctor_next_route(d, &i));)
		if (!want || want(r, arg))
			finding_route(d, f, r);
}

bool finding_has_routes(const struct doctor *d, const struct pending_finding *f)
{
	for (size_t i = 0; i < route_bytes(d) && !d->failed; i++)
		if (f->has[i])
			return true;
	return false;
}

/* ---- routes and targets ---- */

const struct plan_route *doctor_next_route(const struct doctor *d, unsigned *i)
{
	const struct plan *p = d->in->plan;

	while (p && *i < p->n_routes) {
		const struct plan_route *r = &p->routes[(*i)++];

		if (r->in_kernel)
			return r;
	}
	return NULL;
}

bool doctor_has_routes(const struct doctor *d)
{
	unsigned i = 0;

	return doctor_next_route(d, &i);
}

static bool has_target(const struct plan_route *r, int family, bool local)
{
	for (unsigned i = 0; i < r->n_targets; i++)
		if ((!family || r->targets[i].addr.family == family) &&
		    r->targets[i].local == local)
			return true;
	return false;
}

bool route_forwards(const struct plan_route *r, int family)
{
	return has_target(r, family, false);
}

bool route_is_local(const struct plan_route *r, int family)
{
	return has_target(r, family, true);
}

bool route_leads_to(const struct plan_route *r, const struct addr *a)
{
	for (unsigned i = 0; i < r->n_targets; i++)
		if (!addr_cmp(&r->targets[i].addr, a))
			return true;
	return false;
}

static int target_cmp(const void *a, const void *b)
{
	const struct doctor_target *x = a, *y = b;

	return addr_cmp(&x->addr, &y->addr);
}

const struct doctor_target *doctor_target_find(const struct doctor *d, const struct addr *a)
{
	const struct doctor_target key = { .addr = *a };

	if (!d->n_targets)
		return NULL;
	return bsearch(&key, d->targets, d->n_targets, sizeof(key), target_cmp);
}

static size_t count_targets(const struct doctor *d)
{
	const struct plan_route *r;
	size_t n = 0;

	for (unsigned i = 0; (r = doctor_next_route(d, &i));)
		n += r->n_targets;
	return n;
}

static void collect_targets(struct doctor *d)
{
	size_t n = count_targets(d), m = 0;
	struct doctor_target *v = arena_alloc(d->arena, (n + 1) * sizeof(*v));
	const struct plan_route *r;

	d->failed |= !v;
	for (unsigned i = 0; v && (r = doctor_next_route(d, &i));)
		for (unsigned k = 0; k < r->n_targets; k++)
			v[m++] = (struct doctor_target){ .addr = r->targets[k].addr,
							 .local = r->targets[k].local };
	if (!v || !m)
		return;
	qsort(v, m, sizeof(*v), target_cmp);
	d->targets = v;
	for (size_t i = 0; i < m; i++)
		if (!d->n_targets || target_cmp(&v[d->n_targets - 1], &v[i]))
			v[d->n_targets++] = v[i];
	d->more_targets = d->n_targets > DOCTOR_MAX_TARGETS;
}

static void find_paths(struct doctor *d)
{
	for (unsigned i = 0; i < d->n_targets && i < DOCTOR_MAX_TARGETS && d->have_net; i++) {
		struct doctor_target *t = &d->targets[i];

		t->have_path = !host_path_find(&d->net, &t->addr, NULL, &t->path, &d->net_error);
		if (t->have_path && !t->path.error && !t->path.local)
			t->link = host_link_find(&d->net, t->path.oif);
	}
}

/* ---- reading ---- */

static void gather(struct doctor *d)
{
	collect_targets(d);
	d->have_net = !host_net_read(&d->net, &d->net_error);
	find_paths(d);
	d->nft = nft_open(&d->nft_error);
	if (d->nft)
		nft_foreign_read(d->nft, d->in->table, &d->foreign, &d->foreign_error);
	else
		d->foreign_error = d->nft_error;
	d->have_census = !census_read(&d->census, &d->census_error);
}

static void release(struct doctor *d)
{
	host_net_fini(&d->net);
	nft_foreign_free(d->foreign);
	nft_close(d->nft);
	census_fini(&d->census);
}

/* ---- the report ---- */

static void list_routes(struct doctor *d, struct pending_finding *p)
{
	const struct config *c = d->in->plan ? d->in->plan->config : NULL;

	p->f.routes = arena_alloc(d->arena, (c ? c->n_routes + 1 : 1) * sizeof(*p->f.routes));
	d->failed |= !p->f.routes;
	for (unsigned i = 0; p->f.routes && c && i < c->n_routes; i++)
		if (p->has[i / 8] & 1u << i % 8)
			p->f.routes[p->f.n_routes++] = c->routes[i].name;
}

static void settle(struct doctor *d, struct doctor_report *out)
{
	uint8_t *any = arena_alloc(d->arena, route_bytes(d));
	unsigned n = 0;

	for (struct pending_finding *p = d->first; p; p = p->next)
		n++;
	out->v = arena_alloc(d->arena, (n + 1) * sizeof(*out->v));
	d->failed |= !out->v || !any;
	for (struct pending_finding *p = d->first; p && !d->failed; p = p->next) {
		list_routes(d, p);
		if (p->f.level == FINDING_PROBLEM && !p->f.n_routes)
			p->f.level = FINDING_NOTE;
		if (p->f.level == FINDING_PROBLEM) {
			out->problems++;
			for (size_t i = 0; i < route_bytes(d); i++)
				any[i] |= p->has[i];
		}
		out->v[out->n++] = p->f;
	}
	for (size_t i = 0; !d->failed && i < route_bytes(d); i++)
		out->affected += (unsigned)__builtin_popcount(any[i]);
}

int doctor_run(const struct doctor_input *in, struct doctor_report *out, struct err *e)
{
	struct doctor d = { .in = in, .arena = &out->arena };

	*out = (struct doctor_report){ 0 };
	gather(&d);
	for (size_t i = 0; i < N_CHECKS; i++) {
		d.check = &checks[i];
		d.spoke = false;
		d.check->run(&d);
		if (!d.spoke)
			doctor_ok(&d, "%s", d.check->help);
	}
	settle(&d, out);
	release(&d);
	return d.failed ? err_set(e, -ENOMEM, "out of memory") : 0;
}

void doctor_report_fini(struct doctor_report *r)
{
	arena_fini(&r->arena);
	*r = (struct doctor_report){ 0 };
}
