/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every key of the route language that may stand in a route of the relay, or at the top level: the
 * service gets another table, or the key is named in a message. A key that is parsed and then
 * forgotten fails here. What the keys do in the dataplane: dataplane_keys*_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

#include "ctl/config/keys.h"
#include "ctl/control/compile.h"
#include "tests/unit/plan_fixture.h"

static const char base[] =
	"{\"proxyIPs\":[\"192.0.2.1\"],\"routes\":[{\"name\":\"r\",\"match\":{\"ports\":443},"
	"\"action\":{\"type\":\"forward\",\"forwardingEngine\":\"relay\",\"targets\":["
	"{\"host\":\"10.2.0.2\",\"port\":80},{\"host\":\"10.2.0.3\",\"port\":81}]}}]}";

/* Where the keys of an object stand, and what else the object needs. */
static const struct place {
	const char *object, *path, *members;
} places[] = {
	{ "top level", "", "{}" },
	{ "defaults", "defaults", "{}" },
	{ "defaults.target", "defaults.target", "{\"host\":\"10.2.0.9\",\"port\":1}" },
	{ "log", "log", "{}" },
	{ "route", "routes.0", "{}" },
	{ "match", "routes.0.match", "{}" },
	{ "action", "routes.0.action", "{}" },
	{ "target", "routes.0.action.targets.0", "{}" },
	{ "target.match", "routes.0.action.targets.0.match", "{}" },
	{ "loadBalancing", "routes.0.action.loadBalancing", "{}" },
	{ "healthCheck", "routes.0.action.loadBalancing.healthCheck", "{}" },
	{ "nftables", "routes.0.action.nftables", "{}" },
	{ "tls", "routes.0.action.tls", "{\"mode\":\"passthrough\"}" },
	{ "advanced", "routes.0.action.advanced", "{}" },
	{ "options", "routes.0.action.options", "{}" },
	{ "security", "routes.0.security", "{}" },
};

/* Values that make a difference where the usual ones make none. */
static const struct {
	const char *object, *key, *value;
} values[] = {
	{ "top level", "keepAliveTreatment", "\"immortal\"" },
	{ "top level", "log", "{\"access\":true}" },
	{ "top level", "defaults", "{\"security\":{\"ipAllowList\":[\"10.0.0.0/8\"]}}" },
	{ "top level", "metrics", "{\"enabled\":true}" },
	{ "top level", "admin", "{\"listen\":\"127.0.0.1:9000\"}" },
	{ "top level", "store", "{\"etcd\":{\"endpoints\":[\"http://a:1\"]}}" },
	{ "top level", "acceptProxyProtocol", "false" },
	{ "top level", "useHttpProxy", "443" },
	{ "match", "transport", "\"all\"" },
	{ "nftables", "protocol", "\"all\"" },
	{ "tls", "mode", "\"terminate\"" },
	{ "tls", "verifyTarget", "true" },
	{ "advanced", "testResponse", "{\"status\":201}" },
	{ "target", "headers", "{\"request\":{\"X-A\":\"b\"}}" },
	{ "action", "forwardingEngine", "\"sockmap\"" },
	{ "action", "nftables", "{\"maxRate\":\"1mbps\"}" },
	{ "action", "acceptProxyProtocol", "false" },
	{ "action", "tls", "{\"mode\":\"passthrough\"}" },
	{ "action", "loadBalancing", "{\"algorithm\":\"random\"}" },
	{ "action", "security", "{\"maxConnections\":1}" },
	{ "action", "advanced", "{\"timeout\":5}" },
	{ "action", "type", "\"socket-handler\"" },
	{ "route", "security", "{\"maxConnections\":1}" },
	{ "route", "priority", "7" },
	{ "target", "match", "{\"ports\":1}" },
	{ "target.match", "ports", "1" },
	{ "loadBalancing", "algorithm", "\"random\"" },
	{ "log", "level", "\"debug\"" },
	{ "log", "format", "\"json\"" },
};

/* No part of the table, or only beside other keys: which test has them. */
static const struct {
	const char *object, *key, *test;
} elsewhere[] = {
	{ "top level", "$schema", "none: it is said to be for editors" },
	{ "top level", "gracefulShutdownTimeout", "netns/relay_keys_service" },
	{ "top level", "workers", "netns/relay_keys_service" },
	{ "top level", "allowSessionTicket", "unit/plan_kept_test" },
	{ "route", "id", "unit/config_test: a name" },
	{ "route", "description", "none: it is for people" },
	{ "route", "tags", "none: they are for people" },
	{ "route", "priority", "unit/plan_order_test" },
	{ "match", "transport", "unit/compile_test: halves" },
	{ "nftables", "protocol", "unit/compile_test: halves" },
	{ "nftables", "tableName", "netns/table_name" },
	{ "options", "rewriteHostHeader", "here: of action.options" },
	{ "options", "backendProtocol", "here: of action.options" },
};

/* ---- the text of a file, with a key more ---- */

static json_t *step(json_t *at, const char *name, const char *members)
{
	json_t *next = json_is_array(at) ? json_array_get(at, (size_t)atoi(name))
					 : json_object_get(at, name);

	if (next)
		return next;
	next = json_loads(members, 0, NULL);
	json_object_set_new(at, name, next);
	return next;
}

