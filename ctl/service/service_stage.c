/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Generations: what is prepared lies beside what is live until its client
 * commits or aborts. A client that ends in between has told the kernel, or has
 * not: the number in the table decides, and nothing else. New sockets are bound
 * when they are prepared; the dataplane gets them with the commit, and no connection
 * that it would have had comes to them before, so that an abort takes nothing from anybody.
 */
#include <errno.h>
#include <string.h>

#include "ctl/base/log.h"
#include "ctl/service/live.h"
#include "ctl/service/notify.h"
#include "ctl/service/service_internal.h"

#include <stdlib.h>

#define LOAD_MS	   60000 /* for the dataplane to come, and to build a table */
#define ATTEMPTS   2	 /* to start a dataplane, before who asks is told that it does not */
#define COMMIT_MS  10000 /* to switch; then the client is told that it goes on */
#define ASK_MS	   500	 /* to ask the kernel once more; then twice as long, */
#define ASK_MAX_MS 30000 /* and so on up to this */

static struct service *of_stage(struct timer *t)
{
	return (struct service *)((char *)t - offsetof(struct service, stage.clock));
}

static struct service *of_commit(struct timer *t)
{
	return (struct service *)((char *)t - offsetof(struct service, commit_clock));
}

static void stage_end(struct service *s)
{
	timer_cancel(s->loop, &s->stage.clock);
	json_decref(s->stage.load);
	json_decref(s->stage.names);
	s->stage = (struct stage){ 0 };
}

void stage_fini(struct service *s)
{
	timer_cancel(s->loop, &s->commit_clock);
	stage_end(s);
}

static void stage_drop(struct service *s)
{
	if (s->stage.state == STAGE_LOADS || s->stage.state == STAGE_LOADED ||
	    s->stage.state == STAGE_ORPHAN)
		link_discard(&s->link, s->stage.generation);
	listeners_unstage(&s->listeners);
	stage_end(s);
}

static void stage_fails(struct service *s, const struct err *e, int route)
{
	struct client *c = s->stage.answered ? NULL : s->stage.client;

	/* Where it was answered already, the commit fails, and is tried once more from the start.
	 */
	if (s->stage.follows)
		log_err("generation %u, which is live, cannot be served: %s", s->stage.generation,
			e->msg);
	stage_drop(s);
	if (c)
		client_failed(c, "prepare", e, route);
}

static void too_late(struct timer *t)
{
	struct err e = { 0 };

	err_set(&e, -ETIMEDOUT, "the dataplane did not load it within %d s", LOAD_MS / 1000);
	stage_fails(of_stage(t), &e, -1);
}

static void settle(struct timer *t);

static void stage_orphan(struct service *s)
{
	s->stage.state = STAGE_ORPHAN;
	timer_set(s->loop, &s->stage.clock, loop_now_ms(s->loop), settle);
}

static void stage_answer(struct service *s)
{
	timer_cancel(s->loop, &s->stage.clock);
	if (s->stage.answered)
		return;
	s->stage.answered = true;
	if (s->stage.follows)
		stage_orphan(s);
	else
		client_prepared(s->stage.client, s->stage.generation, s->stage.workers);
}

/* Where nothing is listened on, nobody needs a dataplane that does not come: it begins with this
 * when it does. */
static void stage_wait(struct service *s)
{
	s->stage.state = STAGE_WAITS;
	s->stage.loaded = false;
	if (!s->stage.listens)
		stage_answer(s);
}

static void stage_load(struct service *s)
{
	if (!s->stage.answered)
		timer_set(s->loop, &s->stage.clock, loop_now_ms(s->loop) + LOAD_MS, too_late);
	if (s->link.state != LINK_READY) {
		link_hurry(&s->link);
		stage_wait(s);
	} else {
		s->stage.state = link_load(&s->link, s->stage.load) ? STAGE_WAITS : STAGE_LOADS;
	}
}

/* ---- what a client says ---- */

