/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The controller's inside: service.c has start, signals and end, service_stage.c the generations,
 * control.c the clients, service_old.c former dataplanes. Only they include this. */
#ifndef CTL_SERVICE_SERVICE_INTERNAL_H
#define CTL_SERVICE_SERVICE_INTERNAL_H

#include "ctl/control/peer.h"
#include "ctl/host/host.h"
#include "ctl/nft/nft.h"
#include "ctl/service/dataplane_link.h"
#include "ctl/service/dns_watch.h"
#include "ctl/service/service.h"
#include "ctl/service/service_found.h"
#include "ctl/service/service_log.h"

#define PIPES_PER_WORKER 64

struct client;
struct live;

/* A dataplane that hands over, or has: it drains, and nobody asks it anything but to end. */
struct old {
	struct old *next;
	struct service *s;
	struct wire wire;
	struct watch watch;
	struct peer peer;
	char name[LINK_SOCKET_NAME]; /* of its socket in RUN */
	bool comes;		     /* its sockets are not all here yet */
	bool wire_lost;
};

enum stage_state {
	STAGE_NONE,
	STAGE_WAITS,  /* for a dataplane that is ready */
	STAGE_LOADS,  /* it builds the table */
	STAGE_LOADED, /* the client may commit */
	STAGE_ORPHAN, /* its client went: the kernel's table decides */
};

struct stage {
	enum stage_state state;
	struct client *client; /* NULL when it went */
	json_t *load, *names;  /* names: as the command resolved them */
	uint32_t generation;
	unsigned shutdown_ms, workers; /* as its file says */
	char table[RS_NAME_MAX];
	bool listens;	 /* anywhere at all */
	bool loaded;	 /* by the dataplane that there is now */
	bool answered;	 /* prepared was said */
	bool follows;	 /* nobody asked: STATE says that it is live */
	unsigned ask_ms; /* the last pause before the kernel is asked again */
	struct timer clock;
};

/* service_missing.c: places that are wanted and that somebody else has. */
struct missing {
	struct timer clock;
	unsigned pause_ms;
};

/* service_follow.c */
struct follow {
	struct timer clock;
	uint32_t live, pending, served; /* as they were at the last look */
	unsigned pause_ms;
};

struct control {
	int fd;
	struct watch watch;
	struct client *clients;
	unsigned n_clients;
};

struct service {
	struct loop *loop;
	struct service_options o;
	char *state_dir, *run_dir; /* absolute, owned */
	char *binary;		   /* path of it, for an upgrade */
	int lock_fd, signal_fd;
	struct watch signals;
	struct host_identity identity;
	struct nft *nft;
	char instance[33];
	struct listeners listeners;
	struct service_log log;
	struct link link;
	struct old *olds;
	struct stage stage;
	struct client *committer; /* waits for "committed" */
	struct timer commit_clock;
	struct control control;
	struct missing missing;
	struct follow follow;
	struct dns_watch dns;
	struct timer watchdog, countdown, log_clock;
	struct timer idle;
	unsigned idle_looks;
	unsigned watchdog_ms, shutdown_ms;
	int64_t stop_at_ms;
	bool ready, stopping;
	struct service_found found;
	pid_t apply_pid; /* of `file` */
	int exit_code;
};

/* service_stage.c */
int stage_begin(struct service *s, struct client *c, const json_t *m, struct err *e);
int stage_commit(struct service *s, struct client *c, uint32_t generation, struct err *e);
int stage_abort(struct service *s, const struct client *c, uint32_t generation, struct err *e);
void stage_client_gone(struct service *s, const struct client *c);
void stage_heard(struct service *s, const struct upcall *u); /* loaded, failed, switched */
void stage_ready(struct service *s);
/* why: as the link has it, NULL where it was to end. */
void stage_dataplane_ended(struct service *s, const char *why);
void stage_fini(struct service *s);
void service_store_listeners(struct service *s); /* in systemd's store */

/* What STATE says is live and this service does not serve: the kernel is asked, then it is served.
 */
int stage_follow(struct service *s, const struct live *live, struct err *e);

/* service_missing.c */
/* Binds what is live at the start, as far as it is free. */
void missing_bind(struct service *s, const struct live *live);
/* Another generation is live: what could not be had of it is tried again until it can. */
void missing_watch(struct service *s);
void missing_fini(struct service *s);
void missing_say(const struct err *e);

/* service_follow.c */
void follow_start(struct service *s);
void follow_fini(struct service *s);

/* service_old.c */
void olds_take_over(struct service *s);
void olds_drain(struct service *s, unsigned timeout_ms);
void olds_kill(struct service *s);
void olds_fini(struct service *s); /* they go on */
unsigned olds_count(const struct service *s);

/* service_idle.c */
void service_idle_start(struct service *s);

/* control.c */
int control_open(struct service *s, struct err *e);
void control_close(struct service *s);
/* workers: as many as its file says; those that run may be others. */
void client_prepared(struct client *c, uint32_t generation, unsigned workers);
void client_failed(struct client *c, const char *request, const struct err *e, int route);
void client_committed(struct client *c, uint32_t generation, bool late);
void control_heard(struct service *s, const struct upcall *u); /* answer */
void control_dataplane_ended(struct service *s);

/* service.c */
void service_stop(struct service *s, unsigned timeout_ms);
void service_check_end(struct service *s);
/* Threads, where the file says `wanted` (0: nothing): --workers beats it. */
unsigned service_workers(const struct service *s, unsigned wanted);

#endif
