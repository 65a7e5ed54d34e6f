/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options as data. The parser is our own because getopt_long() permutes,
 * abbreviates and prints by itself: here an unknown option gets the nearest
 * name as a hint, and what a command does not take is refused.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/text.h"
#include "ctl/cli/cmd.h"

enum option_type {
	OPT_FLAG,
	OPT_TEXT,
	OPT_SECONDS_MS,
	OPT_SECONDS,
	OPT_SECONDS_MIN1,
	OPT_LIST,
	OPT_COUNT
};

struct option_def {
	char letter; /* 0 = none */
	const char *name, *arg, *env, *help;
	enum option_type type;
	size_t offset;
	bool global; /* every command takes it */
};

#define AT(field) offsetof(struct options, field)

static const struct option_def defs[] = {
	{ 0, "state-dir", "DIR", "SPCTL_STATE_DIR", "where generations are kept (/var/lib/spctl)",
	  OPT_TEXT, AT(state_dir), true },
	{ 0, "run-dir", "DIR", "SPCTL_RUN_DIR", "lock and caches (/run/spctl)", OPT_TEXT,
	  AT(run_dir), true },
	{ 0, "table", "NAME", "SPCTL_TABLE", "nftables table, family inet (spctl)", OPT_TEXT,
	  AT(table), true },
	{ 0, "timeout", "SECONDS", "SPCTL_TIMEOUT",
	  "wait at most this long for the lock and for names (30)", OPT_SECONDS_MS, AT(timeout_ms),
	  true },
	{ 0, "json", NULL, NULL, "one JSON object on stdout", OPT_FLAG, AT(json), true },
	{ 'q', "quiet", NULL, NULL, "errors only", OPT_FLAG, AT(quiet), true },
	{ 'v', "verbose", NULL, NULL, "say more", OPT_FLAG, AT(verbose), true },
	{ 0, "no-color", NULL, NULL, "no colour (also: NO_COLOR)", OPT_FLAG, AT(no_color), true },
	{ 0, "dry-run", NULL, NULL, "let the kernel check it, change nothing", OPT_FLAG,
	  AT(dry_run), false },
	{ 0, "confirm", "SECONDS", NULL,
	  "back by itself unless `spctl confirm` follows in time (1-86400)", OPT_SECONDS_MIN1,
	  AT(confirm_s), false },
	{ 0, "boot", NULL, NULL, "the last confirmed generation again, as after a reboot", OPT_FLAG,
	  AT(boot), false },
	{ 0, "no-daemon", NULL, NULL, "do not start the service: routes that need it are an error",
	  OPT_FLAG, AT(no_daemon), false },
	{ 0, "drain", "SECONDS", NULL,
	  "let established connections go on for so long, then end them", OPT_SECONDS, AT(drain_s),
	  false },
	{ 0, "kill", NULL, NULL, "end connections that the new routes would not make any more",
	  OPT_FLAG, AT(kill), false },
	{ 0, "force", NULL, NULL, "over this session's own port; --boot: in a new namespace",
	  OPT_FLAG, AT(force), false },
	{ 0, "route", "NAME", NULL, "only this route's connections", OPT_TEXT, AT(route), false },
	{ 0, "strict", NULL, NULL, "warnings are errors", OPT_FLAG, AT(strict), false },
	{ 0, "lenient", NULL, NULL, "unknown keys are warnings", OPT_FLAG, AT(lenient), false },
	{ 0, "port", "PORT", NULL, "the port that the client connects to", OPT_TEXT, AT(port),
	  false },
	{ 0, "proto", "tcp|udp", NULL, "protocol (tcp)", OPT_TEXT, AT(proto), false },
	{ 0, "address", "IP", NULL, "local address that the client connects to", OPT_TEXT,
	  AT(address), false },
	{ 0, "client", "IP", NULL, "the client's address", OPT_TEXT, AT(client), false },
	{ 0, "local", NULL, NULL, "the client is on this host", OPT_FLAG, AT(local), false },
	{ 0, "sni", "NAME", NULL, "TLS server name", OPT_TEXT, AT(sni), false },
	{ 0, "host", "NAME", NULL, "HTTP host", OPT_TEXT, AT(host), false },
	{ 0, "path", "PATH", NULL, "HTTP path", OPT_TEXT, AT(path), false },
	{ 0, "method", "NAME", NULL, "HTTP method", OPT_TEXT, AT(method), false },
	{ 0, "header", "NAME:VALUE", NULL, "HTTP header, may be repeated", OPT_LIST, AT(headers),
	  false },
	{ 0, "user", "NAME", "SPCTL_USER",
	  "whom connections are served as (spctl, or an unused uid)", OPT_TEXT, AT(user), false },
	{ 0, "workers", "N", NULL, "threads that serve connections, 1-256 (one a core)", OPT_COUNT,
	  AT(workers), false },
	{ 0, "man", "FILE", NULL, "fill in a manual page template", OPT_TEXT, AT(man), false },
};

