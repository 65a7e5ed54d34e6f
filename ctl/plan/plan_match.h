/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * plan_match: does a route match what is known of a connection or request?
 * Three answers: yes, no, and "need more" - some condition concerns what is
 * not known yet. For explain; the dataplane has the fast twin of this.
 */
#ifndef CTL_PLAN_PLAN_MATCH_H
#define CTL_PLAN_PLAN_MATCH_H

#include "ctl/plan/plan.h"

enum match_answer { MATCH_NO, MATCH_YES, MATCH_NEED_MORE };

/* NULL or ADDR_NONE = not known. */
struct match_facts {
	struct addr client;
	const char *name; /* SNI or Host, without port */
	const char *path, *method;
	const char *const *headers; /* "Name: value" */
	unsigned n_headers;
};

/* why gets one clause: which condition fails or lacks its fact. */
enum match_answer route_matches(const struct cfg_match *m, const struct match_facts *f, char *why,
				size_t cap);
/* `*` stands for any run of characters, dots included; case-insensitive; a trailing dot of the
 * name is ignored. */
bool domain_matches(const char *pattern, const char *name);
/* Exact; a pattern with *, :param or a trailing slash is a prefix (CONFIG). */
bool path_matches(const char *pattern, const char *path);

#endif
