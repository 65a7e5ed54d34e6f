// SPDX-License-Identifier: GPL-2.0-or-later
/* tls: certificates, their sources, ACME. */
#include "ctl/config/config_parse.h"

#include "ctl/base/buf.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int parse_key_certificate(struct parse *p, const struct key *k, const struct doc_node *n,
			  void *base)
{
	struct cfg_tls *t = base;

	(void)k;
	t->certificate = parse_object_new(p, &key_certificate);
	if (!t->certificate)
		return -ENOMEM;
	t->certificate->loc = parse_loc(p, n);
	if (n->type == DOC_MAP)
		return parse_object(p, &key_certificate, n, t->certificate);
	if (n->type != DOC_STRING || strcmp(n->string, "auto"))
		return parse_error(
			p, parse_loc(p, n), NULL,
			"name the files as {\"certFile\":...,\"keyFile\":...}",
			"must be \"auto\" or an object with the certificate and its key");
	t->certificate->is_auto = true;
	return 0;
}

static void check_pem(struct parse *p, const struct doc_node *n, const char *key, const char *file)
{
	const struct doc_node *v = doc_find(n, key);
	char hint[64];

	if (!v || strstr(v->string, "-----BEGIN "))
		return;
	snprintf(hint, sizeof(hint), "name a file in \"%s\"", file);
	parse_error(p, parse_loc(p, v), key, hint, "is not PEM text (-----BEGIN ...)");
}

void finish_certificate(struct parse *p, const struct doc_node *n, void *base)
{
	const struct cfg_certificate *c = base;

	check_pem(p, n, "cert", "certFile");
	check_pem(p, n, "key", "keyFile");
	check_pem(p, n, "ca", "caFile");
	if (c->cert && c->cert_file)
		parse_error(p, parse_loc(p, n), NULL, NULL, "has both \"cert\" and \"certFile\"");
	if (c->key && c->key_file)
		parse_error(p, parse_loc(p, n), NULL, NULL, "has both \"key\" and \"keyFile\"");
	if (c->ca && c->ca_file)
		parse_error(p, parse_loc(p, n), NULL, NULL, "has both \"ca\" and \"caFile\"");
	if (!c->cert && !c->cert_file)
		parse_error(p, parse_loc(p, n), NULL, NULL,
			    "needs the key \"certFile\" or \"cert\"");
	if (!c->key && !c->key_file)
		parse_error(p, parse_loc(p, n), NULL, NULL, "needs the key \"keyFile\" or \"key\"");
}

void finish_client_auth(struct parse *p, const struct doc_node *n, void *base)
{
	const struct cfg_client_auth *c = base;

	if (c->mode != CLIENT_AUTH_NONE && !c->ca_file)
		parse_error(p, parse_loc(p, n), NULL, NULL,
			    "needs the key \"caFile\": whose certificates are trusted");
}

int parse_key_ciphers(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_tls *t = base;
	struct buf b = { 0 };
	unsigned i = 0;
	int r = 0;

	if (n->type != DOC_LIST)
		return parse_text(p, k, n, &t->ciphers);
	for (const struct doc_node *e = n->child; e && !r; e = e->next, i++) {
		const char *one;

		parse_push_index(p, i);
		r = parse_text(p, k, e, &one);
		parse_pop(p);
		if (!r)
			buf_printf(&b, "%s%s", b.len ? ":" : "", one);
	}
	if (!r && !b.len)
		r = parse_error(p, parse_loc(p, n), NULL, "leave the key out",
				"must not be an empty list");
	if (!r)
		t->ciphers = parse_strdup(p, b.data);
	buf_fini(&b);
	return r;
}

/* Nothing is lost when the key has no effect. */
static bool is_idle(const struct doc_node *n)
{
	const struct doc_node *mode = n->type == DOC_MAP ? doc_find(n, "mode") : NULL;

	return parse_is_off(n) ||
	       (mode && mode->type == DOC_STRING && !strcmp(mode->string, "none"));
}

void finish_tls(struct parse *p, const struct doc_node *n, void *base)
{
	static const char *const idle[] = {
		"certificate", "acme",	       "versions",	   "ciphers",	    "alpn",
		"clientAuth",  "verifyTarget", "honorCipherOrder", "sessionTimeout"
	};
	const struct cfg_tls *t = base;
	const struct doc_node *verify = doc_find(n, "verifyTarget");

	if (t->mode == TLS_TERMINATE && verify && !is_idle(verify))
		parse_warn(
			p, parse_loc(p, verify), "verifyTarget", NULL,
			"has no effect with mode \"terminate\": the target is not spoken TLS to");
	for (size_t i = 0; t->mode == TLS_PASSTHROUGH && i < sizeof(idle) / sizeof(idle[0]); i++) {
		const struct doc_node *v = doc_find(n, idle[i]);

		if (v && !is_idle(v))
			parse_warn(p, parse_key_loc(p, v), idle[i], NULL,
				   "has no effect with mode \"passthrough\": the bytes are not "
				   "opened");
	}
}

