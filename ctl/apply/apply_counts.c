/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A route that comes back later gets another number, and starts to count anew. */
#include <stdlib.h>

#include "ctl/apply/apply_internal.h"
#include "ctl/base/log.h"
#include "ctl/nft/nft_count.h"

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

uint32_t apply_forget_counts(struct apply_job *j, uint32_t genid)
{
	struct live_ids *now = calloc(1, sizeof(*now));
	unsigned commits = 0;
	struct err e = { 0 };

	/* What waits for confirmation may go back to those routes. */
	if (j->out->confirm.phase == STATE_CONFIRM_WAITING) {
		free(now);
		return genid;
	}
	if (now)
		mark(now, &j->ids);
	if (now && some_left(&j->s->ids, now) &&
	    nft_counts_prune(j->s->nft, j->want, is_live, now, &commits, &e))
		log_debug("the counters of former routes stay: %s", e.msg);
	free(now);
	while (commits--)
		genid = nft_genid_next(genid);
	return genid;
}
