/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first bytes of a peer in proxyIPs, and the same as the start of HTTP: byte by byte and at
 * once the same answer, which no longer prefix takes back. A header that is taken is written, in
 * both versions, and read again as the same.
 *
 * covers: dataplane/proxy_header.c dataplane/http_head.c
 */
#include <sanitizer/asan_interface.h>

#include "dataplane/http_head.h"
#include "dataplane/proxy_header.h"
#include "tests/fuzz/fuzz.h"

static bool is_same_end(const struct proxy_header *a, const struct proxy_header *b)
{
	return !addr_cmp(&a->source, &b->source) && a->source_port == b->source_port &&
	       !addr_cmp(&a->destination, &b->destination) &&
	       a->destination_port == b->destination_port;
}

static bool is_same_tlvs(const struct proxy_header *a, const struct proxy_header *b)
{
	return !strcmp(a->authority, b->authority) && a->unique_id_bytes == b->unique_id_bytes &&
	       !memcmp(a->unique_id, b->unique_id, a->unique_id_bytes);
}

static void check_written(struct proxy_header h, int version)
{
	uint8_t out[PROXY_WRITE_MAX];
	struct proxy_header again;
	size_t n, used;

	h.version = version;
	n = proxy_header_write(&h, out, sizeof(out));
	fuzz_check(n && (version == 2 || n <= PROXY_V1_MAX));
	fuzz_check(!proxy_header_write(&h, out, n - 1));
	fuzz_check(proxy_header_read(&again, out, n, &used) == SNIFF_YES && used == n);
	fuzz_check(again.version == version && again.local == h.local);
	fuzz_check(h.local || is_same_end(&h, &again));
	fuzz_check(h.local || version == 1 || is_same_tlvs(&h, &again));
}

static void check_header(const struct proxy_header *h, size_t used, size_t n)
{
	fuzz_check(used <= n && used <= (h->version == 1 ? PROXY_V1_MAX : PROXY_V2_MAX));
	fuzz_check(h->version == 1 || h->version == 2);
	fuzz_check(h->unique_id_bytes <= PROXY_UNIQUE_MAX);
	fuzz_check(h->local || (h->source.family && h->destination.family));
	check_written(*h, 1);
	check_written(*h, 2);
}

static void fuzz_header(uint8_t *v, size_t n)
{
	enum sniff before = SNIFF_MORE;
	struct proxy_header h = { 0 };
	size_t decided = 0, used = 0;

	ASAN_POISON_MEMORY_REGION(v, n);
	for (size_t i = 0; i <= n; i++) {
		enum sniff s;

		ASAN_UNPOISON_MEMORY_REGION(v, i);
		s = proxy_header_read(&h, v, i, &used);
		fuzz_check(before == SNIFF_MORE || s == before);
		fuzz_check((s == SNIFF_BAD) == !!h.why);
		decided = before == SNIFF_MORE ? i : decided;
		before = s;
	}
	if (before != SNIFF_YES)
		return;
	fuzz_check(used == decided);
	check_header(&h, used, n);
	/* An id, but no authority. */
	fuzz_planted(h.unique_id_bytes && !*h.authority);
}

static void fuzz_http(uint8_t *v, size_t n)
{
	enum sniff before = SNIFF_MORE;

	ASAN_POISON_MEMORY_REGION(v, n);
	for (size_t i = 0; i <= n; i++) {
		enum sniff s;

		ASAN_UNPOISON_MEMORY_REGION(v, i);
		s = http_head_sniff(v, i);
		fuzz_check(s != SNIFF_BAD && (s != SNIFF_MORE || i <= 40));
		fuzz_check(before == SNIFF_MORE || s == before);
		before = s;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = fuzz_copy(data, size);

	fuzz_header(copy, size);
	fuzz_http(copy, size);
	free(copy);
	return 0;
}
