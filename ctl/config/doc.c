// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tree is built from libfyaml's events, never from its document: events
 * cost a quarter of the memory and give the place of every token. Keys are
 * interned, so that finding duplicates compares pointers. An alias is a copy of
 * what its anchor names; the copies are counted, which bounds the "billion
 * laughs"; an anchor that is still open cannot be copied, which ends recursion.
 *
 * Of libfyaml's marks only the offset is used: read as JSON, it counts a CRLF
 * as two lines. Line and column are our own (text_place), and so the same for
 * both languages and for whoever shows the line.
 *
 * Known: libfyaml 0.7.12 loses 4 KiB for each quoted string with dozens of
 * escapes (fy_token_get_text); its API has no other way to the text.
 */
#include "ctl/config/doc.h"

#include "ctl/base/buf.h"
#include "ctl/base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <libfyaml.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/config/doc_scalar.h"

#define WRITTEN_MAX 80 /* bytes of a number that are kept, more than are shown */

struct intern { /* open addressing; cap is a power of two */
	const char **v;
	size_t n, cap;
};

struct anchor {
	const char *name;
	size_t len;
	const struct doc_node *node;
};

struct frame { /* one open list or map */
	struct doc_node *node, *tail;
	const char *key; /* waiting for its value */
	uint32_t key_line, key_col;
};

struct builder {
	struct doc *doc;
	struct diags *diags;
	const char *file, *text;
	struct text_place at; /* of the last event that has one */
	struct frame stack[DOC_MAX_DEPTH];
	unsigned depth, documents;
	struct intern keys;
	struct anchor *anchors;
	size_t n_anchors;
	size_t alias_nodes;
};

static int refuse(struct builder *b, uint32_t line, uint32_t col, const char *hint, const char *fmt,
		  ...) PRINTF_LIKE(5, 6);

struct path {
	char text[160];
	size_t len;
};

/* The step into a map by its key, into a list by its index. NULL key in a map: no step. */
static void add_step(struct path *p, const struct doc_node *parent, const char *key, uint32_t index)
{
	size_t room = sizeof(p->text) - p->len;

	if (p->len >= sizeof(p->text))
		return;
	if (parent->type == DOC_LIST)
		p->len += (size_t)snprintf(p->text + p->len, room, "[%u]", index);
	else if (key)
		p->len += (size_t)snprintf(p->text + p->len, room, "%s%s", p->len ? "." : "", key);
}

/* Where the builder stands: the value that comes next, or the map whose key comes next. */
static const char *path_here(const struct builder *b, struct path *p)
{
	*p = (struct path){ 0 };
	for (unsigned i = 0; i < b->depth; i++) {
		const struct doc_node *n = b->stack[i].node;

		if (i + 1 < b->depth)
			add_step(p, n, b->stack[i + 1].node->key, n->n - 1);
		else
			add_step(p, n, b->stack[i].key, n->n);
	}
	return p->text;
}

