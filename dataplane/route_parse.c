/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One route of a load. A route is a block of its own, and its parts are: it lives
 * longer than its table, as long as its last connection, and tables of many
 * thousand routes come and go around it.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "ctl/base/text.h"
#include "dataplane/route_internal.h"
#include "dataplane/route_json.h"
#include "dataplane/template.h"

#define UINT_LIMIT     INT32_MAX
#define WEIGHT_MAX     1000000
#define TLS_MAX	       4
#define HOST_BYTES_MAX 253

static const char *const tier_names[] = { "nftables", "relay", "proxy", NULL };
static const char *const balance_names[] = { "round-robin", "random",	       "least-connections",
					     "ip-hash",	    "consistent-hash", NULL };
static const char *const kind_names[] = { "address", "name", "unix", "template", NULL };
static const char *const port_names[] = { "fixed", "preserve", "offset", NULL };

#define OF(m) offsetof(struct route, m)
#define UINT_FIELD(k, m, lo, d)                                                                    \
	{                                                                                          \
		.key = k, .kind = FIELD_UINT, .off = OF(m), .min = lo, .max = UINT_LIMIT, .def = d \
	}
#define BOOL_FIELD(k, m, d)                                          \
	{                                                            \
		.key = k, .kind = FIELD_BOOL, .off = OF(m), .def = d \
	}
#define OTHER_FIELD(k)                        \
	{                                     \
		.key = k, .kind = FIELD_OTHER \
	}

/* Defaults are those of the route language. */
static const struct json_field route_fields[] = {
	{ .key = "id",
	  .kind = FIELD_UINT,
	  .off = OF(id),
	  .min = 1,
	  .max = ROUTES_MAX,
	  .required = true },
	{ .key = "name",
	  .kind = FIELD_TEXT,
	  .off = OF(name),
	  .min = 0,
	  .max = 1024,
	  .required = true },
	{ .key = "tier",
	  .kind = FIELD_NAMED,
	  .off = OF(tier),
	  .values = tier_names,
	  .required = true },
	{ .key = "balance", .kind = FIELD_NAMED, .off = OF(balance), .values = balance_names },
	UINT_FIELD("maxConnections", max_connections, 0, 0),
	UINT_FIELD("maxConnectionsPerIP", max_connections_per_ip, 0, 0),
	UINT_FIELD("connectionRate", connection_rate_per_minute, 0, 0),
	UINT_FIELD("connectTimeout", connect_timeout_ms, 0, 30000),
	UINT_FIELD("initialDataTimeout", initial_data_timeout_ms, 0, 60000),
	UINT_FIELD("headTimeout", head_timeout_ms, 0, 10000),
	UINT_FIELD("serverFirstAfter", server_first_after_ms, 0, 1000),
	UINT_FIELD("inactivityTimeout", inactivity_timeout_ms, 0, 14400000),
	UINT_FIELD("maxLifetime", max_lifetime_ms, 0, 86400000),
	UINT_FIELD("keepAliveDelay", keep_alive_delay_ms, 0, 10000),
	BOOL_FIELD("passthrough", passthrough, false),
	BOOL_FIELD("acceptProxy", accept_proxy, false),
	BOOL_FIELD("keepAlive", keep_alive, true),
	BOOL_FIELD("noDelay", no_delay, true),
	OTHER_FIELD("clients"),
	OTHER_FIELD("allow"),
	OTHER_FIELD("block"),
	OTHER_FIELD("domains"),
	OTHER_FIELD("tlsVersions"),
	OTHER_FIELD("protocol"),
	OTHER_FIELD("targets"),
	OTHER_FIELD("healthCheck"),
	OTHER_FIELD("sendProxy"),
};

