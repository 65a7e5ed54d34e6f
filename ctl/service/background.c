/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Through systemd only where it is really the one: it runs, it has our unit, it
 * is in this network namespace, and the instance is the one that the unit names.
 * A lab or a container's second instance must not start the host's.
 *
 * Otherwise a child in a session of its own, with nothing of the terminal: it is
 * waited for as long as it has not answered, so that its error is the command's.
 */
#include "ctl/service/background.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/apply/failpoint.h"
#include "ctl/base/clock.h"
#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/base/process.h"
#include "ctl/control/client.h"
#include "ctl/state/state.h"

#define LOOK_MS	 20
#define HELLO_MS 2000
#define LOG_MAX	 65536
#define RESET_MS 2000

/* ---- systemd ---- */

/* Only who has all capabilities of process 1 may look (EACCES). A unit of ours has fewer; it says
 * itself that it is systemd's, and systemd's units are where process 1 is. */
static bool same_namespace_as_init(void)
{
	struct stat mine, init;

	if (stat("/proc/1/ns/net", &init))
		return errno == EACCES && getenv(BACKGROUND_UNIT_ENV);
	return !stat("/proc/self/ns/net", &mine) && mine.st_dev == init.st_dev &&
	       mine.st_ino == init.st_ino;
}

static bool has_unit(void)
{
	static const char *const dirs[] = {
		"/etc/systemd/system",	   "/run/systemd/system", "/usr/local/lib/systemd/system",
		"/usr/lib/systemd/system", "/lib/systemd/system",
	};
	char path[PATH_MAX];

	for (unsigned i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(path, sizeof(path), "%s/" BACKGROUND_UNIT, dirs[i]);
		if (!access(path, F_OK))
			return true;
	}
	return false;
}

static bool is_systemds(const struct background *b)
{
	return !strcmp(b->state_dir, STATE_USUAL_DIR) && !strcmp(b->run_dir, STATE_USUAL_RUN_DIR) &&
	       !b->user && !b->workers && !access("/run/systemd/system", F_OK) &&
	       same_namespace_as_init() && has_unit();
}

/* How often it was started before is nobody's business now: StartLimitBurst= is for restarts. In
 * vain where systemd does not know the unit yet, which it says on its stderr. */
static void forget_starts(void)
{
	char name[] = "systemctl", reset[] = "reset-failed", unit[] = BACKGROUND_UNIT;
	char *argv[] = { name, reset, unit, NULL };
	posix_spawn_file_actions_t files;
	pid_t pid;

	if (posix_spawn_file_actions_init(&files))
		return;
	if (!posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0) &&
	    !posix_spawnp(&pid, name, &files, NULL, argv, environ))
		process_await(pid, RESET_MS);
	posix_spawn_file_actions_destroy(&files);
}

/* systemd's own tool tells what is wrong on stderr; that it takes long is our deadline's matter. */
static int start_unit(pid_t *pid, struct err *e)
{
	char name[] = "systemctl", start[] = "start", wait[] = "--no-block",
	     unit[] = BACKGROUND_UNIT;
	char *argv[] = { name, start, wait, unit, NULL };
	int rc;

	forget_starts();
	rc = posix_spawnp(pid, name, NULL, NULL, argv, environ);
	return rc ? err_sys(e, -rc, "cannot run systemctl") : 0;
}

/* ---- a process ---- */

/* Its working directory is another. */
static int start_process(const struct background *b, const char *log, pid_t *pid, struct err *e)
{
	char name[] = "spctl", command[] = "run", state[] = "--state-dir", run[] = "--run-dir",
	     user[] = "--user", workers[] = "--workers", number[16];
	char *dirs[2] = { realpath(b->state_dir, NULL), realpath(b->run_dir, NULL) };
	char *of = b->user ? strdup(b->user) : NULL;
	char *argv[12] = { name, command, state, dirs[0], run, dirs[1] };
	int n = 6, rc = dirs[0] && dirs[1] && (of || !b->user) ? 0 : -errno;

	if (of) {
		argv[n++] = user;
		argv[n++] = of;
	}
	if (b->workers) {
		snprintf(number, sizeof(number), "%u", b->workers);
		argv[n++] = workers;
		argv[n++] = number;
	}
	/* Whoever manages this command does not manage the service. */
	setenv(BACKGROUND_ENV, "1", 1);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	FAILPOINTS_HIDE(true);
	rc = rc ? rc : process_start_background(argv, log, -1, pid);
	FAILPOINTS_HIDE(false);
	free(dirs[0]);
	free(dirs[1]);
	free(of);
	return rc ? err_sys(e, rc, "cannot start the service") : 0;
}

