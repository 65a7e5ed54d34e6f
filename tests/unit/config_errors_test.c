// SPDX-License-Identifier: GPL-2.0-or-later
#include "ctl/config/config.h"

#include "ctl/base/buf.h"
#include "ctl/config/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define T    "\"type\":\"forward\",\"targets\":[{\"host\":\"10.0.0.1\",\"port\":80}]"
#define M    "\"match\":{\"ports\":1}"
#define R(x) "{\"routes\":[{" x "}]}"
#define TLS_T                                                                                  \
	"\"tls\":{\"mode\":\"terminate\",\"certificate\":{\"certFile\":\"/c\",\"keyFile\":\"/" \
	"k\"}}"

/* "col: path: sentence [hint]" of each report; the text is one line. */
static void run(const char *text, bool lenient, char *out, size_t cap)
{
	const struct config_options opt = { .lenient = lenient };
	struct diags d = { 0 };
	struct config *c = config_parse("f", text, strlen(text), &opt, &d);
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < d.n && len < cap; i++) {
		const struct diag *g = &d.v[i];

		len += (size_t)snprintf(out + len, cap - len, "%s%s%u: %s: %s%s%s%s", i ? "\n" : "",
					g->severity ? "warning " : "", g->loc.col,
					g->path ? g->path : "", g->msg, g->hint ? " [" : "",
					g->hint ? g->hint : "", g->hint ? "]" : "");
	}
	assert_int_equal(c == NULL, d.errors > 0);
	config_free(c);
	diags_fini(&d);
}

