/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spawn: a dataplane is this binary once more, under a command that is in no
 * list, so that it shares no memory with root. It gets descriptors by number,
 * and gives up what it has by itself, before it reads anything.
 */
#ifndef CTL_SERVICE_SPAWN_H
#define CTL_SERVICE_SPAWN_H

#include <sys/types.h>

#include "ctl/base/err.h"

/* The hidden command, and its descriptors. */
#define SPAWN_COMMAND	"dataplane"
#define SPAWN_NAME	"spctl-dataplane" /* as ps has it */
#define SPAWN_WIRE_FD	3		  /* to the controller */
#define SPAWN_LISTEN_FD 4		  /* RUN/dataplane.N.sock */
#define SPAWN_PAGE_FD	5		  /* seccomp.h */
#define SPAWN_LOCK_FD	6		  /* RUN/dataplane.lock: held while it lives */

#define SPAWN_FILE_MAX (64u << 20) /* bytes: RLIMIT_FSIZE of it */

struct spawn {
	int wire_fd, listen_fd, page_fd, lock_fd; /* borrowed */
	int err_fd;				  /* its standard error, borrowed; -1: ours */
	const char *user; /* NULL: "spctl" if there is one, else an unused uid */
};

/* The pid, or negative. A session of its own; it outlives its parent. */
pid_t spawn_dataplane(const struct spawn *s, struct err *e);
/* The other side: descriptors, limits, privileges. user as in struct spawn. */
int spawn_settle(const char *user, struct err *e);
/* RLIMIT_NOFILE as high as it goes. */
void spawn_raise_nofile(void);

#endif
