/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Targets that are down. The service names a target by the tag of its host, a
 * name being one target; the kernel tier has one for each address behind it, so
 * all of them are down when the name is. A route whose targets of a family are all
 * down is served as if none were: nobody knows better, and an answer may come.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/plan/plan_internal.h"

uint64_t plan_host_key(const struct cfg_target *t, const struct cfg_host *h)
{
	const struct addr none = { .family = (uint8_t)(16 + h->kind) };

	if (h->kind == HOST_ADDR)
		return plan_target_key(t, &h->addr);
	return text_hash(h->text, strlen(h->text), plan_target_key(t, &none));
}

static unsigned count_hosts(const struct cfg_action *a)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->n_targets; i++)
		n += a->targets[i].n_hosts;
	return n;
}

int plan_host_tags(const struct cfg_action *a, uint32_t **tags, unsigned *n)
{
	const unsigned count = count_hosts(a);
	uint64_t *keys = calloc(count + 1, sizeof(*keys));
	uint32_t *v = calloc(count + 1, sizeof(*v));
	unsigned k = 0;
	int rc = keys && v ? 0 : -ENOMEM;

	for (unsigned i = 0; i < a->n_targets && !rc; i++)
		for (unsigned h = 0; h < a->targets[i].n_hosts; h++)
			keys[k++] = plan_host_key(&a->targets[i], &a->targets[i].hosts[h]);
	rc = rc ? rc : plan_tag_keys(keys, count, v);
	free(keys);
	if (rc) {
		free(v);
		return rc;
	}
	*tags = v;
	*n = count;
	return 0;
}

/* Of the sorted list: the first of that route, and how many. */
static const struct target_down *of_route(const struct plan_facts *f, const char *route,
					  unsigned *n)
{
	unsigned lo = 0, hi = f->n_down;

	while (lo < hi) {
		const unsigned mid = lo + (hi - lo) / 2;

		if (strcmp(f->down[mid].route, route) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (hi = lo; hi < f->n_down && !strcmp(f->down[hi].route, route); hi++)
		;
	*n = hi - lo;
	return f->down + lo;
}

static bool is_down(const struct plan_target *t, const struct cfg_action *a, const uint32_t *tags,
		    const struct target_down *down, unsigned n)
{
	unsigned at = 0;

	for (const struct cfg_target *o = a->targets; o != t->target; o++)
		at += o->n_hosts;
	at += (unsigned)(t->host - t->target->hosts);
	for (unsigned i = 0; i < n; i++)
		if (down[i].tag == tags[at])
			return true;
	return false;
}

int plan_mark_down(struct plan_route *r, const struct plan_facts *f)
{
	const struct cfg_action *a = &r->route->action;
	const struct target_down *down;
	unsigned n, n_tags;
	uint32_t *tags;

	/* What nobody checks is up: nobody would ever say so again. */
	if (!a->health_check || !f->n_down || !r->n_targets)
		return 0;
	down = of_route(f, r->route->name, &n);
	if (!n)
		return 0;
	if (plan_host_tags(a, &tags, &n_tags))
		return -ENOMEM;
	for (unsigned i = 0; i < r->n_targets; i++)
		r->targets[i].down = is_down(&r->targets[i], a, tags, down, n);
	free(tags);
	return 0;
}

static bool is_one_port(const struct port_range *v, unsigned n)
{
	return n == 1 && v[0].from == v[0].to;
}

/* Of several ports, which one tells whether the target lives? */
static bool can_be_checked(const struct cfg_match *m, const struct cfg_target *t)
{
	return t->port_kind == PORT_FIXED || is_one_port(m->ports, m->n_ports) ||
	       is_one_port(t->match_ports, t->n_match_ports);
}

void plan_check_health(struct plan *p, struct diags *d)
{
	for (unsigned i = 0; i < p->n_routes; i++) {
		const struct cfg_route *r = p->routes[i].route;

		if (!r->action.health_check || (i && p->routes[i - 1].route == r))
			continue;
		for (unsigned k = 0; k < r->action.n_targets; k++) {
			const struct cfg_target *t = &r->action.targets[k];

			if (!can_be_checked(&r->match, t))
				plan_warn(
					p, d, DIAG_WARNING, r, t->port_loc,
					"give the target a port of its own, or the route one port",
					"route \"%s\": healthCheck cannot check a target whose "
					"port follows the client's, as the route has several "
					"ports: it counts as up",
					r->name);
		}
	}
}

bool plan_fails_open(const struct plan_route *r, int family)
{
	bool some = false;

	for (unsigned i = 0; i < r->n_targets; i++) {
		if (r->targets[i].addr.family != family)
			continue;
		if (!r->targets[i].down)
			return false;
		some = true;
	}
	return some;
}

bool plan_target_serves(const struct plan_route *r, const struct plan_target *t)
{
	return !t->down || plan_fails_open(r, t->addr.family);
}
