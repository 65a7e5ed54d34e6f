/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listen_at: a place to listen at, its texts, and a socket for it. Binding and listening are
 * two steps: a socket that is only bound holds the port, and no connection comes to it.
 */
#ifndef CTL_SERVICE_LISTEN_AT_H
#define CTL_SERVICE_LISTEN_AT_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/base/addr.h"

#define LISTENERS_BACKLOG 4096
#define LISTENER_NAME_MAX 80

struct listen_at {
	struct addr address; /* ADDR_NONE: all addresses, of both families where there are both */
	uint16_t port;
};

/* By address, then port. */
int listen_at_cmp(const struct listen_at *a, const struct listen_at *b);
/* "10.0.0.1:443", "[fd00::1]:443", "*:443". */
const char *listen_at_text(const struct listen_at *at, char out[LISTENER_NAME_MAX]);
/* A new socket with SO_REUSEPORT that does not listen yet, or a negative errno. */
int listen_at_bind(const struct listen_at *at);
/* From now on connections come. Negative: somebody else was first. */
int listen_at_listen(int fd);
bool listen_at_listens(int fd);
/* Does that socket listen at just that place? */
bool listen_at_is(int fd, const struct listen_at *at);

/* "10.0.0.1/443/0", "any/443/1", "fd00__1/443/0": as a name of systemd's fd store, which has no
 * colon. */
const char *listen_at_name(const struct listen_at *at, unsigned slot, char out[LISTENER_NAME_MAX]);
/* The place out of it; false: none of ours. */
bool listen_at_name_parse(const char *name, struct listen_at *out);

#endif
