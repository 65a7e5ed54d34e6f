/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/explain_service.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/control/compile.h"
#include "ctl/control/service_view.h"

/* ids: their place; nobody else sees these. */
static int compile(const struct plan *p, struct control_table *out)
{
	uint32_t *ids = calloc(p->n_routes + 1, sizeof(*ids));
	struct control_options o = { .generation = 1, .ids = ids, .default_id = p->n_routes + 1 };
	int rc = -1;

	for (unsigned i = 0; ids && i < p->n_routes; i++)
		ids[i] = i + 1;
	if (ids)
		rc = control_compile(p, &o, out, NULL);
	free(ids);
	return rc;
}

json_t *explain_service_json(const struct plan *p, const struct plan_route *r)
{
	static const char *const numbers[] = { "id", "clients", "allow", "block" };
	struct control_table t = { 0 };
	json_t *found = NULL, *route;
	size_t i;

	if (compile(p, &t))
		return NULL;
	json_array_foreach (json_object_get(t.load, "routes"), i, route)
		if (!strcmp(service_view_text(route, "name"), r->route->name) &&
		    strcmp(service_view_text(route, "tier"), tier_name(TIER_NFTABLES)))
			found = json_deep_copy(route);
	for (i = 0; found && i < sizeof(numbers) / sizeof(*numbers); i++)
		json_object_del(found, numbers[i]);
	control_table_fini(&t);
	return found;
}

static void put_time(struct buf *b, uint64_t ms)
{
	if (ms % 3600000 == 0)
		buf_printf(b, "%llu h", (unsigned long long)(ms / 3600000));
	else if (ms % 60000 == 0)
		buf_printf(b, "%llu min", (unsigned long long)(ms / 60000));
	else if (ms % 1000 == 0)
		buf_printf(b, "%llu s", (unsigned long long)(ms / 1000));
	else
		buf_printf(b, "%llu ms", (unsigned long long)ms);
}

static void put_limit(struct buf *b, const char *before, uint64_t ms, const char *after)
{
	if (!ms)
		return;
	buf_puts(b, before);
	put_time(b, ms);
	buf_puts(b, after);
}

static void put_first(struct buf *b, const json_t *s, bool reads_first)
{
	if (json_is_true(json_object_get(s, "acceptProxy")))
		buf_puts(b, "         from a peer in proxyIPs it reads a PROXY header first\n");
	if (!reads_first)
		return;
	buf_puts(b, "         it reads the first bytes to decide");
	put_limit(b, ", which have ", service_view_number(s, "initialDataTimeout"), " to come");
	buf_puts(b, "\n");
	put_limit(b, "         (who is silent for ", service_view_number(s, "serverFirstAfter"),
		  " gets the first route that needs none)\n");
}

static void put_target_choice(struct buf *b, const json_t *s)
{
	const size_t n = json_array_size(json_object_get(s, "targets"));
	const json_t *health = json_object_get(s, "healthCheck");
	const uint64_t proxy = service_view_number(s, "sendProxy");

	buf_puts(b, "service: connects to ");
	if (n > 1)
		buf_printf(b, "one of %zu targets (%s), on failure to the next", n,
			   service_view_text(s, "balance"));
	else
		buf_puts(b, "its target");
	put_limit(b, ", within ", service_view_number(s, "connectTimeout"), "");
	buf_puts(b, "\n");
	if (proxy)
		buf_printf(b, "         tells the target who the client is: PROXY protocol v%llu\n",
			   (unsigned long long)proxy);
	if (!health)
		return;
	put_limit(b, "         asks each target every ", service_view_number(health, "interval"),
		  "");
	buf_printf(b, " whether it is well: %s\n",
		   *service_view_text(health, "path") ? service_view_text(health, "path")
						      : "it accepts a connection");
}

void explain_service_text(struct buf *b, const json_t *s, bool reads_first)
{
	const uint64_t idle = service_view_number(s, "inactivityTimeout"),
		       life = service_view_number(s, "maxLifetime");

	put_target_choice(b, s);
	put_first(b, s, reads_first);
	if (!idle && !life)
		return;
	buf_puts(b, "         ends it");
	put_limit(b, " when nothing moves for ", idle, "");
	put_limit(b, idle ? ", at the latest after " : " after ", life, "");
	buf_puts(b, "\n");
}
