/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line's options: what each takes, the environment, and what is said when it is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/cli/cmd.h"

static const struct command apply = { "apply", "[FILE]",
				      "",      "dry-run drain kill force confirm boot",
				      "",      NULL };
static const struct command explain = {
	"explain", "[FILE]", "", "port proto address client local sni host path method header",
	"",	   NULL
};

static struct options o;
static char said[4096];
static char *args[32];
static int n_args;
static char nothing[1];

/* Splits words at blanks; stderr goes to said[]. */
static int parse(const struct command *c, const char *words)
{
	static char copy[2048];
	FILE *f = tmpfile();
	int rc, saved = dup(STDERR_FILENO);
	size_t n;

	snprintf(copy, sizeof(copy), "%s", words);
	n_args = 0;
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		args[n_args++] = strcmp(p, "''") ? p : nothing;
	fflush(stderr);
	dup2(fileno(f), STDERR_FILENO);
	rc = options_parse(c, &o, n_args, args);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = '\0';
	fclose(f);
	return rc;
}

static void forget_environment(void)
{
	static const char *const names[] = { "SPCTL_STATE_DIR", "SPCTL_RUN_DIR", "SPCTL_TABLE",
					     "SPCTL_TIMEOUT" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unsetenv(names[i]);
}

static int setup(void **state)
{
	(void)state;
	forget_environment();
	return 0;
}

static void without_options_there_are_the_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(&apply, "file.json"), 1);
	assert_string_equal(args[0], "file.json");
	assert_string_equal(o.state_dir, "/var/lib/spctl");
	assert_string_equal(o.run_dir, "/run/spctl");
	assert_null(o.table);
	assert_int_equal(o.timeout_ms, 30000);
	assert_false(o.json || o.quiet || o.verbose || o.dry_run);
	assert_string_equal(said, "");
}

static void options_stand_anywhere_and_arguments_keep_their_order(void **state)
{
	(void)state;
	assert_int_equal(parse(&apply, "a --dry-run b --table=t1 --timeout 5 c -q -v --json"), 3);
	assert_string_equal(args[0], "a");
	assert_string_equal(args[1], "b");
	assert_string_equal(args[2], "c");
	assert_true(o.dry_run && o.quiet && o.verbose && o.json);
	assert_string_equal(o.table, "t1");
	assert_int_equal(o.timeout_ms, 5000);
	/* After -- everything is an argument; - alone is one, too. */
	assert_int_equal(parse(&apply, "- -- --json -q"), 3);
	assert_string_equal(args[0], "-");
	assert_string_equal(args[1], "--json");
	assert_false(o.json || o.quiet);
}

static void help_is_told_apart(void **state)
{
	(void)state;
	assert_int_equal(parse(&apply, "--help"), -2);
	assert_int_equal(parse(&apply, "x --json -h"), -2);
	assert_int_equal(parse(&apply, "-- --help"), 1);
}

static void seconds_are_whole_and_bounded(void **state)
{
	static const struct {
		const char *text;
		int seconds; /* -1 = refused */
	} cases[] = {
		{ "0", 0 },
		{ "60", 60 },
		{ "60s", 60 },
		{ "86400", 86400 },
		{ "86401", -1 },
		{ "-1", -1 },
		{ "+1", -1 },
		{ "1.5", -1 },
		{ "1m", -1 },
		{ "s", -1 },
		{ "99999999999999999999", -1 },
		{ "0x10", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char words[64];

		snprintf(words, sizeof(words), "--drain=%s", cases[i].text);
		if (parse(&apply, words) != (cases[i].seconds < 0 ? -1 : 0))
			fail_msg("%s", words);
		if (cases[i].seconds >= 0)
			assert_int_equal(o.drain_s, cases[i].seconds);
		else if (!strstr(said, "--drain: \"") ||
			 !strstr(said, "is not a number of SECONDS"))
			fail_msg("%s: %s", words, said);
	}
}

static void confirm_takes_a_second_to_a_day(void **state)
{
	static const char *const bad[] = { "0", "0s", "86401", "-1", "x" };

	(void)state;
	assert_int_equal(parse(&apply, "routes.json --confirm 60"), 1);
	assert_int_equal(o.confirm_s, 60);
	assert_int_equal(parse(&apply, "--confirm=1"), 0);
	assert_int_equal(o.confirm_s, 1);
	assert_int_equal(parse(&apply, "--confirm 86400s"), 0);
	assert_int_equal(o.confirm_s, 86400);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char words[64];

		snprintf(words, sizeof(words), "--confirm=%s", bad[i]);
		if (parse(&apply, words) != -1 ||
		    !strstr(said, "is not a number of SECONDS from 1 to 86400"))
			fail_msg("%s: %s", words, said);
	}
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *words, *said;
	} cases[] = {
		{ "--tabel x", "spctl: error: unknown option --tabel, did you mean --table?\n" },
		{ "--jsno", "unknown option --jsno, did you mean --json?\n" },
		{ "--nothing-like-it", "unknown option --nothing-like-it\n" },
		{ "-x", "unknown option -x\n" },
		{ "-qv", "unknown option -qv\n" },
		{ "--port 80", "unknown option --port" }, /* another command's */
		{ "--table", "spctl: error: --table needs a value: --table NAME\n" },
		{ "--json=yes", "spctl: error: --json takes no value\n" },
		{ "--timeout x", "spctl: error: --timeout: \"x\" is not a number of SECONDS\n" },
		{ "--table=", "spctl: error: --table: \"\" is not a NAME\n" },
		{ "--state-dir ''", "is not a DIR\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (parse(&apply, cases[i].words) != -1 || !strstr(said, cases[i].said))
			fail_msg("%s: \"%s\"", cases[i].words, said);
	}
}

