// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each name has its own clock. When it is due, A and AAAA of a candidate (the name
 * itself, or with a suffix of the search list) are asked at the same time; only
 * when both are in, a turn judges them: one address is enough; "no such" from both
 * goes on to the next candidate; anything else ends the round, since a suffix
 * must not take over because the server of the right one is ill. A family that
 * failed while the other one answered keeps the addresses it had.
 *
 * Judging in a turn, and `changed` as the last thing in it, keep c-ares and what a
 * callback may do (free everything) apart.
 */
#include "dataplane/names_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATE_MAX 512

static void name_judge(struct turn *t);

/* ---- addresses ---- */

static int addr_order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static bool is_target(const struct addr *a)
{
	return !addr_is_unspecified(a) && !addr_is_multicast(a) && !addr_is_broadcast(a) &&
	       !addr_is_link_local_v6(a);
}

/* What a name server says is not the word of this host's owner, who may have /etc/hosts lead
 * anywhere: a name of somebody else must not reach what listens here only. */
static unsigned addrs_believed(struct addr *out, const struct addr *v, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++)
		if (!addr_is_nowhere(&v[i]) && !addr_is_loopback(&v[i]))
			out[kept++] = v[i];
	return kept;
}

/* Sorts, drops what is there twice and what nobody can connect to. */
static unsigned addrs_normalize(struct addr *v, unsigned n)
{
	unsigned kept = 0;

	qsort(v, n, sizeof(*v), addr_order);
	for (unsigned i = 0; i < n; i++)
		if (is_target(&v[i]) && (!kept || addr_cmp(&v[kept - 1], &v[i])))
			v[kept++] = v[i];
	return kept;
}

static unsigned addrs_keep(struct addr out[NAMES_ADDRESSES_MAX], struct addr *v, unsigned n)
{
	n = addrs_normalize(v, n);
	if (n > NAMES_ADDRESSES_MAX)
		n = NAMES_ADDRESSES_MAX;
	memcpy(out, v, n * sizeof(*v));
	return n;
}

/* True where it is not what was known. */
bool name_learn(struct name *e, struct addr *v, unsigned n)
{
	struct addr new[NAMES_ADDRESSES_MAX];
	unsigned n_new = addrs_keep(new, v, n);
	bool same = n_new == e->n;

	for (unsigned i = 0; same && i < n_new; i++)
		same = !addr_cmp(&new[i], &e->v[i]);
	if (!n_new || same)
		return false;
	memcpy(e->v, new, n_new * sizeof(*new));
	e->n = n_new;
	return true;
}

/* ---- candidates ---- */

static bool is_absolute(const char *text)
{
	return *text && text[strlen(text) - 1] == '.';
}

static unsigned candidates(const struct name *e)
{
	return is_absolute(e->text) ? 1 : e->all->n_search + 1;
}

/* Which of them is the name itself (resolv.conf(5), ndots). */
static unsigned plain_at(const struct name *e)
{
	unsigned dots = 0;

	for (const char *p = e->text; *p; p++)
		dots += *p == '.';
	return is_absolute(e->text) || dots >= e->all->ndots ? 0 : e->all->n_search;
}

/* False: it is too long to be a name. */
static bool candidate(const struct name *e, char out[CANDIDATE_MAX])
{
	unsigned plain = plain_at(e);
	const char *suffix;
	int n;

	if (e->step == plain) {
		n = snprintf(out, CANDIDATE_MAX, "%s", e->text);
	} else {
		suffix = e->all->search[e->step - !plain];
		suffix += *suffix == '.';
		n = snprintf(out, CANDIDATE_MAX, "%s.%s", e->text, suffix);
	}
	return n < CANDIDATE_MAX;
}

/* ---- asking ---- */

static void name_answered(void *arg, int family, const struct dns_answer *a)
{
	struct name *e = arg;
	struct found *f = &e->found[family == ADDR_V6];
	struct addr v[DNS_ADDRESSES_MAX];

	e->ask[family == ADDR_V6] = NULL;
	f->result = a->result;
	f->why = a->why;
	f->ttl_s = a->ttl_s;
	f->n = 0;
	if (a->result == DNS_FOUND) {
		f->n = addrs_keep(f->v, v, addrs_believed(v, a->v, a->n));
		if (!f->n) {
			f->result = DNS_NONE;
			f->why = "it has no address that may be a target";
		}
	}
	if (!--e->pending)
		turn_queue(e->all->loop, &e->judge, name_judge);
}

