/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/base/text.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"

/* The plan finds what the parser cannot: conflicts, routes never reached, offsets out of range.
 * Names are not resolved: `check` asks nobody. */
static void check_plan(struct loaded *l)
{
	struct plan_facts nothing = { .have_relay = true, .have_proxy = true };
	struct plan *p = l->config ? plan_build(l->config, &nothing, &l->diags) : NULL;

	plan_free(p);
}

static int check_file(const struct options *o, const char *file, struct diags *all)
{
	struct loaded l;
	int code;

	cmd_load(&l, file, o->lenient);
	check_plan(&l);
	code = l.diags.errors || (o->strict && l.diags.warnings) ? EXIT_USAGE : EXIT_DONE;
	if (!o->json && l.diags.n && (!o->quiet || l.diags.errors))
		report_diags_text(stderr, &l.diags, l.text.data, l.text.len, cmd_colour(o, stderr));
	if (!o->json && !o->quiet && !code)
		printf("%s: %u route%s, ok\n", file, l.config->n_routes,
		       text_plural(l.config->n_routes));
	for (size_t i = 0; i < l.diags.n; i++) {
		struct loc loc = l.diags.v[i].loc;

		loc.file = file;
		diags_add(all, l.diags.v[i].severity, loc, l.diags.v[i].path, l.diags.v[i].hint,
			  "%s", l.diags.v[i].msg);
	}
	cmd_unload(&l);
	return code;
}

int cmd_check(const struct options *o, int argc, char **argv)
{
	struct diags all = { 0 };
	struct err e = { 0 };
	const char *file;
	int code = EXIT_DONE;

	if (!argc) {
		file = cmd_find_file(0, NULL, &e);
		if (!file)
			return cmd_fail(o, &e, EXIT_USAGE);
		code = check_file(o, file, &all);
	}
	for (int i = 0; i < argc; i++) {
		int rc = check_file(o, argv[i], &all);

		code = rc ? rc : code;
	}
	if (o->json)
		describe_print_json(report_diags_json(&all));
	diags_fini(&all);
	return code;
}
