/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan: what each route becomes. plan_build() is a pure function of the config
 * and the facts: no I/O, no root. Everything else - ruleset, plan and explain
 * output, status - consumes it.
 *
 * The unit is the cell: one (local address or wildcard, protocol, run of ports)
 * over which the same routes compete, in the same order. Each cell cuts the
 * client addresses of a family into disjoint intervals and says who wins each.
 */
#ifndef CTL_PLAN_PLAN_H
#define CTL_PLAN_PLAN_H

#include "ctl/config/config.h"
#include "ctl/host/resolve.h"
#include "ctl/host/target_down.h"

struct host_facts;
struct host_listener;
struct doc;

struct plan_facts {
	const struct host_facts *host;	   /* NULL = unknown: nothing is local, nothing listens */
	const struct resolved_name *names; /* target names of the config */
	unsigned n_names;
	const struct target_down *down; /* sorted by route and tag */
	unsigned n_down;
	bool have_relay, have_proxy; /* tiers that this build can run */
};

/* One address that a route's connections may go to (a host of a target). */
struct plan_target {
	struct addr addr;
	const struct cfg_target *target;
	const struct cfg_host *host;
	unsigned weight;
	/* Names it in a flow's label: never 0, the same for the same address and port in every
	 * plan, and another for every other target of the route. */
	uint32_t tag;
	bool local;    /* an address of this host */
	bool loopback; /* 127/8 or ::1 */
	bool redirect; /* local, and what listens there takes any local address */
	bool down;     /* its health checks say so */
};

/* Ports of a kernel route that user space has: another route, before it, needs the first bytes. */
struct plan_behind {
	struct plan_behind *next, *prev;
	const struct plan_cell *cell; /* the last one of these ports */
	struct addr address;	      /* as in plan_cell */
	uint8_t proto;
	uint16_t from, to;
	/* Of the highest tier, and of those the best; NULL = the peers in proxyIPs. */
	const struct plan_route *before;
	bool partly; /* for some clients: for others the kernel serves it there */
};

#define PLAN_BEHIND_KEPT 16 /* entries per route */

struct plan_route {
	const struct cfg_route *route;
	/* The protocols this entry stands for: a `transport: all` route whose TCP half needs user
	 * space has two entries, TCP first. */
	enum cfg_transport transport;
	enum tier own_tier; /* what its own keys ask for */
	/* Where it is served: its own tier, or that of a route before it which leaves the kernel
	 * nothing of it. */
	enum tier tier;
	const char *reason;    /* why this tier, one clause */
	struct loc reason_loc; /* the key that decided it, or the route */
	const char *refusal;   /* why this build cannot run it, one clause; NULL = it can */
	struct loc refusal_loc;
	bool refusal_follows; /* from that of another route, which is the one to tell */
	bool decides_early;   /* matched by port, protocol and client address alone */
	bool preserve_source;
	bool reached;			/* wins something in some cell */
	bool in_kernel;			/* wins something there in the kernel */
	const struct plan_cell *won_in; /* the last where it does */
	/* By address, protocol, port. With in_kernel it is served by the kernel but there. */
	struct plan_behind *behind, *behind_last;
	unsigned n_behind;
	bool behind_more;		/* than PLAN_BEHIND_KEPT */
	const struct plan_route *front; /* the `before` of the highest tier, and where */
	const struct plan_cell *front_cell;
	/* A better-ranked route that has connections which it would have had, and where; of the
	 * kernel if there is one. NULL = none. */
	const struct plan_route *taker;
	const struct plan_cell *taken_in;
	struct plan_target *targets; /* kernel targets only: the group of highest priority */
	unsigned n_targets;
	bool v4, v6;	     /* families it serves in the kernel */
	unsigned rank;	     /* position in the order over all routes: lower is tried first */
	unsigned rank_class; /* equal for routes that only file order tells apart */
};

/* Who gets the connections of one client interval. */
struct plan_interval {
	struct addr_range clients;
	const struct plan_route *winner; /* a kernel route */
};

struct plan_family {
	struct plan_interval *v; /* disjoint, sorted; gaps have no kernel winner */
	unsigned n;
	const struct plan_route
		*all; /* set when one kernel route takes every client; n is 0 then */
};

struct plan_cell {
	struct addr address; /* ADDR_NONE = every local address that has no cell of its own here */
	uint8_t proto;	     /* IPPROTO_TCP, IPPROTO_UDP */
	uint16_t from, to;   /* ports, both included */
	struct plan_route **order; /* all competitors, best first */
	unsigned n_order;
	struct plan_family v4, v6;
	bool user; /* TCP, and some of its connections are for user space */
};

/* A TCP port that user space has to listen on. */
struct plan_listener {
	struct addr address; /* ADDR_NONE = all, of both families */
	uint16_t port;
};

/* More ports than that are not listened on: each has a socket for every worker. */
#define PLAN_MAX_LISTENERS 4096

