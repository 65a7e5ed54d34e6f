/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which route wins: priority, then specificity, then file order. The order is
 * total over all routes and does not depend on the port, so it is computed
 * once; a cell only sorts small integers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/plan/plan_internal.h"

/* Everything of a match that ranks it, larger is tried first. */
struct rank_key {
	int priority;
	unsigned path;	  /* exact path: 2^16 + length; pattern: 1 + length; none 0 */
	unsigned domain;  /* the same for the most specific of the domains */
	unsigned client;  /* 129 - bits of the widest client range; none 0 */
	unsigned headers; /* number of header, query and method conditions */
	unsigned tls;
	unsigned address; /* a listen address is given */
};

static unsigned path_rank(const char *path)
{
	size_t len;

	if (!path)
		return 0;
	len = strlen(path);
	len = len > 0xfff0 ? 0xfff0 : len;
	/* CONFIG: a pattern holds * or :param, or ends in a slash. */
	if (strpbrk(path, "*:") || (len && path[len - 1] == '/'))
		return 1 + (unsigned)len;
	return 0x10000 + (unsigned)len;
}

static unsigned domain_rank(const struct cfg_strings *domains)
{
	unsigned best = 0;

	for (unsigned i = 0; i < domains->n; i++) {
		unsigned len = (unsigned)strlen(domains->v[i]);
		unsigned rank = strchr(domains->v[i], '*') ? 1 + len : 0x10000 + len;

		best = rank > best ? rank : best;
	}
	return best;
}

/* Host bits of IPv4 count four times, so that a /0 of both families weighs the same. */
static unsigned client_rank(const struct cfg_match *m)
{
	unsigned widest = 0;

	if (!m->has_client_ip)
		return 0;
	for (size_t i = 0; i < m->client_ip.n; i++) {
		unsigned bits = addr_range_bits(&m->client_ip.v[i]);

		bits *= m->client_ip.v[i].lo.family == ADDR_V4 ? 4 : 1;
		widest = bits > widest ? bits : widest;
	}
	return 129 - widest;
}

static struct rank_key rank_key_of(const struct cfg_route *r)
{
	const struct cfg_match *m = &r->match;

	return (struct rank_key){
		.priority = r->priority,
		.path = path_rank(m->path),
		.domain = domain_rank(&m->domains),
		.client = client_rank(m),
		.headers = m->headers.n + m->query.n + (m->methods.n > 0),
		.tls = m->tls_versions.n > 0,
		.address = m->n_addresses > 0,
	};
}

static int cmp_desc(unsigned a, unsigned b)
{
	return a > b ? -1 : a < b;
}

static int rank_key_cmp(const struct rank_key *a, const struct rank_key *b)
{
	int rc = a->priority > b->priority ? -1 : a->priority < b->priority;

	rc = rc ? rc : cmp_desc(a->path, b->path);
	rc = rc ? rc : cmp_desc(a->domain, b->domain);
#ifdef PLAN_SELFTEST_ORDER /* planted: the property test must find that the wider one wins */
	rc = rc ? rc : cmp_desc(b->client, a->client);
#else
	rc = rc ? rc : cmp_desc(a->client, b->client);
#endif
	rc = rc ? rc : cmp_desc(a->headers, b->headers);
	rc = rc ? rc : cmp_desc(a->tls, b->tls);
	return rc ? rc : cmp_desc(a->address, b->address);
}

struct ranked {
	struct rank_key key;
	struct plan_route *route;
};

static int ranked_cmp(const void *pa, const void *pb)
{
	const struct ranked *a = pa, *b = pb;
	int rc = rank_key_cmp(&a->key, &b->key);

	if (rc)
		return rc;
	return a->route->route->index < b->route->route->index ? -1 : 1;
}

/* Nearly always: files are written in the order that is meant. */
static bool is_sorted(const struct ranked *v, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		if (ranked_cmp(&v[i - 1], &v[i]) > 0)
			return false;
	return true;
}

int plan_order_routes(struct plan *p)
{
	struct ranked *v = calloc(p->n_routes + 1, sizeof(*v));
	unsigned class = 0;

	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < p->n_routes; i++) {
		v[i].route = &p->routes[i];
		v[i].key = rank_key_of(p->routes[i].route);
	}
	if (!is_sorted(v, p->n_routes))
		qsort(v, p->n_routes, sizeof(*v), ranked_cmp);
	for (unsigned i = 0; i < p->n_routes; i++) {
		if (i && rank_key_cmp(&v[i - 1].key, &v[i].key))
			class ++;
		v[i].route->rank = i;
		v[i].route->rank_class = class;
	}
	free(v);
	return 0;
}
