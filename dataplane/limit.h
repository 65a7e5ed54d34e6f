/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limit: what the kernel cannot count - connections of addresses that PROXY
 * headers announce, connections of a route that only its first bytes decide, and
 * the bounds of the whole process. One for all threads: each question is one
 * short critical section of one of LIMIT_SHARDS tables, or an atomic.
 *
 * A client is one IPv4 address, or the /64 of an IPv6 one. Tables are bounded:
 * a full one lets in and counts it (a flood of forged sources must not lock
 * everybody out); what holds no connection and has its tokens back goes first.
 */
#ifndef DATAPLANE_LIMIT_H
#define DATAPLANE_LIMIT_H

#include "dataplane/route.h"

#define LIMIT_SHARDS	  64
#define LIMIT_CLIENTS_MAX 262144 /* of one table */

struct limits;
struct limits *limits_new(struct err *e);
void limits_free(struct limits *l);

/* What a connection holds; zeroed, ended with limits_release(). */
struct limit_hold {
	struct addr client;
	uint32_t route;
	bool per_client, per_route, per_route_client;
};

/* Over all routes: `at_once` connections, `per_minute` a minute as a token bucket (N at once, then
 * one every 60/N s); 0 = off. REASON_NONE, REASON_IP_LIMIT or REASON_RATE_LIMIT; nothing is held
 * then. */
enum reason limits_take_client(struct limits *l, struct limit_hold *h, const struct addr *client,
			       unsigned at_once, unsigned per_minute, int64_t now_ms);
/* Of one route, by its id. `client` only where the kernel has not counted it. */
enum reason limits_take_route(struct limits *l, struct limit_hold *h, const struct route *r,
			      const struct addr *client, int64_t now_ms);
void limits_release(struct limits *l, struct limit_hold *h);

/* The whole process. false: the bound is reached. */
bool limits_take_connection(struct limits *l, unsigned max);
void limits_drop_connection(struct limits *l);
unsigned limits_connections(const struct limits *l);
/* Times a full table let in. */
uint64_t limits_overflowed(const struct limits *l);

#endif
