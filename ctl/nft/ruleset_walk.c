/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of things: hooks, base chains by priority, chains, rules. A rule of
 * the kernel is known by its hash alone; what it says stands in the wanted
 * ruleset's rule of the same hash, in the chain of the same name. (Rejected: to
 * know the layout of our chains here again. It would follow what we think that
 * the compiler writes, and not what it wrote.)
 *
 * A condition on what is not known - the client - is taken as not met, and noted;
 * where the way itself depends on it, the walk ends.
 */
#include "ctl/nft/ruleset_walk.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset_compile.h"
#include "ctl/nft/ruleset_walk_internal.h"

#define DEPTH_MAX 16 /* the kernel's own bound on jumps */
#define HOOK_MAX  16 /* base chains of one hook that are looked at */
/* Of a route's name, in a step. */
#define NAME_MAX_BYTES 40

const char *walk_what_name(enum walk_what what)
{
	static const char *const names[] = {
		[WALK_ADDRESS] = "address",
		[WALK_LOOKUP] = "lookup",
		[WALK_LIST] = "list",
		[WALK_RATE] = "rate",
		[WALK_CONNECTIONS] = "connections",
		[WALK_LABEL] = "label",
		[WALK_BALANCE] = "balance",
		[WALK_COUNT] = "count",
		[WALK_MAX_RATE] = "maxRate",
		[WALK_DNAT] = "dnat",
		[WALK_REDIRECT] = "redirect",
		[WALK_MASQUERADE] = "masquerade",
		[WALK_HAIRPIN] = "hairpin",
		[WALK_REFUSE] = "refuse",
		[WALK_DROP] = "drop",
		[WALK_CHANGED] = "changed",
	};

	return names[what];
}

const char *walk_verdict_name(enum walk_verdict v)
{
	static const char *const names[] = {
		[WALK_PASSES] = "passes",   [WALK_LED] = "led",	  [WALK_REFUSED] = "refused",
		[WALK_DROPPED] = "dropped", [WALK_OPEN] = "open", [WALK_UNKNOWN] = "unknown",
	};

	return names[v];
}

const char *walk_route_name(const struct route_ids *ids, uint32_t id)
{
	for (size_t i = 0; ids && i < ids->n; i++)
		if (ids->ids[i] == id)
			return route_ids_name(ids, i);
	return NULL;
}

/* ---- steps ---- */

struct walk_step *walk_step(struct walker *w, enum walk_what what, const char *object)
{
	static struct walk_step lost;
	struct walk *out = w->out;
	struct walk_step *s;

	if (out->n_steps == out->cap_steps) {
		size_t cap = out->cap_steps ? out->cap_steps * 2 : 16;
		struct walk_step *v = reallocarray(out->steps, cap, sizeof(*v));

		if (!v) {
			w->rc = -ENOMEM;
			return &lost;
		}
		out->steps = v;
		out->cap_steps = cap;
	}
	s = &out->steps[out->n_steps++];
	*s = (struct walk_step){ .what = what };
	snprintf(s->chain, sizeof(s->chain), "%s", w->chain);
	snprintf(s->object, sizeof(s->object), "%.*s", (int)sizeof(s->object) - 1, object);
	w->told = true;
	return s;
}

void walk_result(struct walk_step *s, const char *fmt, ...)
{
	size_t n = strlen(s->result);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->result + n, sizeof(s->result) - n, fmt, ap);
	va_end(ap);
}

void walk_add_result(struct walker *w, const char *fmt, ...)
{
	char text[100];
	va_list ap;

	if (!w->told || !w->out->n_steps)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	walk_result(&w->out->steps[w->out->n_steps - 1], "%s", text);
}

/* Cut between characters (UTF-8). */
static int name_len(const char *name)
{
	size_t n = strlen(name);

	if (n > NAME_MAX_BYTES)
		n = NAME_MAX_BYTES;
	while (n && ((unsigned char)name[n] & 0xc0) == 0x80)
		n--;
	return (int)n;
}

const char *walk_label_text(const struct walker *w, const uint32_t label[4], char *out, size_t cap)
{
	const char *name = walk_route_name(w->world->ids, label[0]);
	int len = name ? name_len(name) : 0;

	if (name)
		snprintf(out, cap, "route %u \"%.*s%s\"", label[0], len, name,
			 name[len] ? "..." : "");
	else
		snprintf(out, cap, "route %u", label[0]);
	return out;
}

enum walk_go walk_end(struct walker *w, enum walk_verdict v)
{
	w->out->verdict = v;
	return GO_END;
}

/* ---- rules ---- */

