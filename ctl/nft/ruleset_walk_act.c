/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What rules do: verdicts, limits, counters, refusals, translation.
 */
#include <arpa/inet.h>
#include <errno.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnftnl/expr.h>

#include "ctl/nft/ruleset_compile.h"
#include "ctl/nft/ruleset_walk_internal.h"

#define REFUSING "no_" /* chains that refuse begin with this */

/* ---- verdicts ---- */

/* A packet that is left alone without a lookup. */
static void tell_return(struct walker *w)
{
	const struct addr *a = &w->p->address;

	if (w->told)
		return;
	if (*w->comment)
		walk_result(walk_step(w, WALK_ADDRESS, w->comment), "left alone");
	else if (w->p->local && a->family == ADDR_V6 && addr_is_loopback(a))
		walk_result(walk_step(w, WALK_ADDRESS, "ip6 daddr ::1"),
			    "left alone: the answer could not come back to ::1");
}

static void tell_refusal(struct walker *w)
{
	if (!w->told)
		walk_step(w, WALK_LIST, *w->comment ? w->comment : "rule");
	if (w->rc)
		return;
	walk_add_result(w, "%srefused", *w->out->steps[w->out->n_steps - 1].result ? ": " : "");
}

static void tell_verdict(struct walker *w)
{
	if (w->verdict == NFT_GOTO && !strncmp(w->to, REFUSING, sizeof(REFUSING) - 1))
		tell_refusal(w);
	else if (w->verdict == NF_DROP)
		walk_result(walk_step(w, WALK_DROP, *w->comment ? w->comment : "rule"), "dropped");
	else if (w->verdict == NFT_RETURN && !strcmp(w->comment, "proxyIPs"))
		walk_add_result(w, ": no limits");
	else if (w->verdict == NFT_RETURN)
		tell_return(w);
}

enum walk_go walk_immediate(struct walker *w, const struct nftnl_expr *ex)
{
	uint32_t len = 0;
	const void *data;

	if (walk_get(ex, NFTNL_EXPR_IMM_DREG) != NFT_REG_VERDICT) {
		data = nftnl_expr_get(ex, NFTNL_EXPR_IMM_DATA, &len);
		walk_store(w, walk_get(ex, NFTNL_EXPR_IMM_DREG), data, len, 0);
		return GO_ON;
	}
	w->verdict = (int)walk_get(ex, NFTNL_EXPR_IMM_VERDICT);
	w->to[0] = '\0';
	if (nftnl_expr_is_set(ex, NFTNL_EXPR_IMM_CHAIN))
		snprintf(w->to, sizeof(w->to), "%s", nftnl_expr_get_str(ex, NFTNL_EXPR_IMM_CHAIN));
	tell_verdict(w);
	if (w->verdict == NF_DROP)
		return walk_end(w, WALK_DROPPED);
	return w->rc ? GO_END : GO_VERDICT;
}

enum walk_go walk_reject(struct walker *w, const struct nftnl_expr *ex)
{
	bool reset = walk_get(ex, NFTNL_EXPR_REJECT_TYPE) == NFT_REJECT_TCP_RST;
	const char *why =
		w->count_as < 0 ? "refused" : refusal_reason((enum refusal_kind)w->count_as);

	walk_result(walk_step(w, WALK_REFUSE, why), "%s",
		    reset ? "TCP reset" : "ICMP port unreachable");
	return walk_end(w, WALK_REFUSED);
}

/* ---- sets that the kernel fills ---- */

/* Whom an element of a dynamic set counts: the client, the route, or both. */
struct whom {
	struct addr client; /* ADDR_NONE = everybody, or not known */
	bool each;	    /* the client matters and is not known */
	uint32_t route;	    /* 0 = all */
};

static struct whom whom_of_key(const struct walker *w, const struct rs_set_def *def, int at)
{
	unsigned len = w->p->family == ADDR_V4 ? 4 : 16, first = (unsigned)at / 4;
	const uint8_t *key = w->reg + at;
	struct whom o = { 0 };

	for (unsigned i = 0; i < def->key_len / 4 && !o.route; i++)
		if (w->of_label[first + i])
			memcpy(&o.route, key + 4 * i, sizeof(o.route));
	if (w->of_label[first] || def->key_len < len)
		return o;
	o.each = walk_dep(w, at, len) & DEP_CLIENT;
	if (!o.each) {
		o.client.family = (uint8_t)w->p->family;
		memcpy(o.client.bytes, key, len);
	}
	return o;
}

