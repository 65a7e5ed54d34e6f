/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time limits of a route. keepAliveTreatment counts for connections with
 * keep-alive: "extended" multiplies inactivityTimeout and lets them live as long as
 * extendedKeepAliveLifetime, "immortal" lifts both. advanced.timeout is what the
 * route itself says about inactivity; nothing multiplies it. A maxConnectionLifetime
 * that stands in the file holds, unless extendedKeepAliveLifetime stands there, too:
 * a limit that was written is a limit.
 */
#include <errno.h>
#include <string.h>

#include "ctl/config/config_groups.h"
#include "ctl/control/compile_internal.h"

#define MS_MAX 2147483647u /* of every time in a route file */

static bool is_written(const struct cfg_strings *keys, const char *key)
{
	for (unsigned i = 0; i < keys->n; i++)
		if (!strcmp(keys->v[i], key))
			return true;
	return false;
}

static const struct cfg_advanced *advanced_of(const struct cfg_route *r)
{
	return r && r->action.extra ? r->action.extra->advanced : NULL;
}

static bool keeps_alive(const struct cfg_limits *l, const struct cfg_route *r)
{
	return r && is_written(&r->unapplied_in_kernel, "action.advanced.keepAlive")
		       ? advanced_of(r)->keep_alive
		       : l->keep_alive;
}

static unsigned inactivity(const struct cfg_limits *l, const struct cfg_route *r, bool alive)
{
	const struct cfg_advanced *a = advanced_of(r);
	uint64_t ms = l->inactivity_timeout_ms;

	if (a && a->timeout_ms)
		return a->timeout_ms;
	if (l->disable_inactivity_check ||
	    (alive && l->keep_alive_treatment == KEEP_ALIVE_IMMORTAL))
		return 0;
	if (alive && l->keep_alive_treatment == KEEP_ALIVE_EXTENDED)
		ms *= l->keep_alive_inactivity_multiplier;
	return ms > MS_MAX ? MS_MAX : (unsigned)ms;
}

static unsigned lifetime(const struct config *c, bool alive)
{
	const struct cfg_limits *l = c->extra->limits;

	if (!alive || l->keep_alive_treatment == KEEP_ALIVE_STANDARD)
		return l->max_connection_lifetime_ms;
	if (is_written(&c->unapplied_in_kernel, "maxConnectionLifetime") &&
	    !is_written(&c->unapplied_in_kernel, "extendedKeepAliveLifetime"))
		return l->max_connection_lifetime_ms;
	return l->keep_alive_treatment == KEEP_ALIVE_IMMORTAL ? 0
							      : l->extended_keep_alive_lifetime_ms;
}

int compile_times(json_t *route, const struct config *c, const struct cfg_route *r)
{
	const struct cfg_limits *l = c->extra->limits;
	bool alive = keeps_alive(l, r);
	json_t *v = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:I,s:b}", "connectTimeout",
			      (json_int_t)l->connection_timeout_ms, "initialDataTimeout",
			      (json_int_t)l->initial_data_timeout_ms, "headTimeout",
			      (json_int_t)l->head_timeout_ms, "serverFirstAfter",
			      (json_int_t)l->server_first_after_ms, "inactivityTimeout",
			      (json_int_t)inactivity(l, r, alive), "maxLifetime",
			      (json_int_t)lifetime(c, alive), "keepAlive", alive, "keepAliveDelay",
			      (json_int_t)l->keep_alive_initial_delay_ms, "noDelay", l->no_delay);
	int rc = v ? json_object_update(route, v) : -ENOMEM;

	json_decref(v);
	return rc ? -ENOMEM : 0;
}
