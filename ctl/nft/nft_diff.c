/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two sealed rulesets side by side become one transaction. Everything is
 * sorted, so each step is a merge of two lists.
 *
 * The order inside the transaction makes every name free before it is used
 * again and every reference gone before its object:
 *   rules of changed and dying chains out; old elements out; dying sets out;
 *   dying chains out; new sets in; new chains in; rules in; new elements in.
 * The kernel shows packets either all of it or nothing. An unchanged chain is
 * never touched: its counters, numgen positions and `ct count` lists live on.
 *
 * What cannot be changed in place (a set's definition, a base chain's hook) is
 * deleted and made anew; a chain that mentions such a set is rewritten too, since
 * its rules hold the old one.
 *
 * Intervals are compared as pairs of start and end: a lone new end would meet
 * the kernel's overlap check half-way.
 */
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#include "ctl/nft/nft.h"
#include "ctl/nft/nft_batch.h"

enum fate { KEEP, CHANGE, ADD, DELETE, RENEW };

/* One name of either side. */
struct pair {
	union {
		const struct rs_set *old_set;
		const struct rs_chain *old_chain;
	};
	union {
		const struct rs_set *new_set;
		const struct rs_chain *new_chain;
	};
	enum fate fate;
};

struct diff {
	struct nft_batch *b;
	struct pair *sets, *chains; /* sorted by name */
	size_t n_sets, n_chains;
	bool renewed; /* some set is deleted and made anew */
	struct nft_change_stats stats;
};

static const struct ruleset nothing;

/* ---- pairing ---- */

static enum fate set_fate(const struct rs_set *o, const struct rs_set *n)
{
	if (!o || !n)
		return o ? DELETE : ADD;
	return o->foreign || !rs_set_def_equal(&o->def, &n->def) ? RENEW : KEEP;
}

static bool rules_equal(const struct rs_chain *o, const struct rs_chain *n)
{
	if (o->n != n->n)
		return false;
	for (size_t i = 0; i < o->n; i++) {
		if (!o->rules[i].hash || o->rules[i].hash != n->rules[i].hash)
			return false;
	}
	return true;
}

static enum fate chain_fate(const struct rs_chain *o, const struct rs_chain *n)
{
	if (!o || !n)
		return o ? DELETE : ADD;
	if (o->foreign || strcmp(o->type, n->type) || o->hooknum != n->hooknum ||
	    o->priority != n->priority)
		return RENEW;
	return rules_equal(o, n) ? KEEP : CHANGE;
}

/* <0: the left one stands alone, >0: the right one, 0: both. */
static int meet(const char *a, const char *b)
{
	if (!a || !b)
		return a ? -1 : 1;
	return strcmp(a, b);
}

static int pair_sets(struct diff *d, const struct ruleset *have, const struct ruleset *want)
{
	size_t i = 0, k = 0;

	d->sets = calloc(have->n_sets + want->n_sets + 1, sizeof(*d->sets));
	if (!d->sets)
		return -ENOMEM;
	while (i < have->n_sets || k < want->n_sets) {
		const struct rs_set *o = i < have->n_sets ? have->sets[i] : NULL;
		const struct rs_set *n = k < want->n_sets ? want->sets[k] : NULL;
		int c = meet(o ? o->def.name : NULL, n ? n->def.name : NULL);
		struct pair *p = &d->sets[d->n_sets++];

		p->old_set = c <= 0 ? o : NULL;
		p->new_set = c >= 0 ? n : NULL;
		p->fate = set_fate(p->old_set, p->new_set);
		d->renewed |= p->fate == RENEW;
		i += c <= 0;
		k += c >= 0;
	}
	return 0;
}

static int pair_chains(struct diff *d, const struct ruleset *have, const struct ruleset *want)
{
	size_t i = 0, k = 0;

	d->chains = calloc(have->n_chains + want->n_chains + 1, sizeof(*d->chains));
	if (!d->chains)
		return -ENOMEM;
	while (i < have->n_chains || k < want->n_chains) {
		const struct rs_chain *o = i < have->n_chains ? have->chains[i] : NULL;
		const struct rs_chain *n = k < want->n_chains ? want->chains[k] : NULL;
		int c = meet(o ? o->name : NULL, n ? n->name : NULL);
		struct pair *p = &d->chains[d->n_chains++];

		p->old_chain = c <= 0 ? o : NULL;
		p->new_chain = c >= 0 ? n : NULL;
		p->fate = chain_fate(p->old_chain, p->new_chain);
		i += c <= 0;
		k += c >= 0;
	}
	return 0;
}

