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
	bool lost;     /* whether it has committed is not known, or it was not even asked */
	bool settles;  /* it is told once more: there is time, and who hangs is replaced */
};

/* Starts the service where the plan needs it. Nothing is served differently yet. Where the live
 * generation is meant again and all of it is served already, nothing is prepared; nor where it
 * hangs and only kernel routes are meant. */
int user_space_prepare(struct apply_job *j);
/* After the batch. -EBADE: it does not listen everywhere, and should not be left so. A service that
 * cannot be asked is none of an error yet: user_space_settle(). */
int user_space_commit(struct apply_job *j);
/* After the generation is live: a commit whose answer is not known is done once more, from the
 * start. -ENOTRECOVERABLE: it is live, and the service does not serve it. */
int user_space_settle(struct apply_job *j);
/* What was prepared is dropped; does nothing after a commit. Ends the connection in any case. */
void user_space_end(struct apply_job *j);

/* user_space_stop.c */
#define USER_SPACE_PATIENCE_MS 10000 /* whoever does not answer for so long hangs */
/* client_open(), which waits for one that starts. */
int user_space_open(const struct session *s, struct control_client *c, unsigned patience_ms,
		    enum control_presence *p, struct err *e);
int user_space_start(const struct session *s, struct err *e);
/* It hangs, e says how: its controller is ended. control_look() says what is left. */
int user_space_kill(const struct session *s, struct err *e);
/* The service ends, if there is one: it accepts no more from now on, and its connections get
 * drain_s. One that hangs, too. */
int user_space_stop(const struct session *s, unsigned drain_s, struct err *e);
/* Waits until it is gone. 0, or -ETIME. */
int user_space_await_end(const struct session *s, unsigned timeout_ms, struct err *e);

#endif
