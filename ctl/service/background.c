/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process is a grandchild, so that nobody has to wait for it, in a session
 * of its own. Its lines go to RUN/service.log; when it ends before it answers,
 * its last line there is what the command says.
 */
#include "ctl/service/background.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/base/clock.h"
#include "ctl/base/io.h"
#include "ctl/control/client.h"
#include "ctl/service/systemd_unit.h"

#define LOOK_MS 20
#define LOG_MAX 65536

static int open_log(const char *run_dir, char *path, size_t cap, struct err *e)
{
	int fd;

	snprintf(path, cap, "%s/%s", run_dir, BACKGROUND_LOG);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? err_sys(e, errno, "cannot write %s", path) : fd;
}

__attribute__((noreturn)) static void become_service(const struct control_start *s, int log_fd)
{
	char *argv[] = { (char[]){ "spctl" },
			 (char[]){ "run" },
			 (char[]){ "--state-dir" },
			 strdup(s->state_dir),
			 (char[]){ "--run-dir" },
			 strdup(s->run_dir),
			 NULL };
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir("/") || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log_fd, 2) < 0)
		_exit(1);
	close_range(3, ~0u, 0);
	unsetenv("NOTIFY_SOCKET"); /* it is not the command's parent that starts */
	execv("/proc/self/exe", argv);
	_exit(1);
}

/* Its pid through the pipe: to know when it has ended. */
static pid_t spawn(const struct control_start *s, int log_fd, struct err *e)
{
	int pair[2];
	pid_t child, service = 0;

	if (pipe2(pair, O_CLOEXEC))
		return err_sys(e, errno, "cannot start the service");
	child = fork();
	if (!child) {
		setsid();
		service = fork();
		if (!service)
			become_service(s, log_fd);
		_exit(write(pair[1], &service, sizeof(service)) != sizeof(service));
	}
	close(pair[1]);
	if (child < 0 || read(pair[0], &service, sizeof(service)) != sizeof(service))
		service = -1;
	close(pair[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return service > 0 ? service : err_set(e, EAGAIN, "cannot start the service");
}

/* The last line, without the name in front of it. */
static int last_words(const char *path, struct err *e)
{
	static const char name[] = "spctl: ", error[] = "error: ";
	struct buf b = { 0 };
	const char *line = "it says nothing";
	char *end;

	if (!io_read_regular(path, LOG_MAX, &b, NULL) && b.len) {
		buf_putc(&b, 0);
		end = b.data + strlen(b.data);
		while (end > b.data && end[-1] == '\n')
			*--end = 0;
		end = strrchr(b.data, '\n');
		line = end ? end + 1 : b.data;
		line += strncmp(line, name, strlen(name)) ? 0 : strlen(name);
		line += strncmp(line, error, strlen(error)) ? 0 : strlen(error);
	}
	err_set(e, ECONNREFUSED, "the service cannot start: %s", line);
	err_hint(e, "all that it said is in %s", path);
	buf_fini(&b);
	return e->code;
}

static int await(const struct control_start *s, pid_t pid, const char *path, struct err *e)
{
	int64_t end = clock_mono_ms() + s->timeout_ms;
	enum control_presence p;
	struct control_client c;

	while (clock_mono_ms() < end) {
		if (!client_open(&c, s->run_dir, s->timeout_ms, &p, NULL)) {
			client_close(&c);
			return 0;
		}
		if (kill(pid, 0) < 0 && errno == ESRCH)
			return last_words(path, e);
		clock_sleep_ms(LOOK_MS);
	}
	err_set(e, ETIMEDOUT, "the service does not answer within %u s", s->timeout_ms / 1000);
	err_hint(e, "see %s", path);
	return e->code;
}

int service_start_background(const struct control_start *s, struct err *e)
{
	char path[4200];
	int log_fd, rc;
	pid_t pid;

	if (systemd_unit_serves(s->state_dir, s->run_dir))
		return systemd_unit_start(e);
	log_fd = open_log(s->run_dir, path, sizeof(path), e);
	if (log_fd < 0)
		return log_fd;
	pid = spawn(s, log_fd, e);
	close(log_fd);
	rc = pid < 0 ? pid : await(s, pid, path, e);
	return rc;
}
