/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spctl whose dataplane does not look at ipBlockList. */
#include "dataplane/conn.h"

static bool planted_lets_in(const struct route *r, const struct addr *client)
{
	return !r->allow || addr_set_has(r->allow, client);
}

#define route_lets_in planted_lets_in
#include "dataplane/conn.c" /* takes the place of the library's */
