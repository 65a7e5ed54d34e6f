/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * balance: which target a connection goes to, and which is next when that one
 * fails. No I/O; safe from every thread (positions and counts are atomic).
 *
 * Targets are tried in groups: the ones whose sub-match holds (best priority
 * first), then those without one; backups only when no other is left. Within a
 * group the algorithm chooses by weight among those that are up; when all are
 * down, among all of them (fail open, counted).
 */
#ifndef DATAPLANE_BALANCE_H
#define DATAPLANE_BALANCE_H

#include "dataplane/route.h"

#define BALANCE_TRIED_MAX 64 /* targets of a route that are told apart within one connection */

struct balance_ask {
	const struct route *route;
	struct addr client;
	uint16_t port;
	int64_t now_ms;	 /* CLOCK_MONOTONIC */
	uint64_t random; /* of the caller's generator */
	uint64_t tried;	 /* bit i: targets[i] has failed for this connection */
};

/* Index into route->targets, or -1: none is left. *failed_open: set when it was chosen though down.
 */
int balance_choose(const struct balance_ask *a, bool *failed_open);

/* Passive ejection: after EJECT_FAILURES connects in a row that failed, a target gets no new
 * connections for EJECT_BASE_MS, doubled each time up to EJECT_MAX_MS; a success forgets it. */
#define EJECT_FAILURES 3
#define EJECT_BASE_MS  2000
#define EJECT_MAX_MS   60000
void balance_failed(struct target_state *s, int64_t now_ms);
void balance_connected(struct target_state *s);
bool target_is_up(const struct target_state *s, int64_t now_ms);

#endif
