// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose an address is, the kernel's routing table knows; netlink is not for a
 * process that peers talk to. So it is asked with a datagram socket that sends nothing: what
 * leads to an address of this host leaves by that very address, or can be bound to. The
 * first is not so of the second address of a subnet (it leaves by the first), the other
 * says nothing where ip_nonlocal_bind is set, which an address that nobody has shows.
 */
#include "dataplane/own.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 9 /* discard: any will do */

void own_ports_set(struct own_ports *p, uint16_t port, bool listens)
{
	const unsigned bit = 1u << port % 32;

	if (listens)
		atomic_fetch_or_explicit(&p->bits[port / 32], bit, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&p->bits[port / 32], ~bit, memory_order_relaxed);
}

static int socket_for(const struct addr *a)
{
	const int family = a->family == ADDR_V6 ? AF_INET6 : AF_INET;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* 1, 0, or there is no socket. */
static int can_bind(const struct addr *a)
{
	socklen_t len;
	struct sockaddr_storage ss = addr_to_sockaddr(a, 0, &len);
	int fd = socket_for(a), rc;

	if (fd < 0)
		return fd;
	rc = bind(fd, (struct sockaddr *)&ss, len) == 0;
	close(fd);
	return rc;
}

static int leaves_by_itself(const struct addr *a)
{
	socklen_t len;
	struct sockaddr_storage ss = addr_to_sockaddr(a, PORT, &len);
	struct addr source = { 0 };
	int fd = socket_for(a);

	if (fd < 0)
		return fd;
	if (!connect(fd, (struct sockaddr *)&ss, len) &&
	    !getsockname(fd, (struct sockaddr *)&ss, &len))
		source = addr_from_sockaddr((struct sockaddr *)&ss, NULL);
	close(fd);
	return !addr_cmp(&source, a);
}

/* 240/4 is nobody's; 100::/64 is what is thrown away (RFC 6666). */
static int can_bind_to_anything(int family)
{
	static const struct addr v4 = { ADDR_V4, { 240, 0, 0, 1 } };
	static const struct addr v6 = { ADDR_V6, { 1, [15] = 1 } };

	return can_bind(family == ADDR_V6 ? &v6 : &v4);
}

static int ask(const struct addr *a)
{
	int rc = addr_is_loopback(a) ? 1 : leaves_by_itself(a);

	if (rc)
		return rc;
	rc = can_bind(a);
	if (rc != 1)
		return rc;
	rc = can_bind_to_anything(a->family);
	return rc < 0 ? rc : !rc;
}

static unsigned place_of(const struct addr *a)
{
	uint32_t h = a->family;

	for (unsigned i = 0; i < addr_len(a); i++)
		h = h * 31 + a->bytes[i];
	return h % OWN_KEPT;
}

int own_address(struct own_addresses *o, const struct addr *a, int64_t now_ms)
{
	const unsigned at = place_of(a);
	int rc;

	if (now_ms < o->v[at].until_ms && !addr_cmp(&o->v[at].addr, a))
		return o->v[at].own;
	rc = ask(a);
	if (rc < 0)
		return rc;
	o->v[at].addr = *a;
	o->v[at].own = rc;
	o->v[at].until_ms = now_ms + OWN_KEPT_MS;
	return rc;
}
