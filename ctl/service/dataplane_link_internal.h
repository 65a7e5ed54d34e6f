/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between dataplane_link.c and dataplane_link_start.c. Only they include this. */
#ifndef CTL_SERVICE_DATAPLANE_LINK_INTERNAL_H
#define CTL_SERVICE_DATAPLANE_LINK_INTERNAL_H

#include "ctl/service/dataplane_link.h"

/* Queues it; json is taken over, and so are the descriptors. */
int link_say_fds(struct link *l, json_t *message, const int *fds, unsigned n);
void link_flush(struct link *l);
void link_receive(struct watch *w, uint32_t events);
/* A process, and all that it needs queued. 0 also where its end is what starts the next attempt. */
int link_process_start(struct link *l, struct err *e);

#endif
