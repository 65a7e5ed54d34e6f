// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * text -> tree (doc.c) -> typed structs. The top level is read first and the
 * routes last, because a route takes over what the top level says. The tree is
 * gone when config_parse() returns: the config keeps copies in its own arena.
 */
#include "ctl/config/config_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *tier_name(enum tier t)
{
	static const char *const names[] = { "nftables", "relay", "proxy" };

	return names[t];
}

void config_free(struct config *c)
{
	struct arena arena;

	if (!c)
		return;
	arena = c->arena; /* the config lives in it */
	arena_fini(&arena);
}

static struct config *config_new(const char *file, const char *text, size_t len)
{
	struct arena arena = { 0 };
	struct config *c = arena_alloc(&arena, sizeof(*c));

	if (!c)
		return NULL;
	c->file = file;
	c->extra = arena_alloc(&arena, sizeof(*c->extra));
	if (c->extra)
		c->extra->limits = arena_alloc(&arena, sizeof(*c->extra->limits));
	c->text = text;
	c->text_len = len;
	c->arena = arena;
	if (c->extra && c->extra->limits)
		return c;
	config_free(c);
	return NULL;
}

static void route_reset(struct parse *p, struct cfg_route *r)
{
	p->route = r;
	p->needs = NULL;
	p->need_tail = &p->needs;
	p->n_unapplied = 0;
	memset(&p->route_security, 0, sizeof(p->route_security));
	memset(&p->action_security, 0, sizeof(p->action_security));
	p->node_tls = p->node_transport = p->node_nft_protocol = NULL;
}

static void parse_routes(struct parse *p)
{
	struct config *c = p->c;
	unsigned i = 0;

	c->routes = parse_alloc(p, p->routes->n * sizeof(*c->routes));
	if (!c->routes)
		return;
	parse_push(p, "routes");
	for (const struct doc_node *n = p->routes->child;
	     n && !diags_full(p->diags) && !p->no_memory; n = n->next, i++) {
		struct cfg_route *r = &c->routes[i];

		route_reset(p, r);
		parse_push_index(p, i);
		parse_object_init(p, &key_route, r);
		if (!parse_object(p, &key_route, n, r))
			finish_route(p, n, r);
		r->index = i;
		parse_pop(p);
	}
	parse_pop(p);
	c->n_routes = i;
	p->route = NULL;
}

static void settle_top_times(struct parse *p)
{
	struct cfg_strings *l = &p->c->unapplied_in_kernel;

	l->v = parse_alloc(p, p->n_unapplied * sizeof(*l->v));
	if (!l->v)
		return;
	memcpy(l->v, p->unapplied, p->n_unapplied * sizeof(*l->v));
	l->n = p->n_unapplied;
}

static void parse_root(struct parse *p, const struct doc_node *root)
{
	unsigned before = p->diags->errors;

	parse_object_init(p, &key_root, p->c);
	parse_object(p, &key_root, root, p->c);
	if (root->type != DOC_MAP || p->no_memory)
		return;
	settle_top_times(p);
	settle_top(p, root);
	if (p->routes && !diags_full(p->diags))
		parse_routes(p);
	report_unused(p);
	report_default_tls(p);
	if (p->diags->errors == before && !p->no_memory)
		report_grouped(p);
	/* Names are made of matches: only where all of these are whole. */
	if (!p->no_memory)
		finish_names(p, p->diags->errors == before);
}

struct config *config_parse(const char *file, const char *text, size_t len,
			    const struct config_options *opt, struct diags *diags)
{
	struct parse *p = calloc(1, sizeof(*p));
	struct config *c = p ? config_new(file, text, len) : NULL;
	unsigned before = diags->errors;
	struct doc doc = { 0 };
	bool good = false;

	if (!c)
		goto out;
	p->c = c;
	p->diags = diags;
	p->lenient = opt && opt->lenient;
	if (!doc_parse(&doc, c->file, text, len, diags)) {
		parse_root(p, doc.root);
		good = diags->errors == before && !p->no_memory;
	}
out:
	if ((!c || p->no_memory) && diags->errors == before)
		diags_add(diags, DIAG_ERROR, (struct loc){ file, 0, 0 }, NULL, NULL,
			  "out of memory");
	if (p) {
		names_fini(&p->names);
		names_fini(&p->ids);
	}
	doc_fini(&doc);
	free(p);
	if (good)
		return c;
	config_free(c);
	return NULL;
}
