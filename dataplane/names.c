// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The list of names, sorted by text; what is found without asking. How a name is
 * asked for is name_ask.c's. Names that leave are cut off from their questions,
 * which c-ares cannot take back; a new list takes its places only once all of it
 * is there.
 */
#include "dataplane/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dataplane/hosts.h"
#include "dataplane/names_internal.h"

#define TIMEOUT_MS 5000 /* resolv.conf(5) */
#define TRIES	   2

/* ---- one name ---- */

static void name_look_here(struct name *e)
{
	struct addr v[NAMES_ADDRESSES_MAX] = {
		{ .family = ADDR_V4, .bytes = { 127, 0, 0, 1 } },
		{ .family = ADDR_V6, .bytes = { [15] = 1 } },
	};
	unsigned n = hosts_is_localhost(e->text) ? 2 : 0;
	struct addr said[NAMES_ADDRESSES_MAX];
	unsigned n_said = hosts_find(e->all->hosts, e->text, said, NAMES_ADDRESSES_MAX);

	e->fixed = (n_said && name_learn(e, said, n_said)) || (n && name_learn(e, v, n));
	if (e->fixed)
		e->good_ms = loop_now_ms(e->all->loop);
}

static struct name *name_new(struct names *all, const char *text)
{
	struct name *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->all = all;
	e->good_ms = -1;
	e->text = strdup(text);
	if (!e->text) {
		free(e);
		return NULL;
	}
	name_look_here(e);
	return e;
}

static void name_free(struct name *e)
{
	if (!e)
		return;
	dns_forget(e->ask[0]);
	dns_forget(e->ask[1]);
	timer_cancel(e->all->loop, &e->due);
	turn_cancel(e->all->loop, &e->judge);
	if (e->waits)
		TAILQ_REMOVE(&e->all->waiting, e, waiting);
	name_rest(e);
	free(e->text);
	free(e);
}

static int name_order(const void *a, const void *b)
{
	const struct name *const *x = a, *const *y = b;

	return strcmp((*x)->text, (*y)->text);
}

static int text_order(const void *text, const void *b)
{
	const struct name *const *y = b;

	return strcmp(text, (*y)->text);
}

static struct name *name_find(const struct names *n, const char *text)
{
	struct name **e = NULL;

	if (n->n)
		e = bsearch(text, n->v, n->n, sizeof(*n->v), text_order);
	return e ? *e : NULL;
}

/* ---- all ---- */

static int words_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Each once. */
static const char **words_sorted(const char *const *v, unsigned *n)
{
	const char **out = malloc((*n + 1) * sizeof(*out));
	unsigned kept = 0;

	if (!out)
		return NULL;
	for (unsigned i = 0; i < *n; i++)
		out[i] = v[i];
	qsort(out, *n, sizeof(*out), words_order);
	for (unsigned i = 0; i < *n; i++)
		if (!kept || strcmp(out[kept - 1], out[i]))
			out[kept++] = out[i];
	*n = kept;
	return out;
}

/* Those of before, and new ones; on -ENOMEM the new ones are gone again. */
static int names_collect(struct names *n, const char **text, struct name **v, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		v[i] = name_find(n, text[i]);
		if (!v[i])
			v[i] = name_new(n, text[i]);
		if (v[i])
			continue;
		while (i--)
			if (!name_find(n, text[i]))
				name_free(v[i]);
		return -ENOMEM;
	}
	return 0;
}

static void names_replace(struct names *n, struct name **v, unsigned count)
{
	struct name **old = n->v;
	unsigned n_old = n->n;

	for (unsigned i = 0; i < count; i++)
		if (!name_find(n, v[i]->text))
			timer_set(n->loop, &v[i]->due, loop_now_ms(n->loop), name_due);
	n->v = v;
	n->n = count;
	for (unsigned i = 0; i < n_old; i++)
		if (!count || !bsearch(&old[i], v, count, sizeof(*v), name_order))
			name_free(old[i]);
	free(old);
}

int names_follow(struct names *n, const char *const *v, unsigned count)
{
	const char **text = words_sorted(v, &count);
	struct name **new = calloc(count + 1, sizeof(*new));
	int rc = text && new ? names_collect(n, text, new, count) : -ENOMEM;

	free(text);
	if (rc) {
		free(new);
		return rc;
	}
	names_replace(n, new, count);
	names_waiting_start(n);
	return 0;
}

void names_remember(struct names *n, const char *name, const struct addr *v, unsigned count)
{
	struct name *e = name_find(n, name);
	struct addr copy[NAMES_ADDRESSES_MAX];

	if (!e || e->good_ms >= 0)
		return;
	if (count > NAMES_ADDRESSES_MAX)
		count = NAMES_ADDRESSES_MAX;
	memcpy(copy, v, count * sizeof(*v));
	if (count && name_learn(e, copy, count))
		e->good_ms = loop_now_ms(n->loop);
}

