/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * health: active checks of targets on a loop. Each target that some route of the
 * table checks has its own clock, spread over the interval. A check is a connect (TCP, unix), or
 * with a path an HTTP/1.1 GET that has to be answered with 2xx or 3xx; both
 * within `timeout`: a target that accepts and never answers is found by the
 * latter. `unhealthy` failures in a row take it down, `healthy` successes up
 * again. The result is target_state.down, and a call. A check that this host has nothing left for
 * (descriptors, ports, memory, a place in a unix socket's queue) counts as none.
 *
 * A check needs one port: of a target whose port follows the client's ("preserve",
 * an offset) it is the only port of its sub-match, or route_health.port; where
 * there is neither, and for templates, there is no check. A name is up when one of its addresses
 * is (the first 8 are tried, within one timeout). Who is not checked is up.
 */
#ifndef DATAPLANE_HEALTH_H
#define DATAPLANE_HEALTH_H

#include "dataplane/loop.h"
#include "dataplane/route.h"

#define HEALTH_RUNNING_MAX 512 /* checks at a time */

struct health;

/* changed: in the loop's thread, may call anything here; why: a clause, e.g. "connect: Connection
 * refused", borrowed. resolve: the
 * present addresses of a name of the table; returns how many. */
struct health *health_new(struct loop *l,
			  void (*changed)(void *arg, uint32_t route, uint32_t tag, bool up,
					  const char *why),
			  unsigned (*resolve)(void *arg, const char *name, struct addr *out,
					      unsigned cap),
			  void *arg, struct err *e);
void health_free(struct health *h);
/* At most so many at a time from now on: 1 to HEALTH_RUNNING_MAX. */
void health_bound(struct health *h, unsigned running_max);
/* How many descriptors checks have at most, with the present table. */
unsigned health_descriptors(const struct health *h);
/* Checks what t has from now on (keeps a reference); targets of before go on where they were; those
 * that left are forgotten, and up. -ENOMEM: as it was. */
int health_follow(struct health *h, struct route_table *t);
/* Is down already, as somebody found who watched it before: it has to earn its way back. Not one
 * that is not checked; `changed` is not called. */
void health_set_down(struct health *h, uint32_t route, uint32_t tag);

#endif
