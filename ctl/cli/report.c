// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A column counts characters, not bytes. Source lines are cut to a window
 * around the column; what a terminal would interpret is shown as '?' (control
 * characters) or a blank (tabs), so that the caret always stands right.
 */
#include "ctl/cli/report.h"
#include "ctl/base/log.h"
#include "ctl/base/text.h"

#include <string.h>

#define WINDOW_COLUMNS 100
#define LEAD_COLUMNS   60 /* of the window, before the column */

struct paint {
	const char *bold, *red, *yellow, *cyan, *off;
};

static const struct paint plain = { "", "", "", "", "" };
static const struct paint coloured = { "\033[1m", "\033[1;31m", "\033[1;33m", "\033[1;36m",
				       "\033[0m" };

static bool is_continuation(char c)
{
	return (c & 0xc0) == 0x80;
}

static unsigned count_columns(const char *s, size_t len)
{
	unsigned n = 0;

	for (size_t i = 0; i < len; i++)
		n += !is_continuation(s[i]);
	return n;
}

/* Columns from..to (0-based, to not included) of a line. */
static void put_columns(FILE *out, const char *s, size_t len, unsigned from, unsigned to)
{
	unsigned col = 0;
	bool shown = false;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (!is_continuation(s[i])) {
			shown = col >= from && col < to;
			col++;
		}
		if (!shown)
			continue;
		if (c == '\t')
			fputc(' ', out);
		else
			fputc(c < 0x20 || c == 0x7f ? '?' : c, out);
	}
}

static void put_source(FILE *out, const struct paint *pt, const struct diag *g, const char *text,
		       size_t len)
{
	unsigned col = g->loc.col ? g->loc.col - 1 : 0, from = 0, columns, to;
	size_t n = 0;
	const char *s = text_line(text, len, g->loc.line, &n);

	if (!s)
		return;
	if (g->loc.line == 1 && n >= 3 && !memcmp(s, "\xef\xbb\xbf", 3)) {
		s += 3;
		n -= 3;
	}
	columns = count_columns(s, n);
	if (col > columns)
		col = columns;
	if (columns > WINDOW_COLUMNS && col > LEAD_COLUMNS)
		from = col - LEAD_COLUMNS;
	to = columns - from > WINDOW_COLUMNS ? from + WINDOW_COLUMNS : columns;
	fprintf(out, "  %s", from ? "..." : "");
	put_columns(out, s, n, from, to);
	fprintf(out, "%s\n  %*s%s^%s\n", to < columns ? "..." : "",
		(int)(col - from + (from ? 3 : 0)), "", pt->cyan, pt->off);
}

/* Sentences hold names from the file: nothing in them may move the cursor. */
static void put_clean(FILE *out, const char *s)
{
	for (; *s; s++)
		fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, out);
}

static void put_diag(FILE *out, const struct paint *pt, const struct diag *g, const char *text,
		     size_t len)
{
	static const char *const names[] = { "error", "warning", "note" };
	const char *const colours[] = { pt->red, pt->yellow, pt->cyan };

	fputs(pt->bold, out);
	if (g->loc.file) {
		put_clean(out, g->loc.file);
		if (g->loc.line)
			fprintf(out, ":%u:%u", g->loc.line, g->loc.col);
		fputs(": ", out);
	}
	fprintf(out, "%s%s%s:%s ", pt->off, colours[g->severity], names[g->severity], pt->off);
	if (g->path) {
		put_clean(out, g->path);
		fputs(": ", out);
	}
	put_clean(out, g->msg);
	fputc('\n', out);
	if (text && g->loc.line)
		put_source(out, pt, g, text, len);
	if (g->hint) {
		fputs("  hint: ", out);
		put_clean(out, g->hint);
		fputc('\n', out);
	}
}

static unsigned kept(const struct diags *d, enum diag_severity s)
{
	unsigned n = 0;

	for (size_t i = 0; i < d->n; i++)
		n += d->v[i].severity == s;
	return n;
}

void report_diags_text(FILE *out, const struct diags *d, const char *text, size_t len, bool colour)
{
	const struct paint *pt = colour ? &coloured : &plain;
	unsigned errors = kept(d, DIAG_ERROR), notes = kept(d, DIAG_NOTE);
	unsigned warnings = d->warnings > notes ? d->warnings - notes : 0;

	for (size_t i = 0; i < d->n; i++)
		put_diag(out, pt, &d->v[i], text, len);
	if (d->errors > errors)
		fprintf(out, "%u more error%s not shown\n", d->errors - errors,
			text_plural(d->errors - errors));
	if (warnings > kept(d, DIAG_WARNING))
		fprintf(out, "%u more warning%s not shown\n", warnings - kept(d, DIAG_WARNING),
			text_plural(warnings - kept(d, DIAG_WARNING)));
	if (d->errors)
		fprintf(out, "%u error%s", d->errors, text_plural(d->errors));
	if (warnings)
		fprintf(out, "%s%u warning%s", d->errors ? ", " : "", warnings,
			text_plural(warnings));
	if (d->errors || warnings)
		fputc('\n', out);
}

/* JSON is UTF-8; file names and words of the command line may be anything. */
json_t *report_json_text(const char *s)
{
	char shown[1024];

	if (!s)
		return json_null();
	if (text_is_utf8(s, strlen(s), NULL))
		return json_string(s);
	return json_string(log_escape(s, strlen(s), shown, sizeof(shown)));
}

static json_t *diag_json(const struct diag *g)
{
	return json_pack("{s:o, s:i, s:i, s:o, s:o, s:o}", "file", report_json_text(g->loc.file),
			 "line", (int)g->loc.line, "col", (int)g->loc.col, "path",
			 report_json_text(g->path), "message", report_json_text(g->msg), "hint",
			 report_json_text(g->hint));
}

json_t *report_diags_json(const struct diags *d)
{
	json_t *errors = json_array(), *warnings = json_array();

	for (size_t i = 0; i < d->n; i++)
		json_array_append_new(d->v[i].severity == DIAG_ERROR ? errors : warnings,
				      diag_json(&d->v[i]));
	return json_pack("{s:i, s:o, s:o}", "schema", 1, "errors", errors, "warnings", warnings);
}
