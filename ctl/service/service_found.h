/* SPDX-License-Identifier: GPL-2.0-or-later */
/* service_found: what the dataplane found out about targets, and who it has to be told to: STATE
 * and the kernel (by a child, which does it with the code of apply), and each new dataplane. */
#ifndef CTL_SERVICE_SERVICE_FOUND_H
#define CTL_SERVICE_SERVICE_FOUND_H

#include <jansson.h>
#include <sys/types.h>

#include "ctl/state/state_found.h"
#include "dataplane/loop.h"

struct service;
struct upcall;

struct service_found {
	struct state_found list; /* of what is live; not sorted */
	pid_t pid;		 /* of the child that makes it true, or 0 */
	bool dirty;		 /* it is not what the last child was given */
	struct timer again;
	unsigned pause_ms; /* after the next failure */
};

/* With what STATE has; it is taken over. The link is there. */
void found_begin(struct service *s, struct state_found *from);
void found_fini(struct service *s);
/* UPCALL_TARGET, UPCALL_NAME_CHANGED: whatever the live routes do not have is passed over. */
void found_heard(struct service *s, const struct upcall *u);
/* Another generation is live: what it does not have is forgotten. names: [{name, addresses}] as the
 * command resolved them, or NULL. */
void found_generation(struct service *s, const json_t *names);
/* The same list of names that STATE has; NULL: no memory. */
json_t *found_names_json(const struct state_found *f);
void found_dataplane_ready(struct service *s);
bool found_child_ended(struct service *s, pid_t pid, int status);

#endif
