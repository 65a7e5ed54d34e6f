/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * balance: which target a connection goes to, and which is next when that one
 * fails. No I/O; safe from every thread (positions and counts are atomic).
 *
 * Targets are tried in groups: those whose sub-match holds, best priority first; then those
 * without one, best priority first; then backups, in the same order. The first group with a target
 * that is up and has a weight has the connection; the algorithm chooses among those of it that have
 * the client's address family (names and sockets have any), or among all where none has. When all
 * of all groups are down, the first group that is left has it (fail open, counted).
 */
#ifndef DATAPLANE_BALANCE_H
#define DATAPLANE_BALANCE_H

#include "dataplane/route.h"

#define BALANCE_TRIED_MAX 64 /* targets of a route that are told apart within one connection */

/* What stands for targets[i] in `tried`: above 64 targets several have the same bit, so that a
 * connection is tried at most 64 times. */
static inline uint64_t balance_tried_bit(int i)
{
	return UINT64_C(1) << ((unsigned)i % BALANCE_TRIED_MAX);
}

struct balance_ask {
	const struct route *route;
	struct addr client;
	uint16_t port;
	int64_t now_ms;	 /* CLOCK_MONOTONIC */
	uint64_t random; /* of the caller's generator */
	uint64_t tried;	 /* balance_tried_bit() of those that have failed for this connection */
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
