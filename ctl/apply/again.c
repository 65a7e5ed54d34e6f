/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/apply/again.h"

#include <errno.h>
#include <string.h>

#include "ctl/apply/failpoint.h"
#include "ctl/base/log.h"
#include "ctl/host/sysctl.h"

struct stored {
	struct state_meta meta;
	struct buf text;
	struct config *config;
	struct gathered g;
	struct plan *plan;
};

static void stored_fini(struct stored *st)
{
	/* The names were lent by the meta. */
	st->g.names = NULL;
	st->g.n_names = 0;
	plan_free(st->plan);
	gather_fini(&st->g);
	config_free(st->config);
	buf_fini(&st->text);
	state_meta_fini(&st->meta);
}

/* It was right when it was applied; an older or newer spctl may see it otherwise. */
static int not_any_more(uint32_t generation, const struct diags *d, struct err *e)
{
	const char *why = "?";

	for (size_t i = d->n; i-- > 0;)
		if (d->v[i].severity == DIAG_ERROR)
			why = d->v[i].msg;
	return err_set(e, EINVAL, "generation %u cannot be applied by this spctl: %s", generation,
		       why);
}

/* The file may be another one by now, and its name dies with the config. */
static void warn_without_places(const struct stored *st, struct diags *d)
{
	gather_warn(&st->g, st->plan, d);
	for (size_t i = 0; i < d->n; i++)
		d->v[i].loc = LOC_NONE;
}

static int stored_plan(struct stored *st, struct diags *d, struct err *e)
{
	struct config_options opt = { .lenient = true };
	struct diags quiet = { 0 };
	int rc = 0;

	/* What the file's own warnings were was said when it was applied first. */
	st->config = config_parse(st->meta.file, st->text.data ? st->text.data : "", st->text.len,
				  &opt, &quiet);
	if (!st->config)
		rc = not_any_more(st->meta.generation, &quiet, e);
	rc = rc ? rc : gather_past_facts(&st->g, &st->meta, e);
	if (!rc) {
		st->g.names = st->meta.names;
		st->g.n_names = st->meta.n_names;
		st->plan = plan_build(st->config, &st->g.facts, &quiet);
		if (st->plan)
			plan_report_refusals(st->plan, &quiet);
		if (!st->plan || st->plan->refused)
			rc = not_any_more(st->meta.generation, &quiet, e);
	}
	if (!rc && d)
		warn_without_places(st, d);
	diags_fini(&quiet);
	return rc;
}

/* That it cannot be done keeps no routes from coming back: the guard stays with the setting. */
static void close_settings(struct session *s, const struct sysctl_wants *keep)
{
	char other[RS_NAME_MAX];
	struct err e = { 0 };
	int rc = nft_find_other(s->nft, s->state.instance, other, &e);

	if (!rc && !other[0])
		rc = sysctl_restore(s->journal, keep, &e);
	if (rc)
		log_warn("kernel settings stay as they are until spctl down: %s", e.msg);
	else if (other[0])
		log_info("kernel settings stay on for the spctl of table inet %s", other);
	FAILPOINT(closed);
}

/* False: nothing is to be closed, or it is not known. */
static bool find_settings(const struct session *s, uint32_t of, const struct plan *p,
			  struct sysctl_wants *keep)
{
	const struct sysctl_wants on = sysctl_journal_wants(s->journal);
	struct state_meta had = { 0 };

	if (of && state_read_generation(&s->state, of, &had, NULL, NULL))
		return false;
	*keep = (struct sysctl_wants){
		.forward_v4 = on.forward_v4 && (had.settings.forward_v4 || p->needs_forward_v4),
		.forward_v6 = on.forward_v6 && (had.settings.forward_v6 || p->needs_forward_v6),
		.route_localnet = on.route_localnet &&
				  (had.settings.route_localnet || p->needs_route_localnet),
	};
	state_meta_fini(&had);
	return on.forward_v4 != keep->forward_v4 || on.forward_v6 != keep->forward_v6 ||
	       on.route_localnet != keep->route_localnet;
}

/* Settings go back before the table, whose guard they need no more then. What would keep the table
 * from being written is found before. */
static int apply_closing(struct session *s, struct apply_request *r,
			 const struct again_request *again, struct apply_result *out, struct err *e)
{
	const struct sysctl_wants on = sysctl_journal_wants(s->journal);
	struct err why = { 0 };
	struct sysctl_wants keep;
	int rc;

	if (!again->close_settings || !find_settings(s, again->settings_of, r->plan, &keep))
		return apply_run(s, r, out, e);
	r->dry_run = true;
	rc = apply_run(s, r, out, e);
	r->dry_run = false;
	if (rc)
		return rc;
	close_settings(s, &keep);
	rc = apply_run(s, r, out, e);
	/* What is live needs them still, and has its guard still. */
	if (!rc || rc == -ENOTRECOVERABLE || !sysctl_apply(s->journal, &on, &why))
		return rc;
	err_wrap(e, "%s; and putting things back failed, too", why.msg);
	e->code = -ENOTRECOVERABLE;
	return -ENOTRECOVERABLE;
}

int again_apply(struct session *s, const struct again_request *r, struct apply_result *out,
		struct diags *d, struct err *e)
{
	struct stored st = { 0 };
	int rc = state_read_generation(&s->state, r->generation, &st.meta, &st.text, e);

	rc = rc ? rc : stored_plan(&st, d, e);
	if (!rc && r->allow)
		rc = r->allow(st.plan, &st.g.host, r->arg, e);
	if (!rc) {
		struct apply_request request = {
			.plan = st.plan,
			.gathered = &st.g,
			.text = st.text.data ? st.text.data : "",
			.text_len = st.text.len,
			.file = st.meta.file,
			.table = st.meta.table,
			.lenient = st.meta.lenient,
			.stored = r->same_number ? r->generation : 0,
			.copy_of = r->same_number ? 0 : r->generation,
			.confirm_s = r->confirm_s,
			.by_service = r->by_service,
			.kernel_first = r->kernel_first,
		};

		rc = apply_closing(s, &request, r, out, e);
	}
	/* The places of the file die with its config. */
	if (rc)
		e->loc = LOC_NONE;
	stored_fini(&st);
	return rc;
}

int again_check(const struct session *s, uint32_t generation, struct err *e)
{
	struct err unheard = { 0 };
	struct stored st = { 0 };
	int rc;

	e = e ? e : &unheard;
	rc = state_read_generation(&s->state, generation, &st.meta, &st.text, e);

	rc = rc ? rc : stored_plan(&st, NULL, e);
	/* The places of the file die with its config. */
	if (rc)
		e->loc = LOC_NONE;
	stored_fini(&st);
	return rc;
}
