/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of address ranges and the patterns that make them. A glob is expanded
 * to ranges at parse time (the parts after the last free one collapse into one
 * range), so every later question is one binary search.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/addr.h"

void addr_set_fini(struct addr_set *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}

int addr_set_add(struct addr_set *s, const struct addr_range *r)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 4;
		struct addr_range *v = realloc(s->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *r;
	return 0;
}

static int range_cmp(const void *a, const void *b)
{
	const struct addr_range *x = a, *y = b;

	return addr_cmp(&x->lo, &y->lo);
}

/* Does `next` begin inside or right behind `r`? */
static bool range_touches(const struct addr_range *r, const struct addr_range *next)
{
	struct addr after = r->hi;

	if (r->hi.family != next->lo.family)
		return false;
	if (addr_cmp(&next->lo, &r->hi) <= 0)
		return true;
	return addr_next(&after) && !addr_cmp(&after, &next->lo);
}

void addr_set_seal(struct addr_set *s)
{
	size_t n = 0;

	if (!s->n)
		return;
	qsort(s->v, s->n, sizeof(*s->v), range_cmp);
	for (size_t i = 1; i < s->n; i++) {
		if (!range_touches(&s->v[n], &s->v[i]))
			s->v[++n] = s->v[i];
		else if (addr_cmp(&s->v[i].hi, &s->v[n].hi) > 0)
			s->v[n].hi = s->v[i].hi;
	}
	s->n = n + 1;
}

bool addr_set_has(const struct addr_set *s, const struct addr *a)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr_cmp(a, &s->v[mid].lo) < 0)
			hi = mid;
		else if (addr_cmp(a, &s->v[mid].hi) > 0)
			lo = mid + 1;
		else
			return true;
	}
	return false;
}

bool addr_set_has_family(const struct addr_set *s, int family)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].lo.family == family)
			return true;
	return false;
}

bool addr_set_overlaps(const struct addr_set *a, const struct addr_set *b)
{
	for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
		if (addr_cmp(&a->v[i].hi, &b->v[k].lo) < 0)
			i++;
		else if (addr_cmp(&b->v[k].hi, &a->v[i].lo) < 0)
			k++;
		else
			return true;
	}
	return false;
}

bool addr_set_equal(const struct addr_set *a, const struct addr_set *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (addr_cmp(&a->v[i].lo, &b->v[i].lo) || addr_cmp(&a->v[i].hi, &b->v[i].hi))
			return false;
	return true;
}

static int add_everything(struct addr_set *s)
{
	struct addr_range v4 = { { ADDR_V4, { 0 } }, { ADDR_V4, { 255, 255, 255, 255 } } };
	struct addr_range v6 = { { ADDR_V6, { 0 } }, { ADDR_V6, { 0 } } };
	int rc = addr_set_add(s, &v4);

	memset(v6.hi.bytes, 0xff, 16);
	return rc ? rc : addr_set_add(s, &v6);
}

static int parse_cidr(struct addr_set *s, const char *pattern, const char *slash, struct err *e)
{
	char head[ADDR_TEXT + 1];
	struct addr_range r;
	struct addr a;
	unsigned long bits, max;
	char *end;

	if ((size_t)(slash - pattern) >= sizeof(head))
		return err_set(e, EINVAL, "\"%s\" is not an address", pattern);
	memcpy(head, pattern, (size_t)(slash - pattern));
	head[slash - pattern] = '\0';
	if (!addr_parse(head, &a))
		return err_set(e, EINVAL, "\"%s\" is not an address: \"%s\" cannot be read",
			       pattern, head);
	bits = strtoul(slash + 1, &end, 10);
	if (!isdigit((unsigned char)slash[1]) || *end)
		return err_set(e, EINVAL, "\"%s\" has no prefix length after the slash", pattern);
	/* ::ffff:10.0.0.0/104 means 10.0.0.0/8 */
	if (a.family == ADDR_V4 && strchr(head, ':')) {
		if (bits < 96)
			return err_set(e, EINVAL,
				       "\"%s\": a mapped prefix shorter than /96 means no set of "
				       "IPv4 addresses",
				       pattern);
		bits -= 96;
	}
	max = addr_len(&a) * 8;
	if (bits > max)
		return err_set(e, EINVAL, "\"%s\": the prefix length of IPv%u is 0 to %lu", pattern,
			       a.family, max);
	r.lo = r.hi = a;
	for (unsigned i = 0; i < addr_len(&a); i++) {
		unsigned keep = bits > i * 8 ? (unsigned)bits - i * 8 : 0;
		uint8_t mask = keep >= 8 ? 0xff : (uint8_t)(0xff << (8 - keep));

		r.lo.bytes[i] &= mask;
		r.hi.bytes[i] |= (uint8_t)~mask;
	}
	return addr_set_add(s, &r);
}

