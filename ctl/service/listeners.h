/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listeners: the listening sockets of the service, one a worker and (address,
 * port). The controller keeps them: a dataplane has copies, and whatever
 * becomes of it, new connections wait here. One that is live stays the same
 * socket for as long as it is wanted, because closing one of a SO_REUSEPORT
 * group resets what is queued in it.
 */
#ifndef CTL_SERVICE_LISTENERS_H
#define CTL_SERVICE_LISTENERS_H

#include <stddef.h>

#include "ctl/base/err.h"
#include "ctl/service/listen_at.h"

#define LISTENERS_MAX 32768 /* sockets */

struct listener {
	struct listen_at at;
	unsigned slot; /* of its (address, port), from 0; worker = slot % workers */
	uint32_t id;   /* never given again */
	int fd;
	bool listens; /* or is only bound: nobody comes to it */
	bool live;    /* of the generation that is served */
	bool staged;  /* of the one that is prepared */
	bool fresh;   /* made for what is staged */
	bool sent;    /* the dataplane has a copy; dataplane_link's */
	bool stored;  /* systemd has a copy; service's */
};

struct listeners {
	struct listener *v; /* by address, port, slot */
	size_t n, cap;
	/* Inodes of those that were closed last: a dataplane has its copy a little longer. */
	uint64_t *leaving;
	size_t n_leaving;
	/* What the generation that is live, and the one that is staged, shall have. */
	struct listen_at *wanted, *next;
	size_t n_wanted, n_next;
	char why[480]; /* the last place could not be had, "" = there was none */
	uint32_t next_id;
	unsigned workers;
};

/* Hears why one place could not be had. */
typedef void listeners_say(const struct err *e);

void listeners_init(struct listeners *l, unsigned workers);
void listeners_fini(struct listeners *l); /* closes all */

/* A socket from before (hand-over, fd store): it is taken if it listens at just that place, else
 * closed. 0 or negative; fd is gone from the caller in both cases. stored: systemd has it as well.
 */
int listeners_adopt(struct listeners *l, int fd, const struct listen_at *at, bool stored,
		    struct err *e);
/* Stages what the next generation wants, all of it or nothing: missing ones are bound. Those that
 * would take connections from one that is live listen with the commit only. -EADDRINUSE says who
 * has it. -EAGAIN: one of our own that a dataplane is about to close. */
int listeners_stage(struct listeners *l, const struct listen_at *v, size_t n, struct err *e);
/* The same with what there is to be had: say hears of each that is not. 0, or -ENOMEM. */
int listeners_stage_some(struct listeners *l, const struct listen_at *v, size_t n,
			 listeners_say *say, struct err *e);
/* What was staged is not wanted: what was made for it is closed. */
void listeners_unstage(struct listeners *l);
/* What is staged listens, and is live; say hears of what does not. What is not live any more stays
 * until listeners_close_idle(). */
void listeners_commit(struct listeners *l, listeners_say *say);
/* Closes our copies of what is neither live nor staged; a dataplane has accepted from it until
 * it was empty. */
void listeners_close_idle(struct listeners *l);
/* Nothing is wanted any more: none is live. */
void listeners_want_none(struct listeners *l);

/* Is there a live one, and does it listen? The kernel is asked. */
bool listeners_serve(const struct listeners *l, const struct listen_at *at);
/* How many places that the live generation wants are not served. */
size_t listeners_missing(const struct listeners *l);

#endif
