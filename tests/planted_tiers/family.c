/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spctl whose dataplane deals out targets of both families to everybody. */
#include "dataplane/balance.h"

int by_family(const struct balance_ask *a, bool *failed_open);
#define balance_choose by_family
#include "dataplane/balance.c" /* takes the place of the library's */
#undef balance_choose

int balance_choose(const struct balance_ask *a, bool *failed_open)
{
	struct balance_ask anybody = *a;

	anybody.client.family = ADDR_NONE;
	return by_family(&anybody, failed_open);
}
