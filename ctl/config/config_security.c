// SPDX-License-Identifier: GPL-2.0-or-later
/* security: the three places it may stand in, and who is asking. */
#include "ctl/config/config_parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Its needs go to a list of their own: they count only for the block that wins. */
static int parse_slot(struct parse *p, const struct doc_node *n, struct security_slot *slot)
{
	struct cfg_need **tail = p->need_tail;
	int r;

	slot->node = n;
	slot->security = parse_object_new(p, &key_security);
	if (!slot->security)
		return -ENOMEM;
	p->need_tail = &slot->needs;
	r = parse_object(p, &key_security, n, slot->security);
	p->need_tail = tail;
	return r;
}

int parse_key_security(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	bool of_action = base == &p->route->action;

	(void)k;
	return parse_slot(p, n, of_action ? &p->action_security : &p->route_security);
}

int parse_key_default_security(struct parse *p, const struct key *k, const struct doc_node *n,
			       void *base)
{
	(void)k;
	(void)base;
	if (parse_slot(p, n, &p->default_security))
		return -EINVAL;
	p->c->default_security = p->default_security.security;
	return 0;
}

int parse_key_old_allow(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	(void)k;
	(void)base;
	parse_warn(p, parse_key_loc(p, n), NULL, NULL,
		   "\"%s\" is now written \"defaults.security.ipAllowList\"", n->key);
	p->old_allow_loc = parse_loc(p, n);
	return parse_addresses(p, n, &p->old_allow);
}

void finish_rate_limit(struct parse *p, const struct doc_node *n, void *base)
{
	const struct cfg_rate_limit *l = base;
	const struct doc_node *name = doc_find(n, "headerName");

	if (l->key_by == RATE_BY_HEADER && !l->header_name)
		parse_error(p, parse_loc(p, n), NULL, NULL,
			    "keyBy \"header\" needs the key \"headerName\"");
	if (l->key_by != RATE_BY_HEADER && name)
		parse_error(p, parse_key_loc(p, name), "headerName", NULL,
			    "goes with keyBy \"header\"");
}

int parse_key_users(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_users *out = (struct cfg_users *)(void *)((char *)base + k->off);
	unsigned i = 0;
	int r = 0;

	if (n->type != DOC_LIST)
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "must be a list of {\"username\":...,\"password\":...}");
	if (!n->n)
		return parse_error(p, parse_loc(p, n), NULL, NULL, "must not be an empty list");
	out->v = parse_alloc(p, n->n * sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	for (const struct doc_node *e = n->child; e && !diags_full(p->diags); e = e->next, i++) {
		parse_push_index(p, i);
		r |= parse_object(p, &key_user, e, &out->v[i]) ? -EINVAL : 0;
		if (out->v[i].username && strchr(out->v[i].username, ':'))
			r = parse_error(p, parse_loc(p, doc_find(e, "username")), "username", NULL,
					"must not hold \":\"");
		parse_pop(p);
	}
	out->n = i;
	return r;
}

void finish_authentication(struct parse *p, const struct doc_node *n, void *base)
{
	static const struct {
		const char *key;
		enum cfg_auth_type type;
		bool required;
	} rules[] = { { "credentials", AUTH_BASIC, true },   { "secret", AUTH_JWT, true },
		      { "algorithm", AUTH_JWT, false },	     { "issuer", AUTH_JWT, false },
		      { "audience", AUTH_JWT, false },	     { "url", AUTH_FORWARD, true },
		      { "copyHeaders", AUTH_FORWARD, false } };
	static const char *const types[] = { "basic", "jwt", "forward" };
	struct cfg_authentication *a = base;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		const struct doc_node *v = doc_find(n, rules[i].key);

		if (v && rules[i].type != a->type)
			parse_error(p, parse_key_loc(p, v), rules[i].key, NULL,
				    "goes with type \"%s\", not \"%s\"", types[rules[i].type],
				    types[a->type]);
		if (!v && rules[i].required && rules[i].type == a->type)
			parse_error(p, parse_loc(p, n), NULL, NULL,
				    "type \"%s\" needs the key \"%s\"", types[a->type],
				    rules[i].key);
	}
	if (a->url && strncmp(a->url, "http://", 7) && strncmp(a->url, "https://", 8))
		parse_error(p, parse_loc(p, doc_find(n, "url")), "url", NULL,
			    "must be a URL that begins with http:// or https://");
	if (a->type == AUTH_JWT && !a->algorithm)
		a->algorithm = "HS256";
}

void finish_cors(struct parse *p, const struct doc_node *n, void *base)
{
	const struct cfg_cors *c = base;

	for (unsigned i = 0; c->allow_credentials && i < c->allow_origin.n; i++)
		if (!strcmp(c->allow_origin.v[i], "*"))
			parse_error(p, parse_loc(p, doc_find(n, "allowCredentials")),
				    "allowCredentials", "name the origins",
				    "cannot be had with allowOrigin \"*\"");
}
