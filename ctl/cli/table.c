/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GAP	  2
#define NARROWEST 8 /* a column is not cut below this */

static void add(struct table *t, const char *text)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		const char **v = realloc(t->cells, cap * sizeof(*v));

		if (!v) {
			t->failed = 1;
			return;
		}
		t->cells = v;
		t->cap = cap;
	}
	t->cells[t->n++] = text ? text : "";
}

void table_init(struct table *t, unsigned n, const char *const *head)
{
	memset(t, 0, sizeof(*t));
	t->columns = n;
	for (unsigned i = 0; i < n; i++)
		add(t, head[i]);
}

void table_cell(struct table *t, const char *text)
{
	add(t, arena_strdup(&t->arena, text && *text ? text : "-"));
}

void table_cellf(struct table *t, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	table_cell(t, text);
}

void table_fini(struct table *t)
{
	arena_fini(&t->arena);
	free(t->cells);
	memset(t, 0, sizeof(*t));
}

/* The character at s (UTF-8, as the config was checked to be) and its length. */
static uint32_t decode(const char *s, size_t *len)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t c = p[0];

	*len = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	c &= *len == 1 ? 0xff : 0x7fu >> *len;
	for (size_t i = 1; i < *len; i++) {
		if (!p[i]) {
			*len = i;
			break;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	return c;
}

/* Two columns for what Unicode calls wide (East Asian Width W and F, emoji), else one. */
static size_t columns_of(uint32_t c)
{
	static const struct {
		uint32_t from, to;
	} wide[] = { { 0x1100, 0x115f }, { 0x2e80, 0xa4cf },   { 0xac00, 0xd7a3 },
		     { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },
		     { 0xffe0, 0xffe6 }, { 0x1f300, 0x1faff }, { 0x20000, 0x3fffd } };

	for (size_t i = 0; i < sizeof(wide) / sizeof(*wide); i++)
		if (c >= wide[i].from && c <= wide[i].to)
			return 2;
	return 1;
}

size_t table_columns(const char *s, size_t len)
{
	size_t n = 0, step;

	for (const char *end = s + len; s < end; s += step)
		n += columns_of(decode(s, &step));
	return n;
}

static size_t width_of(const char *s)
{
	return table_columns(s, strlen(s));
}

static void measure(const struct table *t, size_t width[TABLE_MAX_COLUMNS])
{
	size_t total = (t->columns - 1) * GAP;

	for (size_t i = 0; i < t->n; i++) {
		size_t w = width_of(t->cells[i]);

		if (w > width[i % t->columns])
			width[i % t->columns] = w;
	}
	for (unsigned i = 0; i < t->columns; i++)
		total += width[i];
	while (total > TABLE_WIDTH) {
		unsigned widest = 0;

		for (unsigned i = 1; i < t->columns; i++)
			if (width[i] > width[widest])
				widest = i;
		if (width[widest] <= NARROWEST)
			return;
		width[widest]--;
		total--;
	}
}

static void print_cell(FILE *out, const char *text, size_t width, int last)
{
	size_t have = width_of(text), shown = 0;

	if (have <= width) {
		fprintf(out, "%s%*s", text, last ? 0 : (int)(width - have + GAP), "");
		return;
	}
	while (*text) {
		size_t len, w = columns_of(decode(text, &len));

		if (shown + w > width - 3)
			break;
		fwrite(text, 1, len, out);
		shown += w;
		text += len;
	}
	fprintf(out, "...%*s", (int)(width - 3 - shown) + (last ? 0 : GAP), "");
}

void table_print(struct table *t, FILE *out)
{
	size_t width[TABLE_MAX_COLUMNS] = { 0 };

	if (t->failed || t->columns > TABLE_MAX_COLUMNS)
		return;
	measure(t, width);
	for (size_t i = 0; i + t->columns <= t->n; i += t->columns) {
		for (unsigned k = 0; k < t->columns; k++)
			print_cell(out, t->cells[i + k], width[k], k + 1 == t->columns);
		fputc('\n', out);
	}
}
