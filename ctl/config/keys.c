// SPDX-License-Identifier: GPL-2.0-or-later
/* Questions to the key table; the table itself is in keys_*.c. */
#include "ctl/config/keys.h"

#include "ctl/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define KEYS_MAX 128 /* of one object */

const struct key_object *const key_objects[] = {
	&key_root,
	&key_defaults,
	&key_default_target,
	&key_route,
	&key_match,
	&key_action,
	&key_target,
	&key_target_match,
	&key_balancing,
	&key_health,
	&key_tls,
	&key_certificate,
	&key_client_auth,
	&key_websocket,
	&key_advanced,
	&key_static,
	&key_test_response,
	&key_url_rewrite,
	&key_options,
	&key_nftables,
	&key_handler,
	&key_redirect,
	&key_block,
	&key_security,
	&key_rate_limit,
	&key_authentication,
	&key_basic_auth,
	&key_jwt_auth,
	&key_user,
	&key_headers,
	&key_cors,
	&key_acme,
	&key_eab,
	&key_admin,
	&key_log,
	&key_store,
	&key_etcd,
	&key_metrics,
	NULL,
};

const struct key *key_find(const struct key_object *o, const char *name)
{
	for (size_t i = 0; i < o->n_keys; i++)
		if (o->keys[i].name[0] == name[0] && !strcmp(o->keys[i].name, name))
			return &o->keys[i];
	return NULL;
}

const char *key_nearest(const struct key_object *o, const char *name)
{
	const char *names[KEYS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < o->n_keys && n < KEYS_MAX; i++)
		if (o->keys[i].type < KEY_OLD)
			names[n++] = o->keys[i].name;
	return text_nearest(name, names, n);
}

static void list_values(const struct key *k, const char *before, char *out, size_t cap)
{
	size_t len = (size_t)snprintf(out, cap, "%s", before);

	for (size_t i = 0; k->values[i] && len < cap; i++)
		len += (size_t)snprintf(out + len, cap - len, "%s%s", i ? ", " : "", k->values[i]);
}

const char *key_type_text(const struct key *k, char *out, size_t cap)
{
	switch (k->type) {
	case KEY_BOOL:
		snprintf(out, cap, "true or false");
		break;
	case KEY_UINT:
	case KEY_INT:
		snprintf(out, cap, "%s, %" PRId64 "..%" PRId64,
			 k->flags & KEY_MS ? "milliseconds" : "number", k->min, k->max);
		break;
	case KEY_ENUM:
	case KEY_CHOICE:
		list_values(k, "one of ", out, cap);
		break;
	case KEY_TEXTS:
		if (k->values)
			list_values(k, "list of ", out, cap);
		else
			snprintf(out, cap, "text or list of texts");
		break;
	case KEY_ADDRESSES:
		snprintf(out, cap, "address pattern or list of these");
		break;
	case KEY_PAIRS:
		snprintf(out, cap, "object of name: text");
		break;
	case KEY_OBJECT:
		snprintf(out, cap, "object (see %s)", k->object->name);
		break;
	case KEY_CUSTOM:
		snprintf(out, cap, "%s", k->shape);
		break;
	default:
		snprintf(out, cap, "text");
		break;
	}
	return out;
}

const char *key_tier_text(const struct key *k)
{
	static const char *const names[] = {
		"any", "nftables", "relay", "proxy", "service", "none"
	};

	return names[k->tier];
}
