/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings of the host that forwarding stands on: forwarding itself, IPv6, router advertisements.
 */
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl/doctor/doctor_internal.h"
#include "ctl/host/sysctl.h"

struct family_info {
	int family;
	const char *text, *main;
};

static const struct family_info families[] = {
	{ ADDR_V4, "IPv4", "net/ipv4/ip_forward" },
	{ ADDR_V6, "IPv6", "net/ipv6/conf/all/forwarding" },
};

static bool needs_forwarding(const struct plan_route *r, const void *arg)
{
	return route_forwards(r, *(const int *)arg);
}

static bool any_forwards(const struct doctor *d, int family)
{
	const struct plan_route *r;

	for (unsigned i = 0; (r = doctor_next_route(d, &i));)
		if (route_forwards(r, family))
			return true;
	return false;
}

/* Before an apply it is spctl's own job to turn it on: can it? */
static void check_can_turn_on(struct doctor *d, const struct family_info *f)
{
	struct sysctl_wants w = { .forward_v4 = f->family == ADDR_V4,
				  .forward_v6 = f->family == ADDR_V6 };
	struct pending_finding *found;
	struct err e = { 0 };

	if (!d->in->have_admin) {
		doctor_ok(d, "%s forwarding is off: apply turns it on", f->text);
		return;
	}
	if (!sysctl_check(&w, &e)) {
		doctor_ok(d, "%s forwarding is off: apply turns it on, for its routes only",
			  f->text);
		return;
	}
	found = doctor_problem(d, "%s forwarding is off and cannot be turned on: %s", f->text,
			       e.msg);
	finding_routes(d, found, needs_forwarding, &f->family);
	finding_fix(d, found,
		    "make /proc/sys writable here (mount -o remount,rw /proc/sys), or "
		    "turn it on from outside of the container");
}

static void report_off(struct doctor *d, const struct family_info *f)
{
	struct pending_finding *found = doctor_problem(d, "%s forwarding is off", f->text);
	char command[160];

	finding_routes(d, found, needs_forwarding, &f->family);
	finding_fix(d, found, "%s", doctor_sysctl_command(command, sizeof(command), f->main, "1"));
}

/* The interfaces by which clients come to targets behind another one. */
struct entries {
	uint32_t target_oif; /* 0 = not counted yet */
	unsigned all, off;
	bool has; /* through.oif is one of them */
};

struct through {
	const struct doctor *d;
	uint32_t oif;
	int family;
	struct entries *last; /* most targets are behind the same one */
};

static bool answers_through(const struct plan_route *r, const void *arg)
{
	const struct through *x = arg;

	for (unsigned i = 0; i < r->n_targets; i++) {
		const struct doctor_target *t = doctor_target_find(x->d, &r->targets[i].addr);

		if (t && t->link && t->addr.family == x->family && t->link->index == x->oif)
			return true;
	}
	return false;
}

static bool is_off(const struct host_link *l)
{
	return !doctor_sysctl_number(1, "net/ipv4/conf/%s/forwarding", l->name);
}

static void count_entries(const struct through *x, uint32_t target_oif, struct entries *e)
{
	const struct host_link *in[DOCTOR_MAX_INGRESS];
	unsigned n = doctor_ingress(x->d, x->family, target_oif, in, DOCTOR_MAX_INGRESS);

	*e = (struct entries){ .target_oif = target_oif, .all = n };
	for (unsigned i = 0; i < n; i++) {
		e->off += is_off(in[i]);
		e->has |= in[i]->index == x->oif;
	}
}

static bool enters(const struct plan_route *r, const struct through *x, bool only)
{
	struct entries *e = x->last;

	for (unsigned i = 0; i < r->n_targets; i++) {
		const struct doctor_target *t = doctor_target_find(x->d, &r->targets[i].addr);

		if (!t || !t->link || t->addr.family != x->family)
			continue;
		if (e->target_oif != t->link->index)
			count_entries(x, t->link->index, e);
		if (e->has && (e->off == e->all) == only)
			return true;
	}
	return false;
}

/* Clients come in there, and by no other interface that forwards. */
static bool enters_only_there(const struct plan_route *r, const void *arg)
{
	return enters(r, arg, true);
}

static bool enters_there_too(const struct plan_route *r, const void *arg)
{
	return enters(r, arg, false);
}

static void report_interface(struct doctor *d, const struct host_link *l)
{
	struct entries last = { 0 };
	const struct through x = { d, l->index, ADDR_V4, &last };
	struct pending_finding *f;
	char name[80], command[160];

	snprintf(name, sizeof(name), "net/ipv4/conf/%s/forwarding", l->name);
	doctor_sysctl_command(command, sizeof(command), name, "1");
	f = doctor_problem(d, "IPv4 forwarding is off for what arrives on %s", l->name);
	finding_routes(d, f, answers_through, &x);
	finding_routes(d, f, enters_only_there, &x);
	if (!finding_has_routes(d, f)) {
		f->f.level = FINDING_NOTE;
		finding_routes(d, f, enters_there_too, &x);
	}
	finding_fix(d, f, "%s", command);
}

