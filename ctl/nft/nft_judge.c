/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two walks in one: `possible` follows every rule that may match, `usually`
 * only those that surely do. A chain that is jumped to is walked once for each
 * way into it; depth and steps are bounded, and where the bound is met everything
 * is possible.
 */
#include "ctl/nft/nft_judge.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "ctl/nft/nft_judge_internal.h"

#define MAX_DEPTH 16 /* NFT_JUMP_STACK_SIZE */
#define MAX_STEPS 200000

/* What a chain or rule may do: JUDGE_*, and that the packet falls through. */
#define GOES_ON	 8u
#define ANYTHING (JUDGE_ACCEPT | JUDGE_DROP | JUDGE_TRANSLATE | GOES_ON)

struct result {
	unsigned possible;
	unsigned usually; /* one of them */
	bool surely;	  /* `surely` reached: what follows is walked as "may" */
};

static struct result walk(struct judge *j, const struct foreign_chain *c, bool surely);

static struct result only(unsigned what)
{
	return (struct result){ .possible = what, .usually = what };
}

/* The innermost rule that decides is the one to name. */
static void note_decision(struct judge *j, const struct foreign_chain *c,
			  const struct foreign_rule *r, unsigned what, bool surely)
{
	if (surely && what != GOES_ON && !j->out->chain) {
		j->out->rule = r;
		j->out->chain = c;
	}
	if (what == JUDGE_TRANSLATE && !j->out->may_translate) {
		j->out->may_translate = r;
		j->out->may_translate_in = c;
	}
}

static struct result jump(struct judge *j, const struct foreign_chain *c, const char *name,
			  bool surely)
{
	const struct foreign_chain *to =
		name ? foreign_chain_find(j->f, c->family, c->table, name) : NULL;
	struct result r;

	if (!to || j->depth == MAX_DEPTH) {
		j->gave_up = true;
		return (struct result){ .possible = ANYTHING, .usually = GOES_ON };
	}
	j->depth++;
	r = walk(j, to, surely);
	j->depth--;
	return r;
}

static struct result verdict(struct judge *j, const struct foreign_chain *c, uint32_t code,
			     const char *chain, bool surely, bool *leaves)
{
	*leaves = false;
	switch ((int32_t)code) {
	case NFT_CONTINUE:
	case NFT_BREAK:
		return only(GOES_ON);
	case NFT_RETURN:
		*leaves = true;
		return only(GOES_ON);
	case NFT_GOTO:
		*leaves = true;
		return jump(j, c, chain, surely);
	case NFT_JUMP:
		return jump(j, c, chain, surely);
	case NF_ACCEPT:
		return only(JUDGE_ACCEPT);
	case NF_DROP:
		return only(JUDGE_DROP);
	default: /* a queue: whoever reads it decides */
		return (struct result){ .possible = JUDGE_ACCEPT | JUDGE_DROP,
					.usually = JUDGE_ACCEPT };
	}
}

static struct result xt_target(const char *name)
{
	static const struct {
		const char *name;
		unsigned what;
	} known[] = {
		{ "REJECT", JUDGE_DROP },
		{ "DROP", JUDGE_DROP },
		{ "ACCEPT", JUDGE_ACCEPT },
		{ "DNAT", JUDGE_TRANSLATE },
		{ "REDIRECT", JUDGE_TRANSLATE },
		{ "NETMAP", JUDGE_TRANSLATE },
		{ "TPROXY", JUDGE_TRANSLATE },
		{ "MASQUERADE", JUDGE_ACCEPT },
		{ "SNAT", JUDGE_ACCEPT },
		{ "LOG", GOES_ON },
		{ "NFLOG", GOES_ON },
		{ "MARK", GOES_ON },
		{ "CONNMARK", GOES_ON },
		{ "TCPMSS", GOES_ON },
		{ "CT", GOES_ON },
		{ "CLASSIFY", GOES_ON },
		{ "DSCP", GOES_ON },
		{ "SET", GOES_ON },
		{ "CHECKSUM", GOES_ON },
		{ "TRACE", GOES_ON },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i].name, name))
			return only(known[i].what);
	return (struct result){ .possible = ANYTHING, .usually = GOES_ON };
}

/* A map from keys to verdicts: the one that is hit, or all of them. */
static struct result verdict_map(struct judge *j, const struct foreign_chain *c,
				 const struct foreign_op *op, bool surely, bool *leaves)
{
	struct foreign_set *s = foreign_set_find(j->f, c->family, c->table, op->name);
	const struct foreign_elem *hit;
	enum answer a = judge_lookup(j, s, op->sreg, &hit);
	struct result r = only(GOES_ON);

	*leaves = false;
	if (a == YES && hit->has_verdict)
		return verdict(j, c, hit->verdict, hit->chain, surely, leaves);
	if (a == NO)
		return r;
	if (!s || s->truncated)
		r.possible = ANYTHING;
	for (unsigned i = 0; s && i < s->n && !j->gave_up; i++) {
		bool ignored;

		if (s->v[i].has_verdict)
			r.possible |= verdict(j, c, s->v[i].verdict, s->v[i].chain, false, &ignored)
					      .possible;
	}
	return r;
}

