/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a refusal to a sentence. The kernel says errno, sequence number and
 * often the offset of the attribute; a message of thousands of elements is
 * sent again one by one, check-only, to find the one that it means.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "ctl/nft/nft_socket.h"

#define PROBE_TABLE "spctl-probe"

/* Expressions that live in modules of their own. */
static const struct {
	const char *expr, *module, *config;
} modules[] = {
	{ "nat", "nft_nat", "CONFIG_NFT_NAT" },
	{ "masq", "nft_masq", "CONFIG_NFT_MASQ" },
	{ "redir", "nft_redir", "CONFIG_NFT_REDIR" },
	{ "reject", "nft_reject_inet", "CONFIG_NFT_REJECT, CONFIG_NFT_REJECT_INET" },
	{ "ct", "nft_ct", "CONFIG_NFT_CT" },
	{ "fib", "nft_fib_inet", "CONFIG_NFT_FIB_INET" },
	{ "numgen", "nft_numgen", "CONFIG_NFT_NUMGEN" },
	{ "hash", "nft_hash", "CONFIG_NFT_HASH" },
	{ "limit", "nft_limit", "CONFIG_NFT_LIMIT" },
	{ "connlimit", "nft_connlimit", "CONFIG_NFT_CONNLIMIT" },
};

int nft_refused(struct err *e, int code, const char *what)
{
	switch (code) {
	case -EPERM:
	case -EACCES:
		return err_set(e, code, "%s: must be root (CAP_NET_ADMIN)", what);
	case -EOPNOTSUPP:
	case -EPROTONOSUPPORT:
	case -EAFNOSUPPORT:
		return err_set(e, code,
			       "%s: this kernel has no nftables (CONFIG_NF_TABLES, "
			       "CONFIG_NF_TABLES_INET)",
			       what);
	case -ENOMEM:
		return err_set(e, code, "%s: out of memory", what);
	default:
		/* What the socket layer has said already stays. */
		if (e && e->code == code && *e->msg)
			return code;
		return err_sys(e, code, "%s", what);
	}
}

/* ---- which expression ---- */

/* A rule of nothing but the expression's name: ENOENT only where its type is unknown. */
static void put_probe_rule(struct nft_batch *b, struct nlmsghdr *nlh, const char *expr)
{
	struct nlattr *list, *elem, *data;

	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, PROBE_TABLE);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, "c");
	list = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
	elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, expr);
	data = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, elem);
	mnl_attr_nest_end(nlh, list);
	b->bytes.len += NLMSG_ALIGN(nlh->nlmsg_len);
}

int nft_has_expr(struct nft *n, const char *expr, struct err *e)
{
	static const struct rs_chain chain = { .name = "c" };
	struct nft_batch_answer a;
	struct nlmsghdr *nlh;
	struct nft_batch b;
	int rc = -ENOMEM;

	nft_batch_begin(&b, PROBE_TABLE, 0);
	nft_batch_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK, NULL);
	nft_batch_new_chain(&b, &chain);
	nlh = nft_batch_raw_rule(&b, &chain);
	if (nlh)
		put_probe_rule(&b, nlh, expr);
	if (nft_batch_failed(&b))
		err_set(e, rc, "out of memory");
	else
		rc = nft_transact(n, &b, &a, e);
	nft_batch_fini(&b);
	if (rc)
		return rc;
	if (a.refused && (a.first.code == -EPERM || a.first.code == -EOPNOTSUPP))
		return nft_refused(e, a.first.code, "nftables");
	return !(a.refused && a.first.code == -ENOENT);
}

/* ---- sentences ---- */

