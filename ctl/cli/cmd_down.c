/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "ctl/apply/apply.h"
#include "ctl/apply/confirm.h"
#include "ctl/base/text.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/cmd_confirm.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/drain.h"
#include "ctl/cli/progress.h"
#include "ctl/state/state_confirm.h"

static int nothing_there(const struct options *o)
{
	if (o->json)
		describe_print_json(
			json_pack("{s:i,s:b,s:i}", "schema", 1, "wasUp", 0, "flowsEnded", 0));
	else if (!o->quiet)
		printf("nothing is applied: nothing to do\n");
	return EXIT_DONE;
}

static const char *const settings[] = {
	"net.ipv4.ip_forward",
	"net.ipv6.conf.all.forwarding",
	"net.ipv4.conf.all.route_localnet",
};

/* Names of what is put back; returns how many. */
static unsigned restored(const struct down_result *r, const char *names[3])
{
	const bool is[3] = { r->restored.forward_v4, r->restored.forward_v6,
			     r->restored.route_localnet };
	unsigned n = 0;

	for (unsigned i = 0; i < 3; i++)
		if (is[i])
			names[n++] = settings[i];
	return n;
}

static void print_json(const struct down_result *r)
{
	json_t *list = json_array();
	const char *names[3];
	unsigned n = restored(r, names);

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	describe_print_json(json_pack("{s:i,s:b,s:i,s:o,s:s?}", "schema", 1, "wasUp", 1,
				      "flowsEnded", (int)r->flows_ended, "sysctlsRestored", list,
				      "leftFor", r->left_for[0] ? r->left_for : NULL));
}

/* was: what was known of its confirmation before. */
static void print_result(const struct options *o, const struct down_result *r,
			 const struct state_meta *last, const struct state_confirm *was)
{
	const char *names[3];
	unsigned n = restored(r, names);

	if (o->json) {
		print_json(r);
		return;
	}
	if (o->quiet)
		return;
	printf("down: the routes%s are gone, %u tracked connection%s ended\n",
	       r->left_for[0] ? "" : " and the table", r->flows_ended, text_plural(r->flows_ended));
	for (unsigned i = 0; i < n; i++)
		printf("put back: %s\n", names[i]);
	if (r->left_for[0])
		printf("left on, with the guard: the kernel settings, which the spctl of table "
		       "inet %s uses; `spctl down` again after that one is down\n",
		       r->left_for);
	if (state_confirm_is_open(was) && was->previous)
		cmd_confirm_print_way_back(o);
	else if (last->generation)
		cmd_print_way_back(o, last);
}

int cmd_down(const struct options *o, int argc, char **argv)
{
	struct down_result result;
	struct state_confirm was;
	struct session s;
	struct err e = { 0 };
	int rc = cmd_need_root(o, "down changes the kernel's ruleset");

	(void)argc;
	(void)argv;
	if (rc)
		return rc;
	progress_start(o);
	progress_phase("waiting for the lock");
	rc = confirm_open(&s, o->state_dir, o->run_dir, SESSION_LOCK, o->timeout_ms, NULL, &e);
	if (rc)
		progress_end();
	if (rc == -ENOENT)
		return nothing_there(o);
	if (rc)
		return cmd_fail(o, &e, cmd_exit_code(rc));
	/* Where no file says which table it was, the command line may. */
	if (!s.live && !s.noted_table[0] && o->table)
		snprintf(s.noted_table, sizeof(s.noted_table), "%s", o->table);
	if (o->table && strcmp(o->table, session_table(&s))) {
		state_unlock(&s.state);
		progress_end();
		err_set(&e, EINVAL, "the table of what is applied is \"%s\", not \"%s\"",
			session_table(&s), o->table);
		session_close(&s);
		return cmd_fail(o, &e, EXIT_USAGE);
	}
	was = s.meta.confirm;
	drain_catch_signals();
	progress_phase("taking the routes away");
	rc = down_run(&s, o->drain_s == OPTIONS_NO_DRAIN ? 0 : o->drain_s, drain_tick, &result, &e);
	state_unlock(&s.state);
	progress_end();
	if (rc)
		rc = cmd_fail(o, &e, cmd_exit_code(rc));
	else if (!result.was_up)
		nothing_there(o);
	else
		print_result(o, &result, &s.meta, &was);
	session_close(&s);
	return rc;
}
