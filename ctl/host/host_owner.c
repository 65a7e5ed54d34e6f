/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/host_owner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/host/proc_text.h"

static int by_inode(const void *a, const void *b)
{
	uint32_t x = ((const struct owned_socket *)a)->inode;
	uint32_t y = ((const struct owned_socket *)b)->inode;

	return x < y ? -1 : x > y;
}

static const struct owned_socket *find_socket(const struct owned_socket *sockets, size_t n,
					      const char *link)
{
	struct owned_socket key = { 0 };

	if (!proc_text_socket(link, &key.inode))
		return NULL;
	return bsearch(&key, sockets, n, sizeof(key), by_inode);
}

static void count_process(const struct owned_socket *sockets, size_t n, int pid,
			  struct host_owner *owners)
{
	char path[64], link[64];
	struct dirent *ent;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && (ent = readdir(d))) {
		ssize_t len = readlinkat(dirfd(d), ent->d_name, link, sizeof(link) - 1);
		const struct owned_socket *s;
		struct host_owner *o;

		link[len > 0 ? len : 0] = '\0';
		s = find_socket(sockets, n, link);
		o = s ? &owners[s->service] : NULL;
		if (!o || o->last_counted == pid)
			continue;
		o->last_counted = pid;
		o->n++;
		if (!o->pid || pid < o->pid)
			o->pid = pid;
	}
	if (d)
		closedir(d);
}

void host_owners_find(struct owned_socket *sockets, size_t n, struct host_owner *owners)
{
	DIR *d = n ? opendir("/proc") : NULL;
	struct dirent *ent;

	if (n)
		qsort(sockets, n, sizeof(*sockets), by_inode);
	while (d && (ent = readdir(d))) {
		int pid = atoi(ent->d_name);

		if (pid > 0)
			count_process(sockets, n, pid, owners);
	}
	if (d)
		closedir(d);
}

const char *host_owner_text(const struct host_owner *o, char *out, size_t cap)
{
	char path[64], name[32] = "", shown[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/comm", o->pid);
	if (!o->pid || io_read_text(path, name, sizeof(name), NULL))
		snprintf(out, cap, "a process");
	else
		snprintf(out, cap, "%s[%d]", log_escape(name, strlen(name), shown, sizeof(shown)),
			 o->pid);
	len = strlen(out);
	if (o->n > 1)
		snprintf(out + len, cap - len, " and %u more process%s", o->n - 1,
			 o->n == 2 ? "" : "es");
	return out;
}

bool host_owner_is_ours(const struct host_owner *o)
{
	char path[40];
	struct stat mine, theirs;

	snprintf(path, sizeof(path), "/proc/%d/exe", o->pid);
	return o->pid && !stat("/proc/self/exe", &mine) && !stat(path, &theirs) &&
	       mine.st_dev == theirs.st_dev && mine.st_ino == theirs.st_ino;
}
