/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hello: reads a TLS ClientHello (RFC 8446 4.1.2, RFC 5246 7.4.1.2, RFC 6066 3)
 * out of the first bytes of a connection, however they are cut into segments and
 * TLS records. No I/O; the work over all calls is linear in the bytes.
 */
#ifndef DATAPLANE_HELLO_H
#define DATAPLANE_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/sniff.h"

#define HELLO_NAME_MAX 255

/* Starts zeroed. */
struct hello {
	/* With SNIFF_YES: */
	char name[HELLO_NAME_MAX + 1]; /* server_name, lower case, no trailing dot; "" = none */
	uint16_t max_version; /* highest offered: 0x0304 = TLS 1.3 (GREASE left out); 0 = none of
				 TLS */
	bool has_ech;	      /* encrypted_client_hello (the outer name is in `name`) */
	bool has_alpn;
	char alpn[256]; /* offered protocols, comma-separated, as many as fit; unprintable left out
			 */
	/* With SNIFF_BAD: why, a clause. */
	const char *why;
	/* Where it is; only for hello_feed(). */
	struct hello_progress {
		size_t at, record_end, message_bytes;
		bool in_record;
	} progress;
};

/*
 * bytes: everything from the first byte of the connection on, n never less than
 * before. max_bytes: the bound of the whole hello with its record headers. A name that is no host
 * name (RFC 6066: no bytes outside of letters, digits, '-', '_', '.'; no address) is SNIFF_BAD.
 * SNIFF_NO as early as the bytes allow.
 */
enum sniff hello_feed(struct hello *h, const uint8_t *bytes, size_t n, size_t max_bytes);

/* The fatal alert of a server (RFC 8446 6.2): 7 bytes. */
#define HELLO_ALERT_BYTES	7
#define HELLO_UNRECOGNIZED_NAME 112
#define HELLO_DECODE_ERROR	50
void hello_alert(uint8_t out[HELLO_ALERT_BYTES], uint8_t description);

#endif
