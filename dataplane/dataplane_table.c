/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables, listeners, names and health of the main thread. A table is built beside
 * the one in use, then given to every worker; it is in use when the last of them has said so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/dataplane_internal.h"

/* ---- listeners ---- */

static void hold(struct dataplane *d, const json_t *entry, int *fd)
{
	const char *address = json_string_value(json_object_get(entry, "address"));
	json_int_t worker = json_integer_value(json_object_get(entry, "worker"));
	struct held_listener *l;
	int theirs;

	if (worker < 0 || worker >= d->n_workers)
		return;
	l = calloc(1, sizeof(*l));
	theirs = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
	if (!l || theirs < 0) {
		free(l);
		return;
	}
	l->id = (uint32_t)json_integer_value(json_object_get(entry, "id"));
	l->port = (uint16_t)json_integer_value(json_object_get(entry, "port"));
	l->worker = (unsigned)worker;
	if (address)
		addr_parse(address, &l->address);
	l->fd = *fd;
	*fd = -1;
	l->next = d->listeners;
	d->listeners = l;
	d->n_listeners++;
	worker_add_listener(&d->workers[worker], l->id, &l->address, l->port, theirs);
}

void dataplane_on_listeners(struct dataplane *d, struct wire_message *m)
{
	const json_t *list = json_object_get(m->json, "listeners");

	for (unsigned i = 0; i < m->n_fds && i < json_array_size(list); i++)
		hold(d, json_array_get(list, i), &m->fds[i]);
	dataplane_count_room(d);
}

static void drop_listener(struct dataplane *d, uint32_t id)
{
	for (struct held_listener **p = &d->listeners; *p;) {
		struct held_listener *l = *p;

		if (l->id != id) {
			p = &l->next;
			continue;
		}
		*p = l->next;
		d->n_listeners--;
		close(l->fd);
		free(l);
	}
}

void dataplane_drop_listeners(struct dataplane *d)
{
	while (d->listeners)
		drop_listener(d, d->listeners->id);
}

/* ---- tables ---- */

void dataplane_on_load(struct dataplane *d, const json_t *m)
{
	struct err e = { 0 };
	int route = -1;
	struct route_table *t = route_table_load(m, d->live, d->plane.registry, &route, &e);
	json_int_t generation = json_integer_value(json_object_get(m, "generation"));

	if (!t) {
		dataplane_send(d, json_pack("{s:s,s:I,s:i,s:s}", "type", "failed", "generation",
					    generation, "route", route, "message", e.msg));
		return;
	}
	route_table_unref(d->loaded);
	d->loaded = t;
	dataplane_send(d, json_pack("{s:s,s:I}", "type", "loaded", "generation", generation));
}

void dataplane_on_discard(struct dataplane *d, const json_t *m)
{
	json_int_t generation = json_integer_value(json_object_get(m, "generation"));

	if (d->loaded && d->loaded->generation == generation) {
		route_table_unref(d->loaded);
		d->loaded = NULL;
	}
}

/* In the main thread again. */
static void one_switched(void *arg)
{
	struct dataplane *d = arg;

	if (!d->switches_left || --d->switches_left)
		return;
	dataplane_send(d, json_pack("{s:s,s:I}", "type", "switched", "generation",
				    (json_int_t)d->switching));
	d->switching = 0;
}

static void worker_switched(void *arg)
{
	struct dataplane *d = arg;

	loop_post(d->loop, one_switched, d);
}

static unsigned id_list(const json_t *list, uint32_t **out)
{
	size_t n = json_array_size(list);

	*out = calloc(n ? n : 1, sizeof(**out));
	if (!*out)
		return 0;
	for (size_t i = 0; i < n; i++)
		(*out)[i] = (uint32_t)json_integer_value(json_array_get(list, i));
	return (unsigned)n;
}

/* What a switch of all workers lends to them; freed with the last. */
struct switch_job {
	struct dataplane *d;
	atomic_uint refs;
	uint32_t *open, *close;
};

static void job_done(void *arg)
{
	struct switch_job *j = arg;
	struct dataplane *d = j->d;

	if (atomic_fetch_sub(&j->refs, 1) == 1) {
		free(j->open);
		free(j->close);
		free(j);
	}
	worker_switched(d);
}

static void follow(struct dataplane *d)
{
	names_follow(d->names, d->live->names, d->live->n_names);
	health_follow(d->health, d->live);
}

/* What idles in all pools is at most a quarter of the bound, so that no worker can keep from the
 * others what it does not need. */
static unsigned keep_buffers(const struct dataplane *d)
{
	uint64_t n = d->live->max_memory_bytes / 4 / POOL_BUFFER_BYTES / d->n_workers;

	return d->live->max_memory_bytes && n < WORKER_KEEP_BUFFERS ? (unsigned)n
								    : WORKER_KEEP_BUFFERS;
}