static bool is_verdict_map(const struct judge *j, const struct foreign_chain *c,
			   const struct foreign_op *op)
{
	struct foreign_set *s;

	if (op->kind != FOREIGN_LOOKUP || (op->has_dreg && op->dreg != UINT8_MAX))
		return false;
	s = foreign_set_find(j->f, c->family, c->table, op->name);
	return op->has_dreg || (s && s->flags & NFT_SET_MAP);
}

/* The last operation of a rule that can decide; GOES_ON for all others. */
static struct result decide(struct judge *j, const struct foreign_chain *c,
			    const struct foreign_op *op, bool surely, bool *leaves)
{
	*leaves = false;
	switch (op->kind) {
	case FOREIGN_VERDICT:
		return verdict(j, c, op->key, op->name, surely, leaves);
	case FOREIGN_DROPS:
		return only(JUDGE_DROP);
	case FOREIGN_TRANSLATES:
		return only(JUDGE_TRANSLATE);
	case FOREIGN_ENDS:
		return only(JUDGE_ACCEPT);
	case FOREIGN_NOTRACK:
		return only(GOES_ON);
	case FOREIGN_XT_TARGET:
		return xt_target(op->name);
	case FOREIGN_LOOKUP:
		return verdict_map(j, c, op, surely, leaves);
	default:
		return only(GOES_ON);
	}
}

static void note_side(struct judge *j, const struct foreign_chain *c, const struct foreign_rule *r,
		      const struct foreign_op *op, bool surely)
{
	int effect = judge_side_effect(op);
	struct judge_side *s = effect < 0 ? NULL : &j->out->side[effect];

	if (s && (!s->rule || (surely && !s->surely)))
		*s = (struct judge_side){ .rule = r, .chain = c, .surely = surely };
}

static bool decides(const struct judge *j, const struct foreign_chain *c,
		    const struct foreign_op *op)
{
	return (op->kind >= FOREIGN_VERDICT && op->kind != FOREIGN_XT_MATCH) ||
	       is_verdict_map(j, c, op);
}

/* *left: the packet surely leaves the chain here, whatever else. */
static struct result walk_rule(struct judge *j, const struct foreign_chain *c,
			       const struct foreign_rule *rule, bool surely, bool *left)
{
	enum answer match = YES;
	struct result r = only(GOES_ON);
	bool leaves = false;

	*left = false;
	for (unsigned i = 0; i < rule->n_ops; i++) {
		const struct foreign_op *op = &rule->ops[i];
		enum answer a;

		j->steps++;
		note_side(j, c, rule, op, surely && match == YES);
		if (decides(j, c, op)) {
			r = decide(j, c, op, surely && match == YES, &leaves);
			if (r.usually != GOES_ON || r.possible != GOES_ON || leaves)
				break;
			continue;
		}
		a = judge_test(j, c, op);
		if (a == NO)
			return only(GOES_ON);
		match = a < match ? a : match;
	}
	if (r.possible & JUDGE_TRANSLATE)
		note_decision(j, c, rule, JUDGE_TRANSLATE, false);
	if (match == YES) {
		note_decision(j, c, rule, r.usually, surely);
		*left = leaves;
		return r;
	}
	r.possible |= GOES_ON;
	r.usually = GOES_ON;
	return r;
}

static struct result walk(struct judge *j, const struct foreign_chain *c, bool surely)
{
	struct result total = { .possible = 0, .usually = GOES_ON };

	for (const struct foreign_rule *rule = c->rules; rule; rule = rule->next) {
		bool left, decided = total.usually != GOES_ON;
		struct result r;

		if (j->steps > MAX_STEPS)
			j->gave_up = true;
		if (j->gave_up)
			break;
		r = walk_rule(j, c, rule, surely && !decided, &left);
		total.possible |= r.possible & ~GOES_ON;
		if (!decided)
			total.usually = r.usually;
		if (!(r.possible & GOES_ON))
			return total;
		if (left) {
			total.possible |= GOES_ON;
			return total;
		}
	}
	total.possible |= GOES_ON;
	if (c->truncated || j->gave_up)
		total.possible = ANYTHING;
	return total;
}

void nft_judge(struct nft_foreign *f, const struct foreign_chain *c, const struct judge_packet *p,
	       struct judge_verdict *out)
{
	struct judge j = { .f = f, .p = p, .out = out };
	enum judge_outcome policy = c->policy == NF_DROP ? JUDGE_DROP : JUDGE_ACCEPT;
	struct result r;

	*out = (struct judge_verdict){ 0 };
	judge_packet_headers(&j);
	r = walk(&j, c, true);
	if (j.gave_up)
		r.possible |= ANYTHING;
	out->possible = r.possible & ~GOES_ON;
	if (r.possible & GOES_ON)
		out->possible |= policy;
	out->usually = r.usually == GOES_ON ? policy : (enum judge_outcome)r.usually;
	if (r.usually == GOES_ON) {
		out->rule = NULL;
		out->chain = c;
	}
	out->steps = j.steps;
}
