// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names and ids of routes. Given ones must be unique; missing ones are made of
 * the match (tcp-9000, tcp-443-a.example.org) with -2, -3, ... where needed.
 * Every base name remembers its next suffix, so a thousand alike cost a
 * thousand steps.
 */
#include "ctl/config/config_parse.h"

#include "ctl/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int name_text(struct parse *p, const struct doc_node *n, const char **out)
{
	static const struct key plain = { .flags = 0 };

	if (parse_text(p, &plain, n, out))
		return -EINVAL;
	if (n->n > NAME_MAX_BYTES)
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "may have %d bytes, this one has %u", NAME_MAX_BYTES, n->n);
	return 0;
}

int parse_key_name(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_route *r = base;

	(void)k;
	if (name_text(p, n, &r->name))
		return -EINVAL;
	r->name_given = true;
	r->name_loc = parse_loc(p, n);
	return 0;
}

int parse_key_id(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_route *r = base;

	(void)k;
	r->id_loc = parse_loc(p, n);
	return name_text(p, n, &r->id);
}

static int set_grow(struct name_set *s)
{
	size_t cap = s->cap ? s->cap * 2 : 256;
	struct name_entry *v = calloc(cap, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < s->cap; i++) {
		size_t h;

		if (!s->v[i].name)
			continue;
		for (h = text_hash(s->v[i].name, strlen(s->v[i].name), 0); v[h & (cap - 1)].name;)
			h++;
		v[h & (cap - 1)] = s->v[i];
	}
	free(s->v);
	s->v = v;
	s->cap = cap;
	return 0;
}

/* The entry of that name; a new one has no route yet. NULL: out of memory. */
static struct name_entry *set_entry(struct parse *p, struct name_set *s, const char *name)
{
	size_t h;

	if (s->n * 2 >= s->cap && set_grow(s)) {
		p->no_memory = true;
		return NULL;
	}
	for (h = text_hash(name, strlen(name), 0); s->v[h & (s->cap - 1)].name; h++)
		if (!strcmp(s->v[h & (s->cap - 1)].name, name))
			return &s->v[h & (s->cap - 1)];
	s->n++;
	s->v[h & (s->cap - 1)].name = name;
	return &s->v[h & (s->cap - 1)];
}

void names_fini(struct name_set *s)
{
	free(s->v);
}

static void claim(struct parse *p, struct name_set *s, const struct cfg_route *r, bool is_id)
{
	struct name_entry *e = set_entry(p, s, is_id ? r->id : r->name);
	char place[160];

	if (!e)
		return;
	if (!e->route) {
		e->route = r;
		return;
	}
	parse_push(p, "routes");
	parse_push_index(p, r->index);
	parse_error(p, is_id ? r->id_loc : r->name_loc, is_id ? "id" : "name", NULL,
		    "\"%s\" is taken by routes[%u] at %s", e->name, e->route->index,
		    parse_place(p, is_id ? e->route->id_loc : e->route->name_loc, place));
	parse_pop(p);
	parse_pop(p);
}

static void base_name(const struct cfg_route *r, char *out, size_t cap)
{
	static const char *const transports[] = { "", "tcp", "udp", "all" };
	const struct cfg_match *m = &r->match;
	const struct port_range *first = &m->ports[0];
	size_t len = (size_t)snprintf(out, cap, "%s-%u", transports[m->transport], first->from);

	if (first->to != first->from)
		len += (size_t)snprintf(out + len, cap - len, "-%u", first->to);
	if (m->domains.n)
		snprintf(out + len, cap - len, "-%.90s", m->domains.v[0]);
}

static void make_name(struct parse *p, struct cfg_route *r)
{
	char base[NAME_MAX_BYTES], name[NAME_MAX_BYTES + 16];
	struct name_entry *e;
	unsigned suffix;

	base_name(r, base, sizeof(base));
	snprintf(name, sizeof(name), "%s", base);
	r->name_loc = r->loc;
	for (;;) {
		r->name = parse_strdup(p, name);
		e = r->name ? set_entry(p, &p->names, r->name) : NULL;
		if (!e)
			return;
		if (!e->route) {
			e->route = r;
			return;
		}
		if (strcmp(name, base)) /* the numbered name is taken, too: ask the base again */
			e = set_entry(p, &p->names, base);
		if (!e)
			return;
		suffix = e->next_suffix = e->next_suffix ? e->next_suffix + 1 : 2;
		snprintf(name, sizeof(name), "%s-%u", base, suffix);
	}
}

void finish_names(struct parse *p, bool make)
{
	struct config *c = p->c;

	for (unsigned i = 0; i < c->n_routes && !p->no_memory; i++) {
		if (c->routes[i].name_given && c->routes[i].name)
			claim(p, &p->names, &c->routes[i], false);
		if (c->routes[i].id)
			claim(p, &p->ids, &c->routes[i], true);
	}
	for (unsigned i = 0; make && i < c->n_routes && !p->no_memory; i++)
		if (!c->routes[i].name_given)
			make_name(p, &c->routes[i]);
}
