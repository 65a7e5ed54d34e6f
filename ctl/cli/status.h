/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status: what the files of the command share. cmd_status.c finds out, status_attention.c judges,
 * status_text.c and status_json.c print. */
#ifndef CTL_CLI_STATUS_H
#define CTL_CLI_STATUS_H

#include "ctl/apply/confirm.h"
#include "ctl/apply/gather.h"
#include "ctl/apply/usage.h"
#include "ctl/cli/cmd.h"
#include "ctl/cli/cmd_confirm.h"

#define ATTENTION_MAX	16 /* sentences */
#define ATTENTION_BYTES 560

/* What somebody has to look at: sentences. */
struct attention {
	char v[ATTENTION_MAX][ATTENTION_BYTES];
	unsigned n; /* may be more than ATTENTION_MAX: these are only counted */
};

struct status {
	const struct options *o;
	int code; /* when there is nothing to show */
	struct session s;
	struct buf text;
	struct config *config;
	struct state_meta meta;
	struct gathered g;
	struct plan *plan;
	struct diags diags;
	bool drift, behind; /* behind: of another generation than the files say */
	char drift_what[640];
	struct service_view service;
	struct usage usage;
	struct attention attention;
	struct confirm_view confirm;
};

/* repair: the command that starts things again, in words. Pure. */
void attention_find(struct attention *a, const struct plan *p, const struct usage *u,
		    const struct service_view *v, uint32_t live, const char *repair);

void status_print_text(const struct status *st);
void status_print_json(const struct status *st);
/* "service" of JSON. New. */
json_t *status_service_json(const struct service_view *v);

#endif
