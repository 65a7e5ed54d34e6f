/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/doctor/census.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/base/text.h"
#include "ctl/nft/ruleset_compile.h"

static bool same_group(const struct census_group *a, const struct census_group *b)
{
	return a->id == b->id && a->instance == b->instance && a->flags == b->flags &&
	       a->proto == b->proto && a->target_port == b->target_port &&
	       !addr_cmp(&a->target, &b->target) && !addr_cmp(&a->seen, &b->seen);
}

static uint64_t group_hash(const struct census_group *g)
{
	uint64_t h = text_hash(g->target.bytes, sizeof(g->target.bytes), g->id);

	h = text_hash(g->seen.bytes, sizeof(g->seen.bytes), h);
	return h ^ (h >> 29) ^ ((uint64_t)g->target_port << 17 | g->proto);
}

static bool make_slots(struct census *c)
{
	c->n_slots = 2 * CENSUS_MAX_GROUPS;
	c->slots = calloc(c->n_slots, sizeof(*c->slots));
	c->v = malloc(CENSUS_MAX_GROUPS * sizeof(*c->v));
	c->failed |= !c->slots || !c->v;
	return !c->failed;
}

static void count(struct census *c, const struct census_group *g)
{
	size_t i;

	if (!c->slots && !make_slots(c))
		return;
	for (i = group_hash(g) % c->n_slots; c->slots[i]; i = (i + 1) % c->n_slots)
		if (same_group(&c->v[c->slots[i] - 1], g))
			break;
	if (!c->slots[i] && c->n == CENSUS_MAX_GROUPS) {
		c->truncated = true;
		return;
	}
	if (!c->slots[i]) {
		c->v[c->n] = *g;
		c->v[c->n].flows = c->v[c->n].unanswered = 0;
		c->slots[i] = (uint32_t)++c->n;
	}
	c->v[c->slots[i] - 1].flows += g->flows;
	c->v[c->slots[i] - 1].unanswered += g->unanswered;
}

/* Flows that keep the client's address are counted together, whoever the client is. */
void census_add(struct census *c, const struct ct_flow *f)
{
	struct census_group g = {
		.id = f->id,
		.instance = f->instance,
		.flags = f->flags,
		.proto = f->proto,
		.target = f->target,
		.target_port = f->target_port,
		.flows = 1,
		.unanswered = !f->answered,
	};

	if (f->flags & (LABEL_MASQUERADE | LABEL_HAIRPIN))
		g.seen = f->seen;
	if (!c->failed)
		count(c, &g);
}

static int take_flow(const struct ct_flow *f, void *arg)
{
	census_add(arg, f);
	return 0;
}

int census_read(struct census *c, struct err *e)
{
	int rc;

	*c = (struct census){ 0 };
	rc = conntrack_each(take_flow, c, e);
	if (!rc && c->failed)
		rc = err_set(e, -ENOMEM, "out of memory");
	if (rc)
		census_fini(c);
	return rc;
}

void census_fini(struct census *c)
{
	free(c->v);
	free(c->slots);
	*c = (struct census){ 0 };
}
