/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dataplane: the unprivileged process. Its first thread runs a loop with the wire
 * to the controller, names and health checks; each worker is a thread with a loop
 * of its own, its own listening sockets and its own pool. A routing table is
 * posted to every worker; it is in use when all of them have said so.
 */
#ifndef DATAPLANE_DATAPLANE_H
#define DATAPLANE_DATAPLANE_H

/*
 * wire_fd: see wire.h. listen_fd: RUN/dataplane.N.sock, listening, for hand-over, or -1: a root
 * peer (SO_PEERCRED) that connects gets {"type":"handover","listeners":[{id, address, port,
 * worker}]} with the sockets, and is the controller from then on. Without a controller it goes on
 * serving. `seal`: called once when all one-time work is done and the threads run, before
 * anything foreign is read; negative: it gives up (seccomp). Returns the exit code of the process.
 */
int dataplane_run(int wire_fd, int listen_fd, int (*seal)(void));

#endif
