/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes are paired by name. One may stand in a plan twice, as its TCP half and
 * its UDP half: those are paired by protocol, but a route that has one entry on
 * both sides is the same route whatever protocols it serves.
 */
#include "ctl/cli/route_diff.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"

#define NAMES_COLUMNS  44 /* of all names in a summary: the rest of it takes up to 56 */
#define LIMITS_COLUMNS 24 /* of the words on common limits, where there are any */
#define NAME_COLUMNS   20 /* of one of them, with the dots of a cut */
#define NAMES_KEPT     12

struct named {
	const char *name;
	const struct plan_route *route;
};

static int named_cmp(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int rc = strcmp(x->name, y->name);

	return rc ? rc : (int)x->route->transport - (int)y->route->transport;
}

static struct named *by_name(const struct plan *p)
{
	unsigned n = p ? p->n_routes : 0;
	struct named *v = calloc(n + 1, sizeof(*v));

	for (unsigned i = 0; v && i < n; i++)
		v[i] = (struct named){ p->routes[i].route->name, &p->routes[i] };
	if (v)
		qsort(v, n, sizeof(*v), named_cmp);
	return v;
}

/* How many entries at v have the name of the first; at most `left`. */
static unsigned group_len(const struct named *v, unsigned left)
{
	unsigned n = left ? 1 : 0;

	while (n < left && !strcmp(v[n].name, v[0].name))
		n++;
	return n;
}

typedef void change_fn(const struct route_change *c, void *arg);

struct diff {
	change_fn *fn;
	void *arg;
	struct list_prints prints;
};

static char *behaviour(const struct plan_route *r, struct diff *d)
{
	struct buf b = { 0 };

	if (r)
		describe_behaviour(&b, r, &d->prints);
	return b.data;
}

static void compare_pair(const struct plan_route *old, const struct plan_route *new, char route_op,
			 struct diff *d)
{
	char *was = behaviour(old, d), *is = behaviour(new, d);
	struct route_change c = {
		.op = !old   ? '+'
		      : !new ? '-'
			     : '~',
		.route_op = route_op,
		.name = (new ? new : old)->route->name,
		.old = was,
		.new = is,
	};

	if (!was || !is || strcmp(was, is))
		d->fn(&c, d->arg);
	free(was);
	free(is);
}

/* All entries of one name: n_a of the old plan, n_b of the new. */
static void compare_group(const struct named *a, unsigned n_a, const struct named *b, unsigned n_b,
			  struct diff *d)
{
	char op = !n_a ? '+' : !n_b ? '-' : '~';
	unsigned i = 0, k = 0;

	if (n_a == 1 && n_b == 1) {
		compare_pair(a->route, b->route, op, d);
		return;
	}
	while (i < n_a || k < n_b) {
		int rc = i == n_a   ? 1
			 : k == n_b ? -1
				    : (int)a[i].route->transport - (int)b[k].route->transport;

		compare_pair(rc <= 0 ? a[i].route : NULL, rc >= 0 ? b[k].route : NULL, op, d);
		i += rc <= 0;
		k += rc >= 0;
	}
}

/* What holds for all routes and is no route's: said when it changes, not when it is new. */
static void compare_limits(const struct plan *old, const struct plan *new, struct diff *d)
{
	struct route_change c = { .op = '~', .route_op = '~' };
	struct buf was = { 0 }, is = { 0 };

	if (!old || !describe_limits_differ(old->config, new->config))
		return;
	describe_limits(&was, old->config);
	describe_limits(&is, new->config);
	c.old = was.data;
	c.new = is.data;
	if (c.old && c.new)
		d->fn(&c, d->arg);
	buf_fini(&was);
	buf_fini(&is);
}

void route_diff(const struct plan *old, const struct plan *new, change_fn *fn, void *arg)
{
	struct diff d = { .fn = fn, .arg = arg };
	struct named *a = by_name(old), *b = by_name(new);
	unsigned n_a = old ? old->n_routes : 0, n_b = new->n_routes, i = 0, k = 0;

	compare_limits(old, new, &d);
	while (a && b && (i < n_a || k < n_b)) {
		unsigned len_a = group_len(a + i, n_a - i), len_b = group_len(b + k, n_b - k);
		int rc = !len_a ? 1 : !len_b ? -1 : strcmp(a[i].name, b[k].name);

		if (rc > 0)
			len_a = 0;
		else if (rc < 0)
			len_b = 0;
		compare_group(a + i, len_a, b + k, len_b, &d);
		i += len_a;
		k += len_b;
	}
	free(a);
	free(b);
}

