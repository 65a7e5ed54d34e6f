/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * load: what the load generator (load), its server (loadd) and what only holds connections (hold)
 * say to each other. What passes the gateway is bytes only, so every peer that moves TCP can stand
 * between.
 *
 * The first byte of a connection says what it is: 'c' one question, an answer, the server closes;
 * 'k' questions and answers as long as the client likes; 's' bytes until the client's FIN, then
 * their number as 8 bytes, big endian; 'v' the same, and every byte is compared with what stands
 * at its place in the stream (~0 for a number = it does not); 'd' as 's', but the bytes are thrown
 * away without a copy; 'z' is answered with 'z', and not one byte more is read; 0x16 (a TLS record,
 * the ClientHello) as 'c', the question is one record long. Else a question and an answer are as
 * long as -q and -r say, on both sides alike.
 */
#ifndef TESTS_TOOLS_LOAD_H
#define TESTS_TOOLS_LOAD_H

#include <netinet/tcp.h>

#include "tool.h"

#define MAX_CONNS   20000
#define MAX_MESSAGE (1 << 20)
#define CHUNK	    (256 << 10)
#define PERIOD	    65521 /* a prime: bytes that come twice or not at all do not fit */
#define HELLO_BYTES 517	  /* as long as OpenSSL and browsers made it, before post-quantum keys */
#define KIND_HELLO  0x16

/* What stands in a stream, from any place below PERIOD on MAX_MESSAGE bytes at once. */
static inline char *pattern_new(void)
{
	char *p = malloc(PERIOD + MAX_MESSAGE);

	for (size_t i = 0; p && i < PERIOD; i++)
		p[i] = (char)(i * 2654435761u >> 13);
	for (size_t i = PERIOD; p && i < PERIOD + MAX_MESSAGE; i++)
		p[i] = p[i - PERIOD];
	return p;
}

static inline void no_delay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline void files_limit(void)
{
	struct rlimit files = { MAX_CONNS, MAX_CONNS };

	if (setrlimit(RLIMIT_NOFILE, &files))
		raise_fd_limit();
}

#endif
