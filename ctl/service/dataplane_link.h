/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dataplane_link: the controller's hold on its dataplane. It starts the process,
 * gives it what is live, watches its heartbeat and starts it again when it ends,
 * with growing pauses; meanwhile new connections wait in the listening sockets.
 * Belongs to the loop's thread.
 */
#ifndef CTL_SERVICE_DATAPLANE_LINK_H
#define CTL_SERVICE_DATAPLANE_LINK_H

#include "ctl/control/client.h"
#include "ctl/service/dataplane_words.h"
#include "ctl/service/listeners.h"
#include "ctl/service/seccomp.h"
#include "ctl/service/upcall.h"
#include "dataplane/loop.h"
#include "dataplane/wire.h"

#define LINK_PING_MS	  1000
#define LINK_MISSES	  3	/* heartbeats of the process or of one worker: it is killed */
#define LINK_START_MS	  30000 /* to serve what is live */
#define LINK_PAUSE_MIN_MS 100	/* before the second attempt; the first one is at once */
#define LINK_PAUSE_MAX_MS 10000
#define LINK_STEADY_MS	  30000 /* alive for so long: its next end counts as the first */
#define LINK_WHY	  600	/* bytes of a reason */
#define LINK_A_TURN	  64	/* messages, before others have theirs */
/* Messages beyond answers: every target of a large table at once, then as many as one that is well
 * never says. */
#define LINK_SAYS_BURST (1u << 18)
#define LINK_SAYS_PER_S 1000

#define LINK_SOCKET_NAME 32

enum link_state {
	LINK_DOWN,  /* waits to be started again, or was never started */
	LINK_COMES, /* the process runs; what is live is not served yet */
	LINK_READY,
	LINK_ENDS, /* drains: is not started again */
};

struct link_config {
	const char *run_dir, *user; /* borrowed; user may be NULL */
	unsigned workers, pipes;
	size_t hello_max_bytes;
	int access_fd; /* where access lines go if a file asks for them, the owner's; -1: nowhere */
};

/* What the owner hears; nothing of it may end the link within. */
struct link_owner {
	void *arg;
	void (*ready)(void *arg);			 /* what is live is served */
	void (*said)(void *arg, const struct upcall *u); /* everything but started and pong */
	/* The process is gone (why: a clause; NULL: as was asked for); started again unless it was
	 * to end. */
	void (*ended)(void *arg, const char *why);
	/* It could not even be started: tried again, too. May be NULL. */
	void (*not_started)(void *arg, const char *why);
};

struct link {
	struct loop *loop;
	struct link_config config;
	struct link_owner owner;
	struct listeners *listeners; /* the owner's */
	enum link_state state;
	pid_t pid;		       /* 0 = none */
	char socket[LINK_SOCKET_NAME]; /* its own in RUN; "": none */
	struct wire wire;	       /* fd -1: none */
	struct watch watch;
	struct timer clock; /* heartbeat, or the pause before the next start */
	json_t *live;	    /* its "load"; NULL = none */
	uint32_t generation;
	json_t *names; /* name -> addresses: last good ones */
	int page_fd;
	struct seccomp_page *page; /* of the present process */
	int64_t started_ms;
	unsigned pause_ms, restarts;
	uint32_t seq; /* of pings and queries */
	uint32_t ping_seq;
	bool pinged; /* not answered yet */
	unsigned misses, worker_misses[UPCALL_WORKERS];
	uint64_t rounds[UPCALL_WORKERS];
	uint32_t connections; /* as it said last */
	struct words words;
	char why[120];		 /* it was killed for */
	char last_end[LINK_WHY]; /* why the one before ended; "": none has, unasked */
	unsigned failures;	 /* attempts in a row that came to nothing */
	unsigned ends;		 /* in a row, without LINK_STEADY_MS between them */
	bool renewed;		 /* its end is wanted, and no failure */
	bool has_access;	 /* it was given access_fd */
	struct bucket upcalls;	 /* what it says */
};

/* config and owner are copied. */
void link_init(struct link *l, struct loop *loop, const struct link_config *c,
	       const struct link_owner *owner, struct listeners *listeners);
void link_fini(struct link *l); /* leaves a process that runs alone */

/* Starts it; what fails is tried again like a process that ended. */
void link_start(struct link *l);
/* The pause before the next attempt is over. */
void link_hurry(struct link *l);
/* What is served from the next start on (json is taken over); NULL: nothing. */
void link_set_live(struct link *l, json_t *load, uint32_t generation);
/* To a process that is ready: builds this table beside the one in use; it says loaded or failed. */
int link_load(struct link *l, json_t *load);
void link_discard(struct link *l, uint32_t generation);
/* The live sockets that it lacks, then: that generation serves. It says switched. */
int link_switch(struct link *l, uint32_t generation);
/* Told to each process that comes: what a name was last. */
void link_remember(struct link *l, const char *name, const struct addr *v, unsigned n);
/* Any other message; json is taken over. */
int link_say(struct link *l, json_t *message);
/* The same with a new "seq", which is returned; 0 = it cannot be asked now. */
uint32_t link_ask(struct link *l, json_t *query);
/* It accepts no more, and ends when its connections have, at the latest after timeout_ms. */
void link_drain(struct link *l, unsigned timeout_ms);
void link_kill(struct link *l, const char *why);
/* Another one with so many threads, at once: for one that serves nobody yet. */
void link_renew(struct link *l, unsigned workers, unsigned pipes);
/* How often it ended unasked in a row; 0: it has been steady since. */
unsigned link_ends(const struct link *l);
/* A child of the controller ended. Was it this one? */
bool link_child_ended(struct link *l, pid_t pid, int status);
/* "dataplane.7.sock" is a name of a dataplane's socket for hand-over: its number is 7. */
bool link_socket_number(const char *name, unsigned *number);
#define LINK_LOCK "dataplane.lock"

#endif
