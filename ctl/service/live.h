/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live: what a service that starts has to serve - STATE's live generation, compiled again from its
 * file, with the ids and the addresses that it has. Changes nothing. */
#ifndef CTL_SERVICE_LIVE_H
#define CTL_SERVICE_LIVE_H

#include <jansson.h>
#include <stdint.h>

#include "ctl/base/err.h"
#include "ctl/nft/ruleset.h"
#include "ctl/service/listeners.h"
#include "ctl/state/state_found.h"

struct live {
	uint32_t generation;	  /* 0 = nothing is live */
	json_t *load;		  /* NULL: nothing is to be served */
	struct state_found found; /* the addresses of names as they are now, and who is down */
	struct listen_at *listeners;
	size_t n_listeners;
	char table[RS_NAME_MAX], instance[33];
	unsigned workers;     /* as its file says; 0 = one a core */
	unsigned shutdown_ms; /* gracefulShutdownTimeout */
};

/* -ENOENT: nothing was ever applied here. */
int live_read(const char *state_dir, const char *run_dir, struct live *out, struct err *e);
void live_fini(struct live *l);

#endif
