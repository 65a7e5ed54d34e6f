/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a dataplane has found out about targets, believed only as far as there are such targets. */
#include <string.h>

#include "ctl/base/log.h"
#include "ctl/service/service_internal.h"

/* The target of what is served that this is about; NULL: there is none. */
static const json_t *find_target(const struct service *s, const struct upcall *u,
				 const json_t **route)
{
	const json_t *t;
	size_t i, k;

	json_array_foreach (json_object_get(s->link.live, "routes"), i, *route) {
		const bool its = json_integer_value(json_object_get(*route, "id")) == u->route;

		json_array_foreach (json_object_get(*route, "targets"), k, t) {
			const char *host = json_string_value(json_object_get(t, "host"));

			if (u->type == UPCALL_TARGET && its &&
			    json_integer_value(json_object_get(t, "tag")) == u->tag)
				return t;
			if (u->type == UPCALL_NAME_CHANGED && host && !strcasecmp(host, u->name))
				return t;
		}
	}
	return NULL;
}

void service_found(struct service *s, const struct upcall *u)
{
	const json_t *route, *target = find_target(s, u, &route);
	const char *name, *host;

	if (!target) {
		log_debug("the dataplane speaks of what no route has");
		return;
	}
	name = json_string_value(json_object_get(route, "name"));
	host = json_string_value(json_object_get(target, "host"));
	if (u->type == UPCALL_TARGET)
		log_warn("route \"%s\": target %s:%lld is %s: %s", name ? name : "?",
			 host ? host : "?",
			 (long long)json_integer_value(json_object_get(target, "port")),
			 u->up ? "up" : "down", u->text);
	if (s->o.found)
		s->o.found(s->o.found_arg, u);
}
