/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each message has its parser in one table; a member is either of its type and
 * within its bounds or the message is refused. Members that nobody asked for are
 * passed over, so that a dataplane of another version can be taken over from;
 * in an answer, which is handed on as it is, everything is looked at.
 */
#include "ctl/service/upcall.h"

#include <errno.h>
#include <string.h>

#define ANSWER_DEPTH 8
#define ANSWER_TEXT  1024 /* bytes of one string or key */
#define SEQ_MAX	     0xffffffffu
#define ROUTE_MAX    0xfffffu
#define TTL_MAX	     86400

static bool get_number(const json_t *o, const char *key, uint64_t max, uint64_t *out)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > max)
		return false;
	*out = (uint64_t)json_integer_value(v);
	return true;
}

static bool get_u32(const json_t *o, const char *key, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v;

	if (!get_number(o, key, max, &v) || v < min)
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool get_bool(const json_t *o, const char *key, bool *out)
{
	const json_t *v = json_object_get(o, key);

	*out = json_is_true(v);
	return json_is_boolean(v);
}

/* Absent is false. */
static bool get_flag(const json_t *o, const char *key, bool *out)
{
	*out = false;
	return !json_object_get(o, key) || get_bool(o, key, out);
}

static bool get_text(const json_t *o, const char *key, char *out, size_t cap)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_string(v))
		return false;
	log_escape(json_string_value(v), json_string_length(v), out, cap);
	return true;
}

static bool is_name(const char *s, size_t n)
{
	return n && n < UPCALL_NAME &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz"
			 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

/* ---- one function a message ---- */

static bool parse_started(const json_t *o, struct upcall *u)
{
	return get_u32(o, "pid", 1, 0x7fffffff, &u->pid);
}

static bool parse_generation(const json_t *o, struct upcall *u)
{
	return get_u32(o, "generation", 1, SEQ_MAX, &u->generation);
}

static bool parse_failed(const json_t *o, struct upcall *u)
{
	const json_t *at = json_object_get(o, "route");

	u->failed_route = -1;
	if (at && (!json_is_integer(at) || json_integer_value(at) < -1 ||
		   json_integer_value(at) > (json_int_t)ROUTE_MAX))
		return false;
	if (at)
		u->failed_route = (int)json_integer_value(at);
	return parse_generation(o, u) && get_text(o, "message", u->text, sizeof(u->text));
}

/* What is handed on to a command: bounded in depth and strings, no floating point. */
static bool is_plain(const json_t *v, unsigned depth)
{
	const char *key;
	const json_t *in;
	size_t i;

	if (json_is_string(v))
		return json_string_length(v) <= ANSWER_TEXT;
	if (json_is_real(v) || !depth)
		return false;
	if (json_is_array(v)) {
		json_array_foreach (v, i, in)
			if (!is_plain(in, depth - 1))
				return false;
	} else if (json_is_object(v)) {
		for (void *it = json_object_iter((json_t *)(uintptr_t)v); it;
		     it = json_object_iter_next((json_t *)(uintptr_t)v, it)) {
			key = json_object_iter_key(it);
			if (strlen(key) > ANSWER_TEXT ||
			    !is_plain(json_object_iter_value(it), depth - 1))
				return false;
		}
	}
	return true;
}

static bool parse_answer(const json_t *o, struct upcall *u)
{
	u->answer = o;
	return get_u32(o, "seq", 0, SEQ_MAX, &u->seq) && get_flag(o, "more", &u->more) &&
	       is_plain(o, ANSWER_DEPTH);
}

static bool parse_target(const json_t *o, struct upcall *u)
{
	return get_u32(o, "route", 1, ROUTE_MAX, &u->route) &&
	       get_u32(o, "tag", 1, SEQ_MAX, &u->tag) && get_bool(o, "up", &u->up) &&
	       get_text(o, "reason", u->text, sizeof(u->text));
}

/* What no connection could go to is no address of a target. */
static bool is_target(const struct addr *a)
{
	return !addr_is_unspecified(a) && !addr_is_multicast(a) && !addr_is_broadcast(a);
}

static bool parse_addresses(const json_t *v, struct upcall *u)
{
	const size_t n = json_array_size(v);

	if (!json_is_array(v) || !n || n > UPCALL_ADDRESSES)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(v, i));

		if (!text || !addr_parse(text, &u->addresses[i]) || !is_target(&u->addresses[i]))
			return false;
	}
	u->n_addresses = (unsigned)n;
	return true;
}

