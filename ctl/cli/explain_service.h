/* SPDX-License-Identifier: GPL-2.0-or-later */
/* explain_service: what the service would do with a connection of a route, in words, from the very
 * table that it gets. Pure. */
#ifndef CTL_CLI_EXPLAIN_SERVICE_H
#define CTL_CLI_EXPLAIN_SERVICE_H

#include <jansson.h>

#include "ctl/base/buf.h"
#include "ctl/plan/plan.h"

/* The route as the dataplane has it (dataplane/route.h), without what numbers something there. New;
 * NULL: it is not sent there, or no memory. */
json_t *explain_service_json(const struct plan *p, const struct plan_route *r);
/* Of that: lines, each with its newline; reads_first: some route there needs the first bytes. */
void explain_service_text(struct buf *b, const json_t *service, bool reads_first);

#endif
