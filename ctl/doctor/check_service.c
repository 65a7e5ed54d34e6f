/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service, as it says itself over control.sock, against the routes that need it.
 * One cause is one finding: where nobody answers nothing else is said of what the
 * answer would have been. That a port may be taken by a connection of the host itself
 * is no trouble while the service has it; it is the next time that it starts.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "ctl/control/service_view.h"
#include "ctl/doctor/doctor_internal.h"
#include "ctl/host/host_owner.h"

#define OFTEN	     2 /* ends in a row */
#define SHOWN_PORTS  8
#define RESERVED_MAX 65536

/* ---- routes and fixes ---- */

static bool has_port(const struct plan_route *r, uint16_t port)
{
	const struct cfg_match *m = &r->route->match;

	for (unsigned i = 0; i < m->n_ports; i++)
		if (m->ports[i].from <= port && port <= m->ports[i].to)
			return true;
	return false;
}

/* Those that user space serves; port 0: whatever theirs are. */
static void add_routes(struct doctor *d, struct pending_finding *f, uint16_t port)
{
	const struct plan *p = d->in->plan;

	for (unsigned i = 0; i < p->n_routes; i++)
		if (p->routes[i].tier != TIER_NFTABLES && (!port || has_port(&p->routes[i], port)))
			finding_route(d, f, &p->routes[i]);
}

/* In its own words, wherever they are. */
static void fix_by_reading(struct doctor *d, struct pending_finding *f,
			   const struct service_view *v)
{
	if (json_is_true(json_object_get(v->service, "unit")))
		finding_fix(d, f, "journalctl -u spctl-run    # what it says of it");
	else
		finding_fix(d, f, "tail %s/service.log    # what it says of it", d->in->run_dir);
}

/* ---- is it there ---- */

static void nobody_runs(struct doctor *d, bool needed)
{
	struct pending_finding *f;

	if (needed) {
		f = doctor_problem(d, "the service does not run, and routes need it");
		add_routes(d, f, 0);
		doctor_fix_by_apply(d, f);
	} else if (control_would_use_service(d->in->plan)) {
		f = doctor_note(d, "no service runs: names and health of targets are not followed");
		doctor_fix_by_apply(d, f);
	} else {
		doctor_ok(d, "no route needs the service");
	}
}

static void nobody_commands(struct doctor *d)
{
	struct pending_finding *f =
		doctor_problem(d, "the service's controller is gone: its dataplane goes on with "
				  "what it has, and nobody would start it again");

	add_routes(d, f, 0);
	doctor_fix_by_apply(d, f);
}

static void nobody_answers(struct doctor *d, const struct service_view *v, bool needed)
{
	const char *why = v->e.msg[0] ? v->e.msg : "it holds its lock, and does not answer";
	struct pending_finding *f =
		needed ? doctor_problem(d, "the service (pid %d) cannot be asked: %s", v->pid, why)
		       : doctor_note(d, "the service (pid %d) cannot be asked: %s", v->pid, why);

	if (needed)
		add_routes(d, f, 0);
	if (v->pid)
		finding_fix(d, f, "kill -KILL %d    # if it stays so; then: spctl apply", v->pid);
}

/* ---- its dataplane ---- */

/* False: there is nothing to be asked of it. */
static bool look_at_dataplane(struct doctor *d, const struct service_view *v)
{
	const unsigned ends = (unsigned)service_view_number(v->service, "ends");
	const char *why = service_view_text(v->service, "lastEnd");
	const char *state = service_view_text(v->service, "state");
	const bool ready = !strcmp(state, "ready");
	struct pending_finding *f;

	if (ends >= OFTEN)
		f = doctor_problem(d, "the dataplane ends again and again (%u times, the last: %s)",
				   ends, why);
	else if (!ready)
		f = doctor_problem(d, "the dataplane is not ready (%s): new connections wait%s%s",
				   state, *why ? "; it ended: " : "", why);
	else if (ends)
		f = doctor_note(d, "the dataplane ended a moment ago: %s", why);
	else
		return true;
	add_routes(d, f, 0);
	fix_by_reading(d, f, v);
	return ready;
}

static void look_at_answers(struct doctor *d, const struct service_view *v)
{
	const json_t *sandbox = json_object_get(v->service, "sandbox");
	const unsigned long long refused = service_view_number(sandbox, "refused");
	struct pending_finding *f;

	if (!v->answers) {
		f = doctor_problem(d, "the dataplane (pid %llu) cannot be asked: %s",
				   (unsigned long long)service_view_number(v->service, "dataplane"),
				   v->e.msg);
		add_routes(d, f, 0);
		fix_by_reading(d, f, v);
	}
	if (json_is_true(json_object_get(v->process, "outOfDescriptors"))) {
		f = doctor_problem(d, "the service is out of descriptors: new connections wait");
		add_routes(d, f, 0);
		finding_fix(d, f, "a higher limit on open files (ulimit -n, LimitNOFILE=)");
	}
	if (refused)
		doctor_note(d,
			    "the dataplane's sandbox refused %llu system calls, the last is "
			    "number %lld",
			    refused,
			    (long long)json_integer_value(json_object_get(sandbox, "last")));
}

/* ---- what it listens on ---- */

/* Whose socket keeps it from there; false: none that listens. */
static bool find_holder(const struct doctor *d, const struct plan_listener *l, char *who,
			size_t cap)
{
	const struct host_facts *h = d->in->host;

	for (size_t i = 0; h && i < h->n_listeners; i++) {
		const struct host_listener *o = &h->listeners[i];
		struct owned_socket s = { .inode = o->inode };
		struct host_owner owner = { 0 };

		if (o->proto != IPPROTO_TCP || o->port != l->port ||
		    (l->address.family != ADDR_NONE && !addr_is_unspecified(&o->addr) &&
		     addr_cmp(&o->addr, &l->address)))
			continue;
		host_owners_find(&s, 1, &owner);
		host_owner_text(&owner, who, cap);
		return true;
	}
	return false;
}