/* The step of a limit, with whom it concerns as key. */
static struct walk_step *limit_step(struct walker *w, enum walk_what what,
				    const struct rs_set_def *def, const struct whom *o)
{
	char object[RS_NAME_MAX + 8], text[ADDR_TEXT], label[90];
	const char *wide = w->p->family == ADDR_V6 ? "/64" : "";
	const uint32_t id[4] = { o->route };
	struct walk_step *s;

	snprintf(object, sizeof(object), "set %s", def->name);
	s = walk_step(w, what, object);
	if (o->each)
		snprintf(s->key, sizeof(s->key), "each client%s, ", wide);
	else if (o->client.family)
		snprintf(s->key, sizeof(s->key), "%s%s, ", addr_format(&o->client, text), wide);
	snprintf(s->key + strlen(s->key), sizeof(s->key) - strlen(s->key), "%s",
		 o->route ? walk_label_text(w, id, label, sizeof(label)) : "all routes");
	return s;
}

/* 1, 0; -1 = not known, or another one for each client. */
static int has_element(const struct walker *w, const struct rs_set_def *def, int at,
		       const struct whom *o)
{
	if (o->each || !w->world->has)
		return -1;
	return w->world->has(def->name, w->reg + at, def->key_len, w->world->arg);
}

static enum walk_go run_rate(struct walker *w, const struct rs_set_def *def, int at,
			     const struct nftnl_expr *limit)
{
	struct whom o = whom_of_key(w, def, at);
	struct walk_step *s = limit_step(w, WALK_RATE, def, &o);
	int there = has_element(w, def, at, &o);

	walk_result(s, "at most %lu new a minute",
		    (unsigned long)nftnl_expr_get_u64(limit, NFTNL_EXPR_LIMIT_RATE));
	/* How full its bucket is, the kernel does not tell. */
	if (there > 0) {
		walk_result(s, "; it was here within two minutes");
		w->out->rate_open = true;
	} else if (!there) {
		walk_result(s, "; it was not here for two minutes");
	}
	return GO_BREAK;
}

/*
 * The kernel enters the new connection, then asks: more than `max`? What it has entered it does not
 * tell. Those that live are as many or more: what was open before the limit was there is not
 * counted. Where it has no element it has nobody: a new one, or none for want of room, lets in.
 */
static enum walk_go run_at_once(struct walker *w, struct walk_step *s, const struct whom *o,
				int there, const struct nftnl_expr *limit)
{
	unsigned max = nftnl_expr_get_u32(limit, NFTNL_EXPR_CONNLIMIT_COUNT);
	long live = !o->each && there && w->world->live
			    ? w->world->live(o->route, &o->client, w->world->arg)
			    : -1;

	if (!there)
		walk_result(s, "nobody counted, %u may be", max);
	else if (live < 0)
		walk_result(s, "at most %u at once", max);
	else
		walk_result(s, "at most %ld counted, %u may be", live, max);
	if (live < 0 || (unsigned long)live < max)
		return GO_BREAK;
	w->out->count_open = true;
	return GO_ON;
}

static void note_refusal(struct walker *w, const char *set)
{
	for (int k = 0; k < N_REFUSALS; k++)
		if (!strcmp(set, refusal_set_name((enum refusal_kind)k)))
			w->count_as = k;
}

static enum walk_go run_count(struct walker *w, const struct rs_set_def *def, const uint8_t *key)
{
	char object[RS_NAME_MAX + 8];
	struct walk_step *s;

	snprintf(object, sizeof(object), "set %s", def->name);
	s = walk_step(w, WALK_COUNT, object);
	memcpy(s->set, def->name, sizeof(s->set));
	memcpy(s->label, key, sizeof(s->label));
	walk_label_text(w, s->label, s->key, sizeof(s->key));
	walk_result(s, "%s",
		    !strcmp(def->name, count_set_name(COUNT_NEW))    ? "let in"
		    : !strcmp(def->name, count_set_name(COUNT_UP))   ? "from the client"
		    : !strcmp(def->name, count_set_name(COUNT_DOWN)) ? "to the client"
								     : "refused");
	note_refusal(w, def->name);
	return GO_ON;
}

static int take_state(struct nftnl_expr *ex, void *arg)
{
	const struct nftnl_expr **state = arg;

	*state = ex;
	return 0;
}

enum walk_go walk_dynset(struct walker *w, const struct nftnl_expr *ex)
{
	const struct rs_set *set = walk_set(w, nftnl_expr_get_str(ex, NFTNL_EXPR_DYNSET_SET_NAME));
	const struct nftnl_expr *state = NULL;
	const char *kind;
	struct whom o;
	int at;

	at = set ? walk_reg(walk_get(ex, NFTNL_EXPR_DYNSET_SREG_KEY), set->def.key_len) : -1;
	if (at < 0)
		return walk_end(w, WALK_UNKNOWN);
	/* (nftnl_expr_get() does not find what nftnl_expr_add_expr() put there.) */
	nftnl_expr_expr_foreach(ex, take_state, &state);
	kind = state ? nftnl_expr_get_str(state, NFTNL_EXPR_NAME) : "";
	if (!strcmp(kind, "limit"))
		return run_rate(w, &set->def, at, state);
	if (!strcmp(kind, "counter") && set->def.key_len == sizeof(w->out->label))
		return run_count(w, &set->def, w->reg + at);
	if (strcmp(kind, "connlimit"))
		return walk_end(w, WALK_UNKNOWN);
	o = whom_of_key(w, &set->def, at);
	return run_at_once(w, limit_step(w, WALK_CONNECTIONS, &set->def, &o), &o,
			   has_element(w, &set->def, at, &o), state);
}

