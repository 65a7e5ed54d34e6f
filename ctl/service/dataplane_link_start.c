/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process of a link: what it is made of, and all that it is told first. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/base/log.h"
#include "ctl/control/run_socket.h"
#include "ctl/service/dataplane_link_internal.h"
#include "ctl/service/dns_conf.h"
#include "ctl/service/pipes.h"
#include "ctl/service/spawn.h"

#define SOCKETS_MAX 1024

static void queue_names(struct link *l)
{
	json_t *list = json_array(), *v;
	const char *name;

	json_object_foreach (l->names, name, v)
		json_array_append_new(list, json_pack("{s:s,s:O}", "name", name, "addresses", v));
	link_say_fds(l, json_pack("{s:s,s:o}", "type", "names", "names", list), NULL, 0);
}

static int queue_start(struct link *l)
{
	return link_say_fds(l,
			    json_pack("{s:s,s:i,s:i,s:o}", "type", "start", "workers",
				      (int)l->config.workers, "helloMax",
				      (int)l->config.hello_max_bytes, "dns", dns_conf_read()),
			    NULL, 0);
}

/* Who asks for no access lines gives his dataplane nothing that it could write to. */
static int queue_access(struct link *l, const json_t *load)
{
	const bool asked = json_is_true(json_object_get(json_object_get(load, "log"), "access"));
	int fd;

	if (!asked || l->has_access || l->config.access_fd < 0)
		return 0;
	fd = fcntl(l->config.access_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	l->has_access = true;
	return link_say_fds(l, json_pack("{s:s}", "type", "access"), &fd, 1);
}

int link_queue_load(struct link *l, json_t *load)
{
	const int rc = queue_access(l, load);

	return rc ? rc : link_say_fds(l, json_incref(load), NULL, 0);
}

static int queue_all(struct link *l, struct err *e)
{
	int rc = queue_start(l);

	if (rc)
		return err_sys(e, rc, "cannot tell the dataplane to start");
	rc = pipes_send(&l->wire, l->config.pipes, e);
	if (rc < 0)
		log_warn("%s: connections go by copy", e->msg);
	if (json_object_size(l->names))
		queue_names(l);
	for (size_t i = 0; i < l->listeners->n; i++)
		l->listeners->v[i].sent = false;
	l->has_access = false;
	rc = l->live ? link_queue_load(l, l->live) : 0;
	return rc ? err_sys(e, rc, "cannot tell the dataplane what to serve") : 0;
}

/* Shared: an old one that drains has it, too. */
static int lock_open(const struct link *l, struct err *e)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/" LINK_LOCK, l->config.run_dir);
	fd = open(path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && !flock(fd, LOCK_SH))
		return fd;
	err_sys(e, errno, "cannot lock %s", path);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- its socket ---- */

bool link_socket_number(const char *name, unsigned *number)
{
	int end = 0;

	return sscanf(name, "dataplane.%5u.sock%n", number, &end) == 1 && end && !name[end];
}

/* One that nobody has: there is one controller in a RUN. */
static int socket_name(struct link *l, struct err *e)
{
	char path[PATH_MAX];

	for (unsigned i = 1; i <= SOCKETS_MAX; i++) {
		snprintf(l->socket, sizeof(l->socket), "dataplane.%u.sock", i);
		snprintf(path, sizeof(path), "%s/%s", l->config.run_dir, l->socket);
		if (access(path, F_OK) < 0 && errno == ENOENT)
			return 0;
	}
	l->socket[0] = '\0';
	return err_set(e, -EEXIST, "%u dataplanes have a socket in %s already", SOCKETS_MAX,
		       l->config.run_dir);
}

void link_socket_remove(struct link *l)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", l->config.run_dir, l->socket);
	if (l->socket[0])
		unlink(path);
	l->socket[0] = '\0';
}

static int socket_open(struct link *l, struct err *e)
{
	int rc = socket_name(l, e);

	return rc ? rc : run_socket_listen(l->config.run_dir, l->socket, 8, e);
}

/* ---- the process ---- */

static int dataplane_start(struct link *l, int pair[2], struct err *e)
{
	struct spawn s = { .user = l->config.user, .page_fd = seccomp_page_new(e) };
	pid_t pid = -1;

	l->page_fd = s.page_fd;
	if (s.page_fd < 0)
		return e->code;
	l->page = seccomp_page_map(s.page_fd);
	s.wire_fd = pair[1];
	s.lock_fd = lock_open(l, e);
	s.listen_fd = s.lock_fd < 0 ? -1 : socket_open(l, e);
	/* Reports of sanitizers are long, and go where they are looked for. */
	s.err_fd = seccomp_is_built_in() ? words_open(&l->words) : -1;
	if (s.listen_fd >= 0)
		pid = spawn_dataplane(&s, e);
	if (s.err_fd >= 0)
		close(s.err_fd);
	if (s.listen_fd >= 0)
		close(s.listen_fd);
	if (s.lock_fd >= 0)
		close(s.lock_fd);
	if (pid < 0) {
		link_socket_remove(l);
		return e->code ? e->code : -EIO;
	}
	l->pid = pid;
	return 0;
}

int link_process_start(struct link *l, struct err *e)
{
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return err_sys(e, errno, "cannot make a socket pair");
	rc = dataplane_start(l, pair, e);
	close(pair[1]);
	if (rc) {
		close(pair[0]);
		return rc;
	}
	wire_init(&l->wire, pair[0], WIRE_MAX_UP);
	rc = watch_add(l->loop, &l->watch, pair[0], EPOLLIN, link_receive);
	rc = rc ? err_sys(e, rc, "cannot watch the dataplane") : queue_all(l, e);
	if (rc)
		link_kill(l, "it could not be told anything");
	link_flush(l);
	return 0; /* its end starts the next attempt */
}

static void at_once(struct timer *t)
{
	link_start((struct link *)((char *)t - offsetof(struct link, clock)));
}

/* In a turn of its own: who asks for it may be in the middle of something. */
void link_hurry(struct link *l)
{
	if (l->pid || l->state != LINK_DOWN)
		return;
	l->pause_ms = LINK_PAUSE_MIN_MS;
	timer_set(l->loop, &l->clock, loop_now_ms(l->loop), at_once);
}
