/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Members are looked up by the table, not the table by members: one hash lookup
 * each. Only when more members are there than were found is the unknown one looked for.
 */
#include "dataplane/route_json.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_BYTES 128

static size_t path_put(char out[PATH_MAX_BYTES], const struct json_at *at)
{
	size_t n = at->up ? path_put(out, at->up) : 0, room = PATH_MAX_BYTES - n;
	int more;

	if (at->key)
		more = snprintf(out + n, room, "%s%s", n ? "." : "", at->key);
	else
		more = snprintf(out + n, room, "[%zu]", at->index);
	return more < 0 || (size_t)more >= room ? PATH_MAX_BYTES - 1 : n + (size_t)more;
}

int json_refuse(const struct json_at *at, const char *key, struct err *e, const char *fmt, ...)
{
	const struct json_at member = { .up = at, .key = key };
	char path[PATH_MAX_BYTES] = "", text[320];
	va_list ap;

	if (key)
		path_put(path, &member);
	else if (at)
		path_put(path, at);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(e, EINVAL, "%s%s%s", path, *path ? ": " : "", text);
}

static const char *seen_text(const json_t *v, char out[SEEN_BYTES])
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v), k = 0;

	out[k++] = '"';
	for (size_t i = 0; i < n && i < 40; i++)
		out[k++] = s[i] < 0x20 || s[i] == 0x7f ? '?' : s[i];
	snprintf(out + k, SEEN_BYTES - k, "\"%s", n > 40 ? "..." : "");
	return out;
}

const char *json_seen(const json_t *v, char out[SEEN_BYTES])
{
	switch (v ? (int)json_typeof(v) : -1) {
	case JSON_STRING:
		return seen_text(v, out);
	case JSON_INTEGER:
		snprintf(out, SEEN_BYTES, "%lld", (long long)json_integer_value(v));
		return out;
	case JSON_REAL:
		snprintf(out, SEEN_BYTES, "%g", json_real_value(v));
		return out;
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		return "null";
	default:
		return "nothing";
	}
}

static int read_number(const json_t *v, const struct json_field *f, void *p,
		       const struct json_at *at, struct err *e)
{
	json_int_t n = v ? json_integer_value(v) : f->def;
	char seen[SEEN_BYTES];

	if (v && (!json_is_integer(v) || n < f->min || n > f->max))
		return json_refuse(at, f->key, e, "must be a number from %lld to %lld, not %s",
				   (long long)f->min, (long long)f->max, json_seen(v, seen));
	if (f->kind == FIELD_U64)
		*(uint64_t *)p = (uint64_t)n;
	else if (f->kind == FIELD_UINT)
		*(unsigned *)p = (unsigned)n;
	else
		*(int *)p = (int)n;
	return 0;
}

static int read_bool(const json_t *v, const struct json_field *f, bool *p, const struct json_at *at,
		     struct err *e)
{
	char seen[SEEN_BYTES];

	if (v && !json_is_boolean(v))
		return json_refuse(at, f->key, e, "must be true or false, not %s",
				   json_seen(v, seen));
	*p = v ? json_is_true(v) : f->def != 0;
	return 0;
}

static bool text_is_plain(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

static int read_text(const json_t *v, const struct json_field *f, char **p,
		     const struct json_at *at, struct err *e)
{
	size_t n = json_string_length(v);
	char seen[SEEN_BYTES];

	if (!v)
		return 0;
	if (!json_is_string(v) || n < (size_t)f->min || n > (size_t)f->max ||
	    !text_is_plain(json_string_value(v), n))
		return json_refuse(at, f->key, e,
				   "must be a text of %lld to %lld bytes without control "
				   "characters, not %s",
				   (long long)f->min, (long long)f->max, json_seen(v, seen));
	*p = strdup(json_string_value(v));
	return *p ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int read_named(const json_t *v, const struct json_field *f, int *p, const struct json_at *at,
		      struct err *e)
{
	const char *s = json_string_value(v);
	char seen[SEEN_BYTES];

	*p = (int)f->def;
	if (!v)
		return 0;
	for (int i = 0; s && f->values[i]; i++)
		if (!strcmp(s, f->values[i])) {
			*p = i;
			return 0;
		}
	return json_refuse(at, f->key, e, "%s is not one of the known words", json_seen(v, seen));
}

static int read_member(const json_t *v, const struct json_field *f, void *base,
		       const struct json_at *at, struct err *e)
{
	char *p = (char *)base + f->off;

	if (!v && f->required)
		return json_refuse(at, NULL, e, "lacks \"%s\"", f->key);
	switch (f->kind) {
	case FIELD_BOOL:
		return read_bool(v, f, (void *)p, at, e);
	case FIELD_TEXT:
		return read_text(v, f, (void *)p, at, e);
	case FIELD_NAMED:
		return read_named(v, f, (void *)p, at, e);
	case FIELD_OTHER:
		return 0;
	default:
		return read_number(v, f, p, at, e);
	}
}

static int refuse_unknown(const json_t *o, const struct json_field *f, size_t n,
			  const struct json_at *at, struct err *e)
{
	void *it = json_object_iter((json_t *)(uintptr_t)o);

	for (; it; it = json_object_iter_next((json_t *)(uintptr_t)o, it)) {
		const char *key = json_object_iter_key(it);
		size_t i = 0;

		while (i < n && strcmp(f[i].key, key))
			i++;
		if (i == n)
			return json_refuse(at, NULL, e, "unknown key \"%.40s\"", key);
	}
	return 0;
}

int json_read(const json_t *o, const struct json_field *f, size_t n, void *base,
	      const struct json_at *at, struct err *e)
{
	size_t known = 0;
	char seen[SEEN_BYTES];

	if (!json_is_object(o))
		return json_refuse(at, NULL, e, "must be an object, not %s", json_seen(o, seen));
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_object_get(o, f[i].key);
		int rc = read_member(v, &f[i], base, at, e);

		if (rc)
			return rc;
		known += v != NULL;
	}
	return known == json_object_size(o) ? 0 : refuse_unknown(o, f, n, at, e);
}

int json_list(const json_t *o, const char *key, size_t max, const json_t **out,
	      const struct json_at *at, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	char seen[SEEN_BYTES];

	*out = NULL;
	if (v && !json_is_array(v))
		return json_refuse(at, key, e, "must be a list, not %s", json_seen(v, seen));
	if (json_array_size(v) > max)
		return json_refuse(at, key, e, "has %zu members: at most %zu", json_array_size(v),
				   max);
	*out = v;
	return 0;
}
