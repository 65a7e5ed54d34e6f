/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A token and a space alone are also how SSH greets ("SSH-2.0-OpenSSH_9.2 Debian") and how SMTP,
 * FTP and IRC speak ("EHLO example.test"), so the target must look like one of RFC 9112 3.2, too.
 * At most METHOD_MAX + 1 + 8 bytes are looked at.
 */
#include "dataplane/http_head.h"

#include <stdbool.h>
#include <string.h>

#define METHOD_MAX 32

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* RFC 9110 5.6.2 */
static bool is_token_byte(uint8_t c)
{
	return c && (is_alnum(c) || strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_method(const uint8_t *bytes, size_t n, const char *method)
{
	return n == strlen(method) && !memcmp(bytes, method, n);
}

/* absolute-form: what a client sends to a proxy, and what any server has to take. */
static enum sniff scheme_sniff(const uint8_t *bytes, size_t n)
{
	static const char http[] = "http://", https[] = "https://";
	size_t i = 0;

	while (i < n && i < strlen("http") && (bytes[i] | 0x20) == http[i])
		i++;
	if (i == strlen("http")) {
		const char *scheme = i < n && (bytes[i] | 0x20) == 's' ? https : http;

		while (i < n && (bytes[i] | (scheme[i] == 's' ? 0x20 : 0)) == scheme[i])
			if (!scheme[++i])
				return SNIFF_YES;
	}
	return i < n ? SNIFF_NO : SNIFF_MORE;
}

/* n: bytes of the target, not 0. "PRI *" is how HTTP/2 begins (RFC 9113 3.4). */
static enum sniff target_sniff(const uint8_t *bytes, size_t method, size_t n)
{
	const uint8_t *target = bytes + method + 1;

	if (target[0] == '/')
		return SNIFF_YES;
	if (target[0] == '*')
		return is_method(bytes, method, "OPTIONS") || is_method(bytes, method, "PRI")
			       ? SNIFF_YES
			       : SNIFF_NO;
	if (is_method(bytes, method, "CONNECT"))
		return is_alnum(target[0]) || target[0] == '[' ? SNIFF_YES : SNIFF_NO;
	return scheme_sniff(target, n);
}

enum sniff http_head_sniff(const uint8_t *bytes, size_t n)
{
	size_t i = 0;

	while (i < n && i < METHOD_MAX && is_token_byte(bytes[i]))
		i++;
	if (i == n)
		return SNIFF_MORE;
	if (!i || bytes[i] != ' ')
		return SNIFF_NO;
	return i + 1 == n ? SNIFF_MORE : target_sniff(bytes, i, n - i - 1);
}
