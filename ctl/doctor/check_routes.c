/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ways to the targets and back, as the kernel's routing has them now. */
#include <errno.h>
#include <linux/neighbour.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/doctor/doctor_internal.h"
#include "ctl/nft/ruleset_compile.h"

/* An address of the world for "where does the answer to a far client go" (RFC 5737). */
static const struct addr far_client = { ADDR_V4, { 198, 51, 100, 77 } };

static bool leads_to(const struct plan_route *r, const void *arg)
{
	return route_leads_to(r, arg);
}

static bool serves_v4(const struct plan_route *r, const void *arg)
{
	(void)arg;
	return r->v4;
}

/* ---- no way ---- */

/* The interface that is down and would have been the way. */
static const struct host_link *down_link(const struct doctor *d, const struct addr *a)
{
	for (size_t i = 0; i < d->net.n_links; i++) {
		const struct host_link *l = &d->net.links[i];
		const struct host_route net = {
			.to = a->family == ADDR_V4 ? l->v4 : l->v6,
			.prefix_len = a->family == ADDR_V4 ? l->v4_prefix_len : l->v6_prefix_len,
		};

		if (!l->up && net.prefix_len && host_route_covers(&net, a))
			return l;
	}
	return NULL;
}

static const char *error_text(int code)
{
	switch (code) {
	case -ENETUNREACH:
		return "there is no route to";
	case -EHOSTUNREACH:
		return "a route of type unreachable leads to";
	case -EACCES:
		return "a route of type prohibit leads to";
	case -EINVAL:
		return "a route of type blackhole leads to";
	default:
		return "the kernel finds no way to";
	}
}

static void report_no_way(struct doctor *d, const struct doctor_target *t)
{
	const struct host_link *down = down_link(d, &t->addr);
	char text[ADDR_TEXT];
	struct pending_finding *f;

	addr_format(&t->addr, text);
	if (down) {
		f = doctor_problem(d, "interface %s, by which target %s is reached, is down",
				   down->name, text);
		finding_fix(d, f, "ip link set %s up", down->name);
	} else if (t->path.error == -ENETUNREACH) {
		f = doctor_problem(d, "there is no route to target %s", text);
		finding_fix(d, f, "ip route add %s via GATEWAY", text);
	} else {
		f = doctor_problem(d, "%s target %s", error_text(t->path.error), text);
		finding_fix(d, f, "look for it in `ip route show table all` and delete it");
	}
	finding_routes(d, f, leads_to, &t->addr);
}

static void report_no_carrier(struct doctor *d, const struct doctor_target *t)
{
	char text[ADDR_TEXT];
	struct pending_finding *f =
		doctor_problem(d, "interface %s, by which target %s is reached, has no carrier",
			       t->link->name, addr_format(&t->addr, text));

	finding_routes(d, f, leads_to, &t->addr);
	finding_fix(d, f, "plug in %s, or bring up its other end", t->link->name);
}

static void note_silent(struct doctor *d, const struct doctor_target *t)
{
	const struct addr *hop = t->path.gateway.family ? &t->path.gateway : &t->addr;
	const struct host_neighbour *n = host_neighbour_find(&d->net, t->path.oif, hop);
	char text[ADDR_TEXT];

	if (n && n->state & (NUD_FAILED | NUD_INCOMPLETE))
		finding_routes(d,
			       doctor_note(d, "%s does not answer on %s (ARP, ND)",
					   addr_format(hop, text), t->link->name),
			       leads_to, &t->addr);
}

void check_target_route(struct doctor *d)
{
	unsigned looked_at = 0;

	if (!d->have_net) {
		doctor_note(d, "not looked at: %s", d->net_error.msg);
		return;
	}
	for (unsigned i = 0; i < d->n_targets; i++) {
		const struct doctor_target *t = &d->targets[i];

		if (t->local || !t->have_path)
			continue;
		looked_at++;
		if (t->path.error)
			report_no_way(d, t);
		else if (t->link && !t->link->carrier && !t->link->loopback)
			report_no_carrier(d, t);
		else if (t->link)
			note_silent(d, t);
	}
	if (d->more_targets)
		doctor_note(d, "only the first %u of %u targets were looked at", DOCTOR_MAX_TARGETS,
			    d->n_targets);
	if (!d->spoke)
		doctor_ok(d, "there is a way to every target (%u on other hosts)", looked_at);
}

