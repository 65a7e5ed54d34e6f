/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers about routes and connections, in parts: a message upwards is bounded,
 * and so is the time one part takes. Each part names where the next begins. A route of which
 * a part has told goes on, where it has more targets than fit, as {id, targets} at the
 * beginning of the next one.
 *
 *   query {seq, what:"status", from: next of the part before, or 0}
 *   query {seq, what:"conns", worker, after: serial, route: id}   connections of a worker, by age
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/balance.h"
#include "dataplane/conn.h"
#include "dataplane/dataplane_internal.h"

#define PART_BYTES 56000 /* of WIRE_MAX_UP, as estimated */
#define PART_CONNS 100
#define PART_LOOKS 500 /* at connections: its worker moves no byte meanwhile */
/* What one takes at most, with numbers of full length. */
#define ROUTE_BYTES  1400
#define REST_BYTES   64 /* of one that goes on */
#define TARGET_BYTES 200
#define CONN_BYTES   480 /* and its names */

/* ---- status ---- */

static json_t *count(const atomic_ullong *v)
{
	return json_integer((json_int_t)atomic_load_explicit(v, memory_order_relaxed));
}

static json_t *refusals(const atomic_ullong *v)
{
	json_t *o = json_object();

	for (unsigned i = 1; i < N_REASONS; i++)
		if (atomic_load_explicit(&v[i], memory_order_relaxed))
			json_object_set_new(o, reason_name(i), count(&v[i]));
	return o;
}

static json_t *target_json(const struct route_target *t, int64_t now_ms)
{
	const struct target_state *s = t->state;

	return json_pack("{s:I,s:b,s:b,s:i,s:o,s:o,s:o,s:o}", "tag", (json_int_t)t->tag, "healthy",
			 target_is_up(s, now_ms), "down", atomic_load(&s->down), "active",
			 (int)atomic_load(&s->active), "total", count(&s->total), "failed",
			 count(&s->failed), "bytesIn", count(&s->bytes_up), "bytesOut",
			 count(&s->bytes_down));
}

/* Where a part begins: at a target of a route of the table. */
struct status_at {
	unsigned route, target;
};

/* Grows from part to part; no route has as many targets. */
#define AT_ROUTE 65536

static struct status_at at_parse(json_int_t from)
{
	if (from < 0 || from / AT_ROUTE > INT32_MAX)
		from = 0;
	return (struct status_at){ (unsigned)(from / AT_ROUTE), (unsigned)(from % AT_ROUTE) };
}

static json_t *targets_json(const struct route *r, unsigned from, unsigned n, int64_t now_ms)
{
	json_t *targets = json_array();

	for (unsigned i = from; i < from + n; i++)
		json_array_append_new(targets, target_json(&r->targets[i], now_ms));
	return targets;
}

/* Takes the targets over. */
static json_t *route_json(const struct route *r, json_t *targets)
{
	const struct route_stats *s = r->stats;

	return json_pack("{s:I,s:i,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id", (json_int_t)r->id,
			 "active", (int)atomic_load(&s->active), "total", count(&s->total),
			 "bytesIn", count(&s->bytes_up), "bytesOut", count(&s->bytes_down), "copy",
			 count(&s->moved_by_copy), "splice", count(&s->moved_by_splice),
			 "failedOpen", count(&s->failed_open), "refused", refusals(s->refused),
			 "targets", targets);
}

/* What fits of one route; false: not all of it, and the part is full. */
static bool put_route(json_t *routes, size_t *bytes, const struct route *r, struct status_at *at,
		      int64_t now_ms)
{
	const size_t own = at->target ? REST_BYTES : ROUTE_BYTES;
	const unsigned left = r->n_targets > at->target ? r->n_targets - at->target : 0;
	unsigned n;
	json_t *targets;

	if (*bytes + own + TARGET_BYTES > PART_BYTES)
		return false;
	n = (unsigned)((PART_BYTES - *bytes - own) / TARGET_BYTES);
	n = n < left ? n : left;
	*bytes += own + n * TARGET_BYTES;
	targets = targets_json(r, at->target, n, now_ms);
	json_array_append_new(routes, at->target ? json_pack("{s:I,s:o}", "id", (json_int_t)r->id,
							     "targets", targets)
						 : route_json(r, targets));
	if (n < left) {
		at->target += n;
		return false;
	}
	*at = (struct status_at){ at->route + 1, 0 };
	return true;
}

static json_t *process_json(const struct dataplane *d)
{
	const struct lookup_counts names = lookup_counts(d->plane.lookup);
	uint64_t dropped = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < d->n_workers; i++)
		n += atomic_load(&d->workers[i].n_alive);
	for (unsigned i = 0; i < d->n_workers; i++)
		if (d->workers[i].access)
			dropped += access_log_dropped(d->workers[i].access);
	return json_pack("{s:i,s:i,s:i,s:o,s:o,s:b,s:o,s:I,s:i,s:i,s:I,s:o,s:o}", "workers",
			 (int)d->n_workers, "connections", (int)n, "undecided",
			 (int)atomic_load(&d->plane.undecided), "accepted",
			 count(&d->plane.accepted), "refused", refusals(d->plane.refused),
			 "outOfDescriptors", atomic_load(&d->plane.out_of_descriptors),
			 "limitTablesFull",
			 json_integer((json_int_t)limits_overflowed(d->plane.limits)),
			 "accessLinesLost", (json_int_t)dropped, "lookupNames", (int)names.names,
			 "lookupsAsked", (int)names.asked, "lookupsRefused",
			 (json_int_t)names.refused, "memory", count(&d->plane.budget.used),
			 "memoryMax", count(&d->plane.budget.max));
}

