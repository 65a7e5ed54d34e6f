/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two requests for each socket. The kernel's lookup falls back to a listening
 * socket of that port, and destroying would close it: so the first request asks
 * what is there, and the second names it by its cookie.
 */
#include "ctl/host/sock_tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/host/host_netlink.h"
#include "ctl/host/host_sock.h"

struct sock_tcp {
	struct mnl_socket *nl;
	uint32_t seq;
};

struct sock_tcp *sock_tcp_new(void)
{
	struct sock_tcp *t = calloc(1, sizeof(*t));

	if (t)
		t->nl = host_netlink_open(NETLINK_SOCK_DIAG);
	if (t && !t->nl) {
		free(t);
		t = NULL;
	}
	return t;
}

void sock_tcp_free(struct sock_tcp *t)
{
	if (t)
		mnl_socket_close(t->nl);
	free(t);
}

/* Sends one request; the answer is a message of ours (copied to *out) or an error number. */
static int ask(struct sock_tcp *t, uint16_t type, uint16_t flags, const struct inet_diag_req_v2 *r,
	       struct inet_diag_msg *out)
{
	char buf[8192]; /* of any answer: the message has attributes, too */
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	ssize_t n;
	int rc;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++t->seq;
	memcpy(mnl_nlmsg_put_extra_header(h, sizeof(*r)), r, sizeof(*r));
	if (mnl_socket_sendto(t->nl, h, h->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(t->nl, buf, sizeof(buf));
		if (n < 0 && errno != EINTR)
			return -errno;
		rc = n < 0 ? -EAGAIN : host_sock_parse_answer(buf, (size_t)n, t->seq, out);
	} while (rc == -EAGAIN);
	return rc;
}

/* Fills the request, too, but for the cookie of what was found. */
static int find(struct sock_tcp *t, const struct addr *local, uint16_t local_port,
		const struct addr *peer, uint16_t peer_port, struct inet_diag_req_v2 *r,
		struct inet_diag_msg *found)
{
	int rc;

	*r = (struct inet_diag_req_v2){
		.sdiag_family = local->family == ADDR_V4 ? AF_INET : AF_INET6,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = UINT32_MAX,
	};
	if (!t || local->family != peer->family)
		return -ENOENT;
	r->id.idiag_sport = htons(local_port);
	r->id.idiag_dport = htons(peer_port);
	memcpy(r->id.idiag_src, local->bytes, sizeof(r->id.idiag_src));
	memcpy(r->id.idiag_dst, peer->bytes, sizeof(r->id.idiag_dst));
	memset(r->id.idiag_cookie, 0xff, sizeof(r->id.idiag_cookie)); /* INET_DIAG_NOCOOKIE */
	rc = ask(t, SOCK_DIAG_BY_FAMILY, 0, r, found);
	if (rc)
		return rc;
	return found->idiag_state == TCP_LISTEN || found->id.idiag_dport != r->id.idiag_dport
		       ? -ENOENT
		       : 0;
}

int sock_tcp_destroy(struct sock_tcp *t, const struct addr *local, uint16_t local_port,
		     const struct addr *peer, uint16_t peer_port)
{
	struct inet_diag_req_v2 r;
	struct inet_diag_msg found;
	int rc = find(t, local, local_port, peer, peer_port, &r, &found);

	if (rc)
		return rc;
	memcpy(r.id.idiag_cookie, found.id.idiag_cookie, sizeof(r.id.idiag_cookie));
	return ask(t, SOCK_DESTROY, NLM_F_ACK, &r, NULL);
}

bool sock_tcp_lives(struct sock_tcp *t, const struct addr *local, uint16_t local_port,
		    const struct addr *peer, uint16_t peer_port)
{
	struct inet_diag_req_v2 r;
	struct inet_diag_msg found;
	int rc = find(t, local, local_port, peer, peer_port, &r, &found);

	return rc ? rc != -ENOENT
		  : found.idiag_state != TCP_TIME_WAIT && found.idiag_state != TCP_CLOSE;
}
