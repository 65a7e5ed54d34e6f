/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/base/text.h"

#include <ctype.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 64 /* longer words are not compared: nobody mistypes them into each other */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

unsigned text_distance(const char *a, const char *b, unsigned limit)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned d[3][WORD_MAX + 1]; /* rows i-2, i-1, i */

	if (la > WORD_MAX || lb > WORD_MAX || (la > lb ? la - lb : lb - la) > limit)
		return limit + 1;
	for (size_t k = 0; k <= lb; k++)
		d[0][k] = (unsigned)k;
	for (size_t i = 1; i <= la; i++) {
		unsigned *row = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t k = 1; k <= lb; k++) {
			unsigned cost = !same(a[i - 1], b[k - 1]);

			row[k] = min3(up[k] + 1, row[k - 1] + 1, up[k - 1] + cost);
			if (i > 1 && k > 1 && same(a[i - 1], b[k - 2]) &&
			    same(a[i - 2], b[k - 1]) && up2[k - 2] + 1 < row[k])
				row[k] = up2[k - 2] + 1;
		}
	}
	return d[la % 3][lb] > limit ? limit + 1 : d[la % 3][lb];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
	size_t len = strlen(word);
	unsigned best = (unsigned)(len / 3 < 1 ? 1 : len / 3) + 1;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned d = text_distance(word, candidates[i], best - 1);

		if (d < best) {
			best = d;
			found = candidates[i];
			if (!best)
				break;
		}
	}
	return found;
}

uint64_t text_hash(const void *p, size_t n, uint64_t seed)
{
	const unsigned char *b = p;
	uint64_t h = 0xcbf29ce484222325ull ^ seed;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 0x100000001b3ull;
	return h;
}

/* Length of the sequence at s (1..4), 0 when it is not well-formed (RFC 3629, 4). */
static size_t utf8_len(const unsigned char *s, size_t n)
{
	unsigned lo = 0x80, hi = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return s[0] ? 1 : 0;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		len = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (n < len)
		return 0;
	if (s[0] == 0xe0)
		lo = 0xa0;
	if (s[0] == 0xed)
		hi = 0x9f;
	if (s[0] == 0xf0)
		lo = 0x90;
	if (s[0] == 0xf4)
		hi = 0x8f;
	if (s[1] < lo || s[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return len;
}

/* Eight bytes, all of 0x01..0x7f: nearly all of every route file. */
static bool is_plain_ascii(const char *s)
{
	uint64_t v;

	memcpy(&v, s, sizeof(v));
	return !((v | (v - 0x0101010101010101ull)) & 0x8080808080808080ull);
}

bool text_is_utf8(const char *s, size_t n, size_t *bad)
{
	for (size_t i = 0; i < n;) {
		size_t k = i + 8 <= n && is_plain_ascii(s + i)
				   ? 8
				   : utf8_len((const unsigned char *)s + i, n - i);

		if (!k) {
			if (bad)
				*bad = i;
			return false;
		}
		i += k;
	}
	return true;
}

/* How many of the `max` bytes at s, at most 8, are of 0x10..0x7f: a column each, no line end. */
static size_t plain_run(const char *s, size_t max)
{
	uint64_t v, other;

	memcpy(&v, s, sizeof(v));
	v = le64toh(v);
	/* A borrow comes from a lower byte that is itself marked: the lowest mark is right. */
	other = (v | (v - 0x1010101010101010ull)) & 0x8080808080808080ull;
	if (other && (size_t)__builtin_ctzll(other) / 8 < max)
		return (size_t)__builtin_ctzll(other) / 8;
	return max < 8 ? max : 8;
}

/* Does a line end with the byte at i? The LF of a CRLF is no second line end. */
static bool ends_line(const char *text, size_t i)
{
	return text[i] == '\r' || (text[i] == '\n' && !(i && text[i - 1] == '\r'));
}

static uint32_t columns_of(char c)
{
	return c != '\n' && (c & 0xc0) != 0x80;
}

static void place_step(struct text_place *p)
{
	if (ends_line(p->text, p->pos)) {
		p->line++;
		p->col = 1;
	} else {
		p->col += columns_of(p->text[p->pos]);
	}
	p->pos++;
}

static void count_column(struct text_place *p)
{
	p->col = 1;
	for (size_t i = p->pos; i && !ends_line(p->text, i - 1); i--)
		p->col += columns_of(p->text[i - 1]);
}

/* Costs the way back, and the line where it ends if that is another one. */
static void place_back(struct text_place *p, size_t pos)
{
	uint32_t line = p->line;

	while (p->pos > pos) {
		p->pos--;
		if (ends_line(p->text, p->pos))
			p->line--;
		else
			p->col -= columns_of(p->text[p->pos]);
	}
	if (p->line != line)
		count_column(p);
}

struct text_place text_place_start(const char *text, size_t n)
{
	return (struct text_place){ text, n, 0, 1, 1 };
}

void text_place_move(struct text_place *p, size_t pos)
{
	if (pos > p->n)
		pos = p->n;
	place_back(p, pos);
	while (p->pos < pos) {
		size_t run = p->pos + 8 <= p->n ? plain_run(p->text + p->pos, pos - p->pos) : 0;

		p->pos += run;
		p->col += (uint32_t)run;
		if (p->pos < pos && run < 8)
			place_step(p);
	}
}

static size_t line_len(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i] != '\n' && s[i] != '\r')
		i++;
	return i;
}

const char *text_line(const char *text, size_t n, uint32_t line, size_t *len)
{
	for (;; line--) {
		size_t k = line_len(text, n);

		if (line <= 1) {
			*len = k;
			return text;
		}
		if (k == n)
			return NULL;
		k += n - k > 1 && text[k] == '\r' && text[k + 1] == '\n' ? 2 : 1;
		text += k;
		n -= k;
	}
}

const char *text_plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

const char *text_short(uint64_t n, char out[TEXT_SHORT])
{
	static const char units[] = "kMGTPE";
	unsigned unit = 0;
	uint64_t whole = n, tenth = 0;

	if (n < 1000) {
		snprintf(out, TEXT_SHORT, "%u", (unsigned)n);
		return out;
	}
	for (; whole >= 1000; unit++) {
		tenth = whole % 1000 / 100;
		whole /= 1000;
	}
	if (whole < 10)
		snprintf(out, TEXT_SHORT, "%u.%u%c", (unsigned)whole, (unsigned)tenth,
			 units[unit - 1]);
	else
		snprintf(out, TEXT_SHORT, "%u%c", (unsigned)whole, units[unit - 1]);
	return out;
}

/* Iterative, so that a hostile pattern costs at most len * len steps. */
bool text_glob(const char *p, size_t p_len, const char *s, size_t s_len)
{
	size_t i = 0, k = 0, star = SIZE_MAX, mark = 0;

	while (k < s_len) {
		if (i < p_len && p[i] == '*') {
			star = i++;
			mark = k;
		} else if (i < p_len &&
			   tolower((unsigned char)p[i]) == tolower((unsigned char)s[k])) {
			i++;
			k++;
		} else if (star != SIZE_MAX) {
			i = star + 1;
			k = ++mark;
		} else {
			return false;
		}
	}
	while (i < p_len && p[i] == '*')
		i++;
	return i == p_len;
}
