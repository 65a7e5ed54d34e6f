/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/apply/former_counts.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/apply/failpoint.h"
#include "ctl/base/log.h"
#include "ctl/nft/nft_count.h"
#include "ctl/nft/ruleset_compile.h"
#include "ctl/state/state_confirm.h"

struct live_ids {
	uint8_t bits[ROUTE_ID_MAX / 8 + 1];
};

static void mark(struct live_ids *l, const struct route_ids *ids)
{
	for (size_t i = 0; i < ids->n; i++)
		if (ids->ids[i] <= ROUTE_ID_MAX)
			l->bits[ids->ids[i] / 8] |= (uint8_t)(1u << ids->ids[i] % 8);
}

static bool is_live(uint32_t id, void *arg)
{
	const struct live_ids *l = arg;

	return id <= ROUTE_ID_MAX && (l->bits[id / 8] & (1u << id % 8));
}

static bool some_left(const struct route_ids *old, struct live_ids *now)
{
	for (size_t i = 0; i < old->n; i++)
		if (!is_live(old->ids[i], now))
			return true;
	return false;
}

void former_counts_forget(struct session *s, const struct ruleset *rs, const struct route_ids *now,
			  uint32_t *genid)
{
	struct live_ids *live = calloc(1, sizeof(*live));
	unsigned commits = 0;
	struct err e = { 0 };
	int rc = live ? 0 : -ENOMEM;

	if (live)
		mark(live, now);
	if (live && some_left(&s->ids, live)) {
		rc = nft_counts_prune(s->nft, rs, is_live, live, &commits, &e);
		if (rc)
			log_debug("the counters of former routes stay: %s", e.msg);
		FAILPOINT(forgotten);
		if (!rc)
			session_write_ids(s, now, now->n, 0);
	}
	free(live);
	while (commits--)
		*genid = nft_genid_next(*genid);
}

bool former_counts_are_left(const struct session *s)
{
	return s->live && s->meta.generation == s->live && s->ids_of == s->live &&
	       s->n_own < s->ids.n && !state_confirm_is_open(&s->meta.confirm);
}

/* 0 or -ENOMEM */
static int own_ids(const struct session *s, struct route_ids *out)
{
	int rc = 0;

	*out = (struct route_ids){ .next_id = s->ids.next_id };
	for (size_t i = 0; i < s->n_own && !rc; i++)
		rc = route_ids_add(out, route_ids_name(&s->ids, i), s->ids.ids[i]);
	return rc ? rc : route_ids_seal(out);
}

void former_counts_settle(struct session *s)
{
	uint32_t genid = s->genid;
	struct route_ids own;

	if (!former_counts_are_left(s))
		return;
	if (own_ids(s, &own)) {
		route_ids_fini(&own);
		return;
	}
	former_counts_forget(s, s->have, &own, &genid);
	/* What was read, and may have been changed by somebody, is not what an image is for. */
	if (s->from_image)
		session_write_image(s, s->have, &own, genid);
	s->genid = genid;
	session_load_ids(s);
	route_ids_fini(&own);
}
