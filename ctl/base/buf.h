/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buf: a growing byte buffer. Starts zeroed, ends with buf_fini().
 * Out of memory sets `failed` and every later call does nothing, so a caller
 * checks once at the end. data is NUL-terminated after every text call
 * (the NUL is not counted in len).
 */
#ifndef CTL_BASE_BUF_H
#define CTL_BASE_BUF_H

#include "ctl/base/err.h"

struct buf {
	char *data;
	size_t len, cap;
	bool failed;
};

void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* len = 0, memory kept */
/* Room for n more bytes; NULL when out of memory. */
void *buf_reserve(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