static void report_missing(struct doctor *d, const struct plan_listener *l, unsigned n)
{
	char place[SERVICE_PLACE], who[96], more[32] = "";
	const bool held = find_holder(d, l, who, sizeof(who));
	struct pending_finding *f;

	if (n > 1)
		snprintf(more, sizeof(more), ", nor on %u others", n - 1);
	f = doctor_problem(d, "the service does not listen on %s%s%s%s",
			   service_place(&l->address, l->port, place), more,
			   held ? ": the port has " : "", held ? who : "");
	add_routes(d, f, n > 1 ? 0 : l->port);
	if (held)
		finding_fix(d, f, "stop %s, or move it to another port; then: spctl apply", who);
	else
		doctor_fix_by_apply(d, f);
}

static void look_at_listeners(struct doctor *d, const struct service_view *v)
{
	const struct plan *p = d->in->plan;
	struct control_listener *wanted =
		arena_alloc(d->arena, (p->n_listeners + 1) * sizeof(*wanted));
	unsigned n, first = 0;

	d->failed |= !wanted;
	for (unsigned i = 0; wanted && i < p->n_listeners; i++)
		wanted[i] =
			(struct control_listener){ p->listeners[i].address, p->listeners[i].port };
	n = wanted ? service_view_missing(v, wanted, p->n_listeners, &first) : 0;
	if (n)
		report_missing(d, &p->listeners[first], n);
}

static void look_at_generation(struct doctor *d, const struct service_view *v)
{
	const unsigned has = (unsigned)service_view_number(v->service, "generation");
	struct pending_finding *f;

	if (has == d->in->generation) {
		look_at_listeners(d, v);
		return;
	}
	f = doctor_problem(d, "the service has generation %u instead of %u", has,
			   d->in->generation);
	add_routes(d, f, 0);
	doctor_fix_by_apply(d, f);
}

static void look_at_service(struct doctor *d, const struct service_view *v)
{
	const bool needed = control_needs_service(d->in->plan);

	if (v->presence == CONTROL_NONE) {
		nobody_runs(d, needed);
	} else if (v->presence == CONTROL_ORPHAN) {
		nobody_commands(d);
	} else if (v->presence == CONTROL_STARTS || !v->controller_answers) {
		nobody_answers(d, v, needed);
	} else if (look_at_dataplane(d, v)) {
		look_at_generation(d, v);
		look_at_answers(d, v);
	}
	if (!d->spoke)
		doctor_ok(d, "the service (pid %d) serves generation %u", v->pid,
			  d->in->generation);
}

/* ---- the next time that it starts ---- */

/* "80,8000-8010", as ip_local_reserved_ports has them. */
bool doctor_ports_have(const char *list, uint16_t port)
{
	unsigned from, to;
	int n;

	while (sscanf(list, "%u%n", &from, &n) == 1) {
		list += n;
		to = from;
		if (*list == '-' && sscanf(list, "-%u%n", &to, &n) == 1)
			list += n;
		if (from <= port && port <= to)
			return true;
		list += *list == ',';
	}
	return false;
}

static void note_local_ports(struct doctor *d, const uint16_t *v, unsigned n, const char *reserved)
{
	struct pending_finding *f;
	struct buf list = { 0 };

	for (unsigned i = 0; i < n; i++)
		buf_printf(&list, "%s%u", i ? "," : "", v[i]);
	f = doctor_note(d,
			"connections of this host may have port %s (ip_local_port_range): while "
			"one does, a service that starts cannot listen there",
			list.data ? list.data : "?");
	for (unsigned i = 0; i < n; i++)
		add_routes(d, f, v[i]);
	finding_fix(d, f, "sysctl -w net.ipv4.ip_local_reserved_ports=\"%s%s%s\"", reserved,
		    *reserved ? "," : "", list.data ? list.data : "");
	buf_fini(&list);
}

static void look_at_local_range(struct doctor *d)
{
	const struct plan *p = d->in->plan;
	char *reserved = arena_alloc(d->arena, RESERVED_MAX), range[32];
	uint16_t v[SHOWN_PORTS];
	unsigned from, to, n = 0;

	d->failed |= !reserved;
	if (!reserved || !doctor_sysctl("net/ipv4/ip_local_port_range", range, sizeof(range)) ||
	    sscanf(range, "%u %u", &from, &to) != 2 ||
	    !doctor_sysctl("net/ipv4/ip_local_reserved_ports", reserved, RESERVED_MAX))
		return;
	for (unsigned i = 0; i < p->n_listeners && n < SHOWN_PORTS; i++) {
		const uint16_t port = p->listeners[i].port;

		if (port >= from && port <= to && !doctor_ports_have(reserved, port) &&
		    (!n || v[n - 1] != port))
			v[n++] = port;
	}
	if (n)
		note_local_ports(d, v, n, reserved);
}

void check_service(struct doctor *d)
{
	struct service_view v;

	if (!d->in->plan) {
		doctor_ok(d, "no route needs the service");
		return;
	}
	look_at_local_range(d);
	if (!d->in->live || !d->in->session) {
		if (!d->spoke)
			doctor_ok(d, "%s",
				  control_needs_service(d->in->plan)
					  ? "apply starts it, or uses what runs"
					  : "no route needs the service");
		return;
	}
	if (!service_view_read(&v, d->in->run_dir, SERVICE_ANSWER_MS))
		look_at_service(d, &v);
	service_view_fini(&v);
}
