/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/live_plan.h"

#include <string.h>

int live_plan_load(struct live_plan *v, const struct state *s, uint32_t generation, struct err *e)
{
	struct config_options opt = { .lenient = true };
	struct diags d = { 0 };
	int rc;

	memset(v, 0, sizeof(*v));
	rc = state_read_generation(s, generation, &v->meta, &v->text, e);
	if (rc)
		return rc;
	v->generation = generation;
	v->config = config_parse("live", v->text.data ? v->text.data : "", v->text.len, &opt, &d);
	diags_fini(&d);
	return 0;
}

void live_plan_build(struct live_plan *v)
{
	struct diags d = { 0 };
	struct err e = { 0 };

	if (v->config && !v->plan && !gather_past_facts(&v->g, &v->meta, &e))
		v->plan = plan_build(v->config, &v->g.facts, &d);
	diags_fini(&d);
}

void live_plan_fini(struct live_plan *v)
{
	plan_free(v->plan);
	gather_fini(&v->g);
	config_free(v->config);
	state_meta_fini(&v->meta);
	buf_fini(&v->text);
	memset(v, 0, sizeof(*v));
}

static void *load_live(void *arg)
{
	struct live_plan_loader *l = arg;
	struct state s = { .lock_fd = -1 };
	struct err e = { 0 };
	uint32_t generation = 0;

	if (state_open(&s, l->state_dir, l->run_dir, false, &e))
		return NULL;
	if (!state_live(&s, &generation, &e) && generation)
		live_plan_load(&l->v, &s, generation, &e);
	state_close(&s);
	return NULL;
}

void live_plan_start(struct live_plan_loader *l, const char *state_dir, const char *run_dir)
{
	l->state_dir = state_dir;
	l->run_dir = run_dir;
	l->started = !pthread_create(&l->thread, NULL, load_live, l);
}

void live_plan_wait(struct live_plan_loader *l)
{
	if (l->started)
		pthread_join(l->thread, NULL);
	l->started = false;
}

const struct plan *live_plan_finish(struct live_plan_loader *l, const struct state *s,
				    uint32_t generation)
{
	struct err e = { 0 };

	live_plan_wait(l);
	if (l->v.generation != generation) {
		live_plan_fini(&l->v);
		if (live_plan_load(&l->v, s, generation, &e))
			return NULL;
	}
	live_plan_build(&l->v);
	return l->v.plan;
}

void live_plan_loader_fini(struct live_plan_loader *l)
{
	live_plan_wait(l);
	live_plan_fini(&l->v);
}