void dataplane_on_switch(struct dataplane *d, const json_t *m)
{
	json_int_t generation = json_integer_value(json_object_get(m, "generation"));
	struct switch_job *j;
	struct worker_switch s;

	if (!d->loaded || d->loaded->generation != generation || d->switches_left) {
		dataplane_send(d, json_pack("{s:s,s:I,s:i,s:s}", "type", "failed", "generation",
					    generation, "route", -1, "message",
					    "this generation is not loaded"));
		return;
	}
	j = calloc(1, sizeof(*j));
	if (!j)
		return;
	j->d = d;
	atomic_store(&j->refs, d->n_workers);
	s = (struct worker_switch){ .done = job_done, .arg = j };
	s.n_open = id_list(json_object_get(m, "open"), &j->open);
	s.n_close = id_list(json_object_get(m, "close"), &j->close);
	s.open = j->open;
	s.close = j->close;
	route_table_unref(d->live);
	d->live = d->loaded;
	d->loaded = NULL;
	atomic_store(&d->plane.budget.max, d->live->max_memory_bytes);
	s.keep_buffers = keep_buffers(d);
	d->switching = (uint32_t)generation;
	d->switches_left = d->n_workers;
	for (unsigned i = 0; i < s.n_close; i++)
		drop_listener(d, s.close[i]);
	follow(d);
	dataplane_count_room(d);
	for (unsigned i = 0; i < d->n_workers; i++) {
		s.table = route_table_ref(d->live);
		worker_switch(&d->workers[i], &s);
	}
}

/* ---- names ---- */

static bool entry_set(struct name_entry *e, const char *name, const struct addr *v, unsigned n)
{
	e->name = strdup(name);
	e->v = malloc(n * sizeof(*v));
	if (!e->name || !e->v)
		return false;
	memcpy(e->v, v, n * sizeof(*v));
	e->n = n;
	return true;
}

static int compare_entries(const void *a, const void *b)
{
	const struct name_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* The old one with this name's addresses instead of what it had. */
static struct name_book *book_with(const struct name_book *old, const char *name,
				   const struct addr *v, unsigned n)
{
	unsigned others = old ? old->n - !!name_book_find(old, name) : 0, to = 0;
	struct name_book *b = name_book_new(others + 1);
	bool ok = b && entry_set(&b->v[to++], name, v, n);

	for (unsigned i = 0; ok && old && i < old->n; i++)
		if (strcmp(old->v[i].name, name))
			ok = entry_set(&b->v[to++], old->v[i].name, old->v[i].v, old->v[i].n);
	if (!ok) {
		name_book_unref(b);
		return NULL;
	}
	qsort(b->v, b->n, sizeof(*b->v), compare_entries);
	return b;
}

static void publish(struct dataplane *d, const char *name, const struct addr *v, unsigned n)
{
	struct name_book *b = book_with(d->book, name, v, n);

	if (!b)
		return;
	name_book_unref(d->book);
	d->book = b;
	for (unsigned i = 0; i < d->n_workers; i++) {
		atomic_fetch_add(&b->refs, 1);
		worker_set_names(&d->workers[i], b);
	}
}

static void name_changed(void *arg, const char *name, const struct addr *v, unsigned n,
			 unsigned ttl_s)
{
	struct dataplane *d = arg;
	json_t *list = json_array();
	char text[ADDR_TEXT];

	publish(d, name, v, n);
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_string(addr_format(&v[i], text)));
	dataplane_send(d, json_pack("{s:s,s:s,s:o,s:i}", "type", "name", "name", name, "addresses",
				    list, "ttl", (int)ttl_s));
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
	if (!name_book_find(d->book, name))
		publish(d, name, v, n);
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
}

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

int dataplane_start_names(struct dataplane *d, const json_t *dns, struct err *e)
{
	const char *servers[16], *search[16];
	struct names_config c = { .servers = servers,
				  .search = search,
				  .ndots = number(dns, "ndots"),
				  .timeout_ms = number(dns, "timeout"),
				  .tries = number(dns, "tries"),
				  .hosts = json_string_value(json_object_get(dns, "hosts")) };

	c.n_servers = texts(json_object_get(dns, "servers"), servers, 16);
	c.n_search = texts(json_object_get(dns, "search"), search, 16);
	d->names = names_new(d->loop, &c, name_changed, d, e);
	if (d->names)
		d->plane.lookup = lookup_new(d->loop, &c, 0, 0, e);
	return d->plane.lookup ? 0 : e->code ? e->code : -ENOMEM;
}

/* ---- health ---- */

static void target_changed(void *arg, uint32_t route, uint32_t tag, bool up, const char *why)
{
	dataplane_send(arg, json_pack("{s:s,s:I,s:I,s:b,s:s}", "type", "target", "route",
				      (json_int_t)route, "tag", (json_int_t)tag, "up", up, "reason",
				      why));
}

static unsigned resolve(void *arg, const char *name, struct addr *out, unsigned cap)
{
	const struct dataplane *d = arg;
	const struct name_entry *e = name_book_find(d->book, name);
	unsigned n = e ? e->n : 0;

	n = n < cap ? n : cap;
	if (n)
		memcpy(out, e->v, n * sizeof(*out));
	return n;
}

void dataplane_on_down(struct dataplane *d, const json_t *m)
{
	const json_t *t;
	size_t i;

	json_array_foreach (json_object_get(m, "targets"), i, t)
		health_set_down(d->health,
				(uint32_t)json_integer_value(json_object_get(t, "route")),
				(uint32_t)json_integer_value(json_object_get(t, "tag")));
}

int dataplane_start_health(struct dataplane *d, struct err *e)
{
	d->health = health_new(d->loop, target_changed, resolve, d, e);
	return d->health ? 0 : e->code ? e->code : -ENOMEM;
}

void dataplane_table_fini(struct dataplane *d)
{
	dataplane_drop_listeners(d);
	health_free(d->health);
	names_free(d->names);
	lookup_free(d->plane.lookup);
	name_book_unref(d->book);
	route_table_unref(d->loaded);
	route_table_unref(d->live);
}
