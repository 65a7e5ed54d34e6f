/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl/apply/found.h"

/* RFC 6761, 6.3 */
static bool is_localhost(const char *name)
{
	static const char word[] = "localhost";
	size_t len = strlen(name);
	const size_t k = sizeof(word) - 1;

	len -= len && name[len - 1] == '.';
	return len >= k && !strncasecmp(name + len - k, word, k) &&
	       (len == k || name[len - k - 1] == '.');
}

static bool is_loopback_now(const struct resolved_name *now)
{
	for (unsigned i = 0; now && i < now->n; i++)
		if (addr_is_loopback(&now->addrs[i]))
			return true;
	return false;
}

static int order(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

unsigned found_accept(const char *name, const struct resolved_name *now, const struct addr *v,
		      unsigned n, struct addr out[RESOLVE_MAX_ADDRS])
{
	const bool loopback = is_localhost(name) || is_loopback_now(now);
	struct addr *sorted = calloc(n + 1, sizeof(*sorted));
	unsigned kept = 0;

	if (!sorted)
		return 0;
	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), order);
	for (unsigned i = 0; i < n && kept < RESOLVE_MAX_ADDRS; i++) {
		const struct addr *a = &sorted[i];

		if (!addr_is_nowhere(a) && (loopback || !addr_is_loopback(a)) &&
		    (!kept || addr_cmp(&out[kept - 1], a)))
			out[kept++] = *a;
	}
	free(sorted);
	return kept;
}
