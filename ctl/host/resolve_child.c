/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/resolve_child.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/host/resolve_record.h"
#include "ctl/host/unprivileged.h"

#define THREADS_MAX 16
/* What the sort sees before it is cut to RESOLVE_MAX_ADDRS: the lowest stay, whatever
 * order the name server gave, so that two runs choose the same. */
#define ANSWERS_MAX 256

struct job {
	const char *const *names;
	unsigned n;
	atomic_uint next;
	int fd;
};

static unsigned answers_take(const struct addrinfo *list, struct addr v[ANSWERS_MAX])
{
	unsigned n = 0;

	for (const struct addrinfo *a = list; a && n < ANSWERS_MAX; a = a->ai_next) {
		v[n] = addr_from_sockaddr(a->ai_addr, NULL);
		if (v[n].family != ADDR_NONE)
			n++;
	}
	return resolve_addrs_normalize(v, n);
}

static void ask(const char *name, struct resolve_record *r)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addr v[ANSWERS_MAX];
	struct addrinfo *list = NULL;
	int code = getaddrinfo(name, NULL, &hints, &list);

	if (code) {
		snprintf(r->why, sizeof(r->why), "%s",
			 code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
		return;
	}
	r->n = answers_take(list, v);
	freeaddrinfo(list);
	if (r->n > RESOLVE_MAX_ADDRS)
		r->n = RESOLVE_MAX_ADDRS;
	memcpy(r->addrs, v, r->n * sizeof(*v));
	if (!r->n)
		snprintf(r->why, sizeof(r->why), "it has no address that can be connected to");
}

static void *worker(void *arg)
{
	struct job *j = arg;
	uint8_t bytes[RESOLVE_RECORD_LEN];

	for (;;) {
		unsigned i = atomic_fetch_add(&j->next, 1);
		struct resolve_record r = { .index = i };

		if (i >= j->n)
			return NULL;
		if (!j->names[i])
			continue;
		ask(j->names[i], &r);
		resolve_record_format(&r, bytes);
		if (io_write_all(j->fd, bytes, sizeof(bytes)) < 0)
			_exit(1);
	}
}

_Noreturn void resolve_child_run(const char *const *names, unsigned n, int fd, int parent_pid)
{
	struct job j = { .names = names, .n = n };
	pthread_t threads[THREADS_MAX - 1];
	unsigned started = 0;

	j.fd = unprivileged_detach(fd);
	if (j.fd < 0 || unprivileged_become(parent_pid) < 0)
		_exit(1);
	/* This thread is one of them: fewer threads (no memory, RLIMIT_NPROC) are only slower. */
	while (started + 1 < n && started < THREADS_MAX - 1 &&
	       !pthread_create(&threads[started], NULL, worker, &j))
		started++;
	worker(&j);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}
