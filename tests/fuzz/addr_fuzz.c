/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address lists: a pattern a line. What addr_set_parse() takes must be ranges; their text must be
 * the same ranges again, and the sealed set must have exactly what they have.
 *
 * covers: ctl/base/addr.c ctl/base/addr_set.c
 */
#include "ctl/base/addr.h"
#include "tests/fuzz/fuzz.h"

#define PATTERNS_MAX 8
/* A glob may be 64k ranges. Of more than COMPARE_MAX not every one is looked up, and more than
 * SEAL_MAX are not sorted: both would be slow. */
#define COMPARE_MAX 64
#define SEAL_MAX    2048

static void check_kind(const struct addr *a)
{
	socklen_t len;
	struct sockaddr_storage ss = addr_to_sockaddr(a, 7, &len);
	struct addr again;
	uint16_t port;

	again = addr_from_sockaddr((const void *)&ss, &port);
	fuzz_check(port == 7 && len <= sizeof(ss) && !addr_cmp(a, &again));
	fuzz_check(addr_is_loopback(a) + addr_is_unspecified(a) + addr_is_multicast(a) +
			   addr_is_broadcast(a) + addr_is_link_local_v6(a) <=
		   1);
}

static void check_text(const struct addr_range *r)
{
	char text[ADDR_RANGE_TEXT];
	struct addr_set again = { 0 };

	addr_range_format(r, text);
	fuzz_check(!addr_set_parse(&again, text, NULL) && again.n == 1);
	fuzz_check(!addr_cmp(&again.v[0].lo, &r->lo) && !addr_cmp(&again.v[0].hi, &r->hi));
	fuzz_check(addr_range_bits(r) <= 8 * addr_len(&r->lo));
	fuzz_check((addr_range_bits(r) == 0) == !addr_cmp(&r->lo, &r->hi));
	addr_set_fini(&again);
}

static bool one_has(const struct addr_set *raw, const struct addr *a)
{
	for (size_t i = 0; i < raw->n; i++)
		if (addr_cmp(a, &raw->v[i].lo) >= 0 && addr_cmp(a, &raw->v[i].hi) <= 0)
			return true;
	return false;
}

/* Both ends of a range, and what lies just outside of them. */
static void check_ends(const struct addr_set *set, const struct addr_set *raw, struct addr_range r)
{
	fuzz_check(addr_set_has(set, &r.lo) && addr_set_has(set, &r.hi));
	fuzz_check(addr_set_has_family(set, r.lo.family));
	if (raw->n > COMPARE_MAX)
		return;
	if (addr_prev(&r.lo))
		fuzz_check(addr_set_has(set, &r.lo) == one_has(raw, &r.lo));
	if (addr_next(&r.hi))
		fuzz_check(addr_set_has(set, &r.hi) == one_has(raw, &r.hi));
}

static void check_sealed(const struct addr_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		struct addr next = set->v[i].hi;

		fuzz_check(addr_cmp(&set->v[i].lo, &set->v[i].hi) <= 0);
		if (i + 1 == set->n || set->v[i + 1].lo.family != next.family)
			continue;
		/* Neighbours are merged: a gap is between any two. */
		fuzz_check(addr_next(&next) && addr_cmp(&next, &set->v[i + 1].lo) < 0);
	}
}

/* A pattern of many ranges of IPv4 beside an address of IPv6. */
static bool is_planted(const struct addr_set *set)
{
	return set->n > 8 && set->v[0].lo.family == ADDR_V4 &&
	       set->v[set->n - 1].lo.family == ADDR_V6;
}

static void check_set(struct addr_set *raw)
{
	struct addr_set set = { 0 };

	for (size_t i = 0; i < raw->n; i++)
		fuzz_check(!addr_set_add(&set, &raw->v[i]));
	addr_set_seal(&set);
	check_sealed(&set);
	fuzz_check(addr_set_equal(&set, &set) && addr_set_overlaps(&set, &set) == (set.n > 0));
	for (size_t i = 0; i < raw->n && i < COMPARE_MAX; i++) {
		check_text(&raw->v[i]);
		check_kind(&raw->v[i].lo);
		check_ends(&set, raw, raw->v[i]);
	}
	fuzz_planted(is_planted(&set));
	addr_set_fini(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size), *rest = text, *pattern;
	struct addr_set raw = { 0 };

	for (int i = 0; i < PATTERNS_MAX && (pattern = strsep(&rest, "\n")); i++) {
		struct err e = { 0 };
		size_t before = raw.n;
		int rc = addr_set_parse(&raw, pattern, &e);

		fuzz_check(rc ? *e.msg && raw.n == before : raw.n > before);
	}
	if (raw.n <= SEAL_MAX)
		check_set(&raw);
	addr_set_fini(&raw);
	free(text);
	return 0;
}