static void mistakes_are_named_with_place_path_and_way_out(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "[]", "1: : must be an object, not a list" },
		{ "{}", "1: : needs the key \"routes\"" },
		{ "{\"routes\":[]}", "11: routes: needs at least one route" },
		{ "{\"routes\":{}}", "11: routes: must be a list of routes, not an object" },
		{ R(M), "12: routes[0]: needs the key \"action\"" },
		{ R("\"action\":{" T "}"), "12: routes[0]: needs the key \"match\"" },
		{ R("\"match\":{\"ports\":70000},\"action\":{" T "}"),
		  "30: routes[0].match.ports: must be a whole number from 1 to 65535, not 70000" },
		{ R("\"match\":{\"ports\":0},\"action\":{" T "}"),
		  "30: routes[0].match.ports: must be a whole number from 1 to 65535, not 0" },
		{ R("\"match\":{\"ports\":[1,\"80\"]},\"action\":{" T "}"),
		  "33: routes[0].match.ports[1]: must be a whole number from 1 to 65535, not the "
		  "string \"80\" [write 80 without quotes]" },
		{ R("\"match\":{\"ports\":1.5},\"action\":{" T "}"),
		  "30: routes[0].match.ports: must be a whole number from 1 to 65535, not 1.5" },
		{ R("\"match\":{\"ports\":{\"from\":9,\"to\":8}},\"action\":{" T "}"),
		  "30: routes[0].match.ports: the range begins at 9, above its end 8" },
		{ R(M ",\"action\":{\"type\":\"forward\",\"target_s\":[]}"),
		  "60: routes[0].action.target_s: unknown key \"target_s\" [did you mean "
		  "\"targets\"?]" },
		{ R(M ",\"action\":{\"type\":\"forward\",\"targets\":[]}"),
		  "70: routes[0].action.targets: needs at least one target" },
		{ "{\"keepAliveInitialDelay\":32767001,\"routes\":[{" M ",\"action\":{" T "}}]}",
		  "26: keepAliveInitialDelay: must be a whole number from 1000 to 32767000, not "
		  "32767001" },
		{ R(M ",\"action\":{\"type\":\"forward\"}"),
		  "42: routes[0].action: type \"forward\" needs the key \"targets\"" },
		{ R(M ",\"action\":{\"type\":\"foward\"}"),
		  "50: routes[0].action.type: must be one of \"forward\", \"socket-handler\", "
		  "\"redirect\", \"block\", \"static\", not the string \"foward\" [did you mean "
		  "\"forward\"?]" },
		{ R(M ",\"name\":\"a\",\"action\":{" T "}},{\"name\":\"a\"," M ",\"action\":{" T
		      "}"),
		  "123: routes[1].name: \"a\" is taken by routes[0] at f:1:40" },
		{ R(M ",\"action\":{" T ",\"tls\":{\"mode\":\"terminate\"}}"),
		  "108: routes[0].action.tls: mode \"terminate\" needs the key \"certificate\" "
		  "[\"auto\", or {\"certFile\":...,\"keyFile\":...}]" },
		{ R(M ",\"action\":{" T ",\"tls\":{\"mode\":\"passthrough\"}},\"security\":{"
		      "\"basicAuth\":{\"users\":[{\"username\":\"u\",\"password\":\"p\"}]}}"),
		  "156: routes[0].security.basicAuth: HTTP authentication cannot be had with "
		  "tls.mode \"passthrough\" (f:1:116): the bytes are encrypted [use mode "
		  "\"terminate\", or remove this key]" },
		{ R("\"match\":{\"ports\":1,\"transport\":\"udp\",\"path\":\"/\"},\"action\":{" T
		    "}"),
		  "57: routes[0].match.path: UDP is served by the kernel tier only, but HTTP path "
		  "matching needs the proxy tier" },
		{ R("\"match\":{\"ports\":1,\"transport\":\"udp\"},\"action\":{" T
		    ",\"nftables\":{\"protocol\":\"tcp\"}}"),
		  "143: routes[0].action.nftables.protocol: \"tcp\" differs from match.transport "
		  "\"udp\" at f:1:44 [keep match.transport]" },
		{ R(M ",\"action\":{" T ",\"forwardingEngine\":\"relay\",\"nftables\":{\"maxRate\":"
		      "\"1mbps\"}}"),
		  "151: routes[0].action.nftables.maxRate: exists in the kernel tier only, but "
		  "forwardingEngine \"relay\" needs the relay tier (f:1:121)" },
		{ R(M ",\"action\":{" T ",\"sendProxyProtocol\":true,\"nftables\":{"
		      "\"preserveSourceIP\":true}}"),
		  "158: routes[0].action.nftables.preserveSourceIP: exists in the kernel tier "
		  "only, "
		  "but PROXY protocol to the target needs the relay tier (f:1:122) "
		  "[sendProxyProtocol tells the target the client's address]" },
		{ "{\"acceptProxyProtocol\":true,\"routes\":[{" M ",\"action\":{" T "}}]}",
		  "24: acceptProxyProtocol: needs proxyIPs: nobody is trusted to announce "
		  "addresses "
		  "[name the peers to trust in proxyIPs]" },
		{ "{\"fromPort\":1,\"routes\":[{" M ",\"action\":{" T "}}]}",
		  "2: fromPort: \"fromPort\" is not supported: write a route with match.ports" },
		{ "{\"httpProxyPort\":1,\"pfx\":\"x\",\"routes\":[{" M ",\"action\":{" T "}}]}",
		  "warning 2: httpProxyPort: keys without a meaning here are ignored: "
		  "httpProxyPort, "
		  "pfx" },
		{ R(M ",\"action\":{" T ",\"nftables\":{\"priority\":1,\"logFormat\":2}}},{"
		      "\"match\":{\"ports\":2},\"action\":{" T ",\"nftables\":{\"priority\":3}}"),
		  "warning 114: routes[0].action.nftables.priority: keys without a meaning here "
		  "are "
		  "ignored: priority, logFormat" },
		{ R(M ",\"action\":{" T ",\"nftables\":{\"useIPSets\":true,"
		      "\"useAdvancedNAT\":true}}"),
		  "" },
		{ R(M ",\"action\":{" T ",\"nftables\":{\"useIPSets\":false}}},{\"match\":{"
		      "\"ports\":2},\"action\":{" T ",\"nftables\":{\"useAdvancedNAT\":false,"
		      "\"useIPSets\":false}}"),
		  "warning 114: routes[0].action.nftables.useIPSets: false has no effect: lists "
		  "are always sets of the kernel\n"
		  "warning 260: routes[1].action.nftables.useIPSets: false has no effect: lists "
		  "are always sets of the kernel\n"
		  "warning 237: routes[1].action.nftables.useAdvancedNAT: false has no effect: "
		  "connections are always tracked" },
		{ R(M ",\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"10.0.0.256\","
		      "\"port\":1}]}"),
		  "79: routes[0].action.targets[0].host: must be an address, a host name or "
		  "\"unix:/path\", not the string \"10.0.0.256\"" },
		{ R(M ",\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"(c) => c.a\","
		      "\"port\":1}]}"),
		  "79: routes[0].action.targets[0].host: a file cannot hold a function [a template "
		  "does the same: {domain}, {port}, {path}, {clientIp}, {label:1}]" },
		{ R(M ",\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"{domian}\","
		      "\"port\":1}]}"),
		  "79: routes[0].action.targets[0].host: unknown template variable {domian} [did "
		  "you mean {domain}?]" },
		{ R(M ",\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"224.0.0.1\","
		      "\"port\":1}]}"),
		  "79: routes[0].action.targets[0].host: 224.0.0.1 is a multicast address, no "
		  "target" },
		{ R(M
		    ",\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"255.255.255.255\","
		    "\"port\":1}]}"),
		  "79: routes[0].action.targets[0].host: 255.255.255.255 is the broadcast address, "
		  "no target [name one host]" },
		{ R(M ",\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":[\"fd00::1\","
		      "\"fe80::1\"],\"port\":1}]}"),
		  "90: routes[0].action.targets[0].host[1]: fe80::1 is a link-local address: which "
		  "link is meant cannot be said [write another address of the target: a global or "
		  "unique local one]" },
		{ R(M ",\"action\":{\"type\":\"forward\",\"targets\":[{\"host\":\"fe80::1%eth0\","
		      "\"port\":1}]}"),
		  "79: routes[0].action.targets[0].host: must be an address, a host name or "
		  "\"unix:/path\", not the string \"fe80::1%eth0\" [an address with a zone cannot "
		  "be a target: write another address of the target: a global or unique local "
		  "one]" },
		{ R("\"match\":{\"ports\":123456789012345678901234567890},\"action\":{" T "}"),
		  "30: routes[0].match.ports: must be a whole number from 1 to 65535, not "
		  "123456789012345678901234567890" },
		{ R("\"match\":{\"ports\":1e400},\"action\":{" T "}"),
		  "30: routes[0].match.ports: must be a whole number from 1 to 65535, not 1e400" },
		{ R(M ",\"action\":{" T ",\"tls\":{\"mode\":\"terminate\",\"ciphers\":[\"a\",1],"
		      "\"certificate\":{\"certFile\":\"/c\",\"keyFile\":\"/k\"}}}"),
		  "143: routes[0].action.tls.ciphers[1]: must be a string, not 1" },
		{ R(M ",\"name\":\"a\",\"name\":\"b\",\"action\":{" T "}"),
		  "44: routes[0].name: key \"name\" stands twice in one object, first at 1:33" },
		{ R(M ",\"tls\":{\"mode\":\"passthrough\"},\"action\":{" T "}"),
		  "warning 33: routes[0].tls: \"tls\" is now written in \"action\"" },
		{ "{ /* c */ \"routes\":[{" M ",\"action\":{" T "}}]}",
		  "3: /* c */ \"routes\": unknown key \"/* c */ \"routes\"\" [JSON has no "
		  "comments; "
		  "those of YAML begin with #]" },
		{ "{\n // c\n \"routes\":[{" M ",\"action\":{" T "}}]}",
		  "2: : not valid JSON: a comment begins here [the file starts like JSON, so it is "
		  "read as JSON: no comments, no trailing commas]" },
		{ "// c\n{\"routes\":[{" M ",\"action\":{" T "}}]}",
		  "1: : not valid JSON: a comment begins here [the file starts like JSON, so it is "
		  "read as JSON: no comments, no trailing commas]" },
		{ R(M ",\"action\":{" T ",\"options\":{\"x\":1}," TLS_T "}"),
		  "warning 113: routes[0].action.options.x: unknown key \"x\" is ignored" },
	};
	char got[2000];
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run(cases[i].text, false, got, sizeof(got));
		if (!strcmp(got, cases[i].want))
			continue;
		print_error("%s\n got: %s\nwant: %s\n", cases[i].text, got, cases[i].want);
		bad++;
	}
	assert_int_equal(bad, 0);
}

