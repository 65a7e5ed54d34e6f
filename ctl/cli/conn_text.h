/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conn_text: connections as rows of a table. What does not fit is taken from
 * the middle of addresses, so that both their ends and the port stay.
 */
#ifndef CTL_CLI_CONN_TEXT_H
#define CTL_CLI_CONN_TEXT_H

#include "ctl/host/conntrack.h"

#define CONN_COLUMNS 10
#define CONN_CELL    64 /* bytes of the longest cell but the first, with NUL */
#define CONN_GONE    "(gone)"

/* What the service knows besides of one of its connections; texts are NULL where there is none. */
struct conn_relay {
	const char
		*state; /* "header", "sniff", "connect", "linger", or what moves it: "copy" ... */
	bool moves;	/* state is the mover */
	char *target;	/* "10.0.0.1:443", "db.test:5432", "unix:/path" */
	char *sni;
	int64_t age_ms, idle_ms;
};

/* Widths of those that can be cut: route, client, local, target, name; and what the rest takes. */
struct conn_columns {
	unsigned width[5], rest[4];
	bool any_age, any_sni; /* else these columns are left out */
	bool ports_only;       /* ":443" is enough of LOCAL: names need the room */
};

struct conn_columns conn_columns_init(void);
/* Once for each row; route NULL = its name is not known; r NULL = the kernel serves it. */
void conn_columns_measure(struct conn_columns *c, const char *route, const struct ct_flow *f,
			  const struct conn_relay *r);
void conn_columns_fit(struct conn_columns *c, unsigned total);
/* Both return the number of columns. Column 0, the route, has its text from the caller. */
unsigned conn_columns_head(const struct conn_columns *c, const char *head[CONN_COLUMNS]);
unsigned conn_columns_row(const struct conn_columns *c, const struct ct_flow *f,
			  const struct conn_relay *r, int64_t now_ms,
			  char cells[CONN_COLUMNS][CONN_CELL]);

/* "10.0.0.2:443", "[fd00::1]:443", at most `width` long: "[2001:db..:9a]:443". The port always
 * stays, so a width under 12 is taken for 12. Returns out. */
#define CONN_ENDPOINT 64
const char *conn_endpoint(const struct addr *a, uint16_t port, unsigned width,
			  char out[CONN_ENDPOINT]);
/* Any other text, at most `width` (and CONN_ENDPOINT - 1) bytes long: "a-very-l..st.test". */
const char *conn_cut(const char *text, unsigned width, char out[CONN_ENDPOINT]);
/* "59s", "4m", "119h", "5d"; "812", "1.2k", "34M": at most 5 characters. */
const char *conn_seconds(int64_t s, char out[8]);
const char *conn_amount(uint64_t n, char out[8]);

#endif
