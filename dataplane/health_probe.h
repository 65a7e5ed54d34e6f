/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * health_probe: one look at one endpoint on a loop - a connect, and with a path an
 * HTTP/1.1 GET after it. Embedded in what owns it; nothing is allocated.
 */
#ifndef DATAPLANE_HEALTH_PROBE_H
#define DATAPLANE_HEALTH_PROBE_H

#include <sys/socket.h>

#include "dataplane/health_answer.h"
#include "dataplane/loop.h"

#define HEALTH_WHY 96

enum health_result {
	HEALTH_BAD,
	HEALTH_GOOD,
	HEALTH_UNKNOWN, /* this host lacked something: nothing was learned of the target */
};

struct health_probe {
	struct loop *loop;
	int fd;			 /* -1: not running */
	const char *path, *host; /* as given */
	int send_proxy;	   /* 0, 1, 2: a PROXY header of this version before a request; set by the
			      owner */
	size_t sent;	   /* of the request */
	const char *doing; /* for the clause of a timeout */
	struct health_answer answer;
	struct watch watch;
	struct timer deadline;
	struct turn end;
	void (*done)(struct health_probe *p, enum health_result r, const char *why);
	enum health_result result;
	char why[HEALTH_WHY];
};

void health_probe_init(struct health_probe *p, struct loop *l);
/* path NULL: a connect is all. host: of the Host field. Both are borrowed until the end. done:
 * once, never before this returns; why is a clause, e.g. "connect: Connection refused", and lives
 * as long as p. */
void health_probe_start(struct health_probe *p, const struct sockaddr *to, socklen_t len,
			const char *path, const char *host, unsigned timeout_ms,
			void (*done)(struct health_probe *p, enum health_result r,
				     const char *why));
/* done is not called any more. */
void health_probe_stop(struct health_probe *p);

#endif
