/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first bytes of a TLS client, byte by byte and at once: the same answer, which no longer
 * prefix takes back, and no byte is read that has not come. A hello that is taken stays the same in
 * records of any size.
 *
 * covers: dataplane/hello.c
 */
#include <sanitizer/asan_interface.h>

#include "dataplane/hello.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/hello_bytes.h"

#define BOUND 2048

static bool is_same(const struct hello *a, const struct hello *b, enum sniff s)
{
	if (s == SNIFF_BAD)
		return !strcmp(a->why, b->why);
	return s != SNIFF_YES || (!strcmp(a->name, b->name) && !strcmp(a->alpn, b->alpn) &&
				  a->max_version == b->max_version && a->has_ech == b->has_ech &&
				  a->has_alpn == b->has_alpn);
}

static void check_hello(const struct hello *h)
{
	size_t n = strlen(h->name);

	for (const char *p = h->name; *p; p++)
		fuzz_check(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.", *p));
	fuzz_check(!n || (h->name[0] != '.' && h->name[n - 1] != '.' && !strstr(h->name, "..")));
	for (const char *p = h->alpn; *p; p++)
		fuzz_check(*p > ' ' && *p <= '~');
	fuzz_check(!h->max_version || h->max_version >> 8 == 3);
	fuzz_check(h->has_alpn || !*h->alpn);
}

/* Behind the byte that decides only some more: each costs as much as the whole hello. */
static void check_growing(uint8_t *v, size_t n, enum sniff last, const struct hello *whole)
{
	enum sniff before = SNIFF_MORE;
	struct hello grown = { 0 };
	size_t decided = 0;

	ASAN_POISON_MEMORY_REGION(v, n);
	for (size_t i = 0; i <= n; i++) {
		enum sniff s;

		if (before != SNIFF_MORE && i > decided + 8)
			i = n;
		ASAN_UNPOISON_MEMORY_REGION(v, i);
		s = hello_feed(&grown, v, i, BOUND);
		fuzz_check(before == SNIFF_MORE || s == before);
		fuzz_check(s != SNIFF_MORE || i < BOUND);
		decided = before == SNIFF_MORE ? i : decided;
		before = s;
	}
	fuzz_check(before == last && is_same(&grown, whole, last));
}

static void check_records(const uint8_t *v, size_t n, const struct hello *whole)
{
	static const size_t sizes[] = { 1, 2, 5, 100, 1 << 14 };
	static struct hello_bytes message, stream;

	message.n = 0;
	take_message(&message, v, n);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct hello h = { 0 };

		stream.n = 0;
		put_records(&stream, message.v, message.n, 1 + v[n - 1] % sizes[i], sizes[i]);
		fuzz_check(hello_feed(&h, stream.v, stream.n, sizeof(stream.v)) == SNIFF_YES);
		fuzz_check(is_same(&h, whole, SNIFF_YES));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(data, size);
	struct hello h = { 0 };
	enum sniff s = hello_feed(&h, copy, size, BOUND);

	fuzz_check(s != SNIFF_BAD || h.why);
	check_growing(copy, size, s, &h);
	if (s == SNIFF_YES) {
		check_hello(&h);
		check_records(copy, size, &h);
		/* Protocols, but no name. */
		fuzz_planted(h.has_alpn && !*h.name);
	}
	free(copy);
	return 0;
}
