/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables, listeners and health of the main thread. A table is built beside
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
	own_ports_set(&d->plane.ports, l->port, true);
	worker_add_listener(&d->workers[worker], l->id, &l->address, l->port, theirs);
}

void dataplane_on_listeners(struct dataplane *d, struct wire_message *m)
{
	const json_t *list = json_object_get(m->json, "listeners");

	for (unsigned i = 0; i < m->n_fds && i < json_array_size(list); i++)
		hold(d, json_array_get(list, i), &m->fds[i]);
	dataplane_count_room(d);
}

static bool listens(const struct dataplane *d, uint16_t port)
{
	const struct held_listener *l = d->listeners;

	while (l && l->port != port)
		l = l->next;
	return l;
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
		own_ports_set(&d->plane.ports, l->port, listens(d, l->port));
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

	if (loop_post(d->loop, one_switched, d))
		loop_stop(d->loop); /* no memory to say so: the controller begins anew */
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

static void job_free(struct switch_job *j)
{
	free(j->open);
	free(j->close);
	free(j);
}

static void job_done(void *arg)
{
	struct switch_job *j = arg;
	struct dataplane *d = j->d;

	if (atomic_fetch_sub(&j->refs, 1) == 1)
		job_free(j);
	worker_switched(d);
}

static struct switch_job *job_new(struct dataplane *d, const json_t *m, struct worker_switch *s)
{
	struct switch_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->d = d;
	atomic_store(&j->refs, d->n_workers);
	*s = (struct worker_switch){ .done = job_done, .arg = j };
	s->n_open = id_list(json_object_get(m, "open"), &j->open);
	s->n_close = id_list(json_object_get(m, "close"), &j->close);
	if (!j->open || !j->close) {
		job_free(j);
		return NULL;
	}
	s->open = j->open;
	s->close = j->close;
	return j;
}

static void switch_failed(struct dataplane *d, json_int_t generation, const char *why)
{
	dataplane_send(d, json_pack("{s:s,s:I,s:i,s:s}", "type", "failed", "generation", generation,
				    "route", -1, "message", why));
}

static void follow(struct dataplane *d)
{
	dataplane_follow_names(d);
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

	/* The same table, and other listeners. */
	if (!d->loaded && d->live && d->live->generation == generation)
		d->loaded = route_table_ref(d->live);
	if (!d->loaded || d->loaded->generation != generation || d->switches_left) {
		switch_failed(d, generation, "this generation is not loaded");
		return;
	}
	j = job_new(d, m, &s);
	if (!j) {
		switch_failed(d, generation, "out of memory");
		return;
	}
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
		/* The others have it already: without this one they would be of two minds. */
		if (worker_switch(&d->workers[i], &s))
			dataplane_fail(d, "no memory to give a worker its table");
	}
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
	const struct name_entry *e = name_register_find(d->known, name);
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
	dataplane_names_fini(d);
	route_table_unref(d->loaded);
	route_table_unref(d->live);
}
