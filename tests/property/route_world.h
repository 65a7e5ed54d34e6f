/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random route files over a small world of addresses and ports, for whoever asks
 * about every connection of it or makes some. The same rng_state gives the same file.
 */
#ifndef TESTS_PROPERTY_ROUTE_WORLD_H
#define TESTS_PROPERTY_ROUTE_WORLD_H

#include <stdint.h>
#include <string.h>

#include "ctl/base/buf.h"
#include "tests/property/words.h"

/* Which routes say forwardingEngine "relay". The rest of the file is the same for each of them. */
enum route_engines { ENGINES_ANY, ENGINES_FREE, ENGINES_RELAY, ENGINES_MIXED };

struct route_world {
	struct words locals, clients, ranges;
	struct words hosts;	   /* JSON: addresses, or lists of them */
	struct words target_ports; /* JSON */
	struct words fixed_ports;  /* those of them that are numbers; only where it balances */
	unsigned first_port, n_ports;
	const char *top; /* JSON: more keys of the file, each with a comma after it */
	/* What is decided without a packet that shows it: domains, limits. */
	bool names_and_limits;
	bool passthrough; /* routes with domains do not open TLS */
	/* Several targets, weights, algorithms, sources that are kept. */
	bool balances;
	/* TCP, in tiers: nothing that only one of them has. */
	enum route_engines engines;
	bool limits;   /* of routes, small ones; only with engines */
	bool no_lists; /* of security */
};

static uint64_t rng_state;

static unsigned rng(unsigned n)
{
	rng_state = rng_state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(rng_state >> 33) % n;
}

static const char *any_word(const struct words *w)
{
	return w->v[rng(w->n)];
}

static void put_list(struct buf *b, const char *key, const struct words *from, unsigned n)
{
	buf_printf(b, ",\"%s\":[", key);
	for (unsigned i = 0; i < n; i++)
		buf_printf(b, "%s\"%s\"", i ? "," : "", any_word(from));
	buf_puts(b, "]");
}

/* All ways to write ports. */
static void put_more_ports(struct buf *b, const struct route_world *w)
{
	for (unsigned n = rng(3); n > 0; n--) {
		unsigned from = w->first_port + rng(w->n_ports);
		unsigned to = from + rng(w->first_port + w->n_ports - from);

		if (rng(2))
			buf_printf(b, ",\"%u-%u\"", from, to);
		else
			buf_printf(b, ",%u", from);
	}
}

static void put_ports(struct buf *b, const struct route_world *w)
{
	unsigned from = w->first_port + rng(w->n_ports);
	unsigned to = from + rng(w->first_port + w->n_ports - from);

	buf_printf(b, "\"ports\":[{\"from\":%u,\"to\":%u},%u", from, rng(2) ? to : from,
		   w->first_port + rng(w->n_ports));
	if (w->balances)
		put_more_ports(b, w);
	buf_puts(b, "]");
}

static void put_match(struct buf *b, const struct route_world *w)
{
	static const char *const transports[] = { "tcp", "udp", "all" };
	static const char *const domains[] = { "a.test", "b.test", "*.test", "x.a.test" };
	static const struct words domain_words = WORDS(domains);
	unsigned transport = rng(5);

	buf_puts(b, "\"match\":{");
	put_ports(b, w);
	if (w->names_and_limits && !rng(5))
		put_list(b, "domains", &domain_words, 1 + rng(2));
	else if (transport < 3 && !w->engines)
		buf_printf(b, ",\"transport\":\"%s\"", transports[transport]);
	if (!rng(3))
		put_list(b, "address", &w->locals, 1 + rng(w->balances ? 4 : 2));
	if (rng(2))
		put_list(b, "clientIp", &w->ranges, 1 + rng(3));
	buf_puts(b, "}");
}

static void put_limits(struct buf *b)
{
	if (!rng(3))
		buf_printf(b, ",\"maxConnections\":%u", 1 + rng(12));
	if (!rng(3))
		buf_printf(b, ",\"maxConnectionsPerIP\":%u", 1 + rng(4));
}

