/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/session_conn.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/host/proc_text.h"

#define NAME	      "SSH_CONNECTION"
#define MAX_PARENTS   64
#define ENVIRON_BYTES (1u << 20) /* of one process; more than the kernel's usual limit is odd */

/* A process may be gone, or another user's: then it says nothing. */
static bool find_in(int pid, struct session_conn *out)
{
	char path[64], *block;
	const char *value = NULL;
	ssize_t n = -1;
	bool found;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	block = fd >= 0 ? malloc(ENVIRON_BYTES) : NULL;
	if (block)
		n = io_read_all(fd, block, ENVIRON_BYTES);
	if (n > 0)
		value = session_conn_lookup(block, (size_t)n, NAME);
	found = value && session_conn_parse(value, out);
	free(block);
	if (fd >= 0)
		close(fd);
	return found;
}

static int parent_of(int pid)
{
	char path[64], text[1024];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return io_read_text(path, text, sizeof(text), NULL) ? 0 : proc_text_parent(text);
}

bool session_conn_find(struct session_conn *out)
{
	const char *own = getenv(NAME);
	int pid = getppid();

	if (own && session_conn_parse(own, out))
		return true;
	for (unsigned i = 0; pid > 1 && i < MAX_PARENTS; i++, pid = parent_of(pid))
		if (find_in(pid, out))
			return true;
	return false;
}
