/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/plan/plan_share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct named {
	const char *name;
	size_t at; /* in share.domain */
};

bool strings_share(const struct cfg_strings *a, const struct cfg_strings *b)
{
	if (!a->n || !b->n)
		return a->n == b->n;
	for (unsigned i = 0; i < a->n; i++)
		for (unsigned k = 0; k < b->n; k++)
			if (!strcasecmp(a->v[i], b->v[k]))
				return true;
	return false;
}

/* NULL comes first. */
static int text_cmp(const char *a, const char *b)
{
	if (!a || !b)
		return !b - !a;
	return strcmp(a, b);
}

static int pairs_cmp(const struct cfg_pairs *a, const struct cfg_pairs *b)
{
	int rc = a->n < b->n ? -1 : a->n > b->n;

	for (unsigned i = 0; i < a->n && !rc; i++) {
		rc = strcasecmp(a->v[i].name, b->v[i].name);
		rc = rc ? rc : text_cmp(a->v[i].value, b->v[i].value);
	}
	return rc;
}

static int conditions_cmp(const void *pa, const void *pb)
{
	const struct plan_route *const *ra = pa, *const *rb = pb;
	const struct cfg_match *a = &(*ra)->route->match, *b = &(*rb)->route->match;
	int rc = text_cmp(a->path, b->path);

	rc = rc ? rc : text_cmp(a->protocol, b->protocol);
	rc = rc ? rc : pairs_cmp(&a->headers, &b->headers);
	return rc ? rc : pairs_cmp(&a->query, &b->query);
}

static int named_cmp(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return strcasecmp(x->name, y->name);
}

static int number_conditions(struct share *s)
{
	unsigned n = s->p->n_routes, number = 0;
	const struct plan_route **v = calloc(n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		v[i] = &s->p->routes[i];
	qsort(v, n, sizeof(*v), conditions_cmp);
	for (unsigned i = 0; i < n; i++) {
		number += i && conditions_cmp(&v[i - 1], &v[i]);
		s->conditions[v[i] - s->p->routes] = number;
	}
	free(v);
	return 0;
}

static size_t place_domains(struct share *s)
{
	size_t n = 0;

	for (unsigned i = 0; i < s->p->n_routes; i++) {
		s->first[i] = n;
		n += s->p->routes[i].route->match.domains.n;
	}
	return n;
}

static int number_domains(struct share *s)
{
	size_t n = place_domains(s), k = 0;
	struct named *v = calloc(n + 1, sizeof(*v));
	unsigned number = 1;

	s->domain = calloc(n + 1, sizeof(*s->domain));
	if (!v || !s->domain) {
		free(v);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < s->p->n_routes; i++) {
		const struct cfg_strings *domains = &s->p->routes[i].route->match.domains;

		for (unsigned d = 0; d < domains->n; d++, k++)
			v[k] = (struct named){ domains->v[d], k };
	}
	qsort(v, n, sizeof(*v), named_cmp);
	for (size_t i = 0; i < n; i++) {
		number += i && strcasecmp(v[i - 1].name, v[i].name);
		s->domain[v[i].at] = number;
	}
	free(v);
	return 0;
}

int share_init(struct share *s, const struct plan *p)
{
	int rc;

	if (s->p)
		return 0;
	s->p = p;
	s->conditions = calloc(p->n_routes + 1, sizeof(*s->conditions));
	s->first = calloc(p->n_routes + 1, sizeof(*s->first));
	if (!s->conditions || !s->first)
		return -ENOMEM;
	rc = number_conditions(s);
	return rc ? rc : number_domains(s);
}

void share_fini(struct share *s)
{
	free(s->conditions);
	free(s->first);
	free(s->domain);
	memset(s, 0, sizeof(*s));
}

unsigned share_conditions(const struct share *s, const struct plan_route *r)
{
	return s->conditions[r - s->p->routes];
}

unsigned share_domain(const struct share *s, const struct plan_route *r, unsigned n)
{
	return r->route->match.domains.n ? s->domain[s->first[r - s->p->routes] + n] : 0;
}