static void the_environment_is_read_first(void **state)
{
	(void)state;
	setenv("SPCTL_TABLE", "from_env", 1);
	setenv("SPCTL_STATE_DIR", "/env/state", 1);
	setenv("SPCTL_TIMEOUT", "7", 1);
	setenv("SPCTL_RUN_DIR", "", 1); /* empty is not set */
	assert_int_equal(parse(&apply, ""), 0);
	assert_string_equal(o.table, "from_env");
	assert_string_equal(o.state_dir, "/env/state");
	assert_string_equal(o.run_dir, "/run/spctl");
	assert_int_equal(o.timeout_ms, 7000);
	assert_int_equal(parse(&apply, "--table given --state-dir=/x"), 0);
	assert_string_equal(o.table, "given");
	assert_string_equal(o.state_dir, "/x");
	setenv("SPCTL_TIMEOUT", "soon", 1);
	assert_int_equal(parse(&apply, ""), -1);
	assert_non_null(strstr(said, "SPCTL_TIMEOUT in the environment"));
	assert_non_null(strstr(said, "\"soon\""));
	forget_environment();
}

static void headers_add_up_to_a_bound(void **state)
{
	char words[2048] = "";

	(void)state;
	assert_int_equal(parse(&explain, "--header A:1 --header=B:2"), 0);
	assert_int_equal(o.n_headers, 2);
	assert_string_equal(o.headers[1], "B:2");
	assert_int_equal(parse(&explain, "--header A"), -1);
	assert_non_null(strstr(said, "\"A\" is not a NAME:VALUE"));
	for (unsigned i = 0; i < 16; i++)
		strcat(words, "--header A:1 ");
	assert_int_equal(parse(&explain, words), 0);
	assert_int_equal(o.n_headers, 16);
}

static void every_option_of_every_command_is_listed(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_commands; i++) {
		char word[32];

		for (const char *p = commands[i].options; p && *p; p += strcspn(p, " ") + 1) {
			bool found = false;
			const char *name;

			snprintf(word, sizeof(word), "%.*s", (int)strcspn(p, " "), p);
			for (unsigned k = 0; (name = options_name(&commands[i], k)); k++)
				found |= !strcmp(name, word);
			if (!found)
				fail_msg("%s: --%s is no option", commands[i].name, word);
			if (!p[strcspn(p, " ")])
				break;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_options_there_are_the_defaults, setup),
		cmocka_unit_test_setup(options_stand_anywhere_and_arguments_keep_their_order,
				       setup),
		cmocka_unit_test_setup(help_is_told_apart, setup),
		cmocka_unit_test_setup(seconds_are_whole_and_bounded, setup),
		cmocka_unit_test_setup(confirm_takes_a_second_to_a_day, setup),
		cmocka_unit_test_setup(what_is_wrong_is_said, setup),
		cmocka_unit_test_setup(the_environment_is_read_first, setup),
		cmocka_unit_test_setup(headers_add_up_to_a_bound, setup),
		cmocka_unit_test_setup(every_option_of_every_command_is_listed, setup),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
