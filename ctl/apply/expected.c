/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/apply/expected.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/nft/ruleset_compile.h"

struct ruleset *expected_ruleset(const struct session *s, const struct plan *p, struct err *e)
{
	struct sysctl_wants ours = sysctl_journal_wants(s->journal);
	uint32_t *ids = calloc(p->n_routes + 1, sizeof(*ids));
	struct compile_options o = {
		.table = session_table(s),
		.owner = s->state.instance,
		.generation = s->live,
		.ids = ids,
		.guard_v4 = ours.forward_v4,
		.guard_v6 = ours.forward_v6,
		.guard_loopback = ours.route_localnet,
		/* It was decided by what lived at the time of the apply. */
		.no_flows = s->have && s->have->exists && !ruleset_keeps_flows(s->have),
	};
	struct ruleset *rs = NULL;
	bool known = true;

	for (unsigned i = 0; ids && i < p->n_routes; i++) {
		ids[i] = route_ids_find(&s->ids, p->routes[i].route->name);
		known &= ids[i] != 0;
	}
	if (!ids)
		err_set(e, ENOMEM, "out of memory");
	else if (!known)
		err_set(e, ENOENT, "the numbers of the routes are lost");
	else
		rs = ruleset_compile(p, &o, e);
	free(ids);
	return rs;
}