/* ---- strict reverse-path filters ---- */

static bool is_strict(const struct host_link *l)
{
	long all = doctor_sysctl_number(0, "net/ipv4/conf/all/rp_filter");
	long own = doctor_sysctl_number(0, "net/ipv4/conf/%s/rp_filter", l->name);

	return l->up && !l->loopback && (all > own ? all : own) == 1;
}

static void fix_strict(struct doctor *d, struct pending_finding *f, const struct host_link *l)
{
	char name[80], command[160];

	snprintf(name, sizeof(name), "net/ipv4/conf/%s/rp_filter", l->name);
	finding_fix(d, f, "%s", doctor_sysctl_command(command, sizeof(command), name, "2"));
}

/* A target has a second way, through l: answers by that one are dropped. */
static void check_strict_target(struct doctor *d, const struct host_link *l,
				const struct host_route *r, struct pending_finding **f)
{
	for (unsigned i = 0; i < d->n_targets; i++) {
		const struct doctor_target *t = &d->targets[i];
		char text[ADDR_TEXT];

		if (!t->link || t->link == l || !host_route_covers(r, &t->addr))
			continue;
		if (!*f) {
			*f = doctor_problem(d,
					    "rp_filter is strict on %s: answers of target %s that "
					    "arrive there are dropped, since the way to it is "
					    "through %s",
					    l->name, addr_format(&t->addr, text), t->link->name);
			fix_strict(d, *f, l);
		}
		finding_routes(d, *f, leads_to, &t->addr);
	}
}

/* Clients come through l from behind a gateway, but the way back to them is another. */
static void check_strict_clients(struct doctor *d, const struct host_link *l,
				 const struct host_route *r, struct pending_finding **f)
{
	struct addr client = r->prefix_len ? r->to : far_client;
	const struct host_link *back;
	char text[ADDR_RANGE_TEXT];
	struct host_path path;
	struct err e = { 0 };

	if (*f || !l->v4.family || (r->prefix_len && r->prefix_len < 32 && !addr_next(&client)))
		return;
	if (host_path_find(&d->net, &client, &l->v4, &path, &e) || path.error || path.local ||
	    path.oif == l->index)
		return;
	back = host_link_find(&d->net, path.oif);
	snprintf(text, sizeof(text), "far away");
	if (r->prefix_len)
		addr_format(&client, text);
	*f = doctor_problem(
		d,
		"rp_filter is strict on %s: clients (%s) that arrive there are dropped, "
		"since the way back to them is through %s",
		l->name, text, back ? back->name : "another interface");
	fix_strict(d, *f, l);
	finding_routes(d, *f, serves_v4, NULL);
}

static void check_strict_link(struct doctor *d, const struct host_link *l)
{
	struct pending_finding *targets = NULL, *clients = NULL;

	for (size_t i = 0; i < d->net.n_routes; i++) {
		const struct host_route *r = &d->net.routes[i];

		if (r->to.family != ADDR_V4 || r->oif != l->index)
			continue;
		/* Everything has a second way through a default route; no answer comes by it. */
		if (r->prefix_len)
			check_strict_target(d, l, r, &targets);
		if (r->gateway.family || !r->prefix_len)
			check_strict_clients(d, l, r, &clients);
	}
}

void check_rp_filter(struct doctor *d)
{
	unsigned strict = 0;

	if (!d->have_net) {
		doctor_note(d, "not looked at: %s", d->net_error.msg);
		return;
	}
	for (size_t i = 0; i < d->net.n_links; i++) {
		if (!is_strict(&d->net.links[i]))
			continue;
		strict++;
		check_strict_link(d, &d->net.links[i]);
	}
	if (!d->spoke)
		doctor_ok(
			d,
			strict ? "rp_filter is strict on %u interface%s, where all traffic of the "
				 "routes has one way only"
			       : "rp_filter is strict on no interface",
			strict, text_plural(strict));
}

/* ---- answers to kept addresses ---- */

#define ENOUGH_FLOWS 3

/* Datagrams may be all that a service wants (syslog): that nothing comes back to them is no fault.
 */
struct seen {
	unsigned answered, unanswered, datagrams; /* datagrams: UDP, not answered */
};

