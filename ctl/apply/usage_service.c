/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The room for what is counted, and the service's part of it. Pure. A target of
 * the kernel is an address, one of the service is what the file has: the same tag for
 * an address, another one where the file has a name. A route that only the
 * kernel serves lists the first kind, every other one the second.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/usage.h"

bool usage_is_user(const struct plan_route *r)
{
	return r->tier != TIER_NFTABLES || r->n_behind;
}

/* ---- room ---- */

static int list_kernel(struct usage_route *u, const struct plan_route *r)
{
	u->targets = calloc(r->n_targets + 1, sizeof(*u->targets));
	if (!u->targets)
		return -ENOMEM;
	u->n_targets = r->n_targets;
	for (unsigned i = 0; i < r->n_targets; i++)
		u->targets[i] =
			(struct usage_target){ .tag = r->targets[i].tag,
					       .target = r->targets[i].target,
					       .host = r->targets[i].host,
					       .kernel = &r->targets[i],
					       .health = r->targets[i].down ? USAGE_DOWN
									    : USAGE_UNKNOWN };
	return 0;
}

static int list_configured(struct usage_route *u, const struct cfg_target *v, unsigned n)
{
	unsigned k = 0;
	struct control_target *t = control_targets(v, n, &k);

	u->targets = t ? calloc(k + 1, sizeof(*u->targets)) : NULL;
	for (unsigned i = 0; u->targets && i < k; i++)
		u->targets[i] = (struct usage_target){ .tag = t[i].tag,
						       .target = t[i].target,
						       .host = t[i].host };
	u->n_targets = u->targets ? k : 0;
	free(t);
	return u->targets ? 0 : -ENOMEM;
}

int usage_init(struct usage *u, const struct plan *p)
{
	int rc;

	*u = (struct usage){ .n_routes = p->n_routes };
	u->routes = calloc(p->n_routes + 1, sizeof(*u->routes));
	rc = u->routes ? 0 : -ENOMEM;
	for (unsigned i = 0; i < p->n_routes && !rc; i++) {
		const struct plan_route *r = &p->routes[i];
		const struct cfg_action *a = &r->route->action;

		rc = usage_is_user(r) ? list_configured(&u->routes[i], a->targets, a->n_targets)
				      : list_kernel(&u->routes[i], r);
	}
	u->have_fallback = p->config->default_target && p->n_listeners;
	if (!rc && u->have_fallback)
		rc = list_configured(&u->fallback, p->config->default_target, 1);
	if (rc)
		usage_fini(u);
	return rc;
}

void usage_fini(struct usage *u)
{
	for (unsigned i = 0; u->routes && i < u->n_routes; i++)
		free(u->routes[i].targets);
	free(u->fallback.targets);
	free(u->routes);
	*u = (struct usage){ 0 };
}

uint64_t usage_refused(const struct usage_route *r)
{
	uint64_t n = 0;

	for (int k = 0; k < N_REASONS; k++)
		n += r->refused[k];
	return n;
}

/* ---- targets ---- */

static struct usage_target *find_host(const struct usage_route *u, const struct cfg_host *h)
{
	for (unsigned i = 0; i < u->n_targets; i++)
		if (u->targets[i].host == h)
			return &u->targets[i];
	return NULL;
}

struct usage_target *usage_find_target(const struct usage_route *u, const struct plan_route *r,
				       uint32_t tag)
{
	for (unsigned i = 0; i < u->n_targets; i++)
		if (u->targets[i].tag == tag)
			return &u->targets[i];
	/* An address of the kernel's, behind a name of the file. */
	for (unsigned i = 0; i < r->n_targets; i++)
		if (r->targets[i].tag == tag)
			return find_host(u, r->targets[i].host);
	return NULL;
}

static void add_target(struct usage_target *t, const json_t *j)
{
	t->counts.active += (unsigned)service_view_number(j, "active");
	t->counts.total += service_view_number(j, "total");
	t->counts.bytes_in += service_view_number(j, "bytesIn");
	t->counts.bytes_out += service_view_number(j, "bytesOut");
	t->failed += service_view_number(j, "failed");
}

static enum usage_health health_of(const json_t *j)
{
	const json_t *up = json_object_get(j, "healthy");

