/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ruleset: a whole nftables table as data - what we want, or what the kernel
 * has. ruleset_compile.c fills one from a plan, nft_read.c fills one from the
 * kernel, nft_diff.c turns a pair into one batch, ruleset_image.c keeps one in
 * a file. No kernel calls here.
 *
 * Objects are found by name. Elements are fixed-stride bytes in the kernel's
 * own layout (each concatenated field padded to 4 bytes with zeroes; addresses
 * and ports in network order, marks, label words and slots in host order).
 */
#ifndef CTL_NFT_RULESET_H
#define CTL_NFT_RULESET_H

#include <stdint.h>

#include "ctl/base/err.h"

struct nftnl_rule;

/* TLV types in a rule's userdata: nft's comment, and ours (nft skips what it does not know). */
enum { RS_UDATA_COMMENT = 0, RS_UDATA_HASH = 0x53 };

/* The map that holds the config generation: key 1 -> generation, both of type mark. */
#define RS_GENERATION_SET "generation"
#define RS_GENERATION_KEY 1u

#define RS_NAME_MAX 32 /* our own names, with NUL; the kernel allows 256 */
#define RS_NO_PLACE UINT32_MAX

/* nft's own datatype numbers (include/datatype.h of nftables): only for `nft list`. */
enum rs_type {
	RS_TYPE_IP = 7,
	RS_TYPE_IP6 = 8,
	RS_TYPE_PROTO = 12,
	RS_TYPE_PORT = 13,
	RS_TYPE_MARK = 19,
	RS_TYPE_IFNAME = 41,
};
/*
 * A plain set whose elements carry a limit of their own (`limit rate over`): 8 bytes of data, bytes
 * a second in host order. The kernel keeps no type for that, so such a set is known by its name.
 */
#define RS_DATA_LIMIT 0xfffffffeu
#define RS_LIMIT_SET  "police_"
/* Elements of a dynamic set with a counter: packets and bytes, 8 bytes each, in host order. Only
 * for what is carried from one table to another (nft_count.h). */
#define RS_DATA_COUNTER 0xfffffffdu
#define RS_CONCAT(a, b) ((uint32_t)(a) << 6 | (uint32_t)(b))

/*
 * The kernel makes room for a dynamic set's whole size at once, but it keeps the
 * hint for that in 16 bits (rhashtable_params.nelem_hint): 65535 elements take
 * 2 MB while the set is empty, 65536 nothing. Hence the sizes of dynamic sets
 * are multiples of this.
 */
#define RS_SIZE_FREE 65536u

struct rs_set_def {
	char name[RS_NAME_MAX];
	uint32_t flags;	    /* NFT_SET_MAP, NFT_SET_INTERVAL, NFT_SET_EVAL, NFT_SET_TIMEOUT */
	uint32_t key_type;  /* RS_TYPE_*, concatenated with RS_CONCAT */
	uint32_t key_len;   /* bytes, padded */
	uint32_t data_type; /* RS_TYPE_*, or NFT_DATA_VERDICT */
	uint32_t data_len;  /* bytes in the kernel; 0 for a plain set; ignored for verdicts */
	uint32_t size;	    /* DESC_SIZE, 0 = none */
	uint64_t timeout_ms;
};

enum { RS_ELEM_INTERVAL_END = 1 }; /* = NFT_SET_ELEM_INTERVAL_END */

/* One element: rs_set_stride() bytes: key, flags (4 bytes), data. For verdict
 * maps the data is the chain name, NUL-padded to RS_NAME_MAX, with goto. */
struct rs_set {
	struct rs_set_def def;
	uint8_t *elems;
	uint32_t *places; /* per element: index of the route it came from; NULL in read rulesets */
	size_t n, cap;
	uint32_t place;	     /* for errors of the set itself */
	bool foreign;	     /* read from the kernel with a shape we never write (drift) */
	bool contents_known; /* false for dynamic sets: their elements are the kernel's own */
};

struct rs_rule {
	struct nftnl_rule *rule; /* NULL in rulesets that were read */
	uint64_t hash; /* over expressions and comment; kept in the rule's userdata; 0 = not ours */
	uint32_t place;
};

struct rs_hook {
	const char *type; /* "nat", "filter"; NULL = not a base chain */
	uint32_t hooknum; /* NF_INET_* */
	int32_t priority;
};

struct rs_chain {
	char name[RS_NAME_MAX];
	char type[16]; /* "" = regular */
	uint32_t hooknum;
	int32_t priority;
	struct rs_rule *rules;
	size_t n, cap;
	uint32_t place;
	bool foreign; /* read from the kernel with a shape we never write (policy, flags, device) */
};

