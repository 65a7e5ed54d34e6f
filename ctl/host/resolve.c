/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parent's half: what needs no question is answered here, the rest is
 * asked by a child without privileges (resolve_child.c), whose records are
 * foreign bytes. One record that is not what we would have written ends the
 * child: the names it did not answer yet are then unresolved.
 */
#include "ctl/host/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "ctl/host/resolve_child.h"
#include "ctl/host/resolve_record.h"

#define NAME_MAX_BYTES 254 /* RFC 1035, with the final dot */

static bool is_localhost(const char *name)
{
	size_t len = strlen(name);

	if (len && name[len - 1] == '.')
		len--;
	if (len == 9)
		return !strncasecmp(name, "localhost", 9);
	return len > 10 && !strncasecmp(name + len - 10, ".localhost", 10);
}

static int answer_set(struct resolved_name *r, const struct addr *v, unsigned n, struct err *e)
{
	struct addr *copy = malloc(n * sizeof(*copy));

	if (!copy)
		return err_set(e, ENOMEM, "out of memory");
	memcpy(copy, v, n * sizeof(*copy));
	free(r->addrs);
	r->addrs = copy;
	r->n = n;
	r->why[0] = '\0';
	return 0;
}

/* localhost (RFC 6761, 6.3), addresses, and what cannot be a name. *asks = a question is left. */
static int answer_here(const char *name, struct resolved_name *r, bool *asks, struct err *e)
{
	static const struct addr loopback[2] = {
		{ .family = ADDR_V4, .bytes = { 127, 0, 0, 1 } },
		{ .family = ADDR_V6, .bytes = { [15] = 1 } },
	};
	struct addr a;

	*asks = false;
	if (is_localhost(name))
		return answer_set(r, loopback, 2, e);
	if (addr_parse(name, &a)) {
		if (resolve_addrs_normalize(&a, 1))
			return answer_set(r, &a, 1, e);
		snprintf(r->why, sizeof(r->why), "it is no address that can be connected to");
		return 0;
	}
	if (!*name || strlen(name) > NAME_MAX_BYTES) {
		snprintf(r->why, sizeof(r->why), "it is not a host name");
		return 0;
	}
	*asks = true;
	return 0;
}

struct child {
	pid_t pid;
	int fd;
};

static int child_start(struct child *c, const char *const *questions, unsigned n, struct err *e)
{
	int parent_pid = (int)getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "cannot make a pipe for the resolver");
	c->pid = fork();
	if (!c->pid)
		resolve_child_run(questions, n, fds[1], parent_pid);
	close(fds[1]);
	if (c->pid < 0) {
		int code = errno;

		close(fds[0]);
		return err_sys(e, code, "cannot start the resolver process");
	}
	c->fd = fds[0];
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	return 0;
}

/* By pid: until waitpid() it cannot be anybody else's. */
static void child_end(const struct child *c)
{
	/* kill(0) and kill(-1) would be everybody. */
	if (c->pid <= 0)
		return;
	kill(c->pid, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(c->fd);
}

enum read_result { READ_RECORD, READ_END, READ_LATE };

static enum read_result record_read(int fd, int64_t deadline_ms, uint8_t out[RESOLVE_RECORD_LEN])
{
	size_t len = 0;

	while (len < RESOLVE_RECORD_LEN) {
		int64_t left_ms = deadline_ms - clock_mono_ms();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (left_ms <= 0)
			return READ_LATE;
		if (poll(&p, 1, left_ms > INT_MAX ? INT_MAX : (int)left_ms) < 0 && errno != EINTR)
			return READ_END;
		n = read(fd, out + len, RESOLVE_RECORD_LEN - len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return READ_END;
		len += (size_t)n;
	}
	return READ_RECORD;
}

/* Takes records until all questions are answered; why[] of the others says how it ended. */
static int collect(int fd, const char **questions, unsigned n, unsigned open, unsigned timeout_ms,
		   int64_t deadline_ms, struct resolved_name *out, struct err *e)
{
	uint8_t bytes[RESOLVE_RECORD_LEN];
	enum read_result how = READ_END;
	struct resolve_record r;
	bool nonsense = false;

	while (open && (how = record_read(fd, deadline_ms, bytes)) == READ_RECORD) {
		nonsense =
			!resolve_record_parse(bytes, sizeof(bytes), n, &r) || !questions[r.index];
		if (nonsense)
			break;
		questions[r.index] = NULL;
		open--;
		if (r.n && answer_set(&out[r.index], r.addrs, r.n, e) < 0)
			return -ENOMEM;
		memcpy(out[r.index].why, r.why, sizeof(r.why));
	}
	for (unsigned i = 0; open && i < n; i++) {
		if (!questions[i])
			continue;
		if (how == READ_LATE)
			snprintf(out[i].why, sizeof(out[i].why), "no answer within %u ms",
				 timeout_ms);
		else
			snprintf(out[i].why, sizeof(out[i].why), "the resolver process %s",
				 nonsense ? "sent nonsense" : "ended early");
	}
	return 0;
}

static int ask(const char **questions, unsigned n, unsigned open, unsigned timeout_ms,
	       struct resolved_name *out, struct err *e)
{
	int64_t deadline_ms = clock_mono_ms() + timeout_ms;
	struct child c = { .pid = 0, .fd = -1 };
	int rc = child_start(&c, questions, n, e);

	if (rc)
		return rc;
	rc = collect(c.fd, questions, n, open, timeout_ms, deadline_ms, out, e);
	child_end(&c);
	return rc;
}

int resolve_names(const char *const *names, unsigned n, unsigned timeout_ms,
		  struct resolved_name *out, struct err *e)
{
	const char **questions = calloc(n ? n : 1, sizeof(*questions));
	unsigned open = 0;
	int rc = 0;

	if (!questions)
		return err_set(e, ENOMEM, "out of memory");
	for (unsigned i = 0; i < n; i++)
		out[i] = (struct resolved_name){ .name = names[i] };
	for (unsigned i = 0; !rc && i < n; i++) {
		bool asks;

		rc = answer_here(names[i], &out[i], &asks, e);
		if (asks && !rc) {
			questions[i] = names[i];
			open++;
		}
	}
	if (!rc && open)
		rc = ask(questions, n, open, timeout_ms, out, e);
	if (rc)
		resolved_names_fini(out, n);
	free(questions);
	return rc;
}

void resolved_names_fini(struct resolved_name *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		free(v[i].addrs);
		v[i].addrs = NULL;
		v[i].n = 0;
	}
}
