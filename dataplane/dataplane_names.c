// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names that targets have, from the main thread to the workers: what is learnt
 * goes into a register at once, and to the workers as one book for all that came together - of a
 * message, or of PUBLISH_MS. A book for each name would be the square of their number, and the
 * main thread would miss its heartbeats over it.
 */
#include <errno.h>

#include "dataplane/dataplane_internal.h"

#define PUBLISH_MS  20
#define STRAYS_KEPT 1024

/* ---- to the workers ---- */

static void publish_later(struct dataplane *d);

static void publish(struct dataplane *d)
{
	struct name_book *b = name_register_book(d->known);

	timer_cancel(d->loop, &d->publish);
	d->published_ms = loop_now_ms(d->loop);
	for (unsigned i = 0; b && i < d->n_workers; i++)
		if (worker_set_names(&d->workers[i], name_book_ref(b)))
			publish_later(d);
	if (!b)
		publish_later(d);
	name_book_unref(b);
}

static void publish_due(struct timer *t)
{
	publish((struct dataplane *)((char *)t - offsetof(struct dataplane, publish)));
}

static void publish_later(struct dataplane *d)
{
	if (!timer_is_set(&d->publish))
		timer_set(d->loop, &d->publish, d->published_ms + PUBLISH_MS, publish_due);
}

/* ---- what is learnt ---- */

static void name_changed(void *arg, const char *name, const struct addr *v, unsigned n,
			 unsigned ttl_s)
{
	struct dataplane *d = arg;
	json_t *list = json_array();
	char text[ADDR_TEXT];

	name_register_set(d->known, name, v, n);
	publish_later(d);
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_string(addr_format(&v[i], text)));
	dataplane_send(d, json_pack("{s:s,s:s,s:o,s:i}", "type", "name", "name", name, "addresses",
				    list, "ttl", (int)ttl_s));
}

static void name_empty(void *arg, const char *name, const char *why)
{
	struct dataplane *d = arg;
	const bool known = name_register_find(d->known, name);

	dataplane_notice(d, "warning", "name \"%.256s\": %s: %s", name, why,
			 known ? "it stays where it is" : "no target has it");
}

/* What a former dataplane, or the command that wrote the kernel's table, found out. */
static void remember(struct dataplane *d, const char *name, const json_t *list)
{
	struct addr v[NAMES_ADDRESSES_MAX];
	unsigned n = 0;

	for (size_t i = 0; i < json_array_size(list) && n < NAMES_ADDRESSES_MAX; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		n += text && addr_parse(text, &v[n]);
	}
	if (!n)
		return;
	names_remember(d->names, name, v, n);
	if (!name_register_find(d->known, name))
		name_register_set(d->known, name, v, n);
}

void dataplane_on_names(struct dataplane *d, const json_t *m)
{
	size_t i;
	json_t *entry;

	json_array_foreach (json_object_get(m, "names"), i, entry) {
		const char *name = json_string_value(json_object_get(entry, "name"));

		if (name)
			remember(d, name, json_object_get(entry, "addresses"));
	}
	publish(d);
}

/* Connections of a former table may still go to its names: they are forgotten when they are
 * many. */
static void forget_strays(struct dataplane *d)
{
	const unsigned known = name_register_count(d->known), followed = d->live->n_names;

	if (known > followed + STRAYS_KEPT && known / 2 > followed)
		name_register_keep(d->known, d->live->names, followed);
}

/* Before the workers are told of the table: they know its names by then. */
void dataplane_follow_names(struct dataplane *d)
{
	names_follow(d->names, d->live->names, d->live->n_names);
	forget_strays(d);
	publish(d);
}

/* ---- begin and end ---- */

/* Borrowed from the message. */
static unsigned texts(const json_t *list, const char **out, unsigned cap)
{
	unsigned n = 0;

	for (size_t i = 0; i < json_array_size(list) && n < cap; i++)
		if (json_is_string(json_array_get(list, i)))
			out[n++] = json_string_value(json_array_get(list, i));
	return n;
}

static unsigned number(const json_t *m, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(m, key));

	return v > 0 && v < INT32_MAX ? (unsigned)v : 0;
}

struct sources {
	const char *servers[16], *search[16];
	struct names_config c;
};

/* All of it borrowed from the message. */
static void sources_read(struct sources *s, const json_t *dns)
{
	s->c = (struct names_config){ .servers = s->servers,
				      .search = s->search,
				      .ndots = number(dns, "ndots"),
				      .timeout_ms = number(dns, "timeout"),
				      .tries = number(dns, "tries"),
				      .empty = name_empty,
				      .hosts = json_string_value(json_object_get(dns, "hosts")) };
	s->c.n_servers = texts(json_object_get(dns, "servers"), s->servers, 16);
	s->c.n_search = texts(json_object_get(dns, "search"), s->search, 16);
}

void dataplane_on_dns(struct dataplane *d, const json_t *m)
{
	struct err e = { 0 };
	struct sources s;

	sources_read(&s, json_object_get(m, "dns"));
	if (names_configure(d->names, &s.c, &e) || lookup_configure(d->plane.lookup, &s.c, &e))
		dataplane_notice(d, "warning", "the new name servers cannot be used: %s", e.msg);
}

int dataplane_start_names(struct dataplane *d, const json_t *dns, struct err *e)
{
	struct sources s;

	sources_read(&s, dns);
	d->names = names_new(d->loop, &s.c, name_changed, d, e);
	if (d->names)
		d->plane.lookup = lookup_new(d->loop, &s.c, 0, 0, e);
	d->known = name_register_new();
	return d->plane.lookup && d->known ? 0 : e->code ? e->code : -ENOMEM;
}

void dataplane_names_fini(struct dataplane *d)
{
	timer_cancel(d->loop, &d->publish);
	names_free(d->names);
	lookup_free(d->plane.lookup);
	name_register_free(d->known);
}
