/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn_text: connections as rows of a table. What does not fit is taken from
 * the middle of addresses, so that both their ends and the port stay.
 */
#ifndef CTL_CLI_CONN_TEXT_H
#define CTL_CLI_CONN_TEXT_H

#include "ctl/host/conntrack.h"

#define CONN_COLUMNS 9
#define CONN_CELL    64 /* bytes of the longest cell but the first, with NUL */
#define CONN_GONE    "(gone)"

/* Widths of those that can be cut: route, client, local, target; and what the rest takes. */
struct conn_columns {
	unsigned width[4], rest[4];
	bool any_age; /* else that column is left out */
};

struct conn_columns conn_columns_init(void);
/* Once for each row; route NULL = its name is not known. */
void conn_columns_measure(struct conn_columns *c, const char *route, const struct ct_flow *f);
void conn_columns_fit(struct conn_columns *c, unsigned total);
/* Both return the number of columns. Column 0, the route, has its text from the caller. */
unsigned conn_columns_head(const struct conn_columns *c, const char *head[CONN_COLUMNS]);
unsigned conn_columns_row(const struct conn_columns *c, const struct ct_flow *f, int64_t now_ms,
			  char cells[CONN_COLUMNS][CONN_CELL]);

/* "10.0.0.2:443", "[fd00::1]:443", at most `width` long: "[2001:db..:9a]:443". The port always
 * stays, so a width under 12 is taken for 12. Returns out. */
#define CONN_ENDPOINT 64
const char *conn_endpoint(const struct addr *a, uint16_t port, unsigned width,
			  char out[CONN_ENDPOINT]);
/* "59s", "4m", "119h", "5d"; "812", "1.2k", "34M": at most 5 characters. */
const char *conn_seconds(int64_t s, char out[8]);
const char *conn_amount(uint64_t n, char out[8]);

#endif
