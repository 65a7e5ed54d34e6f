/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * relay: moves bytes both ways between two connected stream sockets until both
 * directions have ended. Knows no epoll: its owner registers both sockets
 * edge-triggered (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET), notes what epoll
 * says with relay_note() and calls relay_run().
 *
 * A direction copies through a pooled buffer; once reads come back full it is
 * moved by splice(2) through a pooled pipe, until it is quiet again. It holds
 * buffer or pipe only while bytes are in them, so an idle connection has
 * neither, and a stalled receiver holds at most one pipe. Where the pool has nothing left,
 * bytes wait in the sender's socket instead. A FIN is passed on as
 * a FIN after the last byte; the other direction goes on. A side that takes nothing
 * more ends only the direction towards it, whose bytes are thrown away; what it has said
 * before still goes to the other side, and has arrived there before that one is told of
 * the error: the owner answers it with a reset. Urgent bytes are passed on in their place, as
 * others.
 */
#ifndef DATAPLANE_RELAY_H
#define DATAPLANE_RELAY_H

#include "dataplane/pool.h"

enum { RELAY_CLIENT, RELAY_TARGET }; /* side[]: indexes; flow[i] goes from side i to the other */

struct relay_side {
	int fd;			 /* non-blocking */
	bool readable, writable; /* until EAGAIN says otherwise */
	bool ending; /* a FIN, an error or an urgent mark may be queued: a short read proves nothing
		      */
	bool inlined; /* urgent bytes are read with the others */
	bool failed;  /* it has an error: nothing more goes to it */
	bool no_fin;  /* a write took its error: reading it ends as if in order, and did not */
};

struct relay_flow {
	/* Bytes that go first: sent before anything is read. Owned by the pool (buffer) when
	 * `buffer` is set. */
	uint8_t *buffer;
	size_t from, to; /* what of the buffer still has to be sent */
	struct pool_pipe *pipe;
	size_t in_pipe;
	uint64_t bytes;	     /* written to the other side so far */
	uint64_t skipped;    /* of those: not the sender's own bytes (a PROXY header) */
	size_t to_skip;	     /* of the buffer: the same, still to be sent */
	unsigned full_reads; /* with no quiet one between */
	bool eof, shut;	     /* nothing more comes; nothing more goes out */
	bool cut;	     /* its receiver takes nothing more: what comes is thrown away */
	bool bounded;	     /* its sockets' buffers have been looked at */
	bool fixed;	     /* the sender's one does not grow any more, and counts */
	bool spliced;	     /* has been moved by splice at least once */
};

struct relay {
	struct relay_side side[2];
	struct relay_flow flow[2];
	bool can_splice;
	unsigned failed_side; /* with error, the first one's; 0 = none */
	int error;
	uint64_t acked; /* of the last bytes of a side that is gone */
};

enum relay_result {
	RELAY_WAIT,   /* for events */
	RELAY_MORE,   /* gave way to others: call again soon (turn_queue) */
	RELAY_LAST,   /* a side is gone, and what it said is on its way to the other: call again
		       * within some ms, with or without events; how often is the owner's to bound */
	RELAY_ENDED,  /* both directions, in order; closing both sockets is the last FIN */
	RELAY_BROKEN, /* a side failed, and has no more to say: *error, *side */
};

/* Once, before threads and the sandbox: what this host lets a process bound. Without it nothing is
 * bounded. */
void relay_probe(void);
void relay_init(struct relay *r, int client_fd, int target_fd, bool can_splice);
/* Bytes that flow i has to send before it reads: buffer from the pool (taken over), filled to
 * `len`, of which the first `skipped` are not the sender's own. Only before the first relay_run().
 */
void relay_prefill(struct relay *r, unsigned i, uint8_t *buffer, size_t len, size_t skipped);
/* epoll's events for side i. What epoll told before relay_init() need not be told again. */
void relay_note(struct relay *r, unsigned i, uint32_t events);
/* side and error (a positive errno) are set with RELAY_BROKEN.
 * moved_ms: set to now_ms where at least one byte was written, or one of the last arrived. SIGPIPE
 * must be ignored: splice(2) has no MSG_NOSIGNAL. */
enum relay_result relay_run(struct relay *r, struct pool *p, int64_t now_ms, int64_t *moved_ms,
			    unsigned *side, int *error);
/* Gives buffers and pipes back; the sockets stay the owner's. */
void relay_fini(struct relay *r, struct pool *p);
/* One direction's bytes that were taken from its sender and not yet given to the other side. */
size_t relay_held(const struct relay *r, unsigned i);

#endif
