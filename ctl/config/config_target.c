// SPDX-License-Identifier: GPL-2.0-or-later
/* targets: hosts, ports, the sub-match. */
#include "ctl/config/config_parse.h"

#include "ctl/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIX_PATH_MAX_BYTES 107 /* sun_path without its NUL */
#define HOST_MAX_BYTES	    253
#define LINK_LOCAL_HINT	    "write another address of the target: a global or unique local one"

/* --- templates ----------------------------------------------------------------- */

static bool variable_is(const char *s, size_t len, const char *name)
{
	return len == strlen(name) && !memcmp(s, name, len);
}

/* {label:N}: the Nth label of the domain from the left. */
static bool is_label(const char *s, size_t len)
{
	if (len < 7 || len > 8 || memcmp(s, "label:", 6))
		return false;
	for (size_t i = 6; i < len; i++)
		if (!isdigit((unsigned char)s[i]))
			return false;
	return s[6] != '0';
}

static int check_variable(struct parse *p, const struct doc_node *n, const char *s, size_t len)
{
	static const char *const known[] = { "domain", "port", "path", "clientIp" };
	char word[64], hint[96] = "use {domain}, {port}, {path}, {clientIp} or {label:N}";
	const char *near;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (variable_is(s, len, known[i]))
			return 0;
	if (is_label(s, len))
		return 0;
	snprintf(word, sizeof(word), "%.*s", (int)(len > 60 ? 60 : len), s);
	near = text_nearest(word, known, sizeof(known) / sizeof(known[0]));
	if (near)
		snprintf(hint, sizeof(hint), "did you mean {%s}?", near);
	return parse_error(p, parse_loc(p, n), NULL, hint, "unknown template variable {%s}", word);
}

static int check_variables(struct parse *p, const struct doc_node *n)
{
	const char *s = n->string;

	while ((s = strchr(s, '{'))) {
		const char *end = strchr(s, '}');

		if (!end)
			return parse_error(p, parse_loc(p, n), NULL, NULL,
					   "a template variable is not closed with \"}\"");
		if (check_variable(p, n, s + 1, (size_t)(end - s) - 1))
			return -EINVAL;
		s = end;
	}
	return 0;
}

static int parse_template(struct parse *p, const struct doc_node *n, struct cfg_host *h)
{
	if (check_variables(p, n))
		return -EINVAL;
	for (const char *s = n->string; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-_.{}:", *s))
			return parse_error(p, parse_loc(p, n), NULL, NULL,
					   "a host template may not hold \"%c\"",
					   *s < 0x20 || *s & 0x80 ? '?' : *s);
	h->kind = HOST_TEMPLATE;
	return 0;
}

/* Else what a client sends could lead out of a directory that only looks like its bound. */
static bool has_dots(const char *path)
{
	while (*path) {
		size_t n = strcspn(++path, "/");

		if ((n == 1 && path[0] == '.') || (n == 2 && path[0] == '.' && path[1] == '.'))
			return true;
		path += n;
	}
	return false;
}

static int parse_path_template(struct parse *p, const struct doc_node *n, struct cfg_host *h)
{
	if (check_variables(p, n))
		return -EINVAL;
	if (has_dots(n->string + 5))
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "the path of a template may not hold \".\" or \"..\"");
	if (strstr(n->string, "{path}"))
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "{path} cannot stand in the path of a socket");
	h->kind = HOST_TEMPLATE;
	h->text = parse_strdup(p, n->string);
	return h->text ? 0 : -ENOMEM;
}

/* --- hosts --------------------------------------------------------------------- */

static int refuse_host(struct parse *p, const struct doc_node *n, const char *hint)
{
	char seen[96];

	return parse_error(p, parse_loc(p, n), NULL, hint,
			   "must be an address, a host name or \"unix:/path\", not %s",
			   doc_describe(n, seen, sizeof(seen)));
}

