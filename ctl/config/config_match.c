// SPDX-License-Identifier: GPL-2.0-or-later
/* match: ports, local addresses, domains, transport. */
#include "ctl/config/config_parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN_MAX_BYTES 253
#define PORT_SHAPE	 "a port from 1 to 65535, {\"from\":N,\"to\":M} or a list of these"

/* --- ports ----------------------------------------------------------------- */

static int parse_port(struct parse *p, const struct doc_node *n, uint16_t *out)
{
	char hint[64] = "", seen[96];

	if (n->type == DOC_INT && n->integer >= 1 && n->integer <= 65535) {
		*out = (uint16_t)n->integer;
		return 0;
	}
	if (n->type == DOC_STRING && n->n && n->n < 6 &&
	    n->string[strspn(n->string, "0123456789")] == '\0')
		snprintf(hint, sizeof(hint), "write %s without quotes", n->string);
	return parse_error(p, parse_loc(p, n), NULL, hint,
			   "must be a whole number from 1 to 65535, not %s",
			   doc_describe(n, seen, sizeof(seen)));
}

static int check_order(struct parse *p, const struct doc_node *n, const struct port_range *r)
{
	if (r->from <= r->to)
		return 0;
	return parse_error(p, parse_loc(p, n), NULL, NULL,
			   "the range begins at %u, above its end %u", r->from, r->to);
}

static int parse_port_object(struct parse *p, const struct doc_node *n, struct port_range *out)
{
	bool from = false, to = false;
	int r = 0;

	for (const struct doc_node *c = n->child; c; c = c->next) {
		bool is_from = !strcmp(c->key, "from"), is_to = !strcmp(c->key, "to");

		parse_push(p, c->key);
		if (is_from || is_to)
			r |= parse_port(p, c, is_from ? &out->from : &out->to) ? -EINVAL : 0;
		else
			r = parse_error(p, parse_key_loc(p, c), NULL,
					"a range has \"from\" and \"to\"", "unknown key \"%.60s\"",
					c->key);
		parse_pop(p);
		from |= is_from;
		to |= is_to;
	}
	if (r)
		return r;
	if (!from || !to)
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "a range needs \"from\" and \"to\"");
	return check_order(p, n, out);
}

static bool text_port(const char **s, uint16_t *out)
{
	size_t digits = strspn(*s, "0123456789");
	unsigned long v;

	if (!digits || digits > 5)
		return false;
	v = strtoul(*s, NULL, 10);
	*s += digits;
	*out = (uint16_t)v;
	return v >= 1 && v <= 65535;
}

static int parse_port_text(struct parse *p, const struct doc_node *n, struct port_range *out)
{
	const char *s = n->string;
	char seen[96];

	if (text_port(&s, &out->from) && *s++ == '-' && text_port(&s, &out->to) && !*s)
		return check_order(p, n, out);
	if (n->n && n->string[strspn(n->string, "0123456789")] == '\0')
		return parse_port(p, n, &out->from);
	return parse_error(p, parse_loc(p, n), NULL, NULL,
			   "must be two ports such as \"8000-8010\", not %s",
			   doc_describe(n, seen, sizeof(seen)));
}

static int parse_port_item(struct parse *p, const struct doc_node *n, struct port_range *out)
{
	if (n->type == DOC_MAP)
		return parse_port_object(p, n, out);
	if (n->type == DOC_STRING)
		return parse_port_text(p, n, out);
	if (n->type != DOC_INT && n->type != DOC_FLOAT)
		return parse_expected(p, n, PORT_SHAPE);
	if (parse_port(p, n, &out->from))
		return -EINVAL;
	out->to = out->from;
	return 0;
}

static int range_cmp(const void *a, const void *b)
{
	const struct port_range *x = a, *y = b;

	return x->from != y->from ? x->from - y->from : x->to - y->to;
}

static unsigned merge_ranges(struct port_range *v, unsigned n)
{
	unsigned k = 0;

	qsort(v, n, sizeof(*v), range_cmp);
	for (unsigned i = 1; i < n; i++) {
		if (v[i].from <= v[k].to + 1u)
			v[k].to = v[i].to > v[k].to ? v[i].to : v[k].to;
		else
			v[++k] = v[i];
	}
	return k + 1;
}

