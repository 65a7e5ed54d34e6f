/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nft_elem: single elements of the kernel's sets, dynamic ones too. */
#ifndef CTL_NFT_NFT_ELEM_H
#define CTL_NFT_NFT_ELEM_H

#include "ctl/nft/nft.h"

/* 1 if the set has an element with exactly that key (len bytes, as in the kernel), 0 if not or
 * there is no such set, or a negative errno. */
int nft_has_elem(struct nft *n, const char *table, const char *set, const void *key, uint32_t len,
		 struct err *e);

#endif
