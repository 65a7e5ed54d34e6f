/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/host_netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#define TIMEOUT_S  10
#define RECV_BYTES 65536

struct mnl_socket *host_netlink_open(int bus)
{
	struct mnl_socket *nl = mnl_socket_open2(bus, SOCK_CLOEXEC);
	const struct timeval wait = { .tv_sec = TIMEOUT_S };

	if (!nl)
		return NULL;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0) {
		int code = errno;

		mnl_socket_close(nl);
		errno = code;
		return NULL;
	}
	return nl;
}

int host_netlink_receive(struct mnl_socket *nl, unsigned seq, mnl_cb_t cb, void *arg)
{
	unsigned portid = mnl_socket_get_portid(nl);
	char *buf = malloc(RECV_BYTES);
	int code = 0, rc = MNL_CB_OK;

	if (!buf)
		return -ENOMEM;
	while (rc > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(nl, buf, RECV_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			code = -errno;
			break;
		}
		rc = mnl_cb_run(buf, (size_t)n, seq, portid, cb, arg);
		/* The rest of an answer that was given up before (ESRCH: another sequence). */
		if (rc < 0 && errno == ESRCH)
			rc = MNL_CB_OK;
		else if (rc < 0)
			code = -errno;
	}
	free(buf);
	return code;
}

int host_dump(struct mnl_socket *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg)
{
	static unsigned sequence;
	int rc;

	h->nlmsg_seq = ++sequence;
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return -errno;
	rc = host_netlink_receive(nl, h->nlmsg_seq, cb, arg);
	return rc == -ENOBUFS ? -EINTR : rc;
}
