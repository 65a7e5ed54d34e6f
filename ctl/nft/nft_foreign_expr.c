/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One expression of a foreign rule -> one operation. An expression, or a form
 * of one, that is not known becomes FOREIGN_UNKNOWN: the judge then says "may".
 */
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/rtnetlink.h>

#include "ctl/nft/nft_foreign_internal.h"

#define OBJECT_COUNTER	 1 /* NFT_OBJECT_COUNTER */
#define OBJECT_CT_HELPER 3 /* NFT_OBJECT_CT_HELPER */

struct expr {
	struct nft_foreign *f;
	const struct foreign_chain *chain;
	struct attrs t; /* of its data */
	struct foreign_op *op;
};

/* The offset of a register; -1 for none of the data registers. */
static int reg_of(const struct nlattr *a)
{
	uint32_t r;

	if (!get_be32(a, &r))
		return -1;
	if (r >= NFT_REG_1 && r <= NFT_REG_4)
		return (int)(r - NFT_REG_1) * 16;
	if (r >= NFT_REG32_00 && r <= NFT_REG32_15)
		return (int)(r - NFT_REG32_00) * 4;
	return -1;
}

static bool set_sreg(struct foreign_op *op, const struct nlattr *a, size_t len)
{
	int r = reg_of(a);

	op->sreg = (uint8_t)(r < 0 ? 0 : r);
	return r >= 0 && len && (size_t)r + len <= FOREIGN_VALUE_MAX;
}

static bool set_dreg(struct foreign_op *op, const struct nlattr *a, size_t len)
{
	int r = reg_of(a);

	op->dreg = (uint8_t)(r < 0 ? 0 : r);
	op->has_dreg = true;
	return r >= 0 && len && (size_t)r + len <= FOREIGN_VALUE_MAX;
}

/* A constant of the rule into op->a or op->b; sets or compares op->len. */
static bool set_value(struct expr *x, const struct nlattr *a, const uint8_t **out)
{
	size_t len = 0;
	const uint8_t *p = foreign_value(a, &len);

	if (!p || !len || (x->op->len && x->op->len != len))
		return false;
	x->op->len = (uint16_t)len;
	*out = foreign_bytes(x->f, p, len);
	return *out;
}

/* meta and ct: reading into a register, or setting something from one. */
static bool parse_key(struct expr *x, enum foreign_kind kind, unsigned key, unsigned dreg)
{
	if (!x->t.v[dreg]) {
		x->op->kind = FOREIGN_NOTHING;
		return true;
	}
	x->op->kind = (uint8_t)kind;
	/* The judge knows how long each of its keys is; the shortest has to fit. */
	return get_be32(x->t.v[key], &x->op->key) && set_dreg(x->op, x->t.v[dreg], 1);
}

static bool parse_meta(struct expr *x)
{
	return parse_key(x, FOREIGN_META, NFTA_META_KEY, NFTA_META_DREG);
}

static bool parse_ct(struct expr *x)
{
	return parse_key(x, FOREIGN_CT, NFTA_CT_KEY, NFTA_CT_DREG);
}

static bool parse_payload(struct expr *x)
{
	uint32_t base, len;

	if (!x->t.v[NFTA_PAYLOAD_DREG]) { /* changes the packet */
		x->op->kind = FOREIGN_NOTHING;
		return true;
	}
	x->op->kind = FOREIGN_PAYLOAD;
	if (!get_be32(x->t.v[NFTA_PAYLOAD_BASE], &base) || base > UINT8_MAX ||
	    !get_be32(x->t.v[NFTA_PAYLOAD_OFFSET], &x->op->key) ||
	    !get_be32(x->t.v[NFTA_PAYLOAD_LEN], &len) || len > FOREIGN_VALUE_MAX)
		return false;
	x->op->base = (uint8_t)base;
	x->op->len = (uint16_t)len;
	return set_dreg(x->op, x->t.v[NFTA_PAYLOAD_DREG], len);
}

static bool parse_fib(struct expr *x)
{
	const uint32_t wanted = NFTA_FIB_F_DADDR, beside = NFTA_FIB_F_IIF | NFTA_FIB_F_OIF;
	uint32_t flags = be32_or(x->t.v[NFTA_FIB_FLAGS], 0);

	if (be32_or(x->t.v[NFTA_FIB_RESULT], 0) != NFT_FIB_RESULT_ADDRTYPE || !(flags & wanted) ||
	    flags & ~(wanted | beside)) {
		x->op->kind = FOREIGN_UNKNOWN_LOAD;
		return true;
	}
	x->op->kind = FOREIGN_FIB_TYPE;
	return set_dreg(x->op, x->t.v[NFTA_FIB_DREG], 4);
}