static const struct rs_rule *find_rule(const struct rs_chain *want, uint64_t hash, size_t at)
{
	if (!want || !hash)
		return NULL;
	if (at < want->n && want->rules[at].hash == hash)
		return &want->rules[at];
	for (size_t i = 0; i < want->n; i++)
		if (want->rules[i].hash == hash)
			return &want->rules[i];
	return NULL;
}

static const char *rule_comment(const struct nftnl_rule *r)
{
	uint32_t len = 0;
	const uint8_t *p = nftnl_rule_get_data(r, NFTNL_RULE_USERDATA, &len);

	if (p && len > 2 && p[0] == RS_UDATA_COMMENT && p[1] <= len - 2 && !p[1 + p[1]])
		return (const char *)p + 2;
	return "";
}

static enum walk_go run_rule(struct walker *w, const struct nftnl_rule *r)
{
	struct nftnl_expr_iter *it = nftnl_expr_iter_create(r);
	struct nftnl_expr *ex;
	enum walk_go go = GO_ON;

	if (!it) {
		w->rc = -ENOMEM;
		return GO_END;
	}
	w->comment = rule_comment(r);
	w->told = w->reply = false;
	memset(w->reg, 0, sizeof(w->reg));
	memset(w->dep, 0, sizeof(w->dep));
	memset(w->of_label, 0, sizeof(w->of_label));
	while (go == GO_ON && (ex = nftnl_expr_iter_next(it)))
		go = walk_expr(w, ex);
	nftnl_expr_iter_destroy(it);
	return w->rc ? GO_END : go;
}

/* ---- chains ---- */

enum passed { FELL_OFF, TAKEN, ENDED };

static enum passed run_chain(struct walker *w, const char *name, unsigned depth);

/* How what stands in the kernel differs; "" = not at all. Of a rule that is not ours the walk
 * tells when it meets it. */
static void chain_change(const struct rs_chain *have, const struct rs_chain *want, char *out,
			 size_t cap)
{
	size_t missing = 0;

	out[0] = '\0';
	if (!want) {
		snprintf(out, cap, "is not spctl's");
		return;
	}
	if (have->foreign || strcmp(have->type, want->type) || have->hooknum != want->hooknum ||
	    have->priority != want->priority) {
		snprintf(out, cap, "was changed by hand: its hook or policy");
		return;
	}
	for (size_t i = 0; i < want->n; i++)
		missing += !find_rule(have, want->rules[i].hash, i);
	if (missing)
		snprintf(out, cap, "was changed by hand: %zu of its %zu rule%s %s missing", missing,
			 want->n, text_plural(want->n), missing == 1 ? "is" : "are");
}

static void tell_change(struct walker *w, const char *name, const char *change)
{
	char object[RS_NAME_MAX + 8];
	struct walk_step *s;

	snprintf(object, sizeof(object), "chain %s", name);
	s = walk_step(w, WALK_CHANGED, object);
	walk_result(s, "%s", change);
	w->out->changed = true;
}

static enum passed take_verdict(struct walker *w, unsigned depth, bool *leave)
{
	enum passed p;

	*leave = true;
	switch (w->verdict) {
	case NFT_GOTO:
		return run_chain(w, w->to, depth + 1);
	case NFT_JUMP:
		p = run_chain(w, w->to, depth + 1);
		*leave = p != FELL_OFF;
		return p;
	case NFT_RETURN:
		return FELL_OFF;
	case NF_ACCEPT:
		return TAKEN;
	default:
		return ENDED; /* dropped or rejected: walk.verdict is set */
	}
}

static enum passed run_rules(struct walker *w, const struct rs_chain *have,
			     const struct rs_chain *want, unsigned depth)
{
	bool leave = false;

	for (size_t i = 0; i < have->n; i++) {
		const struct rs_rule *r = find_rule(want, have->rules[i].hash, i);
		enum walk_go go;
		enum passed p;

		w->chain = have->name;
		if (!r || !r->rule) {
			struct walk_step *s = walk_step(w, WALK_CHANGED, "rule");

			snprintf(s->key, sizeof(s->key), "%zu", i + 1);
			walk_result(s, "is not spctl's: what it does is not known");
			w->out->changed = true;
			walk_end(w, WALK_UNKNOWN);
			return ENDED;
		}
		go = run_rule(w, r->rule);
		if (go == GO_END)
			return ENDED;
		if (go != GO_VERDICT)
			continue;
		p = take_verdict(w, depth, &leave);
		if (leave)
			return p;
	}
	return FELL_OFF;
}

static enum passed run_chain(struct walker *w, const char *name, unsigned depth)
{
	const struct rs_chain *have = ruleset_find_chain(w->world->have, name);
	const struct rs_chain *want = ruleset_find_chain(w->world->want, name);
	const char *from = w->chain;
	char change[120];

