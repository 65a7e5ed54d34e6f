// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What only the whole route shows: which security holds, which tiers its keys
 * ask for, and which of them contradict each other. One error a cause, each
 * with the place of the key and of what it contradicts.
 */
#include "ctl/config/config_parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const engine_names[] = { "auto", "nftables", "relay", "sockmap", "proxy" };

int parse_key_headers(struct parse *p, const struct key *k, const struct doc_node *n, void *base)
{
	struct cfg_route *r = base;
	struct cfg_headers *h = parse_object_new(p, &key_headers);

	(void)k;
	r->headers = r->headers ? r->headers : parse_alloc(p, sizeof(*r->headers));
	if (!h || !r->headers)
		return -ENOMEM;
	r->headers->headers = h;
	return parse_object(p, &key_headers, n, h);
}

/* --- security ------------------------------------------------------------------ */

static void append_needs(struct parse *p, const struct cfg_need *from)
{
	for (; from; from = from->next) {
		struct cfg_need *copy = parse_alloc(p, sizeof(*copy));

		if (!copy)
			return;
		*copy = *from;
		copy->next = NULL;
		*p->need_tail = copy;
		p->need_tail = &copy->next;
	}
}

static void settle_security(struct parse *p, struct cfg_route *r)
{
	const struct security_slot *win = &p->default_security;

	if (p->route_security.security)
		win = &p->route_security;
	if (p->action_security.security)
		win = &p->action_security;
	if (p->route_security.security && p->action_security.security)
		parse_warn(p, parse_key_loc(p, p->route_security.node), "security",
			   "keep one of the two", "has no effect: action.security beats it");
	r->security = win->security;
	append_needs(p, win->needs);
}

/* --- TLS and names ---------------------------------------------------------------- */

/* Where the route's tls stands: "action.tls" or, in its older place, "tls". */
static const char *tls_key(const struct parse *p, const char *below, char out[64])
{
	snprintf(out, 64, "%stls%s%s", p->node_tls ? "" : "action.", *below ? "." : "", below);
	return out;
}

static void settle_terminate(struct parse *p, const struct doc_node *node, struct cfg_route *r)
{
	struct cfg_tls *t = r->action.tls;
	char key[64];

	parse_need(p, TIER_PROXY, "TLS termination", 0, t->mode_loc, tls_key(p, "mode", key));
	if (!t->certificate && p->default_tls)
		t->certificate = p->default_tls->certificate;
	if (!t->certificate)
		parse_error(p, t->loc, tls_key(p, "", key),
			    "\"auto\", or {\"certFile\":...,\"keyFile\":...}",
			    "mode \"%s\" needs the key \"certificate\"",
			    t->mode == TLS_TERMINATE ? "terminate" : "terminate-and-reencrypt");
	else if (t->certificate->is_auto)
		settle_auto_certificate(p, r, tls_key(p, "certificate", key));
	if (t->mode == TLS_REENCRYPT && !doc_find(node, "verifyTarget"))
		group_add(p, &p->verify_note, t->mode_loc, tls_key(p, "mode", key));
}

static void settle_tls(struct parse *p, const struct doc_node *n, struct cfg_route *r)
{
	const struct doc_node *action_tls = doc_find(doc_find(n, "action"), "tls");
	const struct doc_node *node = p->node_tls ? p->node_tls : action_tls;

	if (p->node_tls && action_tls) {
		parse_error(p, parse_key_loc(p, p->node_tls), "tls", "keep action.tls",
			    "\"tls\" stands in the route and in its action");
		return;
	}
	if (r->action.tls && r->action.tls->mode != TLS_PASSTHROUGH)
		settle_terminate(p, node, r);
}

static bool has_domain_template(const struct cfg_route *r, struct loc *loc)
{
	for (unsigned i = 0; i < r->action.n_targets; i++)
		for (unsigned j = 0; j < r->action.targets[i].n_hosts; j++) {
			const struct cfg_host *h = &r->action.targets[i].hosts[j];

			*loc = h->loc;
			if (h->kind == HOST_TEMPLATE &&
			    (strstr(h->text, "{domain}") || strstr(h->text, "{label:")))
				return true;
		}
	return false;
}

static bool ports_overlap(const struct cfg_match *m, const struct port_range *v, unsigned n,
			  uint16_t *port)
{
	for (unsigned i = 0, k = 0; i < m->n_ports && k < n;) {
		if (m->ports[i].to < v[k].from) {
			i++;
		} else if (v[k].to < m->ports[i].from) {
			k++;
		} else {
			*port = m->ports[i].from > v[k].from ? m->ports[i].from : v[k].from;
			return true;
		}
	}
	return false;
}

