/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One file for both kinds of findings, replaced as a whole: it is old or new,
 * and the table that is compiled from it is one or the other. Every reader of a
 * generation gets what stands here instead of what stood in N.json, so that status,
 * explain and the next apply agree with the kernel without knowing why.
 */
#include "ctl/state/state_found.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/io.h"
#include "ctl/base/log.h"

#define FILE_NAME "found"
#define FILE_MAX  (64u << 20)

/* ---- lists ---- */

/* Room for one more; powers of two. NULL: no memory. */
static void *grown(void *v, unsigned n, size_t size)
{
	return n & (n - 1) ? v : reallocarray(v, n ? n * 2 : 1, size);
}

int state_found_add_name(struct state_found *f, const char *name, uint32_t since,
			 const struct addr *v, unsigned n)
{
	struct found_name *names, *to;

	if (f->n_names == FOUND_NAMES_MAX || !n || n > RESOLVE_MAX_ADDRS)
		return -E2BIG;
	names = grown(f->names, f->n_names, sizeof(*names));
	if (!names)
		return -ENOMEM;
	f->names = names;
	to = &names[f->n_names];
	*to = (struct found_name){ .name = strdup(name), .since = since, .n = n };
	if (!to->name)
		return -ENOMEM;
	memcpy(to->addrs, v, n * sizeof(*v));
	f->n_names++;
	return 0;
}

int state_found_add_down(struct state_found *f, const char *route, uint32_t tag)
{
	struct target_down *down;

	if (f->n_down == FOUND_DOWN_MAX)
		return -E2BIG;
	down = grown(f->down, f->n_down, sizeof(*down));
	if (!down)
		return -ENOMEM;
	f->down = down;
	down[f->n_down] = (struct target_down){ strdup(route), tag };
	if (!down[f->n_down].route)
		return -ENOMEM;
	f->n_down++;
	return 0;
}

static int down_cmp(const void *va, const void *vb)
{
	const struct target_down *a = va, *b = vb;
	const int c = strcmp(a->route, b->route);

	return c ? c : (a->tag > b->tag) - (a->tag < b->tag);
}

static int name_cmp(const void *va, const void *vb)
{
	const struct found_name *a = va, *b = vb;

	return strcmp(a->name, b->name);
}

void state_found_sort(struct state_found *f)
{
	if (f->n_names)
		qsort(f->names, f->n_names, sizeof(*f->names), name_cmp);
	if (f->n_down)
		qsort(f->down, f->n_down, sizeof(*f->down), down_cmp);
}

