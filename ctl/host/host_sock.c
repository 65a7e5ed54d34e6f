/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/host_sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/host/host_netlink.h"

static int listener_add(struct host_facts *f, const struct host_listener *l)
{
	/* Powers of two: grow when the next one is reached. */
	if (!(f->n_listeners & (f->n_listeners - 1))) {
		size_t cap = f->n_listeners ? f->n_listeners * 2 : 1;
		struct host_listener *v = realloc(f->listeners, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		f->listeners = v;
	}
	f->listeners[f->n_listeners++] = *l;
	return 0;
}

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

struct diag_dump {
	struct host_facts *facts;
	uint8_t proto;
};

static int diag_message(const struct nlmsghdr *h, void *arg)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct diag_dump *d = arg;
	const struct nlattr *a;
	struct host_listener l = { .proto = d->proto };

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) || !m->id.idiag_sport)
		return MNL_CB_OK;
	l.addr = address_of(m->idiag_family, m->id.idiag_src);
	l.port = ntohs(m->id.idiag_sport);
	l.inode = m->idiag_inode;
	mnl_attr_for_each (a, h, sizeof(*m))
		if (mnl_attr_get_type(a) == INET_DIAG_SKV6ONLY &&
		    mnl_attr_validate(a, MNL_TYPE_U8) >= 0)
			l.v6_only = l.addr.family == ADDR_V6 && mnl_attr_get_u8(a);
	if (listener_add(d->facts, &l) < 0) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

/* An unconnected UDP socket is in state CLOSE. A connected one takes only its peer's packets. */
static int diag_read(struct mnl_socket *nl, struct host_facts *f, uint8_t proto, int family)
{
	uint8_t request[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct inet_diag_req_v2))];
	struct diag_dump d = { f, proto };
	struct nlmsghdr *h = mnl_nlmsg_put_header(request);
	struct inet_diag_req_v2 *r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	size_t before = f->n_listeners;
	int rc = -EINTR;

	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	r->sdiag_family = (uint8_t)family;
	r->sdiag_protocol = proto;
	r->idiag_states = 1u << (proto == IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE);
	for (int try = 0; try < HOST_DUMP_TRIES && rc == -EINTR; try++) {
		f->n_listeners = before;
		rc = host_dump(nl, h, diag_message, &d);
	}
	if (rc) /* /proc/net will be asked for all of it */
		f->n_listeners = before;
	return rc;
}

/* One line of /proc/net/{tcp,udp}{,6}: "sl local rem st tx:rx tr:when retr uid timeout inode". */
static bool proc_line_parse(const char *line, uint8_t proto, int family, struct host_listener *out)
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

int host_sockets_read_proc(struct host_facts *f, uint8_t proto, int family, struct err *e)
{
	struct host_listener l;
	char path[40], line[512];
	FILE *file;
	int rc = 0;

	snprintf(path, sizeof(path), "/proc/self/net/%s%s", proto == IPPROTO_TCP ? "tcp" : "udp",
		 family == AF_INET ? "" : "6");
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot open %s", path);
	while (!rc && fgets(line, sizeof(line), file))
		if (proc_line_parse(line, proto, family, &l) && listener_add(f, &l) < 0)
			rc = err_set(e, ENOMEM, "out of memory");
	fclose(file);
	return rc;
}

int host_sockets_read(struct host_facts *f, struct err *e)
{
	static const struct {
		uint8_t proto;
		int family;
	} kinds[] = {
		{ IPPROTO_TCP, AF_INET },
		{ IPPROTO_TCP, AF_INET6 },
		{ IPPROTO_UDP, AF_INET },
		{ IPPROTO_UDP, AF_INET6 },
	};
	struct mnl_socket *nl = host_netlink_open(NETLINK_SOCK_DIAG);
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		rc = nl ? diag_read(nl, f, kinds[i].proto, kinds[i].family) : -ENOENT;
		if (rc == -ENOMEM)
			err_set(e, ENOMEM, "out of memory");
		else if (rc)
			rc = host_sockets_read_proc(f, kinds[i].proto, kinds[i].family, e);
	}
	if (nl)
		mnl_socket_close(nl);
	return rc;
}
