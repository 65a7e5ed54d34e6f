/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/conn_text.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "ctl/cli/describe.h"

#define GAP	     2
#define ROUTE_GOOD   14
#define ROUTE_MIN    8
#define ENDPOINT_MIN 12

#define SNI_MIN	   8
#define SNI_GOOD   14
#define PORT_WIDTH 6

enum { AT_ROUTE, AT_CLIENT, AT_LOCAL, AT_TARGET, AT_SNI, N_CUT };
enum { AT_PROTO, AT_STATE, AT_LEFT, AT_BYTES };

const char *conn_seconds(int64_t s, char out[8])
{
	static const struct {
		int64_t below, unit;
		char letter;
	} steps[] = { { 120, 1, 's' }, { 7200, 60, 'm' }, { 172800, 3600, 'h' } };
	size_t i = 0;

	if (s < 0)
		s = 0;
	while (i < 3 && s >= steps[i].below)
		i++;
	if (i < 3)
		snprintf(out, 8, "%d%c", (int)(s / steps[i].unit), steps[i].letter);
	else
		snprintf(out, 8, "%dd", s / 86400 > 9999 ? 9999 : (int)(s / 86400));
	return out;
}

const char *conn_amount(uint64_t n, char out[8])
{
	static const char units[] = "kMGTPE";
	unsigned i = 0;

	if (n < 1000) {
		snprintf(out, 8, "%u", (unsigned)n);
		return out;
	}
	while (n >= 1000000) {
		n /= 1000;
		i++;
	}
	if (n < 10000)
		snprintf(out, 8, "%u.%u%c", (unsigned)n / 1000, (unsigned)n / 100 % 10, units[i]);
	else
		snprintf(out, 8, "%u%c", (unsigned)n / 1000, units[i]);
	return out;
}

const char *conn_endpoint(const struct addr *a, uint16_t port, unsigned width,
			  char out[CONN_ENDPOINT])
{
	const char *form = a->family == ADDR_V6 ? "[%.*s%s%s]:%u" : "%.*s%s%s:%u";
	char text[ADDR_TEXT];
	unsigned len, room, head, more;

	addr_format(a, text);
	len = (unsigned)strlen(text);
	more = (unsigned)snprintf(out, CONN_ENDPOINT, form, 0, "", "", "", port);
	room = (width < ENDPOINT_MIN ? ENDPOINT_MIN : width) - more;
	if (len <= room) {
		snprintf(out, CONN_ENDPOINT, form, (int)len, text, "", "", port);
		return out;
	}
	head = (room - 1) / 2;
	snprintf(out, CONN_ENDPOINT, form, (int)head, text, "..", text + len - (room - 2 - head),
		 port);
	return out;
}

const char *conn_cut(const char *text, unsigned width, char out[CONN_ENDPOINT])
{
	const size_t n = strlen(text), most = width < CONN_ENDPOINT ? width : CONN_ENDPOINT - 1;
	size_t head;

	if (n <= most) {
		memcpy(out, text, n + 1);
		return out;
	}
	if (most < 4) {
		memcpy(out, text, most);
		out[most] = '\0';
		return out;
	}
	head = (most - 2) / 2;
	snprintf(out, CONN_ENDPOINT, "%.*s..%s", (int)head, text, text + n - (most - 2 - head));
	return out;
}

/* ESTABLISHED as ss(8) has it: the column would be the widest of all. */
static const char *short_state(const struct ct_flow *f, const struct conn_relay *r)
{
	const char *name = r ? r->state : conntrack_state_name(f);

	return !strcmp(name, "ESTABLISHED") ? "ESTAB" : name;
}

static void put_bytes(const struct ct_flow *f, char out[CONN_CELL])
{
	char in[8], back[8];

	if (f->counted)
		snprintf(out, CONN_CELL, "%s/%s", conn_amount(f->bytes_in, in),
			 conn_amount(f->bytes_out, back));
	else
		strcpy(out, "-");
}

static void put_age(const struct ct_flow *f, int64_t now_ms, char out[CONN_CELL])
{
	if (f->start_ms)
		conn_seconds((now_ms - f->start_ms) / 1000, out);
	else
		strcpy(out, "-");
}

static void put_target(const struct ct_flow *f, const struct conn_relay *r, unsigned width,
		       char out[CONN_CELL])
{
	if (r)
		conn_cut(r->target ? r->target : "-", width, out);
	else
		conn_endpoint(&f->target, f->target_port, width, out);
}

