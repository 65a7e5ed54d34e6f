// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The values whose type the key table knows, each put where the table says.
 * What a type alone cannot decide is in the files named after the object.
 */
#include "ctl/config/config_parse.h"

#include "ctl/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *parse_alloc(struct parse *p, size_t n)
{
	void *v = arena_alloc(&p->c->arena, n);

	if (!v)
		p->no_memory = true;
	return v;
}

const char *parse_strdup(struct parse *p, const char *s)
{
	char *v = arena_strdup(&p->c->arena, s);

	if (!v)
		p->no_memory = true;
	return v;
}

const struct doc_node *parse_list_first(const struct doc_node *n)
{
	return n->type == DOC_LIST ? n->child : n;
}

const struct doc_node *parse_list_next(const struct doc_node *list, const struct doc_node *e)
{
	return list->type == DOC_LIST ? e->next : NULL;
}

unsigned parse_list_len(const struct doc_node *n)
{
	return n->type == DOC_LIST ? n->n : 1;
}

bool text_has_control(const char *s, bool multiline)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (multiline && (c == '\n' || c == '\r' || c == '\t'))
			continue;
		if (c < 0x20 || c == 0x7f)
			return true;
	}
	return false;
}

/* --- needs ----------------------------------------------------------------- */

void parse_need(struct parse *p, enum tier t, const char *reason, unsigned need_flags,
		struct loc loc, const char *key)
{
	struct cfg_need *need;

	if (!p->need_tail)
		return;
	need = parse_alloc(p, sizeof(*need));
	if (!need)
		return;
	if (key)
		parse_push(p, key);
	*need = (struct cfg_need){ .tier = t,
				   .reason = reason,
				   .loc = loc,
				   .path = parse_path_dup(p),
				   .needs_plaintext = need_flags & NEED_PLAINTEXT,
				   .tcp_only = need_flags & NEED_TCP_ONLY };
	if (key)
		parse_pop(p);
	*p->need_tail = need;
	p->need_tail = &need->next;
}

void parse_need_at_top(struct parse *p, enum tier t, const char *reason, struct loc loc,
		       const char *key)
{
	struct path_step first = p->path[0];
	unsigned depth = p->depth;

	p->depth = 0;
	parse_need(p, t, reason, NEED_TCP_ONLY, loc, key);
	p->depth = depth;
	p->path[0] = first;
}

bool parse_is_off(const struct doc_node *n)
{
	const struct doc_node *on = n->type == DOC_MAP ? doc_find(n, "enabled") : n;

	return on && on->type == DOC_BOOL && !on->boolean;
}

/* False where the value says nothing, or turns its key off. */
static bool node_asks(const struct doc_node *n)
{
	if (n->type == DOC_NULL)
		return false;
	if (n->type == DOC_LIST || n->type == DOC_MAP)
		return n->n > 0 && !parse_is_off(n);
	return !parse_is_off(n);
}

static void note_need(struct parse *p, const struct key *k, const struct doc_node *n)
{
	if (k->need && node_asks(n))
		parse_need(p, k->tier == KEY_TIER_PROXY ? TIER_PROXY : TIER_RELAY, k->need,
			   k->flags & KEY_PLAINTEXT ? NEED_PLAINTEXT : 0, parse_loc(p, n), NULL);
}

static void note_time(struct parse *p)
{
	char path[160];
	const char *shown = parse_path(p, path, sizeof(path));

	if (p->n_unapplied == sizeof(p->unapplied) / sizeof(p->unapplied[0]))
		return;
	if (p->route && strchr(shown, '.'))
		shown = strchr(shown, '.') + 1;
	p->unapplied[p->n_unapplied++] = parse_strdup(p, shown);
}

/* --- defaults --------------------------------------------------------------- */

static int enum_position(const struct key *k, const char *s)
{
	for (int i = 0; k->values[i]; i++)
		if (!strcmp(k->values[i], s))
			return i;
	return -1;
}

static void *key_base(struct parse *p, const struct key_object *o, const struct key *k, void *base)
{
	if (k->flags & KEY_LIMITS)
		return p->c->extra->limits;
	if (k->flags & KEY_EXTRA)
		return parse_extra(p, o, base);
	return base;
}

static void key_default(struct parse *p, const struct key *k, char *at)
{
	switch (k->type) {
	case KEY_BOOL:
		*(bool *)at = !strcmp(k->def, "true");
		break;
	case KEY_UINT:
		*(unsigned *)(void *)at = (unsigned)strtoul(k->def, NULL, 10);
		break;
	case KEY_INT:
		*(int *)(void *)at = (int)strtol(k->def, NULL, 10);
		break;
	case KEY_ENUM:
		*(int *)(void *)at = enum_position(k, k->def) + k->value_base;
		break;
	case KEY_TEXT:
	case KEY_CHOICE:
		*(const char **)(void *)at = k->def;
		break;
	default:
		break;
	}
	(void)p;
}

