/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection whose target is named by a template asks the main thread for the
 * addresses, and waits for a call; its deadlines hold meanwhile. The question is an object of
 * its own: the connection may end at any time. It is freed by the worker when each
 * call to the main thread has come back, so neither thread ever has one that is gone: of
 * a question, `c` and `posts` are the worker's, the rest is the main thread's while it is asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/conn.h"
#include "dataplane/lookup.h"

struct conn_lookup {
	struct conn_lookup *next, **prev; /* of the worker */
	struct worker *w;
	struct conn *c; /* NULL: it does not want to know any more */
	unsigned posts; /* that have not come back */
	struct lookup_ask ask;
};

/* With the calls that are under way for it, two at most. */
#define LOOKUP_BYTES (sizeof(struct conn_lookup) + 2 * LOOP_POST_BYTES)

/* ---- the worker's ---- */

static void free_it(struct conn_lookup *q)
{
	struct budget *b = &q->w->plane->budget;

	*q->prev = q->next;
	if (q->next)
		q->next->prev = q->prev;
	free(q);
	budget_give(b, LOOKUP_BYTES);
}

static struct conn_lookup *new_one(struct worker *w)
{
	struct conn_lookup *q;

	if (!budget_take(&w->plane->budget, LOOKUP_BYTES, BUDGET_FIRST))
		return NULL;
	q = calloc(1, sizeof(*q));
	if (!q)
		budget_give(&w->plane->budget, LOOKUP_BYTES);
	return q;
}

static void came_back(void *arg)
{
	struct conn_lookup *q = arg;

	q->posts--;
	if (q->c)
		conn_looked_up(q->c);
	else if (!q->posts)
		free_it(q);
}

/* ---- the main thread's ---- */

static void answered(struct lookup_ask *a)
{
	struct conn_lookup *q =
		(struct conn_lookup *)((char *)a - offsetof(struct conn_lookup, ask));

	/* Without memory for it the connection waits until its time is over; worker_stop() frees
	 * it. */
	loop_post(q->w->loop, came_back, q);
}

static void ask(void *arg)
{
	struct conn_lookup *q = arg;

	lookup_ask(q->w->plane->lookup, &q->ask);
}

/* Two calls come back: that of the question, unless it is under way, and this one. */
static void forget(void *arg)
{
	struct conn_lookup *q = arg;
	bool waits = q->ask.prev;

	lookup_forget(&q->ask);
	if (waits)
		loop_post(q->w->loop, came_back, q);
	loop_post(q->w->loop, came_back, q);
}

/* ---- the connection's ---- */

static int post(struct conn_lookup *q, void (*fn)(void *arg))
{
	int rc = loop_post(q->w->plane->main_loop, fn, q);

	q->posts += !rc;
	return rc;
}

static int begin(struct conn *c, const char *name)
{
	struct worker *w = c->w;
	struct conn_lookup *q = new_one(w);
	int rc;

	if (!q)
		return -ENOMEM;
	strncpy(q->ask.name, name, sizeof(q->ask.name) - 1);
	q->ask.answered = answered;
	q->w = w;
	q->c = c;
	q->next = w->lookups;
	q->prev = &w->lookups;
	if (q->next)
		q->next->prev = &q->next;
	w->lookups = q;
	rc = post(q, ask);
	if (rc) {
		free_it(q);
		return rc;
	}
	c->lookup = q;
	return -EINPROGRESS;
}

int conn_lookup(struct conn *c, const char *name, struct name_entry *out)
{
	struct conn_lookup *q;

	/* After a shortage another target may have been chosen than the one that was asked for. */
	if (c->lookup && strcmp(c->lookup->ask.name, name))
		conn_lookup_drop(c);
	q = c->lookup;
	if (!q)
		return begin(c, name);
	if (q->posts)
		return -EINPROGRESS;
	*out = (struct name_entry){ .name = q->ask.name, .v = q->ask.v, .n = q->ask.n };
	return 0;
}

void conn_lookup_drop(struct conn *c)
{
	struct conn_lookup *q = c->lookup;

	if (!q)
		return;
	c->lookup = NULL;
	q->c = NULL;
	if (!q->posts)
		free_it(q);
	else
		post(q, forget);
}

void conn_lookups_free(struct worker *w)
{
	while (w->lookups)
		free_it(w->lookups);
}