static const char *host_hint(const char *s)
{
	const char *colon = strchr(s, ':');

	if (strstr(s, "://"))
		return "write only the host: no scheme, no path";
	if (colon && strchr(colon, '%'))
		return "an address with a zone cannot be a target: " LINK_LOCAL_HINT;
	if (*s == '[')
		return "write an IPv6 address without brackets";
	if (strchr(s, '/'))
		return "a target is one address: no prefix, no path";
	if (colon && !strchr(colon + 1, ':'))
		return "write the port in \"port\"";
	for (; *s; s++)
		if (*s & 0x80)
			return "write the name in its ASCII form (xn--...)";
	return NULL;
}

static bool is_function(const char *s)
{
	return strstr(s, "=>") || !strncmp(s, "function", 8);
}

/* Letters, digits, - and _ in labels of 1..63; a last label of digits is a broken address. */
static bool name_is_valid(const char *s, size_t len)
{
	const char *last = s;
	size_t label = 0;

	if (!len || len > HOST_MAX_BYTES)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '.') {
			if (!label)
				return false;
			label = 0;
			last = s + i + 1;
			continue;
		}
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_')
			return false;
		if (++label > 63)
			return false;
	}
	return label && last[strspn(last, "0123456789")] != '\0';
}

static int parse_unix(struct parse *p, const struct doc_node *n, struct cfg_host *h)
{
	const char *path = n->string + 5;

	if (*path != '/')
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "the path of a unix socket must begin with \"/\"");
	if (strlen(path) > UNIX_PATH_MAX_BYTES)
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "the path of a unix socket may have %d bytes, this one has %zu",
				   UNIX_PATH_MAX_BYTES, strlen(path));
	if (text_has_control(path, false))
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "must not hold control characters");
	if (strchr(path, '{'))
		return parse_path_template(p, n, h);
	h->kind = HOST_UNIX;
	h->text = parse_strdup(p, path);
	return h->text ? 0 : -ENOMEM;
}

static int check_address(struct parse *p, const struct doc_node *n, const struct cfg_host *h)
{
	if (addr_is_unspecified(&h->addr))
		return parse_error(p, parse_loc(p, n), NULL,
				   "write 127.0.0.1 for a program on this host",
				   "%s is no address to connect to", n->string);
	if (addr_is_multicast(&h->addr))
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "%s is a multicast address, no target", n->string);
	if (addr_is_broadcast(&h->addr))
		return parse_error(p, parse_loc(p, n), NULL, "name one host",
				   "%s is the broadcast address, no target", n->string);
	if (addr_is_link_local_v6(&h->addr))
		return parse_error(p, parse_loc(p, n), NULL, LINK_LOCAL_HINT,
				   "%s is a link-local address: which link is meant cannot be said",
				   n->string);
	return 0;
}

static int parse_host(struct parse *p, const struct doc_node *n, struct cfg_host *h)
{
	size_t len = n->n;

	h->loc = parse_loc(p, n);
	if (n->type != DOC_STRING)
		return refuse_host(p, n, NULL);
	if (is_function(n->string))
		return parse_error(
			p, parse_loc(p, n), NULL,
			"a template does the same: {domain}, {port}, {path}, {clientIp}, "
			"{label:1}",
			"a file cannot hold a function");
	if (!strncmp(n->string, "unix:", 5))
		return parse_unix(p, n, h);
	h->text = parse_strdup(p, n->string);
	if (!h->text)
		return -ENOMEM;
	if (strchr(n->string, '{'))
		return parse_template(p, n, h);
	if (addr_parse(n->string, &h->addr)) {
		h->kind = HOST_ADDR;
		return check_address(p, n, h);
	}
	len -= len && n->string[len - 1] == '.';
	h->kind = HOST_NAME;
	return name_is_valid(n->string, len) ? 0 : refuse_host(p, n, host_hint(n->string));
}

