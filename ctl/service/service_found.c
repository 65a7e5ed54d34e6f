/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What dataplanes find out, as the controller sees it: a list of names with their
 * addresses and of targets that are down, of the routes that are live. It is
 * told to each new dataplane, so that a target does not come up because its
 * watcher went down, and it is what STATE and the kernel shall have.
 *
 * That takes STATE's lock and may take seconds, so a child does it (`spctl
 * found`), one at a time, with the whole list on its standard input: what comes
 * in meanwhile is in the next. One that finds the lock taken is run again a
 * moment later.
 */
#include "ctl/service/service_found.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/apply/found.h"
#include "ctl/base/io.h"
#include "ctl/base/log.h"
#include "ctl/service/service_child.h"
#include "ctl/service/service_internal.h"

#define RETRY_MS      100 /* somebody has the lock */
#define FAILED_MS     1000
#define FAILED_MS_MAX 30000
#define LOCKED	      4 /* its exit code */

static struct service *of_timer(struct timer *t)
{
	return (struct service *)((char *)t - offsetof(struct service, found.again));
}

/* ---- the list ---- */

static const json_t *route_find(const struct service *s, uint32_t id)
{
	const json_t *routes = json_object_get(s->link.live, "routes"), *r;
	size_t i;

	json_array_foreach (routes, i, r)
		if (json_integer_value(json_object_get(r, "id")) == id)
			return r;
	return NULL;
}

static const json_t *route_named(const struct service *s, const char *name)
{
	const json_t *routes = json_object_get(s->link.live, "routes"), *r;
	size_t i;

	json_array_foreach (routes, i, r)
		if (!strcmp(json_string_value(json_object_get(r, "name")), name))
			return r;
	return NULL;
}

static const json_t *target_find(const json_t *route, uint32_t tag)
{
	const json_t *t;
	size_t i;

	json_array_foreach (json_object_get(route, "targets"), i, t)
		if (json_integer_value(json_object_get(t, "tag")) == tag)
			return t;
	return NULL;
}

static bool has_name(const struct service *s, const char *name)
{
	const json_t *routes = json_object_get(s->link.live, "routes"), *r, *t;
	size_t i, k;

	json_array_foreach (routes, i, r) {
		json_array_foreach (json_object_get(r, "targets"), k, t) {
			const char *kind = json_string_value(json_object_get(t, "kind"));
			const char *host = json_string_value(json_object_get(t, "host"));

			if (kind && host && !strcmp(kind, "name") && !strcmp(host, name))
				return true;
		}
	}
	return false;
}

static struct target_down *down_find(struct state_found *f, const char *route, uint32_t tag)
{
	for (unsigned i = 0; i < f->n_down; i++)
		if (f->down[i].tag == tag && !strcmp(f->down[i].route, route))
			return &f->down[i];
	return NULL;
}

static void down_drop(struct state_found *f, struct target_down *d)
{
	free(d->route);
	*d = f->down[--f->n_down];
}

static void name_drop(struct state_found *f, unsigned i)
{
	free(f->names[i].name);
	f->names[i] = f->names[--f->n_names];
}

/* ---- the child ---- */

static void kick(struct service *s);

static void once_more(struct timer *t)
{
	kick(of_timer(t));
}

static void later(struct service *s, unsigned ms)
{
	s->found.dirty = true;
	timer_set(s->loop, &s->found.again, loop_now_ms(s->loop) + ms, once_more);
}

/* As a file of no name: -1 and why. */
static int write_list(struct service *s, struct err *e)
{
	struct buf text = { 0 };
	int fd = -1, rc;

	s->found.list.generation = s->link.generation;
	rc = state_found_format(&s->found.list, &text, e);
	if (!rc) {
		fd = memfd_create("found", MFD_CLOEXEC);
		rc = fd < 0 ? -errno : io_write_all(fd, text.data, text.len);
		if (rc || lseek(fd, 0, SEEK_SET) < 0)
			err_sys(e, rc ? rc : -errno, "cannot write down what was found");
	}
	buf_fini(&text);
	if (fd >= 0 && e->code) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void kick(struct service *s)
{
	struct err e = { 0 };
	int fd;

	s->found.dirty = true;
	if (s->found.pid > 0 || timer_is_set(&s->found.again) || s->stopping || !s->link.generation)
		return;
	fd = write_list(s, &e);
	if (fd >= 0)
		s->found.pid = service_child_found(fd, s->state_dir, s->run_dir, &e);
	if (fd >= 0)
		close(fd);
	s->found.dirty = e.code != 0;
	if (!e.code)
		return;
	log_err("%s", e.msg);
	later(s, FAILED_MS);
}

static unsigned next_pause(struct service *s)
{
	const unsigned pause = s->found.pause_ms ? s->found.pause_ms : FAILED_MS;

	s->found.pause_ms = pause * 2 < FAILED_MS_MAX ? pause * 2 : FAILED_MS_MAX;
	return pause;
}

bool found_child_ended(struct service *s, pid_t pid, int status)
{
	if (pid != s->found.pid || pid <= 0)
		return false;
	s->found.pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == LOCKED) {
		later(s, RETRY_MS);
		return true;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		later(s, next_pause(s)); /* it has said why */
		return true;
	}
	s->found.pause_ms = 0;
	if (s->found.dirty)
		kick(s);
	return true;
}

/* ---- what is heard ---- */

static void say_target(const json_t *route, const json_t *target, const struct upcall *u)
{
	const char *name = json_string_value(json_object_get(route, "name"));
	const char *host = json_string_value(json_object_get(target, "host"));

	log_warn("route \"%s\": target %s:%lld is %s: %s", name, host ? host : "?",
		 (long long)json_integer_value(json_object_get(target, "port")),
		 u->up ? "up" : "down", u->text);
}

static void on_target(struct service *s, const struct upcall *u)
{
	const json_t *route = route_find(s, u->route), *target = target_find(route, u->tag);
	const char *name = json_string_value(json_object_get(route, "name"));
	struct target_down *d;

	if (!target || !json_object_get(route, "healthCheck") || !name) {
		log_debug("the dataplane speaks of a target that no route checks");
		return;
	}
	d = down_find(&s->found.list, name, u->tag);
	if (!d == u->up)
		return;
	if (words_may_say(&s->link.words))
		say_target(route, target, u);
	if (d)
		down_drop(&s->found.list, d);
	else if (state_found_add_down(&s->found.list, name, u->tag))
		return;
	kick(s);
}

static struct found_name *name_find(struct state_found *f, const char *name)
{
	for (unsigned i = 0; i < f->n_names; i++)
		if (!strcmp(f->names[i].name, name))
			return &f->names[i];
	return NULL;
}

static bool same(const struct found_name *old, const struct addr *v, unsigned n)
{
	return old && old->n == n && !memcmp(old->addrs, v, n * sizeof(*v));
}

static void say_name(const char *name, const struct addr *v, unsigned n)
{
	char list[RESOLVE_MAX_ADDRS * (ADDR_TEXT + 2)] = "", text[ADDR_TEXT];
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "",
					addr_format(&v[i], text));
	log_info("name \"%s\" is %s now", name, list);
}

static void on_name(struct service *s, const struct upcall *u)
{
	struct found_name *old = name_find(&s->found.list, u->name);
	struct resolved_name now = { .name = u->name };
	struct addr v[RESOLVE_MAX_ADDRS];
	unsigned n;

	if (!has_name(s, u->name)) {
		log_debug("the dataplane speaks of a name that no route has");
		return;
	}
	if (old) {
		now.addrs = old->addrs;
		now.n = old->n;
	}
	n = found_accept(u->name, &now, u->addresses, u->n_addresses, v);
	if (!n && words_may_say(&s->link.words))
		log_warn("name \"%s\": no address that it has now may be a target: it stays where "
			 "it is",
			 u->name);
	if (!n || same(old, v, n))
		return;
	if (words_may_say(&s->link.words))
		say_name(u->name, v, n);
	if (old) {
		memcpy(old->addrs, v, n * sizeof(*v));
		old->n = n;
	} else if (state_found_add_name(&s->found.list, u->name, s->link.generation, v, n)) {
		return;
	}
	link_remember(&s->link, u->name, v, n);
	kick(s);
}

void found_heard(struct service *s, const struct upcall *u)
{
	if (u->type == UPCALL_TARGET)
		on_target(s, u);
	else if (u->type == UPCALL_NAME_CHANGED)
		on_name(s, u);
}

/* ---- the life of it ---- */

void found_begin(struct service *s, struct state_found *from)
{
	s->found.list = *from;
	*from = (struct state_found){ 0 };
	for (unsigned i = 0; i < s->found.list.n_names; i++) {
		const struct found_name *n = &s->found.list.names[i];

		link_remember(&s->link, n->name, n->addrs, n->n);
	}
}

/* Of what the command resolved: names that nobody followed before. */
static void add_resolved(struct service *s, const json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const json_t *list = json_object_get(o, "addresses");
	struct addr v[RESOLVE_MAX_ADDRS];
	unsigned n = 0;

	for (size_t i = 0; i < json_array_size(list) && n < RESOLVE_MAX_ADDRS; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		n += text && addr_parse(text, &v[n]);
	}
	if (!name || !n || !has_name(s, name) || name_find(&s->found.list, name))
		return;
	if (!state_found_add_name(&s->found.list, name, s->link.generation, v, n))
		link_remember(&s->link, name, v, n);
}

void found_generation(struct service *s, const json_t *names)
{
	struct state_found *f = &s->found.list;
	bool changed = false;
	const json_t *name;
	size_t k;

	json_array_foreach (names, k, name)
		add_resolved(s, name);
	for (unsigned i = f->n_names; i-- > 0;)
		if (!has_name(s, f->names[i].name))
			name_drop(f, i);
	for (unsigned i = f->n_down; i-- > 0;) {
		const json_t *r = route_named(s, f->down[i].route);

		if (r && json_object_get(r, "healthCheck") && target_find(r, f->down[i].tag))
			continue;
		down_drop(f, &f->down[i]);
		changed = true;
	}
	if (changed || s->found.dirty)
		kick(s);
}

json_t *found_names_json(const struct state_found *f)
{
	json_t *list = json_array();
	char text[ADDR_TEXT];

	for (unsigned i = 0; i < f->n_names; i++) {
		json_t *v = json_array();

		for (unsigned k = 0; k < f->names[i].n; k++)
			json_array_append_new(v, json_string(
							 addr_format(&f->names[i].addrs[k], text)));
		json_array_append_new(list, json_pack("{s:s,s:o}", "name", f->names[i].name,
						      "addresses", v));
	}
	return list;
}

/* After the table that it is about: before that it would mean nothing to a dataplane. */
void found_dataplane_ready(struct service *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < s->found.list.n_down; i++) {
		const struct target_down *d = &s->found.list.down[i];
		const json_t *r = route_named(s, d->route);

		if (r)
			json_array_append_new(list, json_pack("{s:O,s:I}", "route",
							      json_object_get(r, "id"), "tag",
							      (json_int_t)d->tag));
	}
	if (json_array_size(list))
		link_say(&s->link, json_pack("{s:s,s:O}", "type", "down", "targets", list));
	json_decref(list);
	/* A controller that was killed may not have got as far as the kernel. */
	if (s->found.list.n_down || s->found.list.n_names)
		kick(s);
}

void found_fini(struct service *s)
{
	timer_cancel(s->loop, &s->found.again);
	state_found_fini(&s->found.list);
}
