/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/service/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/base/process.h"
#include "ctl/host/unprivileged.h"
#include "ctl/service/seccomp.h"

#define USUAL_USER    "spctl"
#define NOFILE_WISH   (1u << 20)
#define N_FDS	      4
#define N_COPIES      (N_FDS + 1) /* and its standard error */
#define SPAWN_BACKLOG 8

/* Sources out of the way first: dup2 onto 3 must not close what belongs on 4. */
static int add_fds(posix_spawn_file_actions_t *files, const int fds[N_COPIES])
{
	int rc = 0;

	for (int i = 0; !rc && i < N_FDS; i++)
		rc = posix_spawn_file_actions_adddup2(files, fds[i], SPAWN_WIRE_FD + i);
	if (!rc && fds[N_FDS] >= 0)
		rc = posix_spawn_file_actions_adddup2(files, fds[N_FDS], STDERR_FILENO);
	rc = rc ? rc : posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
	rc = rc ? rc : posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0);
	rc = rc ? rc : posix_spawn_file_actions_addclosefrom_np(files, SPAWN_WIRE_FD + N_FDS);
	return rc ? rc : posix_spawn_file_actions_addchdir_np(files, "/");
}

static int run(const int fds[N_COPIES], const char *user, pid_t *pid)
{
	char name[] = "spctl", command[] = SPAWN_COMMAND, option[] = "--user";
	char *of = user ? strdup(user) : NULL, lang[] = "LC_ALL=C";
	char *argv[] = { name, command, of ? option : NULL, of, NULL };
	char *env[] = { lang, NULL }; /* nothing of root's surroundings */
	posix_spawn_file_actions_t files;
	int rc = user && !of ? -ENOMEM : -posix_spawn_file_actions_init(&files);

	if (!rc) {
		rc = -add_fds(&files, fds);
		rc = rc ? rc : process_start("/proc/self/exe", &files, argv, env, true, pid);
		posix_spawn_file_actions_destroy(&files);
	}
	free(of);
	return rc;
}

pid_t spawn_dataplane(const struct spawn *s, struct err *e)
{
	const int from[N_COPIES] = { s->wire_fd, s->listen_fd, s->page_fd, s->lock_fd, s->err_fd };
	int fds[N_COPIES] = { -1, -1, -1, -1, -1 }, rc = 0;
	pid_t pid = -1;

	for (int i = 0; !rc && i < (s->err_fd < 0 ? N_FDS : N_COPIES); i++) {
		fds[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 64);
		rc = fds[i] < 0 ? -errno : 0;
	}
	rc = rc ? rc : run(fds, s->user, &pid);
	for (int i = 0; i < N_COPIES; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return rc ? err_sys(e, rc, "cannot start the dataplane") : pid;
}

void spawn_raise_nofile(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	if (l.rlim_max < NOFILE_WISH) {
		const struct rlimit wish = { NOFILE_WISH, NOFILE_WISH };

		if (!setrlimit(RLIMIT_NOFILE, &wish))
			return;
	}
	l.rlim_cur = l.rlim_max < NOFILE_WISH ? l.rlim_max : NOFILE_WISH;
	setrlimit(RLIMIT_NOFILE, &l);
}

/* Who runs the hidden command by hand has none of these. */
static bool fds_are_there(void)
{
	struct stat st;
	int domain = 0;
	socklen_t len = sizeof(domain);

	for (int i = SPAWN_WIRE_FD; i <= SPAWN_LISTEN_FD; i++)
		if (getsockopt(i, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_UNIX)
			return false;
	return !fstat(SPAWN_PAGE_FD, &st) && st.st_size == sizeof(struct seccomp_page);
}

int spawn_settle(const char *user, struct err *e)
{
	const struct rlimit no_core = { 0, 0 }, file = { SPAWN_FILE_MAX, SPAWN_FILE_MAX };
	struct unprivileged_result who;
	struct seccomp_page *page;
	int rc;

	if (!fds_are_there())
		return err_set(e, -EINVAL, "only spctl run starts this");
	for (int i = SPAWN_WIRE_FD; i < SPAWN_WIRE_FD + N_FDS; i++)
		fcntl(i, F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, SPAWN_NAME); /* not "exe", which was executed */
	/* Again, by this process: whoever connects learns who it is (SO_PEERCRED). */
	if (listen(SPAWN_LISTEN_FD, SPAWN_BACKLOG) < 0)
		return err_sys(e, errno, "cannot listen for a hand-over");
	spawn_raise_nofile();
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return err_sys(e, errno, "cannot forbid core dumps");
	/* Access lines may go to a file: what does not fit is EFBIG, and counted. */
	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &file) < 0)
		return err_sys(e, errno, "cannot limit the size of files");
	rc = unprivileged_become_user(user ? user : USUAL_USER, user != NULL, &who, e);
	if (rc)
		return rc;
	/* A change of ids clears it, so it comes last. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(e, errno, "cannot become undumpable");
	page = seccomp_page_map(SPAWN_PAGE_FD);
	if (page)
		atomic_store(&page->uid, who.uid);
	return page ? 0 : err_sys(e, errno, "cannot map the page for counters");
}
