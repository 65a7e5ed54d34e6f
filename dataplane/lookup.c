/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names are the client's choice, so they are kept in a tree, whose cost no choice
 * makes worse, and not in a hash table. It has a channel of its own: who asks for many
 * names that nobody answers does not hold up those of the route file.
 *
 * A question cannot be taken back from c-ares: a name whose askers have all left
 * stays asked until its answer, so the bound of those holds for c-ares too.
 */
#include "dataplane/lookup.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "dataplane/dns.h"
#include "dataplane/hosts.h"
#include "dataplane/names.h"

#define DNS_TIMEOUT_MS	 5000
#define DNS_TRIES	 2
#define FAMILY_ADDRESSES (LOOKUP_ADDRESSES_MAX / 2)

struct lookup_name {
	char name[LOOKUP_NAME_BYTES]; /* first: the tree compares names */
	struct lookup *all;
	TAILQ_ENTRY(lookup_name) use; /* in one of the two lists */
	struct lookup_ask *waiting;
	unsigned pending; /* answers; 0 = not asked */
	struct dns_ask *ask[2];
	enum dns_result result[2];
	struct addr found[LOOKUP_ADDRESSES_MAX], v[LOOKUP_ADDRESSES_MAX];
	unsigned n_found, n, ttl_s;
	int64_t until_ms;
};

struct lookup {
	struct loop *loop;
	struct dns *dns;
	struct hosts *hosts;
	void *tree;
	TAILQ_HEAD(lookup_names, lookup_name) uses, asking; /* uses: the first was wanted last */
	struct lookup_counts count;
	unsigned names_max, asked_max;
	int64_t ttl_min_ms, ttl_max_ms;
};

