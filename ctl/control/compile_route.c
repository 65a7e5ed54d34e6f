/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One route of the table. What is absent does not restrict; match.protocol "tcp"
 * is never sent, because the kernel tier takes every TCP connection for it, and
 * both tiers give the same answer.
 */
#include "ctl/config/config_groups.h"
#include "ctl/control/compile_internal.h"

static const char *const balances[] = { "round-robin", "random", "least-connections", "ip-hash",
					"consistent-hash" };

static int set(json_t *o, const char *key, json_t *v)
{
	return json_object_set_new(o, key, v);
}

static json_t *strings_json(const struct cfg_strings *s)
{
	json_t *v = json_array();

	for (unsigned i = 0; i < s->n; i++)
		json_array_append_new(v, json_string(s->v[i]));
	return v;
}

static int put_match(struct compile_job *j, json_t *o, const struct cfg_match *m)
{
	int bad = 0;

	if (m->has_client_ip)
		bad |= set(o, "clients", compile_set(j, &m->client_ip));
	if (m->domains.n)
		bad |= set(o, "domains", strings_json(&m->domains));
	if (m->tls_versions.n)
		bad |= set(o, "tlsVersions", strings_json(&m->tls_versions));
	return bad;
}

static int put_security(struct compile_job *j, json_t *o, const struct cfg_security *s)
{
	static const struct cfg_security none;
	int bad = 0;

	s = s ? s : &none;
	if (s->allow.n)
		bad |= set(o, "allow", compile_set(j, &s->allow));
	if (s->block.n)
		bad |= set(o, "block", compile_set(j, &s->block));
	bad |= set(o, "maxConnections", json_integer(s->max_connections));
	bad |= set(o, "maxConnectionsPerIP", json_integer(s->max_connections_per_ip));
	return bad | set(o, "connectionRate", json_integer(s->connection_rate_per_minute));
}

/* Of a target whose port follows the client's it is the port that is checked. */
static uint16_t only_port(const struct cfg_match *m)
{
	return m->n_ports == 1 && m->ports[0].from == m->ports[0].to ? m->ports[0].from : 0;
}

static json_t *health_json(const struct cfg_health_check *h, const struct cfg_match *m)
{
	json_t *v = json_pack("{s:I,s:I,s:I,s:I}", "interval", (json_int_t)h->interval_ms,
			      "timeout", (json_int_t)h->timeout_ms, "unhealthy",
			      (json_int_t)h->unhealthy_threshold, "healthy",
			      (json_int_t)h->healthy_threshold);

	if (v && h->path)
		set(v, "path", json_string(h->path));
	if (v && m && only_port(m))
		set(v, "port", json_integer(only_port(m)));
	return v;
}

static int put_action(json_t *o, const struct cfg_action *a, const struct cfg_match *m)
{
	int bad = 0;

	if (a->tls && a->tls->mode == TLS_PASSTHROUGH)
		bad |= set(o, "passthrough", json_true());
	bad |= set(o, "targets", compile_targets(a->targets, a->n_targets, a->send_proxy_protocol));
	bad |= set(o, "balance", json_string(balances[a->algorithm]));
	if (a->health_check)
		bad |= set(o, "healthCheck", health_json(a->health_check, m));
	bad |= set(o, "sendProxy", json_integer(a->send_proxy_protocol));
	return bad | set(o, "acceptProxy", json_boolean(a->accept_proxy_protocol));
}

static json_t *done(json_t *o, int bad)
{
	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

json_t *compile_route(struct compile_job *j, const struct plan_route *r, uint32_t id,
		      enum tier tier)
{
	json_t *o = json_pack("{s:I,s:s,s:s}", "id", (json_int_t)id, "name", r->route->name, "tier",
			      tier_name(tier));
	int bad = !o;

	bad = bad || put_match(j, o, &r->route->match);
	bad = bad || put_security(j, o, r->route->security);
	bad = bad || put_action(o, &r->route->action, &r->route->match);
	return done(o, bad || compile_times(o, j->p->config, r->route));
}

/* What no route takes, under defaults.security. */
json_t *compile_default_route(struct compile_job *j)
{
	const struct config *c = j->p->config;
	json_t *o = json_pack("{s:I,s:s,s:s}", "id", (json_int_t)j->o->default_id, "name",
			      CONTROL_DEFAULT_NAME, "tier", tier_name(TIER_RELAY));
	const struct cfg_action a = { .targets = c->default_target,
				      .n_targets = 1,
				      .send_proxy_protocol = c->send_proxy_protocol_version,
				      .accept_proxy_protocol = c->accept_proxy_protocol };
	int bad = !o;

	bad = bad || put_security(j, o, c->default_security);
	bad = bad || put_action(o, &a, NULL);
	return done(o, bad || compile_times(o, c, NULL));
}
