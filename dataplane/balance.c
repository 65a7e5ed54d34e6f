/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every choice is one pass over the group to sum its weights, and one to find the
 * target: no table is kept, so none has to be changed when a target goes down.
 *
 * Round robin: connection number p of a group gets slot p mod W of the W slots
 * that the weights add up to (divided by what they have in common). Slots are taken in steps of
 * about 0.618 W, prime to W: each once in W connections, whichever one begins with,
 * and a heavy target's evenly between the others'. Only a first try takes a number: what is
 * tried again does not shift the others.
 *
 * Kernel NAT stays within a family, and equal answers mean equal targets: of a group with targets
 * of the client's family only those compete, and each family has its own position. The others are
 * for clients of whose family there is none, and for those whom none of it takes.
 *
 * The hashes are rendezvous hashing: each target draws a number from client and
 * tag, the best one has the client. One that goes leaves the others' numbers as they are.
 * -ln(u)/weight makes the shares those of the weights.
 */
#include "dataplane/balance.h"

#include <math.h>

#include "dataplane/mix.h"

/* Targets that compete, by a walk over all: at most a few of them are ever many. */
struct group {
	const struct balance_ask *ask;
	int first;   /* of the whole group, up or not: its position is the group's */
	bool any;    /* whether up or not */
	bool native; /* of the client's family alone */
	unsigned n;
	uint64_t weights, common; /* their sum and greatest common divisor */
	bool equal;
};

/* Smaller is tried first. */
struct rank {
	bool backup, plain; /* plain: without a sub-match */
	int priority;
};

static bool ports_hold(const struct route_target *t, uint16_t port)
{
	for (unsigned i = 0; i < t->n_ports; i++)
		if (port >= t->ports[i].from && port <= t->ports[i].to)
			return true;
	return !t->n_ports;
}

static struct rank rank_of(const struct route_target *t)
{
	return (struct rank){ t->backup, !t->n_ports, t->priority };
}

static int rank_cmp(struct rank a, struct rank b)
{
	if (a.backup != b.backup)
		return a.backup ? 1 : -1;
	if (a.plain != b.plain)
		return a.plain ? 1 : -1;
	return (a.priority < b.priority) - (a.priority > b.priority);
}

bool target_is_up(const struct target_state *s, int64_t now_ms)
{
	return !atomic_load_explicit(&s->down, memory_order_relaxed) &&
	       atomic_load_explicit(&s->ejected_until_ms, memory_order_relaxed) <= now_ms;
}

static bool is_left(const struct balance_ask *a, unsigned i)
{
	const struct route_target *t = &a->route->targets[i];

	return t->weight && !(a->tried & balance_tried_bit((int)i)) && ports_hold(t, a->port);
}

/* Names and sockets may lead anywhere. */
static bool is_native(const struct balance_ask *a, const struct route_target *t)
{
	return t->kind != TARGET_ADDRESS || t->addr.family == a->client.family;
}

