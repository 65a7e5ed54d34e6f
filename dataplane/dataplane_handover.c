/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another controller: ours has died, or a new binary takes over. It connects to
 * RUN/dataplane.N.sock, gets the listening sockets - the same ones, so nothing that is
 * queued is lost - and is the controller from then on. Only root is listened to.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/dataplane_internal.h"

#define CALL_AGAIN_MS 100 /* where there was no descriptor for a caller */

static bool is_root(int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void hand_over(struct dataplane *d)
{
	struct held_listener *l = d->listeners;

	do {
		json_t *list = json_array();
		int fds[WIRE_MAX_FDS];
		unsigned n = 0;

		for (; l && n < WIRE_MAX_FDS; l = l->next) {
			char address[ADDR_TEXT];

			fds[n++] = l->fd;
			json_array_append_new(list,
					      json_pack("{s:i,s:s,s:i,s:i}", "id", (int)l->id,
							"address",
							addr_format(&l->address, address), "port",
							(int)l->port, "worker", (int)l->worker));
		}
		dataplane_send_fds(d,
				   json_pack("{s:s,s:i,s:i,s:o,s:b}", "type", "handover", "workers",
					     (int)d->n_workers, "generation",
					     d->live ? (int)d->live->generation : 0, "listeners",
					     list, "more", l != NULL),
				   fds, n);
	} while (l && d->wire.fd >= 0);
}

static void listen_again(struct timer *t)
{
	struct dataplane *d =
		(struct dataplane *)((char *)t - offsetof(struct dataplane, call_again));

	watch_change(d->loop, &d->listen_watch, EPOLLIN);
}

/* It waits in the queue, and would wake this thread again at once. */
static void call_later(struct dataplane *d)
{
	watch_change(d->loop, &d->listen_watch, 0);
	timer_set(d->loop, &d->call_again, loop_now_ms(d->loop) + CALL_AGAIN_MS, listen_again);
}

static void caller(struct watch *w, uint32_t events)
{
	struct dataplane *d =
		(struct dataplane *)((char *)w - offsetof(struct dataplane, listen_watch));
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR)
			call_later(d);
		return;
	}
	if (!is_root(fd)) {
		close(fd);
		return;
	}
	dataplane_set_wire(d, fd);
	hand_over(d);
}

int dataplane_start_handover(struct dataplane *d, int listen_fd)
{
	return watch_add(d->loop, &d->listen_watch, listen_fd, EPOLLIN, caller);
}
