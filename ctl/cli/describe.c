/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/describe.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/cli/report.h"

const char *describe_proto(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : "udp";
}

const char *describe_algorithm(enum cfg_algorithm a)
{
	static const char *const names[] = {
		[LB_ROUND_ROBIN] = "round-robin",
		[LB_RANDOM] = "random",
		[LB_LEAST_CONNECTIONS] = "least-connections",
		[LB_IP_HASH] = "ip-hash",
		[LB_CONSISTENT_HASH] = "consistent-hash",
	};

	return names[a];
}

static const char *transport_name(enum cfg_transport t)
{
	return t == TRANSPORT_TCP ? "tcp" : t == TRANSPORT_UDP ? "udp" : "tcp+udp";
}

void describe_listens(struct buf *b, const struct plan_route *r)
{
	const struct cfg_match *m = &r->route->match;
	char text[ADDR_TEXT];

	for (unsigned i = 0; i < m->n_addresses; i++)
		buf_printf(b, "%s%s", addr_format(&m->addresses[i], text),
			   i + 1 < m->n_addresses ? "," : " ");
	buf_printf(b, "%s/", transport_name(r->transport));
	for (unsigned i = 0; i < m->n_ports; i++) {
		buf_printf(b, "%s%u", i ? "," : "", m->ports[i].from);
		if (m->ports[i].to != m->ports[i].from)
			buf_printf(b, "-%u", m->ports[i].to);
	}
}

static void put_address(struct buf *b, const struct addr *a, int port)
{
	char text[ADDR_TEXT];

	addr_format(a, text);
	if (!port)
		buf_puts(b, text);
	else
		buf_printf(b, a->family == ADDR_V6 ? "[%s]:%d" : "%s:%d", text, port);
}

static void put_port_rule(struct buf *b, const struct cfg_target *t)
{
	if (t->port_kind == PORT_PRESERVE)
		buf_puts(b, " (same port)");
	if (t->port_kind == PORT_OFFSET)
		buf_printf(b, " (port %+d)", t->port);
}

/* port 0 = none */
static void put_host(struct buf *b, const struct cfg_host *h, int port)
{
	if (h->kind == HOST_ADDR)
		put_address(b, &h->addr, port);
	else if (h->kind == HOST_UNIX)
		buf_printf(b, "unix:%s", h->text);
	else if (port && strncmp(h->text, "unix:", 5))
		buf_printf(b, "%s:%d", h->text, port);
	else
		buf_puts(b, h->text);
}

/* As the file has them: for routes that are not the kernel's, or not resolved. */
static void put_configured(struct buf *b, const struct cfg_action *a)
{
	for (unsigned i = 0; i < a->n_targets; i++) {
		const struct cfg_target *t = &a->targets[i];

		for (unsigned k = 0; k < t->n_hosts; k++) {
			buf_puts(b, i || k ? ", " : "");
			put_host(b, &t->hosts[k], t->port_kind == PORT_FIXED ? t->port : 0);
		}
		put_port_rule(b, t);
	}
}

void describe_target(struct buf *b, const struct plan_target *t)
{
	put_address(b, &t->addr, t->target->port_kind == PORT_FIXED ? t->target->port : 0);
	if (t->weight != 1)
		buf_printf(b, "*%u", t->weight);
	put_port_rule(b, t->target);
}

void describe_host(struct buf *b, const struct cfg_target *t, const struct cfg_host *h)
{
	put_host(b, h, t->port_kind == PORT_FIXED ? t->port : 0);
	if (t->weight != 1)
		buf_printf(b, "*%u", t->weight);
	put_port_rule(b, t);
}

void describe_targets(struct buf *b, const struct plan_route *r)
{
	if (r->route->action.type == ACTION_SOCKET_HANDLER) {
		buf_puts(b, "handler");
		return;
	}
	if (!r->n_targets) {
		put_configured(b, &r->route->action);
		return;
	}
	for (unsigned i = 0; i < r->n_targets; i++) {
		const struct cfg_target *t = r->targets[i].target;

		buf_puts(b, i ? ", " : "");
		put_address(b, &r->targets[i].addr, t->port_kind == PORT_FIXED ? t->port : 0);
		if (r->n_targets > 1 && r->targets[i].weight != 1)
			buf_printf(b, "*%u", r->targets[i].weight);
		/* One kind for all: the plan sees to that. */
		if (i + 1 == r->n_targets)
			put_port_rule(b, t);
	}
}

static void put_clients(struct buf *b, const struct cfg_match *m)
{
	char text[ADDR_RANGE_TEXT];

	for (size_t i = 0; m->has_client_ip && i < m->client_ip.n; i++)
		buf_printf(b, "%s%s", i ? "," : " from ",
			   addr_range_format(&m->client_ip.v[i], text));
}

void describe_behaviour(struct buf *b, const struct plan_route *r, struct list_prints *prints)
{
	struct buf security = { 0 };

	describe_listens(b, r);
	put_clients(b, &r->route->match);
	buf_puts(b, " -> ");
	describe_targets(b, r);
	if (r->n_targets > 1)
		buf_printf(b, " %s", describe_algorithm(r->route->action.algorithm));
	if (r->preserve_source)
		buf_puts(b, ", source kept");
	describe_security(&security, r, prints);
	if (security.data)
		buf_printf(b, ", %s", security.data);
	buf_fini(&security);
	if (r->tier != TIER_NFTABLES)
		buf_printf(b, " (%s)", tier_name(r->tier));
}