/* Lists and limits: they change who is let in, never which route has a connection. */
static void put_security(struct buf *b, const struct route_world *w)
{
	buf_puts(b, ",\"security\":{");
	buf_printf(b, "\"connectionRate\":%u",
		   w->names_and_limits	  ? rng(2)
		   : w->limits && !rng(3) ? 1 + rng(4)
					  : 0);
	if (!rng(3) && !w->no_lists)
		put_list(b, "ipBlockList", &w->ranges, 1 + rng(2));
	if (!rng(3) && !w->no_lists)
		put_list(b, "ipAllowList", &w->ranges, 1 + rng(3));
	if (w->names_and_limits && !rng(3))
		buf_printf(b, ",\"maxConnections\":%u", 1 + rng(3));
	if (w->names_and_limits && !rng(3))
		buf_printf(b, ",\"maxConnectionsPerIP\":%u", 1 + rng(3));
	if (w->limits)
		put_limits(b);
	buf_puts(b, "}");
}

/* One way to make the port for all of a route: the kernel tier has no other. */
static void put_targets(struct buf *b, const struct route_world *w)
{
	unsigned n = w->balances && !rng(3) ? 2 + rng(2) : 1;
	const char *port = any_word(&w->target_ports);

	for (unsigned i = 0; i < n; i++) {
		if (i && port[0] != '"' && rng(2))
			port = any_word(&w->fixed_ports);
		buf_printf(b, "%s{\"host\":%s,\"port\":%s", i ? "," : "", any_word(&w->hosts),
			   port);
		if (i && !rng(2))
			buf_printf(b, ",\"weight\":%u", rng(5));
		if (i && !rng(6))
			buf_printf(b, ",\"priority\":%d", (int)rng(3) - 1);
		if (i && !rng(12))
			buf_puts(b, ",\"backup\":true");
		buf_puts(b, "}");
	}
}

static void put_engine(struct buf *b, const struct route_world *w)
{
	bool some = rng(2);

	if (w->engines == ENGINES_RELAY || (w->engines == ENGINES_MIXED && some))
		buf_puts(b, ",\"forwardingEngine\":\"relay\"");
}

static void put_balancing(struct buf *b, const struct route_world *w)
{
	static const char *const algorithms[] = { "round-robin", "random", "ip-hash",
						  "consistent-hash" };

	if (rng(3))
		buf_printf(b, ",\"loadBalancing\":{\"algorithm\":\"%s\"}",
			   algorithms[rng(N(algorithms))]);
	if (w->engines)
		put_engine(b, w);
	else if (!rng(3))
		buf_printf(
			b,
			",\"forwardingEngine\":\"nftables\",\"nftables\":{\"preserveSourceIP\":%s}",
			rng(4) ? "true" : "false");
}

static void put_route(struct buf *b, const struct route_world *w, unsigned i)
{
	size_t at = b->len;

	buf_printf(b, "%s{\"name\":\"r%u\",", i ? ",\n" : "", i);
	if (rng(2))
		buf_printf(b, "\"priority\":%d,", (int)rng(4) - 1);
	if (!rng(12))
		buf_puts(b, "\"enabled\":false,");
	put_match(b, w);
	if (rng(2))
		put_security(b, w);
	buf_puts(b, ",\"action\":{\"type\":\"forward\",\"targets\":[");
	put_targets(b, w);
	buf_puts(b, "]");
	if (w->passthrough && b->data && strstr(b->data + at, "\"domains\""))
		buf_puts(b, ",\"tls\":{\"mode\":\"passthrough\"}");
	if (w->balances)
		put_balancing(b, w);
	buf_puts(b, "}}");
}

static void put_file(struct buf *b, const struct route_world *w)
{
	unsigned n = 1 + rng(7);

	buf_printf(b, "{%s\"routes\":[", w->top ? w->top : "");
	for (unsigned i = 0; i < n; i++)
		put_route(b, w, i);
	buf_puts(b, "]}\n");
}

#endif
