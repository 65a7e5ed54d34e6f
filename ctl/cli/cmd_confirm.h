/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd_confirm: how a confirmation that is open is told, the same in every command. */
#ifndef CTL_CLI_CMD_CONFIRM_H
#define CTL_CLI_CMD_CONFIRM_H

#include <jansson.h>

#include "ctl/apply/apply.h"
#include "ctl/apply/confirm.h"
#include "ctl/cli/cmd.h"

/* {"generation","previous","secondsLeft","timer"} or null; new reference. */
json_t *cmd_confirm_json(const struct confirm_view *v);
/* After an apply: of the new generation, or where nothing changed of the live one. */
json_t *cmd_confirm_result_json(const struct session *s, const struct apply_result *r);
/* "generation 7 waits for confirmation: spctl confirm, else ...", without an end of line. */
void cmd_confirm_print(const struct options *o, const struct confirm_view *v);
/* The same right after an apply. */
void cmd_confirm_print_begun(const struct options *o, uint32_t generation,
			     const struct state_confirm *c);
/* The last line of such an apply. */
void cmd_confirm_print_way_back(const struct options *o);
/* After an apply that changed nothing: what --confirm means then. */
void cmd_confirm_print_nothing(const struct options *o, const struct session *s);
/* What mends a table that is not as it should be: "`spctl apply`", or, where a generation waits,
 * what is not refused then. */
const char *cmd_repair(bool waits);
/* " --state-dir D --run-dir R" where they are not the usual ones. */
const char *cmd_where(const struct options *o, char *out, size_t cap);

#endif