int parse_key_host(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_target *t = base;
	unsigned len = parse_list_len(n), i = 0;
	int r = 0;

	(void)k;
	if (!len)
		return parse_error(p, parse_loc(p, n), NULL, NULL, "needs at least one host");
	t->hosts = parse_alloc(p, len * sizeof(*t->hosts));
	if (!t->hosts)
		return -ENOMEM;
	t->n_hosts = len;
	for (const struct doc_node *e = parse_list_first(n); e && !diags_full(p->diags);
	     e = parse_list_next(n, e), i++) {
		if (n->type == DOC_LIST)
			parse_push_index(p, i);
		r |= parse_host(p, e, &t->hosts[i]) ? -EINVAL : 0;
		if (n->type == DOC_LIST)
			parse_pop(p);
	}
	return r;
}

/* --- the port -------------------------------------------------------------------- */

static int parse_offset(struct parse *p, const struct doc_node *n, struct cfg_target *t)
{
	const char *digits = n->string + 1;
	long v = 0;

	if (*digits && strlen(digits) <= 5 && digits[strspn(digits, "0123456789")] == '\0')
		v = strtol(n->string, NULL, 10);
	if (!v || v > 65534 || v < -65534)
		return parse_expected(p, n, "an offset such as \"+1000\"");
	t->port_kind = PORT_OFFSET;
	t->port = (int)v;
	return 0;
}

int parse_key_target_port(struct parse *p, const struct key *k, const struct doc_node *n,
			  void *base)
{
	struct cfg_target *t = base;
	char hint[64] = "", seen[96];

	(void)k;
	if (n->type == DOC_INT && n->integer >= 1 && n->integer <= 65535) {
		t->port_kind = PORT_FIXED;
		t->port = (int)n->integer;
		return 0;
	}
	if (n->type == DOC_STRING && !strcmp(n->string, "preserve")) {
		t->port_kind = PORT_PRESERVE;
		return 0;
	}
	if (n->type == DOC_STRING && (n->string[0] == '+' || n->string[0] == '-'))
		return parse_offset(p, n, t);
	if (n->type == DOC_STRING && is_function(n->string))
		return parse_error(p, parse_loc(p, n), NULL,
				   "\"preserve\" keeps the client's port, \"+1000\" adds to it",
				   "a file cannot hold a function");
	if (n->type == DOC_STRING && n->n && n->n < 6 &&
	    n->string[strspn(n->string, "0123456789")] == '\0')
		snprintf(hint, sizeof(hint), "write %s without quotes", n->string);
	else if (n->type == DOC_STRING && text_distance(n->string, "preserve", 3) <= 3)
		snprintf(hint, sizeof(hint), "did you mean \"preserve\"?");
	return parse_error(p, parse_loc(p, n), NULL, hint,
			   "must be a port from 1 to 65535, \"preserve\" or an offset such as "
			   "\"+1000\", not %s",
			   doc_describe(n, seen, sizeof(seen)));
}

int parse_key_target_ports(struct parse *p, const struct key *k, const struct doc_node *n,
			   void *base)
{
	struct cfg_target_match *m = base;

	(void)k;
	return parse_port_list(p, n, &m->ports, &m->n_ports);
}

/* --- the target ---------------------------------------------------------------------- */

static bool is_path_template(const struct cfg_host *h)
{
	return h->kind == HOST_TEMPLATE && !strncmp(h->text, "unix:", 5);
}

static bool all_unix(const struct cfg_target *t)
{
	for (unsigned i = 0; i < t->n_hosts; i++)
		if (t->hosts[i].kind != HOST_UNIX && !is_path_template(&t->hosts[i]))
			return false;
	return true;
}

