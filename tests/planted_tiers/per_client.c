/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spctl whose dataplane lets in one connection more than maxConnectionsPerIP of a route. */
#include "dataplane/conn.h"

static enum reason planted_take(struct limits *l, struct limit_hold *h, const struct route *r,
				const struct addr *client, int64_t now_ms)
{
	struct route more = { .id = r->id,
			      .max_connections = r->max_connections,
			      .max_connections_per_ip =
				      r->max_connections_per_ip ? r->max_connections_per_ip + 1 : 0,
			      .connection_rate_per_minute = r->connection_rate_per_minute };

	return limits_take_route(l, h, &more, client, now_ms);
}

#define limits_take_route planted_take
#include "dataplane/conn.c" /* takes the place of the library's */