/* The service's have no such time. */
static void put_left(const struct ct_flow *f, const struct conn_relay *r, char out[CONN_CELL])
{
	if (r)
		strcpy(out, "-");
	else
		conn_seconds(f->expires_s, out);
}

static void widen(unsigned *width, const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	if (n > *width)
		*width = n;
}

struct conn_columns conn_columns_init(void)
{
	return (struct conn_columns){ .width = { 5, 6, 5, 6, 0 }, .rest = { 5, 5, 4, 6 } };
}

void conn_columns_measure(struct conn_columns *c, const char *route, const struct ct_flow *f,
			  const struct conn_relay *r)
{
	char text[CONN_CELL];

	widen(&c->width[AT_ROUTE], route ? route : CONN_GONE);
	widen(&c->width[AT_CLIENT], conn_endpoint(&f->client, f->client_port, 63, text));
	widen(&c->width[AT_LOCAL], conn_endpoint(&f->local, f->local_port, 63, text));
	put_target(f, r, CONN_CELL - 1, text);
	widen(&c->width[AT_TARGET], text);
	widen(&c->rest[AT_STATE], short_state(f, r));
	put_left(f, r, text);
	widen(&c->rest[AT_LEFT], text);
	put_bytes(f, text);
	widen(&c->rest[AT_BYTES], text);
	c->any_age |= f->start_ms != 0;
	if (!r || !r->sni)
		return;
	c->any_sni = true;
	widen(&c->width[AT_SNI], "SNI");
	widen(&c->width[AT_SNI], conn_cut(r->sni, CONN_CELL - 1, text));
}

void conn_columns_fit(struct conn_columns *c, unsigned total)
{
	static const unsigned least[N_CUT] = { ROUTE_MIN, ENDPOINT_MIN, ENDPOINT_MIN, ENDPOINT_MIN,
					       SNI_MIN };
	unsigned sum = GAP * 7 + (c->any_age ? GAP + 5 : 0) + (c->any_sni ? GAP : 0);

	for (unsigned i = 0; i < 4; i++)
		sum += c->rest[i];
	for (unsigned i = 0; i < N_CUT; i++)
		sum += c->width[i];
	if (sum > total && c->any_sni) {
		c->ports_only = true;
		sum -= c->width[AT_LOCAL] - PORT_WIDTH;
		c->width[AT_LOCAL] = PORT_WIDTH;
	}
	/* Names first: an address that is cut says less. */
	while (sum > total && c->width[AT_SNI] > SNI_GOOD) {
		c->width[AT_SNI]--;
		sum--;
	}
	while (sum > total && c->width[AT_ROUTE] > ROUTE_GOOD) {
		c->width[AT_ROUTE]--;
		sum--;
	}
	while (sum > total) {
		unsigned widest = N_CUT;

		for (unsigned i = 0; i < N_CUT; i++)
			if (c->width[i] > least[i] &&
			    (widest == N_CUT || c->width[i] > c->width[widest]))
				widest = i;
		if (widest == N_CUT)
			return;
		c->width[widest]--;
		sum--;
	}
}

unsigned conn_columns_head(const struct conn_columns *c, const char *head[CONN_COLUMNS])
{
	static const char *const names[] = { "ROUTE",  "PROTO", "CLIENT", "LOCAL",
					     "TARGET", "STATE", "LEFT",	  "IN/OUT" };
	unsigned n = sizeof(names) / sizeof(*names);

	memcpy(head, names, sizeof(names));
	if (c->any_age)
		head[n++] = "AGE";
	if (c->any_sni)
		head[n++] = "SNI";
	return n;
}

unsigned conn_columns_row(const struct conn_columns *c, const struct ct_flow *f,
			  const struct conn_relay *r, int64_t now_ms,
			  char cells[CONN_COLUMNS][CONN_CELL])
{
	unsigned n = 8;

	strcpy(cells[1], describe_proto(f->proto));
	conn_endpoint(&f->client, f->client_port, c->width[AT_CLIENT], cells[2]);
	if (c->ports_only)
		snprintf(cells[3], CONN_CELL, ":%u", f->local_port);
	else
		conn_endpoint(&f->local, f->local_port, c->width[AT_LOCAL], cells[3]);
	put_target(f, r, c->width[AT_TARGET], cells[4]);
	strcpy(cells[5], short_state(f, r));
	put_left(f, r, cells[6]);
	put_bytes(f, cells[7]);
	if (c->any_age)
		put_age(f, now_ms, cells[n++]);
	if (c->any_sni)
		conn_cut(r && r->sni ? r->sni : "-", c->width[AT_SNI], cells[n++]);
	return n;
}
