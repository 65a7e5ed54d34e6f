/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_attr: netlink attributes of the kernel's answers, taken only after their
 * length was checked. Any bytes are safe. Pointers go into the message. Only nft_*.c
 * include this.
 */
#ifndef CTL_NFT_NFT_ATTR_H
#define CTL_NFT_NFT_ATTR_H

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <libmnl/libmnl.h>

/* The array that a walk over one level of attributes fills; larger types are newer than us. */
#define ATTR_MAX 40

struct attrs {
	const struct nlattr *v[ATTR_MAX];
};

static inline void attrs_add(struct attrs *t, const struct nlattr *a)
{
	uint16_t type = mnl_attr_get_type(a);

	if (type < ATTR_MAX)
		t->v[type] = a;
}

static inline struct attrs attrs_of_message(const struct nlmsghdr *nlh)
{
	struct attrs t = { 0 };
	const struct nlattr *a;

	mnl_attr_for_each (a, nlh, sizeof(struct nfgenmsg))
		attrs_add(&t, a);
	return t;
}

static inline struct attrs attrs_of_nest(const struct nlattr *nest)
{
	struct attrs t = { 0 };
	const struct nlattr *a;

	mnl_attr_for_each_nested (a, nest)
		attrs_add(&t, a);
	return t;
}

static inline bool get_be32(const struct nlattr *a, uint32_t *out)
{
	uint32_t v;

	if (!a || mnl_attr_get_payload_len(a) != sizeof(v))
		return false;
	memcpy(&v, mnl_attr_get_payload(a), sizeof(v));
	*out = ntohl(v);
	return true;
}

static inline uint32_t be32_or(const struct nlattr *a, uint32_t fallback)
{
	get_be32(a, &fallback);
	return fallback;
}

static inline uint64_t be64_or_0(const struct nlattr *a)
{
	uint64_t v = 0;

	if (a && mnl_attr_get_payload_len(a) == sizeof(v))
		memcpy(&v, mnl_attr_get_payload(a), sizeof(v));
	return be64toh(v);
}

/* The string, or NULL where it has no NUL of its own. */
static inline const char *get_str(const struct nlattr *a)
{
	if (!a || !memchr(mnl_attr_get_payload(a), '\0', mnl_attr_get_payload_len(a)))
		return NULL;
	return mnl_attr_get_payload(a);
}

#endif
