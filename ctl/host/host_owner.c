/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/host_owner.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/base/log.h"

static bool has_socket(int pid, const char *want)
{
	char path[64], link[64];
	struct dirent *ent;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && !found && (ent = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), ent->d_name, link, sizeof(link) - 1);

		if (n <= 0)
			continue;
		link[n] = '\0';
		found = !strcmp(link, want);
	}
	if (d)
		closedir(d);
	return found;
}

void host_socket_owner(uint32_t inode, char *out, size_t cap)
{
	char want[32], path[64], name[32] = "", shown[64];
	DIR *d = opendir("/proc");
	struct dirent *ent;
	int best = 0;

	snprintf(want, sizeof(want), "socket:[%u]", inode);
	while (d && (ent = readdir(d))) {
		int pid = atoi(ent->d_name);

		if (pid > 0 && (!best || pid < best) && has_socket(pid, want))
			best = pid;
	}
	if (d)
		closedir(d);
	snprintf(path, sizeof(path), "/proc/%d/comm", best);
	if (!best || io_read_text(path, name, sizeof(name), NULL))
		snprintf(out, cap, "a process");
	else
		snprintf(out, cap, "%s[%d]", log_escape(name, strlen(name), shown, sizeof(shown)),
			 best);
}