static int refuse(struct builder *b, uint32_t line, uint32_t col, const char *hint, const char *fmt,
		  ...)
{
	struct path path;
	char msg[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	diags_add(b->diags, DIAG_ERROR, (struct loc){ b->file, line, col }, path_here(b, &path),
		  hint, "%s", msg);
	return -EINVAL;
}

/* --- keys ---------------------------------------------------------------- */

static int intern_grow(struct intern *t)
{
	size_t cap = t->cap ? t->cap * 2 : 128;
	const char **v = calloc(cap, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < t->cap; i++) {
		size_t h;

		if (!t->v[i])
			continue;
		h = text_hash(t->v[i], strlen(t->v[i]), 0);
		while (v[h & (cap - 1)])
			h++;
		v[h & (cap - 1)] = t->v[i];
	}
	free(t->v);
	t->v = v;
	t->cap = cap;
	return 0;
}

static const char *intern_key(struct builder *b, const char *s, size_t len)
{
	struct intern *t = &b->keys;
	size_t h;

	if (t->n * 2 >= t->cap && intern_grow(t))
		return NULL;
	for (h = text_hash(s, len, 0); t->v[h & (t->cap - 1)]; h++) {
		const char *k = t->v[h & (t->cap - 1)];

		if (!strncmp(k, s, len) && !k[len])
			return k;
	}
	t->n++;
	return t->v[h & (t->cap - 1)] = arena_strndup(&b->doc->arena, s, len);
}

static void report_duplicate(struct builder *b, const struct doc_node *first,
			     const struct doc_node *again)
{
	b->stack[b->depth - 1].key = again->key;
	refuse(b, again->key_line, again->key_col, NULL,
	       "key \"%.60s\" stands twice in one object, first at %u:%u", again->key,
	       first->key_line, first->key_col);
}

/* Larger maps: keys are interned, so the pointer is the key. */
static int find_duplicates_hashed(struct builder *b, const struct doc_node *map)
{
	size_t cap = 64;
	const struct doc_node **seen;
	int r = 0;

	while (cap < (size_t)map->n * 2)
		cap *= 2;
	seen = calloc(cap, sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	for (const struct doc_node *n = map->child; n; n = n->next) {
		size_t h = ((uintptr_t)n->key >> 3) * 0x9e3779b97f4a7c15ull >> 20;

		while (seen[h & (cap - 1)] && seen[h & (cap - 1)]->key != n->key)
			h++;
		if (seen[h & (cap - 1)]) {
			report_duplicate(b, seen[h & (cap - 1)], n);
			r = -EINVAL;
		}
		seen[h & (cap - 1)] = n;
	}
	free(seen);
	return r;
}

static int find_duplicates(struct builder *b, const struct doc_node *map)
{
	int r = 0;

	if (map->n > 24)
		return find_duplicates_hashed(b, map);
	for (const struct doc_node *n = map->child; n; n = n->next)
		for (const struct doc_node *m = map->child; m != n; m = m->next)
			if (m->key == n->key) {
				report_duplicate(b, m, n);
				r = -EINVAL;
				break;
			}
	return r;
}

/* --- nodes --------------------------------------------------------------- */

static int attach(struct builder *b, struct doc_node *n)
{
	struct frame *f;

	if (!b->depth) {
		b->doc->root = n;
		return 0;
	}
	f = &b->stack[b->depth - 1];
	n->key = f->key;
	n->key_line = f->key_line;
	n->key_col = f->key_col;
	f->key = NULL;
	if (f->tail)
		f->tail->next = n;
	else
		f->node->child = n;
	f->tail = n;
	f->node->n++;
	return 0;
}

/* tail: bytes behind the node, for written[]. */
static struct doc_node *node_new(struct builder *b, enum doc_type type, size_t tail, uint32_t line,
				 uint32_t col)
{
	struct doc_node *n = arena_alloc(&b->doc->arena, sizeof(*n) + tail);

	if (n) {
		n->type = (uint8_t)type;
		n->line = line;
		n->col = col;
	}
	return n;
}

/* A copy that is not in any list yet; a list or map is copied without its children. */
static struct doc_node *node_copy(struct builder *b, const struct doc_node *from)
{
	bool is_tree = from->type == DOC_MAP || from->type == DOC_LIST;
	size_t tail = from->type == DOC_INT || from->type == DOC_FLOAT ? from->n : 0;
	struct doc_node *n = arena_alloc(&b->doc->arena, sizeof(*n) + tail);

	if (!n)
		return NULL;
	memcpy(n, from, sizeof(*n) + tail);
	n->next = NULL;
	if (is_tree)
		n->child = NULL;
	return n;
}

static int note_anchor(struct builder *b, struct fy_token *t, const struct doc_node *n)
{
	struct anchor *v;
	size_t len;
	const char *name;

	if (!t)
		return 0;
	name = fy_token_get_text(t, &len);
	if (!name)
		return -ENOMEM;
	if (b->n_anchors == DOC_MAX_ANCHORS)
		return refuse(b, n->line, n->col, NULL, "more than %d anchors", DOC_MAX_ANCHORS);
	v = reallocarray(b->anchors, b->n_anchors + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	b->anchors = v;
	name = arena_strndup(&b->doc->arena, name, len);
	if (!name)
		return -ENOMEM;
	v[b->n_anchors++] = (struct anchor){ name, len, n };
	return 0;
}

/* True where the next scalar is a key of the innermost map. */
static bool wants_key(const struct builder *b)
{
	const struct frame *f = b->depth ? &b->stack[b->depth - 1] : NULL;

	return f && f->node->type == DOC_MAP && !f->key;
}

static int open_node(struct builder *b, enum doc_type type, struct fy_token *anchor,
		     struct fy_token *tag, uint32_t line, uint32_t col)
{
	struct doc_node *n;
	int r;

	if (wants_key(b))
		return refuse(b, line, col, NULL, "a key must be a string, not %s",
			      type == DOC_MAP ? "an object" : "a list");
	if (tag)
		return refuse(b, line, col, NULL, "tags (\"!...\") have no meaning here");
	if (b->depth == DOC_MAX_DEPTH)
		return refuse(b, line, col, NULL, "nested deeper than %d levels", DOC_MAX_DEPTH);
	n = node_new(b, type, 0, line, col);
	if (!n)
		return -ENOMEM;
	r = note_anchor(b, anchor, n);
	if (r)
		return r;
	attach(b, n);
	b->stack[b->depth++] = (struct frame){ .node = n };
	return 0;
}

static int close_node(struct builder *b)
{
	const struct doc_node *n = b->stack[b->depth - 1].node;
	int r = n->type == DOC_MAP ? find_duplicates(b, n) : 0;

	b->depth--;
	return r;
}

static int add_key(struct builder *b, const struct doc_scalar *s)
{
	struct frame *f = &b->stack[b->depth - 1];

	if (s->plain && s->len == 2 && !memcmp(s->text, "<<", 2))
		return refuse(b, s->line, s->col, "write the keys out, or use an alias as a value",
			      "merge keys (\"<<\") are not supported");
	if (s->type != DOC_STRING)
		return refuse(b, s->line, s->col, "put it in quotes",
			      "a key must be a string, not %.*s", (int)(s->len > 40 ? 40 : s->len),
			      s->len ? s->text : "empty");
	f->key = intern_key(b, s->text, s->len);
	f->key_line = s->line;
	f->key_col = s->col;
	return f->key ? 0 : -ENOMEM;
}

static int check_scalar(struct builder *b, const struct doc_scalar *s)
{
	if (s->len > DOC_MAX_STRING_BYTES)
		return refuse(b, s->line, s->col, NULL,
			      "a string of %zu bytes is longer than the limit of %d", s->len,
			      DOC_MAX_STRING_BYTES);
	if (memchr(s->text, '\0', s->len))
		return refuse(b, s->line, s->col, NULL, "a string holds a NUL character");
	if (!text_is_utf8(s->text, s->len, NULL))
		return refuse(b, s->line, s->col, NULL, "a string is not valid UTF-8");
	return 0;
}

static int add_value(struct builder *b, const struct doc_scalar *s, struct fy_token *anchor)
{
	size_t written = !s->respelled ? 0 : s->len < WRITTEN_MAX ? s->len : WRITTEN_MAX;
	struct doc_node *n = node_new(b, s->type, written, s->line, s->col);
	int r;

	if (!n)
		return -ENOMEM;
	n->n = (uint32_t)written;
	memcpy(n->written, s->text, written);
	if (s->type == DOC_STRING) {
		n->string = arena_strndup(&b->doc->arena, s->text, s->len);
		n->n = (uint32_t)s->len;
		if (!n->string)
			return -ENOMEM;
	} else if (s->type == DOC_BOOL) {
		n->boolean = s->boolean;
	} else if (s->type == DOC_INT) {
		n->integer = s->integer;
	}
	r = note_anchor(b, anchor, n);
	return r ? r : attach(b, n);
}

static int add_scalar(struct builder *b, struct fy_event *e, uint32_t line, uint32_t col)
{
	struct doc_scalar s = { .line = line, .col = col };
	int r;

	if (e->scalar.tag)
		return refuse(b, line, col, NULL, "tags (\"!...\") have no meaning here");
	s.text = e->scalar.value ? fy_token_get_text(e->scalar.value, &s.len) : "";
	if (!s.text)
		return -ENOMEM;
	s.plain = !e->scalar.value || fy_scalar_token_get_style(e->scalar.value) == FYSS_PLAIN;
	r = check_scalar(b, &s);
	if (r)
		return r;
	doc_scalar_type(&s, b->doc->is_json);
	return wants_key(b) ? add_key(b, &s) : add_value(b, &s, e->scalar.anchor);
}

/* --- aliases ------------------------------------------------------------- */

static int copy_children(struct builder *b, const struct doc_node *from, struct doc_node *to,
			 unsigned depth)
{
	struct doc_node *tail = NULL;

	if (depth > DOC_MAX_DEPTH)
		return refuse(b, to->line, to->col, NULL, "aliases nest deeper than %d levels",
			      DOC_MAX_DEPTH);
	for (const struct doc_node *c = from->child; c; c = c->next) {
		struct doc_node *n;
		int r;

		if (++b->alias_nodes > DOC_MAX_ALIAS_NODES)
			return refuse(b, b->stack[b->depth - 1].node->line,
				      b->stack[b->depth - 1].node->col, NULL,
				      "aliases expand to more than %d values", DOC_MAX_ALIAS_NODES);
		n = node_copy(b, c);
		if (!n)
			return -ENOMEM;
		if (c->type == DOC_MAP || c->type == DOC_LIST) {
			r = copy_children(b, c, n, depth + 1);
			if (r)
				return r;
		}
		if (tail)
			tail->next = n;
		else
			to->child = n;
		tail = n;
	}
	return 0;
}

static bool is_open(const struct builder *b, const struct doc_node *n)
{
	for (unsigned i = 0; i < b->depth; i++)
		if (b->stack[i].node == n)
			return true;
	return false;
}

static const struct doc_node *find_anchor(const struct builder *b, const char *name, size_t len)
{
	for (size_t i = b->n_anchors; i--;)
		if (b->anchors[i].len == len && !memcmp(b->anchors[i].name, name, len))
			return b->anchors[i].node;
	return NULL;
}

static int add_alias(struct builder *b, struct fy_event *e, uint32_t line, uint32_t col)
{
	size_t len = 0;
	const char *name = fy_token_get_text(e->alias.anchor, &len);
	const struct doc_node *from;
	struct doc_node *n;
	int r, shown;

	if (!name)
		return -ENOMEM;
	shown = (int)(len > 60 ? 60 : len);
	if (wants_key(b))
		return refuse(b, line, col, NULL, "a key must be a string, not an alias");
	from = find_anchor(b, name, len);
	if (!from)
		return refuse(b, line, col, NULL, "alias \"*%.*s\" names no anchor above it", shown,
			      name);
	if (is_open(b, from))
		return refuse(b, line, col, NULL, "alias \"*%.*s\" stands inside what it names",
			      shown, name);
	if (++b->alias_nodes > DOC_MAX_ALIAS_NODES)
		return refuse(b, line, col, NULL, "aliases expand to more than %d values",
			      DOC_MAX_ALIAS_NODES);
	n = node_copy(b, from);
	if (!n)
		return -ENOMEM;
	n->line = line;
	n->col = col;
	if (from->type == DOC_MAP || from->type == DOC_LIST) {
		r = copy_children(b, from, n, b->depth + 1);
		if (r)
			return r;
	}
	return attach(b, n);
}

/* --- events -------------------------------------------------------------- */

static int on_document(struct builder *b, struct fy_event *e, uint32_t line, uint32_t col)
{
	(void)e;
	if (++b->documents > 1)
		return refuse(b, line, col, "keep one document a file",
			      "a second document starts here");
	return 0;
}

/* An empty value has no mark: its place is that of its key, or of what stands before it. */
static void find_place(struct builder *b, const struct fy_mark *m, uint32_t *line, uint32_t *col)
{
	const struct frame *f = b->depth ? &b->stack[b->depth - 1] : NULL;

	if (m)
		text_place_move(&b->at, m->input_pos);
	*line = !m && f && f->key ? f->key_line : b->at.line;
	*col = !m && f && f->key ? f->key_col : b->at.col;
}

static int on_event(struct builder *b, struct fy_event *e)
{
	const struct fy_mark *m = fy_event_start_mark(e);
	uint32_t line, col;
	/* The mark of a quoted scalar stands behind its quote. */
	bool quoted = e->type == FYET_SCALAR && e->scalar.value && m && m->input_pos &&
		      (b->text[m->input_pos - 1] == '"' || b->text[m->input_pos - 1] == '\'') &&
		      fy_scalar_token_get_style(e->scalar.value) != FYSS_PLAIN;

	find_place(b, m, &line, &col);
	switch (e->type) {
	case FYET_DOCUMENT_START:
		return on_document(b, e, line, col);
	case FYET_MAPPING_START:
		return open_node(b, DOC_MAP, e->mapping_start.anchor, e->mapping_start.tag, line,
				 col);
	case FYET_SEQUENCE_START:
		return open_node(b, DOC_LIST, e->sequence_start.anchor, e->sequence_start.tag, line,
				 col);
	case FYET_MAPPING_END:
	case FYET_SEQUENCE_END:
		return close_node(b);
	case FYET_SCALAR:
		return add_scalar(b, e, line, quoted ? col - 1 : col);
	case FYET_ALIAS: /* likewise behind its star */
		return add_alias(b, e, line, col > 1 ? col - 1 : col);
	default:
		return 0;
	}
}

static void report_syntax(struct builder *b, const struct fy_diag_error *e, const char *hint)
{
	const struct fy_mark *from = e->fyt ? fy_token_start_mark(e->fyt) : NULL;
	const struct fy_mark *to = e->fyt ? fy_token_end_mark(e->fyt) : NULL;
	size_t end = to && to->input_pos < b->at.n ? to->input_pos : b->at.n;
	size_t pos = from && from->input_pos < end ? from->input_pos : end, comment = end;

	/* A comment is a plain scalar to libfyaml; in quotes it would be none. */
	if (from && b->doc->is_json && strstr(e->msg, "plain scalar"))
		comment = doc_text_find_comment(b->text, pos, end);
	if (from)
		text_place_move(&b->at, comment < end ? comment : from->input_pos);
	refuse(b, b->at.line, b->at.col, hint, "not valid %s: %s",
	       b->doc->is_json ? "JSON" : "YAML", comment < end ? "a comment begins here" : e->msg);
}

static void report_libfyaml(struct builder *b, struct fy_diag *fd)
{
	const char *hint = b->doc->is_json ? "the file starts like JSON, so it is read as JSON: no "
					     "comments, no trailing commas"
					   : NULL;
	struct fy_diag_error *e;
	void *it = NULL;
	bool any = false;

	b->depth = 0; /* the reader is ahead of the builder: no path */
	while ((e = fy_diag_errors_iterate(fd, &it))) {
		if (e->type < FYET_ERROR)
			continue;
		any = true;
		report_syntax(b, e, hint);
	}
	if (!any && !b->diags->errors)
		refuse(b, 1, 1, hint, "not valid %s", b->doc->is_json ? "JSON" : "YAML");
}

static struct fy_diag *diag_new(void)
{
	struct fy_diag_cfg cfg;
	struct fy_diag *fd;

	fy_diag_cfg_default(&cfg);
	cfg.fp = NULL;
	cfg.colorize = false;
	fd = fy_diag_create(&cfg);
	if (fd)
		fy_diag_set_collect_errors(fd, true);
	return fd;
}

static int run_events(struct builder *b, size_t len)
{
	struct fy_diag *fd = diag_new();
	struct fy_parse_cfg cfg = {
		.search_path = "",
		.flags = FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 |
			 (b->doc->is_json ? FYPCF_JSON_FORCE : FYPCF_JSON_NONE),
		.diag = fd,
	};
	struct fy_parser *p = fd ? fy_parser_create(&cfg) : NULL;
	struct fy_event *e;
	int r = 0;

	if (!p || fy_parser_set_string(p, b->text, len)) {
		r = -ENOMEM;
		goto out;
	}
	while (!r && (e = fy_parser_parse(p))) {
		r = on_event(b, e);
		fy_parser_event_free(p, e);
	}
	if (!r && (fy_parser_get_stream_error(p) || fy_diag_got_error(fd))) {
		report_libfyaml(b, fd);
		r = -EINVAL;
	}
out:
	fy_parser_destroy(p);
	fy_diag_destroy(fd);
	return r;
}

static int check_bytes(struct builder *b, size_t len)
{
	struct text_place at = b->at;
	size_t bad;

	if (text_is_utf8(b->text, len, &bad))
		return 0;
	text_place_move(&at, bad);
	if (!b->text[bad])
		return refuse(b, at.line, at.col, NULL,
			      "the file holds a NUL byte: it is not text");
	return refuse(b, at.line, at.col, "save the file as UTF-8",
		      "byte 0x%02x is not valid UTF-8", (unsigned char)b->text[bad]);
}

/* d->is_json says as what. */
static int build(struct doc *d, const char *file, const char *text, size_t len, struct diags *diags)
{
	struct builder *b = calloc(1, sizeof(*b));
	unsigned before = diags->errors;
	int r;

	if (!b)
		return -ENOMEM;
	*b = (struct builder){ .doc = d, .diags = diags, .file = file, .text = text };
	b->at = text_place_start(text, len);
	r = check_bytes(b, len);
	if (!r)
		r = doc_text_is_blank(text, len) ? refuse(b, 1, 1, NULL, "the file is empty")
						 : run_events(b, len);
	if (!r && (!d->root || d->root->type == DOC_NULL))
		r = refuse(b, 1, 1, NULL, "the file holds nothing but comments");
	if (!r && diags->errors > before)
		r = -EINVAL;
	free(b->keys.v);
	free(b->anchors);
	free(b);
	return r;
}

/* Comments as in JavaScript may have become part of a key: then it is YAML, if a strange one. */
static bool is_yaml_map(const char *file, const char *text, size_t len)
{
	struct doc d = { 0 };
	struct diags unused = { 0 };
	bool is_map = !build(&d, file, text, len, &unused) && d.root->type == DOC_MAP;

	diags_fini(&unused);
	doc_fini(&d);
	return is_map;
}

int doc_parse(struct doc *d, const char *file, const char *text, size_t len, struct diags *diags)
{
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		len -= 3;
	}
	d->is_json = doc_text_is_json(text, len) ||
		     (doc_text_is_json_with_comments(text, len) && !is_yaml_map(file, text, len));
	return build(d, file, text, len, diags);
}

void doc_fini(struct doc *d)
{
	arena_fini(&d->arena);
	memset(d, 0, sizeof(*d));
}

const struct doc_node *doc_find(const struct doc_node *map, const char *key)
{
	if (!map || map->type != DOC_MAP)
		return NULL;
	for (const struct doc_node *n = map->child; n; n = n->next)
		if (!strcmp(n->key, key))
			return n;
	return NULL;
}
