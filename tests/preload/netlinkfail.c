// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netlinkfail: LD_PRELOAD; as many answers of netlink as the file named by
 * NETLINKFAIL says at that moment fail with EIO. Each takes one off the file. With
 * CONNTRACKFAIL every request to ctnetlink is refused.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int take_one(void)
{
	const char *path = getenv("NETLINKFAIL");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	char text[32] = "";
	long left;

	if (fd < 0)
		return 0;
	left = pread(fd, text, sizeof(text) - 1, 0) > 0 ? atol(text) : 0;
	if (left > 0) {
		int n = snprintf(text, sizeof(text), "%ld\n", left - 1);

		if (pwrite(fd, text, (size_t)n, 0) != n || ftruncate(fd, n))
			left = 0;
	}
	close(fd);
	return left > 0;
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t (*real)(int, struct msghdr *, int);
	int domain = 0;
	socklen_t len = sizeof(domain);

	*(void **)&real = dlsym(RTLD_NEXT, "recvmsg");
	if (!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_NETLINK &&
	    take_one()) {
		errno = EIO;
		return -1;
	}
	return real(fd, m, flags);
}

ssize_t sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	const struct nlmsghdr *nlh = bytes;

	*(void **)&real = dlsym(RTLD_NEXT, "sendto");
	if (getenv("CONNTRACKFAIL") && to && to->sa_family == AF_NETLINK && len >= sizeof(*nlh) &&
	    NFNL_SUBSYS_ID(nlh->nlmsg_type) == NFNL_SUBSYS_CTNETLINK) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return real(fd, bytes, len, flags, to, to_len);
}
