/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pool: what it lends, counts, and gives back to the system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/pool.h"

#define N_BUFFERS 512 /* 32 MiB */

/* Of this process, in bytes: all that is mapped, and what of it is in memory. */
static void memory_read(size_t *mapped, size_t *resident)
{
	FILE *f = fopen("/proc/self/statm", "re");
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%zu %zu", mapped, resident), 2);
	fclose(f);
	*mapped *= page;
	*resident *= page;
}

static void buffers_fill(struct pool *p, uint8_t **v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		v[i] = pool_buffer_get(p, BUDGET_STREAM);
		assert_non_null(v[i]);
		memset(v[i], (int)i, POOL_BUFFER_BYTES);
	}
}

static void what_is_not_kept_goes_back_to_the_system(void **state)
{
	static uint8_t *v[N_BUFFERS];
	size_t mapped[3], resident[3], all = (size_t)N_BUFFERS * POOL_BUFFER_BYTES;
	struct pool p;
	void *behind;

	(void)state;
	pool_init(&p, 0, 4);
	memory_read(&mapped[0], &resident[0]);
	buffers_fill(&p, v, N_BUFFERS);
	behind = malloc(100); /* what would keep a heap from shrinking */
	memory_read(&mapped[1], &resident[1]);
	/* The kernel counts resident pages in batches per CPU. */
	assert_true(resident[1] >= resident[0] + all / 16 * 15);
	for (unsigned i = 0; i < N_BUFFERS; i++)
		pool_buffer_put(&p, v[i]);
	memory_read(&mapped[2], &resident[2]);
	assert_int_equal(p.n_buffers, 4);
	assert_int_equal(p.n_free_buffers, 4);
	assert_true(resident[1] >= resident[2] + all / 16 * 15);
	assert_true(mapped[1] >= mapped[2] + all - 4 * POOL_BUFFER_BYTES);
	free(behind);
	pool_fini(&p);
	assert_int_equal(p.n_buffers, 0);
}

static void the_last_one_used_is_lent_first(void **state)
{
	uint8_t *v[3], *last;
	struct pool p;

	(void)state;
	pool_init(&p, 0, 3);
	buffers_fill(&p, v, 3);
	for (unsigned i = 0; i < 3; i++)
		pool_buffer_put(&p, v[i]);
	for (unsigned i = 0; i < 3; i++) {
		last = pool_buffer_get(&p, BUDGET_STREAM);
		assert_ptr_equal(last, v[2 - i]);
		memset(last, 0xff, POOL_BUFFER_BYTES); /* the others' links are elsewhere */
	}
	for (unsigned i = 0; i < 3; i++)
		pool_buffer_put(&p, v[i]);
	assert_int_equal(p.n_free_buffers, 3);
	pool_fini(&p);
}

static void there_are_no_more_than_the_bound(void **state)
{
	uint8_t *v[2];
	struct pool p;

	(void)state;
	pool_init(&p, 2, 2);
	buffers_fill(&p, v, 2);
	assert_null(pool_buffer_get(&p, BUDGET_STREAM));
	assert_null(pool_buffer_get(&p, BUDGET_STREAM));
	assert_int_equal(p.no_buffer, 2);
	pool_buffer_put(&p, v[0]);
	v[0] = pool_buffer_get(&p, BUDGET_STREAM);
	assert_non_null(v[0]);
	assert_int_equal(p.no_buffer, 2);
	pool_buffer_put(&p, NULL);
	pool_buffer_put(&p, v[0]);
	pool_buffer_put(&p, v[1]);
	pool_fini(&p);
}

/* ---- pipes ---- */

static void pipe_give(struct pool *p, int cap)
{
	int fd[2];

	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(fcntl(fd[1], F_SETPIPE_SZ, cap) >= cap);
	assert_int_equal(pool_pipe_add(p, fd[0], fd[1]), 0);
}

static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void pipes_are_lent_and_counted(void **state)
{
	struct pool_pipe *a, *b;
	unsigned before = descriptors();
	struct pool p;

	(void)state;
	pool_init(&p, 0, 0);
	pipe_give(&p, 65536);
	pipe_give(&p, 131072);
	assert_int_equal(p.n_pipes, 2);
	a = pool_pipe_get(&p);
	b = pool_pipe_get(&p);
	assert_int_equal(a->cap_bytes, 131072);
	assert_int_equal(b->cap_bytes, 65536);
	assert_null(pool_pipe_get(&p));
	assert_int_equal(p.no_pipe, 1);
	pool_pipe_put(&p, NULL, true);
	pool_pipe_put(&p, a, true);
	assert_ptr_equal(pool_pipe_get(&p), a);
	assert_int_equal(p.n_free_pipes, 0);
	pool_pipe_put(&p, a, true);
	pool_pipe_put(&p, b, true);
	pool_fini(&p);
	assert_int_equal(p.n_pipes, 0);
	assert_int_equal(descriptors(), before);
}

static void nobody_gets_what_was_left_in_a_pipe(void **state)
{
	static uint8_t bytes[65536];
	struct pool_pipe *pipe;
	uint8_t byte;
	struct pool p;

	(void)state;
	pool_init(&p, 0, 0);
	pipe_give(&p, 65536);
	pipe = pool_pipe_get(&p);
	assert_int_equal(write(pipe->fd[1], bytes, sizeof(bytes)), sizeof(bytes));
	pool_pipe_put(&p, pipe, false);
	assert_ptr_equal(pool_pipe_get(&p), pipe); /* not lost either */
	assert_int_equal(read(pipe->fd[0], &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	pool_pipe_put(&p, pipe, false);
	assert_int_equal(p.n_free_pipes, 1);
	pool_fini(&p);
}

static void a_pipe_that_cannot_be_emptied_is_closed(void **state)
{
	unsigned before = descriptors();
	struct pool_pipe *pipe;
	struct pool p;

	(void)state;
	pool_init(&p, 0, 0);
	pipe_give(&p, 65536);
	pipe = pool_pipe_get(&p);
	close(pipe->fd[1]); /* reads come to the end, not to EAGAIN */
	pipe->fd[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pool_pipe_put(&p, pipe, false);
	assert_int_equal(p.n_pipes, 0);
	assert_null(pool_pipe_get(&p));
	pool_fini(&p);
	assert_int_equal(descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_kept_goes_back_to_the_system),
		cmocka_unit_test(the_last_one_used_is_lent_first),
		cmocka_unit_test(there_are_no_more_than_the_bound),
		cmocka_unit_test(pipes_are_lent_and_counted),
		cmocka_unit_test(nobody_gets_what_was_left_in_a_pipe),
		cmocka_unit_test(a_pipe_that_cannot_be_emptied_is_closed),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