/* IPv4 asks the interface where a packet arrives: with it off, connections or answers from there
 * go nowhere. */
static void check_interfaces(struct doctor *d)
{
	for (size_t i = 0; d->have_net && i < d->net.n_links; i++) {
		const struct host_link *l = &d->net.links[i];

		if (l->up && !l->loopback && l->v4.family && is_off(l))
			report_interface(d, l);
	}
}

void check_forwarding(struct doctor *d)
{
	unsigned needed = 0;

	for (int i = 0; i < 2; i++) {
		const struct family_info *f = &families[i];

		if (!any_forwards(d, f->family))
			continue;
		needed++;
		if (doctor_sysctl_number(-1, "%s", f->main) > 0) {
			if (f->family == ADDR_V4)
				check_interfaces(d);
			continue;
		}
		/* Without IPv6 at all that is another check's finding. */
		if (f->family == ADDR_V6 && access("/proc/sys/net/ipv6", F_OK))
			continue;
		if (d->in->live)
			report_off(d, f);
		else
			check_can_turn_on(d, f);
	}
	if (!d->spoke)
		doctor_ok(d, needed ? "forwarding is on where the routes need it"
				    : "no route forwards to another host");
}

/* ---- IPv6 ---- */

static bool names_v6(const struct plan_route *r, const void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < r->route->match.n_addresses; i++)
		if (r->route->match.addresses[i].family == ADDR_V6)
			return true;
	return route_forwards(r, ADDR_V6) || route_is_local(r, ADDR_V6);
}

/* Routes that have a target of IPv6 to which there is no way now. */
static bool lost_v6(const struct plan_route *r, const void *arg)
{
	const struct doctor *d = arg;

	for (unsigned i = 0; i < r->n_targets; i++) {
		const struct doctor_target *t = doctor_target_find(d, &r->targets[i].addr);

		if (t && t->addr.family == ADDR_V6 && t->have_path && t->path.error)
			return true;
	}
	return false;
}

static void check_disabled_links(struct doctor *d)
{
	for (size_t i = 0; d->have_net && i < d->net.n_links; i++) {
		const struct host_link *l = &d->net.links[i];
		struct pending_finding *f;
		char name[80], command[160];

		if (!l->up ||
		    doctor_sysctl_number(0, "net/ipv6/conf/%s/disable_ipv6", l->name) <= 0)
			continue;
		snprintf(name, sizeof(name), "net/ipv6/conf/%s/disable_ipv6", l->name);
		f = doctor_problem(d, "IPv6 is disabled on %s", l->name);
		finding_routes(d, f, lost_v6, d);
		finding_fix(d, f, "%s", doctor_sysctl_command(command, sizeof(command), name, "0"));
	}
}

void check_ipv6(struct doctor *d)
{
	struct pending_finding *f;
	char command[160];

	if (access("/proc/sys/net/ipv6", F_OK)) {
		f = doctor_problem(d, "this kernel has no IPv6");
		finding_routes(d, f, names_v6, NULL);
		finding_fix(d, f, "modprobe ipv6    # or boot without ipv6.disable=1");
		return;
	}
	if (doctor_sysctl_number(0, "net/ipv6/conf/all/disable_ipv6") <= 0) {
		check_disabled_links(d);
		return;
	}
	f = doctor_problem(d, "IPv6 is disabled on all interfaces");
	finding_routes(d, f, names_v6, NULL);
	finding_fix(d, f, "%s",
		    doctor_sysctl_command(command, sizeof(command),
					  "net/ipv6/conf/all/disable_ipv6", "0"));
}

/* ---- router advertisements ---- */

static bool has_advertised_route(const struct doctor *d, uint32_t index)
{
	for (size_t i = 0; i < d->net.n_routes; i++) {
		const struct host_route *r = &d->net.routes[i];

		if (r->to.family == ADDR_V6 && !r->prefix_len && r->oif == index &&
		    r->origin == RTPROT_RA)
			return true;
	}
	return false;
}

void check_accept_ra(struct doctor *d)
{
	if (!d->have_net) {
		doctor_note(d, "not looked at: %s", d->net_error.msg);
		return;
	}
	for (size_t i = 0; i < d->net.n_links; i++) {
		const char *name = d->net.links[i].name;
		struct pending_finding *f;
		char setting[80], command[160];

		if (doctor_sysctl_number(0, "net/ipv6/conf/%s/forwarding", name) <= 0 ||
		    doctor_sysctl_number(0, "net/ipv6/conf/%s/accept_ra", name) != 1 ||
		    !has_advertised_route(d, d->net.links[i].index))
			continue;
		snprintf(setting, sizeof(setting), "net/ipv6/conf/%s/accept_ra", name);
		f = doctor_problem(d,
				   "the IPv6 default route on %s comes from router advertisements, "
				   "which are ignored there (forwarding is on, accept_ra is 1): it "
				   "will expire",
				   name);
		finding_routes(d, f, names_v6, NULL);
		finding_fix(d, f, "%s",
			    doctor_sysctl_command(command, sizeof(command), setting, "2"));
	}
}