static void settle_http_port(struct parse *p, struct cfg_route *r)
{
	const struct cfg_extra *top = p->c->extra;
	uint16_t port = 0;
	char *reason;

	if (r->action.tls || !(r->match.transport & TRANSPORT_TCP) ||
	    !ports_overlap(&r->match, top->http_ports, top->n_http_ports, &port))
		return;
	reason = arena_printf(&p->c->arena, "port %u is in useHttpProxy", port);
	if (reason)
		parse_need(p, TIER_PROXY, reason, NEED_TCP_ONLY, r->match.ports_loc, "match.ports");
}

static void settle_domains(struct parse *p, struct cfg_route *r)
{
	const struct cfg_tls *t = r->action.tls;
	struct loc loc;
	uint16_t port;

	if (r->match.domains.n && !t) {
		parse_need(p, TIER_PROXY, "HTTP host matching", NEED_PLAINTEXT,
			   r->match.domains_loc, "match.domains");
		if (r->action.type == ACTION_FORWARD &&
		    !ports_overlap(&r->match, p->c->extra->http_ports, p->c->extra->n_http_ports,
				   &port))
			group_add(p, &p->http_note, r->match.domains_loc, "match.domains");
	} else if (r->match.domains.n && t->mode == TLS_PASSTHROUGH) {
		parse_need(p, TIER_RELAY, "SNI passthrough", 0, r->match.domains_loc,
			   "match.domains");
	} else if (r->match.domains.n) {
		parse_need(p, TIER_PROXY, "TLS server name matching", 0, r->match.domains_loc,
			   "match.domains");
	}
	/* The client chooses the name: the file has to say among which. */
	if (t && t->mode == TLS_PASSTHROUGH && !r->match.domains.n && has_domain_template(r, &loc))
		parse_error(p, loc, "action.targets",
			    "the client chooses its target then: \"*\" lets it choose any name",
			    "a template of the domain needs match.domains");
	if (!t && has_domain_template(r, &loc))
		parse_need(p, TIER_PROXY, "host template by HTTP host", NEED_PLAINTEXT, loc,
			   "action.targets");
}

static void settle_websocket(struct parse *p, const struct doc_node *n, struct cfg_route *r)
{
	const struct doc_node *w = doc_find(doc_find(n, "action"), "websocket");

	if (!w)
		return;
	if (!r->action.tls || r->action.tls->mode != TLS_PASSTHROUGH)
		parse_need(p, TIER_PROXY, "WebSocket handling", NEED_PLAINTEXT, parse_loc(p, w),
			   "action.websocket");
	else if (!parse_is_off(w))
		parse_warn(p, parse_key_loc(p, w), "action.websocket", NULL,
			   "has no effect with tls.mode \"passthrough\": the frames are encrypted");
}

/* --- contradictions ------------------------------------------------------------------- */

static int report_need(struct parse *p, const struct cfg_need *need, const char *hint,
		       const char *fmt, ...) PRINTF_LIKE(4, 5);