static bool is_candidate(const struct group *g, unsigned i)
{
	const struct balance_ask *a = g->ask;
	const struct route_target *t = &a->route->targets[i];

	return is_left(a, i) && (!g->native || is_native(a, t)) &&
	       !rank_cmp(rank_of(t), rank_of(&a->route->targets[g->first])) &&
	       (g->any || target_is_up(t->state, a->now_ms));
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/* The best rank that has a target left (and up), or -1. */
static int best_target(const struct balance_ask *a, bool any)
{
	int best = -1;

	for (unsigned i = 0; i < a->route->n_targets; i++) {
		const struct route_target *t = &a->route->targets[i];

		if (!is_left(a, i) || (!any && !target_is_up(t->state, a->now_ms)))
			continue;
		if (best < 0 || rank_cmp(rank_of(t), rank_of(&a->route->targets[best])) < 0)
			best = (int)i;
	}
	return best;
}

static bool is_of_rank(const struct balance_ask *a, int i, int other)
{
	const struct route_target *v = a->route->targets;

	return v[i].weight && ports_hold(&v[i], a->port) &&
	       !rank_cmp(rank_of(&v[i]), rank_of(&v[other]));
}

/* Where its position is kept: at the first target of that rank (and of the client's family),
 * whatever has become of it. */
static int home_of(const struct group *g, int i)
{
	const struct route_target *v = g->ask->route->targets;
	int n = (int)g->ask->route->n_targets, home = -1;

	for (int k = 0; k < n; k++) {
		if (!is_of_rank(g->ask, k, i))
			continue;
		if (!g->native || (v[k].kind == TARGET_ADDRESS && is_native(g->ask, &v[k])))
			return k;
		if (home < 0 && is_native(g->ask, &v[k]))
			home = k;
	}
	return home < 0 ? i : home;
}

/* Has the group a target of the client's family? An address without one is as good as another. */
static bool has_native(const struct group *g)
{
	for (unsigned i = 0; i < g->ask->route->n_targets; i++)
		if (is_candidate(g, i) && is_native(g->ask, &g->ask->route->targets[i]))
			return g->ask->client.family != ADDR_NONE;
	return false;
}

static void group_sum(struct group *g)
{
	uint64_t seen = 0;

	g->equal = true;
	for (unsigned i = 0; i < g->ask->route->n_targets; i++) {
		uint64_t w = g->ask->route->targets[i].weight;

		if (!is_candidate(g, i))
			continue;
		g->n++;
		g->weights += w;
		g->common = gcd(g->common, w);
		g->equal &= !seen || seen == w;
		seen = w;
	}
}

/* The target in whose part of the line of weights, each divided by `common`, that slot lies. */
static int target_at(const struct group *g, uint64_t slot, uint64_t common)
{
	for (unsigned i = 0; i < g->ask->route->n_targets; i++) {
		uint64_t w = g->ask->route->targets[i].weight / common;

		if (!is_candidate(g, i))
			continue;
		if (slot < w)
			return (int)i;
		slot -= w;
	}
	return -1;
}

static uint64_t step_of(uint64_t slots)
{
	uint64_t step = slots * 618 / 1000;

	if (step < 1)
		return 1;
	while (gcd(step, slots) > 1)
		step++;
	return step;
}

static int choose_round_robin(const struct group *g)
{
	atomic_ullong *position = &g->ask->route->positions[g->first];
	uint64_t slots = g->weights / g->common, p;

	p = g->ask->tried ? atomic_load_explicit(position, memory_order_relaxed)
			  : atomic_fetch_add_explicit(position, 1, memory_order_relaxed);
	p %= slots;
	if (!g->equal)
		p = p * step_of(slots) % slots;
	return target_at(g, p, g->common);
}

static int choose_random(const struct group *g)
{
	unsigned __int128 wide = (unsigned __int128)g->ask->random * g->weights;

	return target_at(g, (uint64_t)(wide >> 64), 1);
}

static uint64_t hash_client(const struct addr *a)
{
	uint64_t h = 0x9e3779b97f4a7c15u + a->family;

	for (unsigned i = 0; i < sizeof(a->bytes); i++)
		h = mix(h + a->bytes[i] + 1);
	return h;
}

static int choose_hashed(const struct group *g)
{
	uint64_t client = hash_client(&g->ask->client);
	double least = 0;
	int best = -1;

	for (unsigned i = 0; i < g->ask->route->n_targets; i++) {
		const struct route_target *t = &g->ask->route->targets[i];
		double u, score;

		if (!is_candidate(g, i))
			continue;
		/* 53 bits, above 0 and below 1. */
		u = ((double)(mix(client ^ mix(t->tag)) >> 11) + 0.5) / 9007199254740992.0;
		score = -log(u) / t->weight;
		if (best < 0 || score < least) {
			best = (int)i;
			least = score;
		}
	}
	return best;
}

/* As many of several that are equally idle as their weights say: by the caller's random number. */
static int choose_least(const struct group *g)
{
	uint64_t random = g->ask->random, least = 0, least_weight = 1, tied = 0;
	int best = -1;

	for (unsigned i = 0; i < g->ask->route->n_targets; i++) {
		const struct route_target *t = &g->ask->route->targets[i];
		uint64_t active, a, b;

		if (!is_candidate(g, i))
			continue;
		active = atomic_load_explicit(&t->state->active, memory_order_relaxed);
		a = active * least_weight;
		b = least * t->weight;
		if (best >= 0 && a > b)
			continue;
		tied = best < 0 || a < b ? t->weight : tied + t->weight;
		random = mix(random + 1);
		if (best < 0 || a < b || random % tied < t->weight)
			best = (int)i;
		least = active;
		least_weight = t->weight;
	}
	return best;
}

static int choose(const struct group *g)
{
	if (g->n == 1 && g->ask->route->balance != BALANCE_ROUND_ROBIN)
		return target_at(g, 0, 1);
	switch (g->ask->route->balance) {
	case BALANCE_RANDOM:
		return choose_random(g);
	case BALANCE_LEAST_CONNECTIONS:
		return choose_least(g);
	case BALANCE_IP_HASH:
	case BALANCE_CONSISTENT_HASH:
		return choose_hashed(g);
	case BALANCE_ROUND_ROBIN:
		break;
	}
	return choose_round_robin(g);
}

int balance_choose(const struct balance_ask *a, bool *failed_open)
{
	struct group g = { .ask = a };
	int best = best_target(a, false), chosen;

	*failed_open = false;
	if (best < 0) {
		g.any = true;
		best = best_target(a, true);
	}
	if (best < 0)
		return -1;
	g.first = best;
	g.native = has_native(&g);
	g.first = home_of(&g, best);
	group_sum(&g);
	/* A target may have gone down since the first look. */
	chosen = g.n ? choose(&g) : -1;
	if (chosen < 0)
		chosen = best;
	*failed_open = g.any || !target_is_up(a->route->targets[chosen].state, a->now_ms);
	return chosen;
}

/* ---- passive ejection ---- */

void balance_failed(struct target_state *s, int64_t now_ms)
{
	long long until = atomic_load(&s->ejected_until_ms), ms = EJECT_BASE_MS;
	unsigned n;

	/* Connects that began before it was ejected, or failed open since, do not double it. */
	if (until > now_ms)
		return;
	n = atomic_fetch_add(&s->failures, 1) + 1;
	if (n < EJECT_FAILURES)
		return;
	for (unsigned i = EJECT_FAILURES; i < n && ms < EJECT_MAX_MS; i++)
		ms *= 2;
	if (ms > EJECT_MAX_MS)
		ms = EJECT_MAX_MS;
	/* Of several at once, one ejects. */
	if (!atomic_compare_exchange_strong(&s->ejected_until_ms, &until, now_ms + ms))
		atomic_fetch_sub(&s->failures, 1);
}

void balance_connected(struct target_state *s)
{
	/* Nearly always there is nothing to forget: then the line stays shared by all cores. */
	if (atomic_load_explicit(&s->failures, memory_order_relaxed))
		atomic_store(&s->failures, 0);
	if (atomic_load_explicit(&s->ejected_until_ms, memory_order_relaxed))
		atomic_store(&s->ejected_until_ms, 0);
}
