/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * route: the routing table of a dataplane, compiled by the controller from its
 * plan and sent as JSON ("load" of wire.h). Immutable once built. A table holds
 * references to its routes, a connection holds one to its route: a route whose
 * compiled text is the same in the next generation is the same object, so no
 * apply touches its connections, its positions or its counters.
 *
 * {
 *  "type": "load", "generation": 12,
 *  "sets": [["10.0.0.0/8", "192.0.2.1-192.0.2.9", "fd00::/8"], …],   address lists, by index
 *  "trusted": 0,                  set of proxyIPs; absent: nobody
 *  "limits": {"connections": 10000, "undecided": 1000, "memory": bytes, "perAddress": 100,
 * "perMinute": 300}, "log": {"access": true, "format": "text"|"json", "level": "info"},
 *                                 log absent: nothing; its level is the controller's
 *  "routes": [{ "id": 3, "name": "web",      id: stable across generations, 1 …
 * 0xfffff "tier": "relay", "clients": set,              match.clientIp; absent: everybody
 *    "domains": ["*.example.test", "api.example.test"],   absent: any, and none
 *    "tlsVersions": ["TLSv1.2"],  absent: any
 *    "protocol": "tcp",           match.protocol; absent: any
 *    "allow": set, "block": set,  security; absent: everybody, nobody
 *    "maxConnections": 3, "maxConnectionsPerIP": 0, "connectionRate": 0,   0 = no limit
 *    "passthrough": true,         a TLS route: its client gets alerts
 *    "targets": [{"tag": 77, "kind": "address"|"name"|"unix"|"template", "host": "10.0.0.1",
 * "port": 443, "portKind": "fixed"|"preserve"|"offset", "weight": 1, "backup": false, "priority":
 * 0, "ports": [[443, 443]], "sendProxy": 2}], "balance":
 * "round-robin"|"random"|"least-connections"|"ip-hash"|"consistent-hash", "healthCheck":
 * {"interval": ms, "timeout": ms, "unhealthy": 3, "healthy": 2, "path": "/x",
 * "port": 443}, "sendProxy": 0|1|2,
 * "acceptProxy": true, "connectTimeout": ms, "initialDataTimeout": ms, "headTimeout": ms,
 * "serverFirstAfter": ms, "inactivityTimeout": ms, "maxLifetime": ms,            0 = never
 *    "keepAlive": true, "keepAliveDelay": ms, "noDelay": true
 *  }, …],
 *  "cells": [{"address": "10.0.0.1", "from": 443, "to": 443, "routes": [2, 0]}, …],
 *                                 address absent: all that have no cell of their own for that port;
 * routes: indexes into "routes", best first "default": index               the route of
 * defaults.target; absent: none. It is the last of every cell
 * }
 */
#ifndef DATAPLANE_ROUTE_H
#define DATAPLANE_ROUTE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>

#include "ctl/base/addr.h"
#include "ctl/base/err.h"

enum route_tier { ROUTE_KERNEL, ROUTE_RELAY, ROUTE_PROXY };
enum route_balance {
	BALANCE_ROUND_ROBIN,
	BALANCE_RANDOM,
	BALANCE_LEAST_CONNECTIONS,
	BALANCE_IP_HASH,
	BALANCE_CONSISTENT_HASH
};
enum target_kind { TARGET_ADDRESS, TARGET_NAME, TARGET_UNIX, TARGET_TEMPLATE };
enum target_port_kind { TARGET_PORT_FIXED, TARGET_PORT_PRESERVE, TARGET_PORT_OFFSET };

/* What a target has become: shared by every generation that has it, and by all threads. */
struct target_state {
	atomic_bool down;	       /* by active checks */
	atomic_llong ejected_until_ms; /* passive: CLOCK_MONOTONIC; 0 = not */
	atomic_uint failures;	       /* connects that failed, in a row */
	atomic_uint active;	       /* connections, connecting ones included */
	atomic_ullong total, failed, bytes_up, bytes_down;
};

struct route_target {
	uint32_t tag; /* the same for the same target in every generation; never 0 */
	enum target_kind kind;
	const char *host; /* text; a path for TARGET_UNIX */
	struct addr addr; /* TARGET_ADDRESS */
	enum target_port_kind port_kind;
	int port;
	unsigned weight; /* 0: no new connections */
	bool backup;
	int priority;
	struct {
		uint16_t from, to;
	} * ports; /* sub-match; n_ports 0 = any */
	unsigned n_ports;
	int send_proxy; /* 0, 1, 2 */
	struct target_state *state;
};

/* Why a connection ended or was refused: DESIGN's closed list, in the order of the names. */
enum reason {
	REASON_NONE, /* in order */
	REASON_ROUTE_IP_BLOCKED,
	REASON_IP_LIMIT,
	REASON_ROUTE_LIMIT,
	REASON_RATE_LIMIT,
	REASON_GLOBAL_LIMIT,
	REASON_NO_ROUTE,
	REASON_NO_TARGET,
	REASON_CONNECT_FAILED,
	REASON_CONNECT_TIMEOUT,
	REASON_CLOSED_BEFORE_DATA,
	REASON_INITIAL_TIMEOUT,
	REASON_INACTIVITY,
	REASON_MAX_LIFETIME,
	REASON_BAD_HELLO,
	REASON_BAD_PROXY_HEADER,
	REASON_BAD_REQUEST,
	REASON_DRAINED,
	REASON_KILLED,
	N_REASONS
};
const char *reason_name(enum reason r); /* "" for REASON_NONE */

