/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/state/state_meta.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/state/state_confirm.h"

void state_meta_fini(struct state_meta *m)
{
	free(m->file);
	free(m->table);
	for (unsigned i = 0; m->names && i < m->n_names; i++) {
		/* Here, and only here, the names are our own copies. */
		union {
			const char *borrowed;
			char *owned;
		} name = { m->names[i].name };

		free(name.owned);
	}
	if (m->names)
		resolved_names_fini(m->names, m->n_names);
	free(m->names);
	for (unsigned i = 0; i < m->n_down; i++)
		free(m->down[i].route);
	free(m->down);
	*m = (struct state_meta){ 0 };
}

static json_t *name_format(const struct resolved_name *r)
{
	json_t *addresses = json_array();
	char text[ADDR_TEXT];

	for (unsigned i = 0; i < r->n; i++)
		json_array_append_new(addresses, json_string(addr_format(&r->addrs[i], text)));
	/* A resolver's words may be in any encoding: jansson gives NULL for what is not UTF-8. */
	return json_pack("{s:s, s:o, s:o}", "name", r->name, "addresses", addresses, "why",
			 json_string(r->why) ?: json_string("?"));
}

static json_t *settings_format(const struct sysctl_wants *w)
{
	return json_pack("{s:b, s:b, s:b}", "ipv4Forwarding", w->forward_v4, "ipv6Forwarding",
			 w->forward_v6, "routeLocalnet", w->route_localnet);
}

/* j NULL, of the first files: none are known. */
static bool settings_parse(json_t *j, struct sysctl_wants *out)
{
	int v4 = 0, v6 = 0, localnet = 0;

	if (j && json_unpack(j, "{s:b, s:b, s:b}", "ipv4Forwarding", &v4, "ipv6Forwarding", &v6,
			     "routeLocalnet", &localnet) < 0)
		return false;
	*out = (struct sysctl_wants){ v4, v6, localnet };
	return true;
}

int state_meta_format(const struct state_meta *m, struct buf *out, struct err *e)
{
	json_t *names = json_array(), *root;
	bool ok = names;
	char *text;

	for (unsigned i = 0; ok && i < m->n_names; i++)
		ok = json_array_append_new(names, name_format(&m->names[i])) == 0;
	root = json_pack("{s:I, s:I, s:s, s:s, s:b, s:I, s:i, s:o*, s:o, s:o}", "generation",
			 (json_int_t)m->generation, "timeMs", (json_int_t)m->time_ms, "file",
			 m->file ? m->file : "", "table", m->table ? m->table : "", "lenient",
			 m->lenient, "copyOf", (json_int_t)m->copy_of, "routes", m->routes,
			 "confirm", state_confirm_format(&m->confirm), "settings",
			 settings_format(&m->settings), "names", names);
	text = ok && root ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	if (!text)
		return err_set(e, EINVAL,
			       "generation %" PRIu32 ": its description is not UTF-8 text",
			       m->generation);
	buf_puts(out, text);
	buf_putc(out, '\n');
	free(text);
	return out->failed ? err_set(e, ENOMEM, "out of memory") : 0;
}

static bool addresses_parse(const json_t *list, struct resolved_name *out)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > RESOLVE_MAX_ADDRS)
		return false;
	out->addrs = calloc(n ? n : 1, sizeof(*out->addrs));
	if (!out->addrs)
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text || !addr_parse(text, &out->addrs[i]))
			return false;
		out->n = (unsigned)(i + 1);
	}
	return true;
}

static bool name_parse(json_t *item, struct resolved_name *out)
{
	const char *name, *why;
	json_t *addresses;

	if (json_unpack(item, "{s:s, s:o, s:s}", "name", &name, "addresses", &addresses, "why",
			&why) < 0)
		return false;
	out->name = strdup(name);
	snprintf(out->why, sizeof(out->why), "%s", why);
	return out->name && addresses_parse(addresses, out);
}

static bool names_parse(json_t *list, struct state_meta *m)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > UINT16_MAX)
		return false;
	m->names = calloc(n ? n : 1, sizeof(*m->names));
	if (!m->names)
		return false;
	m->n_names = (unsigned)n;
	for (size_t i = 0; i < n; i++)
		if (!name_parse(json_array_get(list, i), &m->names[i]))
			return false;
	return true;
}

static bool root_parse(json_t *root, uint32_t generation, struct state_meta *m)
{
	const char *file, *table;
	json_int_t number, time_ms, copy_of = 0;
	json_t *names;

	/* The first files had no copyOf, routes, settings and confirm. */
	m->routes = -1;
	if (json_unpack(root, "{s:I, s:I, s:s, s:s, s:o, s?I, s?i}", "generation", &number,
			"timeMs", &time_ms, "file", &file, "table", &table, "names", &names,
			"copyOf", &copy_of, "routes", &m->routes) < 0 ||
	    number != (json_int_t)generation || copy_of < 0 || copy_of > UINT32_MAX ||
	    !settings_parse(json_object_get(root, "settings"), &m->settings) ||
	    !state_confirm_parse(json_object_get(root, "confirm"), generation, &m->confirm))
		return false;
	m->copy_of = (uint32_t)copy_of;
	m->generation = generation;
	m->time_ms = time_ms;
	m->file = strdup(file);
	m->table = strdup(table);
	return m->file && m->table && names_parse(names, m);
}

int state_meta_parse(const char *path, const struct buf *json, uint32_t generation,
		     struct state_meta *out, struct err *e)
{
	struct state_meta m = { 0 };
	json_error_t where = { 0 };
	json_t *root = json_loadb(json->data, json->len, JSON_REJECT_DUPLICATES, &where);
	bool ok = root && root_parse(root, generation, &m);

	m.lenient = json_is_true(json_object_get(root, "lenient"));
	json_decref(root);
	if (!ok) {
		state_meta_fini(&m);
		if (where.text[0])
			return err_set(e, EBADMSG, "%s is damaged: %s", path, where.text);
		return err_set(e, EBADMSG,
			       "%s is damaged: it does not describe generation %" PRIu32, path,
			       generation);
	}
	*out = m;
	return 0;
}
