/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each buffer is a mapping of its own. From malloc() it would lie in the heap of
 * its thread, and one small block behind it that lives on would keep the pages of
 * all buffers before it; munmap() gives them back now, whatever else is alive.
 * What that costs (a call, and 16 page faults when it is filled again) is paid
 * only by more than keep_buffers at once. Huge pages are refused: a part of one
 * that is unmapped stays in memory until the system runs short of it.
 *
 * Idle buffers are linked through their first bytes, the last one used first,
 * because it is in the cache.
 *
 * The dataplane cannot make pipes of a useful size, so it never throws one away
 * that it could empty: else a few clients that reset their connections would
 * leave everybody without.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/pool.h"

#define DRAIN_BYTES 16384

void pool_init(struct pool *p, unsigned max_buffers, unsigned keep_buffers)
{
	*p = (struct pool){ .max_buffers = max_buffers, .keep_buffers = keep_buffers };
}

/* ---- buffers ---- */

static void *buffer_pop(struct pool *p)
{
	void *b = p->free_buffers;

	memcpy(&p->free_buffers, b, sizeof(p->free_buffers));
	p->n_free_buffers--;
	return b;
}

static void *buffer_map(struct pool *p, enum budget_use use)
{
	void *b;

	if (p->max_buffers && p->n_buffers >= p->max_buffers)
		return NULL;
	if (!budget_take(p->budget, POOL_BUFFER_BYTES, use))
		return NULL;
	b = mmap(NULL, POOL_BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	if (b == MAP_FAILED) {
		budget_give(p->budget, POOL_BUFFER_BYTES);
		return NULL;
	}
	madvise(b, POOL_BUFFER_BYTES, MADV_NOHUGEPAGE);
	p->n_buffers++;
	return b;
}

static void buffer_unmap(struct pool *p, void *b)
{
	munmap(b, POOL_BUFFER_BYTES);
	budget_give(p->budget, POOL_BUFFER_BYTES);
	p->n_buffers--;
}

void pool_keep(struct pool *p, unsigned keep_buffers)
{
	p->keep_buffers = keep_buffers;
	while (p->n_free_buffers > keep_buffers)
		buffer_unmap(p, buffer_pop(p));
}

uint8_t *pool_buffer_get(struct pool *p, enum budget_use use)
{
	void *b = p->free_buffers ? buffer_pop(p) : buffer_map(p, use);

	if (!b)
		p->no_buffer++;
	return b;
}

void pool_buffer_put(struct pool *p, uint8_t *buffer)
{
	if (!buffer)
		return;
	if (p->n_free_buffers >= p->keep_buffers) {
		buffer_unmap(p, buffer);
		return;
	}
	memcpy(buffer, &p->free_buffers, sizeof(p->free_buffers));
	p->free_buffers = buffer;
	p->n_free_buffers++;
}

/* ---- pipes ---- */

static void pipe_idle(struct pool *p, struct pool_pipe *pipe)
{
	pipe->next = p->free_pipes;
	p->free_pipes = pipe;
	p->n_free_pipes++;
}

static void pipe_close(struct pool *p, struct pool_pipe *pipe)
{
	close(pipe->fd[0]);
	close(pipe->fd[1]);
	free(pipe);
	p->n_pipes--;
}

int pool_pipe_add(struct pool *p, int read_fd, int write_fd)
{
	struct pool_pipe *pipe = calloc(1, sizeof(*pipe));
	int cap = fcntl(write_fd, F_GETPIPE_SZ);

	if (!pipe) {
		close(read_fd);
		close(write_fd);
		return -ENOMEM;
	}
	pipe->fd[0] = read_fd;
	pipe->fd[1] = write_fd;
	pipe->cap_bytes = cap > 0 ? (size_t)cap : 0;
	p->n_pipes++;
	pipe_idle(p, pipe);
	return 0;
}

struct pool_pipe *pool_pipe_get(struct pool *p)
{
	struct pool_pipe *pipe = p->free_pipes;

	if (!pipe) {
		p->no_pipe++;
		return NULL;
	}
	p->free_pipes = pipe->next;
	p->n_free_pipes--;
	return pipe;
}

/* True: nothing is in it any more. At most its capacity is read: nobody writes meanwhile. */
static bool pipe_drain(const struct pool_pipe *pipe)
{
	uint8_t scrap[DRAIN_BYTES];
	ssize_t n;

	do
		n = read(pipe->fd[0], scrap, sizeof(scrap));
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 && errno == EAGAIN;
}

void pool_pipe_put(struct pool *p, struct pool_pipe *pipe, bool empty)
{
	if (!pipe)
		return;
	if (empty || pipe_drain(pipe))
		pipe_idle(p, pipe);
	else
		pipe_close(p, pipe);
}

void pool_fini(struct pool *p)
{
	assert(p->n_free_buffers == p->n_buffers && p->n_free_pipes == p->n_pipes);
	while (p->free_buffers)
		buffer_unmap(p, buffer_pop(p));
	while (p->free_pipes)
		pipe_close(p, pool_pipe_get(p));
}
