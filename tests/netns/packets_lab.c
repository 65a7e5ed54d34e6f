/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything of a connection happens within the calls that make it: veth hands a
 * packet over before send() returns. The time limit is for a busy machine, and
 * for packets that are dropped, which none should be.
 */
#include "tests/netns/packets_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#define LIMIT_MS     3000
#define CLIENT_PORTS 20000 /* to 59999 */

static const char *const ns_names[N_NS] = { "cl", "c2", "a", "b", "fo", "gw" };

static bool failed(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return false;
}

/* ---- the lab ---- */

bool lab_open(struct lab *l)
{
	struct rlimit files;
	char path[64];

	*l = (struct lab){ .epoll = epoll_create1(EPOLL_CLOEXEC), .next_port = CLIENT_PORTS };
	for (int i = 0; i < N_NS; i++) {
		snprintf(path, sizeof(path), "/run/netns/%s", ns_names[i]);
		l->ns[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (l->ns[i] < 0)
			return failed(path);
	}
	if (getrlimit(RLIMIT_NOFILE, &files))
		return failed("getrlimit");
	files.rlim_cur = files.rlim_max;
	return !setrlimit(RLIMIT_NOFILE, &files) || failed("setrlimit");
}

bool lab_enter(const struct lab *l, enum lab_ns ns)
{
	return !setns(l->ns[ns], CLONE_NEWNET) || failed(ns_names[ns]);
}

bool lab_forget(struct lab *l)
{
	static const uint32_t families[] = { AF_INET, AF_INET6 };
	struct nfct_handle *h = lab_enter(l, NS_GW) ? nfct_open(CONNTRACK, 0) : NULL;
	bool ok = h != NULL;

	for (unsigned i = 0; i < 2 && ok; i++)
		ok = !nfct_query(h, NFCT_Q_FLUSH, &families[i]);
	if (h)
		nfct_close(h);
	return ok || failed("conntrack");
}

void lab_close(struct lab *l)
{
	for (unsigned i = 0; i < l->n_servers; i++)
		close(l->servers[i].fd);
	lab_release(l);
	free(l->held);
	free(l->servers);
	for (int i = 0; i < N_NS; i++)
		close(l->ns[i]);
	close(l->epoll);
}

/* ---- servers ---- */

static int listen_at(uint8_t proto, const struct addr *a, uint16_t port)
{
	int type = proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, off = 0, on = 1;
	struct addr any = { .family = ADDR_V6 };
	socklen_t len;
	struct sockaddr_storage sa = addr_to_sockaddr(a->family ? a : &any, port, &len);
	int fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (sa.ss_family == AF_INET6 &&
	    (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) ||
	     setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on))))
		return -1;
	if (sa.ss_family == AF_INET && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)))
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&sa, len) || (type == SOCK_STREAM && listen(fd, 64)))
		return -1;
	return fd;
}

static bool add_server(struct lab *l, const struct lab_server *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = l->n_servers };

	if (l->n_servers == l->cap_servers) {
		unsigned cap = l->cap_servers ? 2 * l->cap_servers : 256;
		struct lab_server *v = realloc(l->servers, cap * sizeof(*v));

		if (!v)
			return failed("servers");
		l->servers = v;
		l->cap_servers = cap;
	}
	l->servers[l->n_servers++] = *s;
	return !epoll_ctl(l->epoll, EPOLL_CTL_ADD, s->fd, &ev) || failed("epoll");
}

bool lab_serve(struct lab *l, enum lab_ns ns, const char *addr, uint16_t port)
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP };
	struct lab_server s = { .ns = ns, .port = port };

	if (addr && !addr_parse(addr, &s.addr))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		s.proto = protos[i];
		s.fd = lab_enter(l, ns) ? listen_at(s.proto, &s.addr, port) : -1;
		if (s.fd < 0)
			return failed(addr ? addr : ns_names[ns]);
		if (!add_server(l, &s))
			return false;
	}
	return true;
}

const struct lab_server *lab_server_at(const struct lab *l, enum lab_ns ns, uint8_t proto,
				       const struct addr *addr, uint16_t port)
{
	for (unsigned i = 0; i < l->n_servers; i++) {
		const struct lab_server *s = &l->servers[i];

		if (s->ns == ns && s->proto == proto && s->port == port &&
		    (!s->addr.family || !addr_cmp(&s->addr, addr)))
			return s;
	}
	return NULL;
}

/* ---- connections that stay open ---- */

/* Closed by lab_release(), or at once. */
static void hold_or_close(struct lab *l, int fd)
{
	if (l->hold && l->n_held == l->cap_held) {
		unsigned cap = l->cap_held ? 2 * l->cap_held : 256;
		int *v = realloc(l->held, cap * sizeof(*v));

		if (v)
			l->held = v;
		l->cap_held = v ? cap : l->cap_held;
	}
	if (l->hold && l->n_held < l->cap_held)
		l->held[l->n_held++] = fd;
	else
		close(fd);
}

void lab_release(struct lab *l)
{
	while (l->n_held)
		close(l->held[--l->n_held]);
}

/* ---- what a server sees ---- */

/* Accepts, takes the client's bytes and sends them back. 0 or an errno. */
static int serve_tcp(struct lab *l, const struct lab_server *s, uint64_t nonce,
		     struct lab_seen *out)
{
	const struct timeval limit = { .tv_sec = LIMIT_MS / 1000 };
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	uint64_t got = 0;
	int fd = accept4(s->fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC), error = 0;

