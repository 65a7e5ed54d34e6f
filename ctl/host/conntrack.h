/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conntrack: the kernel's flow table. Our flows
 * are those whose ct label has the route id in word 0 (see ruleset_compile.h).
 */
#ifndef CTL_HOST_CONNTRACK_H
#define CTL_HOST_CONNTRACK_H

#include <stdint.h>

#include "ctl/base/addr.h"

struct ct_flow {
	uint32_t id;	   /* route id: label word 0 */
	uint32_t flags;	   /* label word 1 */
	uint32_t instance; /* label word 2: which spctl made it */
	uint32_t tag;	   /* label word 3: which target */
	uint32_t ct_id;	   /* the kernel's id of the entry */
	uint8_t proto;
	uint16_t zone;
	uint8_t tcp_state;		   /* the kernel's number; 0 for UDP */
	bool closed;			   /* TCP in TIME_WAIT or CLOSE */
	bool answered, assured;		   /* packets came back; it is no one-shot exchange */
	bool counted;			   /* nf_conntrack_acct was on when it began */
	struct addr client, local, target; /* original source, original destination, reply source */
	struct addr seen;		   /* reply destination: whom the target sees */
	uint16_t client_port, local_port, target_port, seen_port;
	uint32_t expires_s;	      /* until the entry goes, if nothing comes */
	int64_t start_ms;	      /* wall clock; 0 = nf_conntrack_timestamp was off */
	uint64_t bytes_in, bytes_out; /* original / reply direction; 0 where not counted */
	uint64_t packets_in, packets_out;
};

/* "ESTABLISHED", "TIME_WAIT"; of a UDP flow "UNREPLIED", "REPLIED" or "ASSURED". */
const char *conntrack_state_name(const struct ct_flow *f);

/* How full the table of this namespace is; the limit is one for all of the host. */
struct conntrack_room {
	unsigned long used, max; /* entries, also those of others */
	bool nearly_full;	 /* four fifths: what is new will soon be dropped */
};
/* False where connection tracking is not in use. */
bool conntrack_room(struct conntrack_room *out);

/* Calls fn for each of our flows; fn returns 0 to go on, else its value is returned. */
int conntrack_each(int (*fn)(const struct ct_flow *f, void *arg), void *arg, struct err *e);
/* Deletes our flows (all, or those for which want() is true); *n counts them. Nothing else is
 * touched. */
int conntrack_delete(bool (*want)(const struct ct_flow *f, void *arg), void *arg, unsigned *n,
		     struct err *e);

/* The same among all TCP and UDP flows, those of others (id 0) too: want() must be exact. */
int conntrack_delete_any(bool (*want)(const struct ct_flow *f, void *arg), void *arg, unsigned *n,
			 struct err *e);

#endif
