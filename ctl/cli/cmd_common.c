/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <cap-ng.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/apply/session.h"
#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"

#define MAX_CONFIG_BYTES (64u << 20)

static const char default_json[] = "/etc/spctl/routes.json";
static const char default_yaml[] = "/etc/spctl/routes.yaml";

const char *cmd_find_file(int argc, char **argv, struct err *e)
{
	bool json = !access(default_json, F_OK), yaml = !access(default_yaml, F_OK);

	if (argc)
		return argv[0];
	if (json && yaml) {
		err_set(e, EINVAL, "both %s and %s exist: name the one that is meant", default_json,
			default_yaml);
		return NULL;
	}
	if (json || yaml)
		return json ? default_json : default_yaml;
	err_set(e, ENOENT, "no route file: neither %s nor %s exists", default_json, default_yaml);
	err_hint(e, "give a file, or - for standard input");
	return NULL;
}

bool cmd_load(struct loaded *l, const char *file, bool lenient)
{
	struct config_options opt = { .lenient = lenient };
	struct err e = { 0 };

	memset(l, 0, sizeof(*l));
	l->file = file;
	if (io_read_file(file, MAX_CONFIG_BYTES, &l->text, &e)) {
		diags_add_err(&l->diags, &e);
		return false;
	}
	l->config =
		config_parse(file, l->text.data ? l->text.data : "", l->text.len, &opt, &l->diags);
	return l->config != NULL;
}

void cmd_unload(struct loaded *l)
{
	config_free(l->config);
	diags_fini(&l->diags);
	buf_fini(&l->text);
	memset(l, 0, sizeof(*l));
}

bool cmd_colour(const struct options *o, FILE *f)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return !o->no_color && !(no && *no) && isatty(fileno(f)) &&
	       !(term && !strcmp(term, "dumb"));
}

void cmd_report(const struct options *o, const struct loaded *l)
{
	if (o->json && l->diags.errors) {
		describe_print_json(report_diags_json(&l->diags));
		return;
	}
	if (o->json || (o->quiet && !l->diags.errors) || !l->diags.n)
		return;
	report_diags_text(stderr, &l->diags, l->text.data, l->text.len, cmd_colour(o, stderr));
}

int cmd_fail(const struct options *o, const struct err *e, int code)
{
	struct diags d = { 0 };

	diags_add_err(&d, e);
	if (o->json) {
		describe_print_json(describe_errors_json(&d));
	} else {
		fprintf(stderr, "spctl: ");
		if (e->loc.line)
			fprintf(stderr, "%s:%u:%u: ", e->loc.file, e->loc.line, e->loc.col);
		fprintf(stderr, "error: %s\n", e->msg);
		if (e->hint[0])
			fprintf(stderr, "  hint: %s\n", e->hint);
	}
	diags_fini(&d);
	return code;
}

int cmd_file_code(const struct loaded *l)
{
	return l->diags.errors == l->diags.outside ? EXIT_FAILED : EXIT_USAGE;
}

int cmd_need_root(const struct options *o, const char *what)
{
	struct err e = { 0 };

	capng_get_caps_process();
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
		return 0;
	err_set(&e, EPERM, "%s: that needs root (CAP_NET_ADMIN)", what);
	err_hint(&e,
		 "run it with sudo, or inside `unshare -rn` to try it in a namespace of your own");
	return cmd_fail(o, &e, EXIT_FAILED);
}

const char *cmd_table(const struct options *o, const struct config *c, struct err *e)
{
	const char *table = o->table		 ? o->table
			    : c && c->table_name ? c->table_name
						 : DEFAULT_TABLE;
	size_t n = strlen(table);

	if (n && n < RS_NAME_MAX &&
	    strspn(table, "abcdefghijklmnopqrstuvwxyz"
			  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n)
		return table;
	err_set(e, EINVAL,
		"\"%.40s\" is no table name: letters, digits, _ . - and at most %d of them", table,
		RS_NAME_MAX - 1);
	return NULL;
}

static void print_override(const char *name, const char *value, const char *usual)
{
	if (value && strcmp(value, usual))
		printf(" --%s %s", name, value);
}

void cmd_print_way_back(const struct options *o, const struct state_meta *to)
{
	bool kept = to && (to->confirm.phase == STATE_CONFIRM_NONE ||
			   to->confirm.phase == STATE_CONFIRM_GIVEN);

	printf("to go back: spctl ");
	if (kept)
		printf("rollback %u", to->generation);
	else if (to) /* rollback takes no generation that nobody confirmed */
		printf("apply %s/applied/%u.config", o->state_dir, to->generation);
	else
		printf("down");
	print_override("state-dir", o->state_dir, OPTIONS_STATE_DIR);
	print_override("run-dir", o->run_dir, OPTIONS_RUN_DIR);
	if (to && !kept && (o->table || strcmp(to->table, DEFAULT_TABLE)))
		printf(" --table %s", to->table);
	if (to && !kept && to->lenient)
		printf(" --lenient");
	printf("\n");
}

int cmd_exit_code(int rc)
{
	switch (rc) {
	case 0:
		return EXIT_DONE;
	case -ENOLCK:
		return EXIT_LOCKED;
	case -EXDEV:
		return EXIT_USAGE;
	case -EBADE:
		return EXIT_PUT_BACK;
	case -ENOTRECOVERABLE:
		return EXIT_HALF;
	}
	return EXIT_FAILED;
}
