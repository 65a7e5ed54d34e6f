/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/service/listen_at.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int listen_at_cmp(const struct listen_at *a, const struct listen_at *b)
{
	const int by = addr_cmp(&a->address, &b->address);

	return by ? by : (a->port > b->port) - (a->port < b->port);
}

/* ---- the socket ---- */

static int set_one(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int socket_new(int family, bool only_v6)
{
	const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = set_one(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	rc = rc ? rc : set_one(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	/* An address that is not there yet: a floating one, or an interface that comes later. */
	rc = rc ? rc : set_one(fd, IPPROTO_IP, IP_FREEBIND, 1);
	if (!rc && family == AF_INET6)
		rc = set_one(fd, IPPROTO_IPV6, IPV6_V6ONLY, only_v6);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static int socket_bind(const struct addr *address, uint16_t port, bool only_v6)
{
	socklen_t len;
	const struct sockaddr_storage sa = addr_to_sockaddr(address, port, &len);
	const int fd = socket_new(sa.ss_family, only_v6);
	int rc;

	if (fd < 0)
		return fd;
	if (!bind(fd, (const struct sockaddr *)&sa, len))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* All addresses: one socket of both families, or of IPv4 where IPv6 is off. */
int listen_at_bind(const struct listen_at *at)
{
	const struct addr any6 = { .family = ADDR_V6 }, any4 = { .family = ADDR_V4 };
	int fd;

	if (at->address.family != ADDR_NONE)
		return socket_bind(&at->address, at->port, true);
	fd = socket_bind(&any6, at->port, false);
	if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
		fd = socket_bind(&any4, at->port, false);
	return fd;
}

int listen_at_listen(int fd)
{
	return listen(fd, LISTENERS_BACKLOG) < 0 ? -errno : 0;
}

bool listen_at_listens(int fd)
{
	socklen_t n = sizeof(int);
	int listens = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) && listens;
}

bool listen_at_is(int fd, const struct listen_at *at)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa), n = sizeof(int);
	int protocol = 0;
	struct addr address;
	uint16_t port;

	if (!listen_at_listens(fd) || getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &n) < 0 ||
	    protocol != IPPROTO_TCP || getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return false;
	address = addr_from_sockaddr((struct sockaddr *)&sa, &port);
	if (port != at->port)
		return false;
	return at->address.family == ADDR_NONE ? addr_is_unspecified(&address)
					       : !addr_cmp(&address, &at->address);
}

/* ---- names ---- */

const char *listen_at_text(const struct listen_at *at, char out[LISTENER_NAME_MAX])
{
	char text[ADDR_TEXT];

	addr_format(&at->address, text);
	snprintf(out, LISTENER_NAME_MAX, at->address.family == ADDR_V6 ? "[%s]:%u" : "%s:%u", text,
		 at->port);
	return out;
}

/* A colon separates the names of the store. */
const char *listen_at_name(const struct listen_at *at, unsigned slot, char out[LISTENER_NAME_MAX])
{
	char text[ADDR_TEXT];

	addr_format(&at->address, text);
	for (char *p = text; *p; p++)
		if (*p == ':')
			*p = '_';
	if (at->address.family == ADDR_NONE)
		snprintf(out, LISTENER_NAME_MAX, "any/%u/%u", at->port, slot);
	else
		snprintf(out, LISTENER_NAME_MAX, "%s/%u/%u", text, at->port, slot);
	return out;
}

bool listen_at_name_parse(const char *name, struct listen_at *out)
{
	const size_t n = strcspn(name, "/");
	char text[ADDR_TEXT] = "";
	unsigned port, slot;
	char end;

	if (n >= sizeof(text) || sscanf(name + n, "/%5u/%5u%c", &port, &slot, &end) != 2 || !port ||
	    port > 65535)
		return false;
	for (size_t i = 0; i < n; i++)
		text[i] = name[i] == '_' ? ':' : name[i];
	out->port = (uint16_t)port;
	out->address = (struct addr){ .family = ADDR_NONE };
	return !strcmp(text, "any") || addr_parse(text, &out->address);
}
