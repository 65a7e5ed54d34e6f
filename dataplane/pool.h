/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool: what a worker lends to directions of connections while bytes are in
 * them - buffers of POOL_BUFFER_BYTES, and pipes that the controller made (an
 * unprivileged uid gets only 64 of 1 MiB, fs.pipe-user-pages-soft). One thread.
 */
#ifndef DATAPLANE_POOL_H
#define DATAPLANE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/budget.h"

#define POOL_BUFFER_BYTES 65536u

struct pool_pipe {
	struct pool_pipe *next;
	int fd[2]; /* read end, write end; O_NONBLOCK */
	size_t cap_bytes;
};

struct pool {
	void *free_buffers;
	unsigned n_free_buffers, n_buffers; /* idle; idle and lent */
	unsigned max_buffers;		    /* lent and idle, 0 = no bound */
	struct budget *budget; /* of all pools, for lent and idle ones; NULL = no bound */
	unsigned keep_buffers; /* idle ones that are not given back to the system */
	struct pool_pipe *free_pipes;
	unsigned n_free_pipes, n_pipes;
	uint64_t no_pipe, no_buffer; /* times there was none */
};

void pool_init(struct pool *p, unsigned max_buffers, unsigned keep_buffers);
/* Everything lent must be back; closes the pipes. */
void pool_fini(struct pool *p);
/* From now on; what is idle and more than that goes back to the system. */
void pool_keep(struct pool *p, unsigned keep_buffers);
/* POOL_BUFFER_BYTES, or NULL (counted). */
uint8_t *pool_buffer_get(struct pool *p, enum budget_use use);
void pool_buffer_put(struct pool *p, uint8_t *buffer);
/* Takes both descriptors over. 0 or -ENOMEM (they are closed then). */
int pool_pipe_add(struct pool *p, int read_fd, int write_fd);
struct pool_pipe *pool_pipe_get(struct pool *p); /* NULL (counted): copy instead */
/* Must be empty. One that may not be (a connection that broke) is emptied, or closed where that
 * fails: empty = false. */
void pool_pipe_put(struct pool *p, struct pool_pipe *pipe, bool empty);

#endif
