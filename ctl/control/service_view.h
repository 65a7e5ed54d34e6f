/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * service_view: what a command gets to know of the service, within a time. A
 * service that is not there, that is stopped, or whose dataplane does not answer
 * is seen as just that: nothing of it is an error.
 */
#ifndef CTL_CONTROL_SERVICE_VIEW_H
#define CTL_CONTROL_SERVICE_VIEW_H

#include "ctl/control/client.h"
#include "ctl/control/compile.h"
#include "dataplane/route.h" /* enum reason: what refusals are told by */

#define SERVICE_ANSWER_MS 3000 /* for each part of what is asked */

struct service_view {
	enum control_presence presence;
	bool controller_answers; /* service is there */
	bool answers;		 /* so are process and all routes */
	int pid;		 /* of the controller, 0 = not known */
	struct err e;		 /* why one of these is not so, where something is there */
	/* As client.h has them, owned; NULL: not known. */
	json_t *service, *process, *routes, *conns;
};

/* End it with service_view_fini(). -ENOMEM, or 0. */
int service_view_read(struct service_view *v, const char *run_dir, unsigned timeout_ms);
/* What the controller says of itself, over a connection that is there. */
int service_view_ask(struct service_view *v, struct control_client *c, unsigned timeout_ms);
/* Connections instead of counters: service and conns. route: an id, 0 = all. */
int service_view_read_conns(struct service_view *v, const char *run_dir, uint32_t route,
			    unsigned timeout_ms);
void service_view_fini(struct service_view *v);

/* A number, text or flag of service or process, 0, "" or false where there is none. */
uint64_t service_view_number(const json_t *o, const char *key);
const char *service_view_text(const json_t *o, const char *key);
/* Is that generation served by a dataplane that is ready? */
bool service_view_serves(const struct service_view *v, uint32_t generation);
/* How many of the n listeners the service lacks; *first: index of the first of them. 0 where it
 * cannot be known. */
unsigned service_view_missing(const struct service_view *v, const struct control_listener *wanted,
			      unsigned n, unsigned *first);
/* "10.0.0.1:443", "[fd00::1]:443", "*:443". Returns out. */
#define SERVICE_PLACE (ADDR_TEXT + 10)
const char *service_place(const struct addr *a, uint16_t port, char out[SERVICE_PLACE]);

#endif
