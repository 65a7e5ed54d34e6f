/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hello_client: who says a ClientHello of one record to a whole dataplane. */
#ifndef TESTS_UNIT_HELLO_CLIENT_H
#define TESTS_UNIT_HELLO_CLIENT_H

#include "tests/unit/hello_bytes.h"
#include "tests/unit/plane_fixture.h"

#define HELLO_TLS_1_1 0x0302
#define HELLO_TLS_1_2 0x0303

/* What a client says that offers at most that version and names that host (NULL: none). Good until
 * the next call. */
static inline const struct hello_bytes *hello_of(const char *name, unsigned version)
{
	static struct hello_bytes message, stream, extensions; /* too large for the stack */

	message.n = stream.n = extensions.n = 0;
	if (name)
		put_server_name(&extensions, name, strlen(name));
	put_message(&message, version, extensions.v, extensions.n);
	put_records(&stream, message.v, message.n, 16384, 16384);
	return &stream;
}

static inline void hello_put(int fd, const char *name, unsigned version)
{
	const struct hello_bytes *hello = hello_of(name, version);

	put(fd, hello->v, hello->n);
}

static inline int hello_connect(uint16_t port, const char *name, unsigned version)
{
	int fd = tcp_connect(port);

	hello_put(fd, name, version);
	return fd;
}

#endif
