/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of nft_judge(): registers and tests. Only nft_judge*.c include this. */
#ifndef CTL_NFT_NFT_JUDGE_INTERNAL_H
#define CTL_NFT_NFT_JUDGE_INTERNAL_H

#include "ctl/nft/nft_judge.h"

enum answer { NO, MAYBE, YES };

/* Bytes of which some are known. */
struct known {
	uint8_t byte[FOREIGN_VALUE_MAX];
	bool is[FOREIGN_VALUE_MAX];
};

struct judge {
	struct nft_foreign *f;
	const struct judge_packet *p;
	struct known network, transport; /* headers */
	struct known regs;
	unsigned steps, depth;
	bool gave_up; /* too many steps, or chains too deep: anything is possible */
	struct judge_verdict *out;
};

void judge_packet_headers(struct judge *j);
/* One operation that tests or loads; not for verdicts, maps of them and targets. */
enum answer judge_test(struct judge *j, const struct foreign_chain *c, const struct foreign_op *op);
/* Is the key in the registers in the set? *hit: its element, where it is the only one possible. */
enum answer judge_lookup(struct judge *j, struct foreign_set *s, unsigned sreg,
			 const struct foreign_elem **hit);
/* nft_judge_xt.c: a match of iptables. */
enum answer judge_xt_match(const struct judge *j, const struct foreign_op *op);
/* The enum judge_effect of an operation, or -1. */
int judge_side_effect(const struct foreign_op *op);
/* The TCP flags that the packet has. */
uint8_t judge_tcp_flags(const struct judge *j);

#endif
