/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spctl whose dataplane gives a route to everybody, not to the clients it is for alone. */
#include <string.h>

#include "dataplane/route.h"

static bool planted_has(const struct addr_set *s, const struct addr *a, const char *who)
{
	return !strcmp(who, "clients_have") || addr_set_has(s, a);
}

#define addr_set_has(set, addr) planted_has(set, addr, __func__)
#include "dataplane/route_match.c" /* takes the place of the library's */
