/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Targets: one entry for each host, with the weight of its target, as the
 * kernel tier has one for each address. A target keeps its tag from plan to plan
 * and from tier to tier: addresses have the one of plan_tag.c.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl/config/config_groups.h"
#include "ctl/control/compile_internal.h"

struct entry {
	const struct cfg_target *target;
	const struct cfg_host *host;
	unsigned place; /* in the file */
};

static int entry_cmp(const void *va, const void *vb)
{
	const struct entry *a = va, *b = vb;

	if (a->target->priority != b->target->priority)
		return a->target->priority > b->target->priority ? -1 : 1;
	return a->place < b->place ? -1 : 1;
}

static json_t *ports_json(const struct port_range *v, unsigned n)
{
	json_t *out = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(out, json_pack("[i,i]", v[i].from, v[i].to));
	return out;
}

static const char *host_text(const struct cfg_host *h, char out[ADDR_TEXT])
{
	return h->kind == HOST_ADDR ? addr_format(&h->addr, out) : h->text;
}

static json_t *target_json(const struct control_target *e, int send_proxy)
{
	static const char *const kinds[] = { "address", "name", "unix", "template" };
	static const char *const port_kinds[] = { "fixed", "preserve", "offset" };
	const struct cfg_target *t = e->target;
	char address[ADDR_TEXT];
	json_t *v = json_pack("{s:I,s:s,s:s}", "tag", (json_int_t)e->tag, "kind",
			      kinds[e->host->kind], "host", host_text(e->host, address));

	if (!v)
		return NULL;
	if (e->host->kind != HOST_UNIX) {
		json_object_set_new(v, "port", json_integer(t->port));
		json_object_set_new(v, "portKind", json_string(port_kinds[t->port_kind]));
	}
	json_object_set_new(v, "weight", json_integer(t->weight));
	json_object_set_new(v, "backup", json_boolean(t->backup));
	json_object_set_new(v, "priority", json_integer(t->priority));
	if (t->n_match_ports)
		json_object_set_new(v, "ports", ports_json(t->match_ports, t->n_match_ports));
	if (t->extra && t->extra->has_send_proxy_protocol)
		send_proxy = t->extra->send_proxy_protocol;
	json_object_set_new(v, "sendProxy", json_integer(send_proxy));
	return v;
}

static unsigned collect(const struct cfg_target *v, unsigned n, struct entry *out)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++)
		for (unsigned h = 0; h < v[i].n_hosts; h++, k++)
			out[k] = (struct entry){ &v[i], &v[i].hosts[h], k };
	qsort(out, k, sizeof(*out), entry_cmp);
	return k;
}

struct control_target *control_targets(const struct cfg_target *v, unsigned n, unsigned *n_out)
{
	struct control_target *out;
	struct entry *entries;
	uint64_t *keys;
	uint32_t *tags;
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++)
		k += v[i].n_hosts;
	out = calloc(k + 1, sizeof(*out));
	entries = calloc(k + 1, sizeof(*entries));
	keys = calloc(k + 1, sizeof(*keys));
	tags = calloc(k + 1, sizeof(*tags));
	if (out && entries && keys && tags) {
		collect(v, n, entries);
		for (unsigned i = 0; i < k; i++)
			keys[i] = plan_host_key(entries[i].target, entries[i].host);
	}
	if (!out || !entries || !keys || !tags || plan_tag_keys(keys, k, tags)) {
		free(out);
		out = NULL;
	}
	for (unsigned i = 0; out && i < k; i++)
		out[i] = (struct control_target){ entries[i].target, entries[i].host, tags[i] };
	*n_out = k;
	free(entries);
	free(keys);
	free(tags);
	return out;
}

json_t *compile_targets(const struct cfg_target *v, unsigned n, int send_proxy)
{
	unsigned k = 0;
	struct control_target *targets = control_targets(v, n, &k);
	json_t *out = targets ? json_array() : NULL;

	for (unsigned i = 0; out && i < k; i++)
		if (json_array_append_new(out, target_json(&targets[i], send_proxy))) {
			json_decref(out);
			out = NULL;
		}
	free(targets);
	return out;
}
