/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The path of an error or warning. The plan's objects keep the place of what they come
 * from, not its path: so the file is parsed once more, when there is an error
 * to tell, and searched for that place. This way the path is spelled as in the
 * file ("target", "tls" beside "match", "defaults.security"), whoever used it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ctl/config/doc.h"
#include "ctl/plan/plan_internal.h"

#define PATH_MAX_BYTES 160

struct path {
	char text[PATH_MAX_BYTES];
	size_t len;
};

static bool stands_at(const struct doc_node *n, const struct loc *at)
{
	return (n->line == at->line && n->col == at->col) ||
	       (n->key && n->key_line == at->line && n->key_col == at->col);
}

static bool add_step(struct path *p, const struct doc_node *n, unsigned index)
{
	size_t room = sizeof(p->text) - p->len;

	if (n->key)
		p->len +=
			(size_t)snprintf(p->text + p->len, room, "%s%s", p->len ? "." : "", n->key);
	else
		p->len += (size_t)snprintf(p->text + p->len, room, "[%u]", index);
	return p->len < sizeof(p->text);
}

/* Below n, whose own path is in *p: the outermost that stands there. */
static bool find_below(const struct doc_node *n, const struct loc *at, struct path *p)
{
	size_t len = p->len;
	unsigned i = 0;

	if (n->type != DOC_MAP && n->type != DOC_LIST)
		return false;
	for (const struct doc_node *c = n->child; c; c = c->next) {
		p->len = len;
		if (add_step(p, c, i++) && (stands_at(c, at) || find_below(c, at, p)))
			return true;
	}
	return false;
}

/* In the route first: what stands behind a YAML alias has one place for many routes. */
static bool find_in_route(const struct doc_node *root, unsigned index, const struct loc *at,
			  struct path *p)
{
	const struct doc_node *list = doc_find(root, "routes");
	const struct doc_node *n = list && list->type == DOC_LIST ? list->child : NULL;

	for (unsigned i = 0; n && i < index; i++)
		n = n->next;
	if (!n)
		return false;
	p->len = (size_t)snprintf(p->text, sizeof(p->text), "routes[%u]", index);
	return stands_at(n, at) || find_below(n, at, p);
}

static const struct doc_node *parse_again(struct plan *p)
{
	const struct config *c = p->config;
	struct diags unused = { 0 };

	if (!p->doc) {
		p->doc = calloc(1, sizeof(*p->doc));
		if (p->doc)
			doc_parse(p->doc, c->file, c->text, c->text_len, &unused);
		diags_fini(&unused);
	}
	return p->doc ? p->doc->root : NULL;
}

static bool find_path(struct plan *plan, const struct cfg_route *route, const struct loc *at,
		      struct path *p)
{
	const struct doc_node *root = at->line ? parse_again(plan) : NULL;

	if (!root)
		return false;
	if (route && find_in_route(root, route->index, at, p))
		return true;
	p->len = 0;
	return find_below(root, at, p);
}

void plan_error(struct plan *p, struct diags *d, const struct cfg_route *route, struct loc loc,
		const char *hint, const char *fmt, ...)
{
	struct path path = { 0 };
	char msg[480];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	/* What is only counted needs no path. */
	diags_add(d, DIAG_ERROR, loc,
		  !diags_full(d) && find_path(p, route, &loc, &path) ? path.text : NULL, hint, "%s",
		  msg);
}

void plan_warn(struct plan *p, struct diags *d, enum diag_severity severity,
	       const struct cfg_route *route, struct loc loc, const char *hint, const char *fmt,
	       ...)
{
	struct path path = { 0 };
	char msg[480];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	diags_add(d, severity, loc, find_path(p, route, &loc, &path) ? path.text : NULL, hint, "%s",
		  msg);
}

void plan_error_fini(struct plan *p)
{
	if (p->doc)
		doc_fini(p->doc);
	free(p->doc);
	p->doc = NULL;
}