#define PASS "\"tls\":{\"mode\":\"passthrough\""

/* Where a key has no effect, a value that only turns it off is no mistake. */
static void what_is_turned_off_needs_no_warning(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ R(M ",\"action\":{" T "," PASS "},\"websocket\":{\"enabled\":false}}"), "" },
		{ R(M ",\"action\":{" T "," PASS "},\"websocket\":{\"enabled\":true}}"),
		  "warning 131: routes[0].action.websocket: has no effect with tls.mode "
		  "\"passthrough\": the frames are encrypted" },
		{ R(M ",\"action\":{" T "," PASS "},\"websocket\":{\"pingInterval\":1000}}"),
		  "warning 131: routes[0].action.websocket: has no effect with tls.mode "
		  "\"passthrough\": the frames are encrypted" },
		{ R(M ",\"action\":{" T "," PASS ",\"acme\":{\"enabled\":false}}}"), "" },
		{ R(M ",\"action\":{" T "," PASS ",\"clientAuth\":{\"mode\":\"none\"}}}"), "" },
		{ R(M ",\"action\":{" T "," PASS ",\"verifyTarget\":false}}"), "" },
		{ R(M ",\"action\":{" T "," PASS ",\"verifyTarget\":true}}"),
		  "warning 130: routes[0].action.tls.verifyTarget: has no effect with mode "
		  "\"passthrough\": the bytes are not opened" },
		{ R(M ",\"action\":{" T ",\"tls\":{\"mode\":\"terminate\",\"verifyTarget\":false,"
		      "\"certificate\":{\"certFile\":\"/c\",\"keyFile\":\"/k\"}}}"),
		  "" },
	};
	char got[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run(cases[i].text, false, got, sizeof(got));
		if (strcmp(got, cases[i].want))
			fail_msg("%s\n got: %s\nwant: %s", cases[i].text, got, cases[i].want);
	}
}

