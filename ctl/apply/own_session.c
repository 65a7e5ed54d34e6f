/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/apply/own_session.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#define ENDPOINT (ADDR_TEXT + 8)

static const char *endpoint(const struct addr *a, uint16_t port, char out[ENDPOINT])
{
	char text[ADDR_TEXT];

	snprintf(out, ENDPOINT, a->family == ADDR_V6 ? "[%s]:%u" : "%s:%u", addr_format(a, text),
		 port);
	return out;
}

/* The route leads back to the very socket: a local target on the same port. One on the wildcard
 * has all of this host's addresses. */
static bool is_itself(const struct plan_target *t, const struct host_facts *h,
		      const struct session_conn *c)
{
	return t->local && plan_target_port(t, c->server_port) == c->server_port &&
	       (!addr_cmp(&t->addr, &c->server) ||
		host_listens(h, IPPROTO_TCP, c->server.family, c->server_port));
}

/* "go to 10.20.0.2:22 and 2 more", "be refused" into out; false: they all end here as before. */
static bool describe_change(const struct plan_route *r, const struct host_facts *h,
			    const struct session_conn *c, char *out, size_t cap)
{
	const struct plan_target *first = NULL;
	char text[ENDPOINT];
	unsigned n = 0;

	if (!plan_lets_in(r, &c->client)) {
		snprintf(out, cap, "be refused");
		return true;
	}
	for (unsigned i = 0; i < r->n_targets; i++) {
		const struct plan_target *t = &r->targets[i];

		if (t->addr.family != c->server.family || is_itself(t, h, c))
			continue;
		first = first ? first : t;
		n++;
	}
	if (!first)
		return false;
	endpoint(&first->addr, plan_target_port(first, c->server_port), text);
	if (n > 1)
		snprintf(out, cap, "go to %s and %u more", text, n - 1);
	else
		snprintf(out, cap, "go to %s", text);
	return true;
}

bool own_session_is_taken(const struct plan *p, const struct host_facts *h,
			  const struct session_conn *c, struct err *e)
{
	const struct plan_conn conn = { c->server, IPPROTO_TCP, c->server_port, c->client };
	bool v6_loopback = c->server.family == ADDR_V6 && addr_is_loopback(&c->server);
	const struct plan_route *r;
	char from[ENDPOINT], to[ENDPOINT], what[ENDPOINT + 32];

	/* Not an address of this network namespace: the session came in elsewhere. And [::1] is
	 * never taken by a kernel route. */
	if (v6_loopback || !addr_set_has(&h->local, &c->server))
		return false;
	r = plan_find_kernel(p, &conn);
	if (!r || !describe_change(r, h, c, what, sizeof(what)))
		return false;
	err_set(e, EADDRINUSE,
		"route \"%s\" takes tcp/%u, over which this very session came (%s -> %s): new ssh "
		"connections will %s",
		r->route->name, c->server_port, endpoint(&c->client, c->client_port, from),
		endpoint(&c->server, c->server_port, to), what);
	err_place(e, r->route->match.ports_loc, NULL);
	err_hint(e,
		 "`spctl apply --confirm 60` goes back by itself unless it is confirmed; --force "
		 "does it all the same");
	return true;
}
