/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * completion: a bash function, written from the tables of commands and options.
 * What an option's value is called says how it is completed: "a|b" are words,
 * DIR and FILE are names of files; the rest is the user's.
 */
#include <string.h>

#include "ctl/cli/cmd.h"

static void print_names(void)
{
	for (size_t i = 0; i < n_commands; i++)
		printf("%s%s", i ? " " : "", commands[i].name);
}

/* The options of each command stand in one list: the global ones are told with the first. */
static bool told_before(size_t command, const char *name)
{
	const char *other;

	for (size_t i = 0; i < command; i++)
		for (unsigned k = 0; (other = options_name(&commands[i], k)); k++)
			if (!strcmp(other, name))
				return true;
	return false;
}

static void print_value(const char *name, const char *arg)
{
	printf("\t--%s) ", name);
	if (!strcmp(arg, "DIR") || !strcmp(arg, "FILE")) {
		printf("files=%s ;;\n", *arg == 'D' ? "-d" : "-f");
		return;
	}
	printf("words='");
	for (const char *p = strchr(arg, '|') ? arg : ""; *p; p++)
		putchar(*p == '|' ? ' ' : *p);
	printf("' ;;\n");
}

/* The word before says what is wanted. */
static void print_values(void)
{
	for (size_t i = 0; i < n_commands; i++) {
		const char *name;

		for (unsigned k = 0; (name = options_name(&commands[i], k)); k++)
			if (options_arg(&commands[i], k) && !told_before(i, name))
				print_value(name, options_arg(&commands[i], k));
	}
}

/* "[bash]" and "[COMMAND]" are words, FILE is a file; without arguments there are the options. */
static void print_arguments(const struct command *c)
{
	if (strstr(c->args, "FILE")) {
		printf("files=-f");
	} else if (strstr(c->args, "COMMAND")) {
		printf("words='");
		print_names();
		printf("'");
	} else if (*c->args && strcmp(c->args, "[N]")) {
		printf("words='%.*s'", (int)strcspn(c->args + 1, "]"), c->args + 1);
	} else {
		printf("words=$options");
	}
}

static void print_command(const struct command *c)
{
	printf("\t\t1:%s)\n\t\t\toptions='--help", c->name);
	for (unsigned k = 0; options_name(c, k); k++)
		printf(" --%s", options_name(c, k));
	printf("'\n\t\t\tcase $cur in -*) words=$options ;; *) ");
	print_arguments(c);
	printf(" ;; esac\n\t\t\t;;\n");
}

static void print_bash(void)
{
	printf("_spctl() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
	       "\tlocal options='' words='' files=''\n"
	       "\t# --option=value comes as three words\n"
	       "\tif [ \"$before\" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
	       "\tif [ \"$cur\" = = ]; then cur=; fi\n"
	       "\tcase $before in\n");
	print_values();
	/* The first word is a command, not yet the one whose options are wanted. */
	printf("\t*)\n\t\tcase $((COMP_CWORD > 1)):${COMP_WORDS[1]} in\n\t\t0:*) words='");
	print_names();
	printf("' ;;\n");
	for (size_t i = 0; i < n_commands; i++)
		print_command(&commands[i]);
	printf("\t\tesac\n\t\t;;\n\tesac\n"
	       "\tif [ \"$files\" ]; then\n"
	       "\t\tcompopt -o filenames 2>/dev/null\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen \"$files\" -- \"$cur\")\n"
	       "\telse\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	       "\tfi\n}\n"
	       "complete -F _spctl spctl\n");
}

int cmd_completion(const struct options *o, int argc, char **argv)
{
	(void)o;
	if (argc && strcmp(argv[0], "bash")) {
		fprintf(stderr, "spctl: completion is written for bash only, not \"%s\"\n",
			argv[0]);
		return EXIT_USAGE;
	}
	print_bash();
	return EXIT_DONE;
}