/* "this kernel lacks ..." when the refused rule has an expression whose module is not there. */
static bool explain_module(struct nft *n, const struct nlmsghdr *nlh,
			   const struct nft_kernel_error *k, char *out, size_t cap)
{
	const char *name = nft_refused_expr(nlh, k->offset);

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		const char *expr = modules[i].expr;

		/* Older kernels give no offset: then any that the message has. */
		if (name ? strcmp(name, expr) != 0
			 : !memmem(nlh, nlh->nlmsg_len, expr, strlen(expr) + 1))
			continue;
		if (nft_has_expr(n, expr, NULL))
			continue;
		snprintf(out, cap, ": this kernel lacks %s (%s)", modules[i].module,
			 modules[i].config);
		return true;
	}
	return false;
}

static void explain_code(struct nft *n, const struct nft_batch *b, const struct nft_kernel_error *k,
			 enum nft_note_kind kind, char *out, size_t cap)
{
	const char *why = "";

	if (k->code == -ENOENT && kind == NFT_NOTE_RULE &&
	    explain_module(n, nft_batch_message(b, k->seq), k, out, cap))
		return;
	if (k->code == -ENOENT && kind == NFT_NOTE_CHAIN)
		why = ": this kernel lacks the chain type (CONFIG_NFT_NAT for nat chains)";
	else if (k->code == -ENOENT && kind == NFT_NOTE_ELEMS)
		why = ": it is not there any more, or the chain that it names is not";
	else if (k->code == -EEXIST && kind == NFT_NOTE_TABLE)
		why = ": another program made a table of that name meanwhile";
	else if (k->code == -ENOTEMPTY)
		why = ": it overlaps another interval";
	else if (k->code == -EBUSY)
		why = ": something else in the table still refers to it";
	else if (k->code == -ENFILE)
		why = ": the set is full";
	else if (k->code == -EMLINK)
		why = ": chains go too deep";
	else if (k->code == -ELOOP)
		why = ": chains make a loop";
	snprintf(out, cap, "%s", why);
}

static int report(struct nft *n, const struct nft_batch *b, const struct nft_kernel_error *k,
		  struct nft_refusal *refusal, struct err *e)
{
	enum nft_note_kind kind = k->seq < b->n_notes ? b->notes[k->seq].kind : NFT_NOTE_END;
	char why[160];

	refusal->place = nft_batch_describe(b, k->seq, refusal->what, sizeof(refusal->what));
	if (kind == NFT_NOTE_BEGIN && k->code == -ERESTART)
		return err_set(e, k->code,
			       "the kernel's ruleset was changed by somebody else meanwhile");
	if (k->code == -EPERM || (kind == NFT_NOTE_BEGIN && k->code == -EOPNOTSUPP))
		return nft_refused(e, k->code, "the kernel refused the change");
	if (kind == NFT_NOTE_TABLE && (k->code == -EAFNOSUPPORT || k->code == -EOPNOTSUPP))
		return nft_refused(e, -EOPNOTSUPP, "the kernel refused the table");
	explain_code(n, b, k, kind, why, sizeof(why));
	return err_set(e, k->code, "the kernel refused %s: %s%s%s%s%s", refusal->what,
		       strerror(-k->code), *k->text ? " (" : "", k->text, *k->text ? ")" : "", why);
}

int nft_explain(struct nft *n, const struct nft_batch *b, const struct nft_batch_answer *a,
		struct nft_refusal *refusal, struct err *e)
{
	const struct nft_note *note = a->first.seq < b->n_notes ? &b->notes[a->first.seq] : NULL;
	struct nft_refusal unused;
	struct nft_batch_answer again;
	struct nft_batch split;
	int rc;

	if (!refusal)
		refusal = &unused;
	if (!note || note->kind != NFT_NOTE_ELEMS || note->n < 2)
		return report(n, b, &a->first, refusal, e);
	nft_batch_split(&split, b, a->first.seq);
	if (!nft_batch_failed(&split) && !nft_transact(n, &split, &again, NULL) && again.refused &&
	    again.first.seq >= a->first.seq)
		rc = report(n, &split, &again.first, refusal, e);
	else
		rc = report(n, b, &a->first, refusal, e);
	nft_batch_fini(&split);
	return rc;
}