static bool parse_name(const json_t *o, struct upcall *u)
{
	const json_t *v = json_object_get(o, "name");
	const char *name = json_string_value(v);

	if (!name || !is_name(name, json_string_length(v)))
		return false;
	memcpy(u->name, name, json_string_length(v) + 1);
	return get_u32(o, "ttl", 0, TTL_MAX, &u->ttl_s) &&
	       parse_addresses(json_object_get(o, "addresses"), u);
}

static bool parse_notice(const json_t *o, struct upcall *u)
{
	static const char *const levels[] = { "error", "warning", "info", "debug" };
	const char *level = json_string_value(json_object_get(o, "level"));

	for (unsigned i = 0; level && i < 4; i++) {
		if (strcmp(level, levels[i]))
			continue;
		u->level = (enum log_level)i;
		return get_text(o, "message", u->text, sizeof(u->text));
	}
	return false;
}

static bool parse_drained(const json_t *o, struct upcall *u)
{
	(void)o;
	(void)u;
	return true;
}

static bool parse_pong(const json_t *o, struct upcall *u)
{
	const json_t *v = json_object_get(o, "rounds");
	const size_t n = json_array_size(v);

	if (!json_is_array(v) || n > UPCALL_WORKERS)
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *r = json_array_get(v, i);

		if (!json_is_integer(r) || json_integer_value(r) < 0)
			return false;
		u->rounds[i] = (uint64_t)json_integer_value(r);
	}
	u->n_rounds = (unsigned)n;
	if (json_object_get(o, "connections") &&
	    !get_u32(o, "connections", 0, SEQ_MAX, &u->connections))
		return false;
	return get_u32(o, "seq", 0, SEQ_MAX, &u->seq);
}

static bool parse_listener(const json_t *o, struct upcall_listener *l)
{
	const char *address = json_string_value(json_object_get(o, "address"));
	uint32_t port, worker;

	if (!address || !get_u32(o, "id", 1, SEQ_MAX, &l->id) ||
	    !get_u32(o, "port", 1, 65535, &port) || !get_u32(o, "worker", 0, 65535, &worker))
		return false;
	l->port = (uint16_t)port;
	l->worker = worker;
	if (strcmp(address, "*"))
		return addr_parse(address, &l->address);
	l->address = (struct addr){ .family = ADDR_NONE };
	return true;
}

static bool parse_handover(const json_t *o, struct upcall *u)
{
	const json_t *v = json_object_get(o, "listeners");
	const size_t n = json_array_size(v);

	if (!json_is_array(v) || n > UPCALL_LISTENERS || !get_flag(o, "more", &u->more))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!parse_listener(json_array_get(v, i), &u->listeners[i]))
			return false;
	u->n_listeners = (unsigned)n;
	return true;
}

static const struct {
	const char *name;
	bool (*parse)(const json_t *o, struct upcall *u);
} parsers[N_UPCALLS] = {
	[UPCALL_STARTED] = { "started", parse_started },
	[UPCALL_LOADED] = { "loaded", parse_generation },
	[UPCALL_FAILED] = { "failed", parse_failed },
	[UPCALL_SWITCHED] = { "switched", parse_generation },
	[UPCALL_ANSWER] = { "answer", parse_answer },
	[UPCALL_TARGET] = { "target", parse_target },
	[UPCALL_NAME_CHANGED] = { "name", parse_name },
	[UPCALL_NOTICE] = { "notice", parse_notice },
	[UPCALL_DRAINED] = { "drained", parse_drained },
	[UPCALL_PONG] = { "pong", parse_pong },
	[UPCALL_HANDOVER] = { "handover", parse_handover },
};

const char *upcall_name(enum upcall_type t)
{
	return parsers[t].name;
}

int upcall_parse(const json_t *json, unsigned n_fds, struct upcall *out, struct err *e)
{
	const char *type = json_string_value(json_object_get(json, "type"));
	char shown[48];

	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; type && i < N_UPCALLS; i++) {
		if (strcmp(type, parsers[i].name))
			continue;
		out->type = (enum upcall_type)i;
		if (!parsers[i].parse(json, out))
			return err_set(e, -EPROTO, "its message \"%s\" is broken", type);
		/* Descriptors come with a hand-over and with nothing else. */
		if (n_fds != out->n_listeners)
			return err_set(e, -EPROTO,
				       "its message \"%s\" has %u descriptors instead of %u", type,
				       n_fds, out->n_listeners);
		return 0;
	}
	return err_set(e, -EPROTO, "its message \"%s\" is unknown",
		       type ? log_escape(type, strlen(type), shown, sizeof(shown)) : "");
}
