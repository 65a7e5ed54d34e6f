// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One entry for each name of each line, sorted by name, then by line. The names
 * stand in a copy of the text, whose blanks after them have become their ends.
 */
#include "dataplane/hosts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLANKS " \t\r\v\f"

struct entry {
	const char *name;
	size_t line; /* as it stands, to keep their order */
	struct addr addr;
};

struct hosts {
	char *text;
	struct entry *v;
	size_t n, cap;
};

static int entry_order(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int by_name = strcmp(x->name, y->name);

	return by_name ? by_name : (x->line > y->line) - (x->line < y->line);
}

static int entry_add(struct hosts *h, const char *name, size_t line, const struct addr *a)
{
	size_t cap = h->cap ? h->cap * 2 : 16;
	struct entry *v;

	if (h->n == h->cap) {
		v = realloc(h->v, cap * sizeof(*v));
		if (!v)
			return -1;
		h->v = v;
		h->cap = cap;
	}
	h->v[h->n++] = (struct entry){ .name = name, .line = line, .addr = *a };
	return 0;
}

static int line_read(struct hosts *h, char *text, size_t line)
{
	char *rest = NULL, *word = strtok_r(text, BLANKS, &rest);
	struct addr a;
	int rc = 0;

	if (!word || !addr_parse(word, &a))
		return 0;
	while (!rc && (word = strtok_r(NULL, BLANKS, &rest)))
		rc = entry_add(h, word, line, &a);
	return rc;
}

static int text_read(struct hosts *h)
{
	char *p = h->text;
	int rc = 0;

	for (char *c = p; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (size_t line = 0; !rc && *p; line++) {
		char *end = p + strcspn(p, "\n"), *next = end + (*end == '\n');

		p[strcspn(p, "#\n")] = '\0';
		rc = line_read(h, p, line);
		p = next;
	}
	return rc;
}

struct hosts *hosts_new(const char *text)
{
	struct hosts *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->text = strdup(text ? text : "");
	if (!h->text || text_read(h)) {
		hosts_free(h);
		return NULL;
	}
	if (h->n)
		qsort(h->v, h->n, sizeof(*h->v), entry_order);
	return h;
}

void hosts_free(struct hosts *h)
{
	if (!h)
		return;
	free(h->text);
	free(h->v);
	free(h);
}

/* As it stands in an entry against a name of any case, of that length. */
static int name_order(const char *entry, const char *name, size_t len)
{
	int order = strncasecmp(entry, name, len);

	return order ? order : entry[len] != '\0';
}

static size_t first_of(const struct hosts *h, const char *name, size_t len)
{
	size_t lo = 0, hi = h->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (name_order(h->v[mid].name, name, len) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

unsigned hosts_find(const struct hosts *h, const char *name, struct addr *out, unsigned cap)
{
	size_t len = strlen(name), i;
	unsigned n = 0;

	if (len && name[len - 1] == '.')
		len--;
	for (i = first_of(h, name, len); i < h->n && n < cap; i++) {
		if (name_order(h->v[i].name, name, len))
			break;
		out[n++] = h->v[i].addr;
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
