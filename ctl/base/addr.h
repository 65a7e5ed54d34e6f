/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addr: IP addresses, ranges of them and sets of ranges.
 *
 * Bytes are in network order. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is
 * always turned into a.b.c.d when it is parsed (RFC 4291, 2.5.5.2). Ranges are
 * inclusive at both ends and never span families. IPv4 sorts before IPv6.
 */
#ifndef CTL_BASE_ADDR_H
#define CTL_BASE_ADDR_H

#include <stdint.h>
#include <sys/socket.h>

#include "ctl/base/err.h"

enum { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

struct addr {
	uint8_t family;	   /* ADDR_V4, ADDR_V6; ADDR_NONE = "all addresses" where allowed */
	uint8_t bytes[16]; /* IPv4 in bytes[0..3], the rest zero */
};

struct addr_range {
	struct addr lo, hi; /* same family, lo <= hi, both included */
};

/* Sorted, disjoint, adjacent ranges merged (after addr_set_seal). Starts zeroed. */
struct addr_set {
	struct addr_range *v;
	size_t n, cap;
};

/* A glob may stand for at most this many ranges. */
#define ADDR_GLOB_MAX_RANGES 65536
/* Longest address text with NUL (INET6_ADDRSTRLEN); a range needs twice that. */
#define ADDR_TEXT	46
#define ADDR_RANGE_TEXT 96

/* Exact address only: no prefix, no scope id. Returns false if it is not one. */
bool addr_parse(const char *s, struct addr *out);
/* Writes into out[ADDR_TEXT]; returns out. ADDR_NONE gives "*". */
const char *addr_format(const struct addr *a, char out[ADDR_TEXT]);
/* "10.0.0.0/8", "10.0.0.1-10.0.0.9" or one address; writes out[ADDR_RANGE_TEXT]. */
const char *addr_range_format(const struct addr_range *r, char out[ADDR_RANGE_TEXT]);
int addr_cmp(const struct addr *a, const struct addr *b); /* order: family, then bytes */
unsigned addr_len(const struct addr *a);		  /* bytes: 4 or 16 */
bool addr_is_loopback(const struct addr *a);		  /* 127/8, ::1 */
bool addr_is_unspecified(const struct addr *a);		  /* 0.0.0.0, :: */
bool addr_is_multicast(const struct addr *a);
bool addr_is_broadcast(const struct addr *a);	  /* 255.255.255.255 */
bool addr_is_link_local_v6(const struct addr *a); /* fe80::/10: means nothing without a zone */
/* Where no name may lead that is asked for: unspecified and 0/8, multicast, broadcast, link-local
 * (169.254/16, fe80::/10), an IPv4 address in the clothes of IPv6. Loopback is another question. */
bool addr_is_nowhere(const struct addr *a);
/* Next / previous address; false when there is none (all ones / all zeroes). */
bool addr_next(struct addr *a);
bool addr_prev(struct addr *a);
/* Number of bits that vary inside the range, rounded up: 0 for one address, 8 for a v4 /24. */
unsigned addr_range_bits(const struct addr_range *r);
struct sockaddr_storage addr_to_sockaddr(const struct addr *a, uint16_t port, socklen_t *len);
struct addr addr_from_sockaddr(const struct sockaddr *sa, uint16_t *port);

/*
 * One pattern of an address list, added to the set: exact address, CIDR
 * (host bits are cleared), "a-b" range, glob with * and ? in IPv4 parts,
 * "2001:db8:*" for IPv6, "*" for everything of both families.
 * 0, -EINVAL (e says why, without place), -E2BIG (glob too wide), -ENOMEM.
 */
int addr_set_parse(struct addr_set *s, const char *pattern, struct err *e);
int addr_set_add(struct addr_set *s, const struct addr_range *r); /* 0 or -ENOMEM */
/* Sorts and merges. Must be called after the last add and before any question. */
void addr_set_seal(struct addr_set *s);
void addr_set_fini(struct addr_set *s);
bool addr_set_has(const struct addr_set *s, const struct addr *a); /* O(log n) */
bool addr_set_has_family(const struct addr_set *s, int family);
bool addr_set_overlaps(const struct addr_set *a, const struct addr_set *b);
bool addr_set_equal(const struct addr_set *a, const struct addr_set *b);

#endif
