/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conn_list: the connections of all tiers, each once. Pure. */
#ifndef CTL_CLI_CONN_LIST_H
#define CTL_CLI_CONN_LIST_H

#include <jansson.h>

#include "ctl/cli/conn_text.h"

struct conn {
	/* Of the kernel's; of the service's, what there is: ends, bytes, and when it began. */
	struct ct_flow flow;
	const char *route;	  /* borrowed; NULL = nobody knows */
	bool gone;		  /* the route */
	struct conn_relay *relay; /* owned; NULL: the kernel's */
};

struct conn_list {
	struct conn *v;
	size_t n, cap;
};

/* 0 or -ENOMEM. */
int conn_list_add_flow(struct conn_list *l, const struct ct_flow *f, const char *route, bool gone);
/* c: one of the service's "conns" (dataplane/dataplane_query.c); what is broken is left out. */
int conn_list_add_relay(struct conn_list *l, const json_t *c, const char *route, bool gone,
			int64_t now_ms);
/* Without the kernel's entries of connections that the service has; then by route (nameless ones
 * last), protocol, client, local: the same order at every look. */
void conn_list_settle(struct conn_list *l);
void conn_list_fini(struct conn_list *l);

#endif