static void json_change(const struct route_change *c, void *arg)
{
	char text[2] = { c->op, '\0' };

	json_array_append_new(arg,
			      json_pack("{s:s,s:o,s:s?,s:s?}", "op", text, "route",
					report_json_text(c->name), "old", c->old, "new", c->new));
}

json_t *route_diff_json(const struct plan *old, const struct plan *new)
{
	json_t *list = json_array();

	route_diff(old, new, json_change, list);
	return list;
}

/* ---- the summary ---- */

enum { ADDED, CHANGED, REMOVED, KINDS };

struct kind {
	unsigned n, kept;
	const char *names[NAMES_KEPT]; /* the first; of the plans' configs */
};

struct summary {
	struct kind kinds[KINDS];
	const char *last; /* the name that was counted last: its halves are one route */
	bool limits;
};

static void count_change(const struct route_change *c, void *arg)
{
	struct summary *s = arg;
	struct kind *k = &s->kinds[c->route_op == '+'	? ADDED
				   : c->route_op == '~' ? CHANGED
							: REMOVED];

	if (!c->name) {
		s->limits = true;
		return;
	}
	if (s->last && !strcmp(s->last, c->name))
		return;
	s->last = c->name;
	k->n++;
	if (k->kept < NAMES_KEPT)
		k->names[k->kept++] = c->name;
}

/* Bytes of the first `columns` characters of UTF-8, and how many there are. */
static size_t prefix_len(const char *s, unsigned columns, unsigned *used)
{
	size_t i = 0;

	*used = 0;
	for (; s[i]; i++) {
		if ((s[i] & 0xc0) == 0x80)
			continue;
		if (*used == columns)
			break;
		++*used;
	}
	return i;
}

/* Wide characters take two columns each; cutting by half as many keeps the promise for them. */
static unsigned put_name(struct buf *out, const char *name, unsigned columns)
{
	unsigned used, wide = 0;
	size_t len;

	for (const char *c = name; *c && !wide; c++)
		wide = (unsigned char)*c >= 0xe1;
	len = prefix_len(name, wide ? columns / 2 : columns, &used);
	if (name[len])
		len = prefix_len(name, (wide ? columns / 2 : columns) - 2, &used);
	buf_printf(out, "%.*s%s", (int)len, name, name[len] ? ".." : "");
	return (wide ? 2 * used : used) + (name[len] ? 2 : 0);
}

static void put_names(struct buf *out, const struct kind *k, unsigned columns)
{
	unsigned used = 0, i = 0;

	for (; i < k->kept; i++) {
		struct buf name = { 0 };
		unsigned one = put_name(&name, k->names[i], NAME_COLUMNS) + (i ? 2 : 0);
		bool fits = !i || used + one <= columns;

		if (!i && one > columns) {
			buf_reset(&name);
			one = put_name(&name, k->names[i], columns);
		}
		if (fits)
			buf_printf(out, "%s%s", i ? ", " : "", name.data ? name.data : "");
		buf_fini(&name);
		if (!fits)
			break;
		used += one;
	}
	if (i < k->n)
		buf_puts(out, ", ...");
}

void route_diff_summary(const struct plan *old, const struct plan *new, struct buf *out)
{
	static const char ops[KINDS] = { '+', '~', '-' };
	struct summary s = { 0 };
	unsigned kinds = 0, columns;
	bool first = true;

	route_diff(old, new, count_change, &s);
	columns = s.limits ? NAMES_COLUMNS - LIMITS_COLUMNS : NAMES_COLUMNS;
	for (unsigned i = 0; i < KINDS; i++)
		kinds += s.kinds[i].n != 0;
	for (unsigned i = 0; i < KINDS; i++) {
		const struct kind *k = &s.kinds[i];

		if (!k->n)
			continue;
		buf_printf(out, "%s%c %u%s (", first ? "" : "  ", ops[i], k->n,
			   !first      ? ""
			   : k->n == 1 ? " route"
				       : " routes");
		put_names(out, k, columns / kinds);
		buf_putc(out, ')');
		first = false;
	}
	if (s.limits)
		buf_printf(out, "%s~ limits of all routes", first ? "" : "  ");
	else if (first)
		buf_puts(out, "no route changes");
}