static int report_need(struct parse *p, const struct cfg_need *need, const char *hint,
		       const char *fmt, ...)
{
	char msg[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	diags_add(p->diags, DIAG_ERROR, need->loc, need->path, hint, "%s", msg);
	return -EINVAL;
}

/* Encrypted bytes cannot be read. */
static int check_passthrough(struct parse *p, const struct cfg_route *r)
{
	char place[160];
	int bad = 0;

	if (!r->action.tls || r->action.tls->mode != TLS_PASSTHROUGH)
		return 0;
	for (const struct cfg_need *need = r->needs; need; need = need->next)
		if (need->needs_plaintext)
			bad = report_need(p, need, "use mode \"terminate\", or remove this key",
					  "%s cannot be had with tls.mode \"passthrough\" (%s): "
					  "the bytes are encrypted",
					  need->reason,
					  parse_place(p, r->action.tls->mode_loc, place));
	return bad;
}

static enum tier engine_tier(enum cfg_engine e)
{
	if (e == ENGINE_NFTABLES)
		return TIER_NFTABLES;
	return e == ENGINE_PROXY || e == ENGINE_AUTO ? TIER_PROXY : TIER_RELAY;
}

static int check_engine(struct parse *p, const struct cfg_route *r)
{
	const struct cfg_action *a = &r->action;
	char place[160];
	int bad = 0;

	for (const struct cfg_need *need = r->needs; need; need = need->next)
		if (need->tier > engine_tier(a->engine))
			bad = report_need(
				p, need, "leave forwardingEngine out, or remove this key",
				"%s needs the %s tier, but forwardingEngine is \"%s\" at %s",
				need->reason, tier_name(need->tier), engine_names[a->engine],
				parse_place(p, a->engine_loc, place));
	return bad;
}

static int check_udp(struct parse *p, const struct cfg_route *r)
{
	bool all = r->match.transport == TRANSPORT_ALL;
	int bad = 0;

	if (!(r->match.transport & TRANSPORT_UDP))
		return 0;
	for (const struct cfg_need *need = r->needs; need; need = need->next)
		if (!all || !need->tcp_only)
			bad = report_need(
				p, need, all ? "make one route for tcp and one for udp" : NULL,
				"UDP is served by the kernel tier only, but %s needs the %s "
				"tier",
				need->reason, tier_name(need->tier));
	return bad;
}

/* Options that only the kernel tier can keep. */
static void check_kernel_only(struct parse *p, const struct cfg_route *r)
{
	const struct cfg_nftables *f = r->action.nftables;
	const struct cfg_need *need = r->needs;
	char place[160];

	if (!need)
		return;
	parse_place(p, need->loc, place);
	if (f && f->max_rate_bits)
		parse_error(p, f->max_rate_loc, "action.nftables.maxRate", NULL,
			    "exists in the kernel tier only, but %s needs the %s tier (%s)",
			    need->reason, tier_name(need->tier), place);
	if (f && f->preserve_source_ip)
		parse_error(p, f->preserve_source_ip_loc, "action.nftables.preserveSourceIP",
			    "sendProxyProtocol tells the target the client's address",
			    "exists in the kernel tier only, but %s needs the %s tier (%s)",
			    need->reason, tier_name(need->tier), place);
	else if (p->c->preserve_source_ip && !(f && f->has_preserve_source_ip) &&
		 !r->action.send_proxy_protocol && r->action.type == ACTION_FORWARD)
		group_add(p, &p->preserve_note, need->loc, need->path);
}

static bool reaches_proxy(const struct cfg_route *r)
{
	for (const struct cfg_need *need = r->needs; need; need = need->next)
		if (need->tier == TIER_PROXY)
			return true;
	return false;
}

static void check_idle_options(struct parse *p, const struct doc_node *n, const struct cfg_route *r)
{
	const struct doc_node *o = doc_find(doc_find(n, "action"), "options");

	if (o && !reaches_proxy(r))
		group_add(p, &p->host_note, parse_key_loc(p, o), "action.options");
}

/* --- the route ------------------------------------------------------------------------ */

static void settle_transport(struct parse *p, struct cfg_route *r)
{
	struct cfg_match *m = &r->match;
	char place[160];

	if (!p->node_nft_protocol)
		return;
	if (!p->node_transport)
		m->transport = p->nft_protocol;
	else if (m->transport != p->nft_protocol)
		parse_error(p, parse_loc(p, p->node_nft_protocol), "action.nftables.protocol",
			    "keep match.transport",
			    "\"%s\" differs from match.transport \"%s\" at %s",
			    p->node_nft_protocol->string, p->node_transport->string,
			    parse_place(p, parse_loc(p, p->node_transport), place));
}

static void settle_unapplied(struct parse *p, struct cfg_route *r)
{
	r->unapplied_in_kernel.v = parse_alloc(p, p->n_unapplied * sizeof(const char *));
	if (!r->unapplied_in_kernel.v)
		return;
	memcpy(r->unapplied_in_kernel.v, p->unapplied, p->n_unapplied * sizeof(const char *));
	r->unapplied_in_kernel.n = p->n_unapplied;
}

void finish_route(struct parse *p, const struct doc_node *n, struct cfg_route *r)
{
	const struct doc_node *action = doc_find(n, "action");
	int bad;

	settle_transport(p, r);
	parse_push(p, "action");
	settle_action(p, action, &r->action);
	parse_pop(p);
	settle_tls(p, n, r);
	settle_domains(p, r);
	settle_http_port(p, r);
	settle_websocket(p, n, r);
	settle_security(p, r);
	if (p->n_unapplied)
		settle_unapplied(p, r);
	r->needs = p->needs;
	bad = check_passthrough(p, r);
	bad |= check_engine(p, r);
	if (!bad && !check_udp(p, r))
		check_kernel_only(p, r);
	check_idle_options(p, n, r);
}
