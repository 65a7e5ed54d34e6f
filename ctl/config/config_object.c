// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One object of the file against its keys in the table: what is unknown, old,
 * refused, double or missing. Nothing here knows any particular key.
 */
#include "ctl/config/config_parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEYS_MAX 128 /* of one object */

static void report_unknown(struct parse *p, const struct key_object *o, const struct doc_node *n)
{
	const char *near = key_nearest(o, n->key);
	char hint[200] = "";

	if (near)
		snprintf(hint, sizeof(hint), "did you mean \"%s\"?", near);
	else if (!strncmp(n->key, "//", 2) || !strncmp(n->key, "/*", 2))
		snprintf(hint, sizeof(hint), "JSON has no comments; those of YAML begin with #");
	if (o->open || p->lenient)
		parse_warn(p, parse_key_loc(p, n), NULL, hint, "unknown key \"%.60s\" is ignored",
			   n->key);
	else
		parse_error(p, parse_key_loc(p, n), NULL, hint, "unknown key \"%.60s\"", n->key);
}

static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *s = list; (s = strstr(s, name)); s += len)
		if ((s == list || s[-1] == ' ') && (!s[len] || s[len] == ','))
			return true;
	return false;
}

static void note_unused(struct parse *p, const struct doc_node *n)
{
	size_t len = strlen(p->unused);

	if (is_listed(p->unused, n->key))
		return;
	if (!len) {
		p->unused_loc = parse_key_loc(p, n);
		parse_path(p, p->unused_path, sizeof(p->unused_path));
	}
	if (len + strlen(n->key) + 3 < sizeof(p->unused))
		snprintf(p->unused + len, sizeof(p->unused) - len, "%s%s", len ? ", " : "", n->key);
}

/* The key that n means, or NULL when that was dealt with; *bad when it was an error. */
static const struct key *resolve_key(struct parse *p, const struct key_object *o,
				     const struct doc_node *n, bool *bad)
{
	const struct key *k = key_find(o, n->key);

	if (!k) {
		report_unknown(p, o, n);
		*bad |= !o->open && !p->lenient;
		return NULL;
	}
	if (k->type == KEY_REFUSED) {
		parse_error(p, parse_key_loc(p, n), NULL, NULL, "\"%s\" is not supported: %s",
			    n->key, k->now);
		*bad = true;
		return NULL;
	}
	if (k->type == KEY_UNUSED) {
		note_unused(p, n);
		return NULL;
	}
	if (k->type != KEY_OLD)
		return k;
	if (!k->now)
		return NULL;
	if (!(k->flags & KEY_QUIET))
		parse_warn(p, parse_key_loc(p, n), NULL, NULL, "\"%s\" is now written \"%s\"",
			   n->key, k->now);
	return key_find(o, k->now);
}

static void report_twice(struct parse *p, const struct doc_node *first, const struct doc_node *n)
{
	char place[160];

	parse_error(p, parse_key_loc(p, n), NULL, "keep one of the two",
		    "says the same as \"%s\" at %s", first->key,
		    parse_place(p, parse_key_loc(p, first), place));
}

static int report_missing(struct parse *p, const struct key_object *o, const struct doc_node *n,
			  const struct doc_node *const *seen)
{
	int r = 0;

	for (size_t i = 0; i < o->n_keys; i++)
		if ((o->keys[i].flags & KEY_REQUIRED) && !seen[i])
			r = parse_error(p, parse_loc(p, n), NULL, NULL, "needs the key \"%s\"",
					o->keys[i].name);
	return r;
}

int parse_object(struct parse *p, const struct key_object *o, const struct doc_node *n, void *base)
{
	const struct doc_node *seen[KEYS_MAX] = { NULL };
	bool bad = false;
	int r = 0;

	if (n->type != DOC_MAP)
		return parse_expected(p, n, "an object");
	if (!o->placeless)
		*(struct loc *)base = parse_loc(p, n);
	for (const struct doc_node *c = n->child; c && !diags_full(p->diags); c = c->next) {
		const struct key *k;

		parse_push(p, c->key);
		k = resolve_key(p, o, c, &bad);
		if (k && seen[k - o->keys]) {
			report_twice(p, seen[k - o->keys], c);
			bad = true;
		} else if (k) {
			seen[k - o->keys] = c;
			r |= parse_value(p, o, k, c, base) ? -EINVAL : 0;
		}
		parse_pop(p);
	}
	if (diags_full(p->diags) || p->no_memory)
		return -EINVAL;
	/* A misspelt key is one mistake: that it is missing then follows from it. */
	if (bad)
		return -EINVAL;
	r |= report_missing(p, o, n, seen) ? -EINVAL : 0;
	if (!r && o->finish)
		o->finish(p, n, base);
	return r;
}
