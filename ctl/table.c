/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/table.h"

#include <stdarg.h>
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

/* Columns of a UTF-8 text: continuation bytes take none. */
static size_t width_of(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
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
	for (const char *p = text; *p; p++) {
		if (((unsigned char)*p & 0xc0) != 0x80 && shown++ == width - 3)
			break;
		fputc(*p, out);
	}
	fprintf(out, "...%*s", last ? 0 : GAP, "");
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
