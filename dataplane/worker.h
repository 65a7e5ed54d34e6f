/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker: a thread with a loop, its listening sockets, its connections and its
 * pool. Only worker_*() called from the thread itself touch those; the other
 * functions post to it. What all threads share is in struct plane: atomics and
 * objects that never change.
 */
#ifndef DATAPLANE_WORKER_H
#define DATAPLANE_WORKER_H

#include <pthread.h>

#include "dataplane/access_log.h"
#include "dataplane/limit.h"
#include "dataplane/loop.h"
#include "dataplane/name_book.h"
#include "dataplane/own.h"
#include "dataplane/pool.h"
#include "dataplane/route.h"

struct lookup;

/* What the threads of a dataplane have in common. */
struct plane {
	struct route_registry *registry;
	struct limits *limits;
	struct budget budget;
	struct loop *main_loop;			    /* to post to */
	struct lookup *lookup;			    /* the main thread's */
	atomic_ullong accepted, refused[N_REASONS]; /* of who has no route yet */
	atomic_uint undecided;
	atomic_ullong accept_paused; /* times descriptors were exhausted */
	atomic_bool out_of_descriptors;
	atomic_uint max_pairs; /* connections that descriptors are left for; 0 = not known yet */
	size_t hello_max_bytes;
	struct own_ports ports;
};

struct listener {
	struct listener *next;
	struct watch watch;
	struct timer pause; /* descriptors are exhausted, or: closing, the second look */
	struct worker *w;
	uint32_t id;
	int fd;
	struct addr address; /* ADDR_NONE: all */
	struct addr bound;   /* the same, as the kernel says */
	uint16_t port;
	bool open;    /* accepts */
	bool closing; /* takes what is queued, no more */
	unsigned looks, empty_looks, short_looks;
	bool is_short;			/* the last accept met a shortage of descriptors */
	unsigned batch, full_batches;	/* accepts of a round; rounds in a row that had them */
	struct route_table *last_table; /* closing: the one that it was open for */
};

struct conn;
struct conn_lookup;

struct worker {
	struct plane *plane;
	struct loop *loop;
	unsigned index;
	pthread_t thread;
	bool started;
	struct pool pool;
	_Atomic(struct access_log *) access; /* NULL: there is nowhere to write */
	struct route_table *table;	     /* NULL until the first switch */
	struct name_book *names;
	_Atomic(struct name_book *) names_next; /* what the main thread has for it */
	struct listener *listeners;
	struct own_addresses own;
	unsigned n_closing;	     /* of them: those that still look at their queue */
	void (*switched)(void *arg); /* called when there is none left; NULL = nobody waits */
	void *switched_arg;
	struct conn *conns, **conns_end;	 /* by age, oldest first */
	struct conn *undecided, **undecided_end; /* those of them without a route, likewise */
	struct conn_lookup *lookups;		 /* of conn_lookup.c */
	/* Where a question about connections goes on: the first one after those up to that serial;
	 * NULL: there was none. */
	struct conn *asked;
	uint64_t asked_serial;
	unsigned n_conns;
	uint64_t serial; /* of the last connection */
	uint64_t random;
	bool draining;
	atomic_uint n_alive; /* n_conns, for other threads */
	atomic_ullong beats;
};

int worker_start(struct worker *w, struct plane *p, unsigned index, struct err *e);
/* Ends the loop and joins the thread; connections end at once. */
void worker_stop(struct worker *w);

/* ---- from the main thread; done(arg) is called in the worker's thread: the table is in use, and
 * what closes is closed ---- */

#define WORKER_KEEP_BUFFERS 32 /* 2 MiB */

struct worker_switch {
	struct route_table *table; /* a reference, taken over */
	const uint32_t *open, *close;
	unsigned n_open, n_close;
	unsigned keep_buffers; /* idle ones; at most WORKER_KEEP_BUFFERS */
	void (*done)(void *arg);
	void *arg;
};

/* Not yet accepting; the socket is taken over. */
int worker_add_listener(struct worker *w, uint32_t id, const struct addr *a, uint16_t port, int fd);
int worker_switch(struct worker *w, const struct worker_switch *s);
/* A reference, taken over. Instead of one that the worker has not taken yet: it is never behind by
 * more than one. */
int worker_set_names(struct worker *w, struct name_book *b);
int worker_add_pipes(struct worker *w, const int *fds, unsigned n);
/* Where access lines go from now on; access_log_check() has said yes. It stays the caller's. */
int worker_set_access(struct worker *w, int fd);
/* route 0 = all of them. */
int worker_end(struct worker *w, uint32_t route, enum reason why);
/* No more connections; *left is one less when that is so, and n_alive counts all there are. */
int worker_drain(struct worker *w, atomic_uint *left);
int worker_beat(struct worker *w);

/* ---- in the worker's thread ---- */

uint64_t worker_random(struct worker *w);
/* Does what is sent there come to one of our listening sockets? Or -EMFILE, … */
int worker_listens(struct worker *w, const struct addr *a, uint16_t port);
/* Is that the end of a switch? */
void worker_check_switched(struct worker *w);

/* One listening socket in a worker (listener.c). */
void listener_open(struct listener *l);
void listener_close(struct listener *l); /* accepts what is queued first */
void listener_free(struct listener *l);	 /* at once */

#endif