	if (fd < 0)
		return errno;
	out->client = addr_from_sockaddr((struct sockaddr *)&sa, NULL);
	len = sizeof(sa);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	out->target = addr_from_sockaddr((struct sockaddr *)&sa, &out->port);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (recv(fd, &got, sizeof(got), MSG_WAITALL) != sizeof(got))
		error = errno ? errno : ECONNRESET;
	else if (got != nonce)
		error = EBADMSG;
	else if (send(fd, &got, sizeof(got), MSG_NOSIGNAL) != sizeof(got))
		error = errno;
	hold_or_close(l, fd);
	return error;
}

/* The address that a datagram was sent to; the answer has to come from there. */
static struct addr sent_to(struct msghdr *m)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			info.ipi6_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof(info));
			v6.sin6_addr = info.ipi6_addr;
			return addr_from_sockaddr((struct sockaddr *)&v6, NULL);
		}
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			info.ipi_ifindex = 0;
			info.ipi_spec_dst = info.ipi_addr;
			memcpy(CMSG_DATA(c), &info, sizeof(info));
			v4.sin_addr = info.ipi_addr;
			return addr_from_sockaddr((struct sockaddr *)&v4, NULL);
		}
	}
	return (struct addr){ 0 };
}

static int serve_udp(const struct lab_server *s, uint64_t nonce, struct lab_seen *out)
{
	struct sockaddr_storage sa;
	uint64_t got = 0;
	char control[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(64)];
	struct iovec iov = { &got, sizeof(got) };
	struct msghdr m = { .msg_name = &sa,
			    .msg_namelen = sizeof(sa),
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };

	if (recvmsg(s->fd, &m, 0) != sizeof(got))
		return errno ? errno : EBADMSG;
	out->client = addr_from_sockaddr((struct sockaddr *)&sa, NULL);
	out->target = sent_to(&m);
	out->port = s->port;
	if (got != nonce)
		return EBADMSG;
	return sendmsg(s->fd, &m, 0) == sizeof(got) ? 0 : errno;
}

/* ---- what a client sees ---- */

static int client_socket(struct lab *l, const struct lab_client *c, uint8_t proto)
{
	const struct timeval limit = { .tv_sec = LIMIT_MS / 1000 };
	const struct linger at_once = { 1, 0 };
	int type = proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
	socklen_t len;
	struct sockaddr_storage sa = addr_to_sockaddr(&c->addr, l->next_port, &len);
	int fd = lab_enter(l, c->ns) ? socket(sa.ss_family, type | SOCK_CLOEXEC, 0) : -1;

	l->next_port = l->next_port == 59999 ? CLIENT_PORTS : l->next_port + 1;
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (proto == IPPROTO_TCP)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (bind(fd, (struct sockaddr *)&sa, len)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void seen_error(struct lab_seen *out, int error)
{
	out->error = error;
	/* EPERM: what an output chain refuses does not get as far as an ICMP message. EPIPE: who
	 * accepted has ended it before we spoke. */
	if (error == ECONNREFUSED || error == ECONNRESET || error == EPERM || error == EPIPE)
		out->outcome = LAB_REFUSED;
	else if (error == EAGAIN || error == EINPROGRESS || error == ETIMEDOUT)
		out->outcome = LAB_SILENT;
	else
		out->outcome = LAB_STRANGE;
}

static int socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

/* What came to the client before any server had its bytes. */
static int client_error(int fd, uint32_t events)
{
	int error = socket_error(fd);

	return error ? error : events & (EPOLLRDHUP | EPOLLHUP) ? ECONNRESET : 0;
}

/* Waits until a server has something, or the client an error or an end. 0 or an errno. */
static int wait_for_server(struct lab *l, int fd, struct lab_seen *out)
{
	struct epoll_event ev = { .events = EPOLLRDHUP, .data.u32 = UINT32_MAX };
	int n = epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev);

	if (!n)
		n = epoll_wait(l->epoll, &ev, 1, LIMIT_MS);
	if (n < 0)
		return errno;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
	if (!n)
		return ETIMEDOUT;
	if (ev.data.u32 == UINT32_MAX)
		return client_error(fd, ev.events);
	out->server = &l->servers[ev.data.u32];
	return 0;
}

static int exchange(struct lab *l, int fd, uint8_t proto, struct lab_seen *out)
{
	uint64_t nonce = ++l->nonce, got = 0;
	int error;

	if (send(fd, &nonce, sizeof(nonce), MSG_NOSIGNAL) != sizeof(nonce))
		return errno;
	error = wait_for_server(l, fd, out);
	if (error)
		return error;
	if (!out->server || out->server->proto != proto)
		return EPROTOTYPE;
	error = proto == IPPROTO_TCP ? serve_tcp(l, out->server, nonce, out)
				     : serve_udp(out->server, nonce, out);
	if (error)
		return error;
	if (recv(fd, &got, sizeof(got), proto == IPPROTO_TCP ? MSG_WAITALL : 0) != sizeof(got))
		return errno ? errno : ECONNRESET;
	return got == nonce ? 0 : EBADMSG;
}

void lab_connect(struct lab *l, const struct lab_client *c, uint8_t proto, const struct addr *to,
		 uint16_t port, struct lab_seen *out)
{
	socklen_t len;
	struct sockaddr_storage sa = addr_to_sockaddr(to, port, &len);
	int fd = client_socket(l, c, proto), error;

	*out = (struct lab_seen){ .outcome = LAB_ANSWERED };
	errno = 0;
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, len))
		error = errno ? errno : EBADF;
	else
		error = exchange(l, fd, proto, out);
	if (error)
		seen_error(out, error);
	if (fd >= 0)
		hold_or_close(l, fd);
}
