/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * client: a command's side of RUN/control.sock. One question at a time, each
 * with a deadline. Messages as in dataplane/wire.h:
 *
 *   hello {}                                  -> hello {pid, generation, …}
 *   prepare {generation, table, load, listeners:[{address, port}],
 *     gracefulShutdownTimeout, workers}         -> prepared {generation, workers, workersWanted}
 *   commit {generation}                       -> committed {generation, late}
 *   abort {generation}                        -> aborted
 *   status {serviceOnly}                      -> status {more, service, process, routes}, parts;
 *                                                of the controller alone, or of its dataplane too;
 *                                                a route's targets may go on in the next part
 *   conns {route}                             -> conns {more, conns}, parts
 *   end {route, reason}                       -> done
 *   drain {timeout: s}, stop {timeout: s}     -> done; then the service ends
 *   anything                                  -> failed {request, message, hint, code, route}
 */
#ifndef CTL_CONTROL_CLIENT_H
#define CTL_CONTROL_CLIENT_H

#include "dataplane/wire.h"

#define CONTROL_SOCKET	 "control.sock"
#define CONTROL_PROTOCOL 1
#define CONTROL_LOCK	 "run.lock"	  /* flock of the controller */
#define CONTROL_DP_LOCK	 "dataplane.lock" /* shared ones of its dataplanes */

struct control_client {
	struct wire wire;
	int pid; /* of the service */
	uint32_t generation;
};

enum control_presence {
	CONTROL_NONE,	/* no service */
	CONTROL_ORPHAN, /* its controller is gone, a dataplane goes on serving */
	CONTROL_STARTS, /* a controller is there, but does not answer yet */
	CONTROL_THERE,
};

/* 0: connected and greeted; end it with client_close(). -ENOENT: nothing to connect to, *p says
 * what there is. -ETIME: it is there and hangs. -EXDEV: it belongs to another network namespace.
 * -EPROTO: another version. */
int client_open(struct control_client *c, const char *run_dir, unsigned timeout_ms,
		enum control_presence *p, struct err *e);
void client_close(struct control_client *c);
/* Sends (request is taken over) and waits for one answer of type `expected`: a new reference.
 * NULL: e says why, with the service's own words where it says no (-ETIME: it says nothing); *route
 * (may be NULL): index of the route to blame, or -1. */
json_t *client_ask(struct control_client *c, json_t *request, const char *expected,
		   unsigned timeout_ms, int *route, struct err *e);
/* The same for answers in parts: fn for each; what is not 0 ends it. */
int client_ask_parts(struct control_client *c, json_t *request, const char *expected,
		     unsigned timeout_ms, int (*fn)(const json_t *part, void *arg), void *arg,
		     struct err *e);
/* Without connecting. */
enum control_presence control_look(const char *run_dir);
/* Ends a controller that answers nobody, at once; its dataplane and all connections go on (under
 * systemd, which starts another one, they do not). 0: there is none any more, control_look() says
 * what is left. */
int control_kill(const char *run_dir, unsigned timeout_ms, struct err *e);

#endif
