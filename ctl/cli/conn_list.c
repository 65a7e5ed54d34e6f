/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/conn_list.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* ---- the service's ---- */

static void relay_free(struct conn_relay *r)
{
	if (!r)
		return;
	free(r->target);
	free(r->sni);
	free(r);
}

static char *text_of(const json_t *c, const char *key)
{
	const char *text = json_string_value(json_object_get(c, key));

	return text ? strdup(text) : NULL;
}

static int64_t number_of(const json_t *c, const char *key)
{
	return json_integer_value(json_object_get(c, key));
}

static bool end_of(const json_t *c, const char *address, const char *port, struct addr *a,
		   uint16_t *p)
{
	const char *text = json_string_value(json_object_get(c, address));
	const json_int_t n = number_of(c, port);

	if (!text || !addr_parse(text, a) || n < 1 || n > 65535)
		return false;
	*p = (uint16_t)n;
	return true;
}

/* Of the closed list, so that it need not be copied. */
static const char *state_of(const json_t *c)
{
	static const char *const names[] = { "header", "sniff",	 "connect", "relay",
					     "linger", "splice", "copy" };
	const char *state = json_string_value(json_object_get(c, "state"));
	const char *mover = json_string_value(json_object_get(c, "mover"));

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(names[i], mover ? mover : state ? state : ""))
			return names[i];
	return "?";
}

/* "HOST:PORT" or "unix:PATH": others nobody could read. */
static bool is_target(const char *text)
{
	const char *colon = strrchr(text, ':');

	return !strncmp(text, "unix:", 5) ||
	       (colon && colon[1] && strspn(colon + 1, "0123456789") == strlen(colon + 1));
}

static struct conn_relay *relay_new(const json_t *c)
{
	struct conn_relay *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->state = state_of(c);
	r->moves = json_object_get(c, "mover") != NULL;
	r->target = text_of(c, "to");
	if (r->target && !is_target(r->target)) {
		free(r->target);
		r->target = NULL;
	}
	r->sni = text_of(c, "sni");
	r->age_ms = number_of(c, "age");
	r->idle_ms = number_of(c, "idle");
	return r;
}

/* ---- the list ---- */

static int add(struct conn_list *l, const struct conn *c)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 256;
		struct conn *v = reallocarray(l->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *c;
	return 0;
}

int conn_list_add_flow(struct conn_list *l, const struct ct_flow *f, const char *route, bool gone)
{
	return add(l, &(struct conn){ .flow = *f, .route = route, .gone = gone });
}

int conn_list_add_relay(struct conn_list *l, const json_t *c, const char *route, bool gone,
			int64_t now_ms)
{
	struct conn x = { .route = route, .gone = gone };
	struct ct_flow *f = &x.flow;

	if (!end_of(c, "client", "clientPort", &f->client, &f->client_port) ||
	    !end_of(c, "local", "port", &f->local, &f->local_port))
		return 0;
	f->proto = IPPROTO_TCP;
	f->id = (uint32_t)number_of(c, "route");
	f->counted = true;
	f->bytes_in = (uint64_t)number_of(c, "bytesIn");
	f->bytes_out = (uint64_t)number_of(c, "bytesOut");
	x.relay = relay_new(c);
	if (!x.relay)
		return -ENOMEM;
	f->start_ms = now_ms - x.relay->age_ms;
	if (!add(l, &x))
		return 0;
	relay_free(x.relay);
	return -ENOMEM;
}

void conn_list_fini(struct conn_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		relay_free(l->v[i].relay);
	free(l->v);
	*l = (struct conn_list){ 0 };
}

/* ---- order ---- */

static int ends_cmp(const struct conn *x, const struct conn *y)
{
	int rc = x->flow.proto - y->flow.proto;

	rc = rc ? rc : addr_cmp(&x->flow.client, &y->flow.client);
	rc = rc ? rc : x->flow.client_port - y->flow.client_port;
	rc = rc ? rc : addr_cmp(&x->flow.local, &y->flow.local);
	return rc ? rc : x->flow.local_port - y->flow.local_port;
}

/* The service's first. */
static int twins_cmp(const void *a, const void *b)
{
	const struct conn *x = a, *y = b;
	int rc = ends_cmp(x, y);

	return rc ? rc : !x->relay - !y->relay;
}

static int conn_cmp(const void *a, const void *b)
{
	const struct conn *x = a, *y = b;
	int rc = !x->route - !y->route;

	rc = rc || !x->route ? rc : strcmp(x->route, y->route);
	rc = rc ? rc : ends_cmp(x, y);
	return rc ? rc : x->flow.zone - y->flow.zone;
}

void conn_list_settle(struct conn_list *l)
{
	const struct conn *last = NULL; /* of the service's */
	size_t n = 0;

	if (!l->n)
		return;
	qsort(l->v, l->n, sizeof(*l->v), twins_cmp);
	for (size_t i = 0; i < l->n; i++) {
		if (!l->v[i].relay && last && !ends_cmp(last, &l->v[i]))
			continue;
		l->v[n] = l->v[i];
		if (l->v[n].relay)
			last = &l->v[n];
		n++;
	}
	l->n = n;
	qsort(l->v, l->n, sizeof(*l->v), conn_cmp);
}
