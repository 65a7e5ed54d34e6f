/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the walk needs to know, gathered; and what its end means. */
#include "ctl/cli/explain_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/apply/confirm.h"
#include "ctl/apply/expected.h"
#include "ctl/apply/session.h"
#include "ctl/host/conntrack.h"
#include "ctl/host/host_way.h"
#include "ctl/nft/nft_count.h"
#include "ctl/nft/nft_elem.h"

struct live_flow {
	uint32_t route;
	struct addr client;
};

/* Everything that is open while the walks are made. */
struct walking {
	const struct explain_question *q;
	struct session s;
	struct ruleset *want;
	struct live_flow *flows;
	size_t n_flows, cap_flows;
	bool have_flows, flows_failed;
};

/* The live generation, where another file is explained. */
struct live {
	struct state_meta meta;
	struct buf text;
	struct config *config;
	struct gathered facts;
	struct plan *plan;
	struct diags diags;
};

/* ---- what the walk asks ---- */

static bool is_local(const struct addr *a, void *arg)
{
	const struct walking *w = arg;

	return addr_set_has(&w->q->facts->host.local, a);
}

static bool is_hairpin(const struct addr *client, const struct addr *target, void *arg)
{
	struct host_path to_client, to_target;

	(void)arg;
	return !host_way_find(client, &to_client) && !host_way_find(target, &to_target) &&
	       to_client.oif == to_target.oif;
}

static int note_flow(const struct ct_flow *f, void *arg)
{
	struct walking *w = arg;

	if (f->closed || f->instance != label_instance(w->s.state.instance))
		return 0;
	if (w->n_flows == w->cap_flows) {
		size_t cap = w->cap_flows ? w->cap_flows * 2 : 256;
		struct live_flow *v = reallocarray(w->flows, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		w->flows = v;
		w->cap_flows = cap;
	}
	w->flows[w->n_flows++] = (struct live_flow){ f->id, f->client };
	return 0;
}

/* IPv6: the same /64 */
static bool same_client(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, a->family == ADDR_V4 ? 4 : 8);
}

static long live_now(uint32_t route, const struct addr *client, void *arg)
{
	struct walking *w = arg;
	struct err e = { 0 };
	long n = 0;

	/* Flows to user space have no label, and are counted with those of all routes. */
	if (!route && w->q->plan->n_listeners)
		return -1;
	if (!w->have_flows)
		w->flows_failed = conntrack_each(note_flow, w, &e) != 0;
	w->have_flows = true;
	for (size_t i = 0; i < w->n_flows; i++)
		n += (!route || w->flows[i].route == route) &&
		     (!client->family || same_client(&w->flows[i].client, client));
	return w->flows_failed ? -1 : n;
}

static int has_elem(const char *set, const void *key, uint32_t len, void *arg)
{
	struct walking *w = arg;
	int rc = nft_has_elem(w->s.nft, w->s.have->table, set, key, len, NULL);

	return rc < 0 ? -1 : rc;
}

/* ---- what is live ---- */

static void live_close(struct live *l)
{
	plan_free(l->plan);
	gather_fini(&l->facts);
	config_free(l->config);
	buf_fini(&l->text);
	state_meta_fini(&l->meta);
	diags_fini(&l->diags);
}

static int live_open(struct live *l, struct session *s, struct err *e)
{
	struct config_options opt = { .lenient = true };
	int rc = state_read_generation(&s->state, s->live, &l->meta, &l->text, e);

	if (rc)
		return rc;
	l->config = config_parse(l->meta.file, l->text.data, l->text.len, &opt, &l->diags);
	rc = l->config ? gather_past_facts(&l->facts, &l->meta, e) : -EINVAL;
	if (!rc)
		l->plan = plan_build(l->config, &l->facts.facts, &l->diags);
	if (rc || l->plan)
		return rc;
	return err_set(e, EINVAL, "generation %u cannot be planned any more", s->live);
}

