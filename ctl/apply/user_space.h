/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user_space: the service's part of the transaction (docs/SERVICE.md). It binds and loads
 * before the batch, and serves after it. Where nothing needs a service and none
 * is there, all of this does nothing.
 */
#ifndef CTL_APPLY_USER_SPACE_H
#define CTL_APPLY_USER_SPACE_H

#include "ctl/control/client.h"

struct apply_job;
struct session;

struct user_space {
	struct control_client client;
	bool connected;
	bool prepared; /* and neither committed nor aborted */
	bool started;  /* by this command */
	bool lost;     /* whether it has committed is not known */
};

/* Starts the service where the plan needs it. Nothing is served differently yet. Where the live
 * generation is meant again and all of it is served already, nothing is prepared. */
int user_space_prepare(struct apply_job *j);
/* After the batch. -EBADE: it does not listen everywhere, and should not be left so. A service that
 * cannot be asked is none of an error yet: user_space_settle(). */
int user_space_commit(struct apply_job *j);
/* After the generation is live: a commit whose answer is not known is done once more, from the
 * start. -ENOTRECOVERABLE: it is live, and the service does not serve it. */
int user_space_settle(struct apply_job *j);
/* What was prepared is dropped; does nothing after a commit. Ends the connection in any case. */
void user_space_end(struct apply_job *j);

/* The service ends: it accepts no more from now on, and its connections get drain_s. False: there
 * is none. */
bool user_space_stop(const struct session *s, unsigned drain_s);
/* Waits until it is gone. 0, or -ETIMEDOUT. */
int user_space_await_end(const struct session *s, unsigned timeout_ms, struct err *e);

#endif
