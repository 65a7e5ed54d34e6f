/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ctl/base/log.h"
#include "ctl/base/text.h"
#include "ctl/cli/cmd.h"
#include "ctl/service/background.h"

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < n_commands; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	for (size_t i = 0; i < n_hidden_commands; i++)
		if (!strcmp(hidden_commands[i].name, name))
			return &hidden_commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[32], *near;
	size_t n = 0;

	for (size_t i = 0; i < n_commands && n < 32; i++)
		names[n++] = commands[i].name;
	near = text_nearest(name, names, n);
	fprintf(stderr, "spctl: unknown command \"%s\"", name);
	if (near)
		fprintf(stderr, ", did you mean \"%s\"?", near);
	fprintf(stderr, "\n  see: spctl help\n");
	return EXIT_USAGE;
}

/* Options before the command: only --help and --version make sense there. */
static const char *command_name(int argc, char **argv)
{
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return "help";
	if (!strcmp(argv[1], "--version"))
		return "version";
	return argv[1];
}

/* From the usage line: "FILE..." takes any number. */
static int max_arguments(const struct command *c)
{
	return strstr(c->args, "...") ? INT_MAX : *c->args != '\0';
}

/* What was changed is changed, whoever hears of it: "failed" would be a lie there. */
static bool changes_routes(const struct command *c, const struct options *o)
{
	static const char *const names[] = { "apply", "confirm", "rollback", "down" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(names[i], c->name))
			return !o->dry_run;
	return false;
}

static int finish_output(int rc, bool changes)
{
	if ((!fflush(stdout) && !ferror(stdout)) || errno == EPIPE)
		return rc;
	fprintf(stderr, "spctl: %scannot write the output: %s\n",
		changes && !rc ? "warning: it is done; " : "", strerror(errno));
	return rc || changes ? rc : EXIT_FAILED;
}

static int run_command(const struct command *c, int argc, char **argv)
{
	struct options o;
	struct err e = { 0 };
	int n = options_parse(c, &o, argc, argv);

	if (n == -2) {
		cmd_print_usage(stdout, c);
		return finish_output(EXIT_DONE, false);
	}
	if (n < 0)
		return EXIT_USAGE;
	if (o.table && !cmd_table(&o, NULL, &e))
		return cmd_fail(&o, &e, EXIT_USAGE);
	if (n > max_arguments(c)) {
		err_set(&e, EINVAL, "too many arguments: \"%s\"", argv[n - 1]);
		err_hint(&e, "see: spctl %s --help", c->name);
		return cmd_fail(&o, &e, EXIT_USAGE);
	}
	if (o.quiet)
		log_set_level(LOG_LEVEL_ERR);
	if (o.verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	return finish_output(c->run(&o, n, argv), changes_routes(c, &o));
}

int main(int argc, char **argv)
{
	const struct command *c = find_command(command_name(argc, argv));

	cmd_run_keep_argv(argv);
	control_set_starter(background_start);
	signal(SIGPIPE, SIG_IGN); /* a closed pager is an error of fflush above, not our death */
	if (!c)
		return unknown_command(argv[1]);
	return run_command(c, argc > 2 ? argc - 2 : 0, argv + (argc > 2 ? 2 : 1));
}
