/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/state/state_owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/host/host.h"
#include "ctl/host/proc_text.h"

/* MAYBE: it may not be looked at (CAP_SYS_PTRACE). */
enum within { OUTSIDE, MAYBE, WITHIN };

static enum within is_in_namespace(const char *pid, const struct host_identity *id)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	if (stat(path, &st))
		return errno == EACCES || errno == EPERM ? MAYBE : OUTSIDE;
	return st.st_dev == id->ns_dev && st.st_ino == id->ns_ino ? WITHIN : OUTSIDE;
}

static void command_of(int pid, char *out, size_t cap)
{
	char path[64], args[256];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = io_read_all(fd, args, sizeof(args));
		close(fd);
	}
	proc_text_command(args, n > 0 ? (size_t)n : 0, out, cap);
}

void state_owner_describe(const struct host_identity *id, char *out, size_t cap)
{
	DIR *d = opendir("/proc");
	char command[120], best_command[120] = "";
	struct dirent *ent;
	bool unseen = false;
	int best = 0;

	while (d && (ent = readdir(d))) {
		int pid = atoi(ent->d_name);

		enum within in = pid > 0 ? is_in_namespace(ent->d_name, id) : OUTSIDE;

		unseen |= in == MAYBE;
		if (in != WITHIN)
			continue;
		command_of(pid, command, sizeof(command));
		if (!strncmp(best_command, "spctl", 5))
			continue;
		if (best && pid > best && strncmp(command, "spctl", 5) != 0)
			continue;
		best = pid;
		memcpy(best_command, command, sizeof(command));
	}
	if (d)
		closedir(d);
	if (best)
		snprintf(out, cap, "pid %d, %s", best, best_command);
	else
		snprintf(out, cap,
			 unseen ? "whether a process is in it cannot be seen from here"
				: "no process is in it now");
}

static bool is_mounted(const struct host_identity *id)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, name[64];
	size_t cap = 0;
	bool found = !f;

	snprintf(name, sizeof(name), " net:[%ju] ", (uintmax_t)id->ns_ino);
	while (!found && getline(&line, &cap, f) >= 0)
		found = strstr(line, name);
	free(line);
	if (f)
		fclose(f);
	return found;
}

static bool has_process(const struct host_identity *id)
{
	DIR *d = opendir("/proc");
	struct dirent *ent;
	bool found = !d;

	while (!found && (ent = readdir(d)))
		found = atoi(ent->d_name) > 0 && is_in_namespace(ent->d_name, id) != OUTSIDE;
	if (d)
		closedir(d);
	return found;
}

bool state_owner_is_gone(const struct host_identity *id, const struct host_identity *me)
{
	/* Its number was given to this one, and such numbers are given once at a time. */
	if (id->ns_cookie && me->ns_cookie && id->ns_dev == me->ns_dev && id->ns_ino == me->ns_ino)
		return id->ns_cookie != me->ns_cookie;
	return !has_process(id) && !is_mounted(id);
}
