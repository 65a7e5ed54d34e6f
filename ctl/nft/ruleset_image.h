/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ruleset_image: a sealed ruleset (without its rules' expressions) and the
 * route ids in one file, so that the next apply need not ask the kernel for
 * 64k elements. It is trusted only while the kernel's ruleset generation is
 * still the one noted in it; it is a cache, so a damaged file is "no file".
 */
#ifndef CTL_NFT_RULESET_IMAGE_H
#define CTL_NFT_RULESET_IMAGE_H

#include "ctl/base/buf.h"
#include "ctl/nft/route_ids.h"
#include "ctl/nft/ruleset.h"

/* boot: boot id; genid: the kernel's ruleset generation right after the commit. */
int ruleset_image_save(const char *path, const struct ruleset *rs, const struct route_ids *ids,
		       const char *boot, uint32_t genid, struct err *e);
/* The same from bytes in memory; the checksum is what stands at its place in a whole image. */
int ruleset_image_parse(const void *bytes, size_t len, const char *boot, struct ruleset **rs,
			struct route_ids *ids, uint32_t *genid);
/* The image of rs and ids as bytes: -ENOMEM when out of memory. */
int ruleset_image_build(const struct ruleset *rs, const struct route_ids *ids, const char *boot,
			uint32_t genid, struct buf *out);
/* Where the 8-byte checksum stands, and over what: all bytes after it. */
#define RULESET_IMAGE_SUM_OFFSET    8
#define RULESET_IMAGE_LENGTH_OFFSET 24 /* 8 bytes: of the whole image */
uint64_t ruleset_image_checksum(const void *bytes, size_t len);
/* *rs and *ids filled and *genid set when the file is whole and of this boot; else -ENOENT. */
int ruleset_image_load(const char *path, const char *boot, struct ruleset **rs,
		       struct route_ids *ids, uint32_t *genid);

#endif
