/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * route_ids: the stable numbers of routes by name. ids are 1.. and are never
 * given again while next_id has not wrapped. Starts zeroed, ends with
 * route_ids_fini(). Found by hash; 64k names cost a few milliseconds.
 */
#ifndef CTL_NFT_ROUTE_IDS_H
#define CTL_NFT_ROUTE_IDS_H

#include <stdint.h>

#include "ctl/base/buf.h"

struct route_ids {
	struct buf text; /* all names, each with its NUL */
	uint32_t *at;	 /* where name i begins in it */
	uint32_t *ids;
	size_t n, cap;
	uint32_t next_id;
	uint32_t *slots; /* hash table of i + 1, made by route_ids_seal(); 0 = free */
	size_t n_slots;	 /* a power of two */
};

void route_ids_fini(struct route_ids *ids);
/* Copies the name. 0 or -ENOMEM. */
int route_ids_add(struct route_ids *ids, const char *name, uint32_t id);
/* After the last add, before the first find. 0 or -ENOMEM. */
int route_ids_seal(struct route_ids *ids);
const char *route_ids_name(const struct route_ids *ids, size_t i);
uint32_t route_ids_find(const struct route_ids *ids, const char *name); /* 0 = none */

#endif