struct plan {
	struct arena arena;
	const struct config *config;
	struct plan_route *routes; /* enabled ones, in file order; see plan_route.transport */
	unsigned n_routes;
	unsigned n_enabled;	 /* routes of the file that they come from */
	struct plan_cell *cells; /* sorted by address (all addresses first), proto, from */
	unsigned n_cells, cap_cells;
	bool needs_forward_v4, needs_forward_v6, needs_route_localnet;
	/* Sorted by address (all addresses first) and port. A port of all addresses has none
	 * besides it: the socket gets what comes to each of them. */
	struct plan_listener *listeners;
	unsigned n_listeners;
	bool have_relay, have_proxy;
	unsigned refused; /* routes with a refusal */
	struct doc *doc;  /* the file again, for the paths of errors; NULL until there is one */
};

/* Bounds the competitors of all cells together: overlapping ranges multiply. */
#define PLAN_MAX_COMPETITORS (8u << 20)

/* NULL when there is an error (in diags) or no memory. The config and facts are borrowed. */
struct plan *plan_build(const struct config *c, const struct plan_facts *f, struct diags *d);
/* The same of what is to become live: where addresses of this host make a fault of it, that is an
 * error as well. What is live has to be read whatever addresses came since. */
struct plan *plan_build_new(const struct config *c, const struct plan_facts *f, struct diags *d);
void plan_free(struct plan *p);
/* One error for each route that asks for what this build cannot run: what apply says. Those that
 * are only behind such a route are not told: they run as soon as it is gone. */
void plan_report_refusals(struct plan *p, struct diags *d);

/* One connection as the kernel tier sees it. */
struct plan_conn {
	struct addr local; /* where it arrives */
	uint8_t proto;
	uint16_t port;
	struct addr client;
};

const struct plan_cell *plan_find_cell(const struct plan *p, const struct plan_conn *c);
/* The kernel route that takes it, or NULL (user space, nobody). */
const struct plan_route *plan_find_kernel(const struct plan *p, const struct plan_conn *c);
/* By ipBlockList and ipAllowList of the route; its limits are another matter. */
bool plan_lets_in(const struct plan_route *r, const struct addr *client);

/* How the connections that a route gets are served, for those who ask about one. */
struct plan_service {
	enum tier tier;
	bool runs; /* this build has that tier, and it listens there */
	char reason[400];
};

/* From competitor number `order` of a cell on, user space decides: that one, `route`, is not the
 * kernel's. order = n_order: nobody; route NULL otherwise: the client is one of proxyIPs. */
struct plan_border {
	unsigned order;
	const struct plan_route *route;
};

/* client ADDR_NONE = not known: what holds for every client. */
struct plan_border plan_find_border(const struct plan *p, const struct plan_cell *cell,
				    const struct addr *client);
/* Of competitor number i; c may lack its addresses. */
void plan_serve(const struct plan *p, const struct plan_cell *cell, unsigned i,
		const struct plan_border *b, const struct plan_conn *c, struct plan_service *out);

#define PLAN_PORTS_TEXT (ADDR_TEXT + 24)
/* "tcp/443", "10.1.0.1 udp/53-60". Returns out. */
const char *plan_ports_text(const struct plan_behind *b, char out[PLAN_PORTS_TEXT]);

/* The port of target t for a connection to `port`; 0 when the offset leaves 1..65535. */
uint16_t plan_target_port(const struct plan_target *t, uint16_t port);
/* Is it a target of its own port's route? Then it is still reached, through the route. */
bool plan_leads_to(const struct plan_route *r, const struct host_listener *l);
/* What makes a target the same in every plan, and the tags of n such keys: equal ones for equal
 * keys, others for others, never 0. 0 or -ENOMEM. */
uint64_t plan_target_key(const struct cfg_target *t, const struct addr *a);
int plan_tag_keys(const uint64_t *keys, unsigned n, uint32_t *tags);
/* The same of what stands in the file: one host of a target, addresses being what they are as
 * kernel targets, too. tags: new, one for each host, in the order of the file. 0 or -ENOMEM. */
uint64_t plan_host_key(const struct cfg_target *t, const struct cfg_host *h);
int plan_host_tags(const struct cfg_action *a, uint32_t **tags, unsigned *n);
/* Do new connections go there? Not to one that is down, unless all of its family are. */
bool plan_target_serves(const struct plan_route *r, const struct plan_target *t);
/* Kernel targets of that family: there are some, and all are down. */
bool plan_fails_open(const struct plan_route *r, int family);
/* Competitors of a cell that can have connections: what stands behind one that takes whoever comes
 * has none. */
unsigned plan_count_reachable(const struct plan_cell *cell);
/* Does a connection there begin with a PROXY header where its peer is in proxyIPs? */
bool plan_cell_accepts(const struct plan *p, const struct plan_cell *cell);
/* Of a cell with `user`: on whose behalf user space listens, as long as no connection has said
 * more. The best of its routes that are not the kernel's; where none is, the best. */
const struct plan_route *plan_user_route(const struct plan_cell *cell);
/* Targets of one family in r. */
unsigned plan_count_targets(const struct plan_route *r, int family);

#endif