static void note_host_needs(struct parse *p, const struct cfg_target *t)
{
	for (unsigned i = 0; i < t->n_hosts; i++) {
		const struct cfg_host *h = &t->hosts[i];

		if (h->kind == HOST_UNIX) {
			parse_need(p, TIER_RELAY, "unix socket target", 0, h->loc, "host");
		} else if (h->kind == HOST_TEMPLATE) {
			bool path = strstr(h->text, "{path}");

			parse_need(p, path ? TIER_PROXY : TIER_RELAY, "host template",
				   path ? NEED_PLAINTEXT : 0, h->loc, "host");
		}
	}
}

void finish_target(struct parse *p, const struct doc_node *n, void *base)
{
	struct cfg_target *t = base;
	const struct doc_node *port = doc_find(n, "port");

	if (!port && !all_unix(t))
		parse_error(p, parse_loc(p, n), NULL, NULL, "needs the key \"port\"");
	if (port && all_unix(t))
		parse_warn(p, parse_loc(p, port), "port", NULL,
			   "has no effect: a unix socket has no port");
	if (t->extra && t->extra->match) {
		t->has_match = true;
		t->match_ports = t->extra->match->ports;
		t->n_match_ports = t->extra->match->n_ports;
	}
	note_host_needs(p, t);
}

static int parse_target_list(struct parse *p, const struct doc_node *n, struct cfg_action *a)
{
	unsigned i = 0;
	int r = 0;

	a->targets = parse_alloc(p, n->n * sizeof(*a->targets));
	if (!a->targets)
		return -ENOMEM;
	for (const struct doc_node *e = n->child; e && !diags_full(p->diags); e = e->next, i++) {
		parse_push_index(p, i);
		parse_object_init(p, &key_target, &a->targets[i]);
		r |= parse_object(p, &key_target, e, &a->targets[i]) ? -EINVAL : 0;
		parse_pop(p);
	}
	a->n_targets = i;
	return r;
}

int parse_key_targets(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_action *a = base;

	(void)k;
	if (n->type != DOC_LIST)
		return parse_error(p, parse_loc(p, n), NULL,
				   n->type == DOC_MAP ? "put the target in [ ]" : NULL,
				   "must be a list of targets");
	if (!n->n)
		return parse_error(p, parse_loc(p, n), NULL, NULL, "needs at least one target");
	if (a->n_targets)
		return parse_error(p, parse_key_loc(p, n), NULL, "keep \"targets\"",
				   "\"target\" and \"targets\" are both given");
	return parse_target_list(p, n, a);
}

int parse_key_old_target(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_action *a = base;

	(void)k;
	if (a->n_targets)
		return parse_error(p, parse_key_loc(p, n), NULL, "keep \"targets\"",
				   "\"target\" and \"targets\" are both given");
	parse_warn(p, parse_key_loc(p, n), NULL, NULL,
		   "\"target\" is now written \"targets\": [ ... ]");
	a->targets = parse_object_new(p, &key_target);
	if (!a->targets)
		return -ENOMEM;
	a->n_targets = 1;
	return parse_object(p, &key_target, n, a->targets);
}

/* Nothing bounds what a client may name there. */
static void refuse_default_templates(struct parse *p, const struct cfg_target *t)
{
	for (unsigned i = 0; i < t->n_hosts; i++) {
		const struct cfg_host *h = &t->hosts[i];

		if (h->kind == HOST_TEMPLATE &&
		    (strstr(h->text, "{domain}") || strstr(h->text, "{label:") ||
		     strstr(h->text, "{path}")))
			parse_error(p, h->loc, "host", "write a route with match.domains",
				    "the default target cannot depend on what a client names");
	}
}

int parse_key_default_target(struct parse *p, const struct key *k, const struct doc_node *n,
			     void *base)
{
	int rc;

	(void)k;
	(void)base;
	p->c->default_target = parse_object_new(p, &key_target);
	if (!p->c->default_target)
		return -ENOMEM;
	rc = parse_object(p, &key_default_target, n, p->c->default_target);
	refuse_default_templates(p, p->c->default_target);
	return rc;
}
