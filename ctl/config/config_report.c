// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the parser is in the file, and how it says so. */
#include "ctl/config/config_parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void parse_push(struct parse *p, const char *key)
{
	p->path[p->depth++] = (struct path_step){ key, 0 };
}

void parse_push_index(struct parse *p, unsigned index)
{
	p->path[p->depth++] = (struct path_step){ NULL, index };
}

void parse_pop(struct parse *p)
{
	p->depth--;
}

const char *parse_path(const struct parse *p, char *out, size_t cap)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < p->depth && len < cap; i++) {
		const struct path_step *s = &p->path[i];

		if (s->key)
			len += (size_t)snprintf(out + len, cap - len, "%s%s", i ? "." : "", s->key);
		else
			len += (size_t)snprintf(out + len, cap - len, "[%u]", s->index);
	}
	return out;
}

const char *parse_path_dup(struct parse *p)
{
	char path[160];

	return parse_strdup(p, parse_path(p, path, sizeof(path)));
}

struct loc parse_loc(const struct parse *p, const struct doc_node *n)
{
	return n ? (struct loc){ p->c->file, n->line, n->col } : LOC_NONE;
}

struct loc parse_key_loc(const struct parse *p, const struct doc_node *n)
{
	return n && n->key ? (struct loc){ p->c->file, n->key_line, n->key_col } : parse_loc(p, n);
}

const char *parse_place(const struct parse *p, struct loc loc, char out[160])
{
	(void)p;
	snprintf(out, 160, "%.120s:%u:%u", loc.file ? loc.file : "?", loc.line, loc.col);
	return out;
}

static void report(struct parse *p, enum diag_severity s, struct loc loc, const char *key,
		   const char *hint, const char *fmt, va_list ap)
{
	char path[160], msg[480];
	size_t len;

	parse_path(p, path, sizeof(path));
	len = strlen(path);
	if (key && len < sizeof(path))
		snprintf(path + len, sizeof(path) - len, "%s%s", len ? "." : "", key);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	diags_add(p->diags, s, loc, path, hint, "%s", msg);
}

int parse_error(struct parse *p, struct loc loc, const char *key, const char *hint, const char *fmt,
		...)
{
	va_list ap;

	va_start(ap, fmt);
	report(p, DIAG_ERROR, loc, key, hint, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void parse_warn(struct parse *p, struct loc loc, const char *key, const char *hint, const char *fmt,
		...)
{
	va_list ap;

	va_start(ap, fmt);
	report(p, DIAG_WARNING, loc, key, hint, fmt, ap);
	va_end(ap);
}

int parse_expected(struct parse *p, const struct doc_node *n, const char *what)
{
	char seen[96];

	return parse_error(p, parse_loc(p, n), NULL, NULL, "must be %s, not %s", what,
			   doc_describe(n, seen, sizeof(seen)));
}

int parse_no_memory(struct parse *p)
{
	p->no_memory = true;
	return -ENOMEM;
}
