// SPDX-License-Identifier: GPL-2.0-or-later
/* Socket handlers, and the older action types that mean them. */
#include "ctl/config/config_parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *reason;
} kinds[] = {
	[HANDLER_ECHO] = { "echo", "socket handler echo" },
	[HANDLER_BLOCK] = { "block", "socket handler block" },
	[HANDLER_HTTP_BLOCK] = { "httpBlock", "socket handler httpBlock" },
	[HANDLER_HTTP_RESPONSE] = { "httpResponse", "socket handler httpResponse" },
	[HANDLER_HTTP_REDIRECT] = { "httpRedirect", "socket handler httpRedirect" },
	[HANDLER_STATIC] = { "static", "socket handler static" },
	[HANDLER_PROXY] = { "proxy", "socket handler proxy" },
	[HANDLER_ACME_CHALLENGE] = { "acme-challenge", "socket handler acme-challenge" },
	[HANDLER_UNIX] = { "unix", "socket handler unix" },
	[HANDLER_EXEC] = { "exec", "socket handler exec" },
};

static struct cfg_handler *handler_new(struct parse *p, void *action)
{
	struct cfg_extra *x = parse_extra(p, &key_action, action);

	if (!x)
		return NULL;
	if (!x->handler)
		x->handler = parse_object_new(p, &key_handler);
	return x->handler;
}

static void handler_need(struct parse *p, const struct cfg_handler *h, const struct doc_node *n)
{
	parse_need(p, TIER_PROXY, kinds[h->kind].reason, NEED_PLAINTEXT, parse_loc(p, n), NULL);
}

int parse_key_handler(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_handler *h = handler_new(p, base);
	int r;

	(void)k;
	if (!h)
		return -ENOMEM;
	if (n->type != DOC_MAP)
		return parse_error(p, parse_loc(p, n), NULL,
				   "such as {\"builtin\":\"echo\"} or {\"unix\":\"/run/app.sock\"}",
				   "must be an object: a file cannot hold a function");
	r = parse_object(p, &key_handler, n, h);
	if (!r && h->kind)
		handler_need(p, h, n);
	return r;
}

int parse_key_handler_mode(struct parse *p, const struct key *k, const struct doc_node *n,
			   void *base)
{
	struct cfg_handler *h = base;
	struct key e = *k;
	int v[1] = { 0 };

	e.type = KEY_ENUM;
	e.def = NULL;
	e.off = 0;
	if (parse_value(p, p->object, &e, n, v))
		return -EINVAL;
	h->stream = v[0] == 1;
	return 0;
}

int parse_key_redirect(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_handler *h = handler_new(p, base);

	(void)k;
	if (!h)
		return -ENOMEM;
	parse_object_init(p, &key_redirect, h);
	h->kind = HANDLER_HTTP_REDIRECT;
	handler_need(p, h, n);
	return parse_object(p, &key_redirect, n, h);
}

int parse_key_block(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_handler *h = handler_new(p, base);

	(void)k;
	if (!h)
		return -ENOMEM;
	h->kind = HANDLER_BLOCK;
	if (parse_object(p, &key_block, n, h))
		return -EINVAL;
	if (h->status)
		h->kind = HANDLER_HTTP_BLOCK;
	handler_need(p, h, n);
	return 0;
}

int parse_key_static(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_handler *h = handler_new(p, base);

	(void)k;
	if (!h)
		return -ENOMEM;
	h->kind = HANDLER_STATIC;
	h->loc = parse_loc(p, n);
	handler_need(p, h, n);
	return parse_object(p, &key_static, n, &h->files);
}

/* Exactly one of builtin, unix, exec. */
static bool settle_kind(struct parse *p, const struct doc_node *n, struct cfg_handler *h)
{
	int given = (h->kind != HANDLER_NONE) + (h->unix_path != NULL) + (h->exec.n > 0);

	if (given != 1) {
		parse_error(p, parse_loc(p, n), NULL, NULL,
			    "needs exactly one of \"builtin\", \"unix\" and \"exec\"");
		return false;
	}
	if (h->unix_path)
		h->kind = HANDLER_UNIX;
	if (h->exec.n)
		h->kind = HANDLER_EXEC;
	return true;
}

static void check_options(struct parse *p, const struct doc_node *n, const struct cfg_handler *h)
{
	for (const struct doc_node *c = n->child; c; c = c->next) {
		const struct key *k = key_find(&key_handler, c->key);

		if (k && k->only && !(k->only & 1u << h->kind))
			parse_error(p, parse_key_loc(p, c), c->key, NULL, "does not go with \"%s\"",
				    kinds[h->kind].name);
	}
}

static void require(struct parse *p, const struct doc_node *n, const struct cfg_handler *h,
		    const char *key, bool given)
{
	if (!given)
		parse_error(p, parse_loc(p, n), NULL, NULL, "builtin \"%s\" needs the key \"%s\"",
			    kinds[h->kind].name, key);
}

void finish_handler(struct parse *p, const struct doc_node *n, void *base)
{
	struct cfg_handler *h = base;

	if (!settle_kind(p, n, h)) {
		h->kind = HANDLER_NONE;
		return;
	}
	check_options(p, n, h);
	if (h->kind == HANDLER_HTTP_REDIRECT) {
		require(p, n, h, "to", h->to);
		if (h->status && (h->status < 300 || h->status > 399))
			parse_error(p, parse_loc(p, doc_find(n, "status")), "status", NULL,
				    "must be a redirect (300 to 399), not %u", h->status);
	}
	if (h->kind == HANDLER_STATIC)
		require(p, n, h, "root", h->files.root);
	if (h->kind == HANDLER_PROXY) {
		require(p, n, h, "host", h->host);
		require(p, n, h, "port", h->port);
	}
	if (h->kind == HANDLER_EXEC && h->exec.v[0][0] != '/')
		parse_error(p, parse_loc(p, doc_find(n, "exec")), "exec", NULL,
			    "the program must be named by its whole path, which begins with \"/\"");
	if (!h->status)
		h->status = h->kind == HANDLER_HTTP_BLOCK      ? 403
			    : h->kind == HANDLER_HTTP_REDIRECT ? 301
							       : 200;
}
