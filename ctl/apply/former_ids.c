/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/apply/former_ids.h"

#include <stdlib.h>

#include "ctl/base/log.h"

#define FILE_NAME  "former-ids"
#define KEEP_NAMES 65536 /* the newest */

void former_ids_load(const struct session *s, struct route_ids *out)
{
	char *path = state_path(&s->state, FILE_NAME);
	struct ruleset *nothing = NULL;
	uint32_t genid;

	*out = (struct route_ids){ 0 };
	if (path && !ruleset_image_load(path, s->state.boot, &nothing, out, &genid))
		ruleset_free(nothing);
	free(path);
}

/* Appends ids[from..], those apart that `but` (may be NULL) has, too. */
static int append(struct route_ids *to, const struct route_ids *ids, size_t from,
		  const struct route_ids *but)
{
	for (size_t i = from; i < ids->n; i++)
		if ((!but || route_ids_find(but, route_ids_name(ids, i)) != ids->ids[i]) &&
		    route_ids_add(to, route_ids_name(ids, i), ids->ids[i]))
			return -1;
	return 0;
}

static void save(const struct session *s, const struct route_ids *ids)
{
	struct ruleset *nothing = ruleset_new("-", s->state.instance, 0);
	char *path = state_path(&s->state, FILE_NAME);
	struct err e = { 0 };

	if (path && nothing && !ruleset_seal(nothing, &e) &&
	    ruleset_image_save(path, nothing, ids, s->state.boot, 0, &e))
		log_debug("names of former routes are not kept: %s", e.msg);
	ruleset_free(nothing);
	free(path);
}

void former_ids_add(struct session *s, const struct route_ids *now)
{
	struct route_ids gone = { 0 }, old = { 0 }, all = { 0 };
	size_t room;

	if (append(&gone, &s->ids, 0, now) || !gone.n)
		goto out;
	former_ids_load(s, &old);
	room = gone.n < KEEP_NAMES ? KEEP_NAMES - gone.n : 0;
	if (!append(&all, &old, old.n > room ? old.n - room : 0, NULL) &&
	    !append(&all, &gone, 0, NULL) && !route_ids_seal(&all))
		save(s, &all);
out:
	route_ids_fini(&gone);
	route_ids_fini(&old);
	route_ids_fini(&all);
}
