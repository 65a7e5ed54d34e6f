/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmd: the command line. One table of commands and one of options drive
 * dispatch, --help, completion and the manual page. Each cmd_NAME.c holds one
 * command; only they and main.c print and choose the exit code.
 */
#ifndef CTL_CLI_CMD_H
#define CTL_CLI_CMD_H

#include <stdio.h>

#include "ctl/base/buf.h"
#include "ctl/config/config.h"
#include "ctl/state/state.h"

/* DESIGN: exit codes */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,   /* could not do it, nothing changed; status, doctor: needs attention */
	EXIT_USAGE = 2,	   /* wrong usage or config */
	EXIT_PUT_BACK = 3, /* committed, read-back failed, the old one was put back */
	EXIT_LOCKED = 4,   /* lock not got within --timeout */
	EXIT_HALF = 5,	   /* could not do it and could not put the old state back */
};

#define OPTIONS_STATE_DIR STATE_USUAL_DIR
#define OPTIONS_RUN_DIR	  STATE_USUAL_RUN_DIR

#define OPTIONS_NO_DRAIN 0xffffffffu

struct options {
	const char *state_dir, *run_dir, *table;
	unsigned timeout_ms;
	bool json, quiet, verbose, no_color;
	/* apply */
	bool dry_run, kill, force, boot, no_daemon;
	/* apply, rollback */
	unsigned confirm_s; /* 0 = not given */
	/* check */
	bool strict, lenient;
	/* apply, down */
	unsigned drain_s; /* OPTIONS_NO_DRAIN = not given */
	/* conns */
	const char *route;
	/* explain */
	const char *port, *proto, *address, *client, *sni, *host, *path, *method;
	bool local;
	const char *headers[16];
	unsigned n_headers;
	/* run */
	const char *user;
	unsigned workers; /* 0 = not given */
	/* help, schema */
	const char *man;
};

struct command {
	const char *name;
	const char *args;     /* "[FILE]" */
	const char *help;     /* one line */
	const char *options;  /* long names of its own options, blank-separated */
	const char *examples; /* lines for --help */
	int (*run)(const struct options *o, int argc, char **argv);
};

extern const struct command commands[];
extern const size_t n_commands;
/* Not for people: in no list and no help. */
extern const struct command hidden_commands[];
extern const size_t n_hidden_commands;

int cmd_apply(const struct options *o, int argc, char **argv);
int cmd_check(const struct options *o, int argc, char **argv);
int cmd_apply_boot(const struct options *o, int argc);
int cmd_confirm(const struct options *o, int argc, char **argv);
int cmd_confirm_timer(const struct options *o, int argc, char **argv);
int cmd_history(const struct options *o, int argc, char **argv);
int cmd_rollback(const struct options *o, int argc, char **argv);
int cmd_completion(const struct options *o, int argc, char **argv);
int cmd_conns(const struct options *o, int argc, char **argv);
int cmd_doctor(const struct options *o, int argc, char **argv);
int cmd_down(const struct options *o, int argc, char **argv);
int cmd_explain(const struct options *o, int argc, char **argv);
int cmd_help(const struct options *o, int argc, char **argv);
int cmd_plan(const struct options *o, int argc, char **argv);
int cmd_run(const struct options *o, int argc, char **argv);
int cmd_found(const struct options *o, int argc, char **argv);
int cmd_dataplane(const struct options *o, int argc, char **argv);
int cmd_schema(const struct options *o, int argc, char **argv);
int cmd_status(const struct options *o, int argc, char **argv);
int cmd_version(const struct options *o, int argc, char **argv);

/* cmd_run.c: the command line as it came, for a new binary. */
void cmd_run_keep_argv(char **argv);

/* cmd_help.c: what `spctl COMMAND --help` prints. */
void cmd_print_usage(FILE *out, const struct command *c);

/* options.c: parses argv[1..] for command c into o (environment first), permutes argv so
 * that the arguments come first and returns their number; -1 after a message on stderr;
 * -2 when --help was asked for. */
int options_parse(const struct command *c, struct options *o, int argc, char **argv);
/* Writes the option lines of a command, or of all commands (NULL), for help. */
void options_print(FILE *out, const struct command *c);
/* For completion: the n-th option name that c knows, or NULL. */
const char *options_name(const struct command *c, unsigned n);
/* What its value is called: "DIR", or "tcp|udp" where nothing else will do; NULL = a flag. */
const char *options_arg(const struct command *c, unsigned n);

/* cmd_common.c */
struct loaded {
	struct buf text;
	struct config *config; /* NULL when there were errors */
	struct diags diags;
	const char *file;
};
/* Finds the route file: the argument, or the one default that exists. NULL and *e when not. */
const char *cmd_find_file(int argc, char **argv, struct err *e);
/* Reads and parses; errors are in diags. Returns false when there is no config. */
bool cmd_load(struct loaded *l, const char *file, bool lenient);
void cmd_unload(struct loaded *l);
/* Prints all that was found, as text on stderr or, with --json, errors as JSON on stdout. */
void cmd_report(const struct options *o, const struct loaded *l);
/* The exit code of a file that has errors: EXIT_FAILED when it may be right all the same. */
int cmd_file_code(const struct loaded *l);
/* One error without a file: text on stderr, or JSON on stdout. Returns `code`. */
int cmd_fail(const struct options *o, const struct err *e, int code);
/* The exit code that belongs to a failure of session or apply. */
int cmd_exit_code(int rc);
/* 0, or exit code 1 after saying that it needs root. what: "apply changes the kernel's ruleset" */
int cmd_need_root(const struct options *o, const char *what);
/* --table, then the config's tableName, then the default; refuses what is no name. NULL and *e. */
const char *cmd_table(const struct options *o, const struct config *c, struct err *e);
/* "to go back: spctl rollback N" to an earlier generation as it was applied; NULL = down. */
void cmd_print_way_back(const struct options *o, const struct state_meta *to);
bool cmd_colour(const struct options *o, FILE *f);

#endif
