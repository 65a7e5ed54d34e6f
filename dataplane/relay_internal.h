/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between relay.c, which moves bytes, and relay_end.c, which ends. Only they include this. */
#ifndef DATAPLANE_RELAY_INTERNAL_H
#define DATAPLANE_RELAY_INTERNAL_H

#include "dataplane/relay.h"

/* error: a positive errno. The first one is what is reported. */
void relay_side_fail(struct relay *r, struct relay_side *side, int error);
void relay_flow_drop(struct relay_flow *f, struct pool *p); /* what it holds */
void relay_flow_unfix(struct relay_flow *f);		    /* its buffer counts no more */
void relay_flow_cut(struct relay_flow *f, struct pool *p);
/* Nothing more goes to a side that has failed. */
void relay_cut_failed(struct relay *r, struct pool *p);
/* A side is gone, and nothing is to be sent any more: what relay_run() says. */
enum relay_result relay_last(struct relay *r, int64_t now_ms, int64_t *moved_ms, unsigned *side,
			     int *error);

#endif
