/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state_confirm: the part of N.json that says whether generation N was
 * confirmed. It stands there, and not in a file of its own, because N.json is
 * fsynced before the kernel has N: there is no moment at which N is live and
 * its deadline is not on disk. Pure; struct state_confirm is in state.h.
 */
#ifndef CTL_STATE_STATE_CONFIRM_H
#define CTL_STATE_STATE_CONFIRM_H

#include <jansson.h>

#include "ctl/state/state.h"

/* New reference; NULL where nobody asked for a confirmation. */
json_t *state_confirm_format(const struct state_confirm *c);
/* j NULL = nobody asked. False for what state_confirm_format() never writes: what is damaged
 * must not count as confirmed. generation: of the file; what comes back is older. */
bool state_confirm_parse(json_t *j, uint32_t generation, struct state_confirm *out);

/* Is the confirmation of a live generation still open, its deadline passed or not? */
bool state_confirm_is_open(const struct state_confirm *c);
/* Did somebody say yes to it, or nobody ask? Only such a one is gone back to. */
bool state_confirm_was_given(const struct state_confirm *c);
/* Milliseconds until it is to be taken back; 0 = now (also after a reboot, or when that was
 * decided and not finished). Only for open ones. now_ms: clock_boot_ms() of `boot`. */
int64_t state_confirm_left_ms(const struct state_confirm *c, const char *boot, int64_t now_ms);

#endif