static int read_listener(const json_t *v, struct listen_at *out)
{
	const json_t *port = json_object_get(v, "port"), *address = json_object_get(v, "address");

	if (!json_is_integer(port) || json_integer_value(port) < 1 ||
	    json_integer_value(port) > 65535)
		return -EINVAL;
	*out = (struct listen_at){ .port = (uint16_t)json_integer_value(port) };
	if (!address || !strcmp(json_is_string(address) ? json_string_value(address) : "", "*"))
		return 0;
	return json_is_string(address) && addr_parse(json_string_value(address), &out->address)
		       ? 0
		       : -EINVAL;
}

static int stage_listeners(struct service *s, const json_t *list, struct err *e)
{
	const size_t n = json_array_size(list);
	struct listen_at *v = calloc(n + 1, sizeof(*v));
	int rc = v ? 0 : err_set(e, -ENOMEM, "out of memory");

	if (!rc && !json_is_array(list))
		rc = err_set(e, -EINVAL, "\"listeners\" is no list");
	for (size_t i = 0; !rc && i < n; i++)
		if (read_listener(json_array_get(list, i), &v[i]))
			rc = err_set(e, -EINVAL, "listener %zu has no port or address", i);
	rc = rc ? rc : listeners_stage(&s->listeners, v, n, e);
	free(v);
	return rc;
}

/* What a request does not say stays as it is. */
static json_int_t number_or(const json_t *m, const char *key, unsigned now)
{
	const json_t *v = json_object_get(m, key);

	return json_is_integer(v) ? json_integer_value(v) : (json_int_t)now;
}

static int read_request(const struct service *s, const json_t *m, struct stage *out, struct err *e)
{
	const json_t *load = json_object_get(m, "load");
	const json_int_t n = json_integer_value(json_object_get(m, "generation"));
	const json_int_t ms = number_or(m, "gracefulShutdownTimeout", s->shutdown_ms);
	const json_int_t workers = number_or(m, "workers", s->listeners.workers);
	const char *table = json_string_value(json_object_get(m, "table"));

	if (n < 1 || n > UINT32_MAX || !table || !*table || strlen(table) >= sizeof(out->table) ||
	    ms < 0 || ms > INT32_MAX || workers < 0 || workers > INT32_MAX ||
	    json_integer_value(json_object_get(load, "generation")) != n ||
	    strcmp(json_string_value(json_object_get(load, "type"))
			   ? json_string_value(json_object_get(load, "type"))
			   : "",
		   "load"))
		return err_set(e, -EINVAL, "\"prepare\" needs generation, table, load, listeners");
	*out = (struct stage){ .generation = (uint32_t)n,
			       .shutdown_ms = (unsigned)ms,
			       .workers = service_workers(s, (unsigned)workers) };
	memcpy(out->table, table, strlen(table) + 1);
	return 0;
}

/* A dataplane that serves somebody keeps its threads, and the command is told: connections are
 * worth more. */
static void take_workers(struct service *s, unsigned wanted)
{
	if (wanted == s->listeners.workers || s->link.generation || s->listeners.n || s->olds)
		return;
	s->listeners.workers = wanted;
	link_renew(&s->link, wanted, wanted * PIPES_PER_WORKER);
}

int stage_begin(struct service *s, struct client *c, const json_t *m, struct err *e)
{
	struct stage new = { 0 };
	int rc;

	if (s->stopping)
		return err_set(e, -ESHUTDOWN, "the service is about to end");
	if (s->stage.follows) /* a command knows better */
		stage_drop(s);
	if (s->stage.state == STAGE_ORPHAN)
		return err_set(e, -EBUSY, "generation %u is not settled yet", s->stage.generation);
	if (s->stage.state != STAGE_NONE && s->stage.client != c)
		return err_set(e, -EBUSY, "generation %u is being prepared by another command",
			       s->stage.generation);
	rc = read_request(s, m, &new, e);
	if (rc)
		return rc;
	if (s->stage.state != STAGE_NONE)
		stage_drop(s);
	take_workers(s, new.workers);
	rc = stage_listeners(s, json_object_get(m, "listeners"), e);
	if (rc)
		return rc;
	s->stage = new;
	s->stage.client = c;
	s->stage.listens = json_array_size(json_object_get(m, "listeners")) > 0;
	s->stage.load = json_incref(json_object_get(m, "load"));
	s->stage.names = json_incref(json_object_get(m, "names"));
	stage_load(s);
	return 0;
}

