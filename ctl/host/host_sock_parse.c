/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From sock_diag's bytes and the lines of /proc/net; host_sock.c and sock_tcp.c ask for them. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "ctl/host/host_sock.h"

/* ip is in network order; a mapped IPv6 address becomes IPv4. */
static struct addr address_of(int family, const void *ip)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (family == AF_INET) {
		memcpy(&v4.sin_addr, ip, sizeof(v4.sin_addr));
		return addr_from_sockaddr((const void *)&v4, NULL);
	}
	memcpy(&v6.sin6_addr, ip, sizeof(v6.sin6_addr));
	return addr_from_sockaddr((const void *)&v6, NULL);
}

bool host_sock_parse(const struct nlmsghdr *h, struct host_listener *out)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) || !m->id.idiag_sport)
		return false;
	out->addr = address_of(m->idiag_family, m->id.idiag_src);
	out->port = ntohs(m->id.idiag_sport);
	out->inode = m->idiag_inode;
	mnl_attr_for_each (a, h, sizeof(*m))
		if (mnl_attr_get_type(a) == INET_DIAG_SKV6ONLY &&
		    mnl_attr_validate(a, MNL_TYPE_U8) >= 0)
			out->v6_only = out->addr.family == ADDR_V6 && mnl_attr_get_u8(a);
	return true;
}

/* "sl local rem st tx:rx tr:when retr uid timeout inode" */
bool host_sock_parse_line(const char *line, uint8_t proto, int family, struct host_listener *out)
{
	unsigned long long inode;
	char ip_hex[33];
	unsigned port, state;
	uint32_t words[4] = { 0 };
	size_t n_words = family == AF_INET ? 1 : 4;

	if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%4X %*[0-9A-Fa-f]:%*4X %2X %*s %*s %*s %*u %*u %llu",
		   ip_hex, &port, &state, &inode) != 4)
		return false;
	if (strlen(ip_hex) != 8 * n_words || !port)
		return false;
	if (state != (proto == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE))
		return false;
	/* Each word is printed as a host number of the bytes in network order. */
	for (size_t i = 0; i < n_words; i++)
		if (sscanf(ip_hex + 8 * i, "%8" SCNx32, &words[i]) != 1)
			return false;
	*out = (struct host_listener){
		.proto = proto,
		.addr = address_of(family, words),
		.port = (uint16_t)port,
		.inode = (uint32_t)inode,
	};
	return true;
}

int host_sock_parse_answer(const void *bytes, size_t len, uint32_t seq, struct inet_diag_msg *out)
{
	const struct nlmsghdr *h = bytes;
	const struct nlmsgerr *err;

	if (len < sizeof(*h) || h->nlmsg_len < sizeof(*h) || h->nlmsg_len > len ||
	    h->nlmsg_seq != seq)
		return -EAGAIN;
	err = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type == NLMSG_ERROR)
		return mnl_nlmsg_get_payload_len(h) < sizeof(*err) ? -EPROTO : err->error;
	if (!out || mnl_nlmsg_get_payload_len(h) < sizeof(*out))
		return -EPROTO;
	memcpy(out, mnl_nlmsg_get_payload(h), sizeof(*out));
	return 0;
}