	if (!have || depth > DEPTH_MAX) {
		tell_change(w, name, "cannot be followed");
		walk_end(w, WALK_UNKNOWN);
		return ENDED;
	}
	w->chain = have->name;
	chain_change(have, want, change, sizeof(change));
	if (*change)
		tell_change(w, name, change);
	if (!want) {
		walk_end(w, WALK_UNKNOWN);
		return ENDED;
	}
	enum passed p = run_rules(w, have, want, depth);

	w->chain = from;
	return p;
}

/* ---- hooks ---- */

static unsigned base_chains(const struct ruleset *rs, uint32_t hook,
			    const struct rs_chain *v[HOOK_MAX])
{
	unsigned n = 0;

	for (size_t i = 0; i < rs->n_chains; i++) {
		const struct rs_chain *c = rs->chains[i];
		unsigned k = n;

		if (!c->type[0] || c->hooknum != hook || n == HOOK_MAX)
			continue;
		for (; k && v[k - 1]->priority > c->priority; k--)
			v[k] = v[k - 1];
		v[k] = c;
		n++;
	}
	return n;
}

/* False when the packet goes no further. */
static bool run_hook(struct walker *w, uint32_t hook)
{
	const struct rs_chain *v[HOOK_MAX];
	unsigned n = base_chains(w->world->have, hook, v);

	for (unsigned i = 0; i < n; i++) {
		w->chain = v[i]->name;
		w->later = !strcmp(v[i]->type, "filter");
		if (!ruleset_find_chain(w->world->want, v[i]->name)) {
			tell_change(w, v[i]->name, "is not spctl's: what it does is not known");
			continue;
		}
		if (run_chain(w, v[i]->name, 0) == ENDED)
			return false;
	}
	return true;
}

static bool is_local(const struct walker *w, const struct addr *a, bool unknown)
{
	return w->world->is_local ? w->world->is_local(a, w->world->arg) : unknown;
}

/* Where it goes once its destination is what it is now. */
static void find_way(struct walker *w)
{
	struct walk *out = w->out;
	bool away = false;

	for (size_t i = 0; i < out->n_targets; i++) {
		struct walk_target *t = &out->targets[i];

		t->local = t->addr.family && is_local(w, &t->addr, addr_is_loopback(&t->addr));
		away |= t->addr.family && !t->local;
	}
	if (out->redirected)
		away = false;
	else if (!w->translated)
		away = w->p->address.family && !is_local(w, &w->p->address, true);
	out->forwarded = away;
	w->to_lo = w->p->local && !away;
}

static void run_rest(struct walker *w)
{
	find_way(w);
	/* Without a label nothing of ours meets it any more, but for the guard of forwarding. */
	if (!w->translated && (w->p->local || (!w->out->forwarded && !w->out->label[0])))
		return;
	if (!w->p->local && !run_hook(w, w->out->forwarded ? NF_INET_FORWARD : NF_INET_LOCAL_IN))
		return;
	if (w->p->local || w->out->forwarded)
		run_hook(w, NF_INET_POST_ROUTING);
}

int walk_run(const struct walk_world *world, const struct walk_packet *p, struct walk *out)
{
	struct walker w = { .world = world, .p = p, .out = out, .chain = "", .count_as = -1 };

	*out = (struct walk){ .verdict = WALK_PASSES, .refusal = -1 };
	if (world->have->exists &&
	    run_hook(&w, p->local ? NF_INET_LOCAL_OUT : NF_INET_PRE_ROUTING)) {
		if (w.translated)
			out->verdict = WALK_LED;
		run_rest(&w);
	}
	if (out->verdict == WALK_REFUSED)
		out->refusal = w.count_as;
	if (w.rc)
		walk_fini(out);
	return w.rc;
}

void walk_fini(struct walk *w)
{
	free(w->steps);
	free(w->targets);
	*w = (struct walk){ 0 };
}

/* ---- comparison ---- */

static bool same_target(const struct walk_target *a, const struct walk_target *b)
{
	return a->share == b->share && a->port == b->port && !addr_cmp(&a->addr, &b->addr) &&
	       !memcmp(a->label, b->label, sizeof(a->label));
}

bool walk_same_end(const struct walk *a, const struct walk *b)
{
	if (a->verdict != b->verdict || a->refusal != b->refusal || a->label[0] != b->label[0] ||
	    a->n_targets != b->n_targets || a->shares != b->shares ||
	    a->redirected != b->redirected || a->masqueraded != b->masqueraded)
		return false;
	for (size_t i = 0; i < a->n_targets; i++)
		if (!same_target(&a->targets[i], &b->targets[i]))
			return false;
	return true;
}