static void apply_defaults(struct parse *p, const struct key_object *o, char *base)
{
	for (size_t i = 0; i < o->n_keys; i++) {
		const struct key *k = &o->keys[i];

		if (k->type == KEY_OBJECT && (k->flags & KEY_EMBED))
			apply_defaults(p, k->object, base + k->off);
		else if (k->def && (k->flags & KEY_LIMITS))
			key_default(p, k, (char *)p->c->extra->limits + k->off);
		else if (k->def && !(k->flags & KEY_EXTRA))
			key_default(p, k, base + k->off);
	}
}

/* Defaults are worked out once an object kind and copied from then on. */
static const void *object_image(struct parse *p, const struct key_object *o)
{
	unsigned i = 0;

	while (key_objects[i] != o)
		i++;
	if (!p->images[i]) {
		p->images[i] = parse_alloc(p, o->size);
		if (p->images[i])
			apply_defaults(p, o, p->images[i]);
	}
	return p->images[i];
}

void parse_object_init(struct parse *p, const struct key_object *o, void *base)
{
	const void *image;

	if (o == &key_root) { /* the config is in use already: it holds the arena */
		apply_defaults(p, o, base);
		return;
	}
	image = object_image(p, o);
	if (image)
		memcpy(base, image, o->size);
}

void *parse_object_new(struct parse *p, const struct key_object *o)
{
	void *v = parse_alloc(p, o->size);

	if (v)
		parse_object_init(p, o, v);
	/* What a route's acme does not say is taken from the top level's. */
	if (v && o == &key_acme && p->c->extra->acme)
		memcpy(v, p->c->extra->acme, o->size);
	return v;
}

struct cfg_extra *parse_extra(struct parse *p, const struct key_object *o, void *base)
{
	struct cfg_extra **e = (struct cfg_extra **)(void *)((char *)base + o->extra_off);

	if (!*e)
		*e = parse_alloc(p, sizeof(**e));
	return *e;
}

/* --- single values ------------------------------------------------------------ */

static int expected(struct parse *p, const struct key *k, const struct doc_node *n,
		    const char *what, const char *hint)
{
	char seen[96];

	if (k->flags & KEY_SECRET)
		return parse_error(p, parse_loc(p, n), NULL, hint, "must be %s", what);
	return parse_error(p, parse_loc(p, n), NULL, hint, "must be %s, not %s", what,
			   doc_describe(n, seen, sizeof(seen)));
}

static int parse_bool(struct parse *p, const struct key *k, const struct doc_node *n, bool *out)
{
	char hint[80] = "";

	if (n->type == DOC_BOOL) {
		*out = n->boolean;
		return 0;
	}
	if (n->type == DOC_STRING &&
	    (!strcasecmp(n->string, "true") || !strcasecmp(n->string, "false")))
		snprintf(hint, sizeof(hint), "write %s without quotes",
			 tolower(n->string[0]) == 't' ? "true" : "false");
	return expected(p, k, n, "true or false", hint);
}

static int parse_number(struct parse *p, const struct key *k, const struct doc_node *n,
			int64_t *out)
{
	char what[96], hint[80] = "";

	if (n->type == DOC_INT && n->integer >= k->min && n->integer <= k->max) {
		*out = n->integer;
		return 0;
	}
	if (n->type == DOC_STRING && n->n && n->n < 20 &&
	    n->string[strspn(n->string, "0123456789")] == '\0')
		snprintf(hint, sizeof(hint), "write %s without quotes", n->string);
	snprintf(what, sizeof(what), "a whole number from %" PRId64 " to %" PRId64, k->min, k->max);
	return expected(p, k, n, what, hint);
}

int parse_text(struct parse *p, const struct key *k, const struct doc_node *n, const char **out)
{
	if (n->type != DOC_STRING)
		return expected(p, k, n, "a string", NULL);
	if (!n->n && !(k->flags & KEY_EMPTY_OK))
		return parse_error(p, parse_loc(p, n), NULL, NULL, "must not be empty");
	if (text_has_control(n->string, k->flags & KEY_MULTILINE))
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "must not hold control characters");
	if ((k->flags & KEY_PATH) && n->string[0] != '/')
		return expected(p, k, n, "a path that begins with \"/\"", NULL);
	*out = parse_strdup(p, n->string);
	return *out ? 0 : -ENOMEM;
}

