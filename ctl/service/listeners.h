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
#include <stdint.h>

#include "ctl/base/addr.h"
#include "ctl/base/err.h"

#define LISTENERS_MAX	  32768 /* sockets */
#define LISTENERS_BACKLOG 4096
#define LISTENER_NAME_MAX 80

struct listen_at {
	struct addr address; /* ADDR_NONE: all addresses, of both families where there are both */
	uint16_t port;
};

struct listener {
	struct listen_at at;
	unsigned slot; /* of its (address, port), from 0; worker = slot % workers */
	uint32_t id;   /* never given again */
	int fd;
	bool live;   /* of the generation that is served */
	bool staged; /* of the one that is prepared */
	bool fresh;  /* made for what is staged */
	bool sent;   /* the dataplane has a copy; dataplane_link's */
	bool stored; /* systemd has a copy; service's */
};

struct listeners {
	struct listener *v; /* by address, port, slot */
	size_t n, cap;
	/* Inodes of those that were closed last: a dataplane has its copy a little longer. */
	uint64_t *leaving;
	size_t n_leaving;
	uint32_t next_id;
	unsigned workers;
};

void listeners_init(struct listeners *l, unsigned workers);
void listeners_fini(struct listeners *l); /* closes all */

/* A socket from before (hand-over, fd store): it is taken if it listens at just that place, else
 * closed. 0 or negative; fd is gone from the caller in both cases. */
int listeners_adopt(struct listeners *l, int fd, const struct listen_at *at, struct err *e);
/* Stages what the next generation wants: missing ones are bound and listen from now on, so that the
 * commit cannot fail. On failure nothing is staged; *bad: index of what is to blame. -EADDRINUSE
 * says who has it. -EAGAIN: one of our own that a dataplane is about to close. */
int listeners_stage(struct listeners *l, const struct listen_at *v, size_t n, size_t *bad,
		    struct err *e);
/* What was staged is not wanted: what was made for it is closed. */
void listeners_unstage(struct listeners *l);
/* What is staged is live. What is not any more stays until listeners_close_idle(). */
void listeners_commit(struct listeners *l);
/* Closes our copies of what is neither live nor staged; a dataplane has accepted from it until
 * it was empty. */
void listeners_close_idle(struct listeners *l);

/* "10.0.0.1/443/0", "any/443/1", "fd00__1/443/0": as a name of systemd's fd store. */
const char *listener_name(const struct listener *l, char out[LISTENER_NAME_MAX]);
/* The place out of it; false: none of ours. */
bool listener_name_parse(const char *name, struct listen_at *out);
/* "10.0.0.1:443", "[fd00::1]:443", "*:443". */
const char *listen_at_text(const struct listen_at *at, char out[LISTENER_NAME_MAX]);

#endif
