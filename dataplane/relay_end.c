/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a relay whose side is gone. A send() that fails says nothing about what is
 * in our own receive queue from the same side: a server that refuses a request with an
 * answer, and closes, is read to its end. The other side is told of the error last: a
 * reset throws away what is queued for it, so that has to be acknowledged first. So has
 * a FIN, where bytes that nobody takes still come: a socket that is closed answers them
 * with a reset. Closing and leaving the rest to the kernel was the alternative; it loses
 * what a slow client has not got yet.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "dataplane/relay_internal.h"

void relay_side_fail(struct relay *r, struct relay_side *side, int error)
{
	side->failed = true;
	if (r->error)
		return;
	r->failed_side = side == &r->side[RELAY_TARGET] ? RELAY_TARGET : RELAY_CLIENT;
	r->error = error;
}

void relay_flow_drop(struct relay_flow *f, struct pool *p)
{
	pool_buffer_put(p, f->buffer);
	pool_pipe_put(p, f->pipe, !f->in_pipe);
	f->buffer = NULL;
	f->pipe = NULL;
	f->from = f->to = f->in_pipe = 0;
	relay_flow_unfix(f);
}

void relay_flow_cut(struct relay_flow *f, struct pool *p)
{
	relay_flow_drop(f, p);
	f->cut = f->shut = true;
}

void relay_cut_failed(struct relay *r, struct pool *p)
{
	for (unsigned i = 0; i < 2; i++)
		if (r->side[i].failed && !r->flow[!i].cut)
			relay_flow_cut(&r->flow[!i], p);
}

static int side_error(const struct relay_side *side)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(side->fd, SOL_SOCKET, SO_ERROR, &error, &len) || !error)
		error = ECONNRESET;
	return error;
}

/* All that was written to it, a FIN too. */
static bool has_arrived(struct relay *r, const struct relay_side *side, bool *some)
{
	struct tcp_info i = { 0 };
	socklen_t len = sizeof(i);

	/* What was written to a unix socket is with its reader. */
	if (getsockopt(side->fd, IPPROTO_TCP, TCP_INFO, &i, &len))
		return true;
	*some = i.tcpi_bytes_acked != r->acked;
	r->acked = i.tcpi_bytes_acked;
	return !i.tcpi_unacked && !i.tcpi_notsent_bytes;
}

enum relay_result relay_last(struct relay *r, int64_t now_ms, int64_t *moved_ms, unsigned *side,
			     int *error)
{
	bool some = false;

	for (unsigned i = 0; i < 2; i++) {
		if (r->flow[i].cut || has_arrived(r, &r->side[!i], &some))
			continue;
		*moved_ms = some ? now_ms : *moved_ms;
		return RELAY_LAST;
	}
	for (unsigned i = 0; i < 2; i++)
		if (r->side[i].failed && !r->error)
			relay_side_fail(r, &r->side[i], side_error(&r->side[i]));
	*side = r->failed_side;
	*error = r->error;
	return r->error ? RELAY_BROKEN : RELAY_ENDED;
}
