// SPDX-License-Identifier: GPL-2.0-or-later
/* The top level: what holds for all routes, and warnings that are given once. */
#include "ctl/config/config_parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int parse_key_routes(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	(void)k;
	(void)base;
	if (n->type != DOC_LIST)
		return parse_expected(p, n, "a list of routes");
	if (!n->n)
		return parse_error(p, parse_loc(p, n), NULL, NULL, "needs at least one route");
	p->routes = n; /* read last: routes take over what the top level says */
	return 0;
}

int parse_key_top_proxy_protocol(struct parse *p, const struct key *k, const struct doc_node *n,
				 void *base)
{
	struct config *c = base;

	(void)k;
	if (n->type == DOC_BOOL)
		c->send_proxy_protocol_version = n->boolean;
	else if (n->type == DOC_INT && (n->integer == 1 || n->integer == 2))
		c->send_proxy_protocol_version = (int)n->integer;
	else
		return parse_expected(p, n, "true, false, 1 or 2");
	c->send_proxy_protocol = c->send_proxy_protocol_version;
	c->send_proxy_protocol_loc = parse_loc(p, n);
	return 0;
}

int parse_key_preserve(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	(void)k;
	(void)base;
	if (n->type != DOC_BOOL)
		return parse_expected(p, n, "true or false");
	if (n->boolean) {
		p->c->preserve_source_ip = true;
		p->preserve_loc = parse_loc(p, n);
	}
	return 0;
}

int parse_key_http_ports(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_extra *x = p->c->extra;

	(void)k;
	(void)base;
	if (n->type == DOC_LIST && !n->n)
		return 0; /* SmartProxy's way to say none */
	return parse_port_list(p, n, &x->http_ports, &x->n_http_ports);
}

int parse_key_workers(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_limits *l = base;

	(void)k;
	if (n->type != DOC_INT || n->integer < 1 || n->integer > 1024)
		return parse_expected(p, n, "a whole number from 1 to 1024");
	l->workers = (unsigned)n->integer;
	return 0;
}

static bool listen_is_valid(const char *s)
{
	char host[ADDR_TEXT];
	const char *colon = strrchr(s, ':');
	struct addr a;
	size_t len;

	if (!strncmp(s, "unix:/", 6))
		return true;
	if (!colon || !colon[1] || strlen(colon + 1) > 5 ||
	    colon[1 + strspn(colon + 1, "0123456789")] || atoi(colon + 1) < 1 ||
	    atoi(colon + 1) > 65535)
		return false;
	len = (size_t)(colon - s);
	if (*s == '[' && len > 2 && s[len - 1] == ']') {
		s++;
		len -= 2;
	} else if (memchr(s, ':', len)) {
		return false;
	}
	if (len >= sizeof(host))
		return false;
	memcpy(host, s, len);
	host[len] = '\0';
	return addr_parse(host, &a);
}

int parse_key_listen(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_admin *a = base;

	if (parse_text(p, k, n, &a->listen))
		return -EINVAL;
	if (listen_is_valid(a->listen))
		return 0;
	return parse_expected(p, n, "\"ADDRESS:PORT\", \"[ADDRESS]:PORT\" or \"unix:/path\"");
}

void finish_etcd(struct parse *p, const struct doc_node *n, void *base)
{
	const struct cfg_etcd *e = base;

	for (unsigned i = 0; i < e->endpoints.n; i++)
		if (strncmp(e->endpoints.v[i], "http://", 7) &&
		    strncmp(e->endpoints.v[i], "https://", 8))
			parse_error(p, parse_loc(p, doc_find(n, "endpoints")), "endpoints", NULL,
				    "\"%.100s\" is not a URL (https://host:2379)",
				    e->endpoints.v[i]);
	if (!e->cert_file != !e->key_file)
		parse_error(p, parse_loc(p, n), NULL, NULL, "certFile and keyFile go together");
}

/* defaultAllowedIPs fills the list that defaults.security leaves open. */
static void settle_old_allow(struct parse *p)
{
	struct cfg_security *s = p->c->default_security;
	char place[160];

	if (!p->old_allow_loc.line)
		return;
	if (s && s->allow_loc.line) {
		parse_error(p, p->old_allow_loc, "defaultAllowedIPs", "keep one of the two",
			    "says the same as defaults.security.ipAllowList at %s",
			    parse_place(p, s->allow_loc, place));
		return;
	}
	if (!s)
		s = parse_object_new(p, &key_security);
	if (!s)
		return;
	s->loc = s->loc.line ? s->loc : p->old_allow_loc;
	s->allow = p->old_allow;
	s->allow_loc = p->old_allow_loc;
	s->has_allow = s->allow.n > 0;
	p->c->default_security = p->default_security.security = s;
}

void settle_top(struct parse *p, const struct doc_node *root)
{
	struct config *c = p->c;
	const struct doc_node *accept = doc_find(root, "acceptProxyProtocol");

	settle_old_allow(p);
	if (!accept)
		c->accept_proxy_protocol = c->proxy_ips.n > 0;
	else if (c->accept_proxy_protocol && !c->proxy_ips.n)
		parse_error(p, parse_loc(p, accept), "acceptProxyProtocol",
			    "name the peers to trust in proxyIPs",
			    "needs proxyIPs: nobody is trusted to announce addresses");
}

void report_unused(struct parse *p)
{
	if (p->unused[0])
		parse_warn(p, p->unused_loc, p->unused_path, NULL,
			   "keys without a meaning here are ignored: %s", p->unused);
}

void group_add(struct parse *p, struct grouped *g, struct loc loc, const char *key)
{
	if (g->count++)
		return;
	g->loc = loc;
	parse_push(p, key);
	parse_path(p, g->path, sizeof(g->path));
	parse_pop(p);
}

static void report_group(struct parse *p, const struct grouped *g, enum diag_severity s,
			 const char *hint, const char *msg)
{
	char more[64] = "";

	if (!g->count)
		return;
	if (g->count > 1)
		snprintf(more, sizeof(more), " (and %u more route%s)", g->count - 1,
			 g->count > 2 ? "s" : "");
	diags_add(p->diags, s, g->loc, g->path, hint, "%s%s", msg, more);
}

void report_grouped(struct parse *p)
{
	report_group(p, &p->http_note, DIAG_NOTE, "list the port in useHttpProxy to say so",
		     "domains without tls: the port is read as HTTP");
	report_group(p, &p->preserve_note, DIAG_WARNING, "use sendProxyProtocol there",
		     "preserveSourceIP of the top level does not hold for a route that needs user "
		     "space");
	report_group(p, &p->verify_note, DIAG_WARNING,
		     "\"verifyTarget\": false restores what SmartProxy did",
		     "the target's certificate is verified, which SmartProxy did not do");
	report_group(p, &p->host_note, DIAG_WARNING, NULL,
		     "has no effect: the route does not handle HTTP");
}
