/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of nft_foreign_parse(); only nft_foreign*.c include this. */
#ifndef CTL_NFT_NFT_FOREIGN_INTERNAL_H
#define CTL_NFT_NFT_FOREIGN_INTERNAL_H

#include "ctl/nft/nft_attr.h"
#include "ctl/nft/nft_foreign.h"

/* Copies into the arena; NULL for no name, one too long, or no memory (f->failed). */
char *foreign_name(struct nft_foreign *f, const struct nlattr *a);
uint8_t *foreign_bytes(struct nft_foreign *f, const void *p, size_t n);
/* The value in NFTA_*_DATA, at most FOREIGN_VALUE_MAX bytes, or NULL. In the message. */
const uint8_t *foreign_value(const struct nlattr *nest, size_t *len);
/* A lookup names that set (table and name are kept): its elements are to be read. */
void foreign_want_set(struct nft_foreign *f, uint8_t family, const char *table, const char *name);

/* nft_foreign_expr.c: the operations of a rule of chain c. False: too many, or no memory. */
bool foreign_rule_parse(struct nft_foreign *f, struct foreign_rule *r,
			const struct foreign_chain *c, const struct nlattr *expressions);

#endif
