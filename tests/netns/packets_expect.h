/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What has to become of one connection, said twice: by the slow matcher from the
 * config alone, and by the plan.
 */
#ifndef TESTS_NETNS_PACKETS_EXPECT_H
#define TESTS_NETNS_PACKETS_EXPECT_H

#include "ctl/plan/plan.h"
#include "tests/netns/packets_lab.h"

#define EXPECT_TARGETS 16

struct expect_target {
	struct addr addr;
	uint16_t port;
	unsigned weight;
};

struct expected {
	const struct cfg_route *route; /* NULL: the gateway itself has it */
	bool refused;		       /* by the route's lists */
	bool keeps_source;
	bool alone; /* one target in the family: 127.0.0.1 may mean "redirect" then */
	struct expect_target targets[EXPECT_TARGETS]; /* any of them; each once */
	unsigned n_targets;
};

struct conn {
	const struct lab_client *client;
	struct plan_conn at;
};

void expect_by_matcher(const struct config *c, const struct conn *conn, struct expected *out);
/* Whom a connection of one's own can go to whatever its family: where the above has no target. */
void expect_other_family(const struct config *c, const struct conn *conn, struct expected *out);
void expect_by_plan(const struct plan *p, const struct conn *conn, struct expected *out);
/* Where the plan hashes clients, only the one target that this client gets is left. */
void expect_one_by_hash(const struct plan *p, const struct conn *conn, struct expected *x);
bool expected_equal(const struct expected *a, const struct expected *b);
/* Which target the seen one is; n_targets = none. */
unsigned expected_index(const struct expected *x, const struct lab_seen *s);
/* Does the packet's answer agree? */
bool expected_is_seen(const struct lab *l, const struct conn *conn, const struct expected *x,
		      const struct lab_seen *s);
/* The gateway's address towards `to`; ADDR_NONE for 127.0.0.1 and ::1. */
struct addr gateway_towards(const struct addr *to);
bool is_gateway(const struct addr *a);
void expected_print(const char *who, const struct expected *x);
void seen_print(const struct lab_seen *s);

#endif