static int parse_dashed(struct addr_set *s, const char *pattern, const char *dash, struct err *e)
{
	char head[ADDR_TEXT + 1];
	struct addr_range r;

	if ((size_t)(dash - pattern) >= sizeof(head))
		return err_set(e, EINVAL, "\"%s\" is not an address", pattern);
	memcpy(head, pattern, (size_t)(dash - pattern));
	head[dash - pattern] = '\0';
	if (!addr_parse(head, &r.lo))
		return err_set(e, EINVAL, "\"%s\": \"%s\" before the dash is not an address",
			       pattern, head);
	if (!addr_parse(dash + 1, &r.hi))
		return err_set(e, EINVAL, "\"%s\": \"%s\" after the dash is not an address",
			       pattern, dash + 1);
	if (r.lo.family != r.hi.family)
		return err_set(e, EINVAL, "\"%s\" mixes IPv4 and IPv6", pattern);
	if (addr_cmp(&r.lo, &r.hi) > 0)
		return err_set(e, EINVAL, "\"%s\": the range ends before it starts", pattern);
	return addr_set_add(s, &r);
}

/* Does the decimal text of v match one dotted part of a glob? */
static bool part_matches(const char *glob, const char *text)
{
	if (!*glob)
		return !*text;
	if (*glob == '*')
		return part_matches(glob + 1, text) || (*text && part_matches(glob, text + 1));
	return *text && (*glob == '?' || *glob == *text) && part_matches(glob + 1, text + 1);
}

static void write_decimal(unsigned v, char text[4])
{
	if (v >= 100)
		*text++ = (char)('0' + v / 100);
	if (v >= 10)
		*text++ = (char)('0' + v / 10 % 10);
	*text++ = (char)('0' + v % 10);
	*text = '\0';
}

/* The values 0..255 that a part stands for; false when there is none. */
static bool part_values(const char *glob, bool ok[256])
{
	bool any = false;

	for (unsigned v = 0; v < 256; v++) {
		char text[4];

		write_decimal(v, text);
		ok[v] = part_matches(glob, text);
		any |= ok[v];
	}
	return any;
}

static bool part_is_all(const bool ok[256])
{
	for (unsigned v = 0; v < 256; v++)
		if (!ok[v])
			return false;
	return true;
}

struct glob4 {
	bool ok[4][256];
	unsigned fixed; /* parts before this one are enumerated; from here on everything is free */
};

/* How many ranges it stands for: runs in the last enumerated part, for each way to it. */
static size_t glob4_count(const struct glob4 *g)
{
	size_t n = 0;

	for (unsigned part = g->fixed; part-- > 0;) {
		size_t here = 0;
		bool is_last = part + 1 == g->fixed;

		for (unsigned v = 0; v < 256; v++)
			here += g->ok[part][v] && !(is_last && v && g->ok[part][v - 1]);
		n = is_last ? here : n * here;
	}
	return n;
}

/* Runs of values of the last enumerated part, under the prefix in r. */
static int glob4_last_part(struct addr_set *s, const struct glob4 *g, struct addr_range r)
{
	unsigned last = g->fixed - 1;

	for (unsigned v = 0; v < 256; v++) {
		unsigned from = v;

		if (!g->ok[last][v])
			continue;
		while (v + 1 < 256 && g->ok[last][v + 1])
			v++;
		r.lo.bytes[last] = (uint8_t)from;
		r.hi.bytes[last] = (uint8_t)v;
		if (addr_set_add(s, &r))
			return -ENOMEM;
	}
	return 0;
}

static int glob4_expand(struct addr_set *s, const struct glob4 *g, unsigned part,
			struct addr_range r)
{
	int rc = 0;

	if (part + 1 >= g->fixed)
		return glob4_last_part(s, g, r);
	for (unsigned v = 0; v < 256 && !rc; v++) {
		if (!g->ok[part][v])
			continue;
		r.lo.bytes[part] = r.hi.bytes[part] = (uint8_t)v;
		rc = glob4_expand(s, g, part + 1, r);
	}
	return rc;
}

