/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sniff: what a reader of first bytes answers. All of them take bytes and do no I/O; given a longer
 * prefix of the same stream they never take back an answer other than SNIFF_MORE. */
#ifndef DATAPLANE_SNIFF_H
#define DATAPLANE_SNIFF_H

enum sniff {
	SNIFF_MORE, /* the bytes so far allow several answers */
	SNIFF_YES,  /* it is, and it is whole */
	SNIFF_NO,   /* it is something else */
	SNIFF_BAD,  /* it is, but broken or over its bound */
};

#endif
