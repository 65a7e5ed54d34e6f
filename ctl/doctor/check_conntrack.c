/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Room: in the connection table, and among source ports. */
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl/base/text.h"
#include "ctl/doctor/doctor_internal.h"
#include "ctl/nft/ruleset_compile.h"

#define NEARLY_FULL_PERCENT 80
#define CONNTRACK_MAX	    "net/netfilter/nf_conntrack_max"
/* nf_nat gives a client's port above 1023 another one of 1024-65535. */
#define NAT_PORTS 64512
/* Fewer than this many, and a process that connects for others runs out soon. */
#define FEW_LOCAL_PORTS 4096

static void fix_max(struct doctor *d, struct pending_finding *f, unsigned long max)
{
	char value[24], command[160];
	/* Where it is the whole host's, a namespace cannot change it. */
	bool here = !access("/proc/sys/" CONNTRACK_MAX, W_OK);

	snprintf(value, sizeof(value), "%lu", max);
	doctor_sysctl_command(command, sizeof(command), CONNTRACK_MAX, value);
	finding_fix(d, f, "%s%s", command,
		    here ? "" : "    # on the host itself, outside of this network namespace");
}

static unsigned long limit_of(const struct plan_route *r)
{
	return r->route->security ? r->route->security->max_connections : 0;
}

static bool exceeds(const struct plan_route *r, const void *arg)
{
	return limit_of(r) > *(const unsigned long *)arg;
}

static bool is_limited(const struct plan_route *r, const void *arg)
{
	(void)arg;
	return limit_of(r);
}

/* A limit is a ceiling, not a need, and the routes do not reach theirs at one time; but one that
 * is above the table's own can never be what stops the route. */
static void check_limits(struct doctor *d, unsigned long max)
{
	unsigned long sum = 0, highest = 0;
	const struct plan_route *r;
	struct pending_finding *f;

	for (unsigned i = 0; (r = doctor_next_route(d, &i));) {
		sum += limit_of(r);
		highest = limit_of(r) > highest ? limit_of(r) : highest;
	}
	if (highest > max) {
		f = doctor_problem(d,
				   "maxConnections would allow %lu connection%s of one route, the "
				   "connection table has room for %lu in all",
				   highest, text_plural(highest), max);
		finding_routes(d, f, exceeds, &max);
		fix_max(d, f, highest + highest / 4);
	} else if (sum > max) {
		f = doctor_note(d,
				"all routes together allow %lu connection%s (maxConnections), the "
				"connection table has room for %lu",
				sum, text_plural(sum), max);
		finding_routes(d, f, is_limited, NULL);
	}
}

void check_conntrack(struct doctor *d)
{
	struct pending_finding *f;
	struct conntrack_room room;

	if (!conntrack_room(&room)) {
		doctor_ok(d, "the connection table is not in use");
		return;
	}
	if (room.nearly_full) {
		f = doctor_problem(d, "the connection table is nearly full: %lu of %lu", room.used,
				   room.max);
		finding_routes(d, f, NULL, NULL);
		fix_max(d, f, room.max * 2);
	}
	check_limits(d, room.max);
	if (!d->spoke)
		doctor_ok(d, "the connection table has room: %lu of %lu used", room.used, room.max);
}

/* ---- source ports ---- */

static bool has_id(const struct plan_route *r, const void *arg)
{
	const struct doctor *d = ((const void *const *)arg)[0];
	const struct census_group *g = ((const void *const *)arg)[1];

	return route_ids_find(&d->in->session->ids, r->route->name) == g->id;
}

static void check_group(struct doctor *d, const struct census_group *g)
{
	const void *const arg[] = { d, g };
	char target[ADDR_TEXT], ours[ADDR_TEXT];
	struct pending_finding *f;

	if (g->flows < NAT_PORTS / 100 * NEARLY_FULL_PERCENT || !g->seen.family ||
	    g->instance != label_instance(d->in->session->state.instance))
		return;
	f = doctor_problem(d,
			   "%u connections from %s to target %s %s/%u: of %u source ports, few are "
			   "left",
			   g->flows, addr_format(&g->seen, ours), addr_format(&g->target, target),
			   g->proto == IPPROTO_TCP ? "tcp" : "udp", g->target_port, NAT_PORTS);
	finding_routes(d, f, has_id, arg);
	finding_fix(d, f,
		    "give the route more targets (or ports of this one), or preserveSourceIP");
}

/* A process of ours that connects (relay, proxy) takes its ports from this range. */
static void check_local_range(struct doctor *d)
{
	const struct plan *p = d->in->plan;
	struct pending_finding *f;
	unsigned from, to;
	char text[32];

	if (!doctor_sysctl("net/ipv4/ip_local_port_range", text, sizeof(text)) ||
	    sscanf(text, "%u %u", &from, &to) != 2 || to < from || to - from + 1 >= FEW_LOCAL_PORTS)
		return;
	f = doctor_problem(d,
			   "this host's own connections have %u source ports (%u-%u); what the "
			   "kernel forwards does not use them",
			   to - from + 1, from, to);
	for (unsigned i = 0; p && i < p->n_routes; i++)
		if (p->routes[i].tier != TIER_NFTABLES)
			finding_route(d, f, &p->routes[i]);
	finding_fix(d, f, "sysctl -w net.ipv4.ip_local_port_range=\"32768 60999\"");
}

void check_ports(struct doctor *d)
{
	check_local_range(d);
	if (!d->have_census) {
		doctor_note(d, "connections not looked at: %s", d->census_error.msg);
		return;
	}
	for (size_t i = 0; d->in->live && d->in->session && i < d->census.n; i++)
		check_group(d, &d->census.v[i]);
}