#define N_DEFS (sizeof(defs) / sizeof(*defs))

static bool word_in(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; p && *p;) {
		size_t n = strcspn(p, " ");

		if (n == len && !memcmp(p, word, n))
			return true;
		p += n + strspn(p + n, " ");
	}
	return false;
}

static bool takes(const struct command *c, const struct option_def *d)
{
	return d->global || (c && word_in(c->options, d->name));
}

static const struct option_def *find_long(const char *name, size_t len)
{
	for (size_t i = 0; i < N_DEFS; i++)
		if (strlen(defs[i].name) == len && !memcmp(defs[i].name, name, len))
			return &defs[i];
	return NULL;
}

static const struct option_def *find_letter(char letter)
{
	for (size_t i = 0; i < N_DEFS; i++)
		if (defs[i].letter && defs[i].letter == letter)
			return &defs[i];
	return NULL;
}

static int parse_seconds(const char *text, unsigned unit, unsigned *out)
{
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (*end == 's' && !end[1])
		end++;
	if (errno || *text < '0' || *text > '9' || *end || v > 86400)
		return -1;
	*out = (unsigned)v * unit;
	return 0;
}

static int parse_count(const char *text, unsigned *out)
{
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || !v || v > 256)
		return -1;
	*out = (unsigned)v;
	return 0;
}

static int set_value(struct options *o, const struct option_def *d, const char *value)
{
	void *field = (char *)o + d->offset;

	switch (d->type) {
	case OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case OPT_TEXT:
		*(const char **)field = value;
		return *value ? 0 : -1;
	case OPT_SECONDS_MS:
		return parse_seconds(value, 1000, field);
	case OPT_SECONDS:
		return parse_seconds(value, 1, field);
	case OPT_SECONDS_MIN1:
		return parse_seconds(value, 1, field) || !*(unsigned *)field ? -1 : 0;
	case OPT_COUNT:
		return parse_count(value, field);
	case OPT_LIST:
		if (o->n_headers == sizeof(o->headers) / sizeof(*o->headers) || !strchr(value, ':'))
			return -1;
		o->headers[o->n_headers++] = value;
		return 0;
	}
	return -1;
}

