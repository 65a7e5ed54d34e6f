/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/host_sock.h"

#include <arpa/inet.h>
#include <errno.h>
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

struct diag_dump {
	struct host_facts *facts;
	uint8_t proto;
};

static int diag_message(const struct nlmsghdr *h, void *arg)
{
	const struct diag_dump *d = arg;
	struct host_listener l = { .proto = d->proto };

	if (host_sock_parse(h, &l) && listener_add(d->facts, &l) < 0) {
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
		if (host_sock_parse_line(line, proto, family, &l) && listener_add(f, &l) < 0)
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
