/* SPDX-License-Identifier: GPL-2.0-or-later */
/* state_meta: N.json as text and back. Pure; struct state_meta is in state.h. */
#ifndef CTL_STATE_STATE_META_H
#define CTL_STATE_STATE_META_H

#include "ctl/state/state.h"

int state_meta_format(const struct state_meta *m, struct buf *out, struct err *e);
/* path is for the sentence; `generation` is what the file's name says. -EBADMSG. */
int state_meta_parse(const char *path, const struct buf *json, uint32_t generation,
		     struct state_meta *out, struct err *e);

#endif