int stage_follow(struct service *s, const struct live *live, struct err *e)
{
	int rc = listeners_stage_some(&s->listeners, live->listeners, live->n_listeners,
				      missing_say, e);

	if (rc)
		return rc;
	s->stage = (struct stage){ .generation = live->generation,
				   .shutdown_ms = live->shutdown_ms,
				   .workers = live->workers,
				   .load = json_incref(live->load),
				   .names = found_names_json(&live->found),
				   .listens = live->n_listeners > 0,
				   .follows = true };
	memcpy(s->stage.table, live->table, sizeof(s->stage.table));
	stage_load(s);
	return 0;
}

static void commit_is_late(struct timer *t)
{
	struct service *s = of_commit(t);
	struct client *c = s->committer;

	s->committer = NULL;
	if (c)
		client_committed(c, s->link.generation, true);
}

/* From here on this is what is live, whoever serves it. */
static void commit(struct service *s)
{
	const bool loaded = s->stage.loaded && s->link.state == LINK_READY;
	const bool waits = s->stage.listens || s->link.state == LINK_READY;

	timer_cancel(s->loop, &s->stage.clock);
	listeners_commit(&s->listeners, missing_say);
	link_set_live(&s->link, json_incref(s->stage.load), s->stage.generation);
	found_generation(s, s->stage.names);
	service_log_follow(&s->log, s->stage.load);
	s->shutdown_ms = s->stage.shutdown_ms;
	s->committer = s->stage.client;
	if (s->committer)
		timer_set(s->loop, &s->commit_clock, loop_now_ms(s->loop) + (waits ? COMMIT_MS : 0),
			  commit_is_late);
	/* One that has not loaded it starts again, with it. */
	if (loaded ? link_switch(&s->link, s->stage.generation) != 0 : s->link.state == LINK_READY)
		link_kill(&s->link, "it did not load what is live now");
	else if (loaded && s->stage.names)
		link_say(&s->link,
			 json_pack("{s:s,s:O}", "type", "names", "names", s->stage.names));
	stage_end(s);
	/* Nobody accepts from what was given up. */
	if (s->link.state != LINK_READY)
		listeners_close_idle(&s->listeners);
	service_store_listeners(s);
	missing_watch(s);
}

int stage_commit(struct service *s, struct client *c, uint32_t generation, struct err *e)
{
	if (s->stage.state == STAGE_NONE || s->stage.client != c || !s->stage.answered ||
	    s->stage.generation != generation)
		return err_set(e, -EINVAL, "generation %u is not prepared", generation);
	commit(s);
	return 0;
}

int stage_abort(struct service *s, const struct client *c, uint32_t generation, struct err *e)
{
	if (s->stage.state == STAGE_NONE || s->stage.client != c ||
	    s->stage.generation != generation)
		return err_set(e, -EINVAL, "generation %u is not prepared", generation);
	stage_drop(s);
	return 0;
}

/* ---- a client that went, or never was ---- */

static int kernel_has(struct service *s, bool *yes, struct err *e)
{
	struct ruleset *head = NULL;
	int rc = 0;

	if (!s->nft)
		s->nft = nft_open(e);
	rc = s->nft ? nft_read_head(s->nft, s->stage.table, &head, e)
		    : (e->code ? e->code : -ENOMEM);
	if (rc) {
		nft_close(s->nft); /* a socket that failed once is not asked again */
		s->nft = NULL;
		return rc;
	}
	*yes = head->exists && head->ours && !strcmp(head->owner, s->instance) &&
	       head->generation == s->stage.generation;
	ruleset_free(head);
	return 0;
}

/* What cannot be asked now is asked later, and said once. */
static void ask_later(struct service *s, const struct err *e)
{
	const unsigned pause = s->stage.ask_ms ? s->stage.ask_ms * 2 : ASK_MS;

	if (!s->stage.ask_ms)
		log_warn("cannot ask the kernel which generation it has: %s; generation %u waits "
			 "for that",
			 e->msg, s->stage.generation);
	s->stage.ask_ms = pause < ASK_MAX_MS ? pause : ASK_MAX_MS;
	timer_set(s->loop, &s->stage.clock, loop_now_ms(s->loop) + s->stage.ask_ms, settle);
}

