// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * YAML 1.2, chapter 10.3 (core schema): `no` and `on` are strings. A number
 * with a fraction of zero (80.0, 1e3) is the integer, as it is in JavaScript.
 */
#include "ctl/config/doc_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 64 /* longer plain text is a string */

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(s, *words))
			return true;
	return false;
}

static bool all_of(const char *s, const char *set)
{
	return *s && s[strspn(s, set)] == '\0';
}

static bool parse_integer(const char *s, int64_t *out)
{
	const char *digits = *s == '-' || *s == '+' ? s + 1 : s;
	char *end;
	int base = 10;

	if (!strncmp(s, "0x", 2) && all_of(s + 2, "0123456789abcdefABCDEF")) {
		base = 16;
		s += 2;
	} else if (!strncmp(s, "0o", 2) && all_of(s + 2, "01234567")) {
		base = 8;
		s += 2;
	} else if (!all_of(digits, "0123456789")) {
		return false;
	}
	errno = 0;
	*out = strtoll(s, &end, base);
	return !errno && !*end;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool looks_like_float(const char *s)
{
	size_t before, after = 0;

	s += *s == '-' || *s == '+';
	before = strspn(s, "0123456789");
	s += before;
	if (*s == '.') {
		after = strspn(++s, "0123456789");
		s += after;
	}
	if (!before && !after)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		s += *s == '-' || *s == '+';
		return all_of(s, "0123456789");
	}
	return !*s;
}

/* Printed again, it looks the same. */
static bool is_plain_integer(const char *s)
{
	if (!strcmp(s, "0"))
		return true;
	s += *s == '-';
	return *s >= '1' && *s <= '9';
}

static bool is_special_float(const char *s)
{
	static const char *const words[] = { ".inf",  ".Inf",  ".INF",	"+.inf", "+.Inf",
					     "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
					     ".NaN",  ".NAN",  NULL };

	return is_one_of(s, words);
}

static void number_type(struct doc_scalar *s, const char *text)
{
	double v;

	if (parse_integer(text, &s->integer)) {
		s->type = DOC_INT;
		s->respelled = !is_plain_integer(text);
		return;
	}
	if (!is_special_float(text) && !looks_like_float(text))
		return;
	s->type = DOC_FLOAT;
	s->respelled = true;
	v = is_special_float(text) ? (double)NAN : strtod(text, NULL);
	if (fabs(v) < 9e15 && v == trunc(v)) {
		s->type = DOC_INT;
		s->integer = (int64_t)v;
	}
}

void doc_scalar_type(struct doc_scalar *s, bool is_json)
{
	static const char *const yes[] = { "true", "True", "TRUE", NULL };
	static const char *const no[] = { "false", "False", "FALSE", NULL };
	static const char *const null[] = { "", "~", "null", "Null", "NULL", NULL };
	char text[NUMBER_MAX + 1];

	/* In JSON libfyaml lets only numbers and the lower-case words through. */
	s->type = DOC_STRING;
	if (!s->plain)
		return;
	if (s->len > NUMBER_MAX) {
		s->type = is_json ? DOC_FLOAT : DOC_STRING;
		s->respelled = is_json;
		return;
	}
	memcpy(text, s->text, s->len);
	text[s->len] = '\0';
	if (is_one_of(text, null))
		s->type = DOC_NULL;
	else if (is_one_of(text, yes) || is_one_of(text, no)) {
		s->type = DOC_BOOL;
		s->boolean = is_one_of(text, yes);
	} else {
		number_type(s, text);
	}
}

/* The first byte from i on that is not to be skipped. */
typedef size_t skip_fn(const char *text, size_t len, size_t i);

static size_t skip_blank(const char *t, size_t len, size_t i)
{
	while (i < len && strchr(" \t\r\n", t[i]) && t[i])
		i++;
	return i;
}

static bool is_comment(const char *text, size_t len, size_t i)
{
	return i + 1 < len && text[i] == '/' && (text[i + 1] == '/' || text[i + 1] == '*');
}

/* Behind the comment that begins at i. */
static size_t skip_comment(const char *text, size_t len, size_t i)
{
	bool line = text[i + 1] == '/';

	for (i += line ? 2 : 3; i < len; i++) {
		if (line && (text[i] == '\n' || text[i] == '\r'))
			return i;
		if (!line && text[i] == '/' && text[i - 1] == '*')
			return i + 1;
	}
	return len;
}

static size_t skip_comments(const char *text, size_t len, size_t i)
{
	i = skip_blank(text, len, i);
	while (is_comment(text, len, i))
		i = skip_blank(text, len, skip_comment(text, len, i));
	return i;
}

size_t doc_text_find_comment(const char *text, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (is_comment(text, to, i) && (i == from || strchr(" \t\r\n", text[i - 1])))
			return i;
	return to;
}

static bool starts_as_json(const char *text, size_t len, skip_fn *skip)
{
	size_t i = skip(text, len, 0), k;

	if (i == len || (text[i] != '{' && text[i] != '['))
		return false;
	k = skip(text, len, i + 1);
	if (k == len || !text[k])
		return true;
	return strchr(text[i] == '{' ? "\"}" : "\"{[]-0123456789", text[k]) != NULL;
}

bool doc_text_is_json(const char *text, size_t len)
{
	return starts_as_json(text, len, skip_blank);
}

bool doc_text_is_json_with_comments(const char *text, size_t len)
{
	return !doc_text_is_json(text, len) && starts_as_json(text, len, skip_comments);
}

bool doc_text_is_blank(const char *text, size_t len)
{
	return skip_blank(text, len, 0) == len;
}

/* Strings are shown escaped and cut: the sentence stays one line. */
static void describe_string(const struct doc_node *n, char *out, size_t cap)
{
	char shown[64];
	size_t k = 0;

	for (const unsigned char *p = (const unsigned char *)n->string; *p; p++) {
		if (k + 8 >= sizeof(shown) && (*p & 0xc0) != 0x80) {
			memcpy(shown + k, "...", 3);
			k += 3;
			break;
		}
		shown[k++] = *p < 0x20 || *p == 0x7f ? '?' : (char)*p;
	}
	shown[k] = '\0';
	snprintf(out, cap, "the string \"%s\"", shown);
}

static void describe_number(const struct doc_node *n, char *out, size_t cap)
{
	if (n->n)
		snprintf(out, cap, "%.*s%s", n->n > NUMBER_MAX ? NUMBER_MAX : (int)n->n, n->written,
			 n->n > NUMBER_MAX ? "..." : "");
	else
		snprintf(out, cap, "%" PRId64, n->integer);
}

const char *doc_describe(const struct doc_node *n, char *out, size_t cap)
{
	switch ((enum doc_type)n->type) {
	case DOC_NULL:
		snprintf(out, cap, "null");
		break;
	case DOC_BOOL:
		snprintf(out, cap, "%s", n->boolean ? "true" : "false");
		break;
	case DOC_INT:
	case DOC_FLOAT:
		describe_number(n, out, cap);
		break;
	case DOC_STRING:
		describe_string(n, out, cap);
		break;
	case DOC_LIST:
		snprintf(out, cap, "a list");
		break;
	case DOC_MAP:
		snprintf(out, cap, "an object");
		break;
	}
	return out;
}
