/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spctl whose dataplane prefers the targets of the second group, where there is one. */
#include "dataplane/balance.h"

int first_group(const struct balance_ask *a, bool *failed_open);
#define balance_choose first_group
#include "dataplane/balance.c" /* takes the place of the library's */
#undef balance_choose

int balance_choose(const struct balance_ask *a, bool *failed_open)
{
	struct balance_ask others = *a;
	int best = first_group(a, failed_open), other;

	for (unsigned i = 0; best >= 0 && i < a->route->n_targets; i++)
		if (!rank_cmp(rank_of(&a->route->targets[i]), rank_of(&a->route->targets[best])))
			others.tried |= balance_tried_bit((int)i);
	other = first_group(&others, failed_open);
	return other < 0 ? best : other;
}
