/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * upcall: what a dataplane says, as typed and bounded values. Foreign bytes to
 * root: whatever is not exactly one of the messages of wire.h is refused, and
 * whoever sent it is replaced. Pure.
 */
#ifndef CTL_SERVICE_UPCALL_H
#define CTL_SERVICE_UPCALL_H

#include <jansson.h>
#include <stdint.h>

#include "ctl/base/addr.h"
#include "ctl/base/err.h"
#include "ctl/base/log.h"

#define UPCALL_TEXT	 400 /* bytes of a message, escaped */
#define UPCALL_NAME	 256
#define UPCALL_ADDRESSES 64
#define UPCALL_WORKERS	 256
#define UPCALL_LISTENERS 64

enum upcall_type {
	UPCALL_STARTED,
	UPCALL_LOADED,
	UPCALL_FAILED,
	UPCALL_SWITCHED,
	UPCALL_ANSWER,
	UPCALL_TARGET,
	UPCALL_NAME_CHANGED,
	UPCALL_NOTICE,
	UPCALL_DRAINED,
	UPCALL_PONG,
	UPCALL_HANDOVER,
	N_UPCALLS
};

struct upcall_listener {
	uint32_t id;
	struct addr address; /* ADDR_NONE: all addresses */
	uint16_t port;
	unsigned worker;
};

struct upcall {
	enum upcall_type type;
	uint32_t generation;	/* loaded, failed, switched */
	uint32_t pid;		/* started */
	uint32_t seq;		/* answer, pong */
	int failed_route;	/* failed: index into the load's routes, or -1 */
	uint32_t route, tag;	/* target */
	bool up;		/* target */
	bool more;		/* answer, handover: another part follows */
	const json_t *answer;	/* the whole message; borrowed from it */
	enum log_level level;	/* notice */
	char text[UPCALL_TEXT]; /* failed, target, notice: printable */
	char name[UPCALL_NAME]; /* name: a host name */
	unsigned ttl_s;		/* name */
	struct addr addresses[UPCALL_ADDRESSES];
	unsigned n_addresses; /* name */
	uint64_t rounds[UPCALL_WORKERS];
	unsigned n_rounds;    /* pong */
	uint32_t connections; /* pong */
	struct upcall_listener listeners[UPCALL_LISTENERS];
	unsigned n_listeners; /* handover: as many as descriptors came */
};

/* json: of wire_receive(); n_fds: descriptors that came with it. 0, or -EPROTO and why. */
int upcall_parse(const json_t *json, unsigned n_fds, struct upcall *out, struct err *e);
/* By its name in wire.h. */
const char *upcall_name(enum upcall_type t);

#endif