static void note(struct buf *b, const char *text)
{
	buf_printf(b, "%s%s", b->len ? ", " : "", text);
}

void describe_notes(struct buf *b, const struct plan_route *r)
{
	bool redirect = false, loopback = false;
	struct buf security = { 0 };

	if (r->tier != TIER_NFTABLES)
		return;
	for (unsigned i = 0; i < r->n_targets; i++) {
		redirect |= r->targets[i].redirect;
		loopback |= r->targets[i].loopback && !r->targets[i].redirect;
	}
	if (r->v4 && !r->v6)
		note(b, "IPv4");
	if (r->v6 && !r->v4)
		note(b, "IPv6");
	if (r->n_targets > 1)
		note(b, describe_algorithm(r->route->action.algorithm));
	if (r->preserve_source)
		note(b, "source kept");
	describe_security(&security, r, NULL);
	if (security.data)
		note(b, security.data);
	buf_fini(&security);
	if (redirect)
		note(b, "redirect");
	if (loopback)
		note(b, "to loopback");
}

static const char *behind_why(const struct plan_behind *b)
{
	return b->before ? "needs the first bytes" : "PROXY protocol from the peers in proxyIPs";
}

const struct plan_behind *describe_behind(struct buf *out, const struct plan_behind *b)
{
	const struct plan_behind *first = b;
	char ports[PLAN_PORTS_TEXT];

	for (; b && b->before == first->before && b->partly == first->partly; b = b->next)
		buf_printf(out, "%s%s", b == first ? "" : ", ", plan_ports_text(b, ports));
	buf_printf(out, "%s: ", first->partly ? " for some clients" : "");
	if (first->before)
		buf_printf(out, "route \"%s\" before it ", first->before->route->name);
	buf_puts(out, behind_why(first));
	return b;
}

/* ---- JSON ---- */

json_t *describe_behind_json(const struct plan_route *r)
{
	json_t *list = json_array();

	for (const struct plan_behind *b = r->behind; b; b = b->next) {
		char text[ADDR_TEXT];

		json_array_append_new(list,
				      json_pack("{s:s,s:s,s:[{s:i,s:i}],s:b,s:s?,s:s}", "address",
						addr_format(&b->address, text), "protocol",
						describe_proto(b->proto), "ports", "from", b->from,
						"to", b->to, "someClients", b->partly, "route",
						b->before ? b->before->route->name : NULL, "reason",
						behind_why(b)));
	}
	return list;
}

json_t *describe_listeners_json(const struct plan_route *r)
{
	json_t *list = json_array();
	const struct cfg_match *m = &r->route->match;

	for (unsigned bit = TRANSPORT_TCP; bit <= TRANSPORT_UDP; bit <<= 1) {
		for (unsigned a = 0; a < (m->n_addresses ? m->n_addresses : 1); a++) {
			json_t *ports = json_array();
			char text[ADDR_TEXT] = "*";

			if (!(r->transport & bit)) {
				json_decref(ports);
				continue;
			}
			if (m->n_addresses)
				addr_format(&m->addresses[a], text);
			for (unsigned i = 0; i < m->n_ports; i++)
				json_array_append_new(ports, json_pack("{s:i,s:i}", "from",
								       m->ports[i].from, "to",
								       m->ports[i].to));
			json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "address", text,
							      "protocol",
							      bit == TRANSPORT_TCP ? "tcp" : "udp",
							      "ports", ports));
		}
	}
	return list;
}

static json_t *port_json(const struct cfg_target *t)
{
	if (t->port_kind == PORT_PRESERVE)
		return json_string("preserve");
	if (t->port_kind == PORT_OFFSET)
		return json_sprintf("%+d", t->port);
	return json_integer(t->port);
}

json_t *describe_target_json(const struct cfg_target *t, const struct cfg_host *h,
			     const struct plan_target *kernel)
{
	char text[ADDR_TEXT];

	return json_pack("{s:s,s:o,s:i}", "host",
			 kernel ? addr_format(&kernel->addr, text) : h->text, "port", port_json(t),
			 "weight", (int)(kernel ? kernel->weight : t->weight));
}

json_t *describe_targets_json(const struct plan_route *r)
{
	const struct cfg_action *a = &r->route->action;
	json_t *list = json_array();

	for (unsigned i = 0; i < r->n_targets; i++)
		json_array_append_new(list,
				      describe_target_json(r->targets[i].target, r->targets[i].host,
							   &r->targets[i]));
	for (unsigned i = 0; !r->n_targets && i < a->n_targets; i++)
		for (unsigned k = 0; k < a->targets[i].n_hosts; k++)
			json_array_append_new(list,
					      describe_target_json(&a->targets[i],
								   &a->targets[i].hosts[k], NULL));
	return list;
}

static json_t *list_of(const struct diags *d, const char *key)
{
	json_t *all = report_diags_json(d), *list = json_incref(json_object_get(all, key));

	json_decref(all);
	return list ? list : json_array();
}

json_t *describe_warnings_json(const struct diags *d)
{
	return list_of(d, "warnings");
}

json_t *describe_errors_json(const struct diags *d)
{
	return json_pack("{s:i,s:o}", "schema", 1, "errors", list_of(d, "errors"));
}

void describe_print_json(json_t *j)
{
	if (j)
		json_dumpf(j, stdout, JSON_INDENT(2));
	else
		fputs("{\"schema\":1,\"errors\":[{\"message\":\"out of memory\"}]}", stdout);
	putchar('\n');
	json_decref(j);
}
