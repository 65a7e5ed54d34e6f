/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flows: connections of the kernel tier that a commit left behind, and their
 * end. One is stale when the routes would not make it any more: its route is
 * gone, does not take it any more, lets its client in no more, or has lost its
 * target. (Limits end nothing.) Established TCP may go on all the same; a UDP flow never ends by
 * itself as long as it talks, so without reconcile it would go to the old target for ever.
 */
#ifndef CTL_APPLY_FLOWS_H
#define CTL_APPLY_FLOWS_H

#include "ctl/host/conntrack.h"
#include "ctl/plan/plan.h"

/* What flows are measured by. ids[i]: route id of p->routes[i]; local: the host's addresses. */
struct flows_wanted {
	const struct plan *p;
	const uint32_t *ids;
	const struct addr_set *local;
	uint32_t instance;
};

/* True for a flow of this instance, TCP or UDP, that the routes would not make any more. */
bool flow_is_stale(const struct flows_wanted *w, const struct ct_flow *f);
/* True for a UDP flow to this host itself that is older than the route which now covers its
 * port: conntrack has it without NAT, so it goes past the route. */
bool flow_is_bypass(const struct flows_wanted *w, const struct ct_flow *f);

/* True for a TCP entry without NAT between a client and a port of this host that a route has now:
 * of a connection that began before there was NAT, or with somebody who had the port before.
 * *client and *local are the ends, whichever of them conntrack took for the client. */
struct flow_end {
	struct addr addr;
	uint16_t port;
};
bool flow_is_elder(const struct flows_wanted *w, const struct ct_flow *f, struct flow_end *client,
		   struct flow_end *local);

/* Each of them adds to *ended what it deleted. Only open connections are told and ended: what is
 * in TIME_WAIT or CLOSE goes by itself. */

enum flows_kind {
	FLOWS_BYPASS, /* what goes past a route */
	FLOWS_UDP,    /* that, and stale UDP flows: what every commit ends */
	FLOWS_ALL,    /* that, and stale TCP connections */
};

/* Looks twice, and then until a look finds nothing: what was being set up during the commit shows
 * up in the kernel's list a moment later. `once`: nothing was committed, one look is enough. */
int flows_end(const struct flows_wanted *w, enum flows_kind kind, bool once, unsigned *ended,
	      struct err *e);
/* For a commit with which NAT begins. What was just ending then has been taken by conntrack from
 * the middle, for a live connection, and would swallow the SYN of a new one between the same
 * ports: the entries of elders whose socket is gone are deleted. Looks again, while
 * some live, until a look finds none. */
int flows_forget_dead(const struct flows_wanted *w, struct err *e);
/* How many stale ones there are. */
int flows_count(const struct flows_wanted *w, unsigned *n, struct err *e);
/* Called about once a second while connections get their time, with seconds and connections left;
 * returning true ends the wait. */
typedef bool flows_tick(unsigned left_s, unsigned flows);
/* Waits until none is stale any more, at most so long. tick may be NULL. */
int flows_drain(const struct flows_wanted *w, unsigned drain_s, flows_tick *tick, struct err *e);

#endif
