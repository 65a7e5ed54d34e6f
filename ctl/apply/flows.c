/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection is ended by deleting its conntrack entry: the client's next
 * packet meets no translation and is answered with a reset by this host. Where
 * an end is a socket of this host, that is destroyed first: its reset goes to
 * the other side at once, through the translation. Without that a connection
 * to a local target would live on where the route kept the port.
 */
#include "ctl/apply/flows.h"

#include <errno.h>
#include <netinet/in.h>

#include "ctl/base/clock.h"
#include "ctl/host/sock_tcp.h"

#define LOOK_AGAIN_MS 50
#define MAX_LOOKS     20

static bool has_target(const struct flows_wanted *w, const struct plan_route *r,
		       const struct ct_flow *f)
{
	for (unsigned i = 0; i < r->n_targets; i++) {
		const struct plan_target *t = &r->targets[i];

		if (plan_target_port(t, f->local_port) != f->target_port ||
		    !plan_target_serves(r, t))
			continue;
		/* A redirect answers from whichever local address was asked. */
		if (t->redirect ? addr_set_has(w->local, &f->target)
				: !addr_cmp(&t->addr, &f->target))
			return true;
	}
	return false;
}

static const struct plan_route *winner_of(const struct flows_wanted *w, const struct ct_flow *f)
{
	const struct plan_conn c = { f->local, f->proto, f->local_port, f->client };

	return plan_find_kernel(w->p, &c);
}

bool flow_is_elder(const struct flows_wanted *w, const struct ct_flow *f, struct flow_end *client,
		   struct flow_end *local)
{
	const struct flow_end from = { f->client, f->client_port },
			      to = { f->local, f->local_port };

	if (f->proto != IPPROTO_TCP || f->id || f->zone || f->local_port != f->target_port ||
	    f->client_port != f->seen_port || addr_cmp(&f->local, &f->target) ||
	    addr_cmp(&f->client, &f->seen))
		return false;
	for (int turned = 0; turned < 2; turned++) {
		struct plan_conn c;

		*client = turned ? to : from;
		*local = turned ? from : to;
		c = (struct plan_conn){ local->addr, IPPROTO_TCP, local->port, client->addr };
		if (addr_set_has(w->local, &local->addr) && plan_find_kernel(w->p, &c))
			return true;
	}
	return false;
}

/* It ended at this host itself (a routed one has another destination, and is nobody's business);
 * [::1] and other zones than ours are never taken by a route. */
bool flow_is_bypass(const struct flows_wanted *w, const struct ct_flow *f)
{
	bool v6_loopback = f->local.family == ADDR_V6 && addr_is_loopback(&f->local);

	return f->proto == IPPROTO_UDP && !f->id && !f->zone && !v6_loopback &&
	       f->local_port == f->target_port && !addr_cmp(&f->local, &f->target) &&
	       addr_set_has(w->local, &f->local) && winner_of(w, f);
}

bool flow_is_stale(const struct flows_wanted *w, const struct ct_flow *f)
{
	const struct plan_route *winner;

	if (!f->id || f->instance != w->instance || f->closed)
		return false;
	winner = winner_of(w, f);
	return !winner || w->ids[winner - w->p->routes] != f->id || !has_target(w, winner, f) ||
	       !plan_lets_in(winner, &f->client);
}

struct ending {
	const struct flows_wanted *w;
	enum flows_kind kind;
	struct sock_tcp *sockets;
	bool elders_live;
};

static void reset_local_ends(struct ending *g, const struct ct_flow *f)
{
	const struct addr_set *local = g->w->local;

	if (addr_set_has(local, &f->target))
		sock_tcp_destroy(g->sockets, &f->target, f->target_port, &f->seen, f->seen_port);
	if (addr_set_has(local, &f->client))
		sock_tcp_destroy(g->sockets, &f->client, f->client_port, &f->local, f->local_port);
}

static bool ends(const struct ct_flow *f, void *arg)
{
	struct ending *g = arg;

	if (flow_is_bypass(g->w, f))
		return true;
	if (g->kind == FLOWS_BYPASS || (g->kind == FLOWS_UDP && f->proto != IPPROTO_UDP) ||
	    !flow_is_stale(g->w, f))
		return false;
	if (f->proto == IPPROTO_TCP)
		reset_local_ends(g, f);
	return true;
}

int flows_end(const struct flows_wanted *w, enum flows_kind kind, bool once, unsigned *ended,
	      struct err *e)
{
	struct ending g = { .w = w, .kind = kind };
	int rc = 0;

	/* Not to be had is no error: the entry goes all the same. */
	if (kind == FLOWS_ALL)
		g.sockets = sock_tcp_new();
	for (unsigned look = 0; !rc && look < MAX_LOOKS; look++) {
		unsigned n = 0;

		rc = conntrack_delete_any(ends, &g, &n, e);
		*ended += n;
		if (once || (look && !n))
			break;
		clock_sleep_ms(LOOK_AGAIN_MS);
	}
	sock_tcp_free(g.sockets);
	return rc;
}

static bool is_dead(const struct ct_flow *f, void *arg)
{
	struct ending *g = arg;
	struct flow_end client, local;

	if (!flow_is_elder(g->w, f, &client, &local))
		return false;
	if (!sock_tcp_lives(g->sockets, &local.addr, local.port, &client.addr, client.port))
		return true;
	g->elders_live = true;
	return false;
}

int flows_forget_dead(const struct flows_wanted *w, struct err *e)
{
	struct ending g = { .w = w, .sockets = sock_tcp_new() };
	int rc = 0;

	for (unsigned look = 0; g.sockets && !rc && look < MAX_LOOKS; look++) {
		unsigned n = 0;

		rc = conntrack_delete_any(is_dead, &g, &n, e);
		if (!n && (look || !g.elders_live))
			break;
		clock_sleep_ms(LOOK_AGAIN_MS);
	}
	sock_tcp_free(g.sockets);
	return rc;
}

struct counting {
	const struct flows_wanted *w;
	unsigned n;
};

static int count_stale(const struct ct_flow *f, void *arg)
{
	struct counting *c = arg;

	c->n += flow_is_stale(c->w, f);
	return 0;
}

int flows_count(const struct flows_wanted *w, unsigned *n, struct err *e)
{
	struct counting c = { .w = w };
	int rc = conntrack_each(count_stale, &c, e);

	*n = c.n;
	return rc;
}

int flows_drain(const struct flows_wanted *w, unsigned drain_s, flows_tick *tick, struct err *e)
{
	int64_t end = clock_mono_ms() + (int64_t)drain_s * 1000;

	/* One that was being set up during the commit must not be missed by the first look. */
	clock_sleep_ms(LOOK_AGAIN_MS);
	for (;;) {
		int64_t left = end - clock_mono_ms();
		unsigned n;
		int rc;

		if (left <= 0)
			return 0;
		rc = flows_count(w, &n, e);
		if (rc || !n || (tick && tick((unsigned)(left + 999) / 1000, n)))
			return rc;
		clock_sleep_ms(left < 1000 ? (unsigned)left : 1000);
	}
}
