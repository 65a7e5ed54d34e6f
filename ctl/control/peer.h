/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peer: the process at the other end of a unix socket, or behind a lock, as the
 * kernel knows it, and held by a descriptor: it can be ended without ever
 * meeting another one that got its pid.
 */
#ifndef CTL_CONTROL_PEER_H
#define CTL_CONTROL_PEER_H

#include <stdbool.h>
#include <sys/types.h>

struct peer {
	pid_t pid;
	int pidfd; /* -1: nobody is held */
};

/* Of a connected socket: who called listen() there last. False: it is gone, is this process, or
 * cannot be seen from here; p holds nobody then. The caller has yet to see that pid was its own
 * when it was taken: by what ends with it, or by its name. */
bool peer_hold(struct peer *p, int fd);
/* Who has the flock (exclusive) of that open file, by /proc/locks. False: nobody, this process, or
 * one that cannot be seen from here. */
bool peer_hold_locker(struct peer *p, int fd);
void peer_drop(struct peer *p);
/* Its name, as in /proc/PID/comm, and it lives. */
bool peer_is_named(const struct peer *p, const char *name);
/* SIGKILL, which needs no answer. */
int peer_kill(const struct peer *p);
/* It has ended, or does within that time. */
bool peer_has_ended(const struct peer *p, unsigned timeout_ms);

#endif
