/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be said of lists and limits before anybody connects: what never
 * takes effect, and what shuts everybody out. Warnings and notes only. A block
 * that many routes have from defaults.security is told once.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/plan/plan_internal.h"

/* From here on a new connection takes the kernel noticeably longer (docs/KERNEL-TIER.md). */
#define MANY_CONNECTIONS 2000

/* Both are merged, so that each range of b stands in one of a. */
static bool covers(const struct addr_set *a, const struct addr_set *b)
{
	size_t i = 0;

	for (size_t k = 0; k < b->n; k++) {
		while (i < a->n && addr_cmp(&a->v[i].hi, &b->v[k].lo) < 0)
			i++;
		if (i == a->n || addr_cmp(&a->v[i].lo, &b->v[k].lo) > 0 ||
		    addr_cmp(&a->v[i].hi, &b->v[k].hi) < 0)
			return false;
	}
	return true;
}

static bool is_everybody(const struct addr_set *s)
{
	static const uint8_t ones[16] = { 255, 255, 255, 255, 255, 255, 255, 255,
					  255, 255, 255, 255, 255, 255, 255, 255 };
	static const struct addr none4 = { ADDR_V4, { 0 } }, none6 = { ADDR_V6, { 0 } };

	return s->n == 2 && !addr_cmp(&s->v[0].lo, &none4) && !addr_cmp(&s->v[1].lo, &none6) &&
	       !memcmp(s->v[0].hi.bytes, ones, 4) && !memcmp(s->v[1].hi.bytes, ones, 16);
}

static void check_lists(struct plan *p, const struct plan_route *r, struct diags *d)
{
	const struct cfg_security *s = r->route->security;

	if (s->allow.n ? covers(&s->block, &s->allow) : is_everybody(&s->block))
		plan_warn(p, d, DIAG_WARNING, r->route, s->block_loc, NULL,
			  s->allow.n ? "blocks everybody whom ipAllowList allows: route \"%s\" "
				       "serves nobody"
				     : "blocks everybody: route \"%s\" serves nobody",
			  r->route->name);
	/* Over a block of defaults.security an empty list is the way to say "not for this route".
	 */
	if (s->allow_loc.line && !s->allow.n &&
	    (!p->config->default_security || s == p->config->default_security))
		plan_warn(p, d, DIAG_WARNING, r->route, s->allow_loc,
			  "leave it out; what refuses everybody is ipBlockList [\"*\"]",
			  "is empty: everybody is allowed");
}

/* What many routes may have in common is told of the first. */
struct grouped_note {
	const struct plan_route *first;
	unsigned n;
};

struct notes {
	struct grouped_note families, many;
};

static void take_note(struct grouped_note *g, const struct plan_route *r)
{
	if (!g->n++)
		g->first = r;
}

static const char *more_routes(const struct grouped_note *g, char out[48])
{
	*out = '\0';
	if (g->n > 1)
		snprintf(out, 48, " (and so on in %u more route%s)", g->n - 1,
			 text_plural(g->n - 1));
	return out;
}

static bool lacks(const struct plan_route *r, int family)
{
	return (family == ADDR_V4 ? r->v4 : r->v6) && r->route->security->allow.n &&
	       !addr_set_has_family(&r->route->security->allow, family);
}

static void tell_notes(struct plan *p, const struct notes *n, struct diags *d)
{
	const struct plan_route *r = n->families.first;
	const char *family = r && lacks(r, ADDR_V4) ? "IPv4" : "IPv6";
	char more[48];

	if (r)
		plan_warn(p, d, DIAG_NOTE, r->route, r->route->security->allow_loc, NULL,
			  "has no %s address: route \"%s\" refuses all clients of %s%s", family,
			  r->route->name, family, more_routes(&n->families, more));
	r = n->many.first;
	if (r)
		plan_warn(p, d, DIAG_NOTE, r->route, r->route->security->max_connections_loc, NULL,
			  "new connections take longer while thousands are open: the kernel walks "
			  "the list of those that it counts%s",
			  more_routes(&n->many, more));
}

/* A limit of the route for each client, and the one over all routes, which is met first. */
static void check_reach(struct plan *p, const struct plan_route *r, struct diags *d, struct loc loc,
			unsigned own, unsigned all, const char *key, bool given)
{
	if (!all || own <= all)
		return;
	plan_warn(p, d, DIAG_WARNING, r->route, loc, "raise the one at the top level, too",
		  "never reached: %s is %u%s for all routes together", key, all,
		  given ? "" : " (default)");
}

static void check_limits(struct plan *p, const struct plan_route *r, struct diags *d)
{
	const struct cfg_security *s = r->route->security;
	const struct config *c = p->config;

	check_reach(p, r, d, s->max_connections_per_ip_loc, s->max_connections_per_ip,
		    c->max_connections_per_ip, "maxConnectionsPerIP",
		    c->max_connections_per_ip_given);
	check_reach(p, r, d, s->connection_rate_loc, s->connection_rate_per_minute,
		    c->connection_rate_per_minute, "connectionRateLimitPerMinute",
		    c->connection_rate_given);
	if (s->max_connections && s->max_connections_per_ip > s->max_connections)
		plan_warn(p, d, DIAG_WARNING, r->route, s->max_connections_per_ip_loc, NULL,
			  "never reached: maxConnections of the same route is %u",
			  s->max_connections);
}

void plan_check_security(struct plan *p, struct diags *d)
{
	struct notes notes = { 0 };
	bool told = false;

	for (unsigned i = 0; i < p->n_routes && d->warnings < DIAGS_MAX_WARNINGS; i++) {
		const struct plan_route *r = &p->routes[i];
		const struct cfg_security *s = r->route->security;
		bool of_all = s && s == p->config->default_security;

		/* The other half of a route was here before. */
		if (!s || (of_all && told) || (i && p->routes[i - 1].route == r->route))
			continue;
		told |= of_all;
		check_lists(p, r, d);
		check_limits(p, r, d);
		if (lacks(r, ADDR_V4) || lacks(r, ADDR_V6))
			take_note(&notes.families, r);
		if (r->in_kernel && s->max_connections > MANY_CONNECTIONS)
			take_note(&notes.many, r);
	}
	tell_notes(p, &notes, d);
}
