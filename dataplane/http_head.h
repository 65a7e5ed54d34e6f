/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http_head: does a connection begin like HTTP/1 (RFC 9112 3)? For the relay, which only has to
 * tell it from other protocols; the proxy reads requests. No I/O. */
#ifndef DATAPLANE_HTTP_HEAD_H
#define DATAPLANE_HTTP_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/sniff.h"

/* SNIFF_YES: a method token, a space and the first byte of a target, or the HTTP/2 preface. Never
 * SNIFF_BAD. */
enum sniff http_head_sniff(const uint8_t *bytes, size_t n);

#endif
