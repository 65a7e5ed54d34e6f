/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connections that an apply leaves behind. TCP only goes when it was asked
 * for. The kernel's list of connections is read only where there may be
 * something in it: where UDP routes are or were, or with --kill and --drain.
 */
#include <netinet/in.h>

#include "ctl/apply/apply_internal.h"
#include "ctl/base/log.h"
#include "ctl/host/conntrack.h"

static struct flows_wanted wanted(const struct apply_job *j)
{
	return (struct flows_wanted){
		.p = j->r->plan,
		.ids = j->route_ids,
		.local = &j->r->gathered->host.local,
		.instance = label_instance(j->s->state.instance),
	};
}

static int is_ours(const struct ct_flow *f, void *arg)
{
	return f->instance == *(const uint32_t *)arg;
}

bool apply_keeps_flows(const struct apply_job *j)
{
	uint32_t instance = label_instance(j->s->state.instance);

	for (unsigned i = 0; i < j->r->plan->n_routes; i++)
		if (j->r->plan->routes[i].in_kernel)
			return true;
	if (j->again && j->s->have->exists)
		return ruleset_keeps_flows(j->s->have);
	return conntrack_each(is_ours, &instance, NULL) != 0;
}

static bool is_asked_for(const struct apply_job *j)
{
	return j->r->kill || j->r->drain;
}

int apply_can_end_flows(struct apply_job *j)
{
	struct flows_wanted w = wanted(j);
	unsigned n;

	/* No route has a number yet: the count means nothing, that it can be had is enough. */
	w.instance = 0;
	return is_asked_for(j) ? flows_count(&w, &n, j->e) : 0;
}

static bool has_udp(const struct apply_job *j)
{
	bool udp = j->s->had_udp;

	for (unsigned i = 0; i < j->r->plan->n_cells && !udp; i++)
		udp = j->r->plan->cells[i].proto == IPPROTO_UDP;
	return udp;
}

static bool begins_nat(const struct apply_job *j)
{
	bool in_kernel = false;

	for (unsigned i = 0; i < j->r->plan->n_cells && !in_kernel; i++)
		in_kernel = j->r->plan->cells[i].proto == IPPROTO_TCP;
	return in_kernel && !ruleset_has_nat(j->s->have);
}

static int end_all(struct apply_job *j, bool committed, struct err *e)
{
	const struct flows_wanted w = wanted(j);
	int rc = 0;

	/* What goes past a route has no time to wait for: nothing leads it there. */
	if (j->r->drain && has_udp(j))
		rc = flows_end(&w, FLOWS_BYPASS, !committed, &j->out->flows_ended, e);
	if (j->r->drain && !rc) {
		apply_phase(j, "draining");
		rc = flows_drain(&w, j->r->drain_s, j->r->tick, e);
	}
	return rc ? rc : flows_end(&w, FLOWS_ALL, !committed, &j->out->flows_ended, e);
}

void apply_end_flows(struct apply_job *j, bool committed)
{
	const struct flows_wanted w = wanted(j);
	struct err e = { 0 };

	if (j->r->dry_run) {
		if (is_asked_for(j))
			flows_count(&w, &j->out->flows_ended, &e);
		return;
	}
	if (committed && begins_nat(j))
		flows_forget_dead(&w, &e);
	if (is_asked_for(j))
		end_all(j, committed, &e);
	else if (has_udp(j))
		flows_end(&w, FLOWS_UDP, !committed, &j->out->flows_ended, &e);
	if (e.code)
		log_warn("connections to former targets may go on: %s", e.msg);
}