int parse_key_default_tls(struct parse *p, const struct key *k, const struct doc_node *n,
			  void *base)
{
	(void)k;
	(void)base;
	p->default_tls = parse_object_new(p, &key_tls);
	return p->default_tls ? parse_object(p, &key_tls, n, p->default_tls) : -ENOMEM;
}

/* After all routes: it only ever lends its certificate. */
void report_default_tls(struct parse *p)
{
	const struct config *c = p->c;

	if (!p->default_tls)
		return;
	for (unsigned i = 0; i < c->n_routes; i++)
		if (c->routes[i].action.tls && c->routes[i].action.tls->mode != TLS_PASSTHROUGH)
			return;
	parse_warn(p, p->default_tls->loc, "defaults.tls", NULL,
		   "has no effect: no route ends TLS");
}

int parse_key_route_tls(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_route *r = base;
	struct cfg_tls *t = parse_object_new(p, &key_tls);

	(void)k;
	parse_warn(p, parse_key_loc(p, n), NULL, NULL, "\"tls\" is now written in \"action\"");
	if (!t)
		return -ENOMEM;
	p->node_tls = n;
	r->action.tls = r->action.tls ? r->action.tls : t;
	return parse_object(p, &key_tls, n, t);
}

/* --- ACME ------------------------------------------------------------------------- */

int parse_key_acme_email(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_acme *a = base;
	const char *at;

	if (parse_text(p, k, n, &a->email))
		return -EINVAL;
	at = strchr(a->email, '@');
	if (!at || at == a->email || !at[1] || strpbrk(a->email, " ,<>"))
		return parse_expected(p, n, "an e-mail address");
	return 0;
}

static bool has_text(const struct cfg_strings *l, const char *s)
{
	for (unsigned i = 0; i < l->n; i++)
		if (!strcmp(l->v[i], s))
			return true;
	return false;
}

void finish_acme(struct parse *p, const struct doc_node *n, void *base)
{
	struct cfg_acme *a = base;
	const struct doc_node *env = doc_find(n, "environment");
	const struct doc_node *production = doc_find(n, "useProduction");

	if (a->directory && strncmp(a->directory, "https://", 8))
		parse_error(p, parse_loc(p, doc_find(n, "directory")), "directory", NULL,
			    "must be a URL that begins with https://");
	if (env && production && a->use_production != (a->environment == ACME_PRODUCTION))
		parse_error(p, parse_loc(p, production), "useProduction", "keep one of the two",
			    "contradicts environment \"%s\"", env->string);
	if (env)
		a->use_production = a->environment == ACME_PRODUCTION;
	if (has_text(&a->challenges, "dns-01") && !a->dns_hook.n)
		parse_error(p, parse_loc(p, doc_find(n, "challenges")), "challenges", NULL,
			    "\"dns-01\" needs the key \"dnsHook\"");
}

static bool has_wildcard(const struct cfg_match *m)
{
	for (unsigned i = 0; i < m->domains.n; i++)
		if (strchr(m->domains.v[i], '*'))
			return true;
	return false;
}

/* certificate "auto" of a route: what the authority will ask for. key: "action.tls.certificate". */
void settle_auto_certificate(struct parse *p, const struct cfg_route *r, const char *key)
{
	const struct cfg_tls *t = r->action.tls;
	const struct cfg_acme *a = t->acme ? t->acme : p->c->extra->acme;
	struct loc loc = t->certificate->loc;

	if (!a || !a->email)
		parse_error(p, loc, key, "set acme.email at the top level",
			    "certificate \"auto\" needs an e-mail address");
	if (a && !a->enabled)
		parse_error(p, loc, key, NULL, "certificate \"auto\", but acme.enabled is false");
	if (!r->match.domains.n)
		parse_error(p, loc, key, NULL,
			    "certificate \"auto\" needs match.domains: for which names?");
	else if (has_wildcard(&r->match) && !(a && has_text(&a->challenges, "dns-01")))
		parse_error(p, loc, key,
			    "set acme.challenges to [\"dns-01\"] and acme.dnsHook, or name files",
			    "certificate \"auto\" for a name with * needs the dns-01 challenge");
}