static void on_status(struct dataplane *d, const json_t *m)
{
	const struct route_table *t = d->live;
	const json_int_t from = json_integer_value(json_object_get(m, "from"));
	struct status_at at = at_parse(from);
	const unsigned n = t ? t->n_routes : 0;
	size_t bytes = 0;
	json_t *routes = json_array(), *answer;

	while (at.route < n &&
	       put_route(routes, &bytes, t->routes[at.route], &at, loop_now_ms(d->loop)))
		;
	answer = json_pack("{s:s,s:O,s:b,s:I,s:i,s:o}", "type", "answer", "seq",
			   json_object_get(m, "seq"), "more", at.route < n, "next",
			   (json_int_t)at.route * AT_ROUTE + at.target, "generation",
			   t ? (int)t->generation : 0, "routes", routes);
	if (answer && !from)
		json_object_set_new(answer, "process", process_json(d));
	dataplane_send(d, answer);
}

/* ---- connections: asked in the worker, sent by the main thread ---- */

struct conns_job {
	struct dataplane *d;
	struct worker *w;
	uint64_t after;
	uint32_t route;
	json_t *seq, *answer;
};

static const char *state_name(enum conn_state s)
{
	static const char *const names[] = { "header", "sniff", "connect", "relay", "linger" };

	return names[s];
}

/* A name from the client is only what hello.c lets through: no control bytes. */
static json_t *conn_json(struct conn *c, int64_t now_ms)
{
	char client[ADDR_TEXT], local[ADDR_TEXT], target[CONN_TARGET_TEXT];
	json_t *o =
		json_pack("{s:I,s:s,s:s,s:i,s:s,s:i,s:I,s:I,s:I,s:I}", "serial",
			  (json_int_t)c->serial, "state", state_name(c->state), "client",
			  addr_format(&c->client_addr, client), "clientPort", (int)c->client_port,
			  "local", addr_format(conn_local(c), local), "port", (int)c->listen_port,
			  "bytesIn", (json_int_t)c->told[0], "bytesOut", (json_int_t)c->told[1],
			  "age", (json_int_t)(now_ms - c->accepted_ms), "idle",
			  (json_int_t)(now_ms - c->moved_ms));

	if (!o)
		return NULL;
	if (c->route)
		json_object_set_new(o, "route", json_integer((json_int_t)c->route->id));
	if (c->route && c->target_index >= 0) {
		json_object_set_new(o, "target",
				    json_integer(
					    (json_int_t)c->route->targets[c->target_index].tag));
		json_object_set_new(o, "to", json_string(conn_target_text(c, target)));
	}
	if (c->name)
		json_object_set_new(o, "sni", json_string(c->name));
	if (c->state == CONN_RELAY)
		json_object_set_new(o, "mover", json_string(c->spliced ? "splice" : "copy"));
	return o;
}

/* Each byte of a name may be escaped. */
static size_t conn_bytes(const struct conn *c)
{
	return CONN_BYTES + CONN_TARGET_TEXT + (c->name ? 2 * strlen(c->name) : 0);
}

static void conns_send(void *arg)
{
	struct conns_job *j = arg;

	dataplane_send(j->d, j->answer);
	json_decref(j->seq);
	free(j);
}

/* The list is by age, and where the last part ended is remembered: all parts together walk it once.
 * Somebody else who asks in between walks it from its beginning. */
static struct conn *conns_from(const struct worker *w, uint64_t after)
{
	struct conn *c = w->asked && w->asked_serial <= after ? w->asked : w->conns;

	while (c && c->serial <= after)
		c = c->next;
	return c;
}

static bool is_asked_for(const struct conns_job *j, const struct conn *c)
{
	return !j->route || (c->route && c->route->id == j->route);
}

static void conns_collect(void *arg)
{
	struct conns_job *j = arg;
	struct worker *w = j->w;
	json_t *list = json_array();
	int64_t now_ms = loop_now_ms(w->loop);
	struct conn *c = conns_from(w, j->after);
	uint64_t last = j->after;
	size_t bytes = 0;

	for (unsigned looks = 0; c && looks < PART_LOOKS; looks++, c = c->next) {
		if (is_asked_for(j, c)) {
			bytes += conn_bytes(c);
			if (bytes > PART_BYTES || json_array_size(list) == PART_CONNS)
				break;
			json_array_append_new(list, conn_json(c, now_ms));
		}
		last = c->serial;
	}
	w->asked = c;
	w->asked_serial = last;
	j->answer = json_pack("{s:s,s:I,s:b,s:I,s:i,s:i,s:o}", "type", "answer", "seq",
			      json_integer_value(j->seq), "more", c != NULL, "next",
			      (json_int_t)last, "worker", (int)j->w->index, "workers",
			      (int)j->d->n_workers, "conns", list);
	loop_post(j->d->loop, conns_send, j);
}

static void on_conns(struct dataplane *d, const json_t *m)
{
	json_int_t worker = json_integer_value(json_object_get(m, "worker"));
	struct conns_job *j;

	if (worker < 0 || worker >= d->n_workers)
		return;
	j = calloc(1, sizeof(*j));
	if (!j)
		return;
	*j = (struct conns_job){
		.d = d,
		.w = &d->workers[worker],
		.after = (uint64_t)json_integer_value(json_object_get(m, "after")),
		.route = (uint32_t)json_integer_value(json_object_get(m, "route")),
		.seq = json_integer(json_integer_value(json_object_get(m, "seq"))),
	};
	if (loop_post(j->w->loop, conns_collect, j)) {
		json_decref(j->seq);
		free(j);
	}
}

void dataplane_on_query(struct dataplane *d, const json_t *m)
{
	const char *what = json_string_value(json_object_get(m, "what"));

	if (what && !strcmp(what, "status"))
		on_status(d, m);
	else if (what && !strcmp(what, "conns"))
		on_conns(d, m);
}
