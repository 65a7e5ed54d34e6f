/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lookup: addresses of names that clients choose (templates), asked when somebody
 * wants to connect to one. Everything is bounded, whatever names come: a name is kept for its TTL
 * (5 s … 5 min), that it has none for 5 s; the one that was not wanted for longest
 * goes first. Asked exactly as it is, without a search list; /etc/hosts,
 * "localhost" and what is believed as in names.h. All calls in the loop's thread.
 */
#ifndef DATAPLANE_LOOKUP_H
#define DATAPLANE_LOOKUP_H

#include "ctl/base/addr.h"
#include "dataplane/loop.h"

#define LOOKUP_NAMES_MAX     4096
#define LOOKUP_ASKED_MAX     256 /* names at a time; one more is answered with nothing at once */
#define LOOKUP_NONE_MS	     5000
#define LOOKUP_ADDRESSES_MAX 16 /* of one name, at most half of each family */
#define LOOKUP_NAME_BYTES    256

struct lookup;
struct names_config;

/* The same servers and hosts as the names that are followed; search and retries are not looked at.
 * 0 for names_max and asked_max: those above. */
struct lookup *lookup_new(struct loop *l, const struct names_config *c, unsigned names_max,
			  unsigned asked_max, struct err *e);
/* Who still waits is not answered, and not touched any more. */
void lookup_free(struct lookup *l);

/* Other servers and hosts from now on: who waits goes on waiting, and nothing is believed any
 * longer than until it is asked anew. On an error all is as it was. */
int lookup_configure(struct lookup *l, const struct names_config *c, struct err *e);

struct lookup_ask {
	struct lookup_ask *next, **prev; /* prev NULL: does not wait */
	/* Last, and once; maybe before lookup_ask() returns. Must not call anything here. */
	void (*answered)(struct lookup_ask *a);
	char name[LOOKUP_NAME_BYTES];
	struct addr v[LOOKUP_ADDRESSES_MAX];
	unsigned n; /* 0: it has none, or nobody could say, or too many were asked */
};

/* The ask stays the caller's, and in its place, until it is answered or forgotten. */
void lookup_ask(struct lookup *l, struct lookup_ask *a);
/* Does nothing where it does not wait. */
void lookup_forget(struct lookup_ask *a);

struct lookup_counts {
	unsigned names, asked; /* kept; of those, being asked */
	uint64_t refused;      /* too many were asked */
};
struct lookup_counts lookup_counts(const struct lookup *l);

#endif