static void lenient_turns_unknown_keys_into_warnings(void **state)
{
	char got[2000];

	(void)state;
	run("{\"routs\":1,\"routes\":[{" M ",\"action\":{" T "}}]}", true, got, sizeof(got));
	assert_string_equal(got, "warning 2: routs: unknown key \"routs\" is ignored [did you mean "
				 "\"routes\"?]");
}

static void two_table_names_are_refused_with_both_places(void **state)
{
	char got[2000];

	(void)state;
	run(R(M ",\"action\":{" T ",\"nftables\":{\"tableName\":\"a\"}}},{" M ",\"action\":{" T
		",\"nftables\":{\"tableName\":\"b\"}}"),
	    false, got, sizeof(got));
	assert_non_null(strstr(got, "routes[1].action.nftables.tableName: \"b\" differs from \"a\" "
				    "at f:1:126"));
}

static void at_most_twenty_errors_are_kept(void **state)
{
	struct buf b = { 0 };
	struct diags d = { 0 };

	(void)state;
	buf_puts(&b, "{\"routes\":[{}");
	for (int i = 0; i < 50; i++)
		buf_puts(&b, ",{}");
	buf_puts(&b, "]}");
	assert_null(config_parse("f", b.data, b.len, NULL, &d));
	assert_int_equal(d.n, DIAGS_MAX_ERRORS);
	diags_fini(&d);
	buf_fini(&b);
}

/* --- every key of the table ---------------------------------------------------- */

#define ACTION(x) R(M ",\"action\":{" T "," x "}")
#define SECURE(x) R(M ",\"action\":{" T "},\"security\":{" x "}")
#define HTTP_T(x) R(M ",\"action\":{\"type\":\"forward\",\"targets\":[{" x "}]}")

