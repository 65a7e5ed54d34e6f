/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proxy_header: the PROXY protocol, versions 1 and 2
 * (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt). No I/O.
 */
#ifndef DATAPLANE_PROXY_HEADER_H
#define DATAPLANE_PROXY_HEADER_H

#include "ctl/base/addr.h"
#include "dataplane/sniff.h"

#define PROXY_V1_MAX	 107  /* with CRLF (2.1) */
#define PROXY_V2_MAX	 4096 /* ours: 16 bytes and what they announce */
#define PROXY_UNIQUE_MAX 128  /* 2.2.5 */

struct proxy_header {
	int version; /* 1, 2 */
	/* UNKNOWN, LOCAL, AF_UNSPEC, AF_UNIX: the addresses of the socket count. */
	bool local;
	struct addr source, destination;
	uint16_t source_port, destination_port;
	char authority[256]; /* PP2_TYPE_AUTHORITY, "" = none */
	uint8_t unique_id[PROXY_UNIQUE_MAX];
	size_t unique_id_bytes;
	const char *why; /* with SNIFF_BAD, a clause */
};

/* *used: bytes of the header, with SNIFF_YES. A CRC32C TLV (2.2.3) is checked, except behind LOCAL
 * or what is unspecified, where nothing is read. */
enum sniff proxy_header_read(struct proxy_header *h, const uint8_t *bytes, size_t n, size_t *used);

/* version 1 or 2; authority and unique_id only in 2. Returns the length, 0 when cap is too small
 * (PROXY_V1_MAX, or 16 + 36 + 3 + 255 + 3 + PROXY_UNIQUE_MAX always suffice). Families that differ
 * are both sent as IPv6 (mapped). h->local is sent as UNKNOWN / LOCAL. */
#define PROXY_WRITE_MAX 512
size_t proxy_header_write(const struct proxy_header *h, uint8_t *out, size_t cap);

#endif
