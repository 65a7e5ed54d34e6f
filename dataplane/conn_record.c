/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The line of a connection in the access log. Whether there is one, and its form,
 * is said by the table that is live when the connection ends: an apply that turns
 * the log on tells of connections that were there before.
 */
#include <string.h>

#include "ctl/base/clock.h"
#include "dataplane/conn.h"

static bool is_wanted(const struct worker *w)
{
	return w->access && w->table && w->table->log_access;
}

static const char *mover_of(const struct conn *c)
{
	if (c->spliced)
		return "splice";
	return c->copied ? "copy" : NULL;
}

void conn_record(struct conn *c)
{
	const struct route *r = c->route ? c->route : c->denied_by;
	char target[CONN_TARGET_TEXT];
	struct access_record line;

	if (!is_wanted(c->w))
		return;
	line = (struct access_record){
		.at_ms = clock_wall_ms(),
		.route = r ? r->name : NULL,
		.client = c->client_addr,
		.client_port = c->client_port,
		.local = *conn_local(c),
		.local_port = c->listen_port,
		.sni = c->name,
		.sni_len = c->name ? strlen(c->name) : 0,
		.target = conn_target_text(c, target),
		.bytes_up = c->told[0],
		.bytes_down = c->told[1],
		.duration_ms = loop_now_ms(c->w->loop) - c->accepted_ms,
		.reason = reason_name(c->reason),
		.mover = mover_of(c),
	};
	access_log_put(c->w->access, &line);
}

void conn_record_refused(struct worker *w, const struct sockaddr *peer, const struct listener *l,
			 enum reason why)
{
	struct access_record line;

	if (!is_wanted(w))
		return;
	line = (struct access_record){ .at_ms = clock_wall_ms(),
				       .local = l->address,
				       .local_port = l->port,
				       .reason = reason_name(why) };
	line.client = addr_from_sockaddr(peer, &line.client_port);
	access_log_put(w->access, &line);
}
