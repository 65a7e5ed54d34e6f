/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/service/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Smaller ones serve, too: without CAP_SYS_RESOURCE the kernel may not give more. */
static int pipe_make(int fds[2], size_t *bytes)
{
	int size;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	size = fcntl(fds[1], F_SETPIPE_SZ, (int)PIPES_BYTES);
	if (size < 0)
		size = fcntl(fds[1], F_GETPIPE_SZ);
	*bytes += size > 0 ? (size_t)size : 0;
	return 0;
}

static int batch_send(struct wire *w, const int *fds, unsigned n_pipes, struct err *e)
{
	const int rc = wire_send(w, json_pack("{s:s}", "type", "pipes"), fds, n_pipes * 2, true);

	return rc ? err_sys(e, rc, "cannot send pipes") : 0;
}

int pipes_send(struct wire *w, unsigned n, struct err *e)
{
	int fds[WIRE_MAX_FDS], rc = 0;
	unsigned made = 0, batch = 0;
	size_t bytes = 0;

	while (!rc && made < n && bytes + PIPES_BYTES <= PIPES_BYTES_MAX) {
		rc = pipe_make(fds + 2 * batch, &bytes);
		if (rc)
			break;
		made++;
		if (++batch < PIPES_BATCH)
			continue;
		rc = batch_send(w, fds, batch, e);
		batch = 0;
	}
	/* Fewer are no failure: connections go by copy then. */
	if (batch && batch_send(w, fds, batch, e))
		return e && e->code ? e->code : -EIO;
	return made ? (int)made : rc ? err_sys(e, rc, "cannot make pipes") : 0;
}