static void say_settled(const struct service *s, bool yes)
{
	const char *becomes = yes ? "is in the kernel, so it is served" : "is dropped";

	if (s->stage.follows)
		log_info("generation %u %s", s->stage.generation, becomes);
	else
		log_info("a command ended before it was done: generation %u %s",
			 s->stage.generation, becomes);
}

static void settle(struct timer *t)
{
	struct service *s = of_stage(t);
	struct err e = { 0 };
	bool yes = false;

	if (kernel_has(s, &yes, &e)) {
		ask_later(s, &e);
		return;
	}
	say_settled(s, yes);
	s->stage.client = NULL;
	s->stage.state = s->stage.answered ? STAGE_LOADED : STAGE_WAITS;
	if (yes)
		commit(s);
	else
		stage_drop(s);
}

void stage_client_gone(struct service *s, const struct client *c)
{
	if (s->committer == c)
		s->committer = NULL;
	if (s->stage.state == STAGE_NONE || s->stage.client != c)
		return;
	s->stage.client = NULL;
	if (s->stage.answered)
		stage_orphan(s);
	else
		stage_drop(s);
}

/* ---- what the dataplane says ---- */

static void switched(struct service *s)
{
	struct client *c = s->committer;

	service_store_listeners(s); /* gives up copies of what is closed now */
	listeners_close_idle(&s->listeners);
	s->committer = NULL;
	timer_cancel(s->loop, &s->commit_clock);
	if (c)
		client_committed(c, s->link.generation, false);
}

static void loaded(struct service *s)
{
	s->stage.state = STAGE_LOADED;
	s->stage.loaded = true;
	stage_answer(s);
}

static void failed(struct service *s, const struct upcall *u)
{
	struct err e = { 0 };

	err_set(&e, -EINVAL, "the dataplane cannot serve it: %s", u->text);
	if (s->stage.state == STAGE_LOADS && u->generation == s->stage.generation)
		stage_fails(s, &e, u->failed_route);
	else if (u->generation == s->link.generation)
		link_kill(&s->link, u->text);
}

void stage_heard(struct service *s, const struct upcall *u)
{
	if (u->type == UPCALL_FAILED)
		failed(s, u);
	else if (u->type == UPCALL_SWITCHED && u->generation == s->link.generation)
		switched(s);
	else if (u->type == UPCALL_LOADED && s->stage.state == STAGE_LOADS &&
		 u->generation == s->stage.generation)
		loaded(s);
}

void stage_ready(struct service *s)
{
	switched(s);
	if (s->stage.state == STAGE_WAITS)
		stage_load(s);
}

void stage_dataplane_ended(struct service *s, const char *why)
{
	struct stage *g = &s->stage;
	struct err e = { 0 };

	if (g->state == STAGE_NONE || g->state == STAGE_ORPHAN)
		return;
	if (g->answered || !g->listens) {
		stage_wait(s);
	} else if (g->state == STAGE_LOADS) {
		err_set(&e, -EPIPE, "the dataplane ended while it loaded this%s%s", why ? ": " : "",
			why ? why : "");
		stage_fails(s, &e, -1);
	} else if (s->link.failures >= ATTEMPTS) {
		err_set(&e, -EIO, "the dataplane does not start: %s", why ? why : "?");
		stage_fails(s, &e, -1);
	}
}

/* ---- systemd's store ---- */

void service_store_listeners(struct service *s)
{
	char name[LISTENER_NAME_MAX];

	for (size_t i = 0; i < s->listeners.n; i++) {
		struct listener *l = &s->listeners.v[i];

		if (l->live && !l->stored)
			l->stored = notify_store(l->fd, listen_at_name(&l->at, l->slot, name));
		else if (!l->live && l->stored) {
			notify_unstore(listen_at_name(&l->at, l->slot, name));
			l->stored = false;
		}
	}
}
