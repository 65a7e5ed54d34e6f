/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/apply/gather.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl/apply/taken_ports.h"
#include "ctl/control/client.h"
#include "ctl/control/compile.h"

/* ---- names ---- */

static int name_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, distinct; strings are borrowed from the config. *n 0 with NULL is fine. */
static int collect_names(const struct config *c, const char ***out, unsigned *n_out)
{
	const char **v = NULL;
	unsigned n = 0, cap = 0, m = 0;

	for (unsigned i = 0; i < c->n_routes; i++) {
		const struct cfg_action *a = &c->routes[i].action;

		for (unsigned t = 0; c->routes[i].enabled && t < a->n_targets; t++) {
			for (unsigned h = 0; h < a->targets[t].n_hosts; h++) {
				if (a->targets[t].hosts[h].kind != HOST_NAME)
					continue;
				if (n == cap) {
					const char **w;

					cap = cap ? cap * 2 : 16;
					w = realloc(v, cap * sizeof(*v));
					if (!w) {
						free(v);
						return -ENOMEM;
					}
					v = w;
				}
				v[n++] = a->targets[t].hosts[h].text;
			}
		}
	}
	if (n)
		qsort(v, n, sizeof(*v), name_cmp);
	for (unsigned i = 0; i < n; i++)
		if (!i || strcmp(v[m - 1], v[i]))
			v[m++] = v[i];
	*out = v;
	*n_out = m;
	return 0;
}

bool gather_asks_names(const struct config *c)
{
	const char **names = NULL;
	unsigned n = 0;

	collect_names(c, &names, &n);
	free(names);
	return n != 0;
}

bool gather_known(const char *state_dir, const char *run_dir, struct state_meta *out)
{
	struct state s = { .lock_fd = -1 };
	struct err e = { 0 };
	uint32_t live = 0;
	bool known;

	if (control_look(run_dir) == CONTROL_NONE || state_open(&s, state_dir, run_dir, false, &e))
		return false;
	known = !state_live(&s, &live, &e) && live &&
		!state_read_generation(&s, live, out, NULL, &e);
	state_close(&s);
	return known;
}

static const struct resolved_name *find_last(const struct state_meta *last, const char *name)
{
	for (unsigned i = 0; last && i < last->n_names; i++)
		if (!strcmp(last->names[i].name, name) && last->names[i].n)
			return &last->names[i];
	return NULL;
}

static struct resolved_name not_asked(const char *name)
{
	struct resolved_name r = { .name = name };

	snprintf(r.why, sizeof(r.why), "the service followed it until just now");
	return r;
}

static bool take_addresses(struct resolved_name *now, const struct resolved_name *old)
{
	struct addr *v = malloc(old->n * sizeof(*v));

	if (!v)
		return false;
	memcpy(v, old->addrs, old->n * sizeof(*v));
	free(now->addrs);
	now->addrs = v;
	now->n = old->n;
	return true;
}

/* What the service follows is what it says: another answer of a moment ago is no other route. */
static void keep_last_good(struct resolved_name *now, const struct state_meta *last, bool followed,
			   struct diags *d)
{
	const struct resolved_name *old = find_last(last, now->name);

	if (!old || (now->n && !followed) || !take_addresses(now, old) || followed)
		return;
	diags_add(d, DIAG_WARNING, LOC_NONE, NULL, NULL,
		  "target \"%s\" cannot be resolved now (%s): the addresses of generation %u are "
		  "kept",
		  now->name, now->why, last->generation);
}

static int gather_host(struct gathered *g, struct err *e)
{
	int rc = host_facts_read(&g->host, e);

	g->facts.have_relay = true;
	if (rc)
		return rc;
	g->have_host = true;
	g->facts.host = &g->host;
	return 0;
}

/* Those that the service follows need not be asked for. 0 or negative. */
static int ask(struct gathered *g, const char *const *names, unsigned n,
	       const struct state_meta *known, unsigned timeout_ms, struct err *e)
{
	struct resolved_name *out = calloc(n, sizeof(*out));
	const char **asked = calloc(n, sizeof(*asked));
	unsigned n_asked = 0, k = 0;
	int rc = out && asked ? 0 : err_set(e, ENOMEM, "out of memory");

	for (unsigned i = 0; i < n && !rc; i++)
		if (!find_last(known, names[i]))
			asked[n_asked++] = names[i];
	if (!rc && n_asked)
		rc = resolve_names(asked, n_asked, timeout_ms, out, e);
	g->names = rc ? NULL : calloc(n, sizeof(*g->names));
	if (!rc && !g->names)
		rc = err_set(e, ENOMEM, "out of memory");
	for (unsigned i = 0; i < n && !rc; i++)
		g->names[i] = k < n_asked && asked[k] == names[i] ? out[k++] : not_asked(names[i]);
	g->n_names = rc ? 0 : n;
	free(asked);
	free(out);
	return rc;
}

int gather_names(struct gathered *g, const struct config *c, const struct state_meta *known,
		 unsigned timeout_ms, struct err *e)
{
	const char **names = NULL;
	unsigned n = 0;
	int rc = 0;

	memset(g, 0, sizeof(*g));
	if (collect_names(c, &names, &n))
		rc = err_set(e, ENOMEM, "out of memory");
	if (!rc && n)
		rc = ask(g, names, n, known, timeout_ms, e);
	free(names);
	if (rc)
		gather_fini(g);
	return rc;
}