/* Name -> position while a ruleset is being filled; open addressing. */
struct rs_index {
	uint32_t *slots; /* position + 1, 0 = free */
	size_t cap;
};

struct ruleset {
	char table[RS_NAME_MAX];
	bool exists;	      /* read: the table is there */
	bool ours;	      /* read: its userdata carries our mark */
	char owner[64];	      /* instance id in the table's userdata (ours), or "" */
	uint32_t generation;  /* config generation kept in the set `generation`; 0 = none */
	struct rs_set **sets; /* sorted by name after ruleset_seal() */
	size_t n_sets, cap_sets;
	struct rs_chain **chains;
	size_t n_chains, cap_chains;
	struct rs_index set_index, chain_index;
	bool sealed;
	bool foreign; /* read: has things that only a replacement of the whole table removes */
	bool failed;  /* out of memory while filling: ruleset_seal() returns -ENOMEM */
};

struct ruleset *ruleset_new(const char *table, const char *owner, uint32_t generation);
void ruleset_free(struct ruleset *rs);

/* Adds a set / a chain, or finds the one of that name. Borrowed; NULL only when out of memory. */
struct rs_set *ruleset_set(struct ruleset *rs, const struct rs_set_def *def, uint32_t place);
/* The same for the map of the config generation. */
struct rs_set *ruleset_generation_map(struct ruleset *rs);
struct rs_chain *ruleset_chain(struct ruleset *rs, const char *name, const struct rs_hook *hook,
			       uint32_t place);
/* Has a base chain of type nat. */
bool ruleset_has_nat(const struct ruleset *rs);
struct rs_set *ruleset_find_set(const struct ruleset *rs, const char *name);
struct rs_chain *ruleset_find_chain(const struct ruleset *rs, const char *name);

/* The k-th element of a set; its flags and its data (after the key). */
static inline uint8_t *rs_elem(const struct rs_set *s, size_t stride, size_t k)
{
	return s->elems + k * stride;
}
uint32_t rs_elem_flags(const struct rs_set_def *def, const void *elem);
/* "tcp . 80", "10.0.0.1", "mark 7", "end of 10.0.0.8" for messages; returns out. */
const char *rs_elem_format(const struct rs_set_def *def, const void *elem, char *out, size_t cap);
bool rs_set_def_is_verdict(const struct rs_set_def *def);
bool rs_set_def_is_limits(const struct rs_set_def *def);
bool rs_set_def_is_counters(const struct rs_set_def *def);
bool rs_set_def_equal(const struct rs_set_def *a, const struct rs_set_def *b);

size_t rs_set_stride(const struct rs_set_def *def);
size_t rs_set_data_len(const struct rs_set_def *def); /* RS_NAME_MAX for verdict maps */
/* key has def.key_len bytes, data def.data_len (NULL for sets and interval ends). */
void rs_set_add(struct rs_set *s, struct ruleset *rs, const void *key, uint32_t flags,
		const void *data, uint32_t place);
void rs_set_add_goto(struct rs_set *s, struct ruleset *rs, const void *key, const char *chain,
		     uint32_t place);
/* Takes the rule over. comment (may be NULL) is what `nft list` shows. */
void rs_chain_add(struct rs_chain *c, struct ruleset *rs, struct nftnl_rule *rule,
		  const char *comment, uint32_t place);

/* A rule that was read or loaded: only its hash is known. */
void rs_chain_add_hash(struct rs_chain *c, struct ruleset *rs, uint64_t hash);

/* The order of elements: key bytes, then the end of one interval before the start of the next. */
int rs_elem_cmp(const struct rs_set_def *def, const void *a, const void *b);
/* Sorts one set's elements; a key that stands twice is -EEXIST. Part of ruleset_seal(). */
int rs_set_seal(struct rs_set *s, struct err *e);
/* Sorts everything and hashes the rules; a key that stands twice is -EEXIST.
 * Must be called once, after the last add. */
int ruleset_seal(struct ruleset *rs, struct err *e);

/* Changes the config generation of a sealed ruleset that has one; generation is not 0. */
void ruleset_set_generation(struct ruleset *rs, uint32_t generation);

/* Gives the large hash sets of a sealed ruleset a size, the one they have where that serves. */
void ruleset_choose_sizes(struct ruleset *want, const struct ruleset *have);

/* Same sets, elements, chains, rule hashes and generation? what[] gets the first difference. */
bool ruleset_equal(const struct ruleset *a, const struct ruleset *b, char *what, size_t cap);

#endif