/* Always -1. With --json anywhere on the line the error is an object, as all others. */
static int refuse(const struct command *c, const struct options *o, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
static int refuse(const struct command *c, const struct options *o, const char *fmt, ...)
{
	struct err e = { 0 };
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(&e, EINVAL, "%s", text);
	err_hint(&e, "see: spctl %s --help", c->name);
	cmd_fail(o, &e, EXIT_USAGE);
	return -1;
}

static int bad_value(const struct command *c, const struct options *o, const struct option_def *d,
		     const char *value, const char *where)
{
	bool seconds = d->type != OPT_TEXT && d->type != OPT_LIST;

	if (d->type == OPT_COUNT)
		return refuse(c, o, "%s--%s: \"%s\" is not a number from 1 to 256", where, d->name,
			      value);
	if (d->type == OPT_SECONDS_MIN1)
		return refuse(c, o, "%s--%s: \"%s\" is not a number of %s from 1 to 86400", where,
			      d->name, value, d->arg);
	return refuse(c, o, "%s--%s: \"%s\" is not %s %s", where, d->name, value,
		      seconds ? "a number of" : "a", d->arg);
}

static int from_environment(const struct command *c, struct options *o)
{
	for (size_t i = 0; i < N_DEFS; i++) {
		const char *value = defs[i].env && takes(c, &defs[i]) ? getenv(defs[i].env) : NULL;
		char where[64];

		if (!value || !*value || (defs[i].type == OPT_FLAG && !strcmp(value, "0")))
			continue;
		if (!set_value(o, &defs[i], value))
			continue;
		snprintf(where, sizeof(where), "%s in the environment: ", defs[i].env);
		return bad_value(c, o, &defs[i], value, where);
	}
	return 0;
}

static int unknown_option(const struct command *c, const struct options *o, const char *arg)
{
	const char *names[N_DEFS], *near;
	size_t n = 0;

	for (size_t i = 0; i < N_DEFS; i++)
		if (takes(c, &defs[i]))
			names[n++] = defs[i].name;
	near = strncmp(arg, "--", 2) ? NULL : text_nearest(arg + 2, names, n);
	if (near)
		return refuse(c, o, "unknown option %s, did you mean --%s?", arg, near);
	return refuse(c, o, "unknown option %s", arg);
}

static bool is_help(const char *arg)
{
	return !strcmp(arg, "--help") || !strcmp(arg, "-h");
}

/* One option; *i is left on the last word that it used. */
static int parse_one(const struct command *c, struct options *o, int argc, char **argv, int *i)
{
	const char *arg = argv[*i], *equals = strchr(arg, '=');
	const struct option_def *d;
	const char *value = NULL;

	if (is_help(arg))
		return -2;
	if (arg[1] == '-')
		d = find_long(arg + 2, equals ? (size_t)(equals - arg - 2) : strlen(arg + 2));
	else
		d = arg[2] ? NULL : find_letter(arg[1]);
	if (!d || !takes(c, d))
		return unknown_option(c, o, arg);
	if (d->type == OPT_FLAG && equals)
		return refuse(c, o, "--%s takes no value", d->name);
	if (d->type != OPT_FLAG) {
		value = equals ? equals + 1 : *i + 1 < argc ? argv[++*i] : NULL;
		if (!value)
			return refuse(c, o, "--%s needs a value: --%s %s", d->name, d->name,
				      d->arg);
	}
	return set_value(o, d, value) ? bad_value(c, o, d, value, "") : 0;
}

int options_parse(const struct command *c, struct options *o, int argc, char **argv)
{
	int n = 0;
	bool only_arguments = false;

	*o = (struct options){ .state_dir = OPTIONS_STATE_DIR,
			       .run_dir = OPTIONS_RUN_DIR,
			       .timeout_ms = 30000,
			       .drain_s = OPTIONS_NO_DRAIN };
	for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
		o->json |= !strcmp(argv[i], "--json");
	if (from_environment(c, o))
		return -1;
	for (int i = 0; i < argc; i++) {
		int rc;

		if (only_arguments || argv[i][0] != '-' || !argv[i][1]) {
			argv[n++] = argv[i];
			continue;
		}
		if (!strcmp(argv[i], "--")) {
			only_arguments = true;
			continue;
		}
		rc = parse_one(c, o, argc, argv, &i);
		if (rc)
			return rc;
	}
	return n;
}

static void print_option(FILE *out, const struct option_def *d)
{
	char left[48];

	snprintf(left, sizeof(left), "%s%c%s--%s%s%s", d->letter ? "-" : "  ",
		 d->letter ? d->letter : ' ', d->letter ? ", " : " ", d->name, d->arg ? " " : "",
		 d->arg ? d->arg : "");
	fprintf(out, "  %-30s %s\n", left, d->help);
}

void options_print(FILE *out, const struct command *c)
{
	for (size_t i = 0; c && i < N_DEFS; i++)
		if (!defs[i].global && takes(c, &defs[i]))
			print_option(out, &defs[i]);
	for (size_t i = 0; !c && i < N_DEFS; i++)
		if (defs[i].global)
			print_option(out, &defs[i]);
}

static const struct option_def *nth_option(const struct command *c, unsigned n)
{
	for (size_t i = 0; i < N_DEFS; i++)
		if (takes(c, &defs[i]) && !n--)
			return &defs[i];
	return NULL;
}

const char *options_name(const struct command *c, unsigned n)
{
	const struct option_def *d = nth_option(c, n);

	return d ? d->name : NULL;
}

const char *options_arg(const struct command *c, unsigned n)
{
	const struct option_def *d = nth_option(c, n);

	return d ? d->arg : NULL;
}