int gather_rest(struct gathered *g, const struct state_meta *last, struct diags *d, struct err *e)
{
	int rc = gather_host(g, e);

	for (unsigned i = 0; i < g->n_names; i++)
		keep_last_good(&g->names[i], last, g->have_service, d);
	g->facts.names = g->names;
	g->facts.n_names = g->n_names;
	/* Who is down is good for as long as somebody looks. */
	if (last && (g->have_service || !g->no_daemon)) {
		g->facts.down = last->down; /* borrowed */
		g->facts.n_down = last->n_down;
	}
	if (rc)
		gather_fini(g);
	return rc;
}

int gather_facts(struct gathered *g, const struct config *c, const struct state_meta *last,
		 unsigned timeout_ms, struct diags *d, struct err *e)
{
	int rc = gather_names(g, c, NULL, timeout_ms, e);

	return rc ? rc : gather_rest(g, last, d, e);
}

int gather_past_facts(struct gathered *g, const struct state_meta *past, struct err *e)
{
	memset(g, 0, sizeof(*g));
	g->facts.names = past->names; /* borrowed */
	g->facts.n_names = past->n_names;
	g->facts.down = past->down;
	g->facts.n_down = past->n_down;
	return gather_host(g, e);
}

void gather_fini(struct gathered *g)
{
	if (g->have_host)
		host_facts_fini(&g->host);
	if (g->names)
		resolved_names_fini(g->names, g->n_names);
	free(g->names);
	memset(g, 0, sizeof(*g));
}

/* ---- warnings ---- */

static void list_addresses(const struct resolved_name *name, char *out, size_t cap)
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < name->n && len < cap; i++) {
		char text[ADDR_TEXT];

		len += (size_t)snprintf(out + len, cap - len, "%s%s", i ? ", " : "",
					addr_format(&name->addrs[i], text));
	}
}

/* Where a target of that name stands, or NULL: nobody uses it. */
static const struct cfg_host *first_user(const struct plan *p, const char *name)
{
	for (unsigned i = 0; i < p->n_routes; i++)
		for (unsigned k = 0; k < p->routes[i].n_targets; k++)
			if (p->routes[i].targets[k].host->kind == HOST_NAME &&
			    !strcmp(p->routes[i].targets[k].host->text, name))
				return p->routes[i].targets[k].host;
	return NULL;
}

static bool is_localhost(const char *name)
{
	size_t n = strlen(name);

	return !strcasecmp(name, "localhost") ||
	       (n > 10 && !strcasecmp(name + n - 10, ".localhost"));
}

static bool has_standby(const struct cfg_action *a)
{
	for (unsigned i = 0; i < a->n_targets; i++)
		if (a->targets[i].backup || a->targets[i].priority != a->targets[0].priority)
			return true;
	return false;
}

static bool follows(const struct gathered *g, const struct plan *p)
{
	return g->have_service || control_needs_service(p) ||
	       (!g->no_daemon && control_would_use_service(p));
}

/* Keys that a kernel route has and that only the service could follow. */
static void warn_unfollowed(const struct plan *p, bool follows_health, struct diags *d)
{
	for (unsigned i = 0; i < p->n_routes; i++) {
		const struct plan_route *r = &p->routes[i];
		const struct cfg_action *a = &r->route->action;

		if (r->tier != TIER_NFTABLES)
			continue;
		if (a->health_check && !follows_health)
			diags_add(
				d, DIAG_WARNING, a->health_check->loc, NULL, "spctl run starts it",
				"route \"%s\": healthCheck needs the service, which does not run: "
				"targets are not checked",
				r->route->name);
		if (has_standby(a))
			diags_add(d, DIAG_WARNING, a->loc, NULL,
				  "forwardingEngine \"relay\" uses them",
				  "route \"%s\": backup and lower-priority targets stand by: they "
				  "get no connections from the kernel tier",
				  r->route->name);
	}
}

static void add_keys(struct buf *b, const struct cfg_strings *keys)
{
	for (unsigned i = 0; i < keys->n; i++) {
		if (b->data && strstr(b->data, keys->v[i]))
			continue;
		if (b->len)
			buf_puts(b, ", ");
		buf_puts(b, keys->v[i]);
	}
}

/* One warning for all time limits: the kernel applies none of them. */
static void warn_time_limits(const struct plan *p, struct diags *d)
{
	struct buf keys = { 0 };
	bool kernel = false;

	for (unsigned i = 0; i < p->n_routes; i++) {
		if (p->routes[i].tier != TIER_NFTABLES)
			continue;
		kernel = true;
		add_keys(&keys, &p->routes[i].route->unapplied_in_kernel);
	}
	if (kernel)
		add_keys(&keys, &p->config->unapplied_in_kernel);
	if (keys.len && !keys.failed)
		diags_add(d, DIAG_WARNING, LOC_NONE, NULL, NULL,
			  "not applied to kernel routes: %s (forwardingEngine \"relay\" is the way "
			  "to have them)",
			  keys.data);
	buf_fini(&keys);
}

void gather_warn_lasting(const struct gathered *g, const struct plan *p, struct diags *d)
{
	for (unsigned i = 0; i < g->facts.n_names; i++) {
		const struct resolved_name *name = &g->facts.names[i];
		const struct cfg_host *user = first_user(p, name->name);
		char list[RESOLVE_MAX_ADDRS * (ADDR_TEXT + 2)];

		if (is_localhost(name->name) || !user || follows(g, p))
			continue;
		list_addresses(name, list, sizeof(list));
		diags_add(d, DIAG_WARNING, user->loc, NULL, NULL,
			  "target \"%s\" was resolved once to %s and is not followed", name->name,
			  list);
	}
	warn_unfollowed(p, follows(g, p), d);
	warn_time_limits(p, d);
}

void gather_warn(const struct gathered *g, const struct plan *p, struct diags *d)
{
	if (g->have_host)
		taken_ports_warn(&g->host, p, d);
	gather_warn_lasting(g, p, d);
}