#undef OF
#define OF(m) offsetof(struct route_target, m)
static const struct json_field target_fields[] = {
	{ .key = "tag",
	  .kind = FIELD_UINT,
	  .off = OF(tag),
	  .min = 1,
	  .max = UINT32_MAX,
	  .required = true },
	{ .key = "kind",
	  .kind = FIELD_NAMED,
	  .off = OF(kind),
	  .values = kind_names,
	  .required = true },
	{ .key = "host",
	  .kind = FIELD_TEXT,
	  .off = OF(host),
	  .min = 1,
	  .max = 1024,
	  .required = true },
	{ .key = "port", .kind = FIELD_INT, .off = OF(port), .min = -65535, .max = 65535 },
	{ .key = "portKind", .kind = FIELD_NAMED, .off = OF(port_kind), .values = port_names },
	{ .key = "weight",
	  .kind = FIELD_UINT,
	  .off = OF(weight),
	  .min = 0,
	  .max = WEIGHT_MAX,
	  .def = 1 },
	{ .key = "priority",
	  .kind = FIELD_INT,
	  .off = OF(priority),
	  .min = INT32_MIN,
	  .max = INT32_MAX },
	{ .key = "sendProxy", .kind = FIELD_INT, .off = OF(send_proxy), .max = 2, .def = -1 },
	BOOL_FIELD("backup", backup, false),
	OTHER_FIELD("ports"),
};

#undef OF
#define OF(m) offsetof(struct route_health, m)
static const struct json_field health_fields[] = {
	UINT_FIELD("interval", interval_ms, 1, 5000),
	UINT_FIELD("timeout", timeout_ms, 1, 5000),
	UINT_FIELD("unhealthy", unhealthy_threshold, 1, 3),
	UINT_FIELD("healthy", healthy_threshold, 1, 2),
	{ .key = "path", .kind = FIELD_TEXT, .off = OF(path), .min = 1, .max = 2048 },
	{ .key = "port", .kind = FIELD_UINT, .off = OF(port), .max = 65535 },
};
#undef OF

#define N_OF(v) (sizeof(v) / sizeof((v)[0]))

static int no_memory(struct err *e)
{
	return err_set(e, ENOMEM, "out of memory");
}

/* ---- targets ---- */

static int read_range(const json_t *v, uint16_t *from, uint16_t *to, const struct json_at *at,
		      struct err *e)
{
	const json_t *a = json_array_get(v, 0), *b = json_array_get(v, 1);
	json_int_t lo = json_integer_value(a), hi = json_integer_value(b);

	if (json_array_size(v) != 2 || lo < 1 || hi > 65535 || lo > hi)
		return json_refuse(at, NULL, e,
				   "must be the first and the last port, from 1 to 65535");
	*from = (uint16_t)lo;
	*to = (uint16_t)hi;
	return 0;
}

static int read_ports(const json_t *json, struct route_target *t, const struct json_at *at,
		      struct err *e)
{
	const struct json_at ports = { .up = at, .key = "ports" };
	const json_t *list;
	int rc = json_list(json, "ports", PORT_RANGES_MAX, &list, at, e);
	size_t n = json_array_size(list);

	if (rc || !n)
		return rc;
	t->ports = calloc(n, sizeof(*t->ports));
	if (!t->ports)
		return no_memory(e);
	for (; t->n_ports < n && !rc; t->n_ports++) {
		const struct json_at one = { .up = &ports, .index = t->n_ports };

		rc = read_range(json_array_get(list, t->n_ports), &t->ports[t->n_ports].from,
				&t->ports[t->n_ports].to, &one, e);
	}
	return rc;
}

