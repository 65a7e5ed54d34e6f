/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pipes: what splice(2) moves bytes through, made by root because the kernel
 * lets an ordinary user have only few pages in pipes, and none larger than
 * fs.pipe-max-size.
 */
#ifndef CTL_SERVICE_PIPES_H
#define CTL_SERVICE_PIPES_H

#include "dataplane/wire.h"

#define PIPES_BYTES	(1u << 20)   /* of one */
#define PIPES_BYTES_MAX (256u << 20) /* of all: what a dataplane can fill at most */
#define PIPES_BATCH	(WIRE_MAX_FDS / 2)

/* Queues "pipes" messages with n pipes, or as many as stay below PIPES_BYTES_MAX together. Returns
 * how many, or negative. */
int pipes_send(struct wire *w, unsigned n, struct err *e);

#endif
