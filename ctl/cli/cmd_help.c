/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/confirm.h"
#include "ctl/apply/failpoint.h"
#include "ctl/base/io.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/version.h"
#include "ctl/service/service_child.h"
#include "ctl/service/spawn.h"

const struct command commands[] = {
	{ "check", "FILE...", "validate route files; needs no root and changes nothing",
	  "strict lenient",
	  "  spctl check routes.json\n"
	  "  spctl check --strict examples/*.yaml\n",
	  cmd_check },
	{ "plan", "[FILE]", "what each route becomes and why; what would change", "lenient",
	  "  spctl plan routes.json          without root: the routes only\n"
	  "  sudo spctl plan routes.json     with the change against what runs\n"
	  "  spctl plan routes.json --json | jq '.routes[].tier'\n",
	  cmd_plan },
	{ "apply", "[FILE]", "make the routes true, in one transaction",
	  "dry-run confirm boot no-daemon drain kill force lenient",
	  "  spctl apply routes.json\n"
	  "  spctl apply routes.json --dry-run\n"
	  "  spctl apply routes.json --confirm 60   back by itself unless confirmed\n"
	  "  spctl apply routes.json --drain 60     connections to former targets get a minute\n"
	  "  spctl apply routes.json --kill         they end at once\n"
	  "  generate-routes | spctl apply -\n"
	  "  spctl apply --boot                     what the service does at boot\n",
	  cmd_apply },
	{ "confirm", "", "keep what was applied with --confirm", "", "  spctl confirm\n",
	  cmd_confirm },
	{ "rollback", "[N]", "back to an earlier generation, asking no name server",
	  "confirm force",
	  "  spctl rollback                  the one before, or what waits for confirmation away\n"
	  "  spctl rollback 12 --confirm 60\n",
	  cmd_rollback },
	{ "history", "", "the generations that are kept, and what became of them", "",
	  "  spctl history\n"
	  "  spctl history --json | jq '.history[0]'\n",
	  cmd_history },
	{ "status", "", "routes, connections, drift between plan and kernel", "",
	  "  spctl status\n"
	  "  spctl status --json | jq '.drift'\n"
	  "  spctl status --json | jq '.attention'   what needs somebody: it ends with 1 then\n"
	  "Of what the kernel serves, IN and OUT are bytes of packets since it was first applied;\n"
	  "of what the service serves, bytes of payload since its dataplane was started.\n",
	  cmd_status },
	{ "conns", "", "live connections, of the kernel's routes and of the service's", "route",
	  "  spctl conns\n"
	  "  spctl conns --route web --json | jq '.conns | length'\n"
	  "  sysctl -w net.netfilter.nf_conntrack_acct=1        then new ones are counted: IN/OUT\n"
	  "  sysctl -w net.netfilter.nf_conntrack_timestamp=1   then new ones have an age: AGE\n"
	  "LEFT: how long the kernel keeps it if nothing comes. Not shown: what is in TIME_WAIT "
	  "or\n"
	  "CLOSE. A route that is gone keeps its name here while connections of it live.\n"
	  "STATE of one of the service's: what moves it (copy, splice), or what it waits for\n"
	  "(header, sniff, connect). SNI: the name that its client asked for.\n",
	  cmd_conns },
	{ "explain", "[FILE]",
	  "which route takes a connection, why not the others, its way in the kernel",
	  "port proto address client local sni host path method header lenient",
	  "  spctl explain --port 443 --client 10.0.0.7\n"
	  "  spctl explain --port 443 --local --address 192.0.2.1\n"
	  "  spctl explain routes.json --port 53 --proto udp\n",
	  cmd_explain },
	{ "doctor", "[FILE]",
	  "what on this host breaks the routes, each with the fix; changes nothing", "lenient",
	  "  sudo spctl doctor                   the routes that are live\n"
	  "  sudo spctl doctor routes.json       those of a file, before it is applied\n"
	  "  spctl doctor --json | jq '.findings[] | select(.level == \"problem\")'\n",
	  cmd_doctor },
	{ "run", "[FILE]", "the service, in the foreground; apply starts it where a route needs it",
	  "user workers",
	  "  spctl run                       serves what is live\n"
	  "  spctl run routes.json           the same, and applies this file first of all\n"
	  "SIGTERM: connections have gracefulShutdownTimeout to end; a second one ends them.\n"
	  "SIGUSR2: the installed binary takes over, without one lost connection.\n",
	  cmd_run },
	{ "down", "", "stop everything and leave the host as it was found", "drain",
	  "  spctl down\n"
	  "  spctl down --drain 30           let connections go on for half a minute\n",
	  cmd_down },
	{ "schema", "", "JSON Schema of the route file, for editors", "man",
	  "  spctl schema > spctl.schema.json\n", cmd_schema },
	{ "completion", "[bash]", "shell completion", "", "  eval \"$(spctl completion bash)\"\n",
	  cmd_completion },
	{ "version", "", "version of this binary", "", "  spctl version\n", cmd_version },
	{ "help", "[COMMAND]", "this text, or the help of one command", "man",
	  "  spctl help apply\n", cmd_help },
};
const size_t n_commands = sizeof(commands) / sizeof(*commands);

const struct command hidden_commands[] = {
	{ CONFIRM_TIMER_COMMAND, "", "waits for a confirmation; started by apply --confirm", "", "",
	  cmd_confirm_timer },
	{ SPAWN_COMMAND, "", "serves connections; started by run", "user", "", cmd_dataplane },
	{ SERVICE_FOUND_COMMAND, "", "what the service found out; started by run", "", "",
	  cmd_found },
};
const size_t n_hidden_commands = sizeof(hidden_commands) / sizeof(*hidden_commands);

