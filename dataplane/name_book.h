/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * name_book: the addresses behind target names. The main thread keeps a register;
 * what workers read is a book: all of it at one moment, immutable, sorted, with references.
 * Books share what stands in them, so one costs a pointer for each name.
 */
#ifndef DATAPLANE_NAME_BOOK_H
#define DATAPLANE_NAME_BOOK_H

#include "ctl/base/addr.h"

struct name_entry {
	const char *name;
	const struct addr *v;
	unsigned n;
};

/* ---- any thread ---- */

struct name_book;
struct name_book *name_book_ref(struct name_book *b);
void name_book_unref(struct name_book *b);
/* NULL: it is not in it, or b is NULL. Borrowed from the book. */
const struct name_entry *name_book_find(const struct name_book *b, const char *name);
unsigned name_book_count(const struct name_book *b);

/* ---- the main thread ---- */

struct name_register;
struct name_register *name_register_new(void);
void name_register_free(struct name_register *r); /* books live on */
/* Instead of what it had. -ENOMEM: it has what it had. */
int name_register_set(struct name_register *r, const char *name, const struct addr *v, unsigned n);
/* Until the next name_register_set() or _keep(). */
const struct name_entry *name_register_find(const struct name_register *r, const char *name);
unsigned name_register_count(const struct name_register *r);
/* Forgets all but these (sorted by strcmp). */
void name_register_keep(struct name_register *r, const char *const *sorted, unsigned n);
/* As it is now; one reference. NULL: no memory. */
struct name_book *name_register_book(const struct name_register *r);

#endif