int parse_port_list(struct parse *p, const struct doc_node *n, struct port_range **out,
		    unsigned *count)
{
	unsigned len = parse_list_len(n), i = 0;
	struct port_range *v;
	int r = 0;

	if (!len)
		return parse_error(p, parse_loc(p, n), NULL, NULL, "must not be an empty list");
	v = parse_alloc(p, len * sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (const struct doc_node *e = parse_list_first(n); e && !diags_full(p->diags);
	     e = parse_list_next(n, e), i++) {
		if (n->type == DOC_LIST)
			parse_push_index(p, i);
		r |= parse_port_item(p, e, &v[i]) ? -EINVAL : 0;
		if (n->type == DOC_LIST)
			parse_pop(p);
	}
	if (r || i < len)
		return -EINVAL;
	*count = merge_ranges(v, len);
	*out = v;
	return 0;
}

int parse_key_ports(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_match *m = base;

	(void)k;
	return parse_port_list(p, n, &m->ports, &m->n_ports);
}

/* --- transport, local addresses ---------------------------------------------- */

int parse_key_transport(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct key as_enum = *k;
	struct cfg_match *m = base;

	as_enum.type = KEY_ENUM;
	as_enum.def = NULL;
	as_enum.off = offsetof(struct cfg_match, transport);
	if (parse_value(p, p->object, &as_enum, n, m))
		return -EINVAL;
	p->node_transport = n;
	return 0;
}

static int parse_local(struct parse *p, const struct doc_node *n, struct addr *out)
{
	char seen[96];

	if (n->type != DOC_STRING || !addr_parse(n->string, out))
		return parse_error(p, parse_loc(p, n), NULL,
				   "write the address without a prefix or a port",
				   "must be an address of this host, not %s",
				   doc_describe(n, seen, sizeof(seen)));
	if (addr_is_unspecified(out))
		return parse_error(p, parse_loc(p, n), NULL, "leave the key out",
				   "%s stands for all addresses, which is the default", n->string);
	if (addr_is_multicast(out))
		return parse_error(p, parse_loc(p, n), NULL, NULL,
				   "%s is a multicast address: no connection arrives there",
				   n->string);
	return 0;
}

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

int parse_key_addresses_local(struct parse *p, const struct key *k, const struct doc_node *n,
			      void *base)
{
	struct cfg_match *m = base;
	unsigned len = parse_list_len(n), i = 0, kept = 0;
	int r = 0;

	(void)k;
	if (n->type != DOC_LIST && n->type != DOC_STRING)
		return parse_expected(p, n, "an address or a list of addresses");
	if (!len)
		return parse_error(p, parse_loc(p, n), NULL, "leave the key out",
				   "must not be an empty list");
	m->addresses = parse_alloc(p, len * sizeof(*m->addresses));
	if (!m->addresses)
		return -ENOMEM;
	for (const struct doc_node *e = parse_list_first(n); e && !diags_full(p->diags);
	     e = parse_list_next(n, e), i++) {
		if (n->type == DOC_LIST)
			parse_push_index(p, i);
		r |= parse_local(p, e, &m->addresses[i]);
		if (n->type == DOC_LIST)
			parse_pop(p);
	}
	if (r || i < len)
		return -EINVAL;
	qsort(m->addresses, len, sizeof(*m->addresses), addr_order);
	for (i = 0; i < len; i++)
		if (!kept || addr_cmp(&m->addresses[kept - 1], &m->addresses[i]))
			m->addresses[kept++] = m->addresses[i];
	m->n_addresses = kept;
	return 0;
}

/* --- domains -------------------------------------------------------------------- */

static int refuse_domain(struct parse *p, const struct doc_node *n, const char *hint)
{
	char seen[96];

	return parse_error(
		p, parse_loc(p, n), NULL, hint,
		"must be a domain name such as \"example.org\" or \"*.example.org\", not %s",
		doc_describe(n, seen, sizeof(seen)));
}

static const char *domain_hint(const char *s)
{
	if (strstr(s, "://"))
		return "write the name without the scheme";
	if (strchr(s, ':'))
		return "write the name without the port: ports stand in match.ports";
	if (strchr(s, '/'))
		return "write the path in match.path";
	for (; *s; s++)
		if (*s & 0x80)
			return "write the name in its ASCII form (xn--...)";
	return NULL;
}

/* Labels of 1..63 characters; * may stand anywhere. */
static bool domain_is_valid(const char *s)
{
	size_t label = 0;

	for (; *s; s++) {
		if (*s == '.') {
			if (!label)
				return false;
			label = 0;
			continue;
		}
		if (!isalnum((unsigned char)*s) && !strchr("-_*", *s))
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0;
}

static int parse_domain(struct parse *p, const struct doc_node *n, const char **out)
{
	const char *s;
	char *v;
	size_t len;

	if (n->type != DOC_STRING)
		return refuse_domain(p, n, NULL);
	s = n->string + strspn(n->string, " \t");
	len = strlen(s);
	while (len && strchr(" \t", s[len - 1]))
		len--;
	if (len && s[len - 1] == '.')
		len--;
	v = arena_strndup(&p->c->arena, s, len);
	if (!v)
		return parse_no_memory(p);
	for (char *c = v; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (len > DOMAIN_MAX_BYTES || !domain_is_valid(v))
		return refuse_domain(p, n, domain_hint(n->string));
	*out = v;
	return 0;
}

int parse_key_domains(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_match *m = base;
	unsigned len = parse_list_len(n), i = 0;
	int r = 0;

	(void)k;
	if (!len)
		return parse_error(p, parse_loc(p, n), NULL, "leave the key out",
				   "must not be an empty list");
	m->domains.v = parse_alloc(p, len * sizeof(*m->domains.v));
	if (!m->domains.v)
		return -ENOMEM;
	for (const struct doc_node *e = parse_list_first(n); e && !diags_full(p->diags);
	     e = parse_list_next(n, e), i++) {
		if (n->type == DOC_LIST)
			parse_push_index(p, i);
		r |= parse_domain(p, e, &m->domains.v[i]) ? -EINVAL : 0;
		if (n->type == DOC_LIST)
			parse_pop(p);
	}
	m->domains.n = len;
	return r;
}

/* --- the whole match ---------------------------------------------------------------- */

void finish_match(struct parse *p, const struct doc_node *n, void *base)
{
	struct cfg_match *m = base;
	const struct doc_node *protocol = doc_find(n, "protocol");

	if (!m->transport)
		m->transport = TRANSPORT_TCP;
	if (m->protocol && !strcmp(m->protocol, "http"))
		parse_need(p, TIER_PROXY, "HTTP by match.protocol", NEED_PLAINTEXT,
			   parse_loc(p, protocol), "protocol");
	for (unsigned i = 0; i < m->methods.n; i++)
		if (strspn(m->methods.v[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") !=
		    strlen(m->methods.v[i]))
			parse_error(p, parse_loc(p, doc_find(n, "method")), "method", NULL,
				    "\"%.40s\" is not an HTTP method", m->methods.v[i]);
}
