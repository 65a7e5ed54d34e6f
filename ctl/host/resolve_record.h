/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * resolve_record: one answer of the resolver child on its pipe. Fixed length,
 * below PIPE_BUF, so records of several threads never mix. The reader is root
 * and the writer has parsed packets of strangers: every field is checked.
 *
 *   0  u32 magic          12  16 addresses of 17 bytes: family (4, 6), bytes
 *   4  u32 index         284  why: 128 bytes, printable ASCII, NUL-padded
 *   8  u32 number of addresses; the rest zero. Host byte order.
 */
#ifndef CTL_HOST_RESOLVE_RECORD_H
#define CTL_HOST_RESOLVE_RECORD_H

#include "ctl/host/resolve.h"

#define RESOLVE_RECORD_LEN 412

struct resolve_record {
	unsigned index; /* below the number of names that were asked */
	unsigned n;
	struct addr addrs[RESOLVE_MAX_ADDRS]; /* ascending; never mapped, multicast, unspecified */
	char why[128];			      /* "" exactly when n > 0 */
};

/* Sorts, drops doubles, multicast and unspecified addresses; returns what is left. */
unsigned resolve_addrs_normalize(struct addr *v, unsigned n);
void resolve_record_format(const struct resolve_record *r, uint8_t out[RESOLVE_RECORD_LEN]);
/* Pure. True if these bytes are a record that resolve_record_format() could have written
 * for one of n_names names. */
bool resolve_record_parse(const uint8_t *bytes, size_t len, unsigned n_names,
			  struct resolve_record *out);

#endif
