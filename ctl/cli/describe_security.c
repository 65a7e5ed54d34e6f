/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists and limits in words. */
#include <inttypes.h>

#include "ctl/base/text.h"
#include "ctl/cli/describe.h"

#define FEW 3 /* ranges that are written out */

static void part(struct buf *b)
{
	buf_puts(b, b->len ? ", " : "");
}

/* Many routes share one long list (defaults.security). */
static uint32_t fingerprint(const struct addr_set *list, struct list_prints *known)
{
	const unsigned cap = sizeof(known->v) / sizeof(*known->v);
	uint32_t print;

	for (unsigned i = 0; i < cap; i++)
		if (known->v[i].list == list)
			return known->v[i].print;
	print = (uint32_t)text_hash(list->v, list->n * sizeof(*list->v), 0);
	known->v[known->next].list = list;
	known->v[known->next].print = print;
	known->next = (known->next + 1) % cap;
	return print;
}

/* prints NULL: how many, not which. */
static void put_list(struct buf *b, const char *verb, const struct addr_set *s,
		     struct list_prints *prints)
{
	char text[ADDR_RANGE_TEXT];

	if (!s->n)
		return;
	part(b);
	buf_puts(b, verb);
	if (!prints || s->n > FEW)
		buf_printf(b, " %zu", s->n);
	if (prints && s->n > FEW)
		buf_printf(b, " #%08x", fingerprint(s, prints));
	for (size_t i = 0; prints && s->n <= FEW && i < s->n; i++)
		buf_printf(b, " %s", addr_range_format(&s->v[i], text));
}

static void put_number(struct buf *b, unsigned n, const char *unit)
{
	if (!n)
		return;
	part(b);
	buf_printf(b, "%u%s", n, unit);
}

/* "10 Mbit/s", "8 kbit/s", "1500 bit/s" */
static void put_rate(struct buf *b, uint64_t bits)
{
	static const char *const units[] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s" };
	unsigned i = 0;

	if (!bits)
		return;
	while (i < 3 && bits % 1000 == 0) {
		bits /= 1000;
		i++;
	}
	part(b);
	buf_printf(b, "%" PRIu64 " %s", bits, units[i]);
}

void describe_security(struct buf *b, const struct plan_route *r, struct list_prints *prints)
{
	const struct cfg_security *s = r->route->security;
	const struct cfg_nftables *n = r->route->action.nftables;
	struct buf out = { 0 };

	if (s) {
		put_list(&out, "allow", &s->allow, prints);
		put_list(&out, "block", &s->block, prints);
		put_number(&out, s->max_connections, " at once");
		put_number(&out, s->max_connections_per_ip, "/client");
		put_number(&out, s->connection_rate_per_minute, "/min");
	}
	put_rate(&out, n ? n->max_rate_bits : 0);
	if (out.data)
		buf_puts(b, out.data);
	buf_fini(&out);
}

json_t *describe_security_json(const struct plan_route *r)
{
	static const struct cfg_security nothing;
	const struct cfg_security *s = r->route->security ? r->route->security : &nothing;
	const struct cfg_nftables *n = r->route->action.nftables;

	return json_pack("{s:I,s:I,s:i,s:i,s:i,s:I}", "allowRanges", (json_int_t)s->allow.n,
			 "blockRanges", (json_int_t)s->block.n, "connections", s->max_connections,
			 "connectionsPerClient", s->max_connections_per_ip, "perMinute",
			 s->connection_rate_per_minute, "bitsPerSecond",
			 (json_int_t)(n ? n->max_rate_bits : 0));
}

/* ---- over all routes ---- */

static void put_shared(struct buf *b, unsigned limit, const char *unit, bool given)
{
	put_number(b, limit, unit);
	if (limit && !given)
		buf_puts(b, " (default)");
}

void describe_limits(struct buf *b, const struct config *c)
{
	struct buf out = { 0 };

	put_shared(&out, c->max_connections_per_ip, "/client", c->max_connections_per_ip_given);
	put_shared(&out, c->connection_rate_per_minute, "/min", c->connection_rate_given);
	buf_puts(b, out.data ? out.data : "none");
	buf_fini(&out);
}

bool describe_limits_differ(const struct config *a, const struct config *b)
{
	return a->max_connections_per_ip != b->max_connections_per_ip ||
	       a->connection_rate_per_minute != b->connection_rate_per_minute ||
	       !addr_set_equal(&a->proxy_ips, &b->proxy_ips);
}

json_t *describe_limits_json(const struct config *c)
{
	return json_pack("{s:i,s:i,s:b}", "connectionsPerClient", c->max_connections_per_ip,
			 "perMinute", c->connection_rate_per_minute, "default",
			 !c->max_connections_per_ip_given && !c->connection_rate_given);
}
