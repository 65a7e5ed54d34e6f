/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table: aligned columns of text that fit TABLE_WIDTH. The widest columns are
 * cut first, with "..." at the cut. Rows are kept until table_print().
 */
#ifndef CTL_CLI_TABLE_H
#define CTL_CLI_TABLE_H

#include <stdio.h>

#include "ctl/base/arena.h"

#define TABLE_WIDTH	  100
#define TABLE_MAX_COLUMNS 10

struct table {
	struct arena arena;
	unsigned columns;
	const char **cells; /* row-major, the first row is the head */
	size_t n, cap;	    /* cells */
	int failed;
};

/* Starts a table with its head, n names. */
void table_init(struct table *t, unsigned n, const char *const *head);
/* One cell, left to right; copies the text. NULL is "-". */
void table_cell(struct table *t, const char *text);
void table_cellf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_print(struct table *t, FILE *out);
void table_fini(struct table *t);
/* How many columns `len` bytes of text take on a terminal. */
size_t table_columns(const char *s, size_t len);

#endif
