/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn: one client's connection from accept to its end. It belongs to a worker;
 * everything here runs in that thread. What may be refused is refused before
 * anything is allocated for it.
 *
 *   CONN_HEADER   the PROXY header of a trusted peer is awaited
 *   CONN_SNIFF    the first bytes are awaited that decide the route
 *   CONN_CONNECT  the route is known, a target is being connected
 *   CONN_RELAY    bytes go both ways
 *   CONN_LINGER   an alert was sent; what the client still sends is thrown away
 */
#ifndef DATAPLANE_CONN_H
#define DATAPLANE_CONN_H

#include "dataplane/hello.h"
#include "dataplane/proxy_header.h"
#include "dataplane/relay.h"
#include "dataplane/worker.h"

enum conn_state { CONN_HEADER, CONN_SNIFF, CONN_CONNECT, CONN_RELAY, CONN_LINGER };

/* EPOLLOUT is asked for only while it is waited for: it would wake for nothing at first. */
#define CONN_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET)

/* What only connections have whose first bytes matter, until the target has got them. */
struct conn_first {
	uint8_t *bytes;
	size_t n, cap;
	size_t header_bytes; /* of these, a PROXY header that was understood */
	struct hello hello;
	struct route_table *table;  /* a reference: the worker's, see conn_first_redecide() */
	struct route *silent;	    /* borrowed from table */
	int64_t since_ms, began_ms; /* the wait began; the first byte came, 0 = not yet */
	bool eof, not_tls, bad_hello;
};

struct conn {
	struct conn *next, **prev;		  /* of the worker, by age */
	struct conn *undecided_next, **undecided; /* likewise; NULL when it has a route */
	struct worker *w;
	uint64_t serial;
	enum conn_state state;
	enum reason reason; /* for the record: set before the end where it is known earlier */
	int client_fd;
	struct watch client, target; /* client: only from when its bytes matter */
	struct timer timer;
	struct turn turn;
	struct conn_first *first;	 /* or NULL */
	const struct route_table *table; /* borrowed, while it has no route */
	struct addr peer_addr;		 /* of the socket */
	struct addr client_addr;	 /* announced, or that of the socket */
	struct addr local_addr;		 /* where it arrived: see conn_local() */
	struct addr announced_addr;	 /* destination of a PROXY header */
	uint16_t client_port, listen_port, announced_port;
	bool trusted;		/* its peer is in proxyIPs: the kernel's limits leave it out */
	bool announced;		/* by a PROXY header */
	bool broken;		/* a side was reset: so is the other */
	uint32_t client_events; /* that nobody has acted on yet */
	bool keeps_alive;	/* the sockets have their keep-alive settings */
	bool timed_out;		/* the last try to connect */
	bool is_short;	      /* likewise: there was no descriptor for it, or no place in a queue */
	bool copied, spliced; /* counted as such */
	struct route *route;  /* a reference */
	int target_index;     /* -1: none is counted */
	unsigned address_at, address_tries; /* of a name's addresses */
	bool more_addresses;
	bool reached;		    /* some target was there to be tried */
	struct conn_lookup *lookup; /* of the target that a template names, or NULL */
	int last_target;	    /* -1: none was tried */
	const struct route
		*denied_by; /* its lists or limits, and there is no route: during the end */
	uint64_t tried;	    /* targets: see balance.h */
	char *name;	    /* SNI; NULL = none */
	int64_t accepted_ms, moved_ms, give_up_ms, connected_ms;
	int64_t last_ms; /* a side is gone, and has said something that is on its way; 0 = no */
	struct limit_hold hold;
	struct relay relay;
	uint64_t told[2]; /* bytes of each direction that the counters have */
};

/* Takes the socket over. */
void conn_accept(struct listener *l, int fd, const struct sockaddr *peer);
/* The one way out: everything is closed, given back, counted and freed. */
void conn_end(struct conn *c, enum reason why);

/* ---- between the files of conn ---- */

/* conn.c */
void conn_route(struct conn *c, struct route *r);  /* the route is known */
void conn_refuse(struct conn *c, enum reason why); /* counted, and ended */
void conn_count_refusal(struct conn *c, enum reason why);
/* Asked for when somebody wants to know: mostly nobody does. */
const struct addr *conn_local(struct conn *c);
/* From now on t decides; whether a PROXY header comes first there. */
bool conn_adopt(struct conn *c, const struct route_table *t);
int conn_watch_client(struct conn *c);
struct conn *conn_of_client(struct watch *w);
struct conn *conn_of_target(struct watch *w);
struct conn *conn_of_timer(struct timer *t);
struct conn *conn_of_turn(struct turn *t);
/* conn_first.c */
void conn_first_start(struct conn *c, struct route_table *t, enum conn_state state);
void conn_first_ready(struct conn *c, uint32_t events);
/* The worker has another table: what that says of who is undecided holds, not what was when it
 * came. It may be gone afterwards. */
void conn_first_redecide(struct conn *c);
void conn_first_decided(struct conn *c); /* it does not count as undecided any more */
void conn_first_free(struct conn *c);
void conn_linger_ready(struct conn *c, uint32_t events);
/* conn_target.c */
void conn_connect(struct conn *c); /* to the next target */
void conn_client_while_connecting(struct conn *c, uint32_t events);
void conn_target_close(struct conn *c, bool hard);
void conn_target_count_out(struct conn *c);
void conn_looked_up(struct conn *c); /* the answer is there */
/* "10.0.0.1:443", "db.test:5432", "unix:/path": the present target, or the last one. NULL: there
 * was none. Returns out. */
#define CONN_TARGET_TEXT 300
const char *conn_target_text(const struct conn *c, char out[CONN_TARGET_TEXT]);
/* conn_lookup.c: the addresses of a name, of one target at a time; entry borrowed until
 * conn_lookup_drop(). -EINPROGRESS: conn_looked_up() follows. */
int conn_lookup(struct conn *c, const char *name, struct name_entry *out);
void conn_lookup_drop(struct conn *c);
void conn_lookups_free(struct worker *w); /* when neither thread runs any more */
/* conn_record.c: its line in the access log, where that is wanted. Before anything is given back.
 */
void conn_record(struct conn *c);
/* Of one that was refused before it was anything. */
void conn_record_refused(struct worker *w, const struct sockaddr *peer, const struct listener *l,
			 enum reason why);
/* conn_relay.c */
void conn_connected(struct conn *c, uint32_t target_events);
void conn_relay_ready(struct conn *c, unsigned side, uint32_t events);
void conn_count_bytes(struct conn *c);

#endif