static int not_one_of(struct parse *p, const struct key *k, const struct doc_node *n)
{
	char what[320] = "one of ", hint[96] = "";
	size_t len = strlen(what), count = 0;
	const char *near;

	for (; k->values[count] && len < sizeof(what); count++)
		len += (size_t)snprintf(what + len, sizeof(what) - len, "%s\"%s\"",
					count ? ", " : "", k->values[count]);
	near = n->type == DOC_STRING ? text_nearest(n->string, k->values, count) : NULL;
	if (near)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
	return expected(p, k, n, what, hint);
}

static int parse_enum(struct parse *p, const struct key *k, const struct doc_node *n, int *out)
{
	int i = n->type == DOC_STRING ? enum_position(k, n->string) : -1;

	if (i < 0)
		return not_one_of(p, k, n);
	*out = i + k->value_base;
	return 0;
}

static int parse_choice(struct parse *p, const struct key *k, const struct doc_node *n,
			const char **out)
{
	int i = n->type == DOC_STRING ? enum_position(k, n->string) : -1;

	if (i < 0)
		return not_one_of(p, k, n);
	*out = k->values[i];
	return 0;
}

/* --- lists ---------------------------------------------------------------------- */

static const char *upper(struct parse *p, const char *s)
{
	char *v = arena_strdup(&p->c->arena, s);

	for (char *c = v; c && *c; c++)
		*c = (char)toupper((unsigned char)*c);
	if (!v)
		p->no_memory = true;
	return v;
}

static int parse_one_text(struct parse *p, const struct key *k, const struct doc_node *n,
			  const char **out)
{
	struct key element = *k;

	element.flags &= ~(unsigned)KEY_EMPTY_OK;
	if (k->values)
		return parse_choice(p, k, n, out);
	if (parse_text(p, &element, n, out))
		return -EINVAL;
	if (k->flags & KEY_UPPER)
		*out = upper(p, *out);
	return 0;
}

static int parse_texts(struct parse *p, const struct key *k, const struct doc_node *n,
		       struct cfg_strings *out)
{
	unsigned len = parse_list_len(n), i = 0;
	int r = 0;

	if (n->type != DOC_LIST && n->type != DOC_STRING)
		return expected(p, k, n, "a string or a list of strings", NULL);
	if (!len && !(k->flags & KEY_EMPTY_OK))
		return parse_error(p, parse_loc(p, n), NULL, "leave the key out",
				   "must not be an empty list");
	out->v = parse_alloc(p, len * sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	for (const struct doc_node *e = parse_list_first(n); e && !diags_full(p->diags);
	     e = parse_list_next(n, e), i++) {
		if (n->type == DOC_LIST)
			parse_push_index(p, i);
		r |= parse_one_text(p, k, e, &out->v[i]) ? -EINVAL : 0;
		if (n->type == DOC_LIST)
			parse_pop(p);
	}
	out->n = len;
	return r;
}

/* The set was built by malloc; the config keeps one block of its arena. */
static int keep_set(struct parse *p, struct addr_set *from, struct addr_set *out)
{
	struct addr_range *v;

	addr_set_seal(from);
	v = parse_alloc(p, from->n * sizeof(*v));
	if (v && from->n)
		memcpy(v, from->v, from->n * sizeof(*v));
	*out = (struct addr_set){ v, from->n, from->n };
	addr_set_fini(from);
	return v ? 0 : -ENOMEM;
}

static int parse_pattern(struct parse *p, const struct doc_node *n, struct addr_set *set)
{
	struct err e = { 0 };
	int r;

	if (n->type != DOC_STRING)
		return parse_expected(p, n, "an address, a network, a range \"a-b\" or a pattern");
	r = addr_set_parse(set, n->string, &e);
	if (r == -ENOMEM)
		return parse_no_memory(p);
	if (r)
		return parse_error(p, parse_loc(p, n), NULL, e.hint, "%s", e.msg);
	return 0;
}

int parse_addresses(struct parse *p, const struct doc_node *n, struct addr_set *out)
{
	struct addr_set set = { 0 };
	unsigned i = 0;
	int r = 0;

	if (n->type != DOC_LIST && n->type != DOC_STRING)
		return parse_expected(p, n, "a list of addresses");
	for (const struct doc_node *e = parse_list_first(n); e && !diags_full(p->diags);
	     e = parse_list_next(n, e), i++) {
		if (n->type == DOC_LIST)
			parse_push_index(p, i);
		r |= parse_pattern(p, e, &set) ? -EINVAL : 0;
		if (n->type == DOC_LIST)
			parse_pop(p);
	}
	if (!r)
		return keep_set(p, &set, out);
	addr_set_fini(&set);
	return r;
}

/* "/text/flags" where the key allows it. */
static int parse_regex(struct parse *p, const struct doc_node *n, struct cfg_pair *out)
{
	const char *end = strrchr(n->string, '/');
	size_t len;

	if (n->string[0] != '/' || end == n->string)
		return 0;
	len = (size_t)(end - n->string) - 1;
	if (end[1 + strspn(end + 1, "i")])
		return 0; /* "/a/b": a plain value that holds slashes */
	if (!len)
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "the regular expression between the slashes is empty");
	out->value = arena_strndup(&p->c->arena, n->string + 1, len);
	out->is_regex = true;
	out->is_icase = end[1] == 'i';
	return out->value ? 0 : parse_no_memory(p);
}

