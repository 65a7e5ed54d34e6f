/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `spctl status --json` has the kernel's figures, and the dataplane's where it
 * says that the service runs; else the service is asked at its socket.
 */
#include "tests/netns/tiers_counts.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/control/client.h"

#define ASK_MS 5000

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

/* By their names, or by the ids of those that have been named before. */
static unsigned index_of(const json_t *r, struct counts *out)
{
	const char *name = json_string_value(json_object_get(r, "name"));
	unsigned long id = number(r, "id");
	unsigned n = name && *name == 'r' ? (unsigned)atoi(name + 1) : 0;

	if (name && n < COUNT_ROUTES)
		out->ids[n] = id;
	for (n = 0; n < COUNT_ROUTES && out->ids[n] != id; n++)
		;
	return n;
}

static void add_routes(const json_t *answer, struct counts *out)
{
	const json_t *r;
	size_t i;

	json_array_foreach (json_object_get(answer, "routes"), i, r) {
		unsigned n = index_of(r, out);

		if (n >= COUNT_ROUTES)
			continue;
		add_refused(r, out->refused[n]);
		out->total[n] += number(r, "total");
	}
}

static int add_part(const json_t *part, void *arg)
{
	struct counts *out = arg;

	add_routes(part, out);
	add_refused(json_object_get(part, "process"), out->process);
	return 0;
}

static bool ask_service(struct counts *out)
{
	const char *run_dir = getenv("SPCTL_RUN_DIR");
	struct control_client c;
	enum control_presence p;
	struct err e = { 0 };
	int rc = client_open(&c, run_dir, ASK_MS, &p, &e);

	if (rc == -ENOENT && p == CONTROL_NONE)
		return true;
	if (!rc) {
		rc = client_ask_parts(&c, json_pack("{s:s}", "type", "status"), "status", ASK_MS,
				      add_part, out, &e);
		client_close(&c);
	}
	if (rc)
		fprintf(stderr, "%s: %s\n", run_dir, e.msg);
	return !rc;
}

bool counts_read(const char *spctl, struct counts *out)
{
	char command[512];
	json_error_t e;
	json_t *status = NULL;
	FILE *f;
	bool ok;

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
	ok = json_is_true(json_object_get(json_object_get(status, "service"), "running")) ||
	     ask_service(out);
	json_decref(status);
	return ok;
}