static bool parse_cmp(struct expr *x)
{
	uint32_t op;

	x->op->kind = FOREIGN_COMPARE;
	if (!get_be32(x->t.v[NFTA_CMP_OP], &op) || op > NFT_CMP_GTE)
		return false;
	x->op->op = (uint8_t)op;
	return set_value(x, x->t.v[NFTA_CMP_DATA], &x->op->a) &&
	       set_sreg(x->op, x->t.v[NFTA_CMP_SREG], x->op->len);
}

static bool parse_range(struct expr *x)
{
	uint32_t op;

	x->op->kind = FOREIGN_RANGE;
	if (!get_be32(x->t.v[NFTA_RANGE_OP], &op) || op > NFT_RANGE_NEQ)
		return false;
	x->op->op = (uint8_t)op;
	return set_value(x, x->t.v[NFTA_RANGE_FROM_DATA], &x->op->a) &&
	       set_value(x, x->t.v[NFTA_RANGE_TO_DATA], &x->op->b) &&
	       set_sreg(x->op, x->t.v[NFTA_RANGE_SREG], x->op->len);
}

static bool parse_bitwise(struct expr *x)
{
	uint32_t len;

	x->op->kind = FOREIGN_BITS;
	if (be32_or(x->t.v[NFTA_BITWISE_OP], 0) || /* a shift */
	    !get_be32(x->t.v[NFTA_BITWISE_LEN], &len) || !len || len > FOREIGN_VALUE_MAX)
		return false;
	x->op->len = (uint16_t)len;
	return set_value(x, x->t.v[NFTA_BITWISE_MASK], &x->op->a) &&
	       set_value(x, x->t.v[NFTA_BITWISE_XOR], &x->op->b) &&
	       set_sreg(x->op, x->t.v[NFTA_BITWISE_SREG], len) &&
	       set_dreg(x->op, x->t.v[NFTA_BITWISE_DREG], len);
}

static bool parse_lookup(struct expr *x)
{
	x->op->kind = FOREIGN_LOOKUP;
	x->op->name = foreign_name(x->f, x->t.v[NFTA_LOOKUP_SET]);
	if (!x->op->name || !set_sreg(x->op, x->t.v[NFTA_LOOKUP_SREG], 1))
		return false;
	x->op->op = be32_or(x->t.v[NFTA_LOOKUP_FLAGS], 0) & NFT_LOOKUP_F_INV;
	x->op->has_dreg = x->t.v[NFTA_LOOKUP_DREG] != NULL;
	/* A verdict map has no data register. */
	if (x->op->has_dreg && !set_dreg(x->op, x->t.v[NFTA_LOOKUP_DREG], 1))
		x->op->dreg = UINT8_MAX;
	foreign_want_set(x->f, x->chain->family, x->chain->table, x->op->name);
	return true;
}

static bool parse_immediate(struct expr *x)
{
	const struct nlattr *data = x->t.v[NFTA_IMMEDIATE_DATA];
	struct attrs d = { 0 }, v;

	if (data)
		d = attrs_of_nest(data);
	if (d.v[NFTA_DATA_VERDICT]) {
		v = attrs_of_nest(d.v[NFTA_DATA_VERDICT]);
		x->op->kind = FOREIGN_VERDICT;
		x->op->name = foreign_name(x->f, v.v[NFTA_VERDICT_CHAIN]);
		return get_be32(v.v[NFTA_VERDICT_CODE], &x->op->key);
	}
	x->op->kind = FOREIGN_VALUE;
	return set_value(x, data, &x->op->a) &&
	       set_dreg(x->op, x->t.v[NFTA_IMMEDIATE_DREG], x->op->len);
}

static bool parse_nat(struct expr *x)
{
	x->op->kind = be32_or(x->t.v[NFTA_NAT_TYPE], NFT_NAT_DNAT) == NFT_NAT_SNAT
			      ? FOREIGN_ENDS
			      : FOREIGN_TRANSLATES;
	return true;
}

static bool parse_objref(struct expr *x)
{
	uint32_t type = be32_or(x->t.v[NFTA_OBJREF_IMM_TYPE], 0);

	x->op->kind = type == OBJECT_COUNTER || type == OBJECT_CT_HELPER ? FOREIGN_NOTHING
									 : FOREIGN_UNKNOWN;
	return true;
}

/* A set that fills itself; with a limit in it, it is a match. */
static bool parse_dynset(struct expr *x)
{
	x->op->kind = x->t.v[NFTA_DYNSET_EXPR] || x->t.v[NFTA_DYNSET_EXPRESSIONS] ? FOREIGN_UNKNOWN
										  : FOREIGN_NOTHING;
	return true;
}