/* ---- waiting ---- */

static bool answers(const struct background *b, struct err *e)
{
	struct control_client c;
	enum control_presence p;

	if (client_open(&c, b->run_dir, HELLO_MS, &p, e))
		return false;
	client_close(&c);
	return true;
}

/* Without what every line begins with; for a terminal, and not all of it is our own. */
static void last_error(const char *log, char *out, size_t cap)
{
	static const char mark[] = "spctl: error: ";
	struct buf text = { 0 };
	const char *found = NULL;

	snprintf(out, cap, "it ended without a word");
	if (!io_read_regular(log, LOG_MAX, &text, NULL) && text.data)
		for (const char *p = text.data; (p = strstr(p, mark)); p++)
			found = p + strlen(mark);
	if (found)
		log_escape(found, strcspn(found, "\n"), out, cap);
	buf_fini(&text);
}

/* 1: it goes on. systemctl says itself what is wrong, so its words are not repeated. */
static int look_at_child(pid_t *pid, enum background_how how, const char *log, struct err *e)
{
	char why[400];
	int status;

	if (*pid <= 0 || waitpid(*pid, &status, WNOHANG) != *pid)
		return 1;
	*pid = 0;
	if (how == BACKGROUND_SYSTEMD && WIFEXITED(status) && !WEXITSTATUS(status))
		return 1;
	if (how == BACKGROUND_SYSTEMD)
		return err_set(e, -EIO, "systemctl start " BACKGROUND_UNIT " failed");
	last_error(log, why, sizeof(why));
	return err_set(e, -EIO, "the service did not start: %s", why);
}

static int wait_for(const struct background *b, pid_t pid, enum background_how how, const char *log,
		    struct err *e)
{
	const int64_t until_ms = clock_mono_ms() + b->timeout_ms;

	for (;;) {
		struct err why = { 0 };
		int rc;

		if (answers(b, &why))
			return 0;
		if (why.code == -EXDEV || why.code == -EPROTO) {
			*e = why;
			return why.code;
		}
		rc = look_at_child(&pid, how, log, e);
		if (rc != 1)
			return rc;
		if (clock_mono_ms() >= until_ms)
			return err_set(e, -ETIMEDOUT, "the service does not answer within %u s",
				       b->timeout_ms / 1000);
		clock_sleep_ms(LOOK_MS);
	}
}

int service_start_background(const struct background *b, enum background_how *how, struct err *e)
{
	const enum control_presence there = control_look(b->run_dir);
	char log[PATH_MAX];
	pid_t pid = 0;
	int rc = 0;

	snprintf(log, sizeof(log), "%s/" BACKGROUND_LOG, b->run_dir);
	*how = there == CONTROL_STARTS ? BACKGROUND_WAS_THERE
	       : is_systemds(b)	       ? BACKGROUND_SYSTEMD
				       : BACKGROUND_PROCESS;
	if (*how == BACKGROUND_SYSTEMD)
		rc = start_unit(&pid, e);
	else if (*how == BACKGROUND_PROCESS)
		rc = start_process(b, log, &pid, e);
	return rc ? rc : wait_for(b, pid, *how, log, e);
}

int background_start(const struct control_start *s, struct err *e)
{
	const struct background b = { .state_dir = s->state_dir,
				      .run_dir = s->run_dir,
				      .timeout_ms = s->timeout_ms };
	enum background_how how;

	return service_start_background(&b, &how, e);
}