bool names_look(const struct names *n, unsigned i, struct names_status *out)
{
	const struct name *e;
	int64_t now_ms = loop_now_ms(n->loop);

	if (i >= n->n)
		return false;
	e = n->v[i];
	*out = (struct names_status){ .name = e->text, .error = e->error, .n_addresses = e->n };
	out->age_ms = e->good_ms < 0 ? -1 : now_ms - e->good_ms;
	if (timer_is_set(&e->due) && e->due.at_ms > now_ms)
		out->next_ms = e->due.at_ms - now_ms;
	if (e->fixed)
		out->next_ms = -1;
	return true;
}

static unsigned given(unsigned v, unsigned otherwise)
{
	return v ? v : otherwise;
}

/* Whom to ask, and what need not be asked. */
static int sources_take(struct names *n, const struct names_config *c, struct err *e)
{
	n->ndots = c->ndots;
	n->hosts = hosts_new(c->hosts);
	n->search = calloc(c->n_search + 1, sizeof(*n->search));
	if (!n->hosts || !n->search)
		return err_set(e, -ENOMEM, "out of memory");
	for (; n->n_search < c->n_search; n->n_search++) {
		n->search[n->n_search] = strdup(c->search[n->n_search]);
		if (!n->search[n->n_search])
			return err_set(e, -ENOMEM, "out of memory");
	}
	n->dns = dns_new(n->loop, c->servers, c->n_servers, given(c->timeout_ms, TIMEOUT_MS),
			 given(c->tries, TRIES), e);
	return n->dns ? 0 : -EINVAL;
}

static void sources_free(struct names *n)
{
	dns_free(n->dns);
	for (unsigned i = 0; i < n->n_search; i++)
		free(n->search[i]);
	free(n->search);
	hosts_free(n->hosts);
}

struct names *names_new(struct loop *l, const struct names_config *c,
			void (*changed)(void *arg, const char *name, const struct addr *v,
					unsigned n, unsigned ttl_s),
			void *arg, struct err *e)
{
	struct names *n = calloc(1, sizeof(*n));

	if (!n) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	n->loop = l;
	TAILQ_INIT(&n->waiting);
	n->changed = changed;
	n->arg = arg;
	n->empty = c->empty;
	n->ttl_min_ms = given(c->ttl_min_ms, NAMES_TTL_MIN_MS);
	n->ttl_max_ms = given(c->ttl_max_ms, NAMES_TTL_MAX_MS);
	n->retry_min_ms = given(c->retry_min_ms, NAMES_RETRY_MIN_MS);
	n->retry_max_ms = given(c->retry_max_ms, NAMES_RETRY_MAX_MS);
	if (!sources_take(n, c, e))
		return n;
	names_free(n);
	return NULL;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	for (unsigned i = 0; i < n->n; i++)
		name_free(n->v[i]);
	free(n->v);
	sources_free(n);
	free(n);
}

/* ---- other sources ---- */

/* As if it had never been asked, but for what is known. */
static void name_stop(struct name *e)
{
	for (int i = 0; i < 2; i++) {
		dns_forget(e->ask[i]);
		e->ask[i] = NULL;
	}
	timer_cancel(e->all->loop, &e->due);
	turn_cancel(e->all->loop, &e->judge);
	if (e->waits)
		TAILQ_REMOVE(&e->all->waiting, e, waiting);
	e->waits = false;
	name_rest(e);
	e->failures = 0;
	e->error = NULL;
}

static void name_start_anew(struct name *e)
{
	struct addr v[NAMES_ADDRESSES_MAX];
	const unsigned n = e->n;

	memcpy(v, e->v, sizeof(v));
	e->n = 0;
	name_look_here(e);
	if (!e->fixed) {
		memcpy(e->v, v, sizeof(v));
		e->n = n;
	}
	timer_set(e->all->loop, &e->due, loop_now_ms(e->all->loop), name_due);
}

int names_configure(struct names *n, const struct names_config *c, struct err *e)
{
	struct names new = { .loop = n->loop }, old = *n;
	int rc = sources_take(&new, c, e);

	if (rc) {
		sources_free(&new);
		return rc;
	}
	for (unsigned i = 0; i < n->n; i++)
		name_stop(n->v[i]);
	n->dns = new.dns;
	n->hosts = new.hosts;
	n->search = new.search;
	n->n_search = new.n_search;
	n->ndots = new.ndots;
	sources_free(&old);
	for (unsigned i = 0; i < n->n; i++)
		name_start_anew(n->v[i]);
	return 0;
}