static int check_host(struct route_target *t, const struct json_at *at, struct err *e)
{
	size_t n = strlen(t->host);

	if (t->kind == TARGET_ADDRESS && !addr_parse(t->host, &t->addr))
		return json_refuse(at, "host", e, "\"%.64s\" is no address", t->host);
	if (t->kind == TARGET_UNIX &&
	    (t->host[0] != '/' || n >= sizeof(((struct sockaddr_un *)0)->sun_path)))
		return json_refuse(at, "host", e,
				   "a socket's path begins with \"/\" and has at most %zu bytes",
				   sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	if (t->kind == TARGET_TEMPLATE && template_fault(t->host))
		return json_refuse(at, "host", e, "\"%.64s\": %s", t->host,
				   template_fault(t->host));
	if (t->kind == TARGET_NAME && (n > HOST_BYTES_MAX || strpbrk(t->host, " /:")))
		return json_refuse(at, "host", e, "\"%.64s\" is no host name", t->host);
	return 0;
}

static int check_port(const struct route_target *t, const struct json_at *at, struct err *e)
{
	bool is_path =
		t->kind == TARGET_UNIX || (t->kind == TARGET_TEMPLATE && template_is_path(t->host));

	if (is_path || t->port_kind != TARGET_PORT_FIXED || t->port >= 1)
		return 0;
	return json_refuse(at, "port", e, "%d is no port: 1 to 65535", t->port);
}

static int read_target(const json_t *json, struct route *r, struct route_target *t, int send_proxy,
		       struct route_registry *g, const struct json_at *at, struct err *e)
{
	int rc = json_read(json, target_fields, N_OF(target_fields), t, at, e);

	if (!rc)
		rc = check_host(t, at, e);
	if (!rc)
		rc = check_port(t, at, e);
	if (!rc)
		rc = read_ports(json, t, at, e);
	if (rc)
		return rc;
	if (t->send_proxy < 0)
		t->send_proxy = send_proxy;
	t->state = route_registry_target(g, r->id, t->tag);
	if (!t->state)
		return no_memory(e);
	route_target_state_ref(t->state);
	return 0;
}

/* By priority, high first; stable, so what is equal stays in the order of the file. */
static void sort_targets(struct route *r)
{
	for (unsigned i = 1; i < r->n_targets; i++) {
		struct route_target t = r->targets[i];
		unsigned k = i;

		for (; k && r->targets[k - 1].priority < t.priority; k--)
			r->targets[k] = r->targets[k - 1];
		r->targets[k] = t;
	}
}

static int read_targets(const json_t *json, struct route *r, struct route_registry *g,
			const struct json_at *at, struct err *e)
{
	const struct json_field proxy = { .key = "sendProxy", .kind = FIELD_INT, .max = 2 };
	const struct json_at targets = { .up = at, .key = "targets" };
	const json_t *list, *v = json_object_get(json, "sendProxy");
	int send_proxy = (int)json_integer_value(v), rc;
	size_t n;
	char seen[SEEN_BYTES];

	if (v &&
	    (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > proxy.max))
		return json_refuse(at, proxy.key, e, "must be a number from 0 to 2, not %s",
				   json_seen(v, seen));
	rc = json_list(json, "targets", TARGETS_MAX, &list, at, e);
	n = json_array_size(list);
	if (!rc && !n && r->tier == ROUTE_RELAY)
		rc = json_refuse(at, "targets", e, "a route of the relay needs one");
	if (rc || !n)
		return rc;
	r->targets = calloc(n, sizeof(*r->targets));
	r->positions = calloc(n, sizeof(*r->positions));
	if (!r->targets || !r->positions)
		return no_memory(e);
	for (; r->n_targets < n && !rc; r->n_targets++) {
		const struct json_at one = { .up = &targets, .index = r->n_targets };

		rc = read_target(json_array_get(list, r->n_targets), r, &r->targets[r->n_targets],
				 send_proxy, g, &one, e);
	}
	sort_targets(r);
	return rc;
}

/* ---- the match ---- */

/* As the route language has it: letters, digits, - _ * in labels; here in lower case. */
static bool domain_is_valid(const char *s, size_t n)
{
	if (!n || n > DOMAIN_BYTES_MAX || n != strlen(s))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
		      (s[i] >= '0' && s[i] <= '9') || strchr("-_*.", s[i])))
			return false;
	return s[n - 1] != '.';
}

static char *lower_copy(const char *s)
{
	char *v = strdup(s);

	for (char *p = v; p && *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + ('a' - 'A'));
	return v;
}

static int read_domains(const json_t *json, struct route *r, const struct json_at *at,
			struct err *e)
{
	const struct json_at domains = { .up = at, .key = "domains" };
	const json_t *list;
	int rc = json_list(json, "domains", DOMAINS_MAX, &list, at, e);
	size_t n = json_array_size(list);
	char seen[SEEN_BYTES];

	if (rc || !list)
		return rc;
	if (!n)
		return json_refuse(at, "domains", e, "must not be empty");
	r->domains = calloc(n, sizeof(*r->domains));
	if (!r->domains)
		return no_memory(e);
	for (; r->n_domains < n; r->n_domains++) {
		const struct json_at one = { .up = &domains, .index = r->n_domains };
		const json_t *v = json_array_get(list, r->n_domains);

		if (!json_is_string(v) ||
		    !domain_is_valid(json_string_value(v), json_string_length(v)))
			return json_refuse(&one, NULL, e, "must be a domain, not %s",
					   json_seen(v, seen));
		r->domains[r->n_domains] = lower_copy(json_string_value(v));
		if (!r->domains[r->n_domains])
			return no_memory(e);
	}
	return 0;
}

