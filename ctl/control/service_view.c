/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The controller is asked first, for itself alone: when its dataplane does not
 * answer, this is what there is to say. Parts of an answer are put together here,
 * so that everybody else sees one list.
 */
#include "ctl/control/service_view.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/clock.h"
#include "ctl/base/io.h"

#define STARTS_LOOK_MS 50

static int recorded_pid(const char *run_dir)
{
	char path[PATH_MAX], text[16] = "";

	snprintf(path, sizeof(path), "%s/run.pid", run_dir);
	return io_read_text(path, text, sizeof(text), NULL) ? 0 : atoi(text);
}

/* The last word on a member wins: only the first part has it. */
static void take(json_t **to, const json_t *part, const char *key)
{
	json_t *v = json_object_get(part, key);

	if (!v)
		return;
	json_decref(*to);
	*to = json_incref(v);
}

static int append(json_t *to, json_t *more)
{
	return more && json_array_extend(to, more) ? -ENOMEM : 0;
}

/* The first one may be the last of the part before, which has more targets. */
static int take_routes(json_t *routes, json_t *more)
{
	const json_t *last = json_array_get(routes, json_array_size(routes) - 1);
	json_t *first = json_array_get(more, 0);
	const json_t *id = json_object_get(first, "id");
	int rc;

	if (!id || !json_equal(id, json_object_get(last, "id")))
		return append(routes, more);
	rc = append(json_object_get(last, "targets"), json_object_get(first, "targets"));
	return rc || json_array_remove(more, 0) ? -ENOMEM : append(routes, more);
}

static int take_part(const json_t *part, void *arg)
{
	struct service_view *v = arg;

	take(&v->service, part, "service");
	take(&v->process, part, "process");
	return take_routes(v->routes, json_object_get(part, "routes")) ||
			       append(v->conns, json_object_get(part, "conns"))
		       ? -ENOMEM
		       : 0;
}

/* One that has just been started is waited for. */
static int reach(struct service_view *v, struct control_client *c, const char *run_dir,
		 unsigned timeout_ms)
{
	const int64_t end = clock_mono_ms() + timeout_ms;
	int rc;

	for (;;) {
		v->e = (struct err){ 0 };
		rc = client_open(c, run_dir, timeout_ms, &v->presence, &v->e);
		if (rc != -ENOENT || v->presence != CONTROL_STARTS || clock_mono_ms() >= end)
			return rc;
		clock_sleep_ms(STARTS_LOOK_MS);
	}
}

static int ask(struct service_view *v, const char *run_dir, json_t *question, const char *expected,
	       unsigned timeout_ms)
{
	struct control_client c;
	int rc = reach(v, &c, run_dir, timeout_ms);

	v->pid = v->presence == CONTROL_NONE ? 0 : rc ? recorded_pid(run_dir) : c.pid;
	if (rc) {
		json_decref(question);
		return rc;
	}
	rc = client_ask_parts(&c, json_pack("{s:s,s:b}", "type", "status", "serviceOnly", 1),
			      "status", timeout_ms, take_part, v, &v->e);
	v->controller_answers = !rc && v->service;
	if (rc)
		json_decref(question);
	else
		rc = client_ask_parts(&c, question, expected, timeout_ms, take_part, v, &v->e);
	client_close(&c);
	return rc;
}

static int begin(struct service_view *v)
{
	*v = (struct service_view){ .routes = json_array(), .conns = json_array() };
	return v->routes && v->conns ? 0 : -ENOMEM;
}

int service_view_read(struct service_view *v, const char *run_dir, unsigned timeout_ms)
{
	int rc = begin(v);

	rc = rc ? rc : ask(v, run_dir, json_pack("{s:s}", "type", "status"), "status", timeout_ms);
	v->answers = !rc && v->process;
	return rc == -ENOMEM ? rc : 0;
}

int service_view_ask(struct service_view *v, struct control_client *c, unsigned timeout_ms)
{
	int rc = begin(v);

	if (rc)
		return rc;
	v->presence = CONTROL_THERE;
	v->pid = c->pid;
	rc = client_ask_parts(c, json_pack("{s:s,s:b}", "type", "status", "serviceOnly", 1),
			      "status", timeout_ms, take_part, v, &v->e);
	v->controller_answers = !rc && v->service;
	return rc;
}

int service_view_read_conns(struct service_view *v, const char *run_dir, uint32_t route,
			    unsigned timeout_ms)
{
	int rc = begin(v);

	rc = rc ? rc
		: ask(v, run_dir,
		      json_pack("{s:s,s:I}", "type", "conns", "route", (json_int_t)route), "conns",
		      timeout_ms);
	v->answers = !rc;
	return rc == -ENOMEM ? rc : 0;
}

void service_view_fini(struct service_view *v)
{
	json_decref(v->service);
	json_decref(v->process);
	json_decref(v->routes);
	json_decref(v->conns);
	*v = (struct service_view){ 0 };
}

uint64_t service_view_number(const json_t *o, const char *key)
{
	const json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

const char *service_view_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

bool service_view_serves(const struct service_view *v, uint32_t generation)
{
	return v->controller_answers &&
	       service_view_number(v->service, "generation") == generation &&
	       !strcmp(service_view_text(v->service, "state"), "ready");
}

const char *service_place(const struct addr *a, uint16_t port, char out[SERVICE_PLACE])
{
	char text[ADDR_TEXT] = "*";

	if (a->family != ADDR_NONE)
		addr_format(a, text);
	snprintf(out, SERVICE_PLACE, a->family == ADDR_V6 ? "[%s]:%u" : "%s:%u", text, port);
	return out;
}

unsigned service_view_missing(const struct service_view *v, const struct control_listener *wanted,
			      unsigned n, unsigned *first)
{
	const json_t *places = json_object_get(v->service, "places"), *place;
	json_t *have = json_object();
	char text[SERVICE_PLACE];
	unsigned missing = 0;
	size_t i;

	json_array_foreach (places, i, place)
		json_object_set_new(have, json_string_value(place), json_true());
	for (unsigned k = n; json_is_array(places) && have && k-- > 0;) {
		if (json_object_get(have, service_place(&wanted[k].address, wanted[k].port, text)))
			continue;
		*first = k;
		missing++;
	}
	json_decref(have);
	return missing;
}
