/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * names: the addresses behind target names, followed by TTL (floor 5 s, ceiling
 * 5 min) with c-ares on a loop. The last good answer is kept while there is no
 * new one; a name that never had one is asked again with growing pauses. "localhost"
 * and what /etc/hosts says is never asked. nobody else's word is
 * taken for an address of loopback, or one of addr_is_nowhere().
 */
#ifndef DATAPLANE_NAMES_H
#define DATAPLANE_NAMES_H

#include "ctl/base/addr.h"
#include "dataplane/loop.h"

#define NAMES_TTL_MIN_MS    (5 * 1000)
#define NAMES_TTL_MAX_MS    (300 * 1000)
#define NAMES_RETRY_MIN_MS  (1 * 1000)
#define NAMES_RETRY_MAX_MS  (60 * 1000)
#define NAMES_ADDRESSES_MAX 64	/* of one name, A and AAAA together: the lowest stay */
#define NAMES_ASKED_MAX	    128 /* at a time; the others wait */

struct names;

struct names_config {
	/* "10.0.0.53", "[fd00::53]:5353" …: the controller read /etc/resolv.conf. */
	const char *const *servers;
	unsigned n_servers;
	const char *const *search; /* suffixes, in order */
	unsigned n_search, ndots, timeout_ms, tries;
	const char *hosts; /* the text of /etc/hosts, or NULL */
	/* Name servers say for certain that it has nothing that may be a target, which it had
	 * before or was not known; once, until that changes. May be NULL, and call what `changed`
	 * may. */
	void (*empty)(void *arg, const char *name, const char *why);
	/* Bounds of a TTL, and of the pauses after failures (doubled each time). 0: those above. */
	unsigned ttl_min_ms, ttl_max_ms, retry_min_ms, retry_max_ms;
};

/* changed: in the loop's thread, also for the first answer; addresses are sorted, n never 0,
 * borrowed for the call; it may call anything here. timeout_ms and tries 0: 5000 and 2. The config
 * is borrowed for the call. */
struct names *names_new(struct loop *l, const struct names_config *c,
			void (*changed)(void *arg, const char *name, const struct addr *v,
					unsigned n, unsigned ttl_s),
			void *arg, struct err *e);
void names_free(struct names *n);
/* Other servers and hosts from now on (bounds, `empty` and `changed` stay): what is known stays,
 * and every name is looked up anew. Not from within `changed`. On an error all is as it was. */
int names_configure(struct names *n, const struct names_config *c, struct err *e);
/* Exactly these are followed from now on; those of before keep what they know. -ENOMEM: as it was.
 */
int names_follow(struct names *n, const char *const *v, unsigned count);
/* What is known from before (a former dataplane, the kernel tier) of a name that is followed:
 * counts as a last good answer where there is none yet; `changed` is not called for it. */
void names_remember(struct names *n, const char *name, const struct addr *v, unsigned count);
struct names_status {
	const char *name, *error; /* error: of the last try, or NULL */
	unsigned n_addresses;
	int64_t age_ms, next_ms; /* of the last good answer, -1 = never; until the next question, -1
				    = never asked */
};
/* For i = 0 … ; false: no more. Borrowed until the next call of anything here. */
bool names_look(const struct names *n, unsigned i, struct names_status *out);

#endif