static void name_ask(struct name *e)
{
	static const struct dns_answer too_long = { .result = DNS_NONE,
						    .why = "it cannot be a name" };
	static const struct dns_answer no_memory = { .result = DNS_FAILED, .why = "out of memory" };
	char text[CANDIDATE_MAX];
	bool is_name = candidate(e, text);

	e->pending = 2;
	for (unsigned i = 0; i < 2; i++) {
		int family = i ? ADDR_V6 : ADDR_V4;

		if (!is_name)
			name_answered(e, family, &too_long);
		else if (dns_ask(e->all->dns, text, family, name_answered, e, &e->ask[i]))
			name_answered(e, family, &no_memory);
	}
}

void names_waiting_start(struct names *n)
{
	struct name *e;

	while (n->asked < NAMES_ASKED_MAX && (e = TAILQ_FIRST(&n->waiting))) {
		TAILQ_REMOVE(&n->waiting, e, waiting);
		e->waits = false;
		e->asked = true;
		n->asked++;
		e->step = 0;
		e->none = NULL;
		name_ask(e);
	}
}

void name_rest(struct name *e)
{
	if (!e->asked)
		return;
	e->asked = false;
	e->all->asked--;
}

/* ---- judging ---- */

static int64_t bounded(int64_t v, int64_t lo, int64_t hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

static int64_t pause_ms(const struct name *e)
{
	unsigned doublings = e->failures < 20 ? e->failures : 20;
	int64_t ms = (int64_t)e->all->retry_min_ms << (doublings ? doublings - 1 : 0);

	return ms < e->all->retry_max_ms ? ms : e->all->retry_max_ms;
}

static void name_again(struct name *e, int64_t in_ms)
{
	struct names *n = e->all;

	timer_set(n->loop, &e->due, loop_now_ms(n->loop) + in_ms, name_due);
	name_rest(e);
	names_waiting_start(n);
}

static void name_failed(struct name *e, const char *why)
{
	e->error = why;
	e->failures++;
	name_again(e, pause_ms(e));
}

static void name_empty(struct name *e)
{
	struct names *n = e->all;
	const char *why = e->none;
	bool is_new = e->error != why;

	name_failed(e, why);
	if (is_new && n->empty)
		n->empty(n->arg, e->text, why);
}

/* What is known now: a family that nobody could answer for keeps its addresses. */
static unsigned name_gather(const struct name *e, struct addr *v, unsigned *ttl_s)
{
	unsigned n = 0;

	*ttl_s = INT32_MAX;
	for (unsigned i = 0; i < 2; i++) {
		const struct found *f = &e->found[i];

		for (unsigned k = 0; f->result == DNS_FAILED && k < e->n; k++)
			if (e->v[k].family == (i ? ADDR_V6 : ADDR_V4))
				v[n++] = e->v[k];
		if (f->result != DNS_FOUND)
			continue;
		memcpy(v + n, f->v, f->n * sizeof(*v));
		n += f->n;
		if (f->ttl_s < *ttl_s)
			*ttl_s = f->ttl_s;
	}
	return n;
}

static void name_tell(struct name *e, int64_t ttl_ms)
{
	struct names *n = e->all;

	n->changed(n->arg, e->text, e->v, e->n, (unsigned)((ttl_ms + 999) / 1000));
}

static void name_found(struct name *e, const char *failed)
{
	struct addr v[2 * NAMES_ADDRESSES_MAX];
	unsigned ttl_s, n = name_gather(e, v, &ttl_s);
	bool is_new = name_learn(e, v, n);
	int64_t ttl_ms = bounded((int64_t)ttl_s * 1000, e->all->ttl_min_ms, e->all->ttl_max_ms),
		in_ms;

	e->good_ms = loop_now_ms(e->all->loop);
	e->error = failed;
	e->failures = failed ? e->failures + 1 : 0;
	in_ms = failed && pause_ms(e) < ttl_ms ? pause_ms(e) : ttl_ms;
	name_again(e, in_ms);
	if (is_new)
		name_tell(e, ttl_ms);
}

static void name_judge(struct turn *t)
{
	struct name *e = (struct name *)((char *)t - offsetof(struct name, judge));
	const struct found *a = &e->found[0], *b = &e->found[1];
	const char *failed = a->result == DNS_FAILED   ? a->why
			     : b->result == DNS_FAILED ? b->why
						       : NULL;

	if (!failed && (!e->none || e->step == plain_at(e)))
		e->none = a->why ? a->why : b->why;
	if (a->result == DNS_FOUND || b->result == DNS_FOUND) {
		name_found(e, failed);
	} else if (failed) {
		name_failed(e, failed);
	} else if (++e->step < candidates(e)) {
		name_ask(e);
	} else {
		name_empty(e);
	}
}

void name_due(struct timer *t)
{
	struct name *e = (struct name *)((char *)t - offsetof(struct name, due));

	if (e->fixed) {
		name_tell(e, e->all->ttl_max_ms);
		return;
	}
	TAILQ_INSERT_TAIL(&e->all->waiting, e, waiting);
	e->waits = true;
	names_waiting_start(e->all);
}