static bool same_text(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

/* The table of what is live, if the file that was explained makes the same. */
static struct ruleset *want_of_file(struct walking *w, const struct live *l, struct err *e)
{
	struct ruleset *want = expected_ruleset(&w->s, l->plan, e), *other;
	char what[128];
	bool same;

	if (!want || same_text(w->q->file, &l->text))
		return want;
	other = expected_ruleset(&w->s, w->q->plan, e);
	same = other && ruleset_equal(want, other, what, sizeof(what));
	ruleset_free(other);
	if (same)
		return want;
	ruleset_free(want);
	err_set(e, ENOENT,
		"this file is not what is live; without a file, explain shows what the kernel "
		"does now");
	return NULL;
}

static int make_want(struct walking *w, struct err *e)
{
	struct live l = { 0 };
	int rc = 0;

	if (!w->q->file) {
		w->want = expected_ruleset(&w->s, w->q->plan, e);
	} else {
		rc = live_open(&l, &w->s, e);
		w->want = rc ? NULL : want_of_file(w, &l, e);
		live_close(&l);
	}
	return w->want ? 0 : -1;
}

static int open_all(struct walking *w, const struct options *o, struct err *e)
{
	int rc;

	if (geteuid() != 0)
		return err_set(e, EPERM,
			       "as root, explain also shows what the kernel's table "
			       "does with it");
	rc = confirm_open(&w->s, o->state_dir, o->run_dir, 0, o->timeout_ms, NULL, e);
	if (rc)
		return rc;
	if (!w->s.live)
		return err_set(e, ENOENT, "nothing is applied");
	rc = session_read_kernel(&w->s, session_table(&w->s), e);
	if (rc)
		return rc;
	if (w->s.have->exists && w->s.have->generation != w->s.live)
		return err_set(e, EBUSY,
			       "the kernel's table has generation %u and not %u: an apply is at "
			       "work, or was interrupted",
			       w->s.have->generation, w->s.live);
	return make_want(w, e);
}

/* ---- walking ---- */

/* The families that the question leaves open and the table serves. */
static unsigned choose_families(const struct walking *w, int v[2])
{
	const struct plan_conn *c = &w->q->conn;
	unsigned n = 0;

	if (c->client.family || c->local.family) {
		v[0] = c->client.family ? c->client.family : c->local.family;
		return 1;
	}
	if (ruleset_find_chain(w->want, "dec4") || !ruleset_find_chain(w->want, "dec6"))
		v[n++] = ADDR_V4;
	if (ruleset_find_chain(w->want, "dec6"))
		v[n++] = ADDR_V6;
	return n;
}

static bool leads_to_loopback(const struct walk *w)
{
	for (size_t i = 0; i < w->n_targets; i++)
		if (w->targets[i].addr.family == ADDR_V4 && addr_is_loopback(&w->targets[i].addr))
			return true;
	return false;
}

static void add_setting(struct explain_family *f, const char *name, bool on, const char *why)
{
	struct explain_setting *s = &f->settings[f->n_settings++];

	s->name = name;
	s->on = on;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static void find_forwarding(const struct walking *w, struct explain_family *f, bool v4)
{
	const struct sysctl_wants need = { .forward_v4 = v4, .forward_v6 = !v4 };
	const struct sysctl_wants ours = sysctl_journal_wants(w->s.journal);
	bool turned = v4 ? ours.forward_v4 : ours.forward_v6;

	add_setting(f, v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding",
		    !sysctl_is_pending(&need),
		    turned ? "turned on by spctl: chain forw drops what is not of its routes"
			   : "was on before: spctl leaves other traffic alone");
}

static void find_settings(const struct walking *w, struct explain_family *f, bool v4)
{
	const struct sysctl_wants need = { .route_localnet = true };
	const struct addr *client = &w->q->conn.client;
	bool loopback = client->family == ADDR_V4 && addr_is_loopback(client);

	if (f->walk.verdict != WALK_LED)
		return;
	if (f->walk.forwarded && !w->q->local)
		find_forwarding(w, f, v4);
	if (v4 && (leads_to_loopback(&f->walk) ? !w->q->local : loopback && f->walk.forwarded))
		add_setting(f, "net.ipv4.conf.all.route_localnet", !sysctl_is_pending(&need),
			    ruleset_find_chain(w->s.have, "lo127")
				    ? "chain lo127 keeps the network from 127.0.0.0/8"
				    : "no chain lo127 keeps the network from 127.0.0.0/8");
}

static int walk_family(struct walking *w, const char *drift, int family, struct explain_family *f)
{
	const struct plan_conn *c = &w->q->conn;
	struct walk_world world = { .have = w->s.have,
				    .want = w->want,
				    .ids = &w->s.ids,
				    .is_local = is_local,
				    .is_hairpin = is_hairpin,
				    .live = live_now,
				    .has = has_elem,
				    .arg = w };
	const struct walk_packet p = { .local = w->q->local,
				       .family = family,
				       .proto = c->proto,
				       .port = c->port,
				       .address = c->local,
				       .client = c->client };
	struct walk right;
	int rc = walk_run(&world, &p, &f->walk);

	if (rc)
		return rc;
	find_settings(w, f, family == ADDR_V4);
	if (!*drift)
		return 0;
	world.have = w->want;
	rc = walk_run(&world, &p, &right);
	if (rc)
		return rc;
	f->differs = !walk_same_end(&f->walk, &right) || f->walk.changed;
	explain_end_text(&right, f->wanted, sizeof(f->wanted));
	walk_fini(&right);
	return 0;
}

static void find_drift(struct walking *w, char *what, size_t cap)
{
	if (!w->s.have->exists) {
		snprintf(what, cap, "the table is gone (flushed or deleted)");
		return;
	}
	if (w->s.from_image)
		return;
	ruleset_choose_sizes(w->want, w->s.have);
	if (ruleset_equal(w->want, w->s.have, what, cap))
		what[0] = '\0';
}

static const char *count_set(unsigned k)
{
	return k < N_COUNTS ? count_set_name((enum count_kind)k)
			    : refusal_set_name((enum refusal_kind)(k - N_COUNTS));
}

static int read_counts(const struct walking *w, struct explained *out, struct err *e)
{
	int rc = 0;

	for (unsigned k = 0; k < EXPLAIN_COUNTS && !rc; k++)
		rc = nft_counts_read(w->s.nft, out->table, count_set(k), &out->counts[k], e);
	return rc;
}

static int walk_all(struct walking *w, struct explained *out, struct err *e)
{
	struct confirm_view confirm;
	int rc = 0;

	snprintf(out->table, sizeof(out->table), "%s", w->s.have->table);
	out->generation = w->s.live;
	out->instance = label_instance(w->s.state.instance);
	confirm_look(&w->s, &confirm);
	out->waits = confirm.generation;
	find_drift(w, out->drift, sizeof(out->drift));
	out->n = choose_families(w, out->families);
	for (unsigned i = 0; i < out->n && !rc; i++)
		rc = walk_family(w, out->drift, out->families[i], &out->v[i]);
	if (rc)
		return err_set(e, rc, "out of memory");
	out->shown = true;
	return read_counts(w, out, e);
}

void explain_walk(const struct options *o, const struct explain_question *q, struct explained *out)
{
	struct walking w = { .q = q };
	struct err e = { 0 };

	*out = (struct explained){ 0 };
	if (open_all(&w, o, &e) || walk_all(&w, out, &e))
		snprintf(out->note, sizeof(out->note), "%s",
			 *e.msg ? e.msg : "the kernel's table cannot be compared");
	ruleset_free(w.want);
	free(w.flows);
	if (w.s.nft)
		session_close(&w.s);
}

void explain_walk_fini(struct explained *x)
{
	for (unsigned i = 0; i < x->n; i++)
		walk_fini(&x->v[i].walk);
	for (unsigned k = 0; k < EXPLAIN_COUNTS; k++)
		nft_counts_fini(&x->counts[k]);
	*x = (struct explained){ 0 };
}