const struct found_name *state_found_name(const struct state_found *f, const char *name)
{
	unsigned lo = 0, hi = f->n_names;

	while (lo < hi) {
		const unsigned mid = lo + (hi - lo) / 2;
		const int c = strcmp(f->names[mid].name, name);

		if (!c)
			return &f->names[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static void down_fini(struct state_found *f)
{
	for (unsigned i = 0; i < f->n_down; i++)
		free(f->down[i].route);
	free(f->down);
	f->down = NULL;
	f->n_down = 0;
}

void state_found_fini(struct state_found *f)
{
	for (unsigned i = 0; i < f->n_names; i++)
		free(f->names[i].name);
	free(f->names);
	down_fini(f);
	*f = (struct state_found){ 0 };
}

/* ---- text ---- */

static json_t *name_json(const struct found_name *n)
{
	json_t *list = json_array();
	char text[ADDR_TEXT];

	for (unsigned i = 0; i < n->n; i++)
		json_array_append_new(list, json_string(addr_format(&n->addrs[i], text)));
	return json_pack("{s:s,s:I,s:o}", "name", n->name, "since", (json_int_t)n->since,
			 "addresses", list);
}

int state_found_format(const struct state_found *f, struct buf *out, struct err *e)
{
	json_t *names = json_array(), *down = json_array(), *root;
	int bad = 0;
	char *text;

	for (unsigned i = 0; i < f->n_names; i++)
		bad |= json_array_append_new(names, name_json(&f->names[i]));
	for (unsigned i = 0; i < f->n_down; i++)
		bad |= json_array_append_new(down, json_pack("{s:s,s:I}", "route", f->down[i].route,
							     "tag", (json_int_t)f->down[i].tag));
	root = json_pack("{s:I,s:s,s:o,s:o}", "generation", (json_int_t)f->generation, "boot",
			 f->boot, "names", names, "down", down);
	text = root && !bad ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	if (!text)
		return err_set(e, ENOMEM, "out of memory");
	buf_puts(out, text);
	buf_putc(out, '\n');
	free(text);
	return out->failed ? err_set(e, ENOMEM, "out of memory") : 0;
}

/* A positive number of 32 bits, or 0. */
static uint32_t number_of(const json_t *o, const char *key)
{
	const json_int_t v = json_integer_value(json_object_get(o, key));

	return v > 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

static int name_parse(const json_t *o, struct state_found *f)
{
	const json_t *list = json_object_get(o, "addresses");
	const char *name = json_string_value(json_object_get(o, "name"));
	const size_t n = json_array_size(list);
	struct addr v[RESOLVE_MAX_ADDRS];

	if (!name || !*name || !n || n > RESOLVE_MAX_ADDRS)
		return -EBADMSG;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text || !addr_parse(text, &v[i]) || (i && addr_cmp(&v[i - 1], &v[i]) >= 0))
			return -EBADMSG;
	}
	return state_found_add_name(f, name, number_of(o, "since"), v, (unsigned)n);
}

static int down_parse(const json_t *o, struct state_found *f)
{
	const char *route = json_string_value(json_object_get(o, "route"));
	const uint32_t tag = number_of(o, "tag");

	return route && *route && tag ? state_found_add_down(f, route, tag) : -EBADMSG;
}

static int root_parse(const json_t *root, struct state_found *f)
{
	const json_t *names = json_object_get(root, "names"), *down = json_object_get(root, "down");
	const char *boot = json_string_value(json_object_get(root, "boot"));
	int rc = 0;

	if (!json_is_array(names) || !json_is_array(down) || !boot ||
	    strlen(boot) >= sizeof(f->boot))
		return -EBADMSG;
	memcpy(f->boot, boot, strlen(boot) + 1);
	f->generation = number_of(root, "generation");
	for (size_t i = 0; i < json_array_size(names) && !rc; i++)
		rc = name_parse(json_array_get(names, i), f);
	for (size_t i = 0; i < json_array_size(down) && !rc; i++)
		rc = down_parse(json_array_get(down, i), f);
	return rc;
}

int state_found_parse(const char *text, size_t len, struct state_found *out, struct err *e)
{
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	struct state_found f = { 0 };
	const int rc = root ? root_parse(root, &f) : -EBADMSG;

	json_decref(root);
	if (!rc) {
		state_found_sort(&f);
		*out = f;
		return 0;
	}
	state_found_fini(&f);
	if (rc == -ENOMEM)
		return err_set(e, ENOMEM, "out of memory");
	return err_set(e, EBADMSG, "what the service found out is damaged");
}

/* ---- the file ---- */

int state_found_load(const struct state *s, struct state_found *out, struct err *e)
{
	char *path = state_path(s, FILE_NAME);
	struct err why = { 0 };
	struct buf text = { 0 };
	int rc = path ? io_read_regular(path, FILE_MAX, &text, &why) : -ENOMEM;

	*out = (struct state_found){ 0 };
	rc = rc ? rc : state_found_parse(text.data ? text.data : "", text.len, out, &why);
	if (rc == -ENOMEM)
		rc = err_set(e, ENOMEM, "out of memory");
	else if (rc && rc != -ENOENT)
		log_warn("%s: %s", path, why.msg);
	if (strcmp(out->boot, s->boot)) {
		down_fini(out);
		memcpy(out->boot, s->boot, sizeof(out->boot));
	}
	buf_fini(&text);
	free(path);
	return rc == -ENOMEM ? rc : 0;
}

int state_found_save(const struct state *s, const struct state_found *f, struct err *e)
{
	char *path = state_path(s, FILE_NAME);
	struct buf text = { 0 };
	int rc = path ? state_found_format(f, &text, e) : err_set(e, ENOMEM, "out of memory");

	rc = rc ? rc : io_write_file(path, text.data, text.len, 0600, e);
	buf_fini(&text);
	free(path);
	return rc;
}

int state_found_forget_down(const struct state *s, struct err *e)
{
	struct state_found f;
	int rc = state_found_load(s, &f, e);

	if (!rc && f.n_down) {
		down_fini(&f);
		rc = state_found_save(s, &f, e);
	}
	state_found_fini(&f);
	return rc;
}

/* ---- generations ---- */

static int replace_addresses(struct resolved_name *to, const struct found_name *from)
{
	struct addr *v = malloc(from->n * sizeof(*v));

	if (!v)
		return -ENOMEM;
	memcpy(v, from->addrs, from->n * sizeof(*v));
	free(to->addrs);
	to->addrs = v;
	to->n = from->n;
	to->why[0] = '\0';
	return 0;
}

int state_found_lay_over(struct state_found *f, struct state_meta *m)
{
	int rc = 0;

	for (unsigned i = 0; i < m->n_names && !rc; i++) {
		const struct found_name *n = state_found_name(f, m->names[i].name);

		if (n && n->since >= m->generation)
			rc = replace_addresses(&m->names[i], n);
	}
	m->down = f->down;
	m->n_down = f->n_down;
	f->down = NULL;
	f->n_down = 0;
	return rc;
}
