/* SPDX-License-Identifier: GPL-2.0-or-later */
/* state_instance: the file `instance` in STATE and RUN, as text and back: whose they are. Pure. */
#ifndef CTL_STATE_STATE_INSTANCE_H
#define CTL_STATE_STATE_INSTANCE_H

#include "ctl/base/buf.h"
#include "ctl/host/host.h"

struct state_instance {
	struct host_identity id;
	char instance[33]; /* 32 hex digits; "" in RUN */
};

/* Out of memory: out->failed. */
void state_instance_format(const struct state_instance *i, struct buf *out);
/* path is for the sentence; needs_instance: the file of STATE. -EBADMSG. */
int state_instance_parse(const char *path, const struct buf *json, bool needs_instance,
			 struct state_instance *out, struct err *e);

#endif