/* A rule's own list: of the route whose rule it is. */
enum walk_go walk_connlimit(struct walker *w, const struct nftnl_expr *ex)
{
	struct walk_step *s = walk_step(w, WALK_CONNECTIONS, *w->comment ? w->comment : "ct count");
	const struct whom o = { .route = w->out->label[0] };

	walk_label_text(w, w->out->label, s->key, sizeof(s->key));
	return run_at_once(w, s, &o, -1, ex);
}

/* ---- translation ---- */

struct walk_target *walk_add_target(struct walker *w)
{
	struct walk *out = w->out;

	if (out->n_targets == out->cap_targets) {
		size_t cap = out->cap_targets ? out->cap_targets * 2 : 4;
		struct walk_target *v = reallocarray(out->targets, cap, sizeof(*v));

		if (!v) {
			w->rc = -ENOMEM;
			return NULL;
		}
		out->targets = v;
		out->cap_targets = cap;
	}
	out->targets[out->n_targets] = (struct walk_target){ .share = 1 };
	return &out->targets[out->n_targets++];
}

static void dnat_step(struct walker *w)
{
	struct walk_step *s = walk_step(w, WALK_DNAT, "dnat");
	char text[ADDR_TEXT];
	const struct walk_target *t = w->out->targets;

	if (w->out->n_targets > 1)
		walk_result(s, "to one of %zu targets", w->out->n_targets);
	else if (t->addr.family == ADDR_V6)
		walk_result(s, "to [%s]:%u", addr_format(&t->addr, text), t->port);
	else
		walk_result(s, "to %s:%u", addr_format(&t->addr, text), t->port);
}

/* The port that stands in the register, or the same. */
static uint16_t nat_port(const struct walker *w, uint32_t reg)
{
	int at = reg ? walk_reg(reg, 2) : -1;
	uint16_t port_be;

	if (at < 0)
		return w->p->port;
	memcpy(&port_be, w->reg + at, sizeof(port_be));
	return ntohs(port_be);
}

enum walk_go walk_nat(struct walker *w, const struct nftnl_expr *ex)
{
	unsigned len = w->p->family == ADDR_V4 ? 4 : 16;
	uint32_t areg = walk_get(ex, NFTNL_EXPR_NAT_REG_ADDR_MIN);
	uint32_t preg = walk_get(ex, NFTNL_EXPR_NAT_REG_PROTO_MIN);
	int at = walk_reg(areg, len);
	struct walk_target *t;

	if (at < 0 || walk_get(ex, NFTNL_EXPR_NAT_TYPE) != NFT_NAT_DNAT)
		return walk_end(w, WALK_UNKNOWN);
	if (walk_dep(w, at, len) & DEP_CHOICE) {
		/* Where the map has no port it comes from elsewhere, for all the same. */
		bool of_map = preg && walk_dep(w, walk_reg(preg, 2), 2) & DEP_CHOICE;

		for (size_t i = 0; i < w->out->n_targets && !of_map; i++)
			w->out->targets[i].port = nat_port(w, preg);
	} else {
		w->out->n_targets = 0;
		w->out->shares = 1;
		t = walk_add_target(w);
		if (!t)
			return GO_END;
		t->addr.family = (uint8_t)w->p->family;
		memcpy(t->addr.bytes, w->reg + at, len);
		t->port = nat_port(w, preg);
		memcpy(t->label, w->out->label, sizeof(t->label));
	}
	dnat_step(w);
	w->translated = true;
	w->verdict = NF_ACCEPT;
	return GO_VERDICT;
}

enum walk_go walk_redirect(struct walker *w, const struct nftnl_expr *ex)
{
	struct walk_target *t;

	w->out->n_targets = 0;
	w->out->shares = 1;
	t = walk_add_target(w);
	if (!t)
		return GO_END;
	t->local = true;
	t->port = nat_port(w, walk_get(ex, NFTNL_EXPR_REDIR_REG_PROTO_MIN));
	memcpy(t->label, w->out->label, sizeof(t->label));
	walk_result(walk_step(w, WALK_REDIRECT, "redirect"), "to port %u of this host", t->port);
	w->out->redirected = w->translated = true;
	w->verdict = NF_ACCEPT;
	return GO_VERDICT;
}

enum walk_go walk_masquerade(struct walker *w, const struct nftnl_expr *ex)
{
	(void)ex;
	walk_result(walk_step(w, WALK_MASQUERADE, "masquerade"),
		    "the target sees this host's address");
	w->out->masqueraded = true;
	w->verdict = NF_ACCEPT;
	return GO_VERDICT;
}