static int entry_cmp(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* ---- who waits ---- */

void lookup_forget(struct lookup_ask *a)
{
	if (!a->prev)
		return;
	*a->prev = a->next;
	if (a->next)
		a->next->prev = a->prev;
	a->prev = NULL;
}

static void wait_for(struct lookup_name *e, struct lookup_ask *a)
{
	a->prev = &e->waiting;
	a->next = e->waiting;
	if (a->next)
		a->next->prev = &a->next;
	e->waiting = a;
}

static void tell(struct lookup_ask *a, const struct addr *v, unsigned n)
{
	a->n = n;
	if (n)
		memcpy(a->v, v, n * sizeof(*v));
	a->answered(a);
}

/* ---- entries ---- */

static void entry_free(struct lookup_name *e)
{
	struct lookup *l = e->all;

	tdelete(e, &l->tree, entry_cmp);
	if (e->pending)
		TAILQ_REMOVE(&l->asking, e, use);
	else
		TAILQ_REMOVE(&l->uses, e, use);
	dns_forget(e->ask[0]);
	dns_forget(e->ask[1]);
	l->count.names--;
	free(e);
}

static void make_room(struct lookup *l)
{
	struct lookup_name *oldest = TAILQ_LAST(&l->uses, lookup_names);

	if (l->count.names >= l->names_max && oldest)
		entry_free(oldest);
}

static struct lookup_name *entry_new(struct lookup *l, const char *name)
{
	struct lookup_name *e;

	make_room(l);
	e = calloc(1, sizeof(*e));
	if (!e)
		return NULL;
	strcpy(e->name, name);
	e->all = l;
	if (!tsearch(e, &l->tree, entry_cmp)) {
		free(e);
		return NULL;
	}
	l->count.names++;
	TAILQ_INSERT_HEAD(&l->uses, e, use);
	return e;
}

static struct lookup_name *entry_find(struct lookup *l, const char *name)
{
	void *node = tfind(name, &l->tree, entry_cmp);

	return node ? *(struct lookup_name **)node : NULL;
}

/* What is never asked. */
static void look_here(struct lookup_name *e)
{
	static const struct addr loopback[] = { { ADDR_V4, { 127, 0, 0, 1 } },
						{ ADDR_V6, { [15] = 1 } } };

	e->n = hosts_find(e->all->hosts, e->name, e->v, LOOKUP_ADDRESSES_MAX);
	if (!e->n && hosts_is_localhost(e->name)) {
		memcpy(e->v, loopback, sizeof(loopback));
		e->n = 2;
	}
	if (e->n)
		e->until_ms = INT64_MAX;
}

/* ---- questions ---- */

static int64_t kept_ms(const struct lookup_name *e)
{
	const struct lookup *l = e->all;
	int64_t ms = (int64_t)e->ttl_s * 1000;

	/* One family that failed is asked again soon. */
	if (!e->n_found || e->result[0] == DNS_FAILED || e->result[1] == DNS_FAILED)
		return LOOKUP_NONE_MS;
	return ms < l->ttl_min_ms ? l->ttl_min_ms : ms > l->ttl_max_ms ? l->ttl_max_ms : ms;
}

static void finish(struct lookup_name *e)
{
	struct lookup *l = e->all;
	bool failed = e->result[0] == DNS_FAILED || e->result[1] == DNS_FAILED;
	struct lookup_ask *a;

	/* Where nobody can say, the last good answer holds. */
	if (e->n_found || !failed) {
		memcpy(e->v, e->found, sizeof(e->v));
		e->n = e->n_found;
	}
	e->until_ms = loop_now_ms(l->loop) + kept_ms(e);
	l->count.asked--;
	TAILQ_REMOVE(&l->asking, e, use);
	TAILQ_INSERT_HEAD(&l->uses, e, use);
	while ((a = e->waiting)) {
		lookup_forget(a);
		tell(a, e->v, e->n);
	}
}

/* As of the names that are followed (name_ask.c). */
static bool is_believed(const struct addr *a)
{
	return !addr_is_nowhere(a) && !addr_is_loopback(a);
}

static void came(void *arg, int family, const struct dns_answer *a)
{
	struct lookup_name *e = arg;
	const unsigned before = e->n_found;

	e->ask[family == ADDR_V6] = NULL;
	e->result[family == ADDR_V6] = a->result;
	for (unsigned i = 0; a->result == DNS_FOUND && i < a->n; i++)
		if (is_believed(&a->v[i]) && e->n_found - before < FAMILY_ADDRESSES)
			e->found[e->n_found++] = a->v[i];
	if (e->n_found > before && a->ttl_s < e->ttl_s)
		e->ttl_s = a->ttl_s;
	if (!--e->pending)
		finish(e);
}

static void ask(struct lookup_name *e)
{
	static const struct dns_answer no_memory = { .result = DNS_FAILED, .why = "out of memory" };
	struct lookup *l = e->all;

	TAILQ_REMOVE(&l->uses, e, use);
	TAILQ_INSERT_TAIL(&l->asking, e, use);
	l->count.asked++;
	e->pending = 2;
	e->n_found = 0;
	e->ttl_s = INT32_MAX;
	if (dns_ask(l->dns, e->name, ADDR_V4, came, e, &e->ask[0]))
		came(e, ADDR_V4, &no_memory);
	if (dns_ask(l->dns, e->name, ADDR_V6, came, e, &e->ask[1]))
		came(e, ADDR_V6, &no_memory);
}

/* NULL: not now. */
static struct lookup_name *entry_for(struct lookup *l, const char *name)
{
	struct lookup_name *e = entry_find(l, name);

	/* A name that cannot be asked now must not push out one that is known. */
	if (e || l->count.asked >= l->asked_max)
		return e;
	e = entry_new(l, name);
	if (e)
		look_here(e);
	return e;
}

void lookup_ask(struct lookup *l, struct lookup_ask *a)
{
	struct lookup_name *e = entry_for(l, a->name);
	bool is_due = e && !e->pending && loop_now_ms(l->loop) >= e->until_ms;

	a->prev = NULL;
	if (!e || (is_due && l->count.asked >= l->asked_max)) {
		l->count.refused++;
		tell(a, e ? e->v : NULL, e ? e->n : 0); /* better an old answer than none */
		return;
	}
	if (is_due || e->pending) {
		wait_for(e, a);
		if (is_due)
			ask(e);
		return;
	}
	TAILQ_REMOVE(&l->uses, e, use);
	TAILQ_INSERT_HEAD(&l->uses, e, use);
	tell(a, e->v, e->n);
}

struct lookup_counts lookup_counts(const struct lookup *l)
{
	return l->count;
}

/* ---- all ---- */

static struct dns *dns_of(struct loop *loop, const struct names_config *c, struct err *e)
{
	return dns_new(loop, c->servers, c->n_servers,
		       c->timeout_ms ? c->timeout_ms : DNS_TIMEOUT_MS,
		       c->tries ? c->tries : DNS_TRIES, e);
}

/* What was known stays for as long as nobody knows better. */
static void entry_start_anew(struct lookup_name *e)
{
	struct addr v[LOOKUP_ADDRESSES_MAX];
	const unsigned n = e->n;

	memcpy(v, e->v, sizeof(v));
	e->until_ms = 0;
	look_here(e);
	if (e->n)
		return;
	memcpy(e->v, v, sizeof(v));
	e->n = n;
}

static void take_back_questions(struct lookup *l)
{
	struct lookup_name *e;

	while ((e = TAILQ_FIRST(&l->asking))) {
		for (int i = 0; i < 2; i++) {
			dns_forget(e->ask[i]);
			e->ask[i] = NULL;
		}
		e->pending = 0;
		l->count.asked--;
		TAILQ_REMOVE(&l->asking, e, use);
		TAILQ_INSERT_HEAD(&l->uses, e, use);
	}
}

int lookup_configure(struct lookup *l, const struct names_config *c, struct err *e)
{
	struct hosts *hosts = hosts_new(c->hosts);
	struct dns *dns = hosts ? dns_of(l->loop, c, e) : NULL;
	struct lookup_name *n, *next;

	if (!dns) {
		hosts_free(hosts);
		return e->code ? e->code : err_set(e, -ENOMEM, "out of memory");
	}
	take_back_questions(l);
	dns_free(l->dns);
	hosts_free(l->hosts);
	l->dns = dns;
	l->hosts = hosts;
	/* One that is asked is put last or, where that fails at once, first: not seen again. */
	for (n = TAILQ_FIRST(&l->uses); n; n = next) {
		next = TAILQ_NEXT(n, use);
		entry_start_anew(n);
		if (n->waiting)
			ask(n);
	}
	return 0;
}

struct lookup *lookup_new(struct loop *loop, const struct names_config *c, unsigned names_max,
			  unsigned asked_max, struct err *e)
{
	struct lookup *l = calloc(1, sizeof(*l));

	if (!l || !(l->hosts = hosts_new(c->hosts))) {
		err_set(e, ENOMEM, "out of memory");
		free(l);
		return NULL;
	}
	l->loop = loop;
	TAILQ_INIT(&l->uses);
	TAILQ_INIT(&l->asking);
	l->names_max = names_max ? names_max : LOOKUP_NAMES_MAX;
	l->asked_max = asked_max ? asked_max : LOOKUP_ASKED_MAX;
	l->ttl_min_ms = c->ttl_min_ms ? c->ttl_min_ms : NAMES_TTL_MIN_MS;
	l->ttl_max_ms = c->ttl_max_ms ? c->ttl_max_ms : NAMES_TTL_MAX_MS;
	l->dns = dns_of(loop, c, e);
	if (l->dns)
		return l;
	lookup_free(l);
	return NULL;
}

void lookup_free(struct lookup *l)
{
	struct lookup_name *e;

	if (!l)
		return;
	while ((e = TAILQ_FIRST(&l->uses)) || (e = TAILQ_FIRST(&l->asking)))
		entry_free(e);
	dns_free(l->dns);
	hosts_free(l->hosts);
	free(l);
}