static const char *without_file(const struct command *c)
{
	if (c->run == cmd_run)
		return "Without FILE: what is live.\n";
	if (c->run == cmd_doctor)
		return "Without FILE: the routes that are live. Exit code 1: some route is "
		       "affected.\n";
	if (c->run == cmd_explain)
		return "Without FILE: the routes that are live; - is standard input.\n";
	if (!strcmp(c->args, "[FILE]"))
		return "Without FILE: /etc/spctl/routes.json or /etc/spctl/routes.yaml; - is "
		       "standard input.\n";
	return "";
}

void cmd_print_usage(FILE *out, const struct command *c)
{
	fprintf(out, "usage: spctl %s%s%s [options]\n\n%c%s.\n\n", c->name, *c->args ? " " : "",
		c->args, c->help[0] - ('a' <= c->help[0] && c->help[0] <= 'z' ? 32 : 0),
		c->help + 1);
	if (*c->options) {
		fprintf(out, "Options:\n");
		options_print(out, c);
		fprintf(out, "\n");
	}
	fprintf(out, "Everywhere:\n");
	options_print(out, NULL);
	fprintf(out, "\nExamples:\n%s", c->examples);
	if (*without_file(c))
		fprintf(out, "\n%s", without_file(c));
}

static void print_overview(FILE *out)
{
	fprintf(out,
		"spctl %s - compiles routes into the cheapest forwarding the kernel can do\n\n"
		"usage: spctl COMMAND [arguments] [options]\n\n",
		SPCTL_VERSION);
	for (size_t i = 0; i < n_commands; i++)
		fprintf(out, "  %-10s %-10s %s\n", commands[i].name, commands[i].args,
			commands[i].help);
	fprintf(out, "\nEverywhere:\n");
	options_print(out, NULL);
	fprintf(out,
		"\nExit codes: 0 done; 1 could not, nothing changed (status: needs attention); 2 "
		"usage or\n"
		"config error; 3 committed but read back differently, the old state is back;\n"
		"4 another spctl holds the lock; 5 could not, and could not undo.\n"
		"More: spctl help COMMAND, spctl(8), spctl-routes(5)\n");
}

/* roff: a leading dot or quote and every backslash and minus must be escaped. */
static void put_roff(FILE *out, const char *text)
{
	bool start = true;

	for (; *text; text++) {
		if (start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		start = *text == '\n';
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

static void man_commands(FILE *out)
{
	char *text = NULL;
	size_t len = 0;

	for (size_t i = 0; i < n_commands; i++) {
		const struct command *c = &commands[i];
		FILE *mem = open_memstream(&text, &len);

		if (!mem)
			return;
		fprintf(out, ".SS spctl %s %s\n", c->name, c->args);
		fprintf(mem, "%c%s.\n",
			c->help[0] - ('a' <= c->help[0] && c->help[0] <= 'z' ? 32 : 0),
			c->help + 1);
		fclose(mem);
		put_roff(out, text);
		free(text);
		mem = open_memstream(&text, &len);
		if (!mem)
			return;
		options_print(mem, c);
		fputs(c->examples, mem);
		fclose(mem);
		fprintf(out, ".PP\n.nf\n");
		put_roff(out, text);
		fprintf(out, ".fi\n");
		free(text);
		if (*without_file(c)) {
			fprintf(out, ".PP\n");
			put_roff(out, without_file(c));
		}
	}
}

static void man_options(FILE *out)
{
	char *text = NULL;
	size_t len = 0;
	FILE *mem = open_memstream(&text, &len);

	if (!mem)
		return;
	options_print(mem, NULL);
	fclose(mem);
	fprintf(out, ".nf\n");
	put_roff(out, text);
	fprintf(out, ".fi\n");
	free(text);
}

/* The template's lines @COMMANDS@, @OPTIONS@ and @VERSION@ are filled in. */
static int print_man(const struct options *o)
{
	struct buf b = { 0 };
	struct err e = { 0 };

	if (io_read_file(o->man, 1 << 20, &b, &e))
		return cmd_fail(o, &e, EXIT_FAILED);
	for (char *line = b.data, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!strcmp(line, "@COMMANDS@"))
			man_commands(stdout);
		else if (!strcmp(line, "@OPTIONS@"))
			man_options(stdout);
		else
			printf("%s\n", line);
	}
	buf_fini(&b);
	return EXIT_DONE;
}

int cmd_help(const struct options *o, int argc, char **argv)
{
	if (o->man)
		return print_man(o);
	if (!argc) {
		print_overview(stdout);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < n_commands; i++) {
		if (strcmp(commands[i].name, argv[0]))
			continue;
		cmd_print_usage(stdout, &commands[i]);
		return EXIT_DONE;
	}
	fprintf(stderr, "spctl: unknown command \"%s\"\n  see: spctl help\n", argv[0]);
	return EXIT_USAGE;
}

int cmd_version(const struct options *o, int argc, char **argv)
{
	(void)argc;
	(void)argv;
#ifdef SPCTL_FAILPOINTS
	if (getenv("SPCTL_FAILPOINT") && !strcmp(getenv("SPCTL_FAILPOINT"), "list")) {
		failpoint_list();
		return EXIT_DONE;
	}
#endif
	if (o->json)
		printf("{\"schema\":1,\"version\":\"%s\"}\n", SPCTL_VERSION);
	else
		printf("spctl %s\n", SPCTL_VERSION);
	return EXIT_DONE;
}
