/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host_attr: netlink attributes of the kernel's answers, taken only after their length was checked.
 * Any bytes are safe. Pointers go into the message. Only the *_parse.c here include this.
 */
#ifndef CTL_HOST_HOST_ATTR_H
#define CTL_HOST_HOST_ATTR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <libmnl/libmnl.h>

/* The array that a walk over one level of attributes fills; larger types are not looked at. */
#define ATTR_MAX 64

struct attrs {
	const struct nlattr *v[ATTR_MAX];
};

static inline void attrs_add(struct attrs *t, const struct nlattr *a)
{
	if (mnl_attr_get_type(a) < ATTR_MAX)
		t->v[mnl_attr_get_type(a)] = a;
}

/* header: bytes between the message's own header and its attributes. */
static inline struct attrs attrs_of(const struct nlmsghdr *h, size_t header)
{
	struct attrs t = { 0 };
	const struct nlattr *a;

	mnl_attr_for_each (a, h, header)
		attrs_add(&t, a);
	return t;
}

/* nest may be NULL: none. */
static inline struct attrs attrs_of_nest(const struct nlattr *nest)
{
	struct attrs t = { 0 };
	const struct nlattr *a;

	if (!nest)
		return t;
	mnl_attr_for_each_nested (a, nest)
		attrs_add(&t, a);
	return t;
}

/* Exactly len bytes, or false and out as it was. */
static inline bool get_bytes(const struct nlattr *a, void *out, size_t len)
{
	if (!a || mnl_attr_get_payload_len(a) != len)
		return false;
	memcpy(out, mnl_attr_get_payload(a), len);
	return true;
}

static inline bool get_u32(const struct nlattr *a, uint32_t *out)
{
	return get_bytes(a, out, sizeof(*out));
}

#endif
