/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compile: from a plan to what the dataplane gets - the routing table (the
 * "load" object of dataplane/route.h) and the ports that it listens on. Pure: no
 * I/O, no look at the host; the same plan and ids give the same bytes.
 */
#ifndef CTL_CONTROL_COMPILE_H
#define CTL_CONTROL_COMPILE_H

#include <jansson.h>
#include <stdint.h>

#include "ctl/base/addr.h"
#include "ctl/base/err.h"

struct cfg_host;
struct cfg_target;
struct plan;
struct plan_route;

/* ADDR_NONE: every local address, of both families, by one socket. */
struct control_listener {
	struct addr address;
	uint16_t port;
};

/* What defaults.target is called where routes have names: in status, and for its id. */
#define CONTROL_DEFAULT_NAME "defaults.target"

struct control_options {
	uint32_t generation;
	const uint32_t *ids; /* route id of p->routes[i] */
	uint32_t default_id; /* of CONTROL_DEFAULT_NAME; used where the plan has a default target */
	/* Bounds of the process, 0 = none. */
	unsigned max_connections, max_undecided;
	uint64_t max_memory_bytes;
};

struct control_table {
	json_t *load; /* owned */
	struct control_listener *listeners;
	unsigned n_listeners;
};

/*
 * Fills *out. In the table are the routes of every port that user space listens
 * on, and kernel routes whose targets it has to follow: names, health checks (tier
 * "nftables", in no cell). 0, or a negative errno (e says why; *out is untouched).
 */
int control_compile(const struct plan *p, const struct control_options *o,
		    struct control_table *out, struct err *e);
void control_table_fini(struct control_table *t);

/* A host of a target, as the service has it: sorted by priority, high first, then as in the file.
 */
struct control_target {
	const struct cfg_target *target;
	const struct cfg_host *host;
	uint32_t tag;
};

/* Those of n targets, *n_out of them: new, free(). NULL: no memory. */
struct control_target *control_targets(const struct cfg_target *v, unsigned n, unsigned *n_out);

/* Does it need somebody who listens? */
bool control_needs_service(const struct plan *p);
/* Has a route of the kernel names or health checks, which only the service follows? */
bool control_would_use_service(const struct plan *p);

#endif
