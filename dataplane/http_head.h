/* SPDX-License-Identifier: GPL-2.0-or-later */
/* http_head: does a connection begin like HTTP/1 (RFC 9112 3)? For the relay, which only has to
 * tell it from other protocols; the proxy reads requests. No I/O. */
#ifndef DATAPLANE_HTTP_HEAD_H
#define DATAPLANE_HTTP_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/sniff.h"

/* SNIFF_YES: a method token of up to 32 bytes, a space and the start of a target: "/", "http://",
 * "https://"; "*" of OPTIONS and of the HTTP/2 preface; the first byte of CONNECT's host. (Any
 * other first byte could be SSH's or SMTP's.) Never SNIFF_BAD. */
enum sniff http_head_sniff(const uint8_t *bytes, size_t n);

#endif