/* Where an object of the table stands; @ is the object's members. rest: its other required keys. */
static const struct place {
	const char *object, *text, *rest;
} places[] = {
	{ "top level", "{@}", "\"proxyIPs\":\"10.0.0.9\",\"routes\":[{" M ",\"action\":{" T "}}]" },
	{ "defaults", "{\"defaults\":{@},\"routes\":[{" M ",\"action\":{" T "}}]}", "" },
	{ "defaults.target",
	  "{\"defaults\":{\"target\":{@}},\"routes\":[{" M ",\"action\":{" T "}}]}",
	  "\"host\":\"10.0.0.1\",\"port\":80" },
	{ "route", R("@"), M ",\"action\":{" T "}" },
	{ "match", R("\"match\":{@},\"action\":{" T "}"), "\"ports\":1" },
	{ "action", "{\"proxyIPs\":\"10.0.0.9\",\"routes\":[{" M ",\"action\":{@}}]}", T },
	{ "target", HTTP_T("@"), "\"host\":\"10.0.0.1\",\"port\":80" },
	{ "target.match", HTTP_T("\"host\":\"10.0.0.1\",\"port\":80,\"match\":{@}"), "" },
	{ "loadBalancing", ACTION("\"loadBalancing\":{@}"), "" },
	{ "healthCheck", ACTION("\"loadBalancing\":{\"healthCheck\":{@}}"), "" },
	{ "tls", ACTION("\"tls\":{@}"), "\"mode\":\"passthrough\"" },
	{ "certificate", ACTION("\"tls\":{\"mode\":\"terminate\",\"certificate\":{@}}"), "" },
	{ "clientAuth", ACTION("\"tls\":{\"mode\":\"passthrough\",\"clientAuth\":{@}}"),
	  "\"mode\":\"none\"" },
	{ "websocket", ACTION("\"websocket\":{@}"), "" },
	{ "advanced", ACTION("\"advanced\":{@}"), "" },
	{ "staticFiles", ACTION("\"advanced\":{\"staticFiles\":{@}}"), "\"root\":\"/r\"" },
	{ "testResponse", ACTION("\"advanced\":{\"testResponse\":{@}}"), "" },
	{ "urlRewrite", ACTION("\"advanced\":{\"urlRewrite\":{@}}"),
	  "\"pattern\":\"a\",\"target\":\"b\"" },
	{ "options", ACTION("\"options\":{@}"), "" },
	{ "nftables", ACTION("\"nftables\":{@}"), "" },
	{ "socketHandler", R(M ",\"action\":{\"type\":\"socket-handler\",\"socketHandler\":{@}}"),
	  "" },
	{ "redirect", R(M ",\"action\":{\"type\":\"redirect\",\"redirect\":{@}}"), "\"to\":\"/\"" },
	{ "block", R(M ",\"action\":{\"type\":\"block\",\"block\":{@}}"), "" },
	{ "security", SECURE("@"), "" },
	{ "rateLimit", SECURE("\"rateLimit\":{@}"), "\"maxRequests\":1,\"window\":1" },
	{ "authentication", SECURE("\"authentication\":{@}"), "" },
	{ "basicAuth", SECURE("\"basicAuth\":{@}"),
	  "\"users\":[{\"username\":\"u\",\"password\":\"p\"}]" },
	{ "jwtAuth", SECURE("\"jwtAuth\":{@}"), "\"secret\":\"s\"" },
	{ "user", SECURE("\"basicAuth\":{\"users\":[{@}]}"),
	  "\"username\":\"u\",\"password\":\"p\"" },
	{ "headers", R(M ",\"action\":{" T "},\"headers\":{@}"), "" },
	{ "cors", R(M ",\"action\":{" T "},\"headers\":{\"cors\":{@}}"), "" },
	{ "acme", "{\"acme\":{@},\"routes\":[{" M ",\"action\":{" T "}}]}", "" },
	{ "acme.eab", "{\"acme\":{\"eab\":{@}},\"routes\":[{" M ",\"action\":{" T "}}]}",
	  "\"kid\":\"k\",\"hmacKey\":\"h\"" },
	{ "admin", "{\"admin\":{@},\"routes\":[{" M ",\"action\":{" T "}}]}",
	  "\"listen\":\"127.0.0.1:1\"" },
	{ "log", "{\"log\":{@},\"routes\":[{" M ",\"action\":{" T "}}]}", "" },
	{ "store", "{\"store\":{@},\"routes\":[{" M ",\"action\":{" T "}}]}",
	  "\"etcd\":{\"endpoints\":\"http://a:1\"}" },
	{ "store.etcd", "{\"store\":{\"etcd\":{@}},\"routes\":[{" M ",\"action\":{" T "}}]}",
	  "\"endpoints\":\"http://a:1\"" },
	{ "metrics", "{\"metrics\":{@},\"routes\":[{" M ",\"action\":{" T "}}]}", "" },
};

static const struct place *find_place(const char *object)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!strcmp(places[i].object, object))
			return &places[i];
	fail_msg("the test knows no place for the object %s", object);
	return NULL;
}

/* The members of `rest` but `key`: cut at the top-level comma or brace. */
static void put_rest(struct buf *b, const char *rest, const char *key)
{
	const char *s = rest;

	while (*s) {
		const char *start = s;
		int depth = 0;
		bool quoted = false;

		for (; *s && (depth || quoted || *s != ','); s++) {
			quoted ^= *s == '"';
			depth += !quoted && (*s == '{' || *s == '[');
			depth -= !quoted && (*s == '}' || *s == ']');
		}
		if (strncmp(start + 1, key, strlen(key)) || start[1 + strlen(key)] != '"') {
			buf_puts(b, ",");
			buf_put(b, start, (size_t)(s - start));
		}
		s += *s == ',';
	}
}

