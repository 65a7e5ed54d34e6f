/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_owner: which processes have sockets open, in whatever mount, process or
 * user namespace they are, as far as /proc shows them; needs root for other
 * users' processes. One walk through /proc for any number of sockets.
 */
#ifndef CTL_HOST_HOST_OWNER_H
#define CTL_HOST_HOST_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A socket of one of the services that are asked about. */
struct owned_socket {
	uint32_t inode;
	unsigned service; /* index */
};

struct host_owner {
	int pid;	  /* the lowest of those that have one of its sockets; 0 = none is seen */
	unsigned n;	  /* processes */
	int last_counted; /* pid */
};

/* sockets is sorted by this; owners[] has one entry for each service, zeroed. */
void host_owners_find(struct owned_socket *sockets, size_t n, struct host_owner *owners);
/* Does the first of them run the same program file as this process: a service of ours? */
bool host_owner_is_ours(const struct host_owner *o);
/* "sshd[411]", "nginx[411] and 3 more processes", "a process". Returns out. */
const char *host_owner_text(const struct host_owner *o, char *out, size_t cap);

#endif
