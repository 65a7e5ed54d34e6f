/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The timer is this binary once more, in a session of its own and with no
 * descriptor of the terminal or of a pipe: it outlives the shell, and the
 * connection, that its apply was run from. Whether one runs is told by a flock on
 * STATE/timer (several STATEs may share a RUN), which it inherits already taken and
 * which ends with it however it ends. It keeps no order of its own: it sleeps until the deadline
 * that the live generation's N.json has, and looks again whenever a file in STATE/applied changes,
 * so confirming or replacing that generation needs no message to it. It ends only under the
 * session's lock, so that an apply which finds it running can rely on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ctl/apply/confirm.h"
#include "ctl/apply/failpoint.h"
#include "ctl/base/clock.h"
#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/state/state_confirm.h"

#define LOCK_NAME "timer"
#define LOG_NAME  "timer.log"
/* After a failure, doubled each time: the gateway may be cut off until it works. */
#define RETRY_MIN_MS  1000
#define RETRY_MAX_MS  60000
#define LOCK_WAIT_MS  3600000 /* for another command to finish; then it is said and tried again */
#define LOG_MAX_BYTES 65536
#define LOOK_AGAIN_MS 1000 /* where changes of files cannot be watched */

/* ---- is one running ---- */

static int lock_file_open(const struct session *s)
{
	char *path = state_path(&s->state, LOCK_NAME);
	int fd = path ? open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;

	free(path);
	return fd;
}

static bool timer_runs(const struct session *s)
{
	char *path = state_path(&s->state, LOCK_NAME);
	int fd = path ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
	bool runs = fd >= 0 && io_is_locked(fd);

	if (fd >= 0)
		close(fd);
	free(path);
	return runs;
}

void confirm_look(const struct session *s, struct confirm_view *out)
{
	const struct state_confirm *c = &s->meta.confirm;

	*out = (struct confirm_view){ 0 };
	if (!s->live || !state_confirm_is_open(c))
		return;
	out->generation = s->live;
	out->previous = c->previous;
	out->left_ms = state_confirm_left_ms(c, s->state.boot, clock_boot_ms());
	out->end_wall_ms = clock_wall_ms() + out->left_ms;
	out->timer = timer_runs(s);
}

/* ---- starting ---- */

static int start(const struct session *s, char *state_dir, char *run_dir, int lock_fd)
{
	char name[] = "spctl", command[] = CONFIRM_TIMER_COMMAND, state[] = "--state-dir",
	     run[] = "--run-dir";
	char *argv[] = { name, command, state, state_dir, run, run_dir, NULL };
	char *log = state_run_path(&s->state, LOG_NAME);
	pid_t pid;
	int rc = log ? process_start_background(argv, log, lock_fd, &pid) : -ENOMEM;

	free(log);
	return rc;
}

int confirm_start_timer(const struct session *s, struct err *e)
{
	char *state_dir, *run_dir;
	int fd = lock_file_open(s), rc;

	if (fd < 0)
		return err_sys(e, errno, "cannot make %s/" LOCK_NAME, s->state.state_dir);
	rc = io_lock(fd);
	if (rc) {
		close(fd);
		return rc == -EWOULDBLOCK
			       ? 0 /* one runs */
			       : err_sys(e, rc, "cannot lock %s/" LOCK_NAME, s->state.state_dir);
	}
	/* The timer's working directory is another. */
	state_dir = realpath(s->state.state_dir, NULL);
	run_dir = realpath(s->state.run_dir, NULL);
	rc = state_dir && run_dir ? start(s, state_dir, run_dir, fd) : -errno;
	free(state_dir);
	free(run_dir);
	close(fd); /* the child's copy keeps the lock */
	return rc ? err_sys(e, rc, "cannot start the timer that takes it back") : 0;
}

/* ---- the process itself ---- */

struct timer {
	const char *state_dir, *run_dir;
	int lock_fd, clock_fd, watch_fd;
	/* What was last read of the live generation. Should its file be damaged, then that counts:
	 * a broken file must not be what confirms. */
	uint32_t known;
	struct state_confirm confirm;
};

static void recall(struct timer *t, struct session *s)
{
	if (s->live && s->meta.generation) {
		t->known = s->live;
		t->confirm = s->meta.confirm;
	} else if (s->live && s->live == t->known) {
		s->meta.confirm = t->confirm;
	}
}

