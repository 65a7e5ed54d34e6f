/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drain: what apply --drain and down --drain show while connections get their time, and how
 * Ctrl-C ends the wait (not the command). */
#ifndef CTL_CLI_DRAIN_H
#define CTL_CLI_DRAIN_H

#include "ctl/cli/cmd.h"

/* From now on SIGINT and SIGTERM end the wait, and the second of them the command. */
void drain_catch_signals(void);
/* A flows_tick; its first call catches signals, too. A countdown where
 * progress.h has a line, else a log line now and then. */
bool drain_tick(unsigned left_s, unsigned flows);

#endif
