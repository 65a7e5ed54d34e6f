/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ruleset_image: a sealed ruleset (without its rules' expressions) and the
 * route ids in one file, so that the next apply need not ask the kernel for
 * 64k elements. It is trusted only while the kernel's ruleset generation is
 * still the one noted in it; it is a cache, so a damaged file is "no file".
 */
#ifndef CTL_RULESET_IMAGE_H
#define CTL_RULESET_IMAGE_H

#include "ctl/ruleset.h"

/* Stable numbers of routes by name. ids are 1.. and are never given again while
 * next_id has not wrapped. Starts zeroed, ends with route_ids_fini(). */
struct route_ids {
	char **names; /* owned; sorted after route_ids_seal() */
	uint32_t *ids;
	size_t n, cap;
	uint32_t next_id;
};

void route_ids_fini(struct route_ids *ids);
int route_ids_add(struct route_ids *ids, const char *name, uint32_t id);
void route_ids_seal(struct route_ids *ids);
uint32_t route_ids_find(const struct route_ids *ids, const char *name); /* 0 = none */

/* boot: boot id; genid: the kernel's ruleset generation right after the commit. */
int ruleset_image_save(const char *path, const struct ruleset *rs, const struct route_ids *ids,
		       const char *boot, uint32_t genid, struct err *e);
/* *rs and *ids filled and *genid set when the file is whole and of this boot; else -ENOENT. */
int ruleset_image_load(const char *path, const char *boot, struct ruleset **rs,
		       struct route_ids *ids, uint32_t *genid);

#endif
