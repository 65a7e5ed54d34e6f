/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/resolve_record.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC	     0x31525053u
#define ADDRS_OFFSET 12
#define ADDR_BYTES   17
#define WHY_OFFSET   (ADDRS_OFFSET + RESOLVE_MAX_ADDRS * ADDR_BYTES)

_Static_assert(WHY_OFFSET + 128 == RESOLVE_RECORD_LEN, "the layout in the header");

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static bool is_mapped(const struct addr *a)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return a->family == ADDR_V6 && !memcmp(a->bytes, prefix, sizeof(prefix));
}

static bool is_wanted(const struct addr *a)
{
	return !addr_is_multicast(a) && !addr_is_unspecified(a);
}

unsigned resolve_addrs_normalize(struct addr *v, unsigned n)
{
	unsigned kept = 0;

	if (n)
		qsort(v, n, sizeof(*v), addr_order);
	for (unsigned i = 0; i < n; i++)
		if (is_wanted(&v[i]) && (!kept || addr_cmp(&v[kept - 1], &v[i]) != 0))
			v[kept++] = v[i];
	return kept;
}

void resolve_record_format(const struct resolve_record *r, uint8_t out[RESOLVE_RECORD_LEN])
{
	const uint32_t head[3] = { MAGIC, r->index, r->n };

	memset(out, 0, RESOLVE_RECORD_LEN);
	memcpy(out, head, sizeof(head));
	for (unsigned i = 0; i < r->n; i++) {
		uint8_t *p = out + ADDRS_OFFSET + i * ADDR_BYTES;

		p[0] = r->addrs[i].family;
		memcpy(p + 1, r->addrs[i].bytes, 16);
	}
	if (r->n)
		return;
	for (size_t i = 0; i + 1 < sizeof(r->why) && r->why[i]; i++) {
		char c = r->why[i];

		out[WHY_OFFSET + i] = (uint8_t)(c < 0x20 || c > 0x7e ? '?' : c);
	}
}

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static bool addr_read(const uint8_t p[ADDR_BYTES], struct addr *out)
{
	out->family = p[0];
	memcpy(out->bytes, p + 1, 16);
	if (out->family == ADDR_V4)
		return is_zero(p + 1 + 4, 12) && is_wanted(out);
	return out->family == ADDR_V6 && !is_mapped(out) && is_wanted(out);
}

static bool why_read(const uint8_t *p, char out[128])
{
	size_t len = 0;

	while (len < 127 && p[len] >= 0x20 && p[len] <= 0x7e)
		len++;
	if (!is_zero(p + len, 128 - len))
		return false;
	memcpy(out, p, 128);
	return true;
}

bool resolve_record_parse(const uint8_t *bytes, size_t len, unsigned n_names,
			  struct resolve_record *out)
{
	struct resolve_record r = { 0 };
	const uint8_t *rest;
	uint32_t head[3];

	if (len != RESOLVE_RECORD_LEN)
		return false;
	memcpy(head, bytes, sizeof(head));
	if (head[0] != MAGIC || head[1] >= n_names || head[2] > RESOLVE_MAX_ADDRS)
		return false;
	r.index = head[1];
	r.n = head[2];
	for (unsigned i = 0; i < r.n; i++) {
		if (!addr_read(bytes + ADDRS_OFFSET + i * ADDR_BYTES, &r.addrs[i]))
			return false;
		if (i && addr_cmp(&r.addrs[i - 1], &r.addrs[i]) >= 0)
			return false;
	}
	rest = bytes + ADDRS_OFFSET + r.n * ADDR_BYTES;
	if (!is_zero(rest, (size_t)(bytes + WHY_OFFSET - rest)))
		return false;
	if (!why_read(bytes + WHY_OFFSET, r.why) || !r.n == !r.why[0])
		return false;
	*out = r;
	return true;
}