static json_t *find(json_t *root, const struct place *p)
{
	char path[100];
	json_t *at = root;

	snprintf(path, sizeof(path), "%s", p->path);
	for (char *s = strtok(path, "."), *next; s; s = next) {
		next = strtok(NULL, ".");
		at = step(at, s, next ? "{}" : p->members);
	}
	return at;
}

static json_t *another_value(const char *object, const struct key *k)
{
	char text[300] = "1";
	const bool is_true = k->def && !strcmp(k->def, "true");

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (!strcmp(values[i].object, object) && !strcmp(values[i].key, k->name))
			return json_loads(values[i].value, JSON_DECODE_ANY, NULL);
	if (k->example)
		return json_loads(k->example, JSON_DECODE_ANY, NULL);
	if (k->type == KEY_BOOL)
		return json_boolean(!is_true);
	if (k->type == KEY_UINT || k->type == KEY_INT)
		return json_integer((k->def ? atoll(k->def) : k->min) + 1);
	if (k->type == KEY_ENUM || k->type == KEY_CHOICE || (k->type == KEY_TEXTS && k->values))
		return json_string(k->values[k->values[1] && k->def &&
					     !strcmp(k->values[0], k->def)]);
	if (k->type == KEY_TEXT || k->type == KEY_TEXTS)
		return json_string("x");
	if (k->type == KEY_ADDRESSES)
		return json_string("10.0.0.0/8");
	if (k->type == KEY_PAIRS)
		return json_pack("{s:s}", "X-A", "b");
	if (k->type == KEY_OBJECT)
		return json_object();
	return json_loads(text, JSON_DECODE_ANY, NULL);
}

/* ---- what becomes of it ---- */

struct outcome {
	char *table; /* NULL: it is refused */
	unsigned told;
};

static char *table_text(void)
{
	static const uint32_t ids[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	const struct control_options o = { .generation = 1, .ids = ids, .default_id = 9 };
	struct control_table t = { 0 };
	struct err e = { 0 };
	char *text;

	assert_int_equal(control_compile(fx.plan, &o, &t, &e), 0);
	for (unsigned i = 0; i < t.n_listeners; i++) {
		char address[ADDR_TEXT], name[ADDR_TEXT + 20];

		snprintf(name, sizeof(name), "%s:%u", addr_format(&t.listeners[i].address, address),
			 t.listeners[i].port);
		json_object_set_new(t.load, name, json_true());
	}
	text = json_dumps(t.load, JSON_SORT_KEYS);
	control_table_fini(&t);
	return text;
}

static struct outcome outcome_of(const json_t *file, const char *key)
{
	char *text = json_dumps(file, 0);
	const struct config_options opt = { 0 };
	struct outcome out = { 0 };

	fx_end();
	fx.facts.have_relay = true;
	fx.config = config_parse("t.json", text, strlen(text), &opt, &fx.diags);
	if (fx.config)
		fx.plan = plan_build(fx.config, &fx.facts, &fx.diags);
	out.table = fx.plan ? table_text() : NULL;
	for (size_t i = 0; i < fx.diags.n; i++)
		out.told += strstr(fx.diags.v[i].msg, key) ||
			    (fx.diags.v[i].path && strstr(fx.diags.v[i].path, key));
	free(text);
	fx_end();
	return out;
}

static const char *test_of(const char *object, const char *key)
{
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		if (!strcmp(elsewhere[i].object, object) && !strcmp(elsewhere[i].key, key))
			return elsewhere[i].test;
	return NULL;
}

static bool makes_a_difference(const struct place *p, const struct key *k)
{
	json_t *file = json_loads(base, 0, NULL), *at = find(file, p);
	struct outcome without = outcome_of(file, k->name), with;
	bool differs;

	json_object_set_new(at, k->name, another_value(p->object, k));
	with = outcome_of(file, k->name);
	if (!without.table)
		fail_msg("%s: the file without %s is refused", p->object, k->name);
	differs = with.told > without.told || (with.table && strcmp(with.table, without.table));
	if (!with.table && with.told <= without.told)
		fail_msg("%s.%s: refused, but not by its name", p->object, k->name);
	json_decref(file);
	free(with.table);
	free(without.table);
	return differs;
}

static void every_key_reaches_the_table_or_is_named(void **state)
{
	unsigned bad = 0, n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		for (size_t o = 0; key_objects[o]; o++) {
			const struct key_object *object = key_objects[o];

			for (size_t k = 0; !strcmp(object->name, places[i].object) &&
					   k < object->n_keys;
			     k++, n++) {
				const struct key *key = &object->keys[k];
				const char *test = test_of(object->name, key->name);
				const bool differs = makes_a_difference(&places[i], key);

				if (differs == !test)
					continue;
				print_error("%s.%s: %s\n", object->name, key->name,
					    test ? "it does reach the table" : "ignored");
				bad++;
			}
		}
	assert_true(n > 150);
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_reaches_the_table_or_is_named),
	};

	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