static bool parse_match(struct expr *x)
{
	const struct nlattr *info = x->t.v[NFTA_MATCH_INFO];

	x->op->kind = FOREIGN_XT_MATCH;
	x->op->name = foreign_name(x->f, x->t.v[NFTA_MATCH_NAME]);
	x->op->key = be32_or(x->t.v[NFTA_MATCH_REV], 0);
	if (!x->op->name || !info)
		return false;
	x->op->len = mnl_attr_get_payload_len(info);
	x->op->a = foreign_bytes(x->f, mnl_attr_get_payload(info), x->op->len);
	return x->op->a;
}

static bool parse_target(struct expr *x)
{
	const struct nlattr *info = x->t.v[NFTA_TARGET_INFO];

	x->op->kind = FOREIGN_XT_TARGET;
	x->op->name = foreign_name(x->f, x->t.v[NFTA_TARGET_NAME]);
	if (x->op->name && info) {
		x->op->len = mnl_attr_get_payload_len(info);
		x->op->a = foreign_bytes(x->f, mnl_attr_get_payload(info), x->op->len);
	}
	return x->op->name && (!info || x->op->a);
}

static const struct {
	const char *name;
	bool (*parse)(struct expr *x); /* NULL: `kind` is all there is to it */
	enum foreign_kind kind;
} kinds[] = {
	{ "meta", parse_meta, 0 },
	{ "ct", parse_ct, 0 },
	{ "payload", parse_payload, 0 },
	{ "cmp", parse_cmp, 0 },
	{ "bitwise", parse_bitwise, 0 },
	{ "lookup", parse_lookup, 0 },
	{ "immediate", parse_immediate, 0 },
	{ "range", parse_range, 0 },
	{ "fib", parse_fib, 0 },
	{ "nat", parse_nat, 0 },
	{ "match", parse_match, 0 },
	{ "target", parse_target, 0 },
	{ "objref", parse_objref, 0 },
	{ "dynset", parse_dynset, 0 },
	{ "counter", NULL, FOREIGN_NOTHING },
	{ "log", NULL, FOREIGN_NOTHING },
	{ "last", NULL, FOREIGN_NOTHING },
	{ "notrack", NULL, FOREIGN_NOTRACK },
	{ "dup", NULL, FOREIGN_NOTHING },
	{ "flow_offload", NULL, FOREIGN_NOTHING },
	{ "reject", NULL, FOREIGN_DROPS },
	{ "redir", NULL, FOREIGN_TRANSLATES },
	{ "masq", NULL, FOREIGN_ENDS },
	{ "byteorder", NULL, FOREIGN_UNKNOWN_LOAD },
	{ "numgen", NULL, FOREIGN_UNKNOWN_LOAD },
	{ "hash", NULL, FOREIGN_UNKNOWN_LOAD },
	{ "rt", NULL, FOREIGN_UNKNOWN_LOAD },
	{ "socket", NULL, FOREIGN_UNKNOWN_LOAD },
	{ "osf", NULL, FOREIGN_UNKNOWN_LOAD },
	{ "xfrm", NULL, FOREIGN_UNKNOWN_LOAD },
	{ "tunnel", NULL, FOREIGN_UNKNOWN_LOAD },
	{ "exthdr", NULL, FOREIGN_UNKNOWN_LOAD },
};

static void parse_expr(struct expr *x, const struct nlattr *nest)
{
	struct attrs t = attrs_of_nest(nest);
	const char *name = get_str(t.v[NFTA_EXPR_NAME]);

	*x->op = (struct foreign_op){ .kind = FOREIGN_UNKNOWN };
	x->t = (struct attrs){ 0 };
	if (t.v[NFTA_EXPR_DATA])
		x->t = attrs_of_nest(t.v[NFTA_EXPR_DATA]);
	for (size_t i = 0; name && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, name))
			continue;
		x->op->kind = (uint8_t)kinds[i].kind;
		if (kinds[i].parse && !kinds[i].parse(x))
			*x->op = (struct foreign_op){ .kind = FOREIGN_UNKNOWN };
		return;
	}
}

bool foreign_rule_parse(struct nft_foreign *f, struct foreign_rule *r,
			const struct foreign_chain *c, const struct nlattr *expressions)
{
	struct expr x = { .f = f, .chain = c };
	const struct nlattr *a;
	unsigned n = 0;

	if (!expressions)
		return true;
	mnl_attr_for_each_nested (a, expressions)
		n++;
	if (n > FOREIGN_MAX_OPS - f->n_ops)
		return false;
	r->ops = arena_alloc(&f->arena, (n ? n : 1) * sizeof(*r->ops));
	if (!r->ops) {
		f->failed = true;
		return false;
	}
	mnl_attr_for_each_nested (a, expressions) {
		x.op = &r->ops[r->n_ops++];
		parse_expr(&x, a);
	}
	f->n_ops += n;
	return true;
}
