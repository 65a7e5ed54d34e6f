/* SPDX-License-Identifier: GPL-2.0-or-later */
/* names_internal: one name (name_ask.c) and all of them (names.c), to each other. */
#ifndef DATAPLANE_NAMES_INTERNAL_H
#define DATAPLANE_NAMES_INTERNAL_H

#include <sys/queue.h>

#include "dataplane/dns.h"
#include "dataplane/names.h"

struct found {
	enum dns_result result;
	const char *why;
	struct addr v[NAMES_ADDRESSES_MAX];
	unsigned n, ttl_s;
};

struct name {
	struct names *all;
	char *text;
	TAILQ_ENTRY(name) waiting;
	bool waits, asked; /* for a place among the asked; has one */
	bool fixed;	   /* never asked */
	/* the question */
	unsigned step, pending;
	struct dns_ask *ask[2];
	struct found found[2]; /* A, AAAA */
	const char *none;      /* why the name itself has nothing */
	/* what is known */
	struct addr v[NAMES_ADDRESSES_MAX];
	unsigned n, failures;
	const char *error;
	int64_t good_ms; /* -1: never */
	struct timer due;
	struct turn judge;
};

struct names {
	struct loop *loop;
	struct dns *dns;
	char **search;
	struct hosts *hosts;
	unsigned n_search, ndots, ttl_min_ms, ttl_max_ms, retry_min_ms, retry_max_ms;
	struct name **v; /* by text */
	unsigned n, asked;
	TAILQ_HEAD(, name) waiting;
	void (*changed)(void *arg, const char *name, const struct addr *v, unsigned n,
			unsigned ttl_s);
	void (*empty)(void *arg, const char *name, const char *why);
	void *arg;
};

/* Takes v (sorted here) for what is known; true where that is something new. */
bool name_learn(struct name *e, struct addr *v, unsigned n);
/* The timer's: asks, or tells what is fixed. */
void name_due(struct timer *t);
/* It is not among the asked any more. */
void name_rest(struct name *e);
/* Those that wait, as far as there are places. */
void names_waiting_start(struct names *n);

#endif