	return !json_is_boolean(up) ? USAGE_UNKNOWN : json_is_true(up) ? USAGE_UP : USAGE_DOWN;
}

/* All addresses of a name are as well as the name is. One that the kernel was told to leave out is
 * down until it is told otherwise. */
static void set_health(struct usage_route *u, const struct cfg_host *h, enum usage_health health)
{
	for (unsigned i = 0; i < u->n_targets; i++)
		if (u->targets[i].host == h)
			u->targets[i].health = u->targets[i].kernel && u->targets[i].kernel->down
						       ? USAGE_DOWN
						       : health;
}

static int add_targets(struct usage_route *u, const struct cfg_target *v, unsigned n,
		       const json_t *list)
{
	unsigned k = 0;
	struct control_target *known = control_targets(v, n, &k);
	const json_t *j;
	size_t i;

	json_array_foreach (list, i, j) {
		const uint64_t tag = service_view_number(j, "tag");
		struct usage_target *t;

		for (unsigned m = 0; known && m < k; m++) {
			if (known[m].tag != tag)
				continue;
			t = find_host(u, known[m].host);
			if (t)
				add_target(t, j);
			set_health(u, known[m].host, health_of(j));
		}
	}
	free(known);
	return known ? 0 : -ENOMEM;
}

/* ---- routes ---- */

static int add_route(struct usage_route *u, const struct cfg_target *v, unsigned n, const json_t *j)
{
	const json_t *refused = json_object_get(j, "refused");

	u->from_service = true;
	u->all.active += (unsigned)service_view_number(j, "active");
	u->all.total += service_view_number(j, "total");
	u->all.bytes_in += service_view_number(j, "bytesIn");
	u->all.bytes_out += service_view_number(j, "bytesOut");
	u->copied += service_view_number(j, "copy");
	u->spliced += service_view_number(j, "splice");
	u->failed_open += service_view_number(j, "failedOpen");
	for (unsigned i = 1; i < N_REASONS; i++)
		u->refused[i] += service_view_number(refused, reason_name((enum reason)i));
	return add_targets(u, v, n, json_object_get(j, "targets"));
}

/* id -> plan route + 1, of the half that has TCP where there are two. */
static uint32_t *index_routes(const struct plan *p, const struct route_ids *ids, uint32_t *max)
{
	uint32_t *v;

	*max = 0;
	for (size_t i = 0; i < ids->n; i++)
		if (ids->ids[i] > *max)
			*max = ids->ids[i];
	v = calloc((size_t)*max + 1, sizeof(*v));
	for (unsigned i = 0; v && i < p->n_routes; i++) {
		const uint32_t id = route_ids_find(ids, p->routes[i].route->name);

		if (id && (!v[id] || p->routes[i].transport & TRANSPORT_TCP))
			v[id] = i + 1;
	}
	return v;
}

static int add_routes(struct usage *u, const struct plan *p, const struct route_ids *ids,
		      const json_t *routes)
{
	const uint32_t fallback = route_ids_find(ids, CONTROL_DEFAULT_NAME);
	uint32_t max, *index = index_routes(p, ids, &max);
	int rc = index ? 0 : -ENOMEM;
	const json_t *j;
	size_t i;

	json_array_foreach (routes, i, j) {
		const uint64_t id = service_view_number(j, "id");
		const struct cfg_action *a;

		if (rc)
			break;
		if (u->have_fallback && id && id == fallback) {
			rc = add_route(&u->fallback, p->config->default_target, 1, j);
			continue;
		}
		if (id > max || !index[id])
			continue;
		a = &p->routes[index[id] - 1].route->action;
		rc = add_route(&u->routes[index[id] - 1], a->targets, a->n_targets, j);
	}
	free(index);
	return rc;
}

int usage_add_service(struct usage *u, const struct plan *p, const struct route_ids *ids,
		      const struct service_view *v)
{
	/* Where no service is, nobody is connected to it. */
	const bool blind = v->presence != CONTROL_NONE && !v->answers;

	for (unsigned i = 0; i < p->n_routes; i++)
		u->routes[i].blind = blind && usage_is_user(&p->routes[i]) &&
				     p->routes[i].transport & TRANSPORT_TCP;
	u->fallback.blind = blind;
	return add_routes(u, p, ids, v->routes);
}
