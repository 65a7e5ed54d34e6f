/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/nft/nft_elem.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <libmnl/libmnl.h>

#include "ctl/nft/nft_socket.h"

int nft_has_elem(struct nft *n, const char *table, const char *set, const void *key, uint32_t len,
		 struct err *e)
{
	_Alignas(8) char buf[NFT_REQUEST_MAX];
	struct nlmsghdr *nlh = nft_request_new(n, buf, NFT_MSG_GETSETELEM, NLM_F_ACK);
	struct ruleset *rs = ruleset_new(table, "", 0);
	struct nlattr *list, *elem, *value;
	struct nft_answer a = { 0 };
	int rc;

	if (!rs)
		return err_set(e, -ENOMEM, "out of memory");
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, rs->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	value = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, len, key);
	mnl_attr_nest_end(nlh, value);
	mnl_attr_nest_end(nlh, elem);
	mnl_attr_nest_end(nlh, list);
	rc = nft_request(n, nlh, rs, &a, e);
	ruleset_free(rs);
	if (rc == -ENOENT)
		return 0;
	return rc ? nft_refused(e, rc, "an element of a set") : 1;
}