/* STATE/live changes with every take-back and down, STATE/applied with every generation. */
static int watch(const struct timer *t)
{
	const uint32_t events = IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF;
	char path[PATH_MAX];
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	snprintf(path, sizeof(path), "%s/applied", t->state_dir);
	if (fd >= 0 && (inotify_add_watch(fd, t->state_dir, events) < 0 ||
			inotify_add_watch(fd, path, events) < 0)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		log_warn("cannot watch %s: %s", t->state_dir, strerror(errno));
	return fd;
}

static void drain(int fd)
{
	char events[4096];

	while (fd >= 0 && read(fd, events, sizeof(events)) > 0)
		;
}

/* Until that moment of CLOCK_BOOTTIME or a change of the files. */
static void sleep_until(const struct timer *t, int64_t boot_ms)
{
	struct itimerspec when = { .it_value = { .tv_sec = boot_ms / 1000,
						 .tv_nsec = boot_ms % 1000 * 1000000 } };
	struct pollfd p[2] = { { .fd = t->clock_fd, .events = POLLIN },
			       { .fd = t->watch_fd, .events = POLLIN } };

	timerfd_settime(t->clock_fd, TFD_TIMER_ABSTIME, &when, NULL);
	poll(p, 2, t->watch_fd < 0 ? LOOK_AGAIN_MS : -1);
	drain(t->watch_fd);
}

/* A look without the lock: how long to sleep; 0 = something is to be done or to be ended. */
static int64_t look(struct timer *t)
{
	struct err e = { 0 };
	struct confirm_view v;
	struct session s;

	if (session_open(&s, t->state_dir, t->run_dir, 0, 0, &e))
		return 0;
	recall(t, &s);
	confirm_look(&s, &v);
	session_close(&s);
	return v.left_ms ? clock_boot_ms() + v.left_ms : 0;
}

/* confirm_open() did it, unless the files of that generation cannot be read. */
static int finish_remembered(struct timer *t, struct session *s, struct err *e)
{
	struct confirm_view v;

	recall(t, s);
	confirm_look(s, &v);
	if (s->meta.generation || !v.generation || v.left_ms)
		return v.generation ? -EAGAIN : 0;
	log_warn("generation %u was not confirmed, and its files are damaged: generation %u comes "
		 "back",
		 v.generation, v.previous);
	return confirm_take_back(s, e);
}

/* True: nothing waits any more, and the timer's lock is given back while nobody can begin. */
static bool finish(struct timer *t, struct err *e)
{
	struct session s;
	int rc = confirm_open(&s, t->state_dir, t->run_dir, SESSION_LOCK, LOCK_WAIT_MS, NULL, e);

	if (rc == -ENOENT || rc == -EXDEV) {
		close(t->lock_fd);
		return true;
	}
	if (rc)
		return false;
	rc = finish_remembered(t, &s, e);
	if (!rc)
		close(t->lock_fd);
	session_close(&s);
	return !rc;
}

static bool is_lock(const char *state_dir, int fd)
{
	char path[PATH_MAX];
	struct stat mine, there;

	snprintf(path, sizeof(path), "%s/" LOCK_NAME, state_dir);
	return !fstat(fd, &mine) && !lstat(path, &there) && mine.st_dev == there.st_dev &&
	       mine.st_ino == there.st_ino && !io_lock(fd);
}

/* It may fail for days, and RUN is in memory. */
static void cut_log(void)
{
	struct stat st;

	if (!fstat(STDERR_FILENO, &st) && S_ISREG(st.st_mode) && st.st_size > LOG_MAX_BYTES &&
	    ftruncate(STDERR_FILENO, 0) < 0)
		return;
}

int confirm_timer_run(const char *state_dir, const char *run_dir, int lock_fd, struct err *e)
{
	struct timer t = { .state_dir = state_dir, .run_dir = run_dir, .lock_fd = lock_fd };
	int64_t retry_ms = RETRY_MIN_MS;

#ifdef SPCTL_FAILPOINTS
	failpoint_in_timer();
#endif
	if (!is_lock(state_dir, lock_fd))
		return err_set(e, EINVAL, "only spctl apply --confirm starts this");
	fcntl(lock_fd, F_SETFD, FD_CLOEXEC);
	t.clock_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t.clock_fd < 0)
		return err_sys(e, errno, "cannot make a timer");
	t.watch_fd = watch(&t);
	log_skip_repeats();
	for (;;) {
		struct err why = { 0 };
		int64_t until = look(&t);

		if (until) {
			sleep_until(&t, until);
			retry_ms = RETRY_MIN_MS;
			continue;
		}
		cut_log();
		if (finish(&t, &why))
			return 0;
		if (why.msg[0])
			log_err("%s", why.msg);
		/* Our own attempt changed files, too. What others changed is seen by the look. */
		drain(t.watch_fd);
		if (look(&t))
			continue;
		sleep_until(&t, clock_boot_ms() + retry_ms);
		retry_ms = retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : retry_ms * 2;
	}
}
