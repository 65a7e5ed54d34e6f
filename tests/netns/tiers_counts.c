/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/netns/tiers_counts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const count_names[N_COUNTS] = { "route_ip_blocked", "ip_limit",  "route_limit",
					    "rate_limit",	"no_target", "connect_failed" };

static unsigned long number(const json_t *o, const char *key)
{
	return (unsigned long)json_integer_value(json_object_get(o, key));
}

static void add_refused(const json_t *o, unsigned long *v)
{
	const json_t *refused = json_object_get(o, "refused");

	for (unsigned i = 0; i < N_COUNTS; i++)
		v[i] += number(refused, count_names[i]);
}

static void add_routes(const json_t *answer, struct counts *out)
{
	const json_t *r;
	size_t i;

	json_array_foreach (json_object_get(answer, "routes"), i, r) {
		const char *name = json_string_value(json_object_get(r, "name"));
		unsigned n = name && *name == 'r' ? (unsigned)atoi(name + 1) : COUNT_ROUTES;

		if (n >= COUNT_ROUTES)
			continue;
		add_refused(r, out->refused[n]);
		out->total[n] += number(r, "total");
	}
}

bool counts_read(const char *spctl, struct counts *out)
{
	char command[512];
	json_error_t e;
	json_t *status = NULL;
	FILE *f;

	*out = (struct counts){ 0 };
	snprintf(command, sizeof(command), "%s status --json", spctl);
	f = popen(command, "re");
	if (f) {
		status = json_loadf(f, 0, &e);
		pclose(f);
	}
	if (!status) {
		fprintf(stderr, "%s: no answer\n", command);
		return false;
	}
	add_routes(status, out);
	json_decref(status);
	return true;
}
