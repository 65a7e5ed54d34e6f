/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dns: single questions to name servers with c-ares, on a loop. No file is read,
 * also not when it starts (but for the seed of its query ids), and no socket is
 * open while nothing is asked. UDP, TCP where an answer was cut. All calls in the
 * loop's thread.
 */
#ifndef DATAPLANE_DNS_H
#define DATAPLANE_DNS_H

#include "ctl/base/addr.h"
#include "dataplane/loop.h"

#define DNS_ADDRESSES_MAX 256 /* of one answer; further ones are not looked at */

struct dns;

/* servers: "10.0.0.53", "10.0.0.53:5353", "fd00::53", "[fd00::53]:5353"; none at all is allowed.
 * -EINVAL: e names the one that is wrong. timeout_ms of the first try, doubled once all servers
 * were asked; tries: of each server. */
struct dns *dns_new(struct loop *l, const char *const *servers, unsigned n_servers,
		    unsigned timeout_ms, unsigned tries, struct err *e);
/* No question is answered any more. Not from within an answer. */
void dns_free(struct dns *d);

enum dns_result {
	DNS_FOUND,
	DNS_NONE,   /* for certain: no such name, or it has no such address */
	DNS_FAILED, /* nobody could say */
};

struct dns_answer {
	enum dns_result result;
	const char *why;      /* not FOUND: a short clause, static */
	const struct addr *v; /* FOUND: as they came */
	unsigned n;
	unsigned ttl_s; /* FOUND: the least of addresses and aliases on the way */
};

struct dns_ask;

/* Asks for exactly this name (no search list), family ADDR_V4 or ADDR_V6. `answered` is called
 * once, maybe before this returns; *ask is set before, and void from then on. -ENOMEM. */
int dns_ask(struct dns *d, const char *name, int family,
	    void (*answered)(void *arg, int family, const struct dns_answer *a), void *arg,
	    struct dns_ask **ask);
/* It is not answered any more. */
void dns_forget(struct dns_ask *ask);

#endif
