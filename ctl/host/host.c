/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ctl/base/io.h"
#include "ctl/host/host_net.h"
#include "ctl/host/host_netlink.h"
#include "ctl/host/host_sock.h"

/* ---- addresses ---- */

struct route_dump {
	struct addr_set *set;
	int family;
};

static int route_message(const struct nlmsghdr *h, void *arg)
{
	const struct route_dump *d = arg;

	if (host_local_parse(h, d->family, d->set) < 0) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	return MNL_CB_OK;
}

static int family_read(struct mnl_socket *nl, int family, struct addr_set *set)
{
	uint8_t request[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct rtmsg))];
	struct nlmsghdr *h = mnl_nlmsg_put_header(request);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct route_dump d = { set, family };
	size_t before = set->n;
	int rc = -EINTR;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m->rtm_family = (uint8_t)family;
	m->rtm_table = RT_TABLE_LOCAL;
	m->rtm_type = RTN_LOCAL;
	for (int try = 0; try < HOST_DUMP_TRIES && rc == -EINTR; try++) {
		set->n = before;
		rc = host_dump(nl, h, route_message, &d);
	}
	return rc;
}

static int addresses_read(struct addr_set *set, struct err *e)
{
	struct mnl_socket *nl = host_netlink_open(NETLINK_ROUTE);
	int on = 1, rc;

	if (!nl)
		return err_sys(e, errno, "cannot open a routing netlink socket");
	/* Lets the kernel filter by table and type (4.20); else all comes and we filter. */
	mnl_socket_setsockopt(nl, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	rc = family_read(nl, AF_INET, set);
	if (rc == -ENOENT) /* the table does not exist yet */
		rc = 0;
	if (!rc) {
		rc = family_read(nl, AF_INET6, set);
		if (rc == -ENOENT || rc == -EOPNOTSUPP || rc == -EAFNOSUPPORT)
			rc = 0;
	}
	mnl_socket_close(nl);
	if (rc)
		return err_sys(e, rc, "cannot read the local addresses from the kernel");
	addr_set_seal(set);
	return 0;
}

/* ---- all facts ---- */

static int listener_cmp(const void *a, const void *b)
{
	const struct host_listener *x = a, *y = b;

	if (x->proto != y->proto)
		return x->proto - y->proto;
	if (x->port != y->port)
		return x->port - y->port;
	if (addr_is_unspecified(&x->addr) != addr_is_unspecified(&y->addr))
		return addr_is_unspecified(&x->addr) ? -1 : 1;
	return addr_cmp(&x->addr, &y->addr);
}

static bool sysctl_is_on(const char *path)
{
	char text[16];

	return !io_read_text(path, text, sizeof(text), NULL) && atoi(text) != 0;
}

int host_facts_read(struct host_facts *f, struct err *e)
{
	int rc;

	*f = (struct host_facts){ 0 };
	rc = addresses_read(&f->local, e);
	if (!rc)
		rc = host_sockets_read(f, e);
	if (rc) {
		host_facts_fini(f);
		return rc;
	}
	if (f->n_listeners)
		qsort(f->listeners, f->n_listeners, sizeof(*f->listeners), listener_cmp);
	f->forward_v4 = sysctl_is_on("/proc/sys/net/ipv4/ip_forward");
	f->forward_v6 = sysctl_is_on("/proc/sys/net/ipv6/conf/all/forwarding");
	f->has_v6 = access("/proc/sys/net/ipv6", F_OK) == 0 &&
		    !sysctl_is_on("/proc/sys/net/ipv6/conf/all/disable_ipv6");
	return 0;
}

void host_facts_fini(struct host_facts *f)
{
	addr_set_fini(&f->local);
	free(f->listeners);
	*f = (struct host_facts){ 0 };
}

/* Index of the first listener of proto and port, or of what follows it. */
static size_t lower_bound(const struct host_facts *f, uint8_t proto, uint16_t port)
{
	size_t lo = 0, hi = f->n_listeners;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct host_listener *l = &f->listeners[mid];

		if (l->proto < proto || (l->proto == proto && l->port < port))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool listener_takes_family(const struct host_listener *l, int family)
{
	if (!addr_is_unspecified(&l->addr))
		return false;
	if (l->addr.family == family)
		return true;
	return family == ADDR_V4 && l->addr.family == ADDR_V6 && !l->v6_only;
}

bool host_listens(const struct host_facts *f, uint8_t proto, int family, uint16_t port)
{
	for (size_t i = lower_bound(f, proto, port); i < f->n_listeners; i++) {
		const struct host_listener *l = &f->listeners[i];

		if (l->proto != proto || l->port != port)
			break;
		if (listener_takes_family(l, family))
			return true;
	}
	return false;
}

const struct host_listener *host_listener_at(const struct host_facts *f, uint8_t proto,
					     const struct addr *at, uint16_t port)
{
	for (size_t i = lower_bound(f, proto, port); i < f->n_listeners; i++) {
		const struct host_listener *l = &f->listeners[i];

		if (l->proto != proto || l->port != port)
			break;
		if (listener_takes_family(l, at->family) || !addr_cmp(&l->addr, at))
			return l;
	}
	return NULL;
}

static uint64_t netns_cookie(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		cookie = 0;
	if (fd >= 0)
		close(fd);
	return cookie;
}

bool host_same_namespace(const struct host_identity *a, const struct host_identity *b)
{
	if (a->ns_cookie && b->ns_cookie)
		return a->ns_cookie == b->ns_cookie;
	return a->ns_dev == b->ns_dev && a->ns_ino == b->ns_ino;
}

int host_identity_read(struct host_identity *id, struct err *e)
{
	struct stat st;

	*id = (struct host_identity){ .ns_cookie = netns_cookie() };
	if (stat("/proc/self/ns/net", &st) < 0)
		return err_sys(e, errno, "cannot read /proc/self/ns/net");
	id->ns_dev = st.st_dev;
	id->ns_ino = st.st_ino;
	return io_read_text("/proc/sys/kernel/random/boot_id", id->boot, sizeof(id->boot), e);
}
