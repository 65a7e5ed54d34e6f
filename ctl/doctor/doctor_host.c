/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small questions about the host that several checks ask. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/base/io.h"
#include "ctl/doctor/doctor_internal.h"

bool doctor_sysctl(const char *name, char *out, size_t cap)
{
	char path[160];

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	return !io_read_text(path, out, cap, NULL);
}

long doctor_sysctl_number(long fallback, const char *fmt, ...)
{
	char name[128], text[32], *end;
	va_list ap;
	long v;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (!doctor_sysctl(name, text, sizeof(text)))
		return fallback;
	v = strtol(text, &end, 10);
	return end == text ? fallback : v;
}

/* sysctl(8) takes both separators; with dots, a dot in an interface's name would be one. */
const char *doctor_sysctl_command(char *out, size_t cap, const char *name, const char *value)
{
	bool dotted = !strchr(name, '.');
	size_t at;

	snprintf(out, cap, "sysctl -w %s=%s", name, value);
	for (at = strlen("sysctl -w "); dotted && out[at] && out[at] != '='; at++)
		if (out[at] == '/')
			out[at] = '.';
	return out;
}

static bool has_default(const struct doctor *d, int family, uint32_t index)
{
	for (size_t i = 0; i < d->net.n_routes; i++)
		if (d->net.routes[i].to.family == family && !d->net.routes[i].prefix_len &&
		    d->net.routes[i].oif == index)
			return true;
	return false;
}

static bool takes_clients(const struct host_link *l, int family, uint32_t but)
{
	return l->up && !l->loopback && l->index != but &&
	       (family == ADDR_V4 ? l->v4 : l->v6).family;
}

unsigned doctor_ingress(const struct doctor *d, int family, uint32_t but,
			const struct host_link **v, unsigned max)
{
	unsigned n = 0;

	for (int pass = 0; pass < 3 && !n; pass++)
		for (size_t i = 0; i < d->net.n_links && n < max; i++) {
			const struct host_link *l = &d->net.links[i];

			/* First those to the world, then all others, last the target's own. */
			if (takes_clients(l, family, pass < 2 ? but : 0) &&
			    (pass || has_default(d, family, l->index)))
				v[n++] = l;
		}
	return n;
}
