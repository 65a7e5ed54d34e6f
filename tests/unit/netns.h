/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netns: a private network and mount namespace for unit tests that need root.
 * ns_enter() is called once from main(); tests begin with ns_need().
 */
#ifndef TESTS_UNIT_NETNS_H
#define TESTS_UNIT_NETNS_H

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

static bool ns_is_ready;
static char ns_dir[64]; /* a tmpfs of our own */

static inline bool ns_lo_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	bool ok = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

static inline void ns_enter(void)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || !ns_lo_up())
		return;
	snprintf(ns_dir, sizeof(ns_dir), "/tmp/spctl-unit-XXXXXX");
	if (!mkdtemp(ns_dir))
		return;
	ns_is_ready = mount("tmpfs", ns_dir, "tmpfs", 0, "mode=0700") == 0;
}

static inline void ns_leave(void)
{
	if (ns_is_ready)
		umount2(ns_dir, MNT_DETACH);
	if (ns_dir[0])
		rmdir(ns_dir);
}

#define ns_need()                                                               \
	do {                                                                    \
		if (!ns_is_ready) {                                             \
			print_message("SKIP: no namespaces of our own here\n"); \
			skip();                                                 \
		}                                                               \
	} while (0)

/* "ip ..." of iproute2; false where there is none or it failed. */
static inline bool ns_ip(const char *args)
{
	char command[256];

	snprintf(command, sizeof(command), "ip %s >/dev/null 2>&1", args);
	return system(command) == 0;
}

#endif
