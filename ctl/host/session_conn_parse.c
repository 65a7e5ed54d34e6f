/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/host/session_conn.h"

static bool parse_address(const char *word, struct addr *out)
{
	char text[ADDR_TEXT];
	size_t n = strcspn(word, "%");

	if (n >= sizeof(text))
		return false;
	memcpy(text, word, n);
	text[n] = '\0';
	return addr_parse(text, out);
}

static bool parse_port(const char *word, uint16_t *out)
{
	unsigned long v;
	char *end;

	if (*word < '0' || *word > '9')
		return false;
	errno = 0;
	v = strtoul(word, &end, 10);
	*out = (uint16_t)v;
	return !errno && !*end && v && v <= 65535;
}

bool session_conn_parse(const char *text, struct session_conn *out)
{
	struct session_conn c = { 0 };
	char copy[256], *words[4], *save = NULL;
	size_t n = strlen(text);

	if (n >= sizeof(copy))
		return false;
	memcpy(copy, text, n + 1);
	for (unsigned i = 0; i < 4; i++) {
		words[i] = strtok_r(i ? NULL : copy, " ", &save);
		if (!words[i])
			return false;
	}
	if (strtok_r(NULL, " ", &save) || !parse_address(words[0], &c.client) ||
	    !parse_port(words[1], &c.client_port) || !parse_address(words[2], &c.server) ||
	    !parse_port(words[3], &c.server_port) || c.client.family != c.server.family)
		return false;
	*out = c;
	return true;
}

const char *session_conn_lookup(const char *block, size_t len, const char *name)
{
	size_t n = strlen(name);

	for (size_t at = 0; at < len;) {
		const char *s = block + at, *end = memchr(s, '\0', len - at);

		if (!end)
			return NULL;
		if ((size_t)(end - s) > n && s[n] == '=' && !memcmp(s, name, n))
			return s + n + 1;
		at += (size_t)(end - s) + 1;
	}
	return NULL;
}