/* The config with key: value in its object; NUL-terminated in b. */
static void put_config(struct buf *b, const struct place *pl, const char *key, const char *value)
{
	const char *at = strchr(pl->text, '@');

	buf_reset(b);
	buf_put(b, pl->text, (size_t)(at - pl->text));
	buf_printf(b, "\"%s\":%s", key, value);
	put_rest(b, pl->rest, key);
	buf_puts(b, at + 1);
}

static const char *good_value(const struct key *k, char out[200])
{
	static const char *const fixed[] = { [KEY_BOOL] = "true",
					     [KEY_TEXT] = "\"x\"",
					     [KEY_ADDRESSES] = "[\"10.0.0.0/8\",\"::1\"]",
					     [KEY_PAIRS] = "{\"X-A\":\"b\"}",
					     [KEY_OBJECT] = "{}" };

	if (k->example)
		return k->example;
	if (k->type == KEY_UINT || k->type == KEY_INT)
		snprintf(out, 200, "%lld", (long long)k->min);
	else if (k->type == KEY_ENUM || k->type == KEY_CHOICE)
		snprintf(out, 200, "\"%s\"", k->values[0]);
	else if (k->type == KEY_TEXTS)
		snprintf(out, 200, "[\"%s\"]", k->values ? k->values[0] : "x");
	else
		snprintf(out, 200, "%s", fixed[k->type]);
	return out;
}

/* key is a whole step of the path. */
static bool path_has(const char *path, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = path; (at = strstr(at, key)); at++)
		if ((at == path || at[-1] == '.') && strchr(".[", at[len]))
			return true;
	return false;
}

/* Reports about the value itself: those whose path is that of the key. */
static bool complains_about(const char *text, size_t len, const char *key, bool *any)
{
	struct diags d = { 0 };
	struct config *c = config_parse("f", text, len, NULL, &d);
	bool found = false;

	for (size_t i = 0; i < d.n; i++) {
		if (d.v[i].severity == DIAG_ERROR && d.v[i].path && path_has(d.v[i].path, key))
			found = true;
	}
	*any = c == NULL;
	config_free(c);
	diags_fini(&d);
	return found;
}

/* A key that nobody reads would swallow the wrong value. */
static void every_key_refuses_a_value_of_the_wrong_type(void **state)
{
	struct buf b = { 0 };
	bool any;

	(void)state;
	for (size_t i = 0; key_objects[i]; i++)
		for (size_t j = 0; j < key_objects[i]->n_keys; j++) {
			const struct key *k = &key_objects[i]->keys[j];

			if (k->type == KEY_UNUSED || (k->type == KEY_OLD && !k->now))
				continue;
			put_config(&b, find_place(key_objects[i]->name), k->name, "[[null]]");
			if (!complains_about(b.data, b.len, k->name, &any))
				fail_msg("swallowed: %s", b.data);
		}
	buf_fini(&b);
}

static void every_key_takes_a_good_value(void **state)
{
	struct buf b = { 0 };
	char value[200];
	bool any;

	(void)state;
	for (size_t i = 0; key_objects[i]; i++)
		for (size_t j = 0; j < key_objects[i]->n_keys; j++) {
			const struct key *k = &key_objects[i]->keys[j];

			/* objects with keys of their own are tested by these */
			if (k->type >= KEY_OLD || k->type == KEY_OBJECT)
				continue;
			put_config(&b, find_place(key_objects[i]->name), k->name,
				   good_value(k, value));
			if (complains_about(b.data, b.len, k->name, &any)) {
				char got[1000];

				run(b.data, false, got, sizeof(got));
				if (!strstr(got, "goes with") && !strstr(got, "does not go") &&
				    !strstr(got, "both given"))
					fail_msg("refused: %s\n%s", b.data, got);
			}
		}
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_named_with_place_path_and_way_out),
		cmocka_unit_test(what_is_turned_off_needs_no_warning),
		cmocka_unit_test(lenient_turns_unknown_keys_into_warnings),
		cmocka_unit_test(two_table_names_are_refused_with_both_places),
		cmocka_unit_test(at_most_twenty_errors_are_kept),
		cmocka_unit_test(every_key_refuses_a_value_of_the_wrong_type),
		cmocka_unit_test(every_key_takes_a_good_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
