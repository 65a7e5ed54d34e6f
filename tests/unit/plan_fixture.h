/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan_fixture: from the text of a route file (YAML, so that C strings stay
 * readable) to a plan, with facts made by hand. One at a time: fx_plan() frees
 * what the call before it made, fx_end() the last.
 */
#ifndef TESTS_UNIT_PLAN_FIXTURE_H
#define TESTS_UNIT_PLAN_FIXTURE_H

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/buf.h"
#include "ctl/host/host.h"
#include "ctl/plan/plan.h"

/* "- {name: web, match: {ports: 80}, action: {type: forward, targets: [{...}]}}" */
#define FX_ROUTE(name, match, action) \
	"- {name: " name ", match: {" match "}, action: {type: forward, " action "}}\n"
#define FX_PRIO(p, name, match)                                                                 \
	"- {name: " name ", priority: " p ", match: {" match "}, action: {type: forward, " FX_A \
	"}}\n"
#define FX_TARGET(host, port) "targets: [{host: '" host "', port: " port "}]"
#define FX_A		      FX_TARGET("10.2.0.2", "80")

static struct {
	struct buf text;
	struct config *config;
	struct diags diags;
	struct plan *plan;
	struct plan_facts facts;
} fx;

__attribute__((unused)) static void fx_end(void)
{
	plan_free(fx.plan);
	config_free(fx.config);
	diags_fini(&fx.diags);
	buf_fini(&fx.text);
	memset(&fx, 0, sizeof(fx));
}

/* Of a test that has the relay, and none of anybody's facts after it. */
__attribute__((unused)) static int fx_begin_relay(void **state)
{
	(void)state;
	fx.facts.have_relay = true;
	return 0;
}

__attribute__((unused)) static int fx_finish(void **state)
{
	(void)state;
	fx_end();
	return 0;
}

/* With the facts of fx.facts, which are kept; NULL when there were errors. */
__attribute__((unused)) static struct plan *fx_plan_text(const char *head, const char *routes)
{
	struct plan_facts facts = fx.facts;
	const struct config_options opt = { 0 };

	fx_end();
	fx.facts = facts;
	buf_printf(&fx.text, "%s%sroutes:\n", head, *head ? "\n" : "");
	buf_puts(&fx.text, routes);
	fx.config = config_parse("t.yaml", fx.text.data, fx.text.len, &opt, &fx.diags);
	if (fx.config)
		fx.plan = plan_build(fx.config, &fx.facts, &fx.diags);
	return fx.plan;
}

/* Fails the test when the text does not plan. */
__attribute__((unused)) static struct plan *fx_plan(const char *routes)
{
	if (!fx_plan_text("", routes))
		fail_msg("no plan: %s", fx.diags.n ? fx.diags.v[0].msg : "no message");
	return fx.plan;
}

__attribute__((unused)) static struct plan_route *fx_route(const char *name)
{
	for (unsigned i = 0; i < fx.plan->n_routes; i++)
		if (!strcmp(fx.plan->routes[i].route->name, name))
			return &fx.plan->routes[i];
	fail_msg("no route %s in the plan", name);
	return NULL;
}

/* The kernel's route for one connection, "-" for none: "tcp 10.1.0.1 80 10.0.0.9". */
__attribute__((unused)) static const char *fx_winner(const char *proto, const char *local,
						     unsigned port, const char *client)
{
	struct plan_conn c = { .proto = strcmp(proto, "udp") ? IPPROTO_TCP : IPPROTO_UDP,
			       .port = (uint16_t)port };
	const struct plan_route *r;

	if (!addr_parse(local, &c.local) || !addr_parse(client, &c.client))
		fail_msg("no address: %s or %s", local, client);
	r = plan_find_kernel(fx.plan, &c);
	return r ? r->route->name : "-";
}

/* The first message of that kind which holds all the words (NULL ends), or NULL. */
__attribute__((unused)) static const struct diag *fx_message(enum diag_severity s, ...)
{
	for (size_t i = 0; i < fx.diags.n; i++) {
		const char *word;
		bool all = fx.diags.v[i].severity == s;
		va_list ap;

		va_start(ap, s);
		while (all && (word = va_arg(ap, const char *)))
			all = strstr(fx.diags.v[i].msg, word) != NULL;
		va_end(ap);
		if (all)
			return &fx.diags.v[i];
	}
	return NULL;
}

/* ---- facts made by hand ---- */

struct fx_host {
	struct host_facts facts;
	struct host_listener listeners[8];
};

__attribute__((unused)) static void fx_local(struct fx_host *h, const char *address)
{
	struct err e = { 0 };

	if (addr_set_parse(&h->facts.local, address, &e))
		fail_msg("%s: %s", address, e.msg);
	addr_set_seal(&h->facts.local);
	fx.facts.host = &h->facts;
}

/* Must be called in the order of protocol and port: TCP first. */
__attribute__((unused)) static void fx_listen(struct fx_host *h, uint8_t proto, const char *address,
					      unsigned port)
{
	struct host_listener *l = &h->listeners[h->facts.n_listeners++];

	*l = (struct host_listener){ .proto = proto, .port = (uint16_t)port };
	if (!addr_parse(address, &l->addr))
		fail_msg("no address: %s", address);
	h->facts.listeners = h->listeners;
	fx.facts.host = &h->facts;
}

__attribute__((unused)) static void fx_host_end(struct fx_host *h)
{
	addr_set_fini(&h->facts.local);
	fx.facts.host = NULL;
}

#endif