/* Splits at the dots; "10.*" is "10.*.*.*": a last part that is "*" stands for all that follow. */
static int split_parts(const char *pattern, char part[4][16])
{
	unsigned n = 0;

	for (const char *p = pattern;; p++) {
		size_t len = strcspn(p, ".");

		if (n == 4 || !len || len >= 16 || strspn(p, "0123456789*?") < len)
			return -EINVAL;
		memcpy(part[n], p, len);
		part[n++][len] = '\0';
		p += len;
		if (!*p)
			break;
	}
	if (n < 4 && strcmp(part[n - 1], "*"))
		return -EINVAL;
	for (; n < 4; n++)
		strcpy(part[n], "*");
	return 0;
}

static int parse_glob4(struct addr_set *s, const char *pattern, struct err *e)
{
	struct addr_range r = { { .family = ADDR_V4 }, { .family = ADDR_V4 } };
	struct glob4 g = { .fixed = 4 };
	char part[4][16];

	if (split_parts(pattern, part))
		return err_set(e, EINVAL, "\"%s\" is not an address, prefix, range or pattern",
			       pattern);
	for (unsigned i = 0; i < 4; i++)
		if (!part_values(part[i], g.ok[i]))
			return err_set(e, EINVAL, "\"%s\": no number from 0 to 255 matches \"%s\"",
				       pattern, part[i]);
	while (g.fixed && part_is_all(g.ok[g.fixed - 1])) {
		g.fixed--;
		r.hi.bytes[g.fixed] = 255;
	}
	if (glob4_count(&g) > ADDR_GLOB_MAX_RANGES)
		return err_set(e, E2BIG, "\"%s\" stands for more than %d ranges", pattern,
			       ADDR_GLOB_MAX_RANGES);
	return g.fixed ? glob4_expand(s, &g, 0, r) : addr_set_add(s, &r);
}

/* "2001:db8:*": whole 16-bit groups, then one star for the rest. */
static int parse_glob6(struct addr_set *s, const char *pattern, struct err *e)
{
	size_t len = strlen(pattern);
	char head[ADDR_TEXT + 8], cidr[ADDR_TEXT + 16];
	unsigned groups = 0;

	if (len < 3 || len >= ADDR_TEXT || strcmp(pattern + len - 2, ":*") ||
	    strcspn(pattern, "*?") != len - 1 || strstr(pattern, "::"))
		return err_set(e, EINVAL,
			       "\"%s\": an IPv6 pattern is whole groups and one * at the end, as "
			       "in 2001:db8:*",
			       pattern);
	memcpy(head, pattern, len - 2);
	head[len - 2] = '\0';
	for (const char *p = head; p; p = strchr(p + 1, ':'))
		groups++;
	if (groups > 7)
		return err_set(e, EINVAL, "\"%s\" has too many groups for an IPv6 address",
			       pattern);
	snprintf(cidr, sizeof(cidr), "%s%s/%u", head, groups == 7 ? ":0" : "::", groups * 16);
	if (parse_cidr(s, cidr, strchr(cidr, '/'), e))
		return err_set(e, EINVAL, "\"%s\" is not an IPv6 pattern", pattern);
	return 0;
}

int addr_set_parse(struct addr_set *s, const char *pattern, struct err *e)
{
	const char *slash = strchr(pattern, '/'), *dash = strchr(pattern, '-');
	struct addr_range one;

	if (!strcmp(pattern, "*"))
		return add_everything(s);
	if (addr_parse(pattern, &one.lo)) {
		one.hi = one.lo;
		return addr_set_add(s, &one);
	}
	if (slash)
		return parse_cidr(s, pattern, slash, e);
	if (dash)
		return parse_dashed(s, pattern, dash, e);
	if (strpbrk(pattern, "*?"))
		return strchr(pattern, ':') ? parse_glob6(s, pattern, e)
					    : parse_glob4(s, pattern, e);
	if (strchr(pattern, '%'))
		return err_set(e, EINVAL,
			       "\"%s\": an address with a zone (%%) is not supported here",
			       pattern);
	return err_set(e, EINVAL, "\"%s\" is not an address, prefix, range or pattern", pattern);
}
