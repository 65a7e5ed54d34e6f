/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_foreign: the tables of others as data - base chains with their hooks, and
 * rules as small operations that nft_judge.c can walk. For doctor only: what
 * is not understood is kept as "unknown", never guessed. Read-only and
 * bounded; all memory belongs to struct nft_foreign. Nothing here changes a table.
 */
#ifndef CTL_NFT_NFT_FOREIGN_H
#define CTL_NFT_NFT_FOREIGN_H

#include <stdint.h>

#include "ctl/base/arena.h"
#include "ctl/base/err.h"

struct nft;
struct nft_answer;

/* Names of the kernel are up to 255 bytes long. */
#define FOREIGN_NAME_MAX 256
/* What is read at most; more sets nft_foreign.truncated, or foreign_set.truncated. */
#define FOREIGN_MAX_TABLES 1024
#define FOREIGN_MAX_CHAINS 65536
#define FOREIGN_MAX_OPS	   1000000
#define FOREIGN_MAX_ELEMS  65536 /* of one set */
#define FOREIGN_VALUE_MAX  64	 /* NFT_DATA_VALUE_MAXLEN: bytes of keys and of the registers */

/* What one expression of a rule does. Registers are offsets in bytes, 0..63. */
enum foreign_kind {
	FOREIGN_NOTHING,      /* counter, log: no bearing on the verdict */
	FOREIGN_UNKNOWN,      /* may match or not, may write any register */
	FOREIGN_UNKNOWN_LOAD, /* may write any register */
	FOREIGN_META,	      /* key -> dreg */
	FOREIGN_CT,	      /* key -> dreg */
	FOREIGN_PAYLOAD,      /* base, key = offset, len -> dreg */
	FOREIGN_FIB_TYPE,     /* the type of the destination address -> dreg */
	FOREIGN_COMPARE,      /* sreg `op` a[len] (NFT_CMP_*) */
	FOREIGN_RANGE,	      /* a[len] <= sreg <= b[len]; op NFT_RANGE_EQ or _NEQ */
	FOREIGN_BITS,	      /* dreg = (sreg & a) ^ b, len bytes */
	FOREIGN_LOOKUP,	      /* sreg in set `name`; op 1 = inverted; has_dreg: a map */
	FOREIGN_VALUE,	      /* a[len] -> dreg */
	FOREIGN_VERDICT,      /* key = verdict code; name = the chain of a jump or goto */
	FOREIGN_DROPS,	      /* reject */
	FOREIGN_TRANSLATES,   /* dnat, redirect */
	FOREIGN_ENDS,	      /* snat, masquerade: decided, the packet goes on */
	FOREIGN_NOTRACK,      /* no connection tracking, so no translation; goes on */
	FOREIGN_XT_MATCH,     /* name, key = revision, a[len] = its info */
	FOREIGN_XT_TARGET,    /* name, a[len] = its info, if it has any */
};

struct foreign_op {
	uint8_t kind; /* enum foreign_kind */
	uint8_t sreg, dreg;
	uint8_t base; /* NFT_PAYLOAD_*_HEADER */
	uint16_t len;
	uint8_t op;
	bool has_dreg;
	uint32_t key;
	const uint8_t *a, *b;
	const char *name;
};

struct foreign_rule {
	struct foreign_rule *next;
	uint64_t handle;
	struct foreign_op *ops;
	unsigned n_ops;
};

struct foreign_chain {
	uint8_t family; /* NFPROTO_* of its table */
	const char *table, *name;
	bool is_base;
	const char *type; /* "nat", "filter", "route"; "" when not a base chain */
	uint32_t hook;	  /* NF_INET_* */
	int32_t priority;
	uint32_t policy; /* NF_ACCEPT, NF_DROP */
	struct foreign_rule *rules, *last;
	bool truncated; /* has rules that were not kept */
};

struct foreign_elem {
	const uint8_t *key; /* key_len bytes of its set */
	uint32_t flags;	    /* NFT_SET_ELEM_* */
	bool has_verdict;
	uint32_t verdict;
	const char *chain;
	const uint8_t *data; /* data_len bytes, or NULL */
};

struct foreign_set {
	uint8_t family;
	const char *table, *name;
	uint32_t flags, key_len, data_len;
	struct foreign_elem *v;
	unsigned n, cap;
	bool truncated; /* has elements that were not kept, or of a shape that is not known */
	bool sorted;
};

struct foreign_table {
	uint8_t family;
	const char *name;
	bool dormant, owned; /* owned: by a running process (NFT_TABLE_F_OWNER) */
};

struct nft_foreign {
	struct arena arena;
	const char *own; /* the inet table that is not foreign */
	struct foreign_table *tables;
	struct foreign_chain **chains;
	struct foreign_set **sets;
	unsigned n_tables, cap_tables, n_chains, cap_chains, n_sets, cap_sets, n_ops;
	bool chains_sorted, sets_sorted;
	bool truncated;
	bool failed; /* out of memory */
};

/* Reads all tables but `own` (inet) of the families ip, ip6, inet and netdev. New; free with
 * nft_foreign_free(). Fails as nft_read() does. */
int nft_foreign_read(struct nft *n, const char *own, struct nft_foreign **out, struct err *e);
void nft_foreign_free(struct nft_foreign *f);

struct nft_foreign *nft_foreign_new(const char *own); /* empty; NULL when out of memory */
/* The kernel's answers, from any bytes (aligned to 4). Sets a as nft_parse_answer() does. */
void nft_foreign_parse(const void *bytes, size_t len, struct nft_foreign *f, struct nft_answer *a);

/* Borrowed, NULL when there is none; for nft_judge.c. */
struct foreign_chain *foreign_chain_find(struct nft_foreign *f, uint8_t family, const char *table,
					 const char *name);
struct foreign_set *foreign_set_find(struct nft_foreign *f, uint8_t family, const char *table,
				     const char *name);
const struct foreign_table *foreign_table_find(const struct nft_foreign *f, uint8_t family,
					       const char *name);

/* "ip", "ip6", "inet", "netdev" */
const char *foreign_family_name(uint8_t family);

#endif