static bool is_token(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s))
			return false;
	return true;
}

int parse_pairs(struct parse *p, const struct key *k, const struct doc_node *n,
		struct cfg_pairs *out)
{
	static const struct key text = { .flags = KEY_EMPTY_OK };
	bool is_query = !strcmp(k->name, "query");
	int r = 0;

	if (n->type != DOC_MAP)
		return expected(p, k, n, "an object of names and texts", NULL);
	out->v = parse_alloc(p, n->n * sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	for (const struct doc_node *e = n->child; e && !diags_full(p->diags); e = e->next) {
		struct cfg_pair *pair = &out->v[out->n++];

		parse_push(p, e->key);
		pair->loc = parse_loc(p, e);
		pair->name = parse_strdup(p, e->key);
		if (!is_query && !is_token(e->key))
			r = parse_error(p, parse_key_loc(p, e), NULL, NULL,
					"is not the name of an HTTP header");
		else if (parse_text(p, &text, e, &pair->value))
			r = -EINVAL;
		else if (k->flags & KEY_REGEX)
			r |= parse_regex(p, e, pair) ? -EINVAL : 0;
		parse_pop(p);
	}
	return r;
}

/* --- by the table ----------------------------------------------------------------- */

static int parse_sub_object(struct parse *p, const struct key *k, const struct doc_node *n,
			    char *at)
{
	void **where = (void **)(void *)at;
	void *v;

	if (k->flags & KEY_EMBED)
		return parse_object(p, k->object, n, at);
	v = parse_object_new(p, k->object);
	if (!v)
		return -ENOMEM;
	*where = v;
	return parse_object(p, k->object, n, v);
}

static int parse_typed(struct parse *p, const struct key *k, const struct doc_node *n, char *at,
		       void *base)
{
	int64_t number = 0;
	int r;

	switch (k->type) {
	case KEY_BOOL:
		return parse_bool(p, k, n, (bool *)at);
	case KEY_UINT:
		r = parse_number(p, k, n, &number);
		if (!r)
			*(unsigned *)(void *)at = (unsigned)number;
		return r;
	case KEY_INT:
		r = parse_number(p, k, n, &number);
		if (!r)
			*(int *)(void *)at = (int)number;
		return r;
	case KEY_TEXT:
		return parse_text(p, k, n, (const char **)(void *)at);
	case KEY_ENUM:
		return parse_enum(p, k, n, (int *)(void *)at);
	case KEY_CHOICE:
		return parse_choice(p, k, n, (const char **)(void *)at);
	case KEY_TEXTS:
		return parse_texts(p, k, n, (struct cfg_strings *)(void *)at);
	case KEY_ADDRESSES:
		return parse_addresses(p, n, (struct addr_set *)(void *)at);
	case KEY_PAIRS:
		return parse_pairs(p, k, n, (struct cfg_pairs *)(void *)at);
	case KEY_OBJECT:
		return parse_sub_object(p, k, n, at);
	case KEY_CUSTOM:
		return k->parse(p, k, n, base);
	default:
		return 0;
	}
}

int parse_value(struct parse *p, const struct key_object *o, const struct key *k,
		const struct doc_node *n, void *base)
{
	char *from = key_base(p, o, k, base), *at = from + k->off;
	int r;

	if (!from)
		return parse_no_memory(p);
	p->object = o;
	r = parse_typed(p, k, n, at, from);
	if (r)
		return r;
	if (k->type == KEY_ADDRESSES && !((struct addr_set *)(void *)at)->n &&
	    !(k->flags & KEY_EMPTY_OK))
		return parse_error(p, parse_loc(p, n), NULL, "leave the key out",
				   "must not be an empty list");
	if (k->loc_off)
		*(struct loc *)(void *)(from + k->loc_off) = parse_loc(p, n);
	if (k->has_off)
		*(bool *)(from + k->has_off) =
			k->type != KEY_ADDRESSES || ((struct addr_set *)(void *)at)->n;
	note_need(p, k, n);
	if (k->flags & KEY_TIME)
		note_time(p);
	return 0;
}
