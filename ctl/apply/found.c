/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order: STATE/found, then the table. Killed between the two, the file is
 * ahead of the kernel until the service starts again, which asks for the same
 * once more; each is one or the other, never half. The generation is the same, so
 * nothing of this is in the history, and the next apply of the same file finds
 * both as they are.
 *
 * A name is tried alone: one that would change what tier a route has (its new
 * addresses are of the other family, say) keeps what it had, and the rest goes on.
 */
#include "ctl/apply/found.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/apply/again.h"
#include "ctl/apply/failpoint.h"
#include "ctl/base/log.h"
#include "ctl/base/text.h"

struct job {
	struct session s;
	const struct state_found *wish;
	struct state_found before, after;
	struct state_meta meta; /* as it is now, and then as it shall be */
	struct buf text;
	struct config *config;
	struct gathered g;
	struct plan *plan; /* of `meta` */
	struct err *e;
};

static struct plan *plan_now(struct job *j)
{
	struct diags quiet = { 0 };
	struct plan *p = plan_build(j->config, &j->g.facts, &quiet);

	diags_fini(&quiet);
	return p;
}

static int open_live(struct job *j)
{
	struct config_options opt = { .lenient = true };
	struct diags quiet = { 0 };
	int rc = state_read_generation(&j->s.state, j->s.live, &j->meta, &j->text, j->e);

	if (rc)
		return rc;
	j->config = config_parse(j->meta.file, j->text.data ? j->text.data : "", j->text.len, &opt,
				 &quiet);
	diags_fini(&quiet);
	rc = j->config ? gather_past_facts(&j->g, &j->meta, j->e) : -EINVAL;
	j->plan = rc ? NULL : plan_now(j);
	if (!rc && !j->plan)
		rc = -EINVAL;
	if (rc && !j->e->code)
		err_set(j->e, EINVAL, "generation %u cannot be planned any more", j->s.live);
	return rc ? rc : state_found_load(&j->s.state, &j->before, j->e);
}

/* ---- names ---- */

static bool same_service(const struct plan *a, const struct plan *b)
{
	if (a->n_routes != b->n_routes || a->n_listeners != b->n_listeners ||
	    a->refused != b->refused)
		return false;
	for (unsigned i = 0; i < a->n_routes; i++) {
		const struct plan_route *x = &a->routes[i], *y = &b->routes[i];

		if (x->tier != y->tier || x->own_tier != y->own_tier ||
		    x->in_kernel != y->in_kernel)
			return false;
	}
	return true;
}

static bool same_addresses(const struct resolved_name *a, const struct addr *v, unsigned n)
{
	return a->n == n && !memcmp(a->addrs, v, n * sizeof(*v));
}

static void refuse(const struct resolved_name *now, const char *why)
{
	char text[ADDR_TEXT] = "nothing";

	if (now->n)
		addr_format(&now->addrs[0], text);
	log_warn("name \"%s\": %s: it stays at %s%s", now->name, why, text,
		 now->n > 1 ? ", ..." : "");
}

/* Is the plan with these addresses one that serves the same in the same way? Then they stay. */
static int try_name(struct job *j, struct resolved_name *name, const struct addr *v, unsigned n)
{
	const struct resolved_name old = *name;
	struct addr *copy = malloc(n * sizeof(*v));
	struct plan *p;

	if (!copy)
		return err_set(j->e, ENOMEM, "out of memory");
	memcpy(copy, v, n * sizeof(*v));
	name->addrs = copy;
	name->n = n;
	p = plan_now(j);
	if (p && same_service(j->plan, p)) {
		free(old.addrs);
		plan_free(j->plan);
		j->plan = p;
		return 0;
	}
	plan_free(p);
	free(copy);
	*name = old;
	refuse(name, "with its new addresses a route would need another tier");
	return 0;
}

