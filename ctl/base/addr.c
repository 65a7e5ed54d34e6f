/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* From 16 bytes of IPv6; a mapped address becomes IPv4. */
static struct addr addr_from_v6(const uint8_t bytes[16])
{
	struct addr a = { .family = ADDR_V6 };

	if (!memcmp(bytes, mapped_prefix, sizeof(mapped_prefix))) {
		a.family = ADDR_V4;
		memcpy(a.bytes, bytes + 12, 4);
		return a;
	}
	memcpy(a.bytes, bytes, 16);
	return a;
}

bool addr_parse(const char *s, struct addr *out)
{
	struct addr a = { .family = ADDR_V4 };
	uint8_t v6[16];

	if (inet_pton(AF_INET, s, a.bytes) == 1)
		*out = a;
	else if (inet_pton(AF_INET6, s, v6) == 1)
		*out = addr_from_v6(v6);
	else
		return false;
	return true;
}

const char *addr_format(const struct addr *a, char out[ADDR_TEXT])
{
	if (a->family == ADDR_NONE)
		snprintf(out, ADDR_TEXT, "*");
	else
		inet_ntop(a->family == ADDR_V4 ? AF_INET : AF_INET6, a->bytes, out, ADDR_TEXT);
	return out;
}

unsigned addr_len(const struct addr *a)
{
	return a->family == ADDR_V4 ? 4 : 16;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == ADDR_V4)
		return a->bytes[0] == 127;
	return a->family == ADDR_V6 && !memcmp(a->bytes, one, 16);
}

bool addr_is_unspecified(const struct addr *a)
{
	static const uint8_t zero[16];

	return a->family != ADDR_NONE && !memcmp(a->bytes, zero, 16);
}

bool addr_is_multicast(const struct addr *a)
{
	if (a->family == ADDR_V4)
		return (a->bytes[0] & 0xf0) == 0xe0;
	return a->family == ADDR_V6 && a->bytes[0] == 0xff;
}

bool addr_is_broadcast(const struct addr *a)
{
	static const uint8_t ones[4] = { 0xff, 0xff, 0xff, 0xff };

	return a->family == ADDR_V4 && !memcmp(a->bytes, ones, 4);
}

bool addr_is_link_local_v6(const struct addr *a)
{
	return a->family == ADDR_V6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

/* ::ffff:0:0/96, which a socket takes for IPv4, and ::/96, once the same; not ::1. */
static bool is_v4_in_v6(const struct addr *a)
{
	static const uint8_t zero[12];

	if (a->family != ADDR_V6 || memcmp(a->bytes, zero, 10) || addr_is_loopback(a))
		return false;
	return (a->bytes[10] == 0xff && a->bytes[11] == 0xff) || !memcmp(a->bytes, zero, 12);
}

bool addr_is_nowhere(const struct addr *a)
{
	const bool v4 = a->family == ADDR_V4;

	return addr_is_unspecified(a) || addr_is_multicast(a) || addr_is_broadcast(a) ||
	       addr_is_link_local_v6(a) || is_v4_in_v6(a) || (v4 && !a->bytes[0]) ||
	       (v4 && a->bytes[0] == 169 && a->bytes[1] == 254);
}

bool addr_next(struct addr *a)
{
	for (unsigned i = addr_len(a); i-- > 0;)
		if (++a->bytes[i])
			return true;
	memset(a->bytes, 0xff, addr_len(a));
	return false;
}

bool addr_prev(struct addr *a)
{
	for (unsigned i = addr_len(a); i-- > 0;)
		if (a->bytes[i]--)
			return true;
	memset(a->bytes, 0, addr_len(a));
	return false;
}

/* Bits of the first `bits` of the address stay, the rest becomes all `fill`. */
static void fill_host_bits(struct addr *a, unsigned bits, uint8_t fill)
{
	for (unsigned i = 0; i < addr_len(a); i++) {
		unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
		uint8_t mask = keep >= 8 ? 0xff : (uint8_t)(0xff << (8 - keep));

		a->bytes[i] = (uint8_t)((a->bytes[i] & mask) | (fill & ~mask));
	}
}

static struct addr_range range_of_prefix(struct addr a, unsigned bits)
{
	struct addr_range r = { a, a };

	fill_host_bits(&r.lo, bits, 0);
	fill_host_bits(&r.hi, bits, 0xff);
	return r;
}

/* Prefix length when the range is exactly one prefix, else -1. */
static int range_prefix(const struct addr_range *r)
{
	unsigned total = addr_len(&r->lo) * 8, bits = 0;
	struct addr_range p;

	while (bits < total &&
	       !((r->lo.bytes[bits / 8] ^ r->hi.bytes[bits / 8]) & (0x80 >> bits % 8)))
		bits++;
	p = range_of_prefix(r->lo, bits);
	if (addr_cmp(&p.lo, &r->lo) || addr_cmp(&p.hi, &r->hi))
		return -1;
	return (int)bits;
}

const char *addr_range_format(const struct addr_range *r, char out[ADDR_RANGE_TEXT])
{
	char lo[ADDR_TEXT], hi[ADDR_TEXT];
	int prefix = range_prefix(r);

	addr_format(&r->lo, lo);
	addr_format(&r->hi, hi);
	if (!addr_cmp(&r->lo, &r->hi))
		snprintf(out, ADDR_RANGE_TEXT, "%s", lo);
	else if (prefix >= 0)
		snprintf(out, ADDR_RANGE_TEXT, "%s/%d", lo, prefix);
	else
		snprintf(out, ADDR_RANGE_TEXT, "%s-%s", lo, hi);
	return out;
}

unsigned addr_range_bits(const struct addr_range *r)
{
	unsigned len = addr_len(&r->lo);
	uint8_t diff[16];
	int borrow = 0;

	for (unsigned i = len; i-- > 0;) {
		int d = r->hi.bytes[i] - r->lo.bytes[i] - borrow;

		borrow = d < 0;
		diff[i] = (uint8_t)d;
	}
	/* hi - lo needs k bits <=> the range has more than 2^(k-1) addresses. */
	for (unsigned i = 0; i < len; i++)
		for (unsigned b = 0; b < 8; b++)
			if (diff[i] & (0x80 >> b))
				return (len - i) * 8 - b;
	return 0;
}

struct sockaddr_storage addr_to_sockaddr(const struct addr *a, uint16_t port, socklen_t *len)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;

	if (a->family == ADDR_V4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, a->bytes, 4);
		*len = sizeof(*v4);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, a->bytes, 16);
		*len = sizeof(*v6);
	}
	return ss;
}

struct addr addr_from_sockaddr(const struct sockaddr *sa, uint16_t *port)
{
	const void *p = sa;
	const struct sockaddr_in *v4 = p;
	const struct sockaddr_in6 *v6 = p;
	struct addr a = { 0 };
	uint16_t port_be = 0;

	if (sa->sa_family == AF_INET) {
		a.family = ADDR_V4;
		memcpy(a.bytes, &v4->sin_addr, 4);
		port_be = v4->sin_port;
	} else if (sa->sa_family == AF_INET6) {
		a = addr_from_v6(v6->sin6_addr.s6_addr);
		port_be = v6->sin6_port;
	}
	if (port)
		*port = ntohs(port_be);
	return a;
}