/*
 * ---- references to renewed sets ----
 * Chains need no such care: only base chains are ever renewed, and nothing can
 * go to a base chain.
 */

static bool is_renewed(const struct diff *d, const char *set)
{
	size_t lo = 0, hi = d->n_sets;

	while (set && lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct pair *p = &d->sets[mid];
		int c = strcmp(p->old_set ? p->old_set->def.name : p->new_set->def.name, set);

		if (!c)
			return p->fate == RENEW;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

static const char *expr_str(const struct nftnl_expr *ex, uint16_t attr)
{
	return nftnl_expr_is_set(ex, attr) ? nftnl_expr_get_str(ex, attr) : NULL;
}

static int expr_refers(struct nftnl_expr *ex, void *data)
{
	const char *name = nftnl_expr_get_str(ex, NFTNL_EXPR_NAME);
	const struct diff *d = data;

	if (!strcmp(name, "lookup"))
		return is_renewed(d, expr_str(ex, NFTNL_EXPR_LOOKUP_SET)) ? -1 : 0;
	if (!strcmp(name, "dynset"))
		return is_renewed(d, expr_str(ex, NFTNL_EXPR_DYNSET_SET_NAME)) ? -1 : 0;
	return 0;
}

static bool chain_refers(struct diff *d, const struct rs_chain *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (c->rules[i].rule && nftnl_expr_foreach(c->rules[i].rule, expr_refers, d) < 0)
			return true;
	}
	return false;
}

static void find_referring_chains(struct diff *d)
{
	for (size_t i = 0; d->renewed && i < d->n_chains; i++) {
		struct pair *p = &d->chains[i];

		if (p->fate == KEEP && chain_refers(d, p->new_chain))
			p->fate = CHANGE;
	}
}

/* ---- elements ---- */

/* One set's walk: the same code counts nothing twice, deletes first and adds last. */
struct walk {
	struct diff *d;
	const struct rs_set *o, *n; /* either may be NULL */
	size_t stride;
	bool intervals;
	uint16_t type; /* what this walk emits */
};

static bool is_end(const struct rs_set *s, size_t stride, size_t i)
{
	return rs_elem_flags(&s->def, rs_elem(s, stride, i)) & RS_ELEM_INTERVAL_END;
}

/* Elements from i that belong together: an interval's start and its end. */
static size_t unit_len(const struct walk *w, const struct rs_set *s, size_t i)
{
	if (!w->intervals || i + 1 >= s->n || is_end(s, w->stride, i))
		return 1;
	return is_end(s, w->stride, i + 1) ? 2 : 1;
}

static bool unit_equal(const struct walk *w, size_t i, size_t li, size_t k, size_t lk)
{
	return li == lk &&
	       !memcmp(rs_elem(w->o, w->stride, i), rs_elem(w->n, w->stride, k), li * w->stride);
}

static void emit(const struct walk *w, uint16_t type, size_t i, size_t len)
{
	bool add = type == NFT_MSG_NEWSETELEM;

	if (w->type != type)
		return;
	*(add ? &w->d->stats.elems_added : &w->d->stats.elems_deleted) += len;
	for (size_t k = i; k < i + len; k++)
		nft_batch_elem(w->d->b, type, add ? w->n : w->o, (uint32_t)k);
}

static void walk_elems(const struct walk *w)
{
	size_t no = w->o ? w->o->n : 0, nn = w->n ? w->n->n : 0, i = 0, k = 0;

	while (i < no || k < nn) {
		size_t li = i < no ? unit_len(w, w->o, i) : 0;
		size_t lk = k < nn ? unit_len(w, w->n, k) : 0;
		int c = !li   ? 1
			: !lk ? -1
			      : rs_elem_cmp(&w->o->def, rs_elem(w->o, w->stride, i),
					    rs_elem(w->n, w->stride, k));

		if (c || !unit_equal(w, i, li, k, lk)) {
			if (c <= 0)
				emit(w, NFT_MSG_DELSETELEM, i, li);
			if (c >= 0)
				emit(w, NFT_MSG_NEWSETELEM, k, lk);
		}
		i += c <= 0 ? li : 0;
		k += c >= 0 ? lk : 0;
	}
}

static void walk_set(struct diff *d, const struct pair *p, uint16_t type)
{
	const struct rs_set *any = p->new_set ? p->new_set : p->old_set;
	struct walk w = { .d = d, .type = type };

	if (!any->contents_known || p->fate == DELETE ||
	    (type == NFT_MSG_DELSETELEM && p->fate != KEEP))
		return;
	w.o = p->fate == KEEP ? p->old_set : NULL;
	w.n = p->new_set;
	w.stride = rs_set_stride(&any->def);
	w.intervals = any->def.flags & NFT_SET_INTERVAL;
	if (w.o && w.o->n == w.n->n &&
	    (!w.n->n || !memcmp(w.o->elems, w.n->elems, w.n->n * w.stride)))
		return;
	walk_elems(&w);
}

/* ---- steps ---- */

static bool loses_rules(const struct pair *p)
{
	return (p->fate == CHANGE || p->fate == DELETE || p->fate == RENEW) && p->old_chain->n;
}

static bool gets_rules(const struct pair *p)
{
	return p->fate == CHANGE || p->fate == ADD || p->fate == RENEW;
}

static bool dies(const struct pair *p)
{
	return p->fate == DELETE || p->fate == RENEW;
}

static bool is_born(const struct pair *p)
{
	return p->fate == ADD || p->fate == RENEW;
}

static void take_out(struct diff *d)
{
	for (size_t i = 0; i < d->n_chains; i++) {
		if (loses_rules(&d->chains[i]))
			nft_batch_flush(d->b, d->chains[i].old_chain);
	}
	for (size_t i = 0; i < d->n_sets; i++)
		walk_set(d, &d->sets[i], NFT_MSG_DELSETELEM);
	for (size_t i = 0; i < d->n_sets; i++) {
		if (dies(&d->sets[i]))
			nft_batch_del_set(d->b, d->sets[i].old_set);
	}
	for (size_t i = 0; i < d->n_chains; i++) {
		if (dies(&d->chains[i]))
			nft_batch_del_chain(d->b, d->chains[i].old_chain);
	}
}

static void put_rules(struct diff *d, const struct rs_chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		nft_batch_rule(d->b, c, i);
}

static void put_in(struct diff *d)
{
	for (size_t i = 0; i < d->n_sets; i++) {
		if (is_born(&d->sets[i]))
			nft_batch_new_set(d->b, d->sets[i].new_set);
	}
	for (size_t i = 0; i < d->n_chains; i++) {
		if (is_born(&d->chains[i]))
			nft_batch_new_chain(d->b, d->chains[i].new_chain);
	}
	for (size_t i = 0; i < d->n_chains; i++) {
		if (gets_rules(&d->chains[i]))
			put_rules(d, d->chains[i].new_chain);
	}
	for (size_t i = 0; i < d->n_sets; i++)
		walk_set(d, &d->sets[i], NFT_MSG_NEWSETELEM);
}

static void count(struct diff *d)
{
	for (size_t i = 0; i < d->n_sets; i++) {
		d->stats.sets_added += is_born(&d->sets[i]);
		d->stats.sets_deleted += dies(&d->sets[i]);
	}
	for (size_t i = 0; i < d->n_chains; i++) {
		d->stats.chains_added += is_born(&d->chains[i]);
		d->stats.chains_deleted += dies(&d->chains[i]);
		d->stats.chains_changed += d->chains[i].fate == CHANGE;
	}
}

/* A ruleset that was read or loaded has hashes only: it can be `have`, never `want`. */
static int check_rules(const struct diff *d, struct err *e)
{
	for (size_t i = 0; i < d->n_chains; i++) {
		const struct rs_chain *c = d->chains[i].new_chain;

		if (!gets_rules(&d->chains[i]))
			continue;
		for (size_t k = 0; k < c->n; k++) {
			if (!c->rules[k].rule)
				return err_set(e, -EINVAL, "chain %s has no expressions to write",
					       c->name);
		}
	}
	return 0;
}

int nft_diff(struct nft_batch *b, const struct ruleset *have, const struct ruleset *want,
	     struct nft_change_stats *stats, struct err *e)
{
	struct diff d = { .b = b };
	int rc = pair_sets(&d, have, want);

	if (!rc)
		rc = pair_chains(&d, have, want);
	if (rc) {
		rc = err_set(e, -ENOMEM, "out of memory");
		goto out;
	}
	find_referring_chains(&d);
	rc = check_rules(&d, e);
	if (rc)
		goto out;
	take_out(&d);
	put_in(&d);
	count(&d);
	if (nft_batch_failed(b))
		rc = err_set(e, -ENOMEM, "out of memory");
	else if (stats)
		*stats = d.stats;
out:
	free(d.sets);
	free(d.chains);
	return rc;
}

int nft_diff_all(struct nft_batch *b, const struct ruleset *want, struct nft_change_stats *stats,
		 struct err *e)
{
	return nft_diff(b, &nothing, want, stats, e);
}
