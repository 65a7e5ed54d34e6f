/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/describe_policy.h"

#include <inttypes.h>

#include "ctl/base/text.h"

#define LISTED_MAX 3 /* ranges that are written out */

static uint64_t hash_range(const struct addr_range *r, uint64_t seed)
{
	/* Without the padding, which may be anything. */
	seed = text_hash(&r->lo.family, sizeof(r->lo.family), seed);
	seed = text_hash(r->lo.bytes, sizeof(r->lo.bytes), seed);
	return text_hash(r->hi.bytes, sizeof(r->hi.bytes), seed);
}

static uint64_t hash_of(const struct addr_set *list, struct policy_cache *c)
{
	const unsigned n = sizeof(c->v) / sizeof(*c->v);
	uint64_t hash = 0;

	for (unsigned i = 0; i < n; i++)
		if (c->v[i].list == list)
			return c->v[i].hash;
	for (size_t i = 0; i < list->n; i++)
		hash = hash_range(&list->v[i], hash);
	c->v[c->next].list = list;
	c->v[c->next].hash = hash;
	c->next = (c->next + 1) % n;
	return hash;
}

static void put_list(struct buf *b, const char *key, const struct addr_set *list,
		     struct policy_cache *c)
{
	char text[ADDR_RANGE_TEXT];

	if (!list->n)
		return;
	buf_printf(b, ", %s", key);
	if (list->n > LISTED_MAX) {
		buf_printf(b, " %zu ranges #%08" PRIx32, list->n, (uint32_t)hash_of(list, c));
		return;
	}
	for (size_t i = 0; i < list->n; i++)
		buf_printf(b, "%s%s", i ? "," : " ", addr_range_format(&list->v[i], text));
}

static void put_limit(struct buf *b, const char *key, uint64_t limit)
{
	if (limit)
		buf_printf(b, "%s%s %" PRIu64, b->len ? ", " : "", key, limit);
}

void describe_policy(struct buf *b, const struct plan_route *r, struct policy_cache *c)
{
	const struct cfg_security *s = r->route->security;
	const struct cfg_nftables *n = r->route->action.nftables;

	if (s) {
		put_list(b, "ipAllowList", &s->allow, c);
		put_list(b, "ipBlockList", &s->block, c);
		put_limit(b, "maxConnections", s->max_connections);
		put_limit(b, "maxConnectionsPerIP", s->max_connections_per_ip);
		put_limit(b, "connectionRate", s->connection_rate_per_minute);
	}
	put_limit(b, "maxRate bit/s", n ? n->max_rate_bits : 0);
}

void describe_common_limits(struct buf *b, const struct config *c)
{
	put_limit(b, "maxConnectionsPerIP", c->max_connections_per_ip);
	put_limit(b, "connectionRateLimitPerMinute", c->connection_rate_per_minute);
	if (!b->len)
		buf_puts(b, "none");
}
