/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says of a transaction: one message for each that it refused
 * (the first is the cause, the rest mostly follow from it) and the ack.
 */
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "ctl/nft/nft_parse.h"

static void parse_ext_ack(const struct nlmsghdr *nlh, size_t skip, struct nft_kernel_error *k)
{
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(nlh) < skip)
		return;
	mnl_attr_for_each (a, nlh, skip) {
		if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG) {
			snprintf(k->text, sizeof(k->text), "%.*s", (int)mnl_attr_get_payload_len(a),
				 (const char *)mnl_attr_get_payload(a));
		} else if (mnl_attr_get_type(a) == NLMSGERR_ATTR_OFFS &&
			   mnl_attr_get_payload_len(a) == sizeof(k->offset)) {
			memcpy(&k->offset, mnl_attr_get_payload(a), sizeof(k->offset));
		}
	}
}

static void parse_error(const struct nlmsghdr *nlh, struct nft_kernel_error *k)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	size_t skip = sizeof(*err);

	*k = (struct nft_kernel_error){ .seq = nlh->nlmsg_seq, .code = nft_message_code(nlh) };
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS) || mnl_nlmsg_get_payload_len(nlh) < sizeof(*err))
		return;
	/* Without CAP_ACK the whole message stands between the header and the attributes. */
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) {
		if (err->msg.nlmsg_len < sizeof(err->msg) || err->msg.nlmsg_len > nlh->nlmsg_len)
			return;
		skip += NLMSG_ALIGN(err->msg.nlmsg_len) - sizeof(err->msg);
	}
	parse_ext_ack(nlh, skip, k);
}

void nft_parse_batch_answer(const void *bytes, size_t len, struct nft_batch_answer *a)
{
	const struct nlmsghdr *nlh;
	const uint8_t *p = bytes;

	while ((nlh = nft_next_message(&p, &len))) {
		struct nft_kernel_error k;

		if (nlh->nlmsg_type != NLMSG_ERROR)
			continue;
		parse_error(nlh, &k);
		if (!k.code) {
			a->acked = true;
		} else if (!a->refused) {
			a->refused = true;
			a->first = k;
		}
	}
}

static const struct nlattr *attr_at(const struct nlmsghdr *nlh, uint32_t offset)
{
	const struct nlattr *a = (const void *)((const char *)nlh + offset);

	if (offset < sizeof(*nlh) || offset % 4 || offset >= nlh->nlmsg_len ||
	    !mnl_attr_ok(a, (int)(nlh->nlmsg_len - offset)))
		return NULL;
	return a;
}

/* The kernel points at the expression's list element or at its name. */
const char *nft_refused_expr(const struct nlmsghdr *nlh, uint32_t offset)
{
	const struct nlattr *a = nlh ? attr_at(nlh, offset) : NULL, *in;

	if (!a)
		return NULL;
	if (!(a->nla_type & NLA_F_NESTED))
		return mnl_attr_validate(a, MNL_TYPE_NUL_STRING) < 0 ? NULL : mnl_attr_get_str(a);
	mnl_attr_for_each_nested (in, a) {
		if (mnl_attr_get_type(in) == NFTA_EXPR_NAME)
			return mnl_attr_validate(in, MNL_TYPE_NUL_STRING) < 0
				       ? NULL
				       : mnl_attr_get_str(in);
	}
	return NULL;
}
