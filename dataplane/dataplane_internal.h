/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The main thread of a dataplane: dataplane.c has the messages and the order of things,
 * dataplane_table.c tables and listeners, dataplane_names.c names, dataplane_query.c the answers,
 * dataplane_handover.c the way to another controller. Only they include this. */
#ifndef DATAPLANE_DATAPLANE_INTERNAL_H
#define DATAPLANE_DATAPLANE_INTERNAL_H

#include "dataplane/health.h"
#include "dataplane/lookup.h"
#include "dataplane/names.h"
#include "dataplane/relay.h"
#include "dataplane/wire.h"
#include "dataplane/worker.h"

#define WORKERS_MAX 256

/* A listening socket as the main thread keeps it: its own descriptor, for a hand-over; the worker
 * has another one of the same socket. */
struct held_listener {
	struct held_listener *next;
	uint32_t id;
	struct addr address;
	uint16_t port;
	unsigned worker;
	int fd;
};

struct dataplane {
	struct loop *loop;
	struct wire wire; /* fd -1: no controller */
	struct watch wire_watch, listen_watch;
	struct timer tick, drain_end, call_again;
	int (*seal)(void);
	int access_fd; /* where access lines go, owned; -1: nowhere */
	struct plane plane;
	struct worker *workers;
	unsigned n_workers;
	struct held_listener *listeners;
	struct route_table *loaded, *live;
	uint32_t switching;	/* generation that the workers are told of, 0 = none */
	unsigned switches_left; /* workers that have not answered */
	struct names *names;
	struct name_register *known; /* what they are */
	struct timer publish;	     /* known is newer than what workers have */
	int64_t published_ms;
	struct health *health;
	unsigned next_pipe; /* worker that gets the next ones */
	unsigned n_pipes, n_listeners, own_fds, max_fds;
	unsigned long long paused_seen;
	int64_t drain_until_ms;
	atomic_uint drains_left; /* workers that may still accept */
	bool started, draining;
	int exit_code;
};

void dataplane_send(struct dataplane *d, json_t *message);
void dataplane_send_fds(struct dataplane *d, json_t *message, const int *fds, unsigned n);
void dataplane_notice(struct dataplane *d, const char *level, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/* There is no going on: the controller begins anew. */
void dataplane_fail(struct dataplane *d, const char *why);
void dataplane_set_wire(struct dataplane *d, int fd);
/* How many connections the descriptors are enough for; after each change of what else has some. */
void dataplane_count_room(struct dataplane *d);

/* dataplane_table.c */
void dataplane_on_listeners(struct dataplane *d, struct wire_message *m);
void dataplane_on_load(struct dataplane *d, const json_t *m);
void dataplane_on_switch(struct dataplane *d, const json_t *m);
void dataplane_on_discard(struct dataplane *d, const json_t *m);
void dataplane_on_down(struct dataplane *d, const json_t *m);
int dataplane_start_health(struct dataplane *d, struct err *e);
void dataplane_drop_listeners(struct dataplane *d); /* closes ours of each */
void dataplane_table_fini(struct dataplane *d);

/* dataplane_names.c */
int dataplane_start_names(struct dataplane *d, const json_t *dns, struct err *e);
void dataplane_on_names(struct dataplane *d, const json_t *m);
void dataplane_on_dns(struct dataplane *d, const json_t *m);
void dataplane_follow_names(struct dataplane *d); /* those of the live table */
void dataplane_names_fini(struct dataplane *d);

/* dataplane_query.c */
void dataplane_on_query(struct dataplane *d, const json_t *m);

/* dataplane_handover.c */
int dataplane_start_handover(struct dataplane *d, int listen_fd);

#endif
