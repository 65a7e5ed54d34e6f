/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hello_bytes: ClientHellos for tests. A message (RFC 8446 4.1.2) is put together from parts, and
 * any message is cut into records of any size.
 */
#ifndef TESTS_UNIT_HELLO_BYTES_H
#define TESTS_UNIT_HELLO_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HELLO_BYTES_MAX (1 << 19)

struct hello_bytes {
	uint8_t v[HELLO_BYTES_MAX];
	size_t n;
};

static inline void put_number(struct hello_bytes *b, size_t v, unsigned bytes)
{
	while (bytes--)
		b->v[b->n++] = (uint8_t)(v >> 8 * bytes);
}

static inline void put_bytes(struct hello_bytes *b, const void *v, size_t n)
{
	if (n)
		memcpy(b->v + b->n, v, n);
	b->n += n;
}

/* The length of what was put since `at`, into the `bytes` before it. */
static inline void put_length(struct hello_bytes *b, size_t at, unsigned bytes)
{
	size_t n = b->n;

	b->n = at - bytes;
	put_number(b, n - at, bytes);
	b->n = n;
}

/* A message with this block of extensions; NULL: without one. */
static inline void put_message(struct hello_bytes *b, unsigned version, const void *ext, size_t n)
{
	static const uint8_t middle[] = { 0, 0, 4, 0x13, 1, 0xc0, 0x2f, 1, 0 };
	size_t start;

	put_number(b, 1 << 24, 4);
	start = b->n;
	put_number(b, version, 2);
	for (unsigned i = 0; i < 32; i++)
		put_number(b, i * 7 + 1, 1);
	put_bytes(b, middle, sizeof(middle));
	if (ext) {
		put_number(b, n, 2);
		put_bytes(b, ext, n);
	}
	put_length(b, start, 3);
}

static inline void put_server_name(struct hello_bytes *b, const void *name, size_t n)
{
	put_number(b, 0, 2);
	put_number(b, n + 5, 2);
	put_number(b, n + 3, 2);
	put_number(b, 0, 1);
	put_number(b, n, 2);
	put_bytes(b, name, n);
}

/* RFC 7685: an extension of n bytes in all. */
static inline void put_padding(struct hello_bytes *b, size_t n)
{
	put_number(b, 21, 2);
	put_number(b, n - 4, 2);
	for (size_t i = 4; i < n; i++)
		put_number(b, 0, 1);
}

/* Handshake records of `each` bytes, the first one of `first`. */
static inline void put_records(struct hello_bytes *b, const uint8_t *message, size_t n,
			       size_t first, size_t each)
{
	size_t part = first;

	for (; n; n -= part, message += part, part = each) {
		if (part > n)
			part = n;
		put_number(b, 0x160301, 3);
		put_number(b, part, 2);
		put_bytes(b, message, part);
	}
}

/* The message in the handshake records at the start of a stream. */
static inline void take_message(struct hello_bytes *b, const uint8_t *stream, size_t n)
{
	for (size_t at = 0; at + 5 <= n && stream[at] == 22;) {
		size_t len = (size_t)stream[at + 3] << 8 | stream[at + 4];

		if (len > n - at - 5)
			len = n - at - 5;
		put_bytes(b, stream + at + 5, len);
		at += 5 + len;
	}
	if (b->n >= 4) {
		size_t whole = 4 + ((size_t)b->v[1] << 16 | (size_t)b->v[2] << 8 | b->v[3]);

		b->n = b->n < whole ? b->n : whole;
	}
}

#endif