static int settle_name(struct job *j, struct resolved_name *name)
{
	const struct found_name *asked = state_found_name(j->wish, name->name);
	const struct found_name *had = state_found_name(&j->before, name->name);
	struct addr v[RESOLVE_MAX_ADDRS];
	const unsigned n = asked ? found_accept(name->name, name, asked->addrs, asked->n, v) : 0;
	int rc = 0;

	if (asked && !n)
		refuse(name, "no address that it has now may be a target");
	if (n && !same_addresses(name, v, n))
		rc = try_name(j, name, v, n);
	/* It stands there as soon as it is another than N.json has. */
	if (!rc && name->n && ((had && had->since >= j->s.live) || n))
		rc = state_found_add_name(&j->after, name->name, j->s.live, name->addrs, name->n);
	return rc ? err_set(j->e, -rc, "out of memory") : 0;
}

/* ---- who is down ---- */

static const struct cfg_route *find_route(const struct config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_routes; i++)
		if (c->routes[i].enabled && !strcmp(c->routes[i].name, name))
			return &c->routes[i];
	return NULL;
}

static bool is_checked(const struct config *c, const struct target_down *d)
{
	const struct cfg_route *r = find_route(c, d->route);
	unsigned n = 0, i = 0;
	uint32_t *tags;

	if (!r || !r->action.health_check || plan_host_tags(&r->action, &tags, &n))
		return false;
	while (i < n && tags[i] != d->tag)
		i++;
	free(tags);
	return i < n;
}

static int settle_down(struct job *j)
{
	for (unsigned i = 0; i < j->wish->n_down; i++) {
		const struct target_down *d = &j->wish->down[i];

		if (!is_checked(j->config, d))
			continue;
		if (state_found_add_down(&j->after, d->route, d->tag))
			return err_set(j->e, ENOMEM, "out of memory");
	}
	return 0;
}

static void log_changes(const struct job *j, const struct apply_result *r)
{
	log_debug("found: %u name%s moved, %u target%s down; the table: %zu more, %zu less; "
		  "%u connection%s ended",
		  j->after.n_names, text_plural(j->after.n_names), j->after.n_down,
		  text_plural(j->after.n_down), r->stats.elems_added, r->stats.elems_deleted,
		  r->flows_ended, text_plural(r->flows_ended));
}

static int commit(struct job *j)
{
	const struct again_request r = { .generation = j->s.live,
					 .same_number = true,
					 .by_service = true };
	struct apply_result result = { 0 };
	struct err why = { 0 };
	int rc;

	memcpy(j->after.boot, j->s.state.boot, sizeof(j->after.boot));
	state_found_sort(&j->after);
	rc = state_found_save(&j->s.state, &j->after, j->e);
	if (rc)
		return rc;
	FAILPOINT(found);
	rc = again_apply(&j->s, &r, &result, NULL, j->e);
	if (!rc)
		log_changes(j, &result);
	else if (state_found_save(&j->s.state, &j->before, &why))
		err_wrap(j->e, "%s", why.msg);
	return rc;
}

static void job_fini(struct job *j)
{
	plan_free(j->plan);
	/* The names were lent by the meta. */
	j->g.names = NULL;
	j->g.n_names = 0;
	gather_fini(&j->g);
	config_free(j->config);
	buf_fini(&j->text);
	state_meta_fini(&j->meta);
	state_found_fini(&j->before);
	state_found_fini(&j->after);
	if (j->s.nft)
		session_close(&j->s);
}

static int settle(struct job *j)
{
	int rc = open_live(j);

	for (unsigned i = 0; i < j->meta.n_names && !rc; i++)
		rc = settle_name(j, &j->meta.names[i]);
	rc = rc ? rc : settle_down(j);
	return rc ? rc : commit(j);
}

int found_commit(const char *state_dir, const char *run_dir, const struct state_found *wish,
		 struct err *e)
{
	struct job j = { .wish = wish, .e = e };
	int rc = session_open(&j.s, state_dir, run_dir, SESSION_LOCK, 0, e);

	if (rc)
		return rc == -ENOLCK ? -EAGAIN : rc;
	if (!j.s.live || j.s.live != wish->generation)
		rc = err_set(e, EAGAIN, "generation %u is not live", wish->generation);
	else
		rc = settle(&j);
	job_fini(&j);
	return rc;
}
