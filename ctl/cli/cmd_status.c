/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status: what is live, whether the kernel still has it, and who is connected. Reads only. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/expected.h"
#include "ctl/base/clock.h"
#include "ctl/cli/describe.h"
#include "ctl/cli/report.h"
#include "ctl/cli/status.h"
#include "ctl/host/conntrack.h"

#define BEHIND_TRIES   100
#define BEHIND_WAIT_MS 50

static void drift(struct status *st, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void drift(struct status *st, const char *fmt, ...)
{
	va_list ap;

	if (st->drift)
		return;
	st->drift = true;
	va_start(ap, fmt);
	vsnprintf(st->drift_what, sizeof(st->drift_what), fmt, ap);
	va_end(ap);
}

/* A setting that the routes need and that is off now: forwarding does not happen. */
static void find_settings_drift(struct status *st)
{
	const struct sysctl_wants v4 = { .forward_v4 = st->plan->needs_forward_v4 };
	const struct sysctl_wants v6 = { .forward_v6 = st->plan->needs_forward_v6 };
	const struct sysctl_wants lo = { .route_localnet = st->plan->needs_route_localnet };

	if (sysctl_is_pending(&v4))
		drift(st, "net.ipv4.ip_forward is off");
	if (sysctl_is_pending(&v6))
		drift(st, "net.ipv6.conf.all.forwarding is off");
	if (sysctl_is_pending(&lo))
		drift(st, "net.ipv4.conf.all.route_localnet is off");
}

/* What the session read is compared with what the live generation says. */
static void find_table_drift(struct status *st)
{
	const struct ruleset *have = st->s.have;
	struct ruleset *want = NULL;
	struct err e = { 0 };
	char what[128] = "";

	st->behind = false;
	if (!have->exists) {
		drift(st, "the table is gone (flushed or deleted)");
	} else if (have->generation != st->s.live) {
		/* Perhaps an apply is at work just now. */
		st->behind = true;
		drift(st, "the table has generation %u", have->generation);
	} else if (!st->s.from_image) {
		want = expected_ruleset(&st->s, st->plan, &e);
		if (want)
			ruleset_choose_sizes(want, have);
		else
			drift(st, "the table cannot be compared: %s", e.msg);
		if (want && !ruleset_equal(want, have, what, sizeof(what)))
			drift(st, "the table was changed: %s", what);
	}
	ruleset_free(want);
}

static void find_drift(struct status *st)
{
	struct err e = { 0 };

	st->drift = false;
	st->drift_what[0] = '\0';
	/* First: with a setting off nothing is forwarded, and the table may differ because of it.
	 */
	find_settings_drift(st);
	if (session_read_kernel(&st->s, session_table(&st->s), &e))
		drift(st, "the table cannot be used: %s", e.msg);
	else
		find_table_drift(st);
	/* What an apply at work has done so far is no drift. */
	st->behind |= st->drift && session_is_busy(&st->s);
}

/* ---- the service ---- */

static void find_missing_listeners(struct status *st)
{
	const struct plan *p = st->plan;
	struct control_listener *wanted = calloc(p->n_listeners + 1, sizeof(*wanted));
	char place[SERVICE_PLACE];
	unsigned n = 0, first = 0;
	const char *why;

	for (unsigned i = 0; wanted && i < p->n_listeners; i++)
		wanted[i] =
			(struct control_listener){ p->listeners[i].address, p->listeners[i].port };
	if (wanted && st->service.controller_answers &&
	    service_view_serves(&st->service, st->s.live))
		n = service_view_missing(&st->service, wanted, p->n_listeners, &first);
	why = service_view_text(st->service.service, "lacks");
	if (n)
		drift(st, "the service does not listen on %s%s%s%s%s",
		      service_place(&wanted[first].address, wanted[first].port, place),
		      n > 1 ? ", nor on others" : "", *why ? ", and tries it again (" : "", why,
		      *why ? ")" : "");
	free(wanted);
}

/* An apply tells it first and calls the generation live last: in between it is ahead, and where an
 * apply was killed it is behind for a moment. */
static int read_service(struct status *st)
{
	const struct service_view *v = &st->service;
	int rc = service_view_read(&st->service, st->s.state.run_dir, SERVICE_ANSWER_MS);

	st->behind |= !rc && v->controller_answers &&
		      !strcmp(service_view_text(v->service, "state"), "ready") &&
		      !service_view_serves(v, st->s.live);
	return rc;
}

static int read_usage(struct status *st)
{
	int rc = usage_init(&st->usage, st->plan);

	rc = rc ? rc : usage_read(&st->s, st->plan, &st->usage, &st->diags);
	rc = rc ? rc : read_service(st);
	rc = rc ? rc : usage_add_service(&st->usage, st->plan, &st->s.ids, &st->service);
	if (rc)
		return rc;
	find_missing_listeners(st);
	attention_find(&st->attention, st->plan, &st->usage, &st->service, st->s.live,
		       cmd_repair(st->confirm.generation));
	return 0;
}

static void warn_losses(struct status *st)
{
	const uint64_t full = service_view_number(st->service.process, "limitTablesFull"),
		       lost = service_view_number(st->service.process, "accessLinesLost");

	if (full)
		diags_add(&st->diags, DIAG_WARNING, LOC_NONE, NULL, NULL,
			  "a table of the service's limits was full: %llu connection%s let in and "
			  "not counted by it",
			  (unsigned long long)full, full == 1 ? " was" : "s were");
	if (lost)
		diags_add(&st->diags, DIAG_WARNING, LOC_NONE, NULL, NULL,
			  "%llu line%s lost: nobody read the log in time", (unsigned long long)lost,
			  lost == 1 ? " of the access log was" : "s of the access log were");
}

static void warn_full_sets(struct status *st)
{
	for (unsigned i = 0; i < st->usage.n_full; i++)
		diags_add(&st->diags, DIAG_WARNING, LOC_NONE, NULL, NULL,
			  "the set %s is full: what comes anew is let in, and neither limited nor "
			  "counted by it",
			  st->usage.full[i]);
}

static void warn_full_table(struct status *st)
{
	struct conntrack_room room;

	if (conntrack_room(&room) && room.nearly_full)
		diags_add(&st->diags, DIAG_WARNING, LOC_NONE, NULL, "spctl doctor says how",
			  "the connection table is nearly full (%lu of %lu): the kernel drops what "
			  "is new when it is",
			  room.used, room.max);
}

static int load(struct status *st, struct err *e)
{
	struct config_options opt = { .lenient = true };
	int rc = state_read_generation(&st->s.state, st->s.live, &st->meta, &st->text, e);

	if (rc)
		return rc;
	st->config = config_parse(st->meta.file, st->text.data, st->text.len, &opt, &st->diags);
	diags_fini(&st->diags); /* what the file's warnings were was said at apply */
	rc = st->config ? gather_past_facts(&st->g, &st->meta, e)
			: err_set(e, EINVAL, "generation %u cannot be read any more", st->s.live);
	if (rc)
		return rc;
	st->plan = plan_build(st->config, &st->g.facts, &st->diags);
	diags_fini(&st->diags);
	if (!st->plan)
		return err_set(e, EINVAL, "generation %u cannot be planned any more", st->s.live);
	st->g.no_daemon = true;
	st->g.have_service = control_look(st->o->run_dir) != CONTROL_NONE;
	gather_warn_lasting(&st->g, st->plan, &st->diags);
	return 0;
}

/* The file may have changed since: its lines are not shown. */
static void print_warnings(const struct status *st)
{
	if (!st->o->json && !st->o->quiet)
		report_diags_text(stderr, &st->diags, NULL, 0, cmd_colour(st->o, stderr));
}

/* ---- where nothing is applied ---- */

/* No generation is live, but an interrupted command, or down beside another spctl, left things. */
static const char left[] = "no routes are live, but a table or kernel settings of spctl are left";

static void print_nothing(const struct options *o, const struct service_view *v, const char *table,
			  bool leftovers, const char *attention)
{
	json_t *warnings = json_array(), *sentences = json_array();

	if (leftovers)
		json_array_append_new(warnings, json_string(left));
	if (attention)
		json_array_append_new(sentences, json_string(attention));
	if (o->json) {
		describe_print_json(json_pack("{s:i,s:o,s:s,s:i,s:n,s:b,s:s?,s:o,s:[],s:[],s:o}",
					      "schema", 1, "service", status_service_json(v),
					      "table", table, "generation", 0, "confirm", "drift",
					      leftovers, "driftReason", leftovers ? left : NULL,
					      "attention", sentences, "routes", "certificates",
					      "warnings", warnings));
		return;
	}
	if (attention)
		printf("ATTENTION: %s\n", attention);
	if (leftovers)
		printf("%s: `spctl down` takes them away\n", left);
	else
		printf("nothing is applied\n");
	json_decref(warnings);
	json_decref(sentences);
}

/* Nobody is at work, and nobody was since this look began. */
static bool is_settled(const struct status *st)
{
	struct err e = { 0 };
	uint32_t live;

	return !session_is_busy(&st->s) && !state_live(&st->s.state, &live, &e) &&
	       live == st->s.live;
}

/* A service may wait for its first routes. One that serves some, or does not answer, needs
 * somebody. */
static bool needs_somebody(const struct status *st, char text[ATTENTION_BYTES])
{
	const struct service_view *v = &st->service;
	const json_t *places = json_object_get(v->service, "places");
	const char *first = json_string_value(json_array_get(places, 0));

	if (v->presence == CONTROL_THERE && v->controller_answers && !v->answers && !v->e.msg[0])
		snprintf(text, ATTENTION_BYTES,
			 "the service (pid %d) has no dataplane that is ready: its log says why",
			 v->pid);
	else if (v->presence == CONTROL_THERE && !v->answers)
		snprintf(text, ATTENTION_BYTES, "the service (pid %d) cannot be asked: %s", v->pid,
			 v->e.msg);
	else if (v->presence == CONTROL_STARTS)
		snprintf(text, ATTENTION_BYTES,
			 "the service (pid %d) holds its lock, and does not answer", v->pid);
	else if (v->presence == CONTROL_ORPHAN)
		snprintf(text, ATTENTION_BYTES,
			 "the service's controller is gone, and its dataplane goes on, although no "
			 "routes are live: `spctl down` ends it");
	else if (first)
		snprintf(text, ATTENTION_BYTES,
			 "the service (pid %d) listens on %s and %zu more, although no routes are "
			 "live: `spctl down` ends it",
			 v->pid, first, json_array_size(places) - 1);
	else
		return false;
	return true;
}

/* -1: something is being changed, and has to be looked at again. */
static int nothing_applied(struct status *st, const char *table, bool leftovers, bool last_look)
{
	char text[ATTENTION_BYTES];
	bool attention;

	service_view_fini(&st->service);
	if (service_view_read(&st->service, st->o->run_dir, SERVICE_ANSWER_MS))
		return cmd_fail(st->o, &(struct err){ .msg = "out of memory" }, EXIT_FAILED);
	attention = needs_somebody(st, text);
	/* Ports that an apply at work has just opened are about to be applied. */
	if (attention && !last_look && !is_settled(st))
		return -1;
	print_nothing(st->o, &st->service, table, leftovers, attention ? text : NULL);
	return attention || leftovers ? EXIT_FAILED : EXIT_DONE;
}

static void status_close(struct status *st)
{
	usage_fini(&st->usage);
	service_view_fini(&st->service);
	plan_free(st->plan);
	gather_fini(&st->g);
	config_free(st->config);
	state_meta_fini(&st->meta);
	diags_fini(&st->diags);
	buf_fini(&st->text);
	session_close(&st->s);
	*st = (struct status){ .o = st->o };
}

/* 0 = there is something to show; else the exit code, and all was said. */
static int status_open(struct status *st)
{
	struct err e = { 0 };
	bool timer_was_gone;
	int rc = confirm_open(&st->s, st->o->state_dir, st->o->run_dir, 0, st->o->timeout_ms,
			      &timer_was_gone, &e);

	st->code = EXIT_DONE;
	if (rc == -ENOENT && !state_ownerless(st->o->state_dir)) {
		st->code = nothing_applied(st, st->o->table ? st->o->table : DEFAULT_TABLE, false,
					   true);
		return -1;
	}
	if (rc) {
		st->code = cmd_fail(st->o, &e, cmd_exit_code(rc));
		return -1;
	}
	if (!st->s.live) {
		st->code = nothing_applied(st, session_table(&st->s), session_has_leftovers(&st->s),
					   false);
		st->behind = st->code < 0;
		return st->behind ? 0 : -1;
	}
	if (load(st, &e)) {
		st->code = cmd_fail(st->o, &e, EXIT_FAILED);
		return -1;
	}
	confirm_look(&st->s, &st->confirm);
	st->confirm.timer &= !timer_was_gone;
	find_drift(st);
	return 0;
}

/* 0 = there is something to show; else the exit code, and all was said. */
static int look(struct status *st)
{
	int rc = status_open(st);

	if (!rc && st->plan && read_usage(st)) {
		st->code = cmd_fail(st->o, &(struct err){ .msg = "out of memory" }, EXIT_FAILED);
		rc = -1;
	}
	return rc;
}

static int show(struct status *st)
{
	warn_full_sets(st);
	warn_full_table(st);
	warn_losses(st);
	print_warnings(st);
	if (st->o->json)
		status_print_json(st);
	else
		status_print_text(st);
	return st->drift || st->confirm.generation || st->attention.n ? EXIT_FAILED : EXIT_DONE;
}

int cmd_status(const struct options *o, int argc, char **argv)
{
	struct status st = { .o = o };
	int code = cmd_need_root(o, "status reads the kernel's ruleset");

	(void)argc;
	(void)argv;
	if (code)
		return code;
	/* An apply may be at work. Where none is, a second look is enough: it has just ended. */
	for (unsigned tries = 0, idle = 0; !look(&st) && st.behind && tries < BEHIND_TRIES;
	     tries++) {
		if (is_settled(&st) && idle++)
			break;
		status_close(&st);
		clock_sleep_ms(BEHIND_WAIT_MS);
	}
	if (!st.plan && st.behind)
		st.code = nothing_applied(&st, session_table(&st.s), session_has_leftovers(&st.s),
					  true);
	code = st.code == EXIT_DONE && st.plan ? show(&st) : st.code;
	status_close(&st);
	return code;
}
