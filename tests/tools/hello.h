/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hello: a ClientHello (RFC 8446 4.1.2) with a server name, that real TLS servers take, padded to
 * HELLO_BYTES (RFC 7685). The randoms are fixed: nobody derives a key from it.
 */
#ifndef TESTS_TOOLS_HELLO_H
#define TESTS_TOOLS_HELLO_H

#include "load.h"

struct hello {
	unsigned char bytes[HELLO_BYTES];
	size_t len;
};

static inline void hello_put(struct hello *h, const void *data, size_t n)
{
	if (h->len + n > sizeof h->bytes)
		die_usage("load: the name is too long for a hello");
	memcpy(h->bytes + h->len, data, n);
	h->len += n;
}

static inline void hello_put16(struct hello *h, size_t v)
{
	hello_put(h, (unsigned char[]){ (unsigned char)(v >> 8), (unsigned char)v }, 2);
}

static inline void hello_fill(struct hello *h, unsigned char byte, size_t n)
{
	while (n--)
		hello_put(h, &byte, 1);
}

static inline void hello_server_name(struct hello *h, const char *name)
{
	size_t n = strlen(name);

	hello_put16(h, 0);
	hello_put16(h, n + 5);
	hello_put16(h, n + 3);
	hello_put(h, "", 1); /* host_name */
	hello_put16(h, n);
	hello_put(h, name, n);
}

static inline void hello_make(struct hello *h, const char *name)
{
	static const unsigned char suites[] = { 0x13, 0x01, 0x13, 0x02, 0x13, 0x03,
						0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x30 };
	static const unsigned char rest[] = {
		0,   10,  0,   6,   0, 4,  0, 29,  0,	23, /* supported_groups */
		0,   11,  0,   2,   1, 0,		    /* ec_point_formats */
		0,   13,  0,   10,  0, 8,  4, 3,   8,	4,  4,	 1,   8,
		6, /* signature_algorithms */
		0,   16,  0,   14,  0, 12, 2, 'h', '2', 8,  'h', 't', 't',
		'p',							 /* ALPN */
		'/', '1', '.', '1', 0, 43, 0, 5,   4,	3,  4,	 3,   3, /* supported_versions */
		0,   45,  0,   2,   1, 1,		   /* psk_key_exchange_modes */
		0,   51,  0,   38,  0, 36, 0, 29,  0,	32 /* key_share: x25519 */
	};
	size_t extensions;

	*h = (struct hello){ .len = 0 };
	hello_put(h, "\x16\x03\x01", 3);
	hello_put16(h, HELLO_BYTES - 5);
	hello_put(h, "\x01\x00", 2);
	hello_put16(h, HELLO_BYTES - 9);
	hello_put(h, "\x03\x03", 2);
	hello_fill(h, 0x5a, 32);
	hello_fill(h, 32, 1);
	hello_fill(h, 0xa5, 32);
	hello_put16(h, sizeof suites);
	hello_put(h, suites, sizeof suites);
	hello_put(h, "\x01", 2);
	extensions = HELLO_BYTES - h->len - 2;
	hello_put16(h, extensions);
	hello_server_name(h, name);
	hello_put(h, rest, sizeof rest);
	hello_fill(h, 9, 32);
	hello_put16(h, 21); /* padding */
	if (h->len + 2 > HELLO_BYTES)
		die_usage("load: the name is too long for a hello");
	hello_put16(h, HELLO_BYTES - h->len - 2);
	hello_fill(h, 0, HELLO_BYTES - h->len);
}

#endif
