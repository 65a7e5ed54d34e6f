/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * STATE/lock: flock, so the kernel gives it back whatever happens to the holder.
 * The pid in the file is only for the message. flock has no deadline and a
 * timer signal would be everybody's business, so we ask again in short steps.
 */
#include "ctl/state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "ctl/base/io.h"
#include "ctl/base/log.h"

#define LOCK_FIRST_STEP_MS 2
#define LOCK_MAX_STEP_MS   50

static int lock_open(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);

	return fd < 0 ? err_sys(e, errno, "cannot open %s", path) : fd;
}

/* Somebody may have removed it between open and flock: then we hold a lock nobody sees. */
static bool is_still_there(int fd, const char *path)
{
	struct stat mine, there;

	return !fstat(fd, &mine) && !lstat(path, &there) && mine.st_dev == there.st_dev &&
	       mine.st_ino == there.st_ino;
}

static int holder_pid(int fd)
{
	char text[16] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	char *end;
	long pid;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	pid = strtol(text, &end, 10);
	return pid > 0 && pid < 1 << 30 && *end == '\n' ? (int)pid : 0;
}

static const char *holder_text(int fd, char out[24])
{
	int pid = holder_pid(fd);

	if (pid)
		snprintf(out, 24, " (pid %d)", pid);
	else
		out[0] = '\0';
	return out;
}

static int lock_wait(int fd, const char *path, int64_t deadline_ms, unsigned timeout_ms, bool *told,
		     struct err *e)
{
	unsigned step_ms = LOCK_FIRST_STEP_MS;
	char who[24];

	for (int rc; (rc = io_lock(fd));) {
		int64_t left_ms = deadline_ms - clock_mono_ms();

		if (rc != -EWOULDBLOCK)
			return err_sys(e, rc, "cannot lock %s", path);
		if (left_ms <= 0)
			return err_set(e, ENOLCK, "another spctl%s still holds %s after %u ms",
				       holder_text(fd, who), path, timeout_ms);
		if (!*told && step_ms > LOCK_FIRST_STEP_MS) {
			log_info("waiting for another spctl%s to finish", holder_text(fd, who));
			*told = true;
		}
		clock_sleep_ms(step_ms < left_ms ? step_ms : (unsigned)left_ms);
		step_ms = step_ms * 2 > LOCK_MAX_STEP_MS ? LOCK_MAX_STEP_MS : step_ms * 2;
	}
	return 0;
}

static void write_pid(int fd)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	/* Only for messages: a full disk must not stop `down`. */
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) < 0)
		log_debug("cannot write the pid into the lock file");
}

/* Ctrl-Z, or `stty tostop`, must not leave a stopped process with the lock: a timer of --confirm
 * waits for it. Of the process, not of a thread: others run. */
static const int stops[] = { SIGTSTP, SIGTTOU };
static struct sigaction usual[2];

static void ignore_stops(void)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	for (size_t i = 0; i < 2; i++)
		sigaction(stops[i], &ignore, &usual[i]);
}

static void heed_stops(void)
{
	for (size_t i = 0; i < 2; i++)
		sigaction(stops[i], &usual[i], NULL);
}

int state_lock(struct state *s, unsigned timeout_ms, struct err *e)
{
	int64_t deadline_ms = clock_mono_ms() + timeout_ms;
	char *path;
	bool told = false;
	int fd, rc = 0;

	if (s->lock_fd >= 0)
		return 0;
	path = state_path(s, "lock");
	if (!path)
		return err_set(e, ENOMEM, "out of memory");
	for (;;) {
		fd = lock_open(path, e);
		if (fd < 0) {
			rc = fd;
			break;
		}
		rc = lock_wait(fd, path, deadline_ms, timeout_ms, &told, e);
		if (rc) {
			close(fd);
			break;
		}
		if (is_still_there(fd, path)) {
			write_pid(fd);
			s->lock_fd = fd;
			ignore_stops();
			log_hold();
			break;
		}
		close(fd);
	}
	free(path);
	return rc;
}

void state_unlock(struct state *s)
{
	if (s->lock_fd < 0 || !s->state_dir)
		return;
	/* The next one must not read the pid of somebody who is gone. */
	if (ftruncate(s->lock_fd, 0) < 0)
		log_debug("cannot empty %s/lock", s->state_dir);
	close(s->lock_fd);
	s->lock_fd = -1;
	heed_stops();
	log_release();
}
