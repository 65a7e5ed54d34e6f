/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cli/live_plan.h"

#include <string.h>

#include "ctl/base/io.h"

static int read_files(struct live_plan *v, const struct state *s, uint32_t generation,
		      struct err *e)
{
	int rc;

	memset(v, 0, sizeof(*v));
	rc = state_read_generation(s, generation, &v->meta, &v->text, e);
	v->generation = rc ? 0 : generation;
	return rc;
}

static void parse(struct live_plan *v)
{
	struct config_options opt = { .lenient = true };
	struct diags d = { 0 };

	v->config = config_parse("live", v->text.data ? v->text.data : "", v->text.len, &opt, &d);
	diags_fini(&d);
}

int live_plan_load(struct live_plan *v, const struct state *s, uint32_t generation, struct err *e)
{
	int rc = read_files(v, s, generation, e);

	if (!rc)
		parse(v);
	return rc;
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

/* Then the apply will find nothing to do, and nobody asks for the plan. */
static bool is_text_of(const struct live_plan *v, const char *file)
{
	struct err e = { 0 };
	struct buf b = { 0 };
	bool same = strcmp(file, "-") && !io_read_regular(file, v->text.len + 1, &b, &e) &&
		    b.len == v->text.len && !memcmp(b.data, v->text.data, b.len);

	buf_fini(&b);
	return same;
}

static void *load_live(void *arg)
{
	struct live_plan_loader *l = arg;
	struct state s = { .lock_fd = -1 };
	struct err e = { 0 };
	uint32_t generation = 0;

	if (state_open(&s, l->state_dir, l->run_dir, false, &e))
		return NULL;
	if (!state_live(&s, &generation, &e) && generation &&
	    !read_files(&l->v, &s, generation, &e)) {
		if (is_text_of(&l->v, l->file))
			live_plan_fini(&l->v);
		else
			parse(&l->v);
	}
	state_close(&s);
	return NULL;
}

void live_plan_start(struct live_plan_loader *l, const char *state_dir, const char *run_dir,
		     const char *file)
{
	l->file = file;
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