static uint16_t tls_version(const char *s)
{
	static const char *const names[TLS_MAX] = { "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };

	for (unsigned i = 0; s && i < TLS_MAX; i++)
		if (!strcmp(s, names[i]))
			return (uint16_t)(0x0301 + i);
	return 0;
}

static int read_tls_versions(const json_t *json, struct route *r, const struct json_at *at,
			     struct err *e)
{
	const struct json_at versions = { .up = at, .key = "tlsVersions" };
	const json_t *list;
	int rc = json_list(json, "tlsVersions", TLS_MAX, &list, at, e);
	size_t n = json_array_size(list);
	char seen[SEEN_BYTES];

	if (rc || !list)
		return rc;
	if (!n)
		return json_refuse(at, "tlsVersions", e, "must not be empty");
	r->tls_versions = calloc(n, sizeof(*r->tls_versions));
	if (!r->tls_versions)
		return no_memory(e);
	for (; r->n_tls_versions < n; r->n_tls_versions++) {
		const struct json_at one = { .up = &versions, .index = r->n_tls_versions };
		const json_t *v = json_array_get(list, r->n_tls_versions);
		uint16_t wire = tls_version(json_string_value(v));

		if (!wire)
			return json_refuse(&one, NULL, e, "%s is no version of TLS",
					   json_seen(v, seen));
		r->tls_versions[r->n_tls_versions] = wire;
	}
	return 0;
}

static int read_protocol(const json_t *json, struct route *r, const struct json_at *at,
			 struct err *e)
{
	const json_t *v = json_object_get(json, "protocol");
	const char *s = json_string_value(v);
	char seen[SEEN_BYTES];

	if (!v)
		return 0;
	if (!s || strcmp(s, "tcp"))
		return json_refuse(at, "protocol", e, "must be \"tcp\", not %s",
				   json_seen(v, seen));
	r->tcp_only = true;
	return 0;
}

static int read_health(const json_t *json, struct route *r, const struct json_at *at, struct err *e)
{
	const struct json_at health = { .up = at, .key = "healthCheck" };
	const json_t *v = json_object_get(json, "healthCheck");
	int rc;

	if (!v)
		return 0;
	r->health = calloc(1, sizeof(*r->health));
	if (!r->health)
		return no_memory(e);
	rc = json_read(v, health_fields, N_OF(health_fields), r->health, &health, e);
	/* It goes into a request line. */
	if (!rc && r->health->path && (r->health->path[0] != '/' || strchr(r->health->path, ' ')))
		rc = json_refuse(&health, "path", e, "must begin with \"/\" and have no space");
	return rc;
}

/* ---- the route ---- */

static const struct addr_set *set_ref(struct route_set *s)
{
	return s ? &route_set_ref(s)->set : NULL;
}

static int read_route(const json_t *json, struct route *r, struct route_registry *g,
		      const struct json_at *at, struct err *e)
{
	int rc = json_read(json, route_fields, N_OF(route_fields), r, at, e);

	if (!rc)
		rc = read_domains(json, r, at, e);
	if (!rc)
		rc = read_tls_versions(json, r, at, e);
	if (!rc)
		rc = read_protocol(json, r, at, e);
	if (!rc)
		rc = read_health(json, r, at, e);
	if (!rc)
		rc = read_targets(json, r, g, at, e);
	if (rc)
		return rc;
	r->stats = route_registry_stats(g, r->id);
	if (!r->stats)
		return no_memory(e);
	route_stats_ref(r->stats);
	return 0;
}

struct route *route_parse(const json_t *json, const struct route_sets_of *sets,
			  struct route_registry *g, const struct json_at *at, struct err *e)
{
	struct route *r = calloc(1, sizeof(*r));

	if (!r) {
		no_memory(e);
		return NULL;
	}
	r->refs = 1;
	r->clients = set_ref(sets->clients);
	r->allow = set_ref(sets->allow);
	r->block = set_ref(sets->block);
	if (!read_route(json, r, g, at, e))
		return r;
	route_unref(r);
	return NULL;
}

char *route_text(const json_t *json)
{
	static const char *const sets[] = { "clients", "allow", "block" };
	json_t *copy = json_copy((json_t *)(uintptr_t)json);
	char *text;

	for (unsigned i = 0; copy && i < N_OF(sets); i++)
		json_object_del(copy, sets[i]);
	text = copy ? json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(copy);
	return text;
}
