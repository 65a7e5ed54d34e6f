/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_judge: what a foreign chain does with the first packet of a connection,
 * or with the first answer to it. Pure. Of such a packet some bytes are known (protocol,
 * destination, port, interfaces) and some are not (the client); every test has three answers, and
 * the verdict says both what may happen and what happens if every test
 * that depends on something unknown fails.
 */
#ifndef CTL_NFT_NFT_JUDGE_H
#define CTL_NFT_NFT_JUDGE_H

#include <net/if.h>

#include "ctl/base/addr.h"
#include "ctl/nft/nft_foreign.h"

/* The packet, at one hook. */
struct judge_packet {
	uint8_t family;	    /* ADDR_V4, ADDR_V6 */
	uint8_t proto;	    /* IPPROTO_TCP, IPPROTO_UDP */
	struct addr source; /* ADDR_NONE = any */
	struct addr destination;
	uint16_t source_port, port;	   /* port: of the destination; 0 = any */
	bool translated;		   /* its destination was changed: ct status dnat */
	bool masqueraded;		   /* an answer's connection: its source was changed */
	bool reply;			   /* the first answer: ct state established */
	bool untracked;			   /* the hook comes before connection tracking */
	bool to_host;			   /* the destination is this host */
	char iif[IFNAMSIZ], oif[IFNAMSIZ]; /* "" = not known, or there is none */
	uint32_t iif_index, oif_index;
};

enum judge_outcome {
	JUDGE_ACCEPT = 1,
	JUDGE_DROP = 2,
	JUDGE_TRANSLATE = 4, /* its destination is changed */
};

/* What a rule does besides; the packet goes on. */
enum judge_effect { EFFECT_SOURCE, EFFECT_NOTRACK, N_EFFECTS };

struct judge_side {
	const struct foreign_rule *rule; /* NULL = none does it; else the first */
	const struct foreign_chain *chain;
	bool surely;
};

struct judge_verdict {
	unsigned possible;	    /* JUDGE_*, or-ed */
	enum judge_outcome usually; /* when nothing that is not known matches */
	/* The rule that says `usually`, and the chain that it stands in; rule NULL = the policy. */
	const struct foreign_rule *rule;
	const struct foreign_chain *chain;
	/* The first that may change the destination; NULL = none. */
	const struct foreign_rule *may_translate;
	const struct foreign_chain *may_translate_in;
	struct judge_side side[N_EFFECTS]; /* EFFECT_SOURCE: snat, masquerade */
	unsigned steps;			   /* what it cost: operations */
};

/* c: a base chain of f. f is changed only in its indexes. */
void nft_judge(struct nft_foreign *f, const struct foreign_chain *c, const struct judge_packet *p,
	       struct judge_verdict *out);

#endif
