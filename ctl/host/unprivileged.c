/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/unprivileged.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ctl/host/proc_text.h"

#define UID_COUNT (UNPRIVILEGED_UID_LAST - UNPRIVILEGED_UID_FIRST + 1)

static void signals_reset(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int unprivileged_detach(int keep_fd)
{
	const struct rlimit no_core = { 0, 0 };
	int null, fd;

	setsid();
	signals_reset();
	/* Out of the way of 0-3 first: any of them may be closed or be keep_fd. */
	fd = fcntl(keep_fd, F_DUPFD_CLOEXEC, 10);
	if (fd < 0)
		return -errno;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		if (null < 0 || dup2(null, i) < 0)
			close(i);
	if (dup2(fd, 3) < 0 || close_range(4, ~0u, 0) < 0)
		return -errno;
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return -errno;
	return 3;
}

static void mark_used(uint8_t used[UID_COUNT], unsigned long uid)
{
	if (uid >= UNPRIVILEGED_UID_FIRST && uid <= UNPRIVILEGED_UID_LAST)
		used[uid - UNPRIVILEGED_UID_FIRST] = 1;
}

/* The file only, not getpwent(): a network directory is not asked as root. */
static void mark_users(uint8_t used[UID_COUNT])
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *p;

	while (f && (p = fgetpwent(f)))
		mark_used(used, p->pw_uid);
	if (f)
		fclose(f);
}

static void mark_process(uint8_t used[UID_COUNT], const char *pid)
{
	char path[300], line[256];
	unsigned long uids[4];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (!proc_text_uids(line, uids))
			continue;
		for (int i = 0; i < 4; i++)
			mark_used(used, uids[i]);
		break;
	}
	if (f)
		fclose(f);
}

/* Two of our processes with one uid could signal and trace each other. */
static void mark_processes(uint8_t used[UID_COUNT])
{
	DIR *d = opendir("/proc");
	struct dirent *ent;

	while (d && (ent = readdir(d)))
		if (ent->d_name[0] >= '1' && ent->d_name[0] <= '9')
			mark_process(used, ent->d_name);
	if (d)
		closedir(d);
}

static uid_t unused_uid(void)
{
	static uint8_t used[UID_COUNT];
	unsigned start = 0;

	mark_users(used);
	mark_processes(used);
	/* A random start: another spctl may be choosing at this moment. */
	if (getrandom(&start, sizeof(start), 0) != sizeof(start))
		start = (unsigned)getpid();
	for (unsigned i = 0; i < UID_COUNT; i++) {
		unsigned at = (start % UID_COUNT + i) % UID_COUNT;

		if (!used[at])
			return (uid_t)(UNPRIVILEGED_UID_FIRST + at);
	}
	return (uid_t)(UNPRIVILEGED_UID_FIRST + start % UID_COUNT);
}

/* False: they cannot be changed. EPERM (setgroups denied) and EINVAL (uid not mapped) are what a
 * user namespace with one uid says: then we stay who we are and lose the capabilities below. */
static bool ids_change(uid_t uid, gid_t gid)
{
	if (geteuid() != 0 || setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0)
		return false;
	return setresuid(uid, uid, uid) == 0;
}

/* Not a user namespace with one: there is somebody else to become. */
static bool are_there_others(void)
{
	FILE *f = fopen("/proc/self/uid_map", "re");
	unsigned long long n = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		n += proc_text_uid_range(line);
	if (f)
		fclose(f);
	return !f || n > 1;
}

static bool caps_drop(void)
{
	capng_clear(CAPNG_SELECT_ALL);
	/* The bounding set was emptied earlier; without CAP_SETPCAP it cannot be written. */
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return false;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return capng_get_caps_process() == 0 &&
	       capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE;
}

static int privileges_end(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* May fail in a container; no_new_privs makes it a second line only. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	return 0;
}

int unprivileged_become(int parent_pid)
{
	const int rc = privileges_end();

	if (rc)
		return rc;
	if (geteuid() == 0) {
		const uid_t uid = unused_uid();

		ids_change(uid, uid);
	}
	if (!caps_drop())
		return -EPERM;
	/* A change of ids clears this setting, so it comes last; the parent may be gone by now. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return getppid() == parent_pid ? 0 : -ESRCH;
}

/* The file only, as above. */
static bool find_user(const char *name, uid_t *uid, gid_t *gid)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *p;
	bool found = false;

	while (f && !found && (p = fgetpwent(f))) {
		found = !strcmp(p->pw_name, name);
		if (found) {
			*uid = p->pw_uid;
			*gid = p->pw_gid;
		}
	}
	if (f)
		fclose(f);
	return found;
}

int unprivileged_become_user(const char *user, bool required, struct unprivileged_result *out,
			     struct err *e)
{
	uid_t uid = 0;
	gid_t gid = 0;
	const bool found = user && find_user(user, &uid, &gid);
	int rc;

	if (!found && required)
		return err_set(e, -ENOENT, "/etc/passwd has no user \"%s\"", user);
	if (found && (!uid || !gid))
		return err_set(e, -EINVAL, "user \"%s\" is root, or of its group", user);
	rc = privileges_end();
	if (rc)
		return err_sys(e, rc, "cannot give up privileges");
	if (!found && geteuid() == 0)
		uid = gid = unused_uid();
	out->changed = ids_change(uid, gid);
	if (found && required && !out->changed)
		return err_set(e, -EPERM, "cannot become user \"%s\" here", user);
	if (!out->changed && !geteuid() && are_there_others())
		return err_set(e, -EPERM,
			       "it would stay root: it cannot change its user (CAP_SETUID and "
			       "CAP_SETGID are missing)");
	out->uid = geteuid();
	out->gid = getegid();
	if (!caps_drop())
		return err_set(e, -EPERM, "capabilities cannot be given up");
	return 0;
}
