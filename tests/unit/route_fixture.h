/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routing tables out of JSON text, for the tests of the dataplane. */
#ifndef TESTS_UNIT_ROUTE_FIXTURE_H
#define TESTS_UNIT_ROUTE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/route.h"

/* NULL: *e and *route say why. The text must be JSON. */
static inline struct route_table *table_of(const char *text, const struct route_table *before,
					   struct route_registry *g, int *route, struct err *e)
{
	json_error_t je;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &je);
	struct route_table *t;

	if (!json) {
		fprintf(stderr, "%s: %s\n", je.text, text);
		abort();
	}
	t = route_table_load(json, before, g, route, e);
	json_decref(json);
	return t;
}

static inline struct addr address(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		abort();
	return a;
}

#endif
