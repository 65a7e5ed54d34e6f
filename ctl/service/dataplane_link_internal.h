/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between dataplane_link.c and dataplane_link_start.c. Only they include this. */
#ifndef CTL_SERVICE_DATAPLANE_LINK_INTERNAL_H
#define CTL_SERVICE_DATAPLANE_LINK_INTERNAL_H

#include "ctl/service/dataplane_link.h"

/* Queues it; json is taken over, and so are the descriptors. */
int link_say_fds(struct link *l, json_t *message, const int *fds, unsigned n);
/* A table, and before it what is needed to serve it. */
int link_queue_load(struct link *l, json_t *load);
void link_flush(struct link *l);
void link_receive(struct watch *w, uint32_t events);
/* A process, and all that it needs queued. 0 also where its end is what starts the next attempt. */
int link_process_start(struct link *l, struct err *e);
/* Why it ended, of what waitpid() says and of what it said itself. */
void link_say_why(const struct link *l, int status, char *out, size_t cap);
/* That was no end that anybody wanted. */
void link_note_end(struct link *l, const char *why);
/* Of a process that has ended. */
void link_socket_remove(struct link *l);

#endif
