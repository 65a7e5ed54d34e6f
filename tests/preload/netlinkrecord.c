// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netlinkrecord: LD_PRELOAD; what the kernel answers over netlink is left in the directory named by
 * NETLINKRECORD, as seeds for fuzzing: KIND-N is one answer, KIND-all all of them, one behind the
 * other. KIND: route, diag, conntrack, nft, or refused for errors of nftables. Every message gets
 * sequence number 1, so that those of several requests are one answer.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *kind_of(int protocol, const struct nlmsghdr *h)
{
	switch (protocol) {
	case NETLINK_ROUTE:
		return "route";
	case NETLINK_SOCK_DIAG:
		return "diag";
	case NETLINK_NETFILTER:
		if (h->nlmsg_type == NLMSG_ERROR)
			return "refused";
		return NFNL_SUBSYS_ID(h->nlmsg_type) == NFNL_SUBSYS_CTNETLINK ? "conntrack" : "nft";
	default:
		return NULL;
	}
}

static void append(const char *dir, const char *kind, const char *which, const void *p, size_t n)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s-%s", dir, kind, which);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		perror(path);
	if (fd >= 0)
		close(fd);
}

static void record(int protocol, void *bytes, size_t len)
{
	static unsigned count;
	const char *dir = getenv("NETLINKRECORD"), *kind = NULL;
	uint8_t *p = bytes;
	char number[32];

	for (size_t left = len, step; dir && left >= sizeof(struct nlmsghdr);
	     p += step, left -= step) {
		struct nlmsghdr *h = (void *)p;

		step = NLMSG_ALIGN(h->nlmsg_len);
		if (step < sizeof(*h) || step > left)
			break;
		kind = kind ? kind : kind_of(protocol, h);
		h->nlmsg_seq = 1;
		h->nlmsg_pid = 0;
	}
	if (!kind)
		return;
	snprintf(number, sizeof(number), "%d-%u", (int)getpid(), count++);
	append(dir, kind, number, bytes, len);
	append(dir, kind, "all", bytes, len);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t (*real)(int, struct msghdr *, int);
	int domain = 0, protocol = -1;
	socklen_t len = sizeof(domain);
	ssize_t got;

	*(void **)&real = dlsym(RTLD_NEXT, "recvmsg");
	got = real(fd, m, flags);
	if (got > 0 && !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
	    domain == AF_NETLINK && !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len)) {
		char *copy = malloc((size_t)got);

		if (copy) {
			__builtin_memcpy(copy, m->msg_iov[0].iov_base, (size_t)got);
			record(protocol, copy, (size_t)got);
		}
		free(copy);
	}
	return got;
}
