// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Line by line over the text as it is: it is looked at when a name is new, and
 * has seldom more than a few lines, so no index of it is kept.
 */
#include "dataplane/hosts.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t\r\v\f"

/* The next word of [*p, end), or NULL. */
static const char *word_next(const char **p, const char *end, size_t *len)
{
	const char *start = *p;

	while (start < end && strchr(BLANKS, *start))
		start++;
	*p = start;
	while (*p < end && !strchr(BLANKS, **p))
		(*p)++;
	*len = (size_t)(*p - start);
	return *len ? start : NULL;
}

static bool line_has(const char *p, const char *end, const char *name, size_t name_len)
{
	const char *word;
	size_t len;

	while ((word = word_next(&p, end, &len)))
		if (len == name_len && !strncasecmp(word, name, len))
			return true;
	return false;
}

static bool line_find(const char *p, const char *end, const char *name, size_t name_len,
		      struct addr *out)
{
	char text[ADDR_TEXT];
	size_t len;
	const char *word = word_next(&p, end, &len);

	if (!word || len >= sizeof(text))
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	return addr_parse(text, out) && line_has(p, end, name, name_len);
}

unsigned hosts_find(const char *text, const char *name, struct addr *out, unsigned cap)
{
	size_t name_len = strlen(name);
	unsigned n = 0;

	if (name_len && name[name_len - 1] == '.')
		name_len--;
	while (text && *text && n < cap) {
		size_t line = strcspn(text, "\n"), said = strcspn(text, "#\n");

		n += line_find(text, text + said, name, name_len, &out[n]);
		text += line + (text[line] == '\n');
	}
	return n;
}

bool hosts_is_localhost(const char *text)
{
	static const char word[] = "localhost";
	size_t len = strlen(text), k = sizeof(word) - 1;

	len -= len && text[len - 1] == '.';
	return len >= k && !strncasecmp(text + len - k, word, k) &&
	       (len == k || text[len - k - 1] == '.');
}