static void count_group(struct seen *seen, const struct census_group *g)
{
	seen->answered += g->flows - g->unanswered;
	*(g->proto == IPPROTO_TCP ? &seen->unanswered : &seen->datagrams) += g->unanswered;
}

static struct seen count_flows(const struct doctor *d, const struct plan_route *r,
			       const struct addr *target)
{
	const struct session *s = d->in->session;
	uint32_t id = s && d->in->live ? route_ids_find(&s->ids, r->route->name) : 0;
	struct seen seen = { 0 };

	for (size_t i = 0; id && i < d->census.n; i++) {
		const struct census_group *g = &d->census.v[i];

		if (g->id != id || g->instance != label_instance(s->state.instance) ||
		    g->flags & (LABEL_MASQUERADE | LABEL_HAIRPIN) || addr_cmp(&g->target, target))
			continue;
		count_group(&seen, g);
	}
	return seen;
}

/* One that does not even answer on its link is down: that is not about the way back. */
static bool is_silent(const struct doctor *d, const struct doctor_target *t)
{
	const struct host_neighbour *n =
		t->path.gateway.family ? NULL : host_neighbour_find(&d->net, t->path.oif, &t->addr);

	return n && n->state & (NUD_FAILED | NUD_INCOMPLETE);
}

static void report_lost_answers(struct doctor *d, const struct plan_route *r,
				const struct doctor_target *t, unsigned n)
{
	char text[ADDR_TEXT], via[ADDR_TEXT];
	struct pending_finding *f = doctor_problem(
		d,
		"none of %u connections to target %s, which keep the client's address, was "
		"answered through here: its way back to the clients is another",
		n, addr_format(&t->addr, text));

	finding_route(d, f, r);
	if (t->path.gateway.family || !t->path.source.family)
		finding_fix(d, f,
			    "lead the answers of %s back through this host, or set "
			    "preserveSourceIP to false",
			    text);
	else
		finding_fix(d, f,
			    "ip %sroute replace default via %s    # on %s; or preserveSourceIP: "
			    "false",
			    t->addr.family == ADDR_V6 ? "-6 " : "",
			    addr_format(&t->path.source, via), text);
}

static void note_unanswered_datagrams(struct doctor *d, const struct plan_route *r,
				      const struct doctor_target *t, unsigned n)
{
	char text[ADDR_TEXT];

	finding_route(d,
		      doctor_note(d,
				  "none of %u UDP flows to target %s, which keep the client's "
				  "address, was answered through here: right, if it never answers",
				  n, addr_format(&t->addr, text)),
		      r);
}

struct return_path {
	struct doctor *d;
	unsigned unknown, answered;
	struct pending_finding *note;
};

static void check_return_of(struct return_path *x, const struct plan_route *r,
			    const struct doctor_target *t)
{
	struct seen seen = count_flows(x->d, r, &t->addr);

	if (seen.answered) {
		x->answered++;
		return;
	}
	if (seen.unanswered >= ENOUGH_FLOWS && !is_silent(x->d, t)) {
		report_lost_answers(x->d, r, t, seen.unanswered);
		return;
	}
	if (seen.datagrams >= ENOUGH_FLOWS && !is_silent(x->d, t)) {
		note_unanswered_datagrams(x->d, r, t, seen.datagrams);
		return;
	}
	x->unknown++;
	if (!x->note)
		x->note = doctor_note(x->d, "whether the answers of targets that see the client's "
					    "address come back through here cannot be told: no "
					    "connection was answered yet");
	finding_route(x->d, x->note, r);
}

void check_return_path(struct doctor *d)
{
	struct return_path x = { .d = d };
	const struct plan_route *r;

	for (unsigned i = 0; (r = doctor_next_route(d, &i));) {
		for (unsigned k = 0; r->preserve_source && k < r->n_targets; k++) {
			const struct doctor_target *t = doctor_target_find(d, &r->targets[k].addr);

			if (t && !t->local && t->have_path && !t->path.error)
				check_return_of(&x, r, t);
		}
	}
	if (!d->have_census && x.unknown)
		doctor_note(d, "connections not looked at: %s", d->census_error.msg);
	if (!d->spoke)
		doctor_ok(d, x.answered ? "answers to kept client addresses come back"
					: "no route keeps the client's address");
}
