/* SPDX-License-Identifier: GPL-2.0-or-later */
/* describe: routes in words, the same in every command's output. */
#ifndef CTL_CLI_DESCRIBE_H
#define CTL_CLI_DESCRIBE_H

#include <jansson.h>

#include "ctl/base/buf.h"
#include "ctl/plan/plan.h"

/* "tcp/9000", "udp/53", "10.0.0.1 tcp+udp/9100-9109,9120" */
void describe_listens(struct buf *b, const struct plan_route *r);
/* "10.0.0.2:7000", "10.0.0.2, 10.0.0.3 (same port)"; a handler's name for other actions */
void describe_targets(struct buf *b, const struct plan_route *r);
/* One of them: "10.0.0.2:7000*3" */
void describe_target(struct buf *b, const struct plan_target *t);
/* One as the file has it: "db.test:5432*3", "unix:/run/x" */
void describe_host(struct buf *b, const struct cfg_target *t, const struct cfg_host *h);
/* Fingerprints of long address lists, made once each. Starts zeroed; lives no longer than they. */
struct list_prints {
	struct {
		const struct addr_set *list;
		uint32_t print;
	} v[8];
	unsigned next;
};
/* Everything that makes two versions of a route differ for its users, in one line. */
void describe_behaviour(struct buf *b, const struct plan_route *r, struct list_prints *prints);
/* "allow 3, block 2, 5 at once, 2/client, 40/min, 10 Mbit/s". With prints short lists are written
 * out, and long ones have a fingerprint: two different ones do not read alike. */
void describe_security(struct buf *b, const struct plan_route *r, struct list_prints *prints);
/* What each client may do over all routes: "100/client (default), 300/min (default)", "none". */
void describe_limits(struct buf *b, const struct config *c);
bool describe_limits_differ(const struct config *a, const struct config *b);
/* What the operator should know besides: "IPv4 only", "keeps the client's address", ... */
void describe_notes(struct buf *b, const struct plan_route *r);
/* "tcp/443, tcp/8443: route \"api\" before it needs the first bytes": b and what follows it with
 * the same cause. Returns the rest. */
const struct plan_behind *describe_behind(struct buf *out, const struct plan_behind *b);
const char *describe_algorithm(enum cfg_algorithm a);
const char *describe_proto(uint8_t proto);

json_t *describe_listeners_json(const struct plan_route *r);
json_t *describe_targets_json(const struct plan_route *r);
/* One of them: as the kernel has it, or (NULL) as the file has. */
json_t *describe_target_json(const struct cfg_target *t, const struct cfg_host *h,
			     const struct plan_target *kernel);
json_t *describe_security_json(const struct plan_route *r);
json_t *describe_limits_json(const struct config *c);
json_t *describe_behind_json(const struct plan_route *r);
json_t *describe_warnings_json(const struct diags *d);
/* {"errors":[{...}]} */
json_t *describe_errors_json(const struct diags *d);
/* Prints and frees; one object, one line at the end. */
void describe_print_json(json_t *j);

#endif