/* Counted per route id, beyond its tables; shared by all threads. */
struct route_stats {
	uint32_t id;
	atomic_uint active; /* exact at all times */
	atomic_ullong total, bytes_up, bytes_down;
	atomic_ullong refused[N_REASONS];
	atomic_ullong moved_by_copy, moved_by_splice; /* connections */
	atomic_ullong failed_open; /* all targets were down: one was tried all the same */
};

struct route {
	atomic_uint refs;
	uint32_t id;
	const char *name;
	enum route_tier tier;
	const struct addr_set *clients, *allow, *block; /* NULL: see above; sealed */
	const char **domains;
	unsigned n_domains;
	uint16_t *tls_versions; /* wire values: 0x0303, 0x0304 */
	unsigned n_tls_versions;
	bool tcp_only;	  /* match.protocol "tcp": not what begins like HTTP */
	bool passthrough; /* TLS by its file */
	unsigned max_connections, max_connections_per_ip, connection_rate_per_minute;
	struct route_target *targets; /* by priority, high first, then file order */
	unsigned n_targets;
	enum route_balance balance;
	struct route_health *health; /* or NULL */
	bool accept_proxy;
	unsigned connect_timeout_ms, initial_data_timeout_ms, head_timeout_ms,
		server_first_after_ms;
	unsigned inactivity_timeout_ms, max_lifetime_ms;
	bool keep_alive, no_delay;
	unsigned keep_alive_delay_ms;
	/* Of round robin, one for all threads, so it is exact; each group has its own: that of its
	 * first target. As many as there are targets. */
	atomic_ullong *positions;
	struct route_stats *stats;
	uint64_t text_hash; /* of its compiled text, to find the same again */
	const char *text;
};

struct route_health {
	unsigned interval_ms, timeout_ms, unhealthy_threshold, healthy_threshold;
	const char *path; /* HTTP; NULL: a TCP connect */
	/* The port that the route matches, where it is one: for targets whose port follows it. 0:
	 * several
	 */
	unsigned port;
};

struct route_cell;  /* route_index.c's */
struct route_index; /* route_index.c's: what routes of a cell a name leads to */
struct route_set;   /* route.c's: an addr_set with references, shared by routes and tables */

struct route_table {
	atomic_uint refs;
	uint32_t generation;
	struct route **routes;
	unsigned n_routes;
	struct route_cell *cells;
	bool by_address; /* some cell is of one address */
	unsigned n_cells;
	struct route *fallback;		/* of defaults.target, or NULL */
	const struct addr_set *trusted; /* proxyIPs, or NULL */
	const char **names;		/* distinct target names, sorted by strcmp */
	unsigned n_names;
	struct route_set **sets, *trusted_set;
	unsigned n_sets;
	struct route_index *index;
	unsigned max_connections, max_undecided; /* 0 = no bound */
	uint64_t max_memory_bytes;
	bool log_access, log_json;		  /* a line for each connection that ends */
	unsigned max_per_address, max_per_minute; /* of addresses announced by PROXY; 0 = off */
};

/* Keeps what belongs to a route id or a target beyond one table. One per process. */
struct route_registry;
struct route_registry *route_registry_new(void);
void route_registry_free(struct route_registry *g);
struct route_stats *route_registry_stats(struct route_registry *g, uint32_t id);
struct target_state *route_registry_target(struct route_registry *g, uint32_t id, uint32_t tag);
size_t route_registry_count(const struct route_registry *g); /* of both, remembered ones too */

/*
 * A new table with one reference, from what the controller sent (borrowed). Routes that `before`
 * (may be NULL) has with the same text are the same objects. NULL: e says what is wrong with it;
 * *route: index of the route to blame, or -1.
 */
struct route_table *route_table_load(const json_t *load, const struct route_table *before,
				     struct route_registry *g, int *route, struct err *e);
struct route_table *route_table_ref(struct route_table *t);
void route_table_unref(struct route_table *t);
struct route *route_ref(struct route *r);
void route_unref(struct route *r);

/* ---- matching ---- */

/* What is known of a connection so far. */
enum match_protocol {
	MATCH_UNKNOWN, /* bytes may still tell */
	MATCH_TLS,
	MATCH_HTTP,
	MATCH_OTHER, /* neither; also: silent for so long that it does not matter */
};

struct match_facts {
	struct addr local, client;
	uint16_t port;
	enum match_protocol protocol;
	bool have_hello;      /* MATCH_TLS: the hello is whole; name and version are known */
	const char *name;     /* lower case; NULL or "" = none */
	uint16_t tls_version; /* highest offered */
};

enum match_answer { MATCH_NO, MATCH_YES, MATCH_MORE };

struct match {
	enum match_answer answer;
	struct route *route; /* MATCH_YES; borrowed from the table */
	/* MATCH_MORE: the best route that would match were no more bytes to come (a client that is
	 * silent gets it after server_first_after_ms), or NULL. */
	struct route *silent;
	/* MATCH_MORE, and MATCH_NO: some route there wants TLS (its clients get alerts). */
	bool tls;
};

/* A better route that could still match keeps every worse one from being chosen. Cost: one lookup
 * for the cell, one per label of the name, then the patterns that could match. */
struct match route_table_match(const struct route_table *t, const struct match_facts *f);
/* By block and allow list. */
bool route_lets_in(const struct route *r, const struct addr *client);
/* The timeouts of who has not been routed yet: of the cell's best route; NULL: no such cell. */
const struct route *route_table_first(const struct route_table *t, const struct addr *local,
				      uint16_t port);

#endif
